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
    /// The statements of `schema.sql` as the server understands them, in their order; on CockroachDB with what places its
    /// ranges behind each table.
    public static func statements(
        for dialect: ServerDialect, cockroach settings: CockroachSettings = CockroachSettings()
    ) -> [String] {
        let text = SQLScript.text(of: ddl, for: dialect)
        guard dialect == .cockroachdb else { return splitStatements(text) }
        return splitStatements(settings.filledIn(text)).flatMap { statement -> [String] in
            guard let table = SchemaDeclaration(ddl: statement).tables.first,
                let zone = settings.zoneStatement(of: "\(table.schema).\(table.name)")
            else { return [statement] }
            return [statement, zone]
        }
    }

    /// Creates what is missing; leaves what is there.
    public static func create(
        on connection: PostgresConnection, cockroach settings: CockroachSettings = CockroachSettings()
    ) throws {
        let statements = statements(for: connection.dialect, cockroach: settings)
        switch connection.dialect {
        case .postgresql:
            // In one go, so in one transaction.
            try connection.execute(statements.joined(separator: ";\n"))
        case .cockroachdb:
            // One schema change a transaction, as its documents ask: of several in one transaction some may stay undone.
            for statement in statements { try connection.execute(statement) }
        }
    }

    /// Drops the schema with all its rows, if there is one.
    public static func drop(on connection: PostgresConnection) throws {
        try connection.execute(SQLScript.text(of: dropStatements, for: connection.dialect))
    }

    /// How the database differs from `schema.sql`: one line per table or column, empty when nothing does.
    public static func check(on connection: PostgresConnection) throws -> [String] {
        try SchemaDeclaration(ddl: SQLScript.text(of: ddl, for: connection.dialect)).differences(on: connection)
    }
}
