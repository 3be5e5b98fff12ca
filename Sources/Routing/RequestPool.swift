// The routing workers of one date side by side: starts them, waits for them, merges what they measured.

import Glibc
import Synchronization
public import Threads

/// Routing workers that run. Join them once.
public final class RequestPool: Sendable {
    private let threads: [WorkerThread<RequestFigures>]
    /// What ends the workers early: a failure of one of them, or the caller's stop.
    private let poolStop = StopFlag()

    /// Starts the workers, the partitions dealt out among them in turn, and returns when all are connected and assigned.
    /// - Parameters:
    ///   - end: tells the workers where to end; may be set later.
    ///   - stop: ends them early.
    /// - Throws: what kept a worker from starting; none is left then.
    public init(_ plan: RequestPlan, end: TopicEnd, stop: StopFlag) throws {
        precondition(plan.batchSize > 0 && plan.workers > 0 && !plan.partitions.isEmpty)
        var shares = [[Int32]](repeating: [], count: min(plan.workers, plan.partitions.count))
        for (index, partition) in plan.partitions.enumerated() { shares[index % shares.count].append(partition) }
        let ready = ReadyCount()
        let poolStop = poolStop
        threads = shares.enumerated().map { index, partitions in
            var share = plan
            share.partitions = partitions
            let own = share
            return WorkerThread(name: "router-\(index)") {
                do {
                    let worker = try RequestWorker(own, end: end, stops: [stop, poolStop], index: index)
                    ready.count()
                    return try worker.run()
                } catch {
                    poolStop.set()
                    ready.count()
                    throw error
                }
            }
        }
        ready.wait(until: shares.count)
        if poolStop.isSet { _ = try join() }
    }

    /// Ends the workers at their next look, wherever they are.
    public func cancel() { poolStop.set() }

    /// Waits for all workers. Blocks the calling thread.
    /// - Throws: the first error of a worker; the others are stopped then.
    public func join() throws -> RequestFigures {
        var figures = RequestFigures()
        var failure: (any Error)?
        for thread in threads {
            do { figures.merge(try thread.join()) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
        return figures
    }
}

/// Counts the workers that are ready, or will never be.
private final class ReadyCount: Sendable {
    private let value = Atomic<Int>(0)

    func count() { value.add(1, ordering: .acquiringAndReleasing) }

    func wait(until count: Int) {
        while value.load(ordering: .acquiring) < count { usleep(500) }
    }
}
