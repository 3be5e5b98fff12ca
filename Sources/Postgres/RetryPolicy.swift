// How often and how fast to try again: a value without clock and without randomness.

/// Exponential backoff with full jitter: each delay is a random part of a limit that doubles.
public struct RetryPolicy: Sendable, Hashable {
    /// How often a transaction is tried, the first time included.
    public var maxAttempts: Int
    /// The limit of the first delay.
    public var baseDelay: Duration
    /// What the limit never exceeds.
    public var maxDelay: Duration

    public init(
        maxAttempts: Int = 10, baseDelay: Duration = .milliseconds(1), maxDelay: Duration = .milliseconds(250)
    ) {
        precondition(maxAttempts >= 1, "a transaction is tried at least once")
        precondition(baseDelay >= .zero && maxDelay >= .zero, "a delay isn't negative")
        self.maxAttempts = maxAttempts
        self.baseDelay = baseDelay
        self.maxDelay = maxDelay
    }

    /// Tries once.
    public static let never = RetryPolicy(maxAttempts: 1)

    /// How long to wait after the failure of attempt number `attempt`, counted from 1.
    /// - Parameter jitter: which part of the limit to wait, from 0 up to 1; drawn by the caller.
    public func delay(attempt: Int, jitter: Double) -> Duration {
        precondition(attempt >= 1, "attempts are counted from 1")
        var limit = min(baseDelay, maxDelay)
        for _ in 1..<max(attempt, 1) where limit < maxDelay { limit = min(limit * 2, maxDelay) }
        return limit * min(max(jitter, 0), 1)
    }
}
