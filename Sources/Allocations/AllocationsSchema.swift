// The allocations schema, as `sql/allocations/` declares it.

public import Postgres

public enum AllocationsSchema: StageSchema {
    public static var ddl: [UInt8] { PackageResources.schema_sql }
    public static var dropStatements: [UInt8] { PackageResources.drop_sql }
}
