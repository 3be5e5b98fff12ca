// Pipeline mode: many statements on their way at once, their results read in order. On the connection's thread.
//
// The socket is non-blocking here. "The client may block … if both are trying to send to each other": so whoever waits to
// write also reads, and a pipeline of any size gets through.

internal import CLibPQ
internal import Glibc

/// What `nextPipelineResult` read: one event for each statement and each sync sent, in the order of sending.
public enum PipelineEvent: Sendable {
    /// The statement succeeded.
    case result(QueryResult)
    /// The statement failed; everything up to the next sync is `aborted`.
    case failed(PostgresError)
    /// The statement wasn't run because one before it failed.
    case aborted
    /// The server has come to a sync: outside of an explicit transaction, what came before is committed.
    case synced
}

extension PostgresConnection {
    /// How much may wait in libpq's memory for the socket before `send…` blocks to write it out.
    private static let unsentByteCountMax = 262_144

    /// Statements from now on are sent without waiting for their results.
    ///
    /// Statements between two syncs are one transaction as long as none of them says BEGIN: if one fails, all are undone
    /// and the next sync clears the failure. With an explicit BEGIN the failed transaction outlives the sync, and every
    /// later statement fails until a ROLLBACK.
    public func enterPipelineMode() throws(PostgresError) {
        precondition(activity == .idle, "the connection is busy")
        guard unsafe PQsetnonblocking(handle.raw, 1) == 0, unsafe PQenterPipelineMode(handle.raw) == 1 else {
            throw connectionError()
        }
        activity = .pipelining
        pending = PendingAnswers()
        unsentByteCount = 0
    }

    /// Goes back to one statement at a time. Results that nobody read are read and dropped.
    public func exitPipelineMode() throws(PostgresError) {
        precondition(activity == .pipelining, "not in pipeline mode")
        if pending.hasUnsynced { try sendSync() }
        while pending.count > 0 { _ = try nextPipelineResult() }
        // The end of the last statement's results is still unread, and PQexitPipelineMode insists on it.
        drainResults()
        guard unsafe PQexitPipelineMode(handle.raw) == 1, unsafe PQsetnonblocking(handle.raw, 0) == 0 else {
            throw connectionError()
        }
        activity = .idle
    }

    /// Puts a prepared statement into the pipeline. It may stay in libpq's memory until the next sync; blocks only to write
    /// out what is too much to keep.
    /// - Parameter name: static, because to hand a `String` to C its bytes would be copied for every statement.
    public func sendPrepared(
        _ name: StaticString, parameters: ParameterBuffer, resultFormat: ResultFormat = .text
    ) throws(PostgresError) {
        precondition(activity == .pipelining, "not in pipeline mode")
        let status = unsafe parameters.withArrays { count, _, values, lengths, formats in
            // "A pointer to a null-terminated sequence of UTF-8 code units" (StaticString.utf8Start).
            let text = unsafe UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
            return unsafe PQsendQueryPrepared(handle.raw, text, count, values, lengths, formats, resultFormat.code)
        }
        try noteSent(status, byteCount: parameters.byteCount)
    }

    /// Puts a statement into the pipeline that isn't prepared, such as BEGIN.
    public func sendQuery(
        _ sql: String, parameters: ParameterBuffer, resultFormat: ResultFormat = .text
    ) throws(PostgresError) {
        precondition(activity == .pipelining, "not in pipeline mode")
        let status = unsafe parameters.withArrays { count, types, values, lengths, formats in
            unsafe PQsendQueryParams(handle.raw, sql, count, types, values, lengths, formats, resultFormat.code)
        }
        try noteSent(status, byteCount: parameters.byteCount + sql.utf8.count)
    }

    /// Marks the end of a transaction or of a group, and sends what is waiting.
    public func sendSync() throws(PostgresError) {
        precondition(activity == .pipelining, "not in pipeline mode")
        guard unsafe PQpipelineSync(handle.raw) == 1 else { throw lostInPipeline() }
        pending.appendSync()
        // PQpipelineSync has handed to the socket what it would take; the rest goes out while results are read.
    }

    /// Whether `nextPipelineResult` would return at once. Reads what has arrived, never blocks.
    public func hasPipelineResult() throws(PostgresError) -> Bool {
        precondition(activity == .pipelining, "not in pipeline mode")
        guard pending.count > 0 else { return false }
        guard unsafe PQconsumeInput(handle.raw) == 1, unsafe PQflush(handle.raw) >= 0 else { throw lostInPipeline() }
        return unsafe PQisBusy(handle.raw) == 0
    }

    /// Reads every event up to the next sync, which is not among them.
    ///
    /// An implicit transaction commits at its sync, so a statement that succeeded may be followed by a failure of the
    /// commit: under SERIALIZABLE that is ordinary. Whoever wants to know whether a transaction happened reads all of them.
    public func pipelineEventsUpToSync() throws(PostgresError) -> [PipelineEvent] {
        var events: [PipelineEvent] = []
        while true {
            let event = try nextPipelineResult()
            if case .synced = event { return events }
            events.append(event)
        }
    }

    /// How many statements and syncs have been sent whose events weren't read yet.
    public var pendingPipelineResultCount: Int { pending.count }

