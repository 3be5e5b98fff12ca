// One metric of one configuration against its baseline: a row of comparisons.csv. A plain value; the columns are a
// contract with every reader of published results, so a change of them changes `formatVersion`.

public import Statistics

/// A baseline, a candidate, a metric, and what the repetitions show.
public struct ComparisonRow: Sendable, Equatable {
    public static let formatVersion = 2

    public var baseline: String
    public var candidate: String
    public var metric: Metric
    public var comparison: RatioComparison
    /// The p-value after Holm's correction for the number of comparisons in the row's family: those of the same metric.
    public private(set) var correctedPValue: Double?
    /// How many comparisons the family has that could show something.
    public private(set) var familyCount = 1

    /// A family of its own.
    public init(baseline: String, candidate: String, metric: Metric, comparison: RatioComparison) {
        self.baseline = baseline
        self.candidate = candidate
        self.metric = metric
        self.comparison = comparison
        correctedPValue = comparison.pValue
    }

    /// The verdict that outlasts the correction: what may be asserted of one of several.
    public var correctedVerdict: Verdict {
        guard let correctedPValue, correctedPValue < 1 - RatioComparison.confidence else { return .noDifferenceShown }
        return comparison.verdict
    }

    /// Whether the row's own interval shows a difference, and the family of comparisons doesn't.
    public var holdsOnlyBeforeCorrection: Bool {
        comparison.verdict != .noDifferenceShown && correctedVerdict == .noDifferenceShown
    }

    /// The same rows, each metric's as a family.
    static func correctedByMetric(_ rows: [ComparisonRow]) -> [ComparisonRow] {
        var corrected = rows
        for metric in Set(rows.map(\.metric)) {
            let family = rows.indices.filter { rows[$0].metric == metric }
            let adjusted = HolmCorrection.adjusted(family.map { rows[$0].comparison.pValue })
            for (index, pValue) in zip(family, adjusted) {
                corrected[index].correctedPValue = pValue
                corrected[index].familyCount = adjusted.count { $0 != nil }
            }
        }
        return corrected
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
        number("baseline_median", "median of these repetitions; of two middle costs the greater", decimals: 6) {
            $0.baselineMedian
        },
        number("candidate_median", "median of these repetitions; of two middle costs the greater", decimals: 6) {
            $0.candidateMedian
        },
        number(
            "ratio",
            "geometric mean of the paired repetitions' ratios candidate / baseline; not the ratio of the medians",
            decimals: 4
        ) {
            $0.ratio
        },
        number(
            "ratio_low",
            "lower end of the ratio's 95 % interval, Student's t on log ratios; empty if the baseline is a lower bound",
            decimals: 4
        ) {
            ($0.interval?.low).flatMap { $0 > 0 ? $0 : nil }
        },
        number("ratio_high", "upper end of it; empty if the candidate is a lower bound", decimals: 4) {
            $0.interval?.high
        },
        number("p_value", "of the two-sided paired t test on log ratios, for this comparison alone", decimals: 6) {
            $0.pValue
        },
        Column("p_value_holm", "the same after Holm's correction for all comparisons of the metric in this file") {
            $0.correctedPValue.map { decimal($0, decimals: 6) } ?? ""
        },
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
        Column("verdict", "of the candidate, by this interval alone: better, worse or no difference shown") {
            $0.comparison.verdict.rawValue
        },
        Column("note", "in words: why there is no interval, what is a lower bound, what was left out, which outliers") {
            $0.note
        },
    ]

    private static func number(
        _ name: String, _ meaning: String, decimals: Int, _ value: @escaping @Sendable (RatioComparison) -> Double?
    ) -> Column<ComparisonRow> {
        Column(name, meaning) { value($0.comparison).map { decimal($0, decimals: decimals) } ?? "" }
    }
}
