// The booking workers of one run: started before the allocation workers, told when no more snapshots come, joined when the
// outbox is empty.

import Measurement
public import Threads

/// What the booking workers of a run did.
public struct BookingResult: Sendable {
    public var figures: BookingFigures
    /// When all workers were connected, on the monotonic clock.
    public var startTime: Int64
    public var workers: Int

    public init(figures: BookingFigures, startTime: Int64, workers: Int) {
        self.figures = figures
        self.startTime = startTime
        self.workers = workers
    }

    /// From the start, or from `other`, to the last commit; 0 if nothing was booked.
    public func elapsedNanoseconds(since other: Int64? = nil) -> Int64 {
        figures.lastCommitTime == 0 ? 0 : max(0, figures.lastCommitTime - (other ?? startTime))
    }
}

/// Running booking workers. Whoever starts a pool joins it.
public final class BookingPool: Sendable {
    private let threads: [WorkerThread<BookingFigures>]
    private let noMoreSnapshots = StopFlag()
    private let failure = StopFlag()
    private let abandonment = StopFlag()
    private let startTime: Int64

    /// Connects all workers and sets them to work. Blocks until they are connected.
    /// - Parameter stop: ends them without booking what is left.
    public init(_ plan: BookingPlan, stop: StopFlag) throws {
        precondition(plan.workers > 0, "a pool has workers")
        let (last, failed, abandoned) = (noMoreSnapshots, failure, abandonment)
        let isStopped = { @Sendable in stop.isSet || failed.isSet || abandoned.isSet }
        var connected: [BookingWorkerBox] = []
        do {
            for index in 0..<plan.workers {
                connected.append(
                    BookingWorkerBox(
                        try BookingWorker(plan, index: index, noMoreSnapshots: last, isStopped: isStopped)))
            }
        } catch {
            for box in connected { box.worker.close() }
            throw error
        }
        startTime = monotonicNow()
        threads = connected.enumerated().map { index, box in
            WorkerThread(name: "booking-\(index)") {
                defer { box.worker.close() }
                do {
                    try box.worker.run()
                } catch {
                    // Whoever stopped the run may have stopped the database too.
                    if isStopped() { return box.worker.figures }
                    failed.set()
                    throw error
                }
                return box.worker.figures
            }
        }
    }

    /// Books what the outbox holds and what comes until `stop`, or nothing but that with `toTheEnd`. Blocks.
    public static func run(_ plan: BookingPlan, follow: Bool = false, stop: StopFlag) throws -> BookingResult {
        let pool = try BookingPool(plan, stop: stop)
        if !follow { pool.finish() }
        return try pool.join()
    }

    /// Nobody will request a booking any more: the workers end once the outbox is empty.
    public func finish() { noMoreSnapshots.set() }

    /// The run is lost: the workers end with the transaction at hand.
    public func abandon() { abandonment.set() }

    /// Whether a worker has failed; `join` throws its error.
    public var hasFailed: Bool { failure.isSet }

    /// Waits for the workers. Blocks; call it once.
    /// - Throws: the first error of a worker; the others are stopped then.
    public func join() throws -> BookingResult {
        var figures = BookingFigures()
        var failure: (any Error)?
        for thread in threads {
            do { figures.merge(try thread.join()) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
        return BookingResult(figures: figures, startTime: startTime, workers: threads.count)
    }
}

/// Hands a connected worker over to its thread.
private final class BookingWorkerBox: Sendable {
    // Only the thread that was started for it touches it from then on.
    nonisolated(unsafe) let worker: BookingWorker
    init(_ worker: BookingWorker) { self.worker = worker }
}
