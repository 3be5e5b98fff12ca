// The comparisons on the terminal: a block of lines for each metric, then what they rest on. Pure: rows in, text out.

import Statistics

/// Ratio, interval and verdict of every candidate, metric by metric.
public struct ComparisonTable: Sendable {
    private let report: ComparisonReport
    private let metrics: [Metric]

    /// The key metrics, or all of them.
    public init(_ report: ComparisonReport, showsAllMetrics: Bool = false) {
        self.report = report
        let compared = Set(report.rows.map(\.metric))
        metrics = Metric.all.filter { compared.contains($0) && (showsAllMetrics || $0.isKey || $0 == report.primary) }
    }

    /// The table with its closing sentences, a line end after each line.
    public var text: String {
        guard !report.rows.isEmpty else {
            let why =
                !report.pairings.isEmpty
                ? "No comparison: no valid and verified run has a figure to compare."
                : report.isWithinOneRun
                    ? "No comparison: \(report.configurations.first ?? "this run") has no other configuration beside it."
                    : "No comparison: the two runs have no configuration in common."
            return ([why] + notes).map { $0 + "\n" }.joined()
        }
        let header = ["", "baseline", "candidate", "ratio", "95 % interval", "detectable", "CV", "verdict"]
        let groups = metrics.map { metric in (metric, report.rows.filter { $0.metric == metric }) }
        let lines = TerminalTable.aligned([header] + groups.flatMap { $0.1.map(cells) })
        var text = [lines[0]]
        var next = 1
        for (metric, rows) in groups {
            text.append(title(of: metric))
            text += lines[next..<(next + rows.count)]
            next += rows.count
        }
        return (text + [""] + notes).map { $0 + "\n" }.joined()
    }

    private func title(of metric: Metric) -> String {
        let direction = metric.isHigherBetter ? "more is better" : "less is better"
        guard report.isWithinOneRun, let pairing = report.pairings.first else {
            return "\(metric.label), \(metric.unit), \(direction)"
        }
        return "\(metric.label), \(metric.unit), \(direction), against \(pairing.baseline)"
    }

    private func cells(_ row: ComparisonRow) -> [String] {
        let comparison = row.comparison
        let variations = [comparison.baselineCoefficientOfVariation, comparison.candidateCoefficientOfVariation]
        let outliers = comparison.outliers.count
        let marks = outliers == 0 ? "" : outliers == 1 ? ", 1 outlier" : ", \(outliers) outliers"
        let least = comparison.knowledge
        return [
            "  \(row.candidate)",
            comparison.baselineMedian.map { readableFigure($0, isAtLeast: least == .atMost || least == .none) } ?? "-",
            comparison.candidateMedian.map { readableFigure($0, isAtLeast: least == .atLeast || least == .none) }
                ?? "-",
            ratio(comparison), interval(comparison),
            comparison.minimumDetectableEffect.map(readablePercent) ?? "-",
            variations.compactMap { $0 }.max().map(readablePercent) ?? "-", comparison.verdict.rawValue + marks,
        ]
    }

    private func ratio(_ comparison: RatioComparison) -> String {
        guard let ratio = comparison.ratio else { return "-" }
        switch comparison.knowledge {
        case .exact, .none: return readableRatio(ratio)
        case .atLeast: return "≥\(readableRatio(ratio))"
        case .atMost: return "≤\(readableRatio(ratio))"
        }
    }

    private func interval(_ comparison: RatioComparison) -> String {
        guard let interval = comparison.interval else { return "-" }
        switch comparison.knowledge {
        case .exact, .none: return "\(readableRatio(interval.low))-\(readableRatio(interval.high))"
        case .atLeast: return "≥\(readableRatio(interval.low))"
        case .atMost: return "≤\(readableRatio(interval.high))"
        }
    }

    /// Which verdicts of the table wouldn't outlast that there are many of them.
    private var correction: [String] {
        let shown = report.rows.filter { row in
            metrics.contains(row.metric) && row.familyCount > 1 && row.comparison.verdict != .noDifferenceShown
        }
        guard let most = shown.map(\.familyCount).max() else { return [] }
        let lost = metrics.compactMap { metric -> String? in
            let names = shown.filter { $0.metric == metric && $0.holdsOnlyBeforeCorrection }.map(\.candidate)
            return names.isEmpty ? nil : "\(metric.label) of \(names.joined(separator: ", "))"
        }
        let corrected = "corrected for the number of comparisons of their metric (Holm, up to \(most))"
        guard !lost.isEmpty else {
            return ["Each verdict is that of its own interval; \(corrected), all of them hold."]
        }
        return [
            "Each verdict is that of its own interval; \(corrected), these no longer hold: \(lost.joined(separator: "; "))."
        ]
    }

    private var notes: [String] {
        var notes: [String] = []
        if !report.rows.isEmpty {
            let counts = Set(report.rows.map(\.comparison.pairs.count)).sorted().map(String.init)
            notes.append(
                "Baseline and candidate: medians of \(counts.joined(separator: " or ")) paired repetition\(counts == ["1"] ? "" : "s"). "
                    + "Ratio: not of these medians, but the geometric mean of the repetitions' own ratios candidate / baseline, "
                    + "so that what disturbed both sides of a repetition cancels out; its 95 % interval is t on log ratios."
            )
            notes.append(
                "Detectable: the smallest difference that would have been shown four times in five; CV: the larger of both sides."
            )
        }
        notes += correction
        switch report.load {
        case .backlog: break
        case .open:
            notes.append(
                "The throughput isn't compared: under an open load it is the rate at which executions arrived.")
        case .search:
            notes.append(
                "Only the sustained rate is compared: every other figure of a search is of a probe at a rate of its own."
            )
        }
        if !report.lowerBounds.isEmpty {
            let listed = report.configurations.compactMap { name in
                report.lowerBounds[name].map {
                    "\(name) in repetition \($0.sorted().map(String.init).joined(separator: ", "))"
                }
            }
            notes.append(
                "≥: at least, not confirmed from above: no higher rate failed for \(listed.joined(separator: "; ")).")
        }
        if !report.isWithinOneRun {
            notes.append(
                "The runs were not interleaved: how the machine changed between them is in these ratios, and no interval shows it."
            )
        }
        if !report.leftOut.isEmpty { notes.append("Left out: \(report.leftOut.joined(separator: ", ")).") }
        let unpaired = report.rows.filter { $0.metric == report.primary && !$0.comparison.unpairedRepetitions.isEmpty }
        if !unpaired.isEmpty {
            let listed = unpaired.map { row in
                let numbers = row.comparison.unpairedRepetitions.map(String.init).joined(separator: ", ")
                return "\(row.candidate) \(numbers)"
            }
            notes.append("Left out for want of a partner, by repetition: \(listed.joined(separator: "; ")).")
        }
        return notes
    }
}
