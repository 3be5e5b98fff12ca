// A bound that a scenario sets on a configuration, and whether the runs kept to it.

/// What a configuration has to keep to.
///
/// The rule for a bound on a figure (`max_p99_ms`, `min_executions_per_s`): it passes if every repetition keeps to it, and
/// fails if the median doesn't. In between, where the median keeps to it and some repetition doesn't, it is undecided: one
/// noisy repetition is no regression, and a bound that is broken now and then isn't kept either.
///
/// The rule for a bound on a ratio (`min_ratio_to`): the 95 % interval decides. It passes if the whole interval lies at or
/// above the bound, fails if all of it lies below, and is undecided where it straddles the bound or where there is none.
/// So neither verdict rests on noise: with equal configurations a gate at 1 would otherwise fail every other time. The
/// price is that "undecided" has to be an answer; it asks for more repetitions or a bound further away.
///
/// Invalid and unverified runs must not get here. Without any run a gate is undecided: nothing was measured.
public struct Gate: Sendable, Equatable {
    public enum Bound: Sendable, Equatable {
        /// Of the p99 time-to-visible, in milliseconds.
        case maxP99Ms(Double)
        case minExecutionsPerSecond(Double)
        /// How many times as good as another configuration, in a metric that the comparison was made of: a throughput by its
        /// ratio, a latency by the inverse, so that 1.2 is the better one in either case.
        case minRatio(Double, to: String)
    }

    public let configuration: String
    public let bound: Bound

    public init(configuration: String, bound: Bound) {
        self.configuration = configuration
        self.bound = bound
    }

    /// The key of the scenario file.
    public var name: String {
        switch bound {
        case .maxP99Ms: "max_p99_ms"
        case .minExecutionsPerSecond: "min_executions_per_s"
        case .minRatio: "min_ratio_to"
        }
    }

    /// Judges a bound on a figure by the figures of all repetitions.
    public func evaluate(_ figures: [Double]) -> GateResult {
        let sample = Sample(figures)
        switch bound {
        case .maxP99Ms(let most):
            return evaluate(
                figures, median: sample.median(.greater), as: "p99", unit: "ms", bound: "at most \(short(most)) ms"
            ) { $0 <= most }
        case .minExecutionsPerSecond(let least):
            return evaluate(
                figures, median: sample.median(.mean), as: "throughput", unit: "executions/s",
                bound: "at least \(short(least)) executions/s"
            ) { $0 >= least }
        case .minRatio: preconditionFailure("a bound on a ratio is judged by a comparison")
        }
    }

    /// The bound is missed without a figure: the configuration didn't get so far.
    public func missed(because reason: String) -> GateResult {
        GateResult(gate: self, outcome: .fail, sentence: "\(configuration): missed, \(reason).")
    }

    /// Judges a bound on a ratio by the comparison of this configuration, the candidate, with the other one.
    public func evaluate(_ comparison: RatioComparison) -> GateResult {
        guard case .minRatio(let least, let other) = bound else {
            preconditionFailure("a bound on a figure is judged by the figures")
        }
        guard let interval = comparison.interval, let ratio = comparison.ratio else {
            return GateResult(
                gate: self, outcome: .undecided,
                sentence: "\(configuration) by \(other): undecided, \(comparison.reason ?? "there is no interval").")
        }
        let isHigher = comparison.isHigherBetter
        let good = isHigher ? ratio : 1 / ratio
        let (low, high) = isHigher ? (interval.low, interval.high) : (1 / interval.high, 1 / interval.low)
        let (bound, range) =
            !high.isFinite
            ? ("at least ", "95 % bound \(short(low))")
            : low == 0
                ? ("at most ", "95 % bound \(short(high))")
                : ("", "95 % interval \(short(low)) to \(short(high))")
        let found = "\(configuration) is \(bound)\(short(good)) times as good as \(other), \(range)"
        if low >= least {
            return GateResult(gate: self, outcome: .pass, sentence: "\(found): all of it at least \(short(least)).")
        }
        if high < least {
            return GateResult(gate: self, outcome: .fail, sentence: "\(found): all of it below \(short(least)).")
        }
        return GateResult(
            gate: self, outcome: .undecided,
            sentence: bound.isEmpty
                ? "\(found): on both sides of \(short(least)); more repetitions would narrow it."
                : "\(found): that decides nothing about \(short(least)); \(comparison.reason ?? "it is a bound").")
    }

    private func evaluate(
        _ figures: [Double], median: Double?, as what: String, unit: String, bound: String,
        holds: (Double) -> Bool
    ) -> GateResult {
        guard let median else {
            return GateResult(
                gate: self, outcome: .undecided, sentence: "\(configuration): undecided, no valid run has a \(what).")
        }
        let broken = figures.count { !holds($0) }
        let outcome: GateResult.Outcome = broken == 0 ? .pass : holds(median) ? .undecided : .fail
        let repetitions = figures.count == 1 ? "the only repetition" : "\(figures.count) repetitions"
        let count =
            broken == 0
            ? "kept in \(repetitions)"
            : broken == figures.count ? "broken in \(repetitions)" : "broken in \(broken) of \(repetitions)"
        return GateResult(
            gate: self, outcome: outcome,
            sentence: "\(configuration): median \(what) \(short(median)) \(unit), \(bound) was \(count).")
    }
}

/// What came of a gate.
public struct GateResult: Sendable, Equatable {
    public enum Outcome: String, Sendable, CaseIterable {
        case pass
        case fail
        case undecided
    }

    public let gate: Gate
    public let outcome: Outcome
    /// Which configuration, what was found, and against which bound.
    public let sentence: String
}

/// A figure in a sentence: three decimals below 10, one below 1000, none above; no zeros at the end.
private func short(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return String(value) }
    let scale: Double = abs(value) < 10 ? 1000 : abs(value) < 1000 ? 10 : 1
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
}
