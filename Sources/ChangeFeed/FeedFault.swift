// What keeps a feed from a server's log, each as one line with its remedy. Asks the server on an ordinary connection.

import Diagnostics
import Postgres

/// What the server knows of a logical slot.
struct SlotState {
    /// The server's process that reads it.
    let activeProcess: Int64?
    /// Whether the server has dropped log that the slot still needed.
    let isLost: Bool

    /// Nil if there is no slot of this name.
    static func read(_ name: String, on connection: PostgresConnection) throws -> SlotState? {
        let result = try connection.query(
            "SELECT active_pid, wal_status FROM pg_replication_slots WHERE slot_name = $1", .text(name))
        guard result.rowCount == 1 else { return nil }
        return SlotState(
            activeProcess: result.text(0, 0).flatMap { Int64($0) }, isLost: result.text(0, 1) == "lost")
    }
}

extension FeedSlot {
    private static let startOver = "drop the feed (allocbench feed --drop) and start it again: it scans the whole table"

    var gone: OperatingError {
        OperatingError("the slot \(name) is gone although its feed is not finished", remedy: Self.startOver)
    }

    var publicationGone: OperatingError {
        OperatingError(
            "the publication \(publication) is gone although its feed is not finished", remedy: Self.startOver)
    }

    func inUse(by process: Int64?) -> OperatingError {
        let reader = process.map { " (process \($0) of the server)" } ?? ""
        return OperatingError(
            "another feed reads the slot \(name)\(reader)",
            remedy: "end that feed; of one that was killed the server notices it within wal_sender_timeout")
    }

    func lost(on connection: PostgresConnection) -> OperatingError {
        let limit = (try? connection.query("SHOW max_slot_wal_keep_size").text(0, 0)) ?? nil
        return OperatingError(
            "the server has dropped log that the slot \(name) still needed"
                + (limit.map { " (max_slot_wal_keep_size = \($0))" } ?? ""),
            remedy: "raise that limit, then \(Self.startOver)")
    }

    // MARK: Before anything is made

    /// What can be seen to be missing before a publication and a slot are made.
    func requireServer(on connection: PostgresConnection) throws {
        if connection.isCockroachDB {
            throw OperatingError(
                "this feed reads PostgreSQL's logical replication", remedy: "on CockroachDB use CREATE CHANGEFEED")
        }
        let answer = try connection.query(
            """
            SELECT current_setting('wal_level'), pg_is_in_recovery(), to_regclass('trades.change_feeds') IS NOT NULL,
                   to_regclass($1) IS NOT NULL
            """, .text(source.table))
        let level = answer.text(0, 0) ?? ""
        guard level == "logical" else {
            throw OperatingError(
                "wal_level is \(level), a change feed needs logical",
                remedy: "ALTER SYSTEM SET wal_level = logical and restart the server")
        }
        guard answer.text(0, 1) == "f" else {
            throw OperatingError(
                "the server is a standby, and a change feed reads the primary's log",
                remedy: "name the primary, or all of them with target_session_attrs=read-write")
        }
        for (column, table) in [(2, "trades.change_feeds"), (3, source.table)] where answer.text(0, column) != "t" {
            throw OperatingError(
                "the database has no table \(table)", remedy: "create the tables first: allocbench schema create")
        }
    }

    // MARK: What the server refused

    /// Why the publication couldn't be made.
    func explainedPublication(_ error: PostgresError, user: String) -> any Error {
        guard error.sqlState == .insufficientPrivilege else { return error }
        return OperatingError(
            "the user \(user) may not publish \(source.table): \(error.message)",
            remedy: "feed as the table's owner, with the right to CREATE in the database")
    }

    /// Why there is no slot, or no connection in replication mode to make one.
    func explainedSlot(_ error: PostgresError, on connection: PostgresConnection) -> any Error {
        if error.sqlState == .configurationLimitExceeded {
            let limit = (try? connection.query("SHOW max_replication_slots").text(0, 0)) ?? nil
            return OperatingError(
                "all replication slots of the server are in use (max_replication_slots = \(limit ?? "?"))",
                remedy:
                    "drop one that nobody needs (SELECT pg_drop_replication_slot), or raise the limit and restart the server"
            )
        }
        // libpq hands out no code for what it is told while it connects.
        let answer = try? connection.query(
            """
            SELECT current_user, bool_or(r.rolsuper OR r.rolreplication), current_setting('max_wal_senders'),
                   (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender')
                     >= current_setting('max_wal_senders')::INT8
            FROM pg_roles AS r WHERE r.rolname = current_user
            """)
        guard let answer else { return error }
        if answer.text(0, 1) == "f" {
            let user = answer.text(0, 0) ?? ""
            return OperatingError(
                "the user \(user) may not read the server's log", remedy: "ALTER ROLE \(user) REPLICATION")
        }
        if answer.text(0, 3) == "t" || error.message.contains("max_wal_senders") {
            return OperatingError(
                "the server has no place for another reader of its log (max_wal_senders = \(answer.text(0, 2) ?? "?"))",
                remedy: "end one of them, or raise the limit and restart the server")
        }
        return error
    }

    /// Why the stream couldn't be started, or ended.
    func explainedStream(_ error: PostgresError, connection info: ConnectionInfo) -> any Error {
        guard let connection = try? PostgresConnection.connect(to: info, applicationName: "allocbench feed") else {
            return error
        }
        defer { connection.close() }
        guard let found = try? SlotState.read(name, on: connection) as SlotState?? else { return error }
        guard let state = found else { return gone }
        if error.sqlState == .objectInUse { return inUse(by: state.activeProcess) }
        if state.isLost { return lost(on: connection) }
        if let isThere = try? hasPublication(on: connection), !isThere { return publicationGone }
        return error.isConnectionLost ? explainedSlot(error, on: connection) : error
    }
}
