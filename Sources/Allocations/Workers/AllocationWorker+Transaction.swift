// The modes concurrent, adaptive and batch: one transaction per unit of work, in libpq's pipeline mode.
// A unit is one round trip, and several may be in flight: a foreseen transaction, or a fill that makes no snapshot due. Where the
// worker knows too little (busts, cancels and replaces; of blocks that several workers fill and on a CockroachDB, whether a
// snapshot is due), the allocations follow from what a first round trip answers.

import Measurement
import Model
import Postgres

extension AllocationWorker {
    /// Processes every unit that is ready. Returns false if there was none.
    func workByTransaction() throws -> Bool {
        var worked = false
        while let (queue, unit) = nextReadyUnit() {
            worked = true
            if queues[queue].isParked(unit) {
                guard try isStillNext(unit, of: queue) else { continue }
                try parkUnit(unit, of: queue)
            } else {
                switch foresee(unit, in: queue) {
                case .whole(let due): try send(unit, of: queue, foreseen: due)
                case .noSnapshot: try send(unit, of: queue, foreseen: nil)
                case .open:
                    guard try isStillNext(unit, of: queue) else { continue }
                    queues[queue].markSent(unit)
                    try transact(unit, of: queue)
                }
            }
            payHandicap()
        }
        try receiveAll()
        payHandicap()
        try takeUnexpectedSnapshots()
        return try moveSkippedOffsets() || worked
    }

    /// Waits for everything in flight. What was in flight may have failed; then the unit is not the next one any more, or the
    /// queues were read anew and its indexes mean other messages.
    private func isStillNext(_ unit: UnitOfWork, of queue: Int) throws -> Bool {
        let generation = queueGeneration
        try receiveAll()
        return queueGeneration == generation && queues[queue].unsent == unit.range.lowerBound
    }

    // MARK: One round trip

    /// Everything up to a sync is one transaction: "If the pipeline used an implicit transaction, then operations that have
    /// already executed are rolled back and operations that were queued to follow the failed operation are skipped entirely"
    /// (libpq, Pipeline Mode).
    /// - Parameter foreseen: the snapshots of a foreseen transaction; nil if the unit is a fill alone.
    private func send(_ unit: UnitOfWork, of queue: Int, foreseen: [DueSnapshot]?) throws {
        let began = beginAttempt()
        if let foreseen {
            try sendForeseen(unit, of: queue, with: foreseen)
        } else {
            let statement = bindFill(unit, of: queue)
            try store.connection.sendPrepared(statement, parameters: parameters, resultFormat: .binary)
        }
        try store.connection.sendSync()
        queues[queue].markSent(unit)
        inFlight.append(InFlightUnit(queue: queue, unit: unit, began: began, foreseen: foreseen))
        if inFlight.count >= plan.configuration.pipelineDepth { try receiveOldest() }
    }

    func receiveAll() throws {
        while !inFlight.isEmpty { try receiveOldest() }
    }

    private func receiveOldest() throws {
        guard let sent = inFlight.first else { return }
        if let error = try receive(sent) { try repeatFailed(sent, after: error) }
    }

    /// Reads the answer of the oldest unit in flight. Returns the server's error if it failed.
    private func receive(_ sent: InFlightUnit) throws -> PostgresError? {
        try plan.fault?.dieIfAsked()
        // Read where libpq has it, into memory that the worker keeps: this is what a transaction of the steady state is.
        let answer = try store.connection.answerUpToSync { rows in
            // A foreseen transaction answers nothing that isn't foreseen.
            sent.foreseen == nil ? try FillAnswer(rows, book: plan.book, moves: &moves) : nil
        }
        inFlight.removeFirst()
        switch answer {
        case .success(let fill?):
            guard fill.isGuarded else { throw GuardMissed() }
            commit(sent.unit, of: sent.queue, began: sent.began, captured: fill.captured, isFirstTry: true)
            noteFilled(moves)
            return nil
        case .success(nil):
            // Everything is as foreseen, or the server would have failed it.
            noteTaken(sent.foreseen ?? [])
            commit(
                sent.unit, of: sent.queue, began: sent.began, captured: Int64(sent.unit.range.count), isFirstTry: true)
            return nil
        case .failure(let error): return error
        }
    }

