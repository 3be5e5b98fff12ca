// What failed attempts cost: a batch throws more away with each of them than a small transaction does, which a count of
// retries alone would hide. Kept by SQLSTATE, and beside it what became of commits whose answer never came.

/// Attempts that failed for one reason and were repeated.
public struct RetryFigures: Codable, Sendable, Equatable {
    public var count: Int64
    /// Messages whose work was thrown away, once for each attempt that they were in.
    public var messages: Int64
    /// From the begin of each failed attempt to the answer that it had failed; the back-off behind it isn't part of it.
    public var nanoseconds: Int64

    public init(count: Int64 = 0, messages: Int64 = 0, nanoseconds: Int64 = 0) {
        self.count = count
        self.messages = messages
        self.nanoseconds = nanoseconds
    }

    public mutating func merge(_ other: RetryFigures) {
        count += other.count
        messages += other.messages
        nanoseconds += other.nanoseconds
    }
}

extension Dictionary where Value == RetryFigures {
    /// Repeated attempts, whatever the reason.
    public var retryCount: Int64 { values.reduce(0) { $0 + $1.count } }

    /// Counts one failed attempt.
    public mutating func record(_ reason: Key, messages: Int64 = 0, nanoseconds: Int64) {
        self[reason, default: RetryFigures()].merge(
            RetryFigures(count: 1, messages: messages, nanoseconds: nanoseconds))
    }

    public mutating func merge(_ other: Self) {
        merge(other) { mine, theirs in
            var sum = mine
            sum.merge(theirs)
            return sum
        }
    }
}

/// Commits whose answer was lost or said that nobody knows (40003), by how a look at the database resolved them.
public struct AmbiguousCommits: Codable, Sendable, Equatable {
    /// The effect was there: nothing was done again.
    public var committed: Int64 = 0
    /// The effect wasn't there: the work was done again.
    public var repeated: Int64 = 0
    /// Nobody could tell, or nobody came to look before the run ended.
    public var unknown: Int64 = 0

    public init() {}

    public var count: Int64 { committed + repeated + unknown }

    public mutating func merge(_ other: AmbiguousCommits) {
        committed += other.committed
        repeated += other.repeated
        unknown += other.unknown
    }
}
