// COPY from and to the client. On the connection's thread.

internal import CLibPQ

extension PostgresConnection {
    /// Runs `COPY … FROM STDIN` in its default text format with the rows that `body` writes.
    ///
    /// If `body` throws, the COPY is ended as failed, so that none of its rows stays, and the error is thrown on.
    /// - Returns: how many rows the server stored.
    @discardableResult
    public func copyIn(_ statement: String, body: (inout CopyWriter) throws -> Void) throws -> Int {
        try copyIn(statement, wrappedInPieces: false, body: body)
    }

    /// - Parameter wrappedInPieces: sends each block of rows as one row of one column, as a file is uploaded.
    @discardableResult
    func copyIn(
        _ statement: String, wrappedInPieces: Bool, body: (inout CopyWriter) throws -> Void
    ) throws -> Int {
        let sent = try startCopy(statement, expecting: PGRES_COPY_IN, "FROM STDIN")
        defer { activity = .idle }
        var writer = CopyWriter { [unowned self] block throws(PostgresError) in
            try send(wrappedInPieces ? CopyWriter.piece(block) : block, sent)
        }
        do {
            try body(&writer)
            try writer.flush()
        } catch {
            unsafe _ = PQputCopyEnd(handle.raw, "ended by the client")
            // The server's own complaint comes first where it has one: then `error` is only its echo.
            let failureOfCopy = finishCopy(sent).failure
            guard error is PostgresError, var failure = failureOfCopy, failure.sqlState != .queryCanceled else {
                throw error
            }
            // A COPY that was ended as failed can't have committed.
            failure.isLostWhileCommitting = false
            throw failure
        }
        guard unsafe PQputCopyEnd(handle.raw, nil) == 1 else { throw lostDuringCopy(sent) }
        let (result, failure) = finishCopy(sent)
        if let failure { throw failure }
        return result?.affectedRowCount ?? 0
    }

    /// Runs `COPY … TO STDOUT` and calls `row` with each line as the server wrote it, its newline included. The bytes are
    /// valid during the call. If `row` throws, the rest is read and dropped and the error is thrown on.
    public func copyOut(_ statement: String, row: (UnsafeRawBufferPointer) throws -> Void) throws {
        let sent = try startCopy(statement, expecting: PGRES_COPY_OUT, "TO STDOUT")
        defer { activity = .idle }
        var bodyError: (any Error)?
        while true {
            var start: UnsafeMutablePointer<CChar>?
            let length = unsafe PQgetCopyData(handle.raw, &start, 0)
            let line = unsafe PGMemoryHandle(adopting: start)
            guard length > 0 else { break }
            guard bodyError == nil else { continue }
            do {
                unsafe try row(UnsafeRawBufferPointer(start: line.raw, count: Int(length)))
            } catch {
                bodyError = error
            }
        }
        let failure = finishCopy(sent).failure
        if let bodyError { throw bodyError }
        if let failure { throw failure }
    }

    private func startCopy(
        _ statement: String, expecting status: ExecStatusType, _ direction: String
    ) throws(PostgresError) -> SentStatement {
        let sent = begin(statement)
        let result = unsafe PGResultHandle(adopting: PQexec(handle.raw, statement))
        guard result.status != status else {
            activity = .copying
            return sent
        }
        _ = try check(result, sent)
        throw PostgresError(message: "expected a COPY … \(direction)", statement: statement)
    }

    private func send(_ block: [UInt8], _ sent: SentStatement) throws(PostgresError) {
        let status = unsafe block.withUnsafeBytes { bytes in
            unsafe PQputCopyData(handle.raw, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
        }
        guard status == 1 else { throw lostDuringCopy(sent) }
    }

    /// What the server says of the COPY as a whole: "call PQgetResult to obtain the final result status".
    private func finishCopy(_ sent: SentStatement) -> (result: QueryResult?, failure: PostgresError?) {
        let result = unsafe PGResultHandle(adopting: PQgetResult(handle.raw))
        if result.status == PGRES_COMMAND_OK {
            drainResults()
            return (QueryResult(result), nil)
        }
        let failure = error(result, sent)
        drainResults()
        return (nil, failure)
    }

    private func lostDuringCopy(_ sent: SentStatement) -> PostgresError {
        var failure = connectionError()
        failure.statement = text(of: sent)
        return failure
    }
}