    /// Repeats a unit that failed, after everything else in flight has been answered. The guard kept the units behind it
    /// from moving anything of its partition: those are sent again later. Units of other partitions may have failed as well.
    private func repeatFailed(_ first: InFlightUnit, after error: PostgresError) throws {
        var failures = [Failure(first, error)]
        // In the order in which they were sent.
        refused = [first]
        while let sent = inFlight.first {
            if let index = failures.firstIndex(where: { $0.sent.queue == sent.queue }) {
                _ = try nextAnswer()
                inFlight.removeFirst()
                failures[index].messagesBehind += sent.unit.range.count
                refused.append(sent)
            } else if let error = try receive(sent) {
                failures.append(Failure(sent, error))
                refused.append(sent)
            }
        }
        for sent in refused.reversed() { takeBack(sent) }
        let generation = queueGeneration
        for failure in failures where queueGeneration == generation {
            let sent = failure.sent
            refused.removeAll { $0.queue == sent.queue && $0.unit.expectedOffset == sent.unit.expectedOffset }
            queues[sent.queue].unsend()
            queues[sent.queue].markSent(sent.unit)
            if sent.foreseen != nil, failure.error.isDataError, let state = failure.error.sqlState {
                // It came otherwise than foreseen. What really is at fault with the data fails the statements that look, too.
                recordRetry(
                    state, messages: Int64(sent.unit.range.count + failure.messagesBehind), began: sent.began,
                    failedAt: failure.time)
                try transact(sent.unit, of: sent.queue, began: sent.began, isFirstTry: false)
                continue
            }
            // What was done in vain since it failed was done for the units behind it.
            try retry(
                sent.unit, of: sent.queue, began: sent.began, after: failure.error, failedAt: failure.time,
                messagesBehind: failure.messagesBehind)
        }
        refused.removeAll()
    }

    /// The last answer up to the next sync, of statements that are a transaction by themselves: it counts only once the sync has
    /// come without a failure.
    func nextAnswer() throws -> Result<QueryResult, PostgresError> {
        try plan.fault?.dieIfAsked()
        var answer: QueryResult?
        var failure: PostgresError?
        while true {
            // One by one, because an array of two events would be made for every transaction.
            switch try store.connection.nextPipelineResult() {
            case .result(let result): answer = result
            case .failed(let error): failure = failure ?? error
            case .aborted: break
            case .synced:
                if let failure { return .failure(failure) }
                guard let answer else { preconditionFailure("a statement without an answer or a failure") }
                return .success(answer)
            }
        }
    }

    // MARK: Two round trips

    /// Runs one unit as an explicit transaction with its snapshots, and repeats it as the retry policy says.
    /// - Parameter began: when a foreseen transaction of it began that has failed.
    func transact(_ unit: UnitOfWork, of queue: Int, began: Int64? = nil, isFirstTry: Bool = true) throws {
        let attemptBegan = beginAttempt()
        let began = began ?? attemptBegan
        do {
            try attempt(unit, of: queue, began: began, isFirstTry: isFirstTry)
        } catch let error as PostgresError {
            try retry(unit, of: queue, began: began, after: error)
        }
    }

    /// One attempt: all or nothing.
    func attempt(_ unit: UnitOfWork, of queue: Int, began: Int64, isFirstTry: Bool) throws {
        let captured = try inTransaction(messageCount: Int64(unit.range.count)) {
            let result = try fillThenSnapshot(bindFill(unit, of: queue))
            return result.isGuarded ? result.captured : nil
        }
        guard let captured else { throw GuardMissed() }
        queues[queue].meetsDuplicates = captured < unit.range.count
        commit(unit, of: queue, began: began, captured: captured, isFirstTry: isFirstTry && restartCount == 0)
    }

