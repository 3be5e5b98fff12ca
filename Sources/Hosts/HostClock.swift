// How this machine's clock stands against the database's, which is the one clock that a runner and all its hosts can ask.

public import Measurement
public import Postgres

/// An estimate from round trips: the server reads its clock somewhere between a question and its answer.
public struct HostClock: Sendable, Hashable {
    /// The server's time of day less this machine's monotonic clock, in nanoseconds: the middle of the shortest round trip.
    public let serverLessMonotonicNs: Int64
    /// Half of that round trip, and the server's resolution: the truth lies within so much of the estimate.
    public let uncertaintyNs: Int64

    /// PostgreSQL's clock has microseconds.
    public static let resolutionNs: Int64 = 1000

    /// - Parameter trip: by this machine's monotonic clock.
    public init(_ trip: ClockRoundTrip) {
        serverLessMonotonicNs = trip.offsetNs
        uncertaintyNs = trip.uncertaintyNs + Self.resolutionNs
    }

    /// Asks the server a few times. Blocks for as many round trips.
    public static func measure(on connection: PostgresConnection, count: Int = 16) throws -> HostClock {
        let trip = try ClockRoundTrip.shortest(of: count, now: monotonicNow) {
            try connection.query(HarnessSchema.script["server_time_us"]).int64(0, 0) * 1000
        }
        return HostClock(trip)
    }

    /// A time of the server's on this machine's monotonic clock.
    public func monotonic(serverUs: Int64) -> Int64 { serverUs * 1000 - serverLessMonotonicNs }

    /// The server's time of day less this machine's.
    public func offsetNs(_ wall: ClockOffset) -> Int64 { serverLessMonotonicNs - wall.realtimeLessMonotonicNs }

    /// How far the two clocks moved against each other since `earlier`; 0 where the estimates can't tell it from nothing.
    public func driftNs(since earlier: HostClock) -> Int64 {
        let drift = serverLessMonotonicNs - earlier.serverLessMonotonicNs
        return abs(drift) <= uncertaintyNs + earlier.uncertaintyNs ? 0 : drift
    }
}
