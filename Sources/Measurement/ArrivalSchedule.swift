// When work is meant to arrive: the base from which latency counts, whether or not the system keeps up.
// A pure value: no clock and no state. Its randomness is a function of the seed and the message's number, so that every
// worker, process and repetition computes the same arrivals without asking another.

/// The intended arrival of every message of a replayed stream.
public struct ArrivalSchedule: Sendable, Hashable, CustomStringConvertible {
    /// A part of the schedule over which the rate goes in a straight line from one value to another.
    public struct Phase: Sendable, Hashable {
        public let ratePerSecondFrom: Double
        public let ratePerSecondTo: Double
        /// Nil goes on for ever; only of the last phase.
        public let durationMs: Int64?

        /// A step: one rate for a while, or to the end. 0 is a pause.
        public init(ratePerSecond: Double, durationMs: Int64? = nil) {
            (ratePerSecondFrom, ratePerSecondTo) = (ratePerSecond, ratePerSecond)
            self.durationMs = durationMs
        }

        /// A ramp.
        public init(ratePerSecondFrom: Double, to ratePerSecondTo: Double, durationMs: Int64) {
            self.ratePerSecondFrom = ratePerSecondFrom
            self.ratePerSecondTo = ratePerSecondTo
            self.durationMs = durationMs
        }
    }

    /// How arrivals are spread at a given rate.
    public enum Spread: Sendable, Hashable {
        /// Evenly: each arrival where the integral of the rate reaches its number.
        case even
        /// As independent users come: the gaps are exponential, and bursts happen.
        case poisson(seed: UInt64)
    }

    /// Everything is due at the start: the workers drain a full topic.
    public static let backlog = ArrivalSchedule(phases: [], spread: .even, pieces: [], gaps: nil)

    /// One arrival each 1/rate seconds. The rate is kept in thousandths per second, so that 0.5 and 33.3 are exact.
    public static func uniform(ratePerSecond: Double) -> ArrivalSchedule {
        precondition(rateRange.contains(ratePerSecond), "a rate lies between 0.001 and 1,000,000,000 per second")
        return ArrivalSchedule(phases: [Phase(ratePerSecond: ratePerSecond)])
    }

    /// Arrivals as independent users come, at this mean rate. The first one is due at the start.
    public static func poisson(ratePerSecond: Double, seed: UInt64) -> ArrivalSchedule {
        precondition(rateRange.contains(ratePerSecond), "a rate lies between 0.001 and 1,000,000,000 per second")
        return ArrivalSchedule(phases: [Phase(ratePerSecond: ratePerSecond)], spread: .poisson(seed: seed))
    }

    /// The rates that `uniform` takes; a phase may also start or end at 0.
    public static let rateRange: ClosedRange<Double> = 0.001...1_000_000_000
    /// A day: with it, the sums of ramps stay exact in 128 bits.
    public static let phaseDurationMsMax: Int64 = 86_400_000

    /// Rates one after another. A message behind the last phase is due at that phase's final rate, which goes on.
    ///
    /// The phases must be sound: rates in `rateRange` or 0, durations in 1...`phaseDurationMsMax`, none but the last without a
    /// duration, the final rate not 0. `fault(in:)` says whether they are.
    public init(phases: [Phase], spread: Spread = .even) {
        if let fault = ArrivalSchedule.fault(in: phases) { preconditionFailure(fault) }
        var pieces: [Piece] = []
        var (start, before): (Int64, Int128) = (0, 0)
        for phase in phases {
            let (from, to) = (thousandths(phase.ratePerSecondFrom), thousandths(phase.ratePerSecondTo))
            let duration = phase.durationMs.map { $0 * 1_000_000 }
            pieces.append(Piece(start: start, before: before, rateFrom: from, rateTo: to, duration: duration))
            guard let duration else { break }
            start += duration
            before += Int128(from + to) * Int128(duration)
        }
        if let last = pieces.last, last.duration != nil {
            pieces.append(
                Piece(start: start, before: before, rateFrom: last.rateTo, rateTo: last.rateTo, duration: nil))
        }
        var gaps: PoissonGaps?
        if case .poisson(let seed) = spread { gaps = PoissonGaps(seed: seed) }
        self.init(phases: phases, spread: spread, pieces: pieces, gaps: gaps)
    }

