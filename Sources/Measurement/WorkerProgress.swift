// What a run that is under way has done so far, for whoever prints it. Workers only add to it, so that looking costs them
// nothing; what is published in the end comes from their figures.

import Synchronization

/// What the counters said at one moment.
public struct ProgressCounts: Sendable, Equatable {
    public var committed: Int64 = 0
    public var lag: Int64 = 0
    public var retries: Int64 = 0
    public var errors: Int64 = 0

    public init() {}
}

/// Counters that all workers of a run share.
public final class WorkerProgress: Sendable {
    private let committed = Atomic<Int64>(0)
    private let retried = Atomic<Int64>(0)
    private let lag = Atomic<Int64>(0)
    private let failed = Atomic<Int64>(0)

    public init() {}

    /// Messages whose effect is committed and visible, those outside of the measured window included.
    public var committedMessageCount: Int64 { committed.load(ordering: .relaxed) }
    /// Failed attempts that were repeated, lost connections included.
    public var retryCount: Int64 { retried.load(ordering: .relaxed) }
    /// Messages that were due and not committed when each worker last looked, which it does once a second.
    public var lagMessageCount: Int64 { lag.load(ordering: .relaxed) }
    /// Connections that were lost and found again, and messages that were parked or rejected.
    public var errorCount: Int64 { failed.load(ordering: .relaxed) }

    public var counts: ProgressCounts {
        var counts = ProgressCounts()
        counts.committed = committedMessageCount
        counts.lag = lagMessageCount
        counts.retries = retryCount
        counts.errors = errorCount
        return counts
    }

    public func addCommitted(_ count: Int64) { committed.add(count, ordering: .relaxed) }
    public func addRetry() { retried.add(1, ordering: .relaxed) }
    public func addErrors(_ count: Int64 = 1) { failed.add(count, ordering: .relaxed) }
    /// Says by how much one worker's lag has changed.
    public func changeLag(by difference: Int64) { lag.add(difference, ordering: .relaxed) }
}
