// What the server's own counters say about a cell: the difference between a reading before and one after it. They count the
// whole server (log, checkpoints; on CockroachDB everything) or the whole database (transactions, rows), so whoever else works
// there is in them; the readings themselves are a handful of transactions.

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
    /// On CockroachDB, of all nodes: transactions that began anew, whether the server repeated them by itself or asked its
    /// client to.
    public var restarts: Int64 = 0
    /// Whether every session had brought its counts home. Else up to a second of its commits, rows and log is
    /// missing, or what it did last if it is idle. On CockroachDB whether every node had.
    public var isWhole = true
    /// Whose counters these are: CockroachDB has commits and restarts alone.
    public var dialect = ServerDialect.postgresql

    public init() {}

    /// Nil where some may be missing.
    public var rowsWritten: Int64? {
        isWhole && dialect == .postgresql ? rowsInserted + rowsUpdated + rowsDeleted : nil
    }

    /// How many transactions shared a flush of the log; nil where nothing was flushed, or commits may be missing.
    public var commitsPerSync: Double? {
        walSyncs == 0 || !isWhole ? nil : Double(commits) / Double(walSyncs)
    }

    static func - (later: DatabaseActivity, earlier: DatabaseActivity) -> DatabaseActivity {
        var difference = later
        for counter in counters(of: later.dialect) { difference[keyPath: counter] -= earlier[keyPath: counter] }
        return difference
    }

    /// The columns of the statement `counters`, in their order.
    private static func counters(
        of dialect: ServerDialect
    ) -> [any WritableKeyPath<DatabaseActivity, Int64> & Sendable] {
        switch dialect {
        case .postgresql:
            [
                \.walBytes, \.walFullPageImages, \.walSyncs, \.commits, \.rowsInserted, \.rowsUpdated, \.rowsDeleted,
                \.deadlocks, \.checkpoints,
            ]
        case .cockroachdb: [\.commits, \.restarts]
        }
    }

    fileprivate init(_ result: QueryResult, from dialect: ServerDialect, isWhole: Bool) {
        self.dialect = dialect
        self.isWhole = isWhole
        for (column, counter) in Self.counters(of: dialect).enumerated() {
            self[keyPath: counter] = result.int64(0, column)
        }
    }
}

/// Reads the counters before and after. Runs on its connection's thread.
public struct DatabaseMeter {
    private let version: ServerVersion
    private let first: DatabaseActivity
    /// By the server's clock.
    private let firstTime: String

    /// How long the counters may take to be whole. A session of PostgreSQL brings its counts to the common ones when it ends,
    /// and else once a second at most; a node of CockroachDB writes them down every ten seconds.
    public static func settlingMs(of dialect: ServerDialect) -> Int { dialect == .postgresql ? 3_000 : 15_000 }
    /// Before the first reading less is at stake on PostgreSQL: what such a session did before, not what was measured.
    private static func settlingBeforeMs(of dialect: ServerDialect) -> Int {
        dialect == .postgresql ? 300 : settlingMs(of: dialect)
    }

    /// Takes the first reading; nil where the server has no such counters, as PostgreSQL before 14, or where this user may
    /// not read them.
    public static func begin(on connection: PostgresConnection) throws -> DatabaseMeter? {
        try begin(on: connection, as: connection.server)
    }

    /// - Parameter version: what the server is taken for; a test has CockroachDB's tables in a PostgreSQL.
    static func begin(
        on connection: PostgresConnection, as version: ServerVersion, waitMs: Int? = nil
    ) throws -> DatabaseMeter? {
        guard version.dialect == .cockroachdb || version >= (14, 0) else { return nil }
        do {
            try connection.openFigures()
            // What a session before did within the last seconds must not count as ours.
            let since = try time("settling_since", version, on: connection)
            let first = try read(
                version, since: since, waitMs: waitMs ?? settlingBeforeMs(of: version.dialect), on: connection)
            return DatabaseMeter(
                version: version, first: first, firstTime: try time("clock", version, on: connection))
        } catch let error as PostgresError where error.sqlState == .insufficientPrivilege {
            return nil
        }
    }

    /// Takes the second reading, once the sessions that worked in between are gone. Blocks for that, `waitMs` at most.
    /// - Returns: what happened in between; not whole if a session of the database is still there, whoever else's it is.
    public func end(on connection: PostgresConnection, waitMs: Int? = nil) throws -> DatabaseActivity {
        // A session counts if it did anything since the first reading; a node's figures are of the time that they bear.
        let since =
            version.dialect == .postgresql ? firstTime : try Self.time("clock", version, on: connection)
        return try Self.read(
            version, since: since, waitMs: waitMs ?? Self.settlingMs(of: version.dialect), on: connection) - first
    }

    private static func time(
        _ name: String, _ version: ServerVersion, on connection: PostgresConnection
    ) throws -> String {
        try connection.query(ServerStatements.statement(name, for: version.dialect)).text(0, 0) ?? ""
    }

    private static func read(
        _ version: ServerVersion, since: String, waitMs: Int, on connection: PostgresConnection
    ) throws -> DatabaseActivity {
        let deadline = monotonicNow() + Int64(waitMs) * 1_000_000
        let isUnsettled = ServerStatements.statement("is_unsettled", for: version.dialect)
        var isSettled = false
        while !isSettled {
            isSettled = try connection.query(isUnsettled, .text(since)).rowCount == 0
            if isSettled || monotonicNow() >= deadline { break }
            sleepUntil(monotonic: monotonicNow() + (version.dialect == .postgresql ? 20_000_000 : 250_000_000))
        }
        if version.dialect == .cockroachdb {
            let counters = ServerStatements.statement("counters", for: .cockroachdb)
            return DatabaseActivity(
                try connection.query(counters, .text(since)), from: .cockroachdb, isWhole: isSettled)
        }
        // Our own counts, too, such as those of a load on this connection. PostgreSQL 14 can't be asked for it.
        if try connection.query("SELECT 1 FROM pg_proc WHERE proname = 'pg_stat_force_next_flush'").rowCount > 0 {
            try connection.query("SELECT pg_stat_force_next_flush()")
        }
        let counters = ServerStatements.statement(
            "counters", for: .postgresql, replacing: version >= (17, 0) ? ["checkpoints": "checkpoints_17"] : [:])
        return DatabaseActivity(try connection.query(counters), from: .postgresql, isWhole: isSettled)
    }
}
