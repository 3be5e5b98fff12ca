// The holdings schema, as `sql/holdings/` declares it.

public import Postgres

public enum HoldingsSchema: StageSchema {
    public static var ddl: [UInt8] { PackageResources.schema_sql }
    public static var dropStatements: [UInt8] { PackageResources.drop_sql }
}