    /// BEGIN … COMMIT around a body that has sent nothing yet; a nil of the body rolls back.
    ///
    /// With the retry method savepoint, what the server wants repeated is repeated inside the transaction, which so keeps its
    /// place in line before others; `body` binds its parameters each time. What that doesn't help is thrown.
    /// - Parameter messageCount: messages that an attempt processes, for the figures of retries.
    func inTransaction<R>(messageCount: Int64 = 0, _ body: () throws -> R?) throws -> R? {
        let keepsPlace = store.retryMethod == .savepoint
        restartCount = 0
        try store.connection.sendPrepared("begin", parameters: noParameters)
        if keepsPlace { try store.connection.sendPrepared("begin_retryable", parameters: noParameters) }
        while true {
            let began = monotonicNow()
            do {
                guard let value = try body() else {
                    try rollBack()
                    return nil
                }
                return value
            } catch let error as PostgresError where !error.isConnectionLost {
                let mayGoBack =
                    keepsPlace && error.isRetryable && restartCount < CockroachSettings.savepointRestartsMax
                guard mayGoBack, try goBack() else {
                    try rollBack()
                    throw error
                }
                restartCount += 1
                do {
                    try backOff(after: error, attempt: restartCount, messageCount: messageCount, began: began)
                } catch {
                    try rollBack()
                    throw error
                }
            }
        }
    }

    /// Sends the COMMIT, behind the end of what can be gone back to.
    func sendCommit() throws {
        if store.retryMethod == .savepoint {
            try store.connection.sendPrepared("end_retryable", parameters: noParameters)
        }
        try store.connection.sendPrepared("commit", parameters: noParameters)
    }

    /// Goes back to the savepoint; false if the server doesn't let it.
    private func goBack() throws -> Bool {
        try store.connection.sendPrepared("restart", parameters: noParameters)
        try store.connection.sendSync()
        for case .failed in try store.connection.pipelineEventsUpToSync() { return false }
        return true
    }

    /// Behind an open BEGIN: fills by the statement that `parameters` are bound for, takes the snapshots that are due and
    /// commits. Leaves the transaction open if the guard missed.
    func fillThenSnapshot(_ statement: StaticString) throws -> FillAnswer {
        let connection = store.connection
        try connection.sendPrepared(statement, parameters: parameters, resultFormat: .binary)
        try connection.sendSync()
        try plan.fault?.dieIfAsked()
        var failure: PostgresError?
        var answer: FillAnswer?
        for event in try connection.pipelineEventsUpToSync() {
            switch event {
            case .result(let result) where result.columnCount > 0:
                answer = try FillAnswer(result.rows, book: plan.book, moves: &moves)
            case .failed(let error): failure = failure ?? error
            case .result, .aborted, .synced: break
            }
        }
        if let failure { throw failure }
        guard let answer else { preconditionFailure("a fill without an answer") }
        guard answer.isGuarded else { return answer }

        let due = dueSnapshots(moves)
        if !due.isEmpty {
            bind(due)
            try connection.sendPrepared("take_snapshots", parameters: parameters)
        }
        try sendCommit()
        try connection.sendSync()
        try plan.fault?.dieIfAsked()
        for case .failed(let error) in try connection.pipelineEventsUpToSync() { failure = failure ?? error }
        if let failure { throw failure }
        let taken = Set(due.map(\.block))
        for move in moves {
            note(taken.contains(move.block) ? move.state.allocated() : move.state, ofBlockAt: move.block)
        }
        noteTaken(due)
        return answer
    }

    private func rollBack() throws {
        try store.connection.sendQuery("ROLLBACK", parameters: noParameters)
        try store.connection.sendSync()
        _ = try store.connection.pipelineEventsUpToSync()
    }

    // MARK: Parameters

    /// Binds the statement that fits the unit. Returns its name.
    private func bindFill(_ unit: UnitOfWork, of index: Int) -> StaticString {
        let isPlain = queues[index].isOfAscendingTrades(unit)
        bind(unit, of: index, tradesOnly: isPlain)
        return isPlain ? "fill_trades" : "capture_and_fill"
    }

