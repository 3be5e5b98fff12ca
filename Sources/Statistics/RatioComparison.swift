// Two configurations, a metric: by which factor they differ, how sure that is, and what couldn't have been seen.

import Glibc

/// What a comparison shows of the candidate.
public enum Verdict: String, Sendable, CaseIterable {
    case better
    case worse
    /// Not "equal": the repetitions at hand don't tell the two apart.
    case noDifferenceShown = "no difference shown"
}

/// Where a ratio lies with 95 % confidence. An end that nothing is known of is infinite, or 0.
public struct RatioInterval: Sendable, Equatable {
    public let low: Double
    public let high: Double

    public init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }

    public func contains(_ ratio: Double) -> Bool { low <= ratio && ratio <= high }
}

/// A candidate against a baseline in one metric, paired by repetition: repetition i of one with repetition i of the other,
/// because they ran next to each other, and what disturbed one of them is likely to have disturbed both.
///
/// The interval is Student's t on the logarithms of the paired ratios. On logarithms, because a factor of 2 and a factor
/// of ½ are then equally far from "equal", and figures of speed scatter by factors, not by amounts. By t and not by
/// bootstrap, because a run has 2 to 10 repetitions: resampling so few pairs never finds a spread beyond theirs, so its
/// intervals are too narrow (at 3 pairs a 95 % one covers the truth about three times in four), and one that is too narrow
/// finds differences between equals. The price of t is that it takes the logarithms for roughly normal.
///
/// Outliers are listed and stay in: the machine that made one makes others. Invalid and unverified runs must not get here.
public struct RatioComparison: Sendable, Equatable {
    public static let confidence = 0.95
    /// With which probability a difference of `minimumDetectableEffect` would have been shown.
    public static let power = 0.8

    /// What one repetition gave on either side.
    public struct Pair: Sendable, Equatable {
        public let repetition: Int
        public let baseline: Double
        public let candidate: Double
    }

    /// A figure more than one and a half interquartile ranges outside its quartiles.
    public struct Outlier: Sendable, Equatable {
        public enum Side: String, Sendable {
            case baseline
            case candidate
        }

        public let side: Side
        public let repetition: Int
        public let value: Double

        public init(side: Side, repetition: Int, value: Double) {
            self.side = side
            self.repetition = repetition
            self.value = value
        }
    }

    /// What the figures say of the ratio where some of them are lower bounds of what they stand for.
    public enum Knowledge: Sendable, Equatable {
        case exact
        /// A figure of the candidate may be higher: the interval has no upper end, and "less" can't be shown.
        case atLeast
        /// A figure of the baseline may be higher: the interval has no lower end but 0, and "more" can't be shown.
        case atMost
        /// Figures of both may be higher: there is no ratio.
        case none
    }

    public let isHigherBetter: Bool
    public let knowledge: Knowledge
    /// By repetition.
    public let pairs: [Pair]
    /// Repetitions of which one side alone has a figure: they are in nothing that follows.
    public let unpairedRepetitions: [Int]
    public let baselineMedian: Double?
    public let candidateMedian: Double?
    /// Candidate by baseline; nil without pairs, or where a median isn't above 0.
    public let ratioOfMedians: Double?
    /// The geometric mean of the pairs' ratios, in the middle of the interval; nil where a pair has no ratio.
    public let ratio: Double?
    /// Nil for fewer than two pairs, or where a pair has no ratio.
    public let interval: RatioInterval?
    /// The standard deviation of the pairs' log ratios; nil where figures are lower bounds, whose spread means nothing.
    public let logRatioStandardDeviation: Double?
    /// How likely equals are to show a difference as clear as this one, by the two-sided paired t test on log ratios. Below
    /// 0.05 exactly where the interval leaves out 1. Nil without an interval, and where the difference seen is one that
    /// lower bounds can't show.
    public let pValue: Double?
    public let baselineCoefficientOfVariation: Double?
    public let candidateCoefficientOfVariation: Double?
    public let outliers: [Outlier]
    public let verdict: Verdict
    /// In words, why there is no interval or what weakens it; nil where there is nothing to say.
    public private(set) var reason: String?

