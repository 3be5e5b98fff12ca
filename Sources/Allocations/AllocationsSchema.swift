// Creates, drops and checks the allocations schema, from the SQL in `sql/allocations/`. Runs on its connection's thread.

public import Postgres

public enum AllocationsSchema {
    /// Creates what is missing; leaves what is there.
    public static func create(on connection: PostgresConnection) throws {
        try connection.execute(String(decoding: PackageResources.schema_sql, as: UTF8.self))
    }

    /// Drops the schema with all its rows, if there is one.
    public static func drop(on connection: PostgresConnection) throws {
        try connection.execute(String(decoding: PackageResources.drop_sql, as: UTF8.self))
    }

    /// How the database differs from `schema.sql`: one line per table or column, empty when nothing does.
    public static func check(on connection: PostgresConnection) throws -> [String] {
        try SchemaDeclaration(ddl: PackageResources.schema_sql).differences(on: connection)
    }
}
