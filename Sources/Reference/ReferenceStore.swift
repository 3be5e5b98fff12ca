// Securities and the state of seeding in the database: COPY in, queries out. Runs on the thread of its connection.

import Model
public import Postgres

public enum ReferenceStore {
    private static let sql = SQLScript(embedded: PackageResources.store_sql)

    // MARK: Securities

    /// Returns how many rows were copied.
    @discardableResult
    public static func copySecurities(
        _ securities: some Sequence<Security>, on connection: PostgresConnection
    ) throws -> Int {
        try connection.copyIn(sql["copy_securities"]) { writer in
            for security in securities {
                writer.int64(security.id.rawValue)
                writer.text(security.symbol)
                writer.text(security.name)
                writer.text(security.assetClass)
                writer.text(security.country)
                writer.text(security.sector)
                writer.text(security.industry)
                writer.int64(security.lotSize)
                try writer.endRow()
            }
        }
    }

    public static func securities(on connection: PostgresConnection) throws -> [Security] {
        let result = try connection.query(sql["list_securities"])
        return (0..<result.rowCount).map { row in
            func text(_ column: Int) -> String { result.text(row, column) ?? "" }
            return Security(
                id: SecurityID(result.int64(row, 0)), symbol: text(1), name: text(2), assetClass: text(3),
                country: text(4), sector: text(5), industry: text(6), lotSize: result.int64(row, 7))
        }
    }

    public static func truncate(on connection: PostgresConnection) throws {
        try connection.execute(sql["truncate"])
    }

    public static func isEmpty(on connection: PostgresConnection) throws -> Bool {
        try connection.query(sql["is_empty"]).int64(0, 0) != 0
    }

    /// Rows by table.
    public static func rowCounts(on connection: PostgresConnection) throws -> [String: Int] {
        ["reference.securities": Int(try connection.query(sql["count_securities"]).int64(0, 0))]
    }

    /// One sum over all rows by table, in the order of their keys: equal sums, equal tables.
    public static func tableChecksums(on connection: PostgresConnection) throws -> [String: String] {
        ["reference.securities": try connection.query(sql["checksum_securities"]).text(0, 0) ?? ""]
    }

    // MARK: The state of seeding

    public static func seedings(on connection: PostgresConnection) throws -> [StageSeeding] {
        let result = try connection.query(sql["seeding_states"])
        return (0..<result.rowCount).map { row in
            StageSeeding(
                stage: result.text(row, 0) ?? "", state: result.text(row, 1) == "complete" ? .complete : .loading,
                source: result.text(row, 2) ?? "", seed: UInt64(bitPattern: result.int64(row, 3)))
        }
    }

    /// Says that `stage` is being loaded. Fails with a unique violation when another row says anything of it.
    public static func beginSeeding(
        of stage: String, source: String, seed: UInt64, on connection: PostgresConnection
    ) throws {
        try connection.query(
            sql["begin_seeding"], .text(stage), .text(source), .int64(Int64(bitPattern: seed)))
    }

    /// Returns false when nobody had begun, or somebody else has forgotten it since.
    public static func completeSeeding(of stage: String, on connection: PostgresConnection) throws -> Bool {
        try connection.query(sql["complete_seeding"], .text(stage)).affectedRowCount == 1
    }

    public static func forgetSeeding(of stage: String, on connection: PostgresConnection) throws {
        try connection.query(sql["forget_seeding"], .text(stage))
    }
}
