// From the wall clock, which a database stamps its commits with, to the clock of every measurement. Both are of one machine;
// between two machines this says nothing.

import Glibc

/// Nanoseconds of CLOCK_REALTIME since the Unix epoch. It may be set, also backwards, while a run goes on.
public func realtimeNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
}

/// What to add to the monotonic clock to get the wall clock's time, and how far off that may be.
public struct ClockOffset: Sendable, Hashable {
    /// The wall clock less the monotonic clock.
    public let realtimeLessMonotonicNs: Int64
    /// The true offset at the time of sampling lies at most this far from `realtimeLessMonotonicNs`.
    public let uncertaintyNs: Int64

    public init(realtimeLessMonotonicNs: Int64, uncertaintyNs: Int64) {
        self.realtimeLessMonotonicNs = realtimeLessMonotonicNs
        self.uncertaintyNs = uncertaintyNs
    }

    /// Reads the wall clock between two readings of the monotonic one, several times, and keeps the tightest: in the others the
    /// thread was interrupted. Takes some microseconds.
    public static func sample(count: Int = 100) -> ClockOffset {
        sample(count: count, monotonic: monotonicNow, realtime: realtimeNow)
    }

    /// The same with any clocks.
    static func sample(count: Int, monotonic: () -> Int64, realtime: () -> Int64) -> ClockOffset {
        precondition(count > 0, "an offset needs a sample")
        var best: (width: Int64, offset: Int64)?
        for _ in 0..<count {
            let before = monotonic()
            let wall = realtime()
            let after = monotonic()
            let width = after - before
            if let best, best.width <= width { continue }
            // The wall clock was read somewhere between: the middle is off by half of it at most.
            best = (width, wall - (before + width / 2))
        }
        let (width, offset) = best ?? (0, 0)
        return ClockOffset(realtimeLessMonotonicNs: offset, uncertaintyNs: (width + 1) / 2)
    }

    /// A wall-clock time, in nanoseconds since the Unix epoch, on the monotonic clock.
    @inline(__always)
    public func monotonic(realtime: Int64) -> Int64 { realtime &- realtimeLessMonotonicNs }

    /// A monotonic time on the wall clock.
    public func realtime(monotonic: Int64) -> Int64 { monotonic &+ realtimeLessMonotonicNs }

    /// How far the wall clock was set or slewed against the monotonic one since `earlier`. Beyond the sum of both uncertainties it
    /// moved, and spans between the two clocks are off by as much.
    public func driftNs(since earlier: ClockOffset) -> Int64 {
        realtimeLessMonotonicNs - earlier.realtimeLessMonotonicNs
    }
}
