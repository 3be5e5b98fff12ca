// How late this machine wakes a thread that sleeps until a time: the harness can't offer a message more punctually than that.

/// By how much `sleepUntil` overshoots here and now.
public struct TimerError: Sendable, Equatable {
    public let p50Ns: Int64
    public let p99Ns: Int64
    public let maxNs: Int64
    public let sleepCount: Int

    /// Of overshoots that were measured; all 0 without any.
    public init(overshoots: Histogram) {
        p50Ns = overshoots.percentile(50)
        p99Ns = overshoots.percentile(99)
        maxNs = overshoots.max
        sleepCount = Int(overshoots.count)
    }

    /// Sleeps `sleepCount` times for `sleepNs`: 0.2 s by default. Blocks.
    public static func measure(sleepCount: Int = 200, sleepNs: Int64 = 1_000_000) -> TimerError {
        measure(sleepCount: sleepCount, sleepNs: sleepNs, now: monotonicNow, sleepUntil: sleepUntil(monotonic:))
    }

    /// The same on any clock.
    static func measure(
        sleepCount: Int, sleepNs: Int64, now: () -> Int64, sleepUntil: (Int64) -> Void
    ) -> TimerError {
        var overshoots = Histogram()
        for _ in 0..<sleepCount {
            let deadline = now() + sleepNs
            sleepUntil(deadline)
            overshoots.record(now() - deadline)
        }
        return TimerError(overshoots: overshoots)
    }
}