    /// `baseline` and `candidate` hold a figure for each repetition that was valid and verified; the lower bounds are the
    /// repetitions whose figure is the least that it can be.
    public init(
        baseline: [Int: Double], candidate: [Int: Double], isHigherBetter: Bool,
        baselineLowerBounds: Set<Int> = [], candidateLowerBounds: Set<Int> = []
    ) {
        self.isHigherBetter = isHigherBetter
        let pairs = baseline.keys.sorted().compactMap { repetition -> Pair? in
            guard let ours = baseline[repetition], let theirs = candidate[repetition] else { return nil }
            return Pair(repetition: repetition, baseline: ours, candidate: theirs)
        }
        self.pairs = pairs
        unpairedRepetitions = Set(baseline.keys).symmetricDifference(candidate.keys).sorted()

        let sides = (baseline: Sample(pairs.map(\.baseline)), candidate: Sample(pairs.map(\.candidate)))
        let rule: Sample.MiddleRule = isHigherBetter ? .mean : .greater
        let medians = (baseline: sides.baseline.median(rule), candidate: sides.candidate.median(rule))
        baselineMedian = medians.baseline
        candidateMedian = medians.candidate
        let bounds = (
            baseline: pairs.map(\.repetition).filter { baselineLowerBounds.contains($0) },
            candidate: pairs.map(\.repetition).filter { candidateLowerBounds.contains($0) }
        )
        let knowledge = Knowledge(
            isBaselineBound: !bounds.baseline.isEmpty, isCandidateBound: !bounds.candidate.isEmpty)
        self.knowledge = knowledge
        if knowledge == .exact, let below = medians.baseline, let above = medians.candidate, below > 0, above > 0 {
            ratioOfMedians = above / below
        } else {
            ratioOfMedians = nil
        }
        baselineCoefficientOfVariation = sides.baseline.coefficientOfVariation
        candidateCoefficientOfVariation = sides.candidate.coefficientOfVariation
        outliers =
            sides.baseline.outlierIndices.map {
                Outlier(side: .baseline, repetition: pairs[$0].repetition, value: pairs[$0].baseline)
            }
            + sides.candidate.outlierIndices.map {
                Outlier(side: .candidate, repetition: pairs[$0].repetition, value: pairs[$0].candidate)
            }

        // A pair without a ratio can't be passed over: 0 is what a figure of cost is when all is well.
        let withoutRatio = pairs.filter {
            !($0.baseline > 0 && $0.candidate > 0) || !($0.candidate / $0.baseline).isFinite
        }
        let hasRatios = withoutRatio.isEmpty && knowledge != .none
        let logRatios = Sample(hasRatios ? pairs.map { log($0.candidate / $0.baseline) } : [])
        ratio = logRatios.mean.map { exp($0) }
        logRatioStandardDeviation = knowledge == .exact ? logRatios.standardDeviation : nil
        guard let mean = logRatios.mean, let deviation = logRatios.standardDeviation else {
            interval = nil
            pValue = nil
            verdict = .noDifferenceShown
            reason =
                knowledge == .none
                ? RatioComparison.reason(knowledge, bounds.baseline, bounds.candidate)
                : RatioComparison.reasonForNoInterval(pairs: pairs.count, withoutRatio: withoutRatio)
            return
        }
        let distribution = TDistribution(degreesOfFreedom: pairs.count - 1)
        let standardError = deviation / Double(pairs.count).squareRoot()
        let reach = distribution.twoSided(confidence: Self.confidence) * standardError
        let interval = RatioInterval(
            low: knowledge == .atMost ? 0 : exp(mean - reach),
            high: knowledge == .atLeast ? .infinity : exp(mean + reach))
        self.interval = interval
        let canBeShown = knowledge == .exact || (knowledge == .atLeast) == (mean > 0)
        // Without any spread the quotient is infinite, or 0 by 0 between equals.
        pValue = !canBeShown ? nil : mean == 0 ? 1 : distribution.twoSidedProbability(beyond: mean / standardError)
        if interval.low > 1 {
            verdict = isHigherBetter ? .better : .worse
        } else if interval.high < 1 {
            verdict = isHigherBetter ? .worse : .better
        } else {
            verdict = .noDifferenceShown
        }
        if knowledge != .exact {
            reason = RatioComparison.reason(knowledge, bounds.baseline, bounds.candidate)
        } else {
            // Equal to the last bit is what counted figures are, and what figures are that were rounded too coarsely.
            reason =
                deviation < 1e-12
                ? "all pairs have the same ratio, so the interval has no width: counted, or coarser than its spread"
                : nil
        }
    }

