// The mode cycle: messages are staged as they come, and every cycle_interval one transaction processes everything that this
// worker has staged: a foreseen one, or where it knows too little the set-based statement that looks. A message is visible when
// its cycle commits.

import Measurement
import Model
import Postgres

extension AllocationWorker {
    /// Stages what is ready and runs the cycle when it is due. Returns false if there was nothing to do.
    func workByCycle() throws -> Bool {
        var worked = false
        while let (queue, unit) = nextReadyUnit() {
            worked = true
            queues[queue].markSent(unit)
            if queues[queue].isParked(unit) {
                try parkUnit(unit, of: queue)
                continue
            }
            try stageOrRetry(unit, of: queue)
            payHandicap()
            if monotonicNow() >= nextCycleTime { break }
        }
        try takeUnexpectedSnapshots()
        if monotonicNow() >= nextCycleTime, !staged.isEmpty || hasStagedLeftovers {
            try runCycle()
            payHandicap()
            worked = true
        }
        return try moveSkippedOffsets() || worked
    }

    /// Stages one unit, and repeats it as the retry policy says.
    func stageOrRetry(_ unit: UnitOfWork, of queue: Int) throws {
        let began = beginAttempt()
        do {
            try attemptStaging(unit, of: queue)
        } catch let error as PostgresError where !error.isConnectionLost && !error.isAmbiguous {
            try retry(unit, of: queue, began: began, after: error)
        }
    }

    /// From so many trades on, what COPY saves for each of them is more than its second round trip to a near server costs.
    private static let copiedTradesMin = 64

    /// One attempt to stage a unit and move its offset; one transaction.
    func attemptStaging(_ unit: UnitOfWork, of index: Int) throws {
        if try !stageByCopy(unit, of: index) { try stage(unit, of: index) }
        countTransaction()
        noteStaged(unit, of: index)
    }

    /// Stages many trades by COPY. Returns false if that isn't for this unit, or came otherwise: whether its partition has gone
    /// or a trade is at fault, the statement that looks says.
    private func stageByCopy(_ unit: UnitOfWork, of index: Int) throws -> Bool {
        // While the server waits for the rows it has the offset's row locked, and no limit of its own ends that: so not where a
        // group may give the partition to another member meanwhile. Nor where round trips are made long.
        guard store.foreseesBlocks, membership == nil, plan.configuration.roundTripTimeUs == 0,
            unit.range.count >= Self.copiedTradesMin, !queues[index].holdsChange(in: unit.range)
        else { return false }
        let began = beginAttempt()
        do {
            try copyTrades(of: unit, of: index)
            return true
        } catch let error as PostgresError where error.isDataError {
            if let state = error.sqlState {
                recordRetry(state, messages: Int64(unit.range.count), began: began, failedAt: monotonicNow())
            }
            return false
        }
    }

    private func stage(_ unit: UnitOfWork, of index: Int) throws {
        bind(unit, of: index, tradesOnly: false)
        try store.connection.sendPrepared("stage", parameters: parameters, resultFormat: .binary)
        try store.connection.sendSync()
        guard try nextAnswer().get().int64(0, 0) == 1 else { throw GuardMissed() }
    }

    private func copyTrades(of unit: UnitOfWork, of index: Int) throws {
        let queue = queues[index]
        try outsidePipeline {
            try store.stage(
                from: queue.partition, epoch: queue.epoch, expected: unit.expectedOffset, next: unit.nextOffset
            ) { writer in
                for message in unit.range {
                    writer.int64(Int64(queue.partition))
                    writer.int64(queue.offsets[message])
                    writer.int64(queue.executions[message])
                    writer.int64(1)
                    writer.int64(0)
                    writer.int64(queue.blocks[message])
                    writer.int64(0)
                    writer.int64(0)
                    writer.int64(queue.quantities[message])
                    writer.int64(queue.priceTicks[message])
                    try writer.endRow()
                }
                try plan.fault?.dieIfAsked()
            }
        }
        // Staged, and not noted.
        try plan.fault?.dieIfAsked()
    }

    /// What was staged waits for the cycle; it counts when that commits.
    func noteStaged(_ unit: UnitOfWork, of index: Int) {
        sampleLag(upTo: monotonicNow())
        let queue = queues[index]
        for message in unit.range {
            staged.append(
                StagedMessage(
                    arrival: queue.arrivals[message], ready: max(queue.arrivals[message], queue.polledTimes[message]),
                    block: queue.bookPositions[message], queue: index,
                    trade: queue.change(at: message) == nil
                        ? (queue.quantities[message], queue.priceTicks[message]) : nil))
        }
        if let last = unit.range.last { lastArrivals[index] = max(lastArrivals[index], queue.arrivals[last]) }
        queues[index].markCommitted(unit)
    }