    /// What is wrong with a list of phases, in a sentence; nil if nothing is.
    public static func fault(in phases: [Phase]) -> String? {
        guard let last = phases.last else { return "a schedule has at least one phase" }
        for phase in phases {
            for rate in [phase.ratePerSecondFrom, phase.ratePerSecondTo] where rate != 0 && !rateRange.contains(rate) {
                return "a rate is 0 or lies between 0.001 and 1,000,000,000 per second"
            }
            if let duration = phase.durationMs, !(1...phaseDurationMsMax).contains(duration) {
                return "a phase lasts from 1 ms to a day"
            }
        }
        if phases.dropLast().contains(where: { $0.durationMs == nil }) { return "only the last phase may be endless" }
        if last.ratePerSecondTo == 0 { return "the last phase must not end at rate 0: what follows would never be due" }
        return nil
    }

    /// Empty for a backlog.
    public let phases: [Phase]
    public let spread: Spread
    private let pieces: [Piece]
    private let gaps: PoissonGaps?

    private init(phases: [Phase], spread: Spread, pieces: [Piece], gaps: PoissonGaps?) {
        self.phases = phases
        self.spread = spread
        self.pieces = pieces
        self.gaps = gaps
    }

    /// Equal phases and seeds give equal arrivals; the tables follow from them.
    public static func == (one: ArrivalSchedule, other: ArrivalSchedule) -> Bool {
        one.phases == other.phases && one.spread == other.spread
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(phases)
        hasher.combine(spread)
    }

    public var isBacklog: Bool { phases.isEmpty }

    /// The rate; of several phases the highest, which the system has to stand. Nil for `.backlog`.
    public var ratePerSecond: Double? {
        phases.map { max($0.ratePerSecondFrom, $0.ratePerSecondTo) }.max().map(roundedToThousandths)
    }

    /// How many messages the phases have room for; nil where the last is endless, and for a backlog.
    /// With Poisson arrivals this is the mean.
    public var messageCount: Int64? {
        guard let last = phases.last, last.durationMs != nil, let end = pieces.last else { return nil }
        return Int64(clamping: (end.before + Piece.unitsPerArrival - 1) / Piece.unitsPerArrival)
    }

    /// How long the phases last; nil where the last is endless, and for a backlog.
    public var durationNs: Int64? { phases.last?.durationMs == nil ? nil : pieces.last?.start }

    /// When the message with this number, from 0, is due, in nanoseconds of the clock that `start` is on. Each arrival
    /// is computed from the start, not from the one before, so none is off by 1 ns, however late it comes.
    public func intendedArrival(sequence: Int64, start: Int64) -> Int64 {
        let (arrival, isTooFar) = start.addingReportingOverflow(offset(ofSequence: sequence))
        return isTooFar ? .max : arrival
    }

    private func offset(ofSequence sequence: Int64) -> Int64 {
        guard let first = pieces.first else { return 0 }
        let units = gaps?.units(before: sequence) ?? Int128(sequence) * Piece.unitsPerArrival
        if pieces.count == 1 { return first.offset(ofUnits: units) }
        var (low, high) = (0, pieces.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if pieces[middle].before <= units { low = middle } else { high = middle - 1 }
        }
        return pieces[low].offset(ofUnits: units)
    }

    /// How many messages are due by `time`, on the clock that `start` is on; all that there are of a backlog: `max`.
    public func dueCount(at time: Int64, start: Int64) -> Int64 {
        if time < start { return 0 }
        return isBacklog ? .max : firstSequence(dueAtOrAfter: time - start + 1)
    }

