// What every stage can do with its schema: the same three verbs, from the SQL that the stage embeds.
// Runs on its connection's thread.

/// One stage's schema.
public protocol StageSchema: SendableMetatype {
    /// The text of `schema.sql`.
    static var ddl: [UInt8] { get }
    /// The text of `drop.sql`.
    static var dropStatements: [UInt8] { get }
}

extension StageSchema {
    /// Creates what is missing; leaves what is there.
    public static func create(on connection: PostgresConnection) throws {
        try connection.execute(String(decoding: ddl, as: UTF8.self))
    }

    /// Drops the schema with all its rows, if there is one.
    public static func drop(on connection: PostgresConnection) throws {
        try connection.execute(String(decoding: dropStatements, as: UTF8.self))
    }

    /// How the database differs from `schema.sql`: one line per table or column, empty when nothing does.
    public static func check(on connection: PostgresConnection) throws -> [String] {
        try SchemaDeclaration(ddl: ddl).differences(on: connection)
    }
}
