// How a server's clock stands against this machine's: commit times are the server's, acknowledgements are ours.

import Measurement
import Postgres

/// An estimate from round trips: the server reads its clock somewhere between a question and its answer.
public struct ServerClock: Sendable, Equatable {
    /// The server's time of day less this machine's, in nanoseconds; the estimate is the middle of the shortest round trip.
    public let offsetNs: Int64
    /// Half of that round trip: the truth lies within so much of the estimate.
    public let uncertaintyNs: Int64
    /// This machine's time of day against its monotonic clock, when that was estimated.
    let machine: ClockOffset
    /// How far this machine's time of day moved against its monotonic clock until the end of the feed: spans that were measured
    /// late are off by as much.
    public private(set) var driftNs: Int64 = 0

    /// Whether nothing speaks against one clock for both. Then no offset is applied, because an estimate would only add its
    /// own error; a server on another machine whose clock is as near is treated the same, which errs by the uncertainty.
    public var isCommon: Bool { abs(offsetNs) <= uncertaintyNs + Self.resolutionNs }

    /// PostgreSQL's clock has microseconds.
    public static let resolutionNs: Int64 = 1000

    /// What `committedToPublished` was corrected by.
    public var appliedOffsetNs: Int64 { isCommon ? 0 : offsetNs }

    /// The server's time of day less our monotonic clock.
    var serverLessMonotonicNs: Int64 { machine.realtimeLessMonotonicNs + appliedOffsetNs }

    /// How far off the feed's spans may be: what the estimate was uncertain by, and what the clock moved until the end.
    public var spanUncertaintyNs: Int64 { uncertaintyNs + abs(driftNs) }

    mutating func noteDrift(_ end: ClockOffset = .sample()) { driftNs = end.driftNs(since: machine) }

    /// - Parameter trip: by this machine's and the server's time of day.
    init(_ trip: ClockRoundTrip, machine: ClockOffset) {
        offsetNs = trip.offsetNs
        uncertaintyNs = trip.uncertaintyNs
        self.machine = machine
    }

    /// Asks the server a few times. Blocks for as many round trips.
    static func measure(on connection: PostgresConnection) throws -> ServerClock {
        let trip = try ClockRoundTrip.shortest(of: 12, now: realtimeNow) {
            try connection.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::INT8").int64(0, 0) * 1000
        }
        return ServerClock(trip, machine: ClockOffset.sample())
    }
}

/// Which transactions a snapshot sees, as PostgreSQL writes it: `xmin:xmax:xip,xip`.
struct ScanSnapshot {
    private let end: UInt64
    private let running: Set<UInt64>

    /// Nil where the text isn't a snapshot.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, UInt64(parts[0]) != nil, let end = UInt64(parts[1]) else { return nil }
        self.end = end
        running = Set(parts[2].split(separator: ",").compactMap { UInt64($0) })
    }

    /// Whether the snapshot sees what a committed transaction wrote.
    /// - Parameter transaction: the lower half of its number, as the log has it; it is within 2³¹ of the snapshot's.
    func contains(_ transaction: UInt32) -> Bool {
        let distance = Int64(Int32(bitPattern: transaction &- UInt32(truncatingIfNeeded: end)))
        let whole = UInt64(bitPattern: Int64(bitPattern: end) + distance)
        return whole < end && !running.contains(whole)
    }
}
