// What a worker does when a transaction fails: repeat it, look whether it happened, or park the message at fault.

import Diagnostics
import Glibc
import Measurement
import Model
import Postgres
import Threads

/// The guard of a transaction moved no row: the partition has another owner, or the work was done before.
private struct GuardMissed: Error {}

extension AllocationWorker {
    /// Runs `body`; when the connection is lost, or the outcome of a commit is unknown, connects again and looks at the
    /// offset rows, which tell exactly what is committed.
    func recovering(stop: StopFlag, _ body: () throws -> Bool) throws -> Bool {
        do {
            return try body()
        } catch let error as PostgresError where error.isConnectionLost || error.isAmbiguous {
            if error.isAmbiguous { figures.ambiguousCount += 1 }
            try reconnect(stop: stop)
            if try resolveOffsets(), error.isAmbiguous { figures.ambiguousCommittedCount += 1 }
        } catch is GuardMissed {
            if usesPipeline { try store.connection.exitPipelineMode() }
            guard try resolveOffsets() else {
                throw OperatingError("a guarded transaction moved no offset although its partition is unchanged")
            }
        }
        inFlight.removeAll()
        try loadBlockStates()
        if usesPipeline { try store.connection.enterPipelineMode() }
        return true
    }

    func resolveMissedGuard(queue: Int, unit: UnitOfWork) throws {
        throw GuardMissed()
    }

    /// Repeats a unit after `error` as the retry policy says. What can't be repeated is taken apart or thrown.
    func retry(_ unit: UnitOfWork, of queue: Int, began: Int64, after error: PostgresError) throws {
        var failure = error
        for attempt in 1..<max(2, plan.retry.maxAttempts) {
            if failure.isDataError { return try isolate(unit, of: queue, after: failure) }
            guard failure.isRetryable, let state = failure.sqlState else { throw failure }
            figures.retries[state, default: 0] += 1
            figures.retriedMessageCount += Int64(unit.range.count)
            let jitter = Double(random.integer(in: 0...1_000_000)) / 1_000_000
            sleepThread(for: plan.retry.delay(attempt: attempt, jitter: jitter))
            do {
                return try attemptAgain(unit, of: queue, began: began)
            } catch let next as PostgresError where !next.isConnectionLost && !next.isAmbiguous {
                failure = next
            }
        }
        throw failure
    }

    /// The database refuses something in this unit: its messages one by one show which, and that one is parked.
    private func isolate(_ unit: UnitOfWork, of queue: Int, after error: PostgresError) throws {
        if unit.range.count == 1 {
            let position = queues[queue].bookPositions[unit.range.lowerBound]
            queues[queue].park(
                at: unit.range.lowerBound,
                ParkedMessage(blockCode: plan.book.blocks[position].code, reason: error.message, value: []))
            return try parkUnit(unit, of: queue)
        }
        queues[queue].unsend()
        let end = unit.range.upperBound
        while queues[queue].unsent < end {
            guard let single = queues[queue].nextUnit(limit: 1, dueBy: Int64.max) else { return }
            let before = parkedCodes.count
            queues[queue].markSent(single)
            if queues[queue].isParked(single) {
                try parkUnit(single, of: queue)
            } else {
                try transact(single, of: queue)
            }
            // Parking has rewound the queues to what is committed: the rest comes again from the broker.
            if parkedCodes.count != before { return }
        }
    }

    /// Moves one message to the parked tables and its offset on, in one transaction. Its block's later messages follow it.
    func parkUnit(_ unit: UnitOfWork, of index: Int) throws {
        guard let message = queues[index].parked[unit.expectedOffset] ?? queues[index].parked[unit.nextOffset - 1]
        else {
            preconditionFailure("only a message that is marked as parked is parked")
        }
        let isNewlyParked = parkedCodes.insert(message.blockCode).inserted
        let began = monotonicNow()
        try inPipeline {
            let moved = try inTransaction { try sendParking(message, unit: unit, of: index) ? true : nil }
            guard moved == true else { throw GuardMissed() }
        }
        figures.parkedCount += 1
        recordCommit(of: unit, in: index, began: began, captured: 0)
        queues[index].markCommitted(unit)
        // Messages of the block that are queued already must be parked too, so they are read again.
        if isNewlyParked { try assignConsumer() }
    }

    /// Behind an open BEGIN. Returns false if the guard missed.
    private func sendParking(_ message: ParkedMessage, unit: UnitOfWork, of index: Int) throws -> Bool {
        let connection = store.connection
        bindOffsetMove(unit, of: index)
        try connection.sendPrepared("move_offset", parameters: parameters)
        parameters.reset()
        parameters.append(text: message.blockCode)
        parameters.append(text: message.reason)
        try connection.sendPrepared("park_block", parameters: parameters)
        parameters.reset()
        parameters.append(text: plan.topic)
        parameters.append(int64: Int64(queues[index].partition))
        parameters.append(int64: unit.nextOffset - 1)
        parameters.append(text: message.blockCode)
        parameters.append(text: message.reason)
        parameters.append(bytes: message.value)
        try connection.sendPrepared("park_message", parameters: parameters)
        try connection.sendSync()
        var isGuarded = false
        for event in try (0..<5).map({ _ in try connection.nextPipelineResult() }) {
            if case .failed(let error) = event { throw error }
            if case .result(let result) = event, result.columnCount > 0 { isGuarded = result.rowCount == 1 }
        }
        guard isGuarded else { return false }
        try connection.sendPrepared("commit", parameters: noParameters)
        try connection.sendSync()
        for _ in 0..<2 {
            if case .failed(let error) = try connection.nextPipelineResult() { throw error }
        }
        return true
    }