    /// The next event. Blocks until it is there.
    ///
    /// A statement's failure is an event; a lost connection is thrown. It is ambiguous then which of the transactions
    /// whose sync, or COMMIT, wasn't read yet have been committed.
    public func nextPipelineResult() throws(PostgresError) -> PipelineEvent {
        switch try nextPipelineStep() {
        case .rows(let rows): .result(QueryResult(rows))
        case .failed(let error): .failed(error)
        case .aborted: .aborted
        case .synced: .synced
        }
    }

    /// Reads the answers of the statements of one implicit transaction, and the sync behind them: they count only once the sync
    /// has come without a failure. Allocates nothing; libpq does. Blocks until the sync is there.
    /// - Parameter read: called with the rows of each statement that answers any, the last of which counts; what it throws is thrown once the sync was read,
    ///   unless the transaction failed.
    /// - Returns: what `read` made of the rows, or why the transaction failed.
    public func answerUpToSync<R>(_ read: (borrowing ResultRows) throws -> R) throws -> Result<R, PostgresError> {
        var answer: R?
        var failure: PostgresError?
        var readError: (any Error)?
        while true {
            switch try nextPipelineStep() {
            case .rows(let rows):
                guard rows.columnCount > 0 else { continue }
                do { answer = try read(rows) } catch { readError = error }
            case .failed(let error): failure = failure ?? error
            case .aborted: break
            case .synced:
                if let failure { return .failure(failure) }
                if let readError { throw readError }
                guard let answer else { preconditionFailure("a statement without an answer or a failure") }
                return .success(answer)
            }
        }
    }

    /// `PipelineEvent` with the rows as they are.
    private enum Step: ~Copyable {
        case rows(ResultRows)
        case failed(PostgresError)
        case aborted
        case synced
    }

    private func nextPipelineStep() throws(PostgresError) -> Step {
        precondition(activity == .pipelining, "not in pipeline mode")
        precondition(pending.count > 0, "nothing was sent whose result is still to come")
        var isAfterBoundary = false
        while true {
            try waitForResult()
            let result = unsafe PGResultHandle(adopting: PQgetResult(handle.raw))
            if unsafe result.raw == nil {
                // Nil ends the results of a statement. Two in a row mean that libpq expects none at all.
                guard !isAfterBoundary else { throw lostInPipeline() }
                isAfterBoundary = true
                continue
            }
            switch result.status {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                pending.removeFirst()
                return .rows(ResultRows(result))
            case PGRES_PIPELINE_SYNC:
                pending.removeFirst()
                return .synced
            case PGRES_PIPELINE_ABORTED:
                pending.removeFirst()
                return .aborted
            default:
                var failure = error(result)
                guard !failure.isConnectionLost else {
                    failure.isLostWhileCommitting = true
                    throw failure
                }
                // A failure at a sync is the commit's; the sync itself is still to come.
                if !pending.isSyncNext { pending.removeFirst() }
                return .failed(failure)
            }
        }
    }

    private func noteSent(_ status: Int32, byteCount: Int) throws(PostgresError) {
        guard status == 1 else { throw lostInPipeline() }
        pending.appendStatement()
        unsentByteCount += byteCount + 64
        if unsentByteCount > Self.unsentByteCountMax { try writeOut() }
    }

    /// Hands everything to the socket, and reads meanwhile: the server stops reading when nobody takes its results.
    private func writeOut() throws(PostgresError) {
        while true {
            let status = unsafe PQflush(handle.raw)
            if status == 0 { break }
            guard status > 0 else { throw lostInPipeline() }
            let ready = try waitForSocket(Int16(POLLIN | POLLOUT))
            if ready & Int16(POLLIN) != 0 {
                guard unsafe PQconsumeInput(handle.raw) == 1 else { throw lostInPipeline() }
            }
        }
        unsentByteCount = 0
    }

    /// PQgetResult waits by itself, but in a way that only writes while there is something to write.
    private func waitForResult() throws(PostgresError) {
        guard unsafe PQisBusy(handle.raw) == 1 else { return }
        try writeOut()
        while unsafe PQisBusy(handle.raw) == 1 {
            _ = try waitForSocket(Int16(POLLIN))
            // A failure to read is a result too: PQgetResult tells it.
            guard unsafe PQconsumeInput(handle.raw) == 1 else { return }
        }
    }

    private func waitForSocket(_ events: Int16) throws(PostgresError) -> Int16 {
        guard let ready = unsafe pollSocket(handle.raw, events, timeoutMs: -1) else { throw lostInPipeline() }
        return ready
    }

    private func lostInPipeline() -> PostgresError {
        var failure = connectionError()
        failure.isLostWhileCommitting = failure.isConnectionLost && pending.count > 0
        return failure
    }
}

/// Waits until the connection's socket is ready for one of `events`.
/// - Returns: what it is ready for, an error of the socket counting as both; 0 after `timeoutMs`; nil without a socket.
func pollSocket(_ connection: OpaquePointer?, _ events: Int16, timeoutMs: Int32) -> Int16? {
    let socket = unsafe PQsocket(connection)
    guard socket >= 0 else { return nil }
    var request = pollfd(fd: socket, events: events, revents: 0)
    let count = unsafe poll(&request, 1, timeoutMs)
    if count < 0 { return errno == EINTR ? 0 : nil }
    let failures = Int16(POLLERR | POLLHUP | POLLNVAL)
    return request.revents & failures != 0 ? events : request.revents
}
