// What PostgreSQL's own counters say about a cell: the difference between a reading before and one after it. They count the
// whole server (log, checkpoints) or the whole database (transactions, rows), so whoever else works there is in them; the
// readings themselves are a handful of transactions.

import Measurement
public import Postgres

/// Counters of a server, or how far they went between two readings.
public struct DatabaseActivity: Sendable, Equatable {
    /// The write-ahead log of the whole server: what was written to it, and how often it was brought to the disk.
    public var walBytes: Int64 = 0
    /// Whole pages in the log: the first change of a page after a checkpoint.
    public var walFullPageImages: Int64 = 0
    public var walSyncs: Int64 = 0
    /// Of the database.
    public var commits: Int64 = 0
    public var rowsInserted: Int64 = 0
    public var rowsUpdated: Int64 = 0
    public var rowsDeleted: Int64 = 0
    public var deadlocks: Int64 = 0
    /// Of the server, timed ones and requested ones.
    public var checkpoints: Int64 = 0
    /// Whether every session had brought its counts home. Else up to a second of its commits, rows and log is
    /// missing, or what it did last if it is idle.
    public var isWhole = true

    public init() {}

    /// Nil where some may be missing.
    public var rowsWritten: Int64? { isWhole ? rowsInserted + rowsUpdated + rowsDeleted : nil }

    /// How many transactions shared a flush of the log; nil where nothing was flushed, or commits may be missing.
    public var commitsPerSync: Double? {
        walSyncs == 0 || !isWhole ? nil : Double(commits) / Double(walSyncs)
    }

    private static let counters: [any WritableKeyPath<DatabaseActivity, Int64> & Sendable] = [
        \.walBytes, \.walFullPageImages, \.walSyncs, \.commits, \.rowsInserted, \.rowsUpdated, \.rowsDeleted,
        \.deadlocks,
        \.checkpoints,
    ]

    static func - (later: DatabaseActivity, earlier: DatabaseActivity) -> DatabaseActivity {
        var difference = later
        for counter in counters { difference[keyPath: counter] -= earlier[keyPath: counter] }
        return difference
    }

    /// The names of the counters differ between PostgreSQL's versions; the columns are those of `counters`, in their order.
    fileprivate static func statement(serverVersion: Int) -> String {
        let syncs =
            serverVersion >= 180_000 ? "(SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal')" : "w.wal_sync"
        let checkpoints =
            serverVersion >= 170_000
            ? "(SELECT num_timed + num_requested FROM pg_stat_checkpointer)"
            : "(SELECT checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter)"
        return """
            SELECT w.wal_bytes::INT8, w.wal_fpi, coalesce(\(syncs), 0)::INT8, d.xact_commit,
                   d.tup_inserted, d.tup_updated, d.tup_deleted, d.deadlocks, \(checkpoints)::INT8
            FROM pg_stat_wal AS w, pg_stat_database AS d WHERE d.datname = current_database()
            """
    }

    fileprivate init(_ result: QueryResult, isWhole: Bool) {
        self.isWhole = isWhole
        for (column, counter) in Self.counters.enumerated() { self[keyPath: counter] = result.int64(0, column) }
    }
}

/// Reads the counters before and after. Runs on its connection's thread.
public struct DatabaseMeter {
    private let statement: String
    private let first: DatabaseActivity
    /// By the server's clock.
    private let firstTime: String

    /// A session brings its counts to the common ones when it ends, and else once a second at most.
    public static let settlingMs = 3_000
    /// Before the first reading less is at stake: what such a session did before, not what was measured.
    private static let settlingBeforeMs = 300

    /// Takes the first reading; nil where the server has no such counters: CockroachDB, PostgreSQL before 14.
    public static func begin(on connection: PostgresConnection) throws -> DatabaseMeter? {
        guard !connection.isCockroachDB else { return nil }
        let version = Int(try connection.query("SHOW server_version_num").text(0, 0) ?? "") ?? 0
        guard version >= 140_000 else { return nil }
        let statement = DatabaseActivity.statement(serverVersion: version)
        // What a session before did within the last seconds must not count as ours.
        let first = try read(statement, since: "now() - INTERVAL '5 seconds'", waitMs: settlingBeforeMs, on: connection)
        let time = try connection.query("SELECT clock_timestamp()::TEXT").text(0, 0) ?? ""
        return DatabaseMeter(statement: statement, first: first, firstTime: time)
    }

    /// Takes the second reading, once the sessions that worked in between are gone. Blocks for that, `waitMs` at most.
    /// - Returns: what happened in between; not whole if a session of the database is still there, whoever else's it is.
    public func end(on connection: PostgresConnection, waitMs: Int = settlingMs) throws -> DatabaseActivity {
        try Self.read(statement, since: "'\(firstTime)'::TIMESTAMPTZ", waitMs: waitMs, on: connection) - first
    }

    private static func read(
        _ statement: String, since: String, waitMs: Int, on connection: PostgresConnection
    ) throws -> DatabaseActivity {
        let deadline = monotonicNow() + Int64(waitMs) * 1_000_000
        var isSettled = false
        while !isSettled {
            isSettled =
                try connection.query(
                    """
                    SELECT 1 FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
                      AND state_change >= \(since)
                    LIMIT 1
                    """
                ).rowCount == 0
            if isSettled || monotonicNow() >= deadline { break }
            sleepUntil(monotonic: monotonicNow() + 20_000_000)
        }
        // Our own counts, too, such as those of a load on this connection. PostgreSQL 14 can't be asked for it.
        if try connection.query("SELECT 1 FROM pg_proc WHERE proname = 'pg_stat_force_next_flush'").rowCount > 0 {
            try connection.query("SELECT pg_stat_force_next_flush()")
        }
        return DatabaseActivity(try connection.query(statement), isWhole: isSettled)
    }
}
