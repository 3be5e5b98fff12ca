// How another machine's clock stands against one of ours, from asking it. Pure: the clocks come from the caller.

/// A question for the time of another machine.
public struct ClockRoundTrip: Sendable {
    /// On a clock of ours.
    public let askedNs: Int64
    /// On the other clock, read somewhere between the question and its answer.
    public let serverNs: Int64
    /// On the same clock of ours.
    public let answeredNs: Int64

    public init(askedNs: Int64, serverNs: Int64, answeredNs: Int64) {
        self.askedNs = askedNs
        self.serverNs = serverNs
        self.answeredNs = answeredNs
    }

    /// The other clock less ours, if it was read in the middle.
    public var offsetNs: Int64 { serverNs - (askedNs + (answeredNs - askedNs) / 2) }

    /// The truth lies within so much of `offsetNs`, as far as the other clock shows it: half of the round trip.
    public var uncertaintyNs: Int64 { (answeredNs - askedNs + 1) / 2 }

    /// Asks several times. The shortest of the round trips decides: in the others something was in the way, on one side or the
    /// other.
    public static func shortest(
        of count: Int, now: () -> Int64, askServer: () throws -> Int64
    ) rethrows -> ClockRoundTrip {
        var trips: [ClockRoundTrip] = []
        for _ in 0..<count {
            let asked = now()
            let server = try askServer()
            trips.append(ClockRoundTrip(askedNs: asked, serverNs: server, answeredNs: now()))
        }
        return shortest(trips)
    }

    /// - Parameter trips: not empty.
    public static func shortest(_ trips: [ClockRoundTrip]) -> ClockRoundTrip {
        guard let trip = trips.min(by: { $0.answeredNs - $0.askedNs < $1.answeredNs - $1.askedNs }) else {
            preconditionFailure("an estimate needs a round trip")
        }
        return trip
    }
}
