// One metric of one configuration against its baseline: a row of comparisons.csv. A plain value; the columns are a
// contract with every reader of published results, so a change of them changes `formatVersion`.

public import Statistics

/// A baseline, a candidate, a metric, and what the repetitions show.
public struct ComparisonRow: Sendable, Equatable {
    public static let formatVersion = 1

    public var baseline: String
    public var candidate: String
    public var metric: Metric
    public var comparison: RatioComparison

    public init(baseline: String, candidate: String, metric: Metric, comparison: RatioComparison) {
        self.baseline = baseline
        self.candidate = candidate
        self.metric = metric
        self.comparison = comparison
    }

    /// Everything about the row that isn't a number of its own, in words; empty where there is nothing to say.
    public var note: String {
        var notes = comparison.reason.map { [$0] } ?? []
        if !comparison.unpairedRepetitions.isEmpty {
            let numbers = comparison.unpairedRepetitions.map(String.init).joined(separator: ", ")
            notes.append("left out for want of a partner: repetition \(numbers)")
        }
        if !comparison.outliers.isEmpty {
            let listed = comparison.outliers.map {
                "\($0.side.rawValue) repetition \($0.repetition) with \(readable($0.value))"
            }
            notes.append("outliers, not dropped: \(listed.joined(separator: ", "))")
        }
        return notes.joined(separator: "; ")
    }
}

extension ComparisonRow {
    public static let columnNames = columns.map(\.name)

    /// The fields in the order of the columns; empty where there is no value.
    public var fields: [String] { ComparisonRow.columns.map { $0.text(self) } }

    /// The data dictionary of comparisons.csv.
    public static let columns: [Column<ComparisonRow>] = [
        Column("format_version", "version of these columns") { _ in String(formatVersion) },
        Column("baseline", "the configuration compared with; between two runs with its run's name") {
            $0.baseline
        },
        Column("candidate", "the configuration compared") { $0.candidate },
        Column("metric", "the column of runs.csv, or computed from it") { $0.metric.name },
        Column("unit", "unit of the medians") { $0.metric.unit },
        Column("higher_is_better", "true for a throughput, false for a cost") {
            String($0.metric.isHigherBetter)
        },
        Column("repetitions_paired", "repetitions with a valid, verified figure on both sides") {
            String($0.comparison.pairs.count)
        },
        number("baseline_median", "median over these repetitions; of two middle costs the greater", decimals: 6) {
            $0.baselineMedian
        },
        number("candidate_median", "median over these repetitions; of two middle costs the greater", decimals: 6) {
            $0.candidateMedian
        },
        number("ratio", "candidate / baseline: the geometric mean of the repetitions' ratios", decimals: 4) {
            $0.ratio
        },
        number("ratio_low", "lower end of the 95 % interval of the ratio: t on log ratios", decimals: 4) {
            $0.interval?.low
        },
        number("ratio_high", "upper end of the 95 % interval of the ratio", decimals: 4) { $0.interval?.high },
        number(
            "min_detectable_effect",
            "the smallest difference, as a share of the baseline, that would have been shown four times in five",
            decimals: 4
        ) { $0.minimumDetectableEffect },
        number("baseline_cv", "standard deviation / mean of the baseline's figures", decimals: 4) {
            $0.baselineCoefficientOfVariation
        },
        number("candidate_cv", "standard deviation / mean of the candidate's figures", decimals: 4) {
            $0.candidateCoefficientOfVariation
        },
        Column(
            "outliers", "figures on either side beyond 1.5 interquartile ranges; none was dropped"
        ) { String($0.comparison.outliers.count) },
        Column("verdict", "better, worse or no difference shown: of the candidate") {
            $0.comparison.verdict.rawValue
        },
        Column("note", "in words: why there is no interval, what was left out, which outliers") {
            $0.note
        },
    ]

    private static func number(
        _ name: String, _ meaning: String, decimals: Int, _ value: @escaping @Sendable (RatioComparison) -> Double?
    ) -> Column<ComparisonRow> {
        Column(name, meaning) { value($0.comparison).map { decimal($0, decimals: decimals) } ?? "" }
    }
}
