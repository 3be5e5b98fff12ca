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
            let began = monotonicNow()
            do {
                try attemptStaging(unit, of: queue, began: began)
            } catch let error as PostgresError where !error.isConnectionLost && !error.isAmbiguous {
                try retry(unit, of: queue, began: began, after: error)
            }
            if monotonicNow() >= nextCycleTime { break }
        }
        if monotonicNow() >= nextCycleTime, !stagedArrivals.isEmpty || hasStagedLeftovers {
            try runCycle()
            worked = true
        }
        return try moveSkippedOffsets() || worked
    }

    /// One attempt to stage a unit and move its offset; one statement, one transaction.
    func attemptStaging(_ unit: UnitOfWork, of index: Int, began: Int64) throws {
        bind(unit, of: index)
        try store.connection.sendPrepared("stage", parameters: parameters, resultFormat: .binary)
        try store.connection.sendSync()
        let events = try (0..<2).map { _ in try store.connection.nextPipelineResult() }
        if case .failed(let error) = events[0] { throw error }
        guard case .result(let result) = events[0], result.int64(0, 0) == 1 else {
            return try resolveMissedGuard(queue: index, unit: unit)
        }
        stagedArrivals.append(contentsOf: queues[index].arrivals[unit.range])
        figures.transactionCount += 1
        figures.messageCount += Int64(unit.range.count)
        queues[index].markCommitted(unit)
    }

    /// Processes everything staged, repeated as the retry policy says. Taking a staged row is deleting it, so repeating a
    /// cycle whose commit was lost does nothing twice.
    private func runCycle() throws {
        let began = monotonicNow()
        for attempt in 1...plan.retry.maxAttempts {
            do {
                let captured = try inTransaction {
                    parameters.reset()
                    parameters.append(int64ArrayOf: queues.count) { Int64(queues[$0].partition) }
                    return try fillThenSnapshot("capture_and_fill_staged", isGuardRequired: false).captured
                }
                return recordCycle(captured: captured ?? 0, began: began)
            } catch let error as PostgresError where error.isRetryable && attempt < plan.retry.maxAttempts {
                figures.retries[error.sqlState ?? .serializationFailure, default: 0] += 1
                figures.retriedMessageCount += Int64(stagedArrivals.count)
                sleepThread(for: plan.retry.delay(attempt: attempt, jitter: Double(attempt % 7) / 7))
            }
        }
    }

    private func recordCycle(captured: Int64, began: Int64) {
        let now = monotonicNow()
        recordVisible(stagedArrivals[...], at: now)
        stagedArrivals.removeAll(keepingCapacity: true)
        hasStagedLeftovers = false
        figures.transactionLatency.record(now - began)
        figures.transactionCount += 1
        figures.capturedCount += captured
        figures.lastCommitTime = now
        // Cycles keep to their own clock; one that took longer than the interval skips the ones it missed.
        let interval = Int64(plan.configuration.cycleIntervalMs) * 1_000_000
        nextCycleTime += max(1, (now - nextCycleTime) / interval + 1) * interval
    }
}
