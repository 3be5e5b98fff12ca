// What a connection asks of its server beside the stages' SQL: the statements of `sql/server/`, each in the dialect of the
// server. This file and that folder are the one place that knows how to do these things on either. On the connection's thread.

/// The statements of `sql/server/server.sql`.
public enum ServerStatements {
    static let script = SQLScript(embedded: PackageResources.server_sql)

    /// The statement of that name; empty where the server needs none.
    public static func statement(
        _ name: String, for dialect: ServerDialect, replacing parts: [String: String] = [:]
    ) -> String {
        script.statement(name, replacing: parts, for: dialect)
    }
}

extension PostgresConnection {
    /// Runs a statement without rows of `sql/server/`, with a value in the place `:name` of it; nothing where the server
    /// needs none.
    private func executeForServer(_ name: String, _ place: String = "", _ value: String = "") throws(PostgresError) {
        var statement = ServerStatements.statement(name, for: dialect)
        if !place.isEmpty { statement = replaced(place, by: value, in: statement) }
        if !statement.isEmpty { try execute(statement) }
    }

    private func queryServer(_ name: String) throws(PostgresError) -> QueryResult {
        try query(ServerStatements.statement(name, for: dialect))
    }

    // MARK: Settings and the catalogue

    /// Settings of the server that say how something was measured, by name. Empty where this user may not read them.
    public func serverSettings() throws(PostgresError) -> [(name: String, value: String)] {
        let result: QueryResult
        do {
            result = try queryServer("settings")
        } catch {
            guard error.sqlState == .insufficientPrivilege else { throw error }
            return []
        }
        return (0..<result.rowCount).map { (result.text($0, 0) ?? "", result.text($0, 1) ?? "") }
    }

    /// Says in the catalogue whose tables these are. `mark` has letters, digits, spaces and dashes alone.
    public func markRun(_ mark: String) throws(PostgresError) {
        precondition(!mark.contains("'") && !mark.contains("\\"), "a mark is no SQL")
        try executeForServer("mark_run", ":mark", mark)
    }

    /// What `markRun` said; nil if nothing did.
    public func runMark() throws(PostgresError) -> String? {
        let result = try queryServer("run_mark")
        return result.rowCount == 0 ? nil : result.text(0, 0)
    }

    /// For a session that finds every row by its key.
    public func preferKeys() throws(PostgresError) { try executeForServer("planner") }

    /// For a session that fills empty tables, which count as empty until another session says that they are complete.
    public func preferLoading() throws(PostgresError) { try executeForServer("load") }

    /// Has the session's name say which database it is in, where the list of sessions doesn't: on CockroachDB.
    public func nameDatabase() throws(PostgresError) { try executeForServer("name_session") }

    // MARK: Transactions

    /// Refuses a level that transactions of this server don't get: CockroachDB gives a stricter one without a word where a
    /// level is switched off. Costs three round trips, and none on PostgreSQL, which has them all.
    public func requireIsolation(_ level: IsolationLevel) throws(PostgresError) {
        guard dialect == .cockroachdb else { return }
        try begin(isolation: level)
        let granted = try queryServer("isolation").text(0, 0) ?? ""
        try rollback()
        if let refusal = Self.refusal(of: level, granted: granted, by: server) { throw PostgresError(message: refusal) }
    }

    /// Why a level can't be had, with the remedy; nil if it is what was granted.
    static func refusal(of level: IsolationLevel, granted: String, by server: ServerVersion) -> String? {
        guard granted.uppercased() != level.rawValue else { return nil }
        let setting =
            switch level {
            case .readCommitted where server >= (23, 2): "sql.txn.read_committed_isolation.enabled"
            case .repeatableRead where server >= (24, 3): "sql.txn.repeatable_read_isolation.enabled"
            default: ""
            }
        let head = "\(server) runs transactions that ask for \(level.rawValue) as \(granted.uppercased())"
        let other = "give the configurations isolation: serializable"
        return setting.isEmpty
            ? "\(head), the only level it has; \(other)"
            : "\(head); SET CLUSTER SETTING \(setting) = true, or \(other)"
    }

    /// Has the server answer statements in explicit transactions of this session with 40001, from here on.
    /// Only CockroachDB can.
    public func injectRetryErrors() throws(PostgresError) { try executeForServer("inject_retry_errors") }

    /// In an open transaction, before schema changes such as TRUNCATE: they belong to it.
    public func keepTransactionOverSchemaChanges() throws(PostgresError) {
        // The setting came with v24.1; before, they always did.
        guard dialect == .cockroachdb, server >= (24, 1) else { return }
        try executeForServer("keep_transaction")
    }

    /// How far apart the clocks of a cluster may be before its nodes give up: `--max-offset`, 500 ms unless changed.
    static let clockOffsetMax = Duration.milliseconds(500)

    /// On CockroachDB has all statements of `body` read at one time, in nobody's way: everything that was committed before
    /// the call is seen, nothing that is committed later. On PostgreSQL, and within a transaction, `body` simply runs.
    ///
    /// Another node's clock may have been ahead of this one's when something was committed, so it waits first until it can't
    /// be any more.
    public func readingAtOneTime<R>(
        sleep: (Duration) -> Void = sleepThread, _ body: () throws -> R
    ) throws -> R {
        guard dialect == .cockroachdb, !isInTransaction else { return try body() }
        sleep(Self.clockOffsetMax)
        try begin(isolation: .serializable)
        let time = try queryServer("now_for_reading").text(0, 0) ?? ""
        try commit()
        guard !time.isEmpty, time.allSatisfy({ $0 == "." || ($0.isASCII && $0.isNumber) }) else {
            throw PostgresError(message: "the server's time isn't a number: \(time)")
        }
        try executeForServer("begin_reading", ":time", time)
        do {
            let value = try body()
            try commit()
            return value
        } catch {
            // A failed ROLLBACK means a lost connection, which the error at hand tells.
            if activity == .idle && isInTransaction { try? rollback() }
            throw error
        }
    }

    // MARK: Figures

    /// Before the figures of a CockroachDB are read.
    public func openFigures() throws(PostgresError) {
        guard dialect == .cockroachdb, server >= (25, 4) else { return }
        try executeForServer("open_figures")
    }

    /// How many sessions of this database wait for a lock.
    public func waitingSessionCount() throws(PostgresError) -> Int {
        Int(try queryServer("waiting_sessions").int64(0, 0))
    }

    // MARK: Files in the database

    /// Uploads a file of rows, columns separated by tabs, into the database. Only CockroachDB keeps files.
    /// - Parameter name: letters, digits, dashes and dots.
    /// - Returns: where `IMPORT INTO` finds the file.
    public func upload(_ name: String, body: (inout CopyWriter) throws -> Void) throws -> String {
        let database = try query("SELECT current_database()").text(0, 0) ?? ""
        let file = "userfile://\(database).public.allocbench/\(name)"
        precondition(!file.contains("'"), "a file's name is no SQL")
        let statement = ServerStatements.statement("upload", for: .cockroachdb)
        try copyIn(replaced(":file", by: file, in: statement), wrappedInPieces: true, body: body)
        return file
    }

    /// Drops what `upload` made.
    public func forgetUploads() throws(PostgresError) { try executeForServer("forget_uploads") }
}

func replaced(_ place: String, by value: String, in text: String) -> String {
    text.split(separator: place, omittingEmptySubsequences: false).joined(separator: value)
}
