// What one booking worker measured. Each worker has its own, written by its thread alone; the pool merges them afterwards.

public import Measurement
public import Postgres

public struct BookingFigures: Sendable {
    /// Per block taken: from its oldest request to the commit that booked it, in nanoseconds. Both ends are on the server's
    /// clock, because a request is a row that another session wrote, perhaps from another machine: the worker asks for the
    /// server's time right behind its COMMIT.
    public var latencies = StageLatencies(stages: [.allocatedToBooked])
    /// Blocks brought to what their last snapshots say: booked or, once more, corrected.
    public var bookedBlockCount: Int64 = 0
    /// Blocks whose last snapshot isn't final or has no fills: what was booked of them, if anything, was taken back.
    public var unbookedBlockCount: Int64 = 0
    /// Accounts with shares among those of the booked blocks.
    public var accountBookingCount: Int64 = 0
    public var transactionCount: Int64 = 0
    /// Attempts that failed and were repeated, by SQLSTATE; what they threw away is counted in blocks.
    public var retries: [SQLState: RetryFigures] = [:]
    public var reconnectCount: Int64 = 0
    /// Commits whose outcome nobody knows: if they happened, their blocks aren't counted above. Nobody looks, because it makes
    /// no difference: what was booked is gone from the outbox, and what wasn't is still there.
    public var ambiguousCommits = AmbiguousCommits()
    /// When the last commit was answered, on the monotonic clock; 0 without one.
    public var lastCommitTime: Int64 = 0

    public init() {}

    public var latency: Histogram { latencies[.allocatedToBooked] }
    public var retryCount: Int64 { retries.retryCount }

    public mutating func merge(_ other: BookingFigures) {
        latencies.merge(other.latencies)
        bookedBlockCount += other.bookedBlockCount
        unbookedBlockCount += other.unbookedBlockCount
        accountBookingCount += other.accountBookingCount
        transactionCount += other.transactionCount
        retries.merge(other.retries)
        reconnectCount += other.reconnectCount
        ambiguousCommits.merge(other.ambiguousCommits)
        lastCommitTime = max(lastCommitTime, other.lastCommitTime)
    }
}