    /// Two configurations that aren't compared, and why: no pair, no ratio, no verdict.
    public static func left(out reason: String, isHigherBetter: Bool) -> RatioComparison {
        var comparison = RatioComparison(
            baseline: [Int: Double](), candidate: [Int: Double](), isHigherBetter: isHigherBetter)
        comparison.reason = reason
        return comparison
    }

    /// Figures in the order of the repetitions, from repetition 1.
    public init(baseline: [Double], candidate: [Double], isHigherBetter: Bool) {
        func byRepetition(_ figures: [Double]) -> [Int: Double] {
            Dictionary(uniqueKeysWithValues: zip(1..., figures))
        }
        self.init(
            baseline: byRepetition(baseline), candidate: byRepetition(candidate), isHigherBetter: isHigherBetter)
    }

    /// The smallest difference that these repetitions would have shown four times in five, at the 95 % level: 0.07 is 7 %
    /// more than the baseline, or the factor 1 / 1.07 of it. A true difference below it may well go unseen. Nil without an
    /// interval.
    public var minimumDetectableEffect: Double? { minimumDetectableEffect(repetitions: pairs.count) }

    /// The same for another number of repetitions with the spread of these.
    public func minimumDetectableEffect(repetitions: Int) -> Double? {
        guard let logRatioStandardDeviation, repetitions > 1 else { return nil }
        let distribution = TDistribution(degreesOfFreedom: repetitions - 1)
        let reach = distribution.twoSided(confidence: Self.confidence) + distribution.quantile(Self.power)
        return expm1(reach * logRatioStandardDeviation / Double(repetitions).squareRoot())
    }

    /// How many repetitions would show a difference as large as the one seen, four times in five; nil where it was shown,
    /// where nothing was seen, or where it takes more than `most`.
    public func repetitionsToShowRatio(most: Int = 1000) -> Int? {
        guard verdict == .noDifferenceShown, interval != nil, let ratio, ratio != 1 else { return nil }
        let effect = max(ratio, 1 / ratio) - 1
        var low = pairs.count
        var high = most
        func isEnough(_ count: Int) -> Bool { (minimumDetectableEffect(repetitions: count) ?? .infinity) <= effect }
        guard low < high, isEnough(high) else { return nil }
        while low + 1 < high {
            let middle = (low + high) / 2
            if isEnough(middle) { high = middle } else { low = middle }
        }
        return high
    }

    /// What lower bounds do to the ratio.
    private static func reason(_ knowledge: Knowledge, _ baseline: [Int], _ candidate: [Int]) -> String? {
        func listed(_ side: String, _ repetitions: [Int]) -> String {
            "the \(side)'s figure is a lower bound in repetition \(repetitions.map(String.init).joined(separator: ", "))"
        }
        switch knowledge {
        case .exact: return nil
        case .atLeast: return "\(listed("candidate", candidate)), so the ratio is at least this"
        case .atMost: return "\(listed("baseline", baseline)), so the ratio is at most this"
        case .none:
            return "no ratio: \(listed("baseline", baseline)), and \(listed("candidate", candidate))"
        }
    }

    private static func reasonForNoInterval(pairs: Int, withoutRatio: [Pair]) -> String {
        if let first = withoutRatio.first {
            return "no interval: repetition \(first.repetition) has a figure that isn't above 0, so it has no ratio"
        }
        switch pairs {
        case 0: return "no interval: no repetition has a figure on both sides"
        default: return "no interval: one pair of repetitions shows no spread"
        }
    }
}

extension RatioComparison.Knowledge {
    fileprivate init(isBaselineBound: Bool, isCandidateBound: Bool) {
        switch (isBaselineBound, isCandidateBound) {
        case (false, false): self = .exact
        case (false, true): self = .atLeast
        case (true, false): self = .atMost
        case (true, true): self = .none
        }
    }
}
