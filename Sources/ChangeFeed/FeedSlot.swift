// The server's side of a feed: publication, slot and the row that says whether the first scan is done.
// Runs on its connection's thread.

import Diagnostics
public import Postgres

/// The names of one database's feed of one table. A slot's name is unique in a cluster, so it carries the database's.
public struct FeedSlot: Sendable, Hashable {
    public let name: String
    public let source: FeedSource
    public var publication: String { name }

    /// Every slot of this project starts so; what a killed run left is found by it.
    public static let prefix = "allocbench_"

    public init(database: String, source: FeedSource = .executions) {
        self.source = source
        // A slot's name has lower-case letters, digits and underscores only, and at most 63 of them.
        let allowed = String(database.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
        // A database that is called like another one's feed of requests must not share its slot.
        let isPlain =
            allowed == database && allowed.utf8.count <= 40
            && !FeedSource.all.contains { !$0.slotSuffix.isEmpty && allowed.hasSuffix($0.slotSuffix) }
        let base = isPlain ? allowed : "\(allowed.prefix(30))_\(Self.digest(database))"
        name = FeedSlot.prefix + base + source.slotSuffix
    }

    /// Drops the feeds of every table of a database.
    public static func dropAll(database: String, connection info: ConnectionInfo) throws {
        for source in FeedSource.all { try FeedSlot(database: database, source: source).drop(connection: info) }
    }

    /// Tells apart names that the rules for slots would make the same: FNV-1a of the whole name.
    private static func digest(_ text: String) -> String {
        let hash = text.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return String(hash, radix: 16)
    }

    /// Makes publication, slot and progress row where they are missing. From here on the server keeps its log for us.
    /// If one of them can't be made, those that this call has made are taken back.
    /// - Parameter scanTable: whether rows that stand in the table already are to be published too.
    public func create(topic: String, scanTable: Bool, connection info: ConnectionInfo) throws {
        let connection = try PostgresConnection.connect(to: info, applicationName: "allocbench feed")
        defer { connection.close() }
        try requireServer(on: connection)
        let known = try connection.query("SELECT topic FROM trades.change_feeds WHERE slot_name = $1", .text(name))
        if known.rowCount == 1, let other = known.text(0, 0), other != topic {
            throw OperatingError(
                "the feed \(name) publishes to topic \(other)", remedy: "go on with that topic, or drop the feed first")
        }
        let state = try SlotState.read(name, on: connection)
        if known.rowCount == 1, state == nil { throw gone }
        if let state, state.isLost { throw lost(on: connection) }
        let isPublished = try hasPublication(on: connection)
        // One that is made now would not be seen in the log that the slot still has to read.
        if state != nil, !isPublished { throw publicationGone }
        if !isPublished { try createPublication(on: connection) }
        do {
            if state == nil { try createSlot(info, on: connection) }
            // Written after the slot is made: a kill in between leaves a slot without a row, and the next start scans again.
            try connection.query(
                "INSERT INTO trades.change_feeds (slot_name, topic, scan_completed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                .text(name), .text(topic), .bool(!scanTable))
        } catch {
            // Their own failures would only hide what went wrong first.
            if state == nil { _ = try? connection.query(Self.dropSlotSQL, .text(name)) }
            if !isPublished { try? connection.execute("DROP PUBLICATION IF EXISTS \(publication)") }
            throw error
        }
    }

    /// Forgets where the feed was, and makes its slot anew: what the slot would still have told is found by the scan of the
    /// whole table, along with what was published before. For a new primary, to which no slot came along.
    public func createAnew(topic: String, connection info: ConnectionInfo) throws {
        let connection = try PostgresConnection.connect(to: info, applicationName: "allocbench feed")
        try connection.query(Self.dropSlotSQL, .text(name))
        try connection.query("DELETE FROM trades.change_feeds WHERE slot_name = $1", .text(name))
        connection.close()
        try create(topic: topic, scanTable: true, connection: info)
    }

    private static let dropSlotSQL =
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active"

    private func createPublication(on connection: PostgresConnection) throws {
        do throws(PostgresError) {
            try connection.execute(
                "CREATE PUBLICATION \(publication) FOR TABLE \(source.table) WITH (publish = 'insert')")
        } catch {
            let user = (try? connection.query("SELECT current_user").text(0, 0)) ?? nil
            throw explainedPublication(error, user: user ?? "")
        }
    }

    private func createSlot(_ info: ConnectionInfo, on connection: PostgresConnection) throws {
        do throws(PostgresError) {
            let replication = try ReplicationConnection.connect(to: info, applicationName: "allocbench feed")
            defer { replication.close() }
            _ = try replication.createLogicalSlot(name)
        } catch {
            throw explainedSlot(error, on: connection)
        }
    }

    func hasPublication(on connection: PostgresConnection) throws -> Bool {
        try exists("SELECT 1 FROM pg_publication WHERE pubname = $1", on: connection)
    }

    /// Drops publication, slot and progress row, so that no log is kept for nobody.
    public func drop(connection info: ConnectionInfo) throws {
        let connection = try PostgresConnection.connect(to: info, applicationName: "allocbench feed")
        defer { connection.close() }
        try connection.query(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active",
            .text(name))
        if try exists("SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", on: connection) {
            let replication = try ReplicationConnection.connect(to: info, applicationName: "allocbench feed")
            defer { replication.close() }
            try replication.dropSlot(name, wait: true)
        }
        try connection.execute("DROP PUBLICATION IF EXISTS \(publication)")
        if try exists(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = $1 AND table_name = 'change_feeds'", "trades",
            on: connection)
        {
            try connection.query("DELETE FROM trades.change_feeds WHERE slot_name = $1", .text(name))
        }
    }

    /// Drops every slot of this project in the cluster that nobody reads and whose database is `database`.
    public static func dropLeftovers(database: String, on connection: PostgresConnection) throws {
        try connection.query(
            """
            SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
            WHERE database = $1 AND starts_with(slot_name, $2) AND NOT active
            """, .text(database), .text(prefix))
    }

    func isScanCompleted(on connection: PostgresConnection) throws -> Bool {
        let result = try connection.query(
            "SELECT scan_completed FROM trades.change_feeds WHERE slot_name = $1", .text(name))
        return result.rowCount == 1 && result.text(0, 0) == "t"
    }

    func markScanCompleted(on connection: PostgresConnection) throws {
        try connection.query("UPDATE trades.change_feeds SET scan_completed = true WHERE slot_name = $1", .text(name))
    }

    private func exists(_ sql: String, _ value: String? = nil, on connection: PostgresConnection) throws -> Bool {
        try connection.query(sql, .text(value ?? name)).rowCount > 0
    }
}