    /// Binds what fill_trades takes, or else what capture_and_fill and stage take.
    func bind(_ unit: UnitOfWork, of index: Int, tradesOnly: Bool) {
        bindOffsetMove(unit, of: index)
        let changes = tradesOnly ? [] : queues[index].changes(in: unit.range)
        if changes.isEmpty {
            bindTrades(unit, of: index)
        } else {
            let queue = queues[index]
            let trades = unit.range.filter { queue.change(at: $0) == nil }
            for column in [queue.executions, queue.blocks, queue.quantities, queue.priceTicks, queue.offsets] {
                parameters.append(int64ArrayOf: trades.count) { column[trades[$0]] }
            }
        }
        if tradesOnly { return }
        parameters.append(int64ArrayOf: changes.count) { changes[$0].report.id.rawValue }
        parameters.append(int64ArrayOf: changes.count) { changes[$0].report.type.rawValue }
        parameters.append(int64ArrayOf: changes.count) { changes[$0].report.reference?.rawValue ?? 0 }
        parameters.append(int64ArrayOf: changes.count) { changes[$0].report.blockOrder.rawValue }
        parameters.append(int64ArrayOf: changes.count) { changes[$0].report.orderVersion }
        parameters.append(int64ArrayOf: changes.count) { changes[$0].report.orderQuantity }
        parameters.append(int64ArrayOf: changes.count) { changes[$0].offset }
    }

    /// Appends the columns of a unit of trades alone.
    func bindTrades(_ unit: UnitOfWork, of index: Int) {
        // Column by column instead of in a loop over an array of them: that array would be made for every transaction.
        append(queues[index].executions, unit.range)
        append(queues[index].blocks, unit.range)
        append(queues[index].quantities, unit.range)
        append(queues[index].priceTicks, unit.range)
        append(queues[index].offsets, unit.range)
    }

    /// The same of one trade, for the statement that takes no arrays.
    func bindTrade(at message: Int, of index: Int) {
        parameters.append(int64: queues[index].executions[message])
        parameters.append(int64: queues[index].blocks[message])
        parameters.append(int64: queues[index].quantities[message])
        parameters.append(int64: queues[index].priceTicks[message])
        parameters.append(int64: queues[index].offsets[message])
    }

    private func append(_ column: [Int64], _ range: Range<Int>) {
        column.withUnsafeBufferPointer { parameters.append(int64Array: UnsafeBufferPointer(rebasing: $0[range])) }
    }

    private func commit(_ unit: UnitOfWork, of queue: Int, began: Int64, captured: Int64, isFirstTry: Bool) {
        recordCommit(of: unit, in: queue, began: began, captured: captured, isFirstTry: isFirstTry)
        markCommitted(unit, in: queue)
    }
}

/// A unit that was sent and refused, and what went behind it in its partition.
private struct Failure {
    let sent: InFlightUnit
    let error: PostgresError
    let time = monotonicNow()
    var messagesBehind = 0

    init(_ sent: InFlightUnit, _ error: PostgresError) {
        self.sent = sent
        self.error = error
    }
}

/// What fill_trades, capture_and_fill, capture_and_fill_staged and lock_blocks answer, beside the blocks that moved.
struct FillAnswer {
    /// False when the guard moved no row: nothing else happened either.
    let isGuarded: Bool
    let captured: Int64

    /// - Parameter moves: takes the blocks that moved, in the place of what it held.
    /// - Throws: when a block stands where no executions lead to.
    init(_ rows: borrowing ResultRows, book: BlockBook, moves: inout [BlockMove]) throws {
        isGuarded = rows.int64(0, 0) > 0
        captured = rows.int64(0, 1)
        moves.removeAll(keepingCapacity: true)
        for row in 0..<rows.rowCount where !rows.isNull(row, 2) {
            guard let block = book.position(of: BlockOrderID(rows.int64(row, 2))) else {
                preconditionFailure("only blocks of the book are filled")
            }
            moves.append(BlockMove(block: block, state: try BlockState(rows, row: row, column: 2)))
        }
    }
}
