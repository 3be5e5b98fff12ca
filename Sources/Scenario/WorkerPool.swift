// Starts the workers of one configuration, waits for all of them and merges what they measured.

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
    /// From the common start to the last commit, in nanoseconds.
    public var elapsedNanoseconds: Int64
    /// The common start, on the monotonic clock; 0 if there was none.
    public var startTime: Int64 = 0
    /// What the booking workers did beside the drain and behind it; nil without any.
    public var bookings: BookingResult?
}

public enum WorkerPool {
    /// Runs `plan.configuration.workers` workers, the partitions dealt out among them in turn. Blocks until all have ended.
    /// - Parameters:
    ///   - bookings: workers that book beside them, from before the start until the outbox is empty.
    ///   - companions: how many others start with the workers: they wait on the line that `onLine` is handed.
    /// - Throws: the first error of a worker; the others are stopped then.
    public static func run(
        _ plan: WorkerPlan, bookings: BookingPlan? = nil, companions: Int = 0,
        onLine: (StartingLine) -> Void = { _ in }, stop: StopFlag
    ) throws -> DrainResult {
        func drain(beside pool: BookingPool?) throws -> DrainResult {
            let workers = min(plan.configuration.workers, plan.partitions.count)
            let line = StartingLine(workerCount: workers + companions)
            onLine(line)
            return try Self.drain(plan, from: line, beside: pool, stop: stop)
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
        _ plan: WorkerPlan, from line: StartingLine, beside bookings: BookingPool?, stop: StopFlag
    ) throws -> DrainResult {
        let shares = deal(plan.partitions, among: plan.configuration.workers)
        // A worker that fails sets this, so that the others end without the run's own flag being set.
        let poolStop = StopFlag()
        let threads = shares.enumerated().map { index, partitions in
            var share = plan
            share.partitions = partitions
            let worker = share
            return WorkerThread(name: "worker-\(index)") {
                try AllocationWorker.run(worker, line: line, stop: poolStop)
            }
        }
        let watch = WorkerThread(name: "worker-stop") {
            while !stop.isSet && !poolStop.isSet && bookings?.hasFailed != true {
                sleepUntil(monotonic: monotonicNow() + 20_000_000)
            }
            poolStop.set()
            line.abandonUnlessStarted()
        }
        var figures = WorkerFigures()
        var failure: (any Error)?
        for thread in threads {
            do { figures.merge(try thread.join()) } catch { failure = failure ?? error }
        }
        poolStop.set()
        try watch.join()
        if let failure { throw failure }
        let elapsed = figures.lastCommitTime == 0 ? 0 : figures.lastCommitTime - line.start
        return DrainResult(figures: figures, elapsedNanoseconds: elapsed, startTime: line.start)
    }

    static func deal(_ partitions: [Int32], among workers: Int) -> [[Int32]] {
        var shares = [[Int32]](repeating: [], count: min(workers, partitions.count))
        for (index, partition) in partitions.enumerated() { shares[index % shares.count].append(partition) }
        return shares
    }
}