    /// The first message that is due `offset` nanoseconds after the start or later; 0 for a backlog.
    func firstSequence(dueAtOrAfter offset: Int64) -> Int64 {
        guard !isBacklog else { return 0 }
        var (low, high): (Int64, Int64) = (0, 1)
        while self.offset(ofSequence: high) < offset { (low, high) = (high, high * 2) }
        while low < high {
            let middle = low + (high - low) / 2
            if self.offset(ofSequence: middle) < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// `backlog`, `paced at 5000/s`, `Poisson at 5000/s (seed 7)`, `paced at 100/s for 2000 ms, 100 to 900/s in 60000 ms`.
    public var description: String {
        guard !isBacklog else { return "backlog" }
        let rates = phases.map { phase in
            let (from, to) = (decimal(phase.ratePerSecondFrom), decimal(phase.ratePerSecondTo))
            guard let duration = phase.durationMs else { return "\(to)/s" }
            return from == to ? "\(to)/s for \(duration) ms" : "\(from) to \(to)/s in \(duration) ms"
        }
        switch spread {
        case .even: return "paced at " + rates.joined(separator: ", ")
        case .poisson(let seed): return "Poisson at " + rates.joined(separator: ", ") + " (seed \(seed))"
        }
    }
}

/// A stretch of the schedule over which the rate is linear, in whole numbers: with rates m in thousandths per second, the
/// arrivals in its first t ns are m₀t/10¹² + (m₁-m₀)t²/(2·D·10¹²). Counted in units of 1/(2·10¹²) arrival this
/// is 2m₀t + (m₁-m₀)t²/D, and the whole stretch is (m₀+m₁)D units: no rounding is carried from one phase to the next.
private struct Piece: Sendable {
    static let unitsPerArrival: Int128 = 2_000_000_000_000

    /// Nanoseconds after the start of the schedule.
    let start: Int64
    /// Units of all phases before.
    let before: Int128
    let rateFrom: Int64
    let rateTo: Int64
    /// Nil for ever, with a constant rate.
    let duration: Int64?

    /// The last nanosecond by which no more than `units` have come: where the exact time is fractional, the nanosecond below
    /// it, and at a pause its end.
    func offset(ofUnits units: Int128) -> Int64 {
        let wanted = units - before
        if rateFrom == rateTo {
            guard rateFrom > 0 else { return start + (duration ?? 0) }
            return Int64(clamping: Int128(start) + wanted / Int128(2 * rateFrom))
        }
        let duration = duration ?? 0
        // The quadratic formula in the form that doesn't subtract like from like. Where a ramp ends at 0 it is still off by
        // many nanoseconds, so that it only says where to begin the exact search.
        let slope = Double(rateTo - rateFrom) / Double(duration)
        let root = max(0, Double(rateFrom) * Double(rateFrom) + slope * Double(wanted)).squareRoot()
        let guess = Double(wanted) / (Double(rateFrom) + root)
        var low = guess.isFinite ? min(max(Int64(guess), 0), duration) : 0
        var high = low
        var step: Int64 = 1
        while low > 0, self.units(in: low) > wanted {
            high = low
            low = max(0, low - step)
            step *= 2
        }
        step = 1
        while high < duration, self.units(in: high) <= wanted {
            low = high
            high = min(duration, high + step)
            step *= 2
        }
        if self.units(in: high) <= wanted { return start + high }
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if self.units(in: middle) <= wanted { low = middle } else { high = middle }
        }
        return start + low
    }

    /// Units in the first `time` ns, rounded up, which compares with whole units as the exact value does. The square is
    /// divided in two steps, because its product with the rate doesn't fit 128 bits; as `time` is at most the duration, both
    /// quotients fit 64, so that the processor's own division does.
    private func units(in time: Int64) -> Int128 {
        let divisor = UInt64(duration ?? 1)
        let change = rateTo - rateFrom
        let square = UInt64(time).multipliedFullWidth(by: UInt64(time))
        let (whole, rest) = divisor.dividingFullWidth(square)
        let (quotient, remainder) = divisor.dividingFullWidth(change.magnitude.multipliedFullWidth(by: rest))
        let fraction = change < 0 ? -Int128(quotient) : Int128(quotient) + (remainder > 0 ? 1 : 0)
        return 2 * Int128(rateFrom) * Int128(time) + Int128(change) * Int128(whole) + fraction
    }
}

private func thousandths(_ rate: Double) -> Int64 { Int64((rate * 1000).rounded()) }

private func roundedToThousandths(_ rate: Double) -> Double { Double(thousandths(rate)) / 1000 }

private func decimal(_ rate: Double) -> String {
    let rate = roundedToThousandths(rate)
    return rate == rate.rounded() ? String(Int64(rate)) : String(rate)
}
