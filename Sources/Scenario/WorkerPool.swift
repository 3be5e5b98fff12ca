// Starts the workers of one configuration, breaks what is planned to break, waits for all of them and merges what they
// measured.

public import Allocations
public import Booking
import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
public import Threads

/// What one configuration did with one stream.
public struct DrainResult: Sendable {
    public var figures: WorkerFigures
    /// How long the measured part took, in nanoseconds: to the last commit, from the common start or, with a window, from its
    /// opening; no longer than to its closing.
    public var elapsedNanoseconds: Int64
    /// Messages committed in that time. Over it they are the throughput; of an open run with a window they aren't the messages
    /// of `figures`, which count by their intended arrival.
    public var committedMessageCount: Int64
    /// Those of them that weren't captured before and weren't parked: each execution once.
    public var committedCapturedCount: Int64 { figures.committedCapturedCount }
    /// The common start, on the monotonic clock; 0 if there was none.
    public var startTime: Int64 = 0
    /// When the measured part began and ended, on the same clock; empty if it never began.
    public var measuredTimes = Int64.min..<Int64.max
    /// What the booking workers did beside the drain and behind it; nil without any.
    public var bookings: BookingResult?
    /// What became of the planned faults, in their order; those that the run didn't come to as well.
    public var faults: [FaultFigures] = []

    /// Messages per second of the measured part; 0 if nothing was committed in it.
    public var messagesPerSecond: Double {
        elapsedNanoseconds == 0 ? 0 : Double(committedMessageCount) * 1e9 / Double(elapsedNanoseconds)
    }
}

public enum WorkerPool {
    /// Runs the workers of a plan, as below.
    public static func run(
        _ plan: WorkerPlan, bookings: BookingPlan? = nil, faults: [ScenarioFile.FaultPlan] = [], stop: StopFlag
    ) throws -> DrainResult {
        try run(plan, bookings: bookings, faults: faults, takeover: nil, stop: stop)
    }

    /// Runs `plan.configuration.workers` workers, the partitions dealt out among them in turn. Blocks until all have ended.
    /// - Parameters:
    ///   - bookings: workers that book beside them, from before the start until the outbox is empty.
    ///   - faults: what breaks, by time after the start.
    ///   - takeover: who promotes a standby, where a fault asks for it.
    ///   - broker: of which one dies, should a fault ask for it.
    ///   - companions: how many others start with the workers: they wait on the line that `onLine` is handed.
    ///   - isCalled: whether the start comes from outside, by the line's `call`.
    ///   - whenDrained: called once all workers have ended, before the booking workers hear that no more snapshots come.
    /// - Throws: the first error of a worker; the others are stopped then.
    static func run(
        _ plan: WorkerPlan, bookings: BookingPlan? = nil, faults: [ScenarioFile.FaultPlan] = [],
        takeover: Takeover? = nil, companions: Int = 0, broker: BrokerFault? = nil, isCalled: Bool = false,
        onLine: (StartingLine) -> Void = { _ in }, whenDrained: (DrainResult) throws -> Void = { _ in }, stop: StopFlag
    ) throws -> DrainResult {
        func drain(beside pool: BookingPool?) throws -> DrainResult {
            let workers = min(plan.configuration.workers, plan.partitions.count)
            let line = StartingLine(workerCount: workers + companions, isCalled: isCalled)
            onLine(line)
            let result = try Self.drain(
                plan, from: line, beside: pool, faults: faults, takeover: takeover, broker: broker, stop: stop)
            try whenDrained(result)
            return result
        }
        guard let bookings else { return try drain(beside: nil) }
        let pool = try BookingPool(bookings, stop: stop)
        var result: DrainResult
        do {
            result = try drain(beside: pool)
        } catch {
            pool.abandon()
            // The drain ended early because a booking failed, or the other way round; what failed first is told.
            let hadFailed = pool.hasFailed
            do { _ = try pool.join() } catch let bookingError where hadFailed { throw bookingError }
            throw error
        }
        pool.finish()
        result.bookings = try pool.join()
        return result
    }

    private static func drain(
        _ plan: WorkerPlan, from line: StartingLine, beside bookings: BookingPool?,
        faults: [ScenarioFile.FaultPlan], takeover: Takeover?, broker: BrokerFault?, stop: StopFlag
    ) throws -> DrainResult {
        var shares = deal(plan.partitions, among: plan.configuration.workers)
        // A group deals its partitions out itself.
        if plan.group != nil { shares = shares.map { _ in plan.partitions } }
        let groupStart = GroupStart(members: shares.count, partitions: plan.partitions.count)
        // A worker that fails sets this, so that the others end without the run's own flag being set.
        let poolStop = StopFlag()
        let drained = StopFlag()
        let workerFaults = faults.isEmpty ? [] : shares.map { _ in WorkerFault() }
        let threads = shares.enumerated().map { index, partitions in
            var share = plan
            share.partitions = partitions
            share.memberIndex = index
            share.consumers = shares.count
            if plan.startsTogether { share.groupStart = groupStart }
            if !workerFaults.isEmpty { share.fault = workerFaults[index] }
            let worker = share
            return WorkerThread(name: "worker-\(index)") {
                try AllocationWorker.run(worker, line: line, stop: poolStop)
            }
        }
        let watch = WorkerThread(name: "worker-stop") {
            while !stop.isSet && !poolStop.isSet && !drained.isSet && bookings?.hasFailed != true {
                sleepUntil(monotonic: monotonicNow() + 20_000_000)
            }
            if drained.isSet { return }
            poolStop.set()
            line.abandonUnlessStarted()
        }
        let connection = plan.connection
        let breaker = WorkerThread(name: "faults") {
            do {
                return try FaultScript(
                    faults: faults, workers: workerFaults, connection: connection, takeover: takeover, broker: broker
                ).run(after: line) { poolStop.isSet || drained.isSet }
            } catch {
                // The workers would only seek a database that nobody brings back.
                poolStop.set()
                throw error
            }
        }
        var figures = WorkerFigures()
        var failure: (any Error)?
        for thread in threads {
            do { figures.merge(try thread.join()) } catch { failure = failure ?? error }
        }
        drained.set()
        try watch.join()
        let broken = Result { try breaker.join() }
        if let failure { throw failure }
        return DrainResult(figures, of: plan, start: line.start, faults: try broken.get())
    }

    static func deal(_ partitions: [Int32], among workers: Int) -> [[Int32]] {
        var shares = [[Int32]](repeating: [], count: min(workers, partitions.count))
        for (index, partition) in partitions.enumerated() { shares[index % shares.count].append(partition) }
        return shares
    }
}

extension DrainResult {
    init(_ figures: WorkerFigures, of plan: WorkerPlan, start: Int64, faults: [FaultFigures]) {
        self.figures = figures
        startTime = start
        self.faults = faults
        let last = figures.lastCommitTime
        if let window = plan.window {
            let opening = window.openingTime ?? .max
            measuredTimes = opening..<max(opening, window.closingTime ?? .max)
        }
        if let window = plan.window, let count = window.committedCount {
            elapsedNanoseconds = last == 0 ? 0 : window.elapsedNs(atEnd: last) ?? 0
            committedMessageCount = count
        } else {
            elapsedNanoseconds = last == 0 ? 0 : last - start
            committedMessageCount = figures.messageCount
        }
    }
}
