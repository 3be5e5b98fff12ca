// All comparisons of a run, or of two: which figure of which configuration with which. Pure: runs in, rows out.

import Statistics

/// Every configuration against a baseline, metric by metric, repetition by repetition.
public struct ComparisonReport: Sendable {
    /// How the executions came; it decides which figure a recommendation goes by.
    public enum LoadModel: String, Sendable, CaseIterable {
        /// Throughput: how fast a full topic was drained.
        case backlog
        /// The p99 time-to-visible. The throughput is the rate at which executions arrived, give or take those that are under way
        /// at the edges of the measured part, so it is in no comparison.
        case open
        /// The highest rate that held the SLO, and nothing else: every other figure of a search is of a probe at a rate of its own.
        case search

        /// In the order in which they are shown.
        var metrics: [Metric] {
            Metric.all.filter { metric in
                switch self {
                case .backlog: true
                case .open: metric.name != "executions_per_s"
                case .search: metric.name == ComparedRun.rateMetric
                }
            }
        }
    }

    /// Two configurations to be compared: one of a run with the run's baseline, or the same one of two runs.
    struct Pairing: Sendable {
        let baseline: String
        let candidate: String
    }

    public let load: LoadModel
    /// Those of the candidates in the order of the runs, for each of them the load's metrics in the order of `Metric.all`.
    public let rows: [ComparisonRow]
    /// What the recommendation goes by; nil where no run has a figure of speed.
    public let primary: Metric?
    /// Within one run all pairings have the same baseline.
    let isWithinOneRun: Bool
    let pairings: [Pairing]
    /// Runs that are in no comparison, in words; empty if all are.
    let leftOut: [String]
    /// In the order of the runs; between two runs with the run's name before it.
    let configurations: [String]
    private let figures: [String: [String: [Int: Double]]]
    /// The repetitions of each configuration whose rate may be higher than its figure.
    let lowerBounds: [String: Set<Int>]
    /// Configurations of a search that found no rate in some valid repetition. They are in no comparison: by the repetitions that
    /// found one they would look better than they are.
    let withoutRate: [String: [Int]]

    /// Every configuration against `baseline`, or else against the first one. `baseline` must be one of them.
    public init(_ runs: [ComparedRun], load: LoadModel, baseline: String? = nil) {
        let names = ComparisonReport.names(of: runs)
        precondition(baseline.map(names.contains) ?? true, "the baseline is one of the configurations")
        let first = baseline ?? names.first
        self.init(
            runs, load: load,
            pairings: first.map { first in
                names.filter { $0 != first }.map { Pairing(baseline: first, candidate: $0) }
            } ?? [], isWithinOneRun: true)
    }

    /// Each configuration that both runs have: that of the second run against that of the first. The names tell the runs
    /// apart. Repetition i of one is paired with repetition i of the other, although they didn't run next to each other.
    public init(
        baselineRuns: [ComparedRun], named baselineName: String, candidateRuns: [ComparedRun],
        named candidateName: String, load: LoadModel
    ) {
        precondition(baselineName != candidateName, "two runs have two names")
        func labeled(_ runs: [ComparedRun], _ run: String) -> [ComparedRun] {
            runs.map {
                var labeled = $0
                labeled.configuration = "\(run)/\($0.configuration)"
                return labeled
            }
        }
        let others = Set(candidateRuns.map(\.configuration))
        let shared = ComparisonReport.names(of: baselineRuns).filter { others.contains($0) }
        self.init(
            labeled(baselineRuns.filter { shared.contains($0.configuration) }, baselineName)
                + labeled(candidateRuns.filter { shared.contains($0.configuration) }, candidateName),
            load: load,
            pairings: shared.map {
                Pairing(baseline: "\(baselineName)/\($0)", candidate: "\(candidateName)/\($0)")
            }, isWithinOneRun: false)
    }