    /// Moves the offset past messages that mean nothing to us, such as resolved timestamps. Returns false if there are none.
    func moveSkippedOffsets() throws -> Bool {
        var moved = false
        for index in queues.indices {
            guard let unit = queues[index].offsetOnlyUnit() else { continue }
            moved = true
            bindOffsetMove(unit, of: index)
            let answers = try inPipeline {
                try store.connection.sendPrepared("move_offset", parameters: parameters)
                try store.connection.sendSync()
                return try (0..<2).map { _ in try store.connection.nextPipelineResult() }
            }
            guard case .result(let result) = answers[0], result.rowCount == 1 else { throw GuardMissed() }
            queues[index].markCommitted(unit)
        }
        return moved
    }

    func bindOffsetMove(_ unit: UnitOfWork, of index: Int) {
        parameters.reset()
        parameters.append(text: plan.topic)
        parameters.append(int64: Int64(queues[index].partition))
        parameters.append(int64: queues[index].epoch)
        parameters.append(int64: unit.expectedOffset)
        parameters.append(int64: unit.nextOffset)
    }

    private func attemptAgain(_ unit: UnitOfWork, of queue: Int, began: Int64) throws {
        switch mode {
        case .concurrent, .adaptive, .batch: try attempt(unit, of: queue, began: began)
        case .cycle: try attemptStaging(unit, of: queue, began: began)
        case .row: try processByRow(unit, of: queue, began: began)
        }
    }

    /// The row mode runs statement by statement; for what it shares with the others it enters the pipeline for a moment.
    private func inPipeline<R>(_ body: () throws -> R) throws -> R {
        guard !usesPipeline else { return try body() }
        try store.connection.enterPipelineMode()
        let result = Result { try body() }
        // A lost connection can't leave the mode; its error says more than this one's.
        do { try store.connection.exitPipelineMode() } catch { return try result.get() }
        return try result.get()
    }

    // MARK: Connection

    private func reconnect(stop: StopFlag) throws {
        store.connection.close()
        let deadline = monotonicNow() + plan.reconnectTimeoutNs
        while true {
            do {
                store = try AllocationsStore.connect(
                    to: plan.connection, topic: plan.topic, configuration: plan.configuration)
                figures.reconnectCount += 1
                return
            } catch let error as PostgresError {
                guard error.isConnectionLost || error.sqlState == .cannotConnectNow, monotonicNow() < deadline,
                    !stop.isSet
                else { throw error }
                usleep(100_000)
            }
        }
    }

    /// Compares every partition's offset row with what this worker believes, and believes the row.
    /// Returns whether anything was committed that it didn't know of.
    private func resolveOffsets() throws -> Bool {
        var foundCommits = false
        for index in queues.indices {
            let queue = queues[index]
            guard let row = try store.offset(of: queue.partition), row.epoch == queue.epoch else {
                throw OperatingError(
                    "partition \(queue.partition) of \(plan.topic) was taken over by another worker",
                    remedy: "this worker has changed nothing since; only one may own a partition")
            }
            if row.nextOffset > queue.committedOffset {
                foundCommits = true
                try recordFoundCommit(upTo: row.nextOffset, of: index)
            }
            queues[index].unsend()
        }
        return foundCommits
    }

    private func recordFoundCommit(upTo nextOffset: Int64, of index: Int) throws {
        let queue = queues[index]
        let end = queue.offsets[queue.head...].firstIndex { $0 >= nextOffset } ?? queue.offsets.count
        let unit = UnitOfWork(
            range: queue.head..<end, expectedOffset: queue.committedOffset, nextOffset: nextOffset)
        let captured = try store.capturedCount(
            partition: queue.partition, offsets: queue.committedOffset..<nextOffset)
        if mode == .cycle {
            stagedArrivals.append(contentsOf: queue.arrivals[unit.range])
            figures.messageCount += Int64(unit.range.count)
        } else {
            recordCommit(of: unit, in: index, began: monotonicNow(), captured: captured)
        }
        queues[index].markCommitted(unit)
    }
}

extension PostgresError {
    /// A value that the tables refuse (classes 22 and 23): repeating it can't help, and 23505 least of all.
    fileprivate var isDataError: Bool {
        guard let sqlState else { return false }
        return sqlState.classCode == "22" || sqlState.classCode == "23"
    }
}
