// Turns libpq's answers into values or errors, and decides what a lost connection means. On the connection's thread.

internal import CLibPQ
internal import Glibc

/// What was sent, kept until its answer is judged. Small: it is made for every statement.
struct SentStatement {
    enum Text {
        case sql(String)
        case prepared(String)
    }

    let text: Text
    /// Whether it joined an open transaction; otherwise it commits by itself.
    let wasInTransaction: Bool
    /// Whether there was a connection to send it on.
    let wasConnected: Bool
}

extension PostgresConnection {
    /// Runs text by the simple protocol.
    func simple(_ sql: String) throws(PostgresError) -> PGResultHandle {
        let sent = begin(sql)
        return try check(unsafe PGResultHandle(adopting: PQexec(handle.raw, sql)), sent)
    }

    func begin(_ sql: String) -> SentStatement { begin(.sql(sql)) }
    func begin(prepared name: String) -> SentStatement { begin(.prepared(name)) }

    private func begin(_ text: SentStatement.Text) -> SentStatement {
        precondition(activity == .idle, "the connection is inside \(activity == .copying ? "COPY" : "a pipeline")")
        return SentStatement(
            text: text, wasInTransaction: isInTransaction,
            wasConnected: unsafe PQstatus(handle.raw) == CONNECTION_OK)
    }

    /// Hands the result on if the statement succeeded, and throws what went wrong otherwise.
    func check(_ result: consuming PGResultHandle, _ sent: SentStatement) throws(PostgresError) -> PGResultHandle {
        switch result.status {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE, PGRES_EMPTY_QUERY:
            return result
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
            endUnexpectedCopy()
            throw PostgresError(
                message: "COPY from or to the client runs by copyIn or copyOut", statement: text(of: sent))
        default:
            throw error(result, sent)
        }
    }

    /// The error that a result carries, or the connection's own if there is no result.
    func error(_ result: borrowing PGResultHandle, _ sent: SentStatement) -> PostgresError {
        let statement = text(of: sent)
        let mayCommit = sent.wasConnected && (!sent.wasInTransaction || Self.mayCommit(statement))
        var failure = error(result)
        failure.statement = statement
        failure.isLostWhileCommitting = failure.isConnectionLost && mayCommit
        if isTransactionFailed && failureInTransaction == nil { failureInTransaction = failure }
        return failure
    }

    func error(_ result: borrowing PGResultHandle) -> PostgresError {
        guard unsafe result.raw != nil, let message = result.errorField("M") else { return connectionError() }
        let sqlState = result.errorField("C").map(SQLState.init)
        // What has a code is from the server itself, behind which nothing is left to be read.
        let isGone = unsafe sqlState == nil ? isBroken : PQstatus(handle.raw) != CONNECTION_OK
        return PostgresError(
            sqlState: sqlState, message: info.redact(message), detail: result.errorField("D"),
            hint: result.errorField("H"), constraint: result.errorField("n"),
            isConnectionLost: isGone || sqlState?.endsSession == true)
    }

    /// Whether the connection is gone. libpq tells of a write that failed before it has read that the server has gone, when the
    /// server's last words came first, and until then it calls the connection good: "If we had a write error, but nothing above
    /// obtained a query result or detected a read error, report the write error." So it is made to read on.
    private var isBroken: Bool {
        for _ in 0..<3 where unsafe PQstatus(handle.raw) == CONNECTION_OK {
            if unsafe PQconsumeInput(handle.raw) == 0 { break }
        }
        return unsafe PQstatus(handle.raw) != CONNECTION_OK
    }

    /// What libpq says about the connection itself; it keeps the last failure's text, on several lines.
    func connectionError() -> PostgresError {
        let text = unsafe PQerrorMessage(handle.raw).map { unsafe String(cString: $0) } ?? "out of memory"
        let isOpen = unsafe handle.raw != nil
        let line = text.split(whereSeparator: \.isNewline).map { $0.drop(while: \.isWhitespace) }
            .joined(separator: "; ")
        return PostgresError(
            message: isOpen ? info.redact(line) : "the connection is closed", isConnectionLost: isBroken)
    }

    func text(of sent: SentStatement) -> String {
        switch sent.text {
        case .sql(let sql): sql
        case .prepared(let name): preparedStatements[name] ?? name
        }
    }

    /// Whether a text may end a transaction: on the side of caution, by any word of it.
    static func mayCommit(_ sql: String) -> Bool {
        sql.uppercased().split { !$0.isLetter }.contains { $0 == "COMMIT" || $0 == "END" || $0 == "RELEASE" }
    }

    /// Brings the session back from a COPY that nobody is going to feed or read.
    private func endUnexpectedCopy() {
        unsafe _ = PQputCopyEnd(handle.raw, "not expected")
        while true {
            var row: UnsafeMutablePointer<CChar>?
            let length = unsafe PQgetCopyData(handle.raw, &row, 0)
            _ = unsafe PGMemoryHandle(adopting: row)
            if length <= 0 { break }
        }
        drainResults()
    }

    /// Reads and drops results until libpq is ready for the next statement.
    func drainResults() {
        while true {
            let result = unsafe PGResultHandle(adopting: PQgetResult(handle.raw))
            guard unsafe result.raw != nil else { return }
            // A broken connection has nothing more to say than its first error.
            if unsafe PQstatus(handle.raw) != CONNECTION_OK { return }
        }
    }
}
