// The search for the highest arrival rate that holds an SLO, as a value: it names the next rate to try, and is told how
// that went. It knows no clock and starts nothing.

/// Brackets, halves, confirms, and looks once above what it found.
///
/// - bracketing: from the low rate upwards by doubling until a rate fails (→ bisecting), or the highest allowed rate holds
///   (→ confirming); if the first rate fails, downwards by halving until one holds (→ bisecting), or the lowest rate fails
///   as well (→ not found).
/// - bisecting: at the geometric middle of the highest rate that held and the lowest that didn't, until these two are no
///   further apart than the precision (→ confirming).
/// - confirming: the rate has to hold so many times in a row (→ above). If it fails once it is lowered by one step of
///   precision and confirmed anew; below the lowest rate nothing is found.
/// - above: one probe 20 % higher, which is expected to fail. It proves that the SLO is what limits, and it ends the search. If
///   it holds, noise had failed a lower rate: the search goes on from there, a few times at most.
///
/// A probe that is invalid is made once more before it bounds anything: a moment's disturbance isn't the generator's limit.
public struct RateSearch: Sendable, Equatable {
    /// How far above the found rate the last probe lies.
    public static let aboveFactor = 1.2
    /// How often a probe above that holds makes the search go on.
    public static let renewals = 3
    /// How often the low rate is halved at most.
    public static let halvings = 10

    public enum Purpose: Sendable, Hashable {
        case bracketing
        case bisecting
        /// The first, second, … time in a row that the rate has to hold.
        case confirming(Int)
        case above
    }

    /// A rate to try.
    public struct Probe: Sendable, Hashable {
        /// Arrivals a second.
        public let rate: Double
        public let purpose: Purpose
    }

    public enum ProbeOutcome: Sendable, Equatable {
        /// The SLO held.
        case held
        case failed(reason: String)
        /// The generator couldn't keep to the rate, so nothing is known of the system: like a failure it bounds the search,
        /// but what bounds it is then the generator.
        case invalid(reason: String)

        var isInvalid: Bool { if case .invalid = self { true } else { false } }
    }

    /// A probe and what became of it.
    public struct Step: Sendable, Equatable {
        public let probe: Probe
        public let outcome: ProbeOutcome
    }

    public enum Conclusion: Sendable, Equatable {
        /// This rate held each confirmation. `aboveFails` tells of the probe 20 % above it; nil where that one was invalid or
        /// lies above the highest rate allowed.
        case found(rate: Double, aboveFails: Bool?)
        /// Every allowed rate held; the highest one was confirmed, and how much more there is, is not known.
        case heldAtHighRateLimit(rate: Double)
        /// The generator reached its limit at `rate` before the system failed. `confirmedRate` is what the system holds at
        /// least; nil where not even the lowest rate could be generated.
        case limitedByGenerator(at: Double, confirmedRate: Double?)
        /// Not even `rate` held.
        case notFound(lowestFailedRate: Double)
    }

    public let lowRate: Double
    public let highRateLimit: Double
    /// How far apart the highest rate that holds and the lowest that doesn't may end up: 0.05 is 5 %.
    public let precision: Double
    public let confirmations: Int
    /// Every probe in the order in which they were made.
    public private(set) var history: [Step] = []
    /// What to try next; nil once there is a conclusion.
    public private(set) var nextProbe: Probe?
    /// Nil until the search has ended.
    public private(set) var conclusion: Conclusion?

    /// The highest rate that held while bracketing and bisecting.
    private var heldRate: Double?
    /// The lowest rate at which the SLO failed.
    private var failedRate: Double?
    /// The lowest rate that the generator couldn't keep.
    private var generatorLimit: Double?
    private var renewalCount = 0
    /// Where the probe above starts from.
    private var lastConfirmedRate: Double?

    /// Searches from `lowRate`, which should be one that surely holds, up to `highRateLimit`.
    public init(lowRate: Double, highRateLimit: Double, precision: Double = 0.05, confirmations: Int = 2) {
        precondition(
            lowRate > 0 && highRateLimit.isFinite && lowRate <= highRateLimit, "rates are above 0 and in order")
        precondition(precision > 0 && precision <= 1, "a precision is a share above 0")
        precondition(confirmations >= 1, "a rate that nobody confirmed is a guess")
        self.lowRate = lowRate
        self.highRateLimit = highRateLimit
        self.precision = precision
        self.confirmations = confirmations
        nextProbe = Probe(rate: lowRate, purpose: .bracketing)
    }

    /// Below this nothing is tried.
    public var lowestRate: Double { lowRate / Double(1 << RateSearch.halvings) }

    /// The lowest rate that is known not to hold, or not to be known.
    private var upperBound: Double? {
        guard let failedRate, let generatorLimit else { return failedRate ?? generatorLimit }
        return min(failedRate, generatorLimit)
    }

    /// Whether what bounds the search from above is the generator and not the system.
    private var isLimitedByGenerator: Bool {
        guard let generatorLimit else { return false }
        return failedRate.map { generatorLimit < $0 } ?? true
    }

