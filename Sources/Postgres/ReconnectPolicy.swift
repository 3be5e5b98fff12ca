// How a lost connection is sought again: which failures pass, how often to try and for how long. A value without clock, and
// the one loop of all workers around it; clock and sleep come from the caller. Runs on its caller's thread.

/// Tries at even distances until a time has passed.
public struct ReconnectPolicy: Sendable, Hashable {
    /// How long a lost connection is sought again.
    public var timeout: Duration
    /// From a failed attempt to the next one.
    public var interval: Duration

    public init(timeout: Duration = .seconds(30), interval: Duration = .milliseconds(100)) {
        precondition(timeout >= .zero && interval >= .zero, "no time is negative")
        self.timeout = timeout
        self.interval = interval
    }

    /// Whether a server that goes down, is gone or comes up answers like this: it may be back soon.
    public func isPassing(_ error: PostgresError) -> Bool {
        error.isConnectionLost || error.sqlState == .cannotConnectNow
    }

    /// How long to wait before the next attempt; nil to give up.
    /// - Parameter elapsed: since the connection was found lost.
    public func delay(after error: PostgresError, elapsed: Duration) -> Duration? {
        isPassing(error) && elapsed < timeout ? interval : nil
    }

    /// Tries until an attempt succeeds. What became of the transactions that were under way is the caller's to find out.
    /// - Parameters:
    ///   - lostAt: when the connection was found lost, on the clock of `now`, in nanoseconds.
    ///   - isStopped: asked after each failure: nobody waits for the connection any more.
    ///   - attempt: connects, and leaves nothing open when it throws.
    /// - Throws: the error of the last attempt, when it passes by itself in no time that is left; any other at once.
    public func reconnect<R>(
        since lostAt: Int64, now: () -> Int64, isStopped: () -> Bool, sleep: (Duration) -> Void = sleepThread,
        _ attempt: () throws -> R
    ) throws -> R {
        while true {
            do {
                return try attempt()
            } catch let error as PostgresError {
                guard let delay = delay(after: error, elapsed: .nanoseconds(now() - lostAt)), !isStopped() else {
                    throw error
                }
                sleep(delay)
            }
        }
    }
}
