// When work is meant to arrive: the base from which latency counts, whether or not the system keeps up.
// A pure value: no clock, no randomness, no state.

/// The intended arrival of every message of a replayed stream.
public struct ArrivalSchedule: Sendable, Hashable, CustomStringConvertible {
    /// Arrivals in 1,000 seconds; nil where everything is due at the start.
    private let arrivalsPer1000Seconds: Int64?

    /// Everything is due at the start: the workers drain a full topic.
    public static let backlog = ArrivalSchedule(arrivalsPer1000Seconds: nil)

    /// One arrival each 1/rate seconds. The rate is kept in thousandths per second, so that 0.5 and 33.3 are exact.
    public static func uniform(ratePerSecond: Double) -> ArrivalSchedule {
        precondition(rateRange.contains(ratePerSecond), "a rate lies between 0.001 and 1,000,000,000 per second")
        return ArrivalSchedule(arrivalsPer1000Seconds: Int64((ratePerSecond * 1000).rounded()))
    }

    /// The rates that `uniform` takes.
    public static let rateRange: ClosedRange<Double> = 0.001...1_000_000_000

    private init(arrivalsPer1000Seconds: Int64?) {
        self.arrivalsPer1000Seconds = arrivalsPer1000Seconds
    }

    /// The rate; nil for `.backlog`.
    public var ratePerSecond: Double? { arrivalsPer1000Seconds.map { Double($0) / 1000 } }

    /// When the message with this number, from 0, is due, in nanoseconds of the clock that `start` is on. Each arrival
    /// is computed from the start, not from the one before, so none is off by 1 ns, however late it comes.
    @inlinable
    public func intendedArrival(sequence: Int64, start: Int64) -> Int64 {
        start + offset(ofSequence: sequence)
    }

    @usableFromInline
    func offset(ofSequence sequence: Int64) -> Int64 {
        guard let arrivalsPer1000Seconds else { return 0 }
        return Int64(Int128(sequence) * 1_000_000_000_000 / Int128(arrivalsPer1000Seconds))
    }

    /// The first message that is due `offset` nanoseconds after the start or later; 0 for a backlog.
    func firstSequence(dueAtOrAfter offset: Int64) -> Int64 {
        guard self != .backlog else { return 0 }
        var (low, high): (Int64, Int64) = (0, 1)
        while self.offset(ofSequence: high) < offset { (low, high) = (high, high * 2) }
        while low < high {
            let middle = low + (high - low) / 2
            if self.offset(ofSequence: middle) < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// `backlog`, or `paced at 5000/s`.
    public var description: String {
        guard let rate = ratePerSecond else { return "backlog" }
        return "paced at \(rate == rate.rounded() ? String(Int64(rate)) : String(rate))/s"
    }
}