    /// Processes everything staged, repeated as the retry policy says. Taking a staged row is deleting it, so repeating a
    /// cycle whose commit was lost does nothing twice.
    func runCycle() throws {
        let began = beginAttempt()
        var (isFirstTry, isForeseeable) = (true, true)
        try repeating(messageCount: Int64(staged.count)) { attempt in
            if attempt > 1 { isFirstTry = false }
            dueOfCycle = isForeseeable ? foreseeStaged() : nil
            if let due = dueOfCycle {
                guard let error = try runForeseenCycle(due) else {
                    noteTaken(due)
                    return finishCycle(captured: Int64(staged.count), began: began, isFirstTry: isFirstTry)
                }
                takeBackForeseen()
                guard error.isDataError, let state = error.sqlState else { throw error }
                dueOfCycle = nil
                recordRetry(
                    state, messages: Int64(staged.count), began: lastBegan, failedAt: monotonicNow())
                (isFirstTry, isForeseeable) = (false, false)
            }
            let captured = try inTransaction(messageCount: Int64(staged.count)) {
                bindPartitions()
                let answer = try fillThenSnapshot("capture_and_fill_staged")
                return answer.isGuarded ? answer.captured : nil
            }
            guard let captured else { throw GuardMissed() }
            for index in queues.indices { queues[index].meetsDuplicates = captured < staged.count }
            finishCycle(captured: captured, began: began, isFirstTry: isFirstTry && restartCount == 0)
        }
    }

    /// Returns the server's error if it came otherwise than foreseen, or failed.
    private func runForeseenCycle(_ due: [DueSnapshot]) throws -> PostgresError? {
        bindPartitions()
        try store.connection.sendPrepared("hold_partitions", parameters: parameters, resultFormat: .binary)
        parameters.reset()
        parameters.append(int64ArrayOf: queues.count) { Int64(queues[$0].partition) }
        parameters.append(int64: Int64(staged.count))
        try store.connection.sendPrepared("capture_staged", parameters: parameters, resultFormat: .binary)
        try sendForeseenMoves(with: due)
        try store.connection.sendSync()
        switch try nextAnswer() {
        case .success: return nil
        case .failure(let error): return error
        }
    }

    /// Notes whether whoever had these partitions before has left messages behind. Once they are claimed he can't any more.
    func noteLeftovers(in partitions: [Int32]) throws {
        if mode == .cycle, try store.stagedCount(partitions: partitions) > 0 { hasStagedLeftovers = true }
    }

    /// Binds what the statements about staged messages take: the topic, this worker's partitions and their epochs.
    private func bindPartitions() {
        parameters.reset()
        parameters.append(text: plan.topic)
        parameters.append(int64ArrayOf: queues.count) { Int64(queues[$0].partition) }
        parameters.append(int64ArrayOf: queues.count) { queues[$0].epoch }
    }

    /// After a lost connection: if nothing is staged any more, the cycle whose answer was lost has committed. Returns
    /// whether that is so.
    func resolveLostCycle() throws -> Bool {
        guard mode == .cycle, !staged.isEmpty || hasStagedLeftovers,
            try store.stagedCount(partitions: queues.map(\.partition)) == 0
        else {
            dueOfCycle = nil
            return false
        }
        var captured: Int64 = 0
        for queue in queues {
            let start = stagedFromOffsets[queue.partition] ?? queue.committedOffset
            captured += try store.capturedCount(partition: queue.partition, offsets: start..<queue.committedOffset)
        }
        noteTaken(dueOfCycle ?? [])
        finishCycle(captured: captured, began: lastBegan, isFirstTry: false)
        return true
    }

    private func finishCycle(captured: Int64, began: Int64, isFirstTry: Bool) {
        dueOfCycle = nil
        recordCycle(captured: captured, began: began, isFirstTry: isFirstTry)
        // Cycles keep to their own clock; one that took longer than the interval skips the ones it missed.
        let interval = Int64(plan.configuration.cycleIntervalMs) * 1_000_000
        nextCycleTime += max(1, (monotonicNow() - nextCycleTime) / interval + 1) * interval
    }
}
