// Judges the gates of a scenario by the runs that were verified and valid. Pure: rows in, results out.

import Report
import Statistics

extension ScenarioFile.GateRule {
    /// What became of every gate: a rule without a configuration is one gate for each of them.
    static func judge(
        _ rules: [ScenarioFile.GateRule], by runs: [RunFields], _ bounds: RateBounds = RateBounds(),
        configurations: [String],
        load: ScenarioFile.Load
    ) -> [GateResult] {
        rules.flatMap { rule in
            (rule.configuration.map { [$0] } ?? configurations).map { rule.judge($0, by: runs, bounds, load: load) }
        }
    }

    private func judge(
        _ configuration: String, by runs: [RunFields], _ bounds: RateBounds, load: ScenarioFile.Load
    ) -> GateResult {
        func figures(_ name: String, _ column: String) -> [Int: Double] {
            var figures: [Int: Double] = [:]
            for run in runs where run.configuration == name && run.isVerified && run.isValid {
                figures[run.repetition] = run.number(column)
            }
            return figures
        }
        let withoutRate = repetitionsWithoutRate(of: configuration, in: runs, load)
        if !withoutRate.isEmpty {
            let listed = withoutRate.map(String.init).joined(separator: ", ")
            return gate(of: configuration).missed(because: "the search found no rate in repetition \(listed)")
        }
        switch rule {
        case .maxP99Ms:
            return gate(of: configuration)
                .evaluate(Array(figures(configuration, "time_to_visible_p99_ms").values))
        case .minExecutionsPerSecond:
            return gate(of: configuration)
                .evaluate(Array(figures(configuration, "executions_per_s").values))
        case .minRatio(let other, _, let metric):
            let metric = metric ?? load.metric
            let (own, others) = (figures(configuration, metric.column), figures(other, metric.column))
            let gate = self.gate(of: configuration)
            let othersWithoutRate = repetitionsWithoutRate(of: other, in: runs, load)
            if !othersWithoutRate.isEmpty {
                let listed = othersWithoutRate.map(String.init).joined(separator: ", ")
                return gate.evaluate(
                    .left(out: "\(other) has no rate in repetition \(listed)", isHigherBetter: true))
            }
            func lowerBounds(_ name: String) -> Set<Int> {
                guard case .search = load else { return [] }
                return Set(
                    runs.map(\.repetition).filter {
                        bounds.isLowerBound(RunKey(configuration: name, repetition: $0))
                    })
            }
            // Of milliseconds, half of them are twice as good.
            return gate.evaluate(
                metric.isMoreBetter
                    ? RatioComparison(
                        baseline: others, candidate: own, isHigherBetter: true, baselineLowerBounds: lowerBounds(other),
                        candidateLowerBounds: lowerBounds(configuration))
                    : RatioComparison(baseline: own, candidate: others, isHigherBetter: true))
        }
    }

    private func gate(of configuration: String) -> Gate {
        switch rule {
        case .maxP99Ms(let most): Gate(configuration: configuration, bound: .maxP99Ms(most))
        case .minExecutionsPerSecond(let least):
            Gate(configuration: configuration, bound: .minExecutionsPerSecond(least))
        case .minRatio(let other, let ratio, _):
            Gate(configuration: configuration, bound: .minRatio(ratio, to: other))
        }
    }

    /// The repetitions in which a search ended without a rate, though nothing was wrong with them: the configuration doesn't hold
    /// what it was asked for, and those repetitions that found a rate don't speak for all of them.
    private func repetitionsWithoutRate(
        of name: String, in runs: [RunFields], _ load: ScenarioFile.Load
    ) -> [Int] {
        guard case .search = load else { return [] }
        return runs.filter {
            $0.configuration == name && $0.isVerified && $0.isValid && $0.number("sustained_rate_per_s") == nil
        }.map(\.repetition).sorted()
    }
}

extension ScenarioFile.Load {
    /// What a ratio is of when the scenario doesn't say: at a fixed rate every configuration has the same throughput.
    fileprivate var metric: ScenarioFile.GateRule.Metric {
        switch self {
        case .backlog: .executionsPerSecond
        case .open: .p99Ms
        case .search: .sustainedRatePerSecond
        }
    }
}

extension ScenarioFile.GateRule.Metric {
    /// In runs.csv.
    fileprivate var column: String {
        switch self {
        case .executionsPerSecond: "executions_per_s"
        case .sustainedRatePerSecond: "sustained_rate_per_s"
        case .p50Ms: "time_to_visible_p50_ms"
        case .p99Ms: "time_to_visible_p99_ms"
        }
    }
}
