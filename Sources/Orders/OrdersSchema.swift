// The orders schema, as `sql/orders/` declares it.

public import Postgres

public enum OrdersSchema: StageSchema {
    public static var ddl: [UInt8] { PackageResources.schema_sql }
    public static var dropStatements: [UInt8] { PackageResources.drop_sql }
}