    /// Takes in how the probe went that `nextProbe` named.
    public mutating func record(_ outcome: ProbeOutcome) {
        guard let probe = nextProbe else { preconditionFailure("the search has ended") }
        let isRepeated = history.last.map { $0.probe == probe && $0.outcome.isInvalid } ?? false
        history.append(Step(probe: probe, outcome: outcome))
        if outcome.isInvalid && !isRepeated { return }
        switch outcome {
        case .held: break
        case .failed: failedRate = min(failedRate ?? .infinity, probe.rate)
        case .invalid: generatorLimit = min(generatorLimit ?? .infinity, probe.rate)
        }
        switch probe.purpose {
        case .bracketing, .bisecting:
            if outcome == .held { heldRate = max(heldRate ?? 0, probe.rate) }
            narrow(around: probe.rate)
        case .confirming(let number):
            if outcome != .held {
                confirm(probe.rate / (1 + precision))
            } else if number < confirmations {
                nextProbe = Probe(rate: probe.rate, purpose: .confirming(number + 1))
            } else {
                lookAbove(probe.rate)
            }
        case .above:
            guard let rate = lastConfirmedRate else { preconditionFailure("only what was confirmed is looked above") }
            switch outcome {
            case .held where renewalCount < RateSearch.renewals:
                // A failure at a lower rate than one that holds was noise.
                renewalCount += 1
                heldRate = probe.rate
                if let failed = failedRate, failed <= probe.rate { failedRate = nil }
                narrow(around: probe.rate)
            case .held: end(.found(rate: rate, aboveFails: false))
            case .failed: end(.found(rate: rate, aboveFails: true))
            case .invalid: end(.found(rate: rate, aboveFails: nil))
            }
        }
    }

    /// The next step of bracketing or bisecting.
    private mutating func narrow(around rate: Double) {
        guard let upperBound else {
            // Nothing failed so far.
            if rate < highRateLimit {
                nextProbe = Probe(rate: min(rate * 2, highRateLimit), purpose: .bracketing)
            } else {
                confirm(rate)
            }
            return
        }
        guard let heldRate else {
            // Nothing held so far.
            if rate / 2 >= lowestRate {
                nextProbe = Probe(rate: rate / 2, purpose: .bracketing)
            } else {
                endWithoutRate()
            }
            return
        }
        if upperBound <= heldRate * (1 + precision) {
            confirm(heldRate)
        } else {
            // Precision is a ratio, so the middle is the geometric one.
            nextProbe = Probe(rate: (heldRate * upperBound).squareRoot(), purpose: .bisecting)
        }
    }

    private mutating func confirm(_ rate: Double) {
        if rate >= lowestRate {
            nextProbe = Probe(rate: rate, purpose: .confirming(1))
        } else {
            endWithoutRate()
        }
    }

    private mutating func lookAbove(_ rate: Double) {
        lastConfirmedRate = rate
        if isLimitedByGenerator, let generatorLimit {
            // Above that the probe would say no more than this.
            end(.limitedByGenerator(at: generatorLimit, confirmedRate: rate))
        } else if rate >= highRateLimit {
            end(.heldAtHighRateLimit(rate: rate))
        } else if rate * RateSearch.aboveFactor > highRateLimit {
            end(.found(rate: rate, aboveFails: nil))
        } else {
            nextProbe = Probe(rate: rate * RateSearch.aboveFactor, purpose: .above)
        }
    }

    private mutating func endWithoutRate() {
        if isLimitedByGenerator, let generatorLimit {
            end(.limitedByGenerator(at: generatorLimit, confirmedRate: nil))
        } else {
            end(.notFound(lowestFailedRate: failedRate ?? lowestRate))
        }
    }

    private mutating func end(_ conclusion: Conclusion) {
        self.conclusion = conclusion
        nextProbe = nil
    }
}

extension RateSearch {
    /// The rate that held its confirmations; nil while there is none.
    public var confirmedRate: Double? {
        switch conclusion {
        case .found(let rate, _), .heldAtHighRateLimit(let rate): rate
        case .limitedByGenerator(_, let rate): rate
        case .notFound, nil: nil
        }
    }
}

extension RateSearch.Conclusion {
    /// Whether the confirmed rate is the least that the system holds, because nothing above it failed. A rate that wasn't
    /// looked 20 % above is no lower bound: a rate at most a step of precision above it had failed.
    public var isLowerBound: Bool {
        switch self {
        case .heldAtHighRateLimit, .found(_, aboveFails: false): true
        case .limitedByGenerator(_, let rate): rate != nil
        case .found, .notFound: false
        }
    }
}

extension RateSearch.Conclusion: CustomStringConvertible {
    /// One sentence for the table's end.
    public var description: String {
        switch self {
        case .found(let rate, true): "\(perSecond(rate)) holds the SLO, confirmed; 20 % above it fails."
        case .found(let rate, false):
            "\(perSecond(rate)) holds the SLO, confirmed; but 20 % above it held as well once: the search was misled by noise, "
                + "and the limit lies higher."
        case .found(let rate, nil): "\(perSecond(rate)) holds the SLO, confirmed; 20 % above it wasn't decided."
        case .heldAtHighRateLimit(let rate):
            "\(perSecond(rate)), the highest rate allowed, holds the SLO, confirmed; the limit lies higher."
        case .limitedByGenerator(let limit, let rate?):
            "Limited by the generator at \(perSecond(limit)): \(perSecond(rate)) holds the SLO, confirmed, and nothing is known "
                + "of more."
        case .limitedByGenerator(let limit, nil):
            "Limited by the generator at \(perSecond(limit)): no lower rate held, so nothing is known of the system."
        case .notFound(let rate): "No rate was found: not even \(perSecond(rate)) holds the SLO."
        }
    }
}

/// A rate for a reader: four significant digits at least, without a decimal that means nothing.
private func perSecond(_ rate: Double) -> String {
    if rate >= 1000 { return "\(Int(rate.rounded()))/s" }
    let tenths = Int((rate * 10).rounded())
    return rate >= 10 ? "\(tenths / 10).\(tenths % 10)/s" : "\(Double(Int((rate * 1000).rounded())) / 1000)/s"
}
