// The market schema, as `sql/market/` declares it.

public import Postgres

public enum MarketSchema: StageSchema {
    public static var ddl: [UInt8] { PackageResources.schema_sql }
    public static var dropStatements: [UInt8] { PackageResources.drop_sql }
}
