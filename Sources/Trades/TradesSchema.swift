// The trades schema, as `sql/trades/` declares it.

public import Postgres

public enum TradesSchema: StageSchema {
    public static var ddl: [UInt8] { PackageResources.schema_sql }
    public static var dropStatements: [UInt8] { PackageResources.drop_sql }
}