    private init(_ runs: [ComparedRun], load: LoadModel, pairings: [Pairing], isWithinOneRun: Bool) {
        self.load = load
        self.pairings = pairings
        self.isWithinOneRun = isWithinOneRun
        let configurations = ComparisonReport.names(of: runs)
        self.configurations = configurations
        let names = Set(load.metrics.map(\.name))
        var figures: [String: [String: [Int: Double]]] = [:]
        for run in runs where run.isValid && run.isVerified {
            for (metric, value) in run.metrics where names.contains(metric) {
                figures[run.configuration, default: [:]][metric, default: [:]][run.repetition] = value
            }
        }
        self.figures = figures
        lowerBounds = Dictionary(
            grouping: runs.filter { $0.isRateLowerBound && $0.isValid && $0.isVerified }, by: \.configuration
        ).mapValues { Set($0.map(\.repetition)) }
        let withoutRate =
            load != .search
            ? [:]
            : Dictionary(
                grouping: runs.filter { $0.isValid && $0.isVerified && $0.metrics[ComparedRun.rateMetric] == nil },
                by: \.configuration
            ).mapValues { $0.map(\.repetition).sorted() }
        self.withoutRate = withoutRate
        leftOut = configurations.flatMap { name in
            let own = runs.filter { $0.configuration == name }
            return [
                (own.count { !$0.isVerified }, "unverified"), (own.count { $0.isVerified && !$0.isValid }, "invalid"),
            ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1) \($0.0 == 1 ? "run" : "runs") of \(name)" }
                + (withoutRate[name].map { ["\(name) (\(ComparisonReport.noRate($0)))"] } ?? [])
        }
        let measured = Set(figures.values.flatMap { $0.keys })
        let primary = ComparisonReport.preferred(under: load).first { measured.contains($0) || !withoutRate.isEmpty }
            .flatMap(Metric.named)
        self.primary = primary
        let lowerBounds = self.lowerBounds
        rows = ComparisonRow.correctedByMetric(
            pairings.flatMap { pairing in
                load.metrics.compactMap { metric in
                    let row = ComparisonRow(
                        baseline: pairing.baseline, candidate: pairing.candidate, metric: metric,
                        comparison: ComparisonReport.compare(
                            pairing.candidate, with: pairing.baseline, in: metric, figures, lowerBounds, withoutRate))
                    // A metric that one of the two never has isn't compared; the one that decides is, to say that it is
                    // missing.
                    return row.comparison.pairs.isEmpty && metric != primary ? nil : row
                }
            })
    }

    /// Any two configurations, whichever is the baseline.
    func comparison(of candidate: String, with baseline: String, in metric: Metric) -> RatioComparison {
        ComparisonReport.compare(candidate, with: baseline, in: metric, figures, lowerBounds, withoutRate)
    }

    /// Comparisons in one metric that an assertion rests on together: a family of their own.
    func family(_ pairs: [(candidate: String, baseline: String)], in metric: Metric) -> [ComparisonRow] {
        ComparisonRow.correctedByMetric(
            pairs.map {
                ComparisonRow(
                    baseline: $0.baseline, candidate: $0.candidate, metric: metric,
                    comparison: comparison(of: $0.candidate, with: $0.baseline, in: metric))
            })
    }

    private static func compare(
        _ candidate: String, with baseline: String, in metric: Metric, _ figures: [String: [String: [Int: Double]]],
        _ lowerBounds: [String: Set<Int>], _ withoutRate: [String: [Int]]
    ) -> RatioComparison {
        let missing = [candidate, baseline].compactMap { name in withoutRate[name].map { "\(name) has \(noRate($0))" } }
        guard missing.isEmpty else {
            return .left(out: missing.joined(separator: ", and "), isHigherBetter: metric.isHigherBetter)
        }
        func bounds(_ name: String) -> Set<Int> {
            metric.name == ComparedRun.rateMetric ? lowerBounds[name] ?? [] : []
        }
        return RatioComparison(
            baseline: figures[baseline]?[metric.name] ?? [:], candidate: figures[candidate]?[metric.name] ?? [:],
            isHigherBetter: metric.isHigherBetter, baselineLowerBounds: bounds(baseline),
            candidateLowerBounds: bounds(candidate))
    }

    /// `no rate in repetition 2, 3`
    private static func noRate(_ repetitions: [Int]) -> String {
        "no rate in repetition \(repetitions.map(String.init).joined(separator: ", "))"
    }

    private static func names(of runs: [ComparedRun]) -> [String] {
        var seen: Set<String> = []
        return runs.map(\.configuration).filter { seen.insert($0).inserted }
    }

    /// What a recommendation goes by, the first that was measured.
    private static func preferred(under load: LoadModel) -> [String] {
        let throughputs = ["executions_per_s", "requests_per_s"]
        switch load {
        case .backlog: return throughputs
        case .open: return ["time_to_visible_p99_ms"]
        case .search: return [ComparedRun.rateMetric]
        }
    }
}
