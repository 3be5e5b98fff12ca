// The reference schema, as `sql/reference/` declares it.

public import Postgres

public enum ReferenceSchema: StageSchema {
    public static var ddl: [UInt8] { PackageResources.schema_sql }
    public static var dropStatements: [UInt8] { PackageResources.drop_sql }
}
