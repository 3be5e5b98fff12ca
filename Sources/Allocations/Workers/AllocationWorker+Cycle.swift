// The mode cycle: messages are staged as they come, and every cycle_interval one set-based transaction processes
// everything that this worker has staged. A message is visible when its cycle commits.

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
            let began = beginAttempt()
            do {
                try attemptStaging(unit, of: queue, began: began)
            } catch let error as PostgresError where !error.isConnectionLost && !error.isAmbiguous {
                try retry(unit, of: queue, began: began, after: error)
            }
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

    /// One attempt to stage a unit and move its offset; one statement, one transaction.
    func attemptStaging(_ unit: UnitOfWork, of index: Int, began: Int64) throws {
        bind(unit, of: index, tradesOnly: false)
        try store.connection.sendPrepared("stage", parameters: parameters, resultFormat: .binary)
        try store.connection.sendSync()
        guard try nextAnswer().get().int64(0, 0) == 1 else { throw GuardMissed() }
        countTransaction()
        noteStaged(unit, of: index)
    }

    /// What was staged waits for the cycle; it counts when that commits.
    func noteStaged(_ unit: UnitOfWork, of index: Int) {
        sampleLag(upTo: monotonicNow())
        let queue = queues[index]
        for message in unit.range {
            staged.append(
                StagedMessage(
                    arrival: queue.arrivals[message], ready: max(queue.arrivals[message], queue.polledTimes[message]),
                    block: queue.bookPositions[message], queue: index))
        }
        if let last = unit.range.last { lastArrivals[index] = max(lastArrivals[index], queue.arrivals[last]) }
        queues[index].markCommitted(unit)
    }

    /// Processes everything staged, repeated as the retry policy says. Taking a staged row is deleting it, so repeating a
    /// cycle whose commit was lost does nothing twice.
    func runCycle() throws {
        let began = beginAttempt()
        try repeating(messageCount: Int64(staged.count)) { attempt in
            let captured = try inTransaction(messageCount: Int64(staged.count)) {
                bindPartitions()
                let answer = try fillThenSnapshot("capture_and_fill_staged")
                return answer.isGuarded ? answer.captured : nil
            }
            guard let captured else { throw GuardMissed() }
            finishCycle(captured: captured, began: began, isFirstTry: attempt == 1 && restartCount == 0)
        }
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
        else { return false }
        var captured: Int64 = 0
        for queue in queues {
            let start = stagedFromOffsets[queue.partition] ?? queue.committedOffset
            captured += try store.capturedCount(partition: queue.partition, offsets: start..<queue.committedOffset)
        }
        finishCycle(captured: captured, began: lastBegan, isFirstTry: false)
        return true
    }

    private func finishCycle(captured: Int64, began: Int64, isFirstTry: Bool) {
        recordCycle(captured: captured, began: began, isFirstTry: isFirstTry)
        // Cycles keep to their own clock; one that took longer than the interval skips the ones it missed.
        let interval = Int64(plan.configuration.cycleIntervalMs) * 1_000_000
        nextCycleTime += max(1, (monotonicNow() - nextCycleTime) / interval + 1) * interval
    }
}
