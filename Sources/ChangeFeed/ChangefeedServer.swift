// What a changefeed needs of CockroachDB: a few questions and commands, behind a face that tests can play.

import Diagnostics
import Postgres

protocol ChangefeedServer {
    /// Whether the cluster lets changefeeds read; nil where the user may not ask.
    func isRangefeedEnabled() throws -> Bool?
    /// How far a high-water mark stays behind at best, by the cluster's settings; without what the job itself adds.
    func closedTimestampLagNs() throws -> Int64
    /// All that the server still knows of, the latest first.
    func jobs(named name: String) throws -> [ChangefeedJob]
    func create(_ statement: ChangefeedStatement) throws
    func pause(_ job: Int64) throws
    func resume(_ job: Int64) throws
    func cancel(_ job: Int64) throws
    func clusterTime() throws -> HybridTimestamp

    /// The topic of a feed that isn't finished, as the database has noted it.
    func topic(ofFeed name: String) throws -> String?
    func note(feed name: String, topic: String) throws
    func forget(feed name: String) throws
    func close()
}

/// The real one: one session, its connection's thread.
struct SQLChangefeedServer: ChangefeedServer {
    private let connection: PostgresConnection

    init(_ connection: PostgresConnection) { self.connection = connection }

    static func connect(to info: ConnectionInfo) throws -> SQLChangefeedServer {
        SQLChangefeedServer(try PostgresConnection.connect(to: info, applicationName: "allocbench feed"))
    }

    func close() { connection.close() }

    func isRangefeedEnabled() throws -> Bool? {
        try setting("kv.rangefeed.enabled").map { ["t", "true", "on", "1"].contains($0.lowercased()) }
    }

    func closedTimestampLagNs() throws -> Int64 {
        // Both are 3 s unless somebody set them.
        let parts = try ["kv.closed_timestamp.target_duration", "kv.rangefeed.closed_timestamp_refresh_interval"].map {
            try setting($0).flatMap(Self.nanoseconds(interval:)) ?? 3_000_000_000
        }
        return parts[0] + parts[1]
    }

    /// Nil where the user may not see it, or where the version has no such setting.
    private func setting(_ name: String) throws -> String? {
        do {
            return try connection.query("SHOW CLUSTER SETTING \(name)").text(0, 0)
        } catch {
            guard !error.isConnectionLost, error.sqlState != nil else { throw error }
            return nil
        }
    }

    /// An INTERVAL as CockroachDB prints it by default: `00:00:03`, `00:00:00.2`.
    static func nanoseconds(interval text: String) -> Int64? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let hours = Int64(parts[0]), let minutes = Int64(parts[1]) else { return nil }
        let seconds = parts[2].split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(seconds.count), let whole = Int64(seconds[0]), hours >= 0, minutes >= 0, whole >= 0
        else {
            return nil
        }
        var rest: Int64 = 0
        if seconds.count == 2 {
            guard seconds[1].utf8.count <= 9, let digits = Int64(seconds[1]), digits >= 0 else { return nil }
            rest = (seconds[1].utf8.count..<9).reduce(digits) { value, _ in value * 10 }
        }
        return ((hours * 60 + minutes) * 60 + whole) * 1_000_000_000 + rest
    }

    func jobs(named name: String) throws -> [ChangefeedJob] {
        let result = try connection.query("SELECT * FROM [SHOW CHANGEFEED JOBS]")
        let names = (0..<result.columnCount).map { result.columnName($0) }
        return try (0..<result.rowCount).map { row in
            var cells: [String: String] = [:]
            for (column, name) in names.enumerated() { cells[name] = result.text(row, column) }
            return try ChangefeedJob(row: cells)
        }.filter { $0.isNamed(name) }.sorted { $0.id > $1.id }
    }

    func create(_ statement: ChangefeedStatement) throws {
        do {
            try connection.query(statement.text, .text(statement.sink.unredacted))
        } catch {
            throw Self.refusal(error, of: statement)
        }
    }

    /// The server's words in one line, without the sink's secrets, and what to do.
    static func refusal(_ error: PostgresError, of statement: ChangefeedStatement) -> OperatingError {
        let message = oneLine(statement.sink.redact(error.message))
        let remedy: String? =
            if message.contains("kv.rangefeed.enabled") {
                rangefeedRemedy
            } else if error.sqlState?.rawValue == "42501" {
                "GRANT CHANGEFEED ON TABLE \(statement.source.table) TO the user who connects"
            } else if message.contains("kafka") || message.contains("dial") || message.contains("no such host") {
                "every node of the database must reach the brokers under the names given here"
                    + (statement.sink.brokers.contains(",")
                        ? "; name one broker only: some 24.x versions take no list" : "")
            } else {
                nil
            }
        return OperatingError("the changefeed \(statement.name) couldn't be made: \(message)", remedy: remedy)
    }

    static let rangefeedRemedy = "SET CLUSTER SETTING kv.rangefeed.enabled = true, as an administrator of the cluster"

    // A job is named by its number, which no parameter may stand for.
    func pause(_ job: Int64) throws { try connection.execute("PAUSE JOB \(job)") }
    func resume(_ job: Int64) throws { try connection.execute("RESUME JOB \(job)") }
    func cancel(_ job: Int64) throws { try connection.execute("CANCEL JOB \(job)") }

    /// The function is refused below SERIALIZABLE, and the session may have another default.
    func clusterTime() throws -> HybridTimestamp {
        try connection.begin(isolation: .serializable)
        defer { if connection.isInTransaction { try? connection.rollback() } }
        let text = try connection.query("SELECT cluster_logical_timestamp()").text(0, 0) ?? ""
        guard let time = HybridTimestamp(text) else {
            throw OperatingError("the cluster's clock says \(text), which is no timestamp")
        }
        return time
    }

    // MARK: The note in the database

    func topic(ofFeed name: String) throws -> String? {
        let rows = try connection.query("SELECT topic FROM trades.change_feeds WHERE slot_name = $1", .text(name))
        return rows.rowCount == 0 ? nil : rows.text(0, 0)
    }

    func note(feed name: String, topic: String) throws {
        // The job scans by itself, so whether it has is not for this row to say.
        try connection.query(
            "INSERT INTO trades.change_feeds (slot_name, topic, scan_completed) VALUES ($1, $2, true) ON CONFLICT DO NOTHING",
            .text(name), .text(topic))
    }

    func forget(feed name: String) throws {
        let isThere = try connection.query(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = 'trades' AND table_name = 'change_feeds'")
        guard isThere.rowCount > 0 else { return }
        try connection.query("DELETE FROM trades.change_feeds WHERE slot_name = $1", .text(name))
    }
}
