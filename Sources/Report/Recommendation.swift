// What the comparisons come down to, in plain words: which configuration, by how much, at which cost, and what would
// change the answer. Where nothing was shown it says just that. What is asserted was picked out of many comparisons, so it
// must outlast Holm's correction for their number. Pure: comparisons in, sentences out.

import Statistics

/// The end of a report.
public struct Recommendation: Sendable {
    /// Nil where the repetitions don't speak for any one, and always between two runs.
    public let configuration: String?
    /// A line each.
    public let lines: [String]

    /// The lines, a line end after each.
    public var text: String { lines.map { $0 + "\n" }.joined() }

    public init(_ report: ComparisonReport) {
        guard let primary = report.primary, let baseline = report.pairings.first?.baseline else {
            configuration = nil
            lines = ["No recommendation: there is nothing to compare."]
            return
        }
        let advice = Advice(report: report, primary: primary, baseline: baseline)
        if report.isWithinOneRun {
            let winner = advice.winner
            configuration = winner
            lines = advice.lines(winner: winner)
        } else {
            configuration = nil
            lines = advice.linesBetweenRuns
        }
    }
}

/// Words for the comparisons of a report.
private struct Advice {
    let report: ComparisonReport
    let primary: Metric
    let baseline: String

    /// What a configuration may cost, or excel in, apart from what decides.
    private var otherMetrics: [Metric] {
        Metric.all.filter { metric in
            guard metric != primary, metric.isKey || metric.name == "database_cpu_s" else { return false }
            return report.rows.contains { $0.metric == metric && !$0.comparison.pairs.isEmpty }
        }
    }

    private var primaryRows: [ComparisonRow] { report.rows.filter { $0.metric == primary } }

    // MARK: Within a run

    /// The best of those that were shown to be better than the baseline; the baseline itself where all others were shown to
    /// be worse; else nil. Shown is what outlasts the correction for the number of these comparisons.
    var winner: String? {
        let better = primaryRows.filter { $0.correctedVerdict == .better }
        if let best = best(of: better) { return best.candidate }
        return primaryRows.allSatisfy { $0.correctedVerdict == .worse } ? baseline : nil
    }

    func lines(winner: String?) -> [String] {
        let others = primaryRows.filter { $0.candidate != winner }
        return opening(winner) + costs(of: winner) + ["What would change the answer:"]
            + (changes(from: winner ?? baseline) + limits(of: winner, others)).map { "- \($0)" }
    }

    private func opening(_ winner: String?) -> [String] {
        guard let winner else { return withoutWinner }
        if winner == baseline {
            let listed = primaryRows.map { "\($0.candidate) has \(times($0.comparison))" }
            return [
                "Recommended: \(winner), the baseline. In \(primary.label) every other one is worse: \(list(listed))."
            ]
        }
        let comparison = report.comparison(of: winner, with: baseline, in: primary)
        let row = primaryRows.first { $0.candidate == winner }
        var lines = [
            "Recommended: \(winner). It has \(times(comparison, of: "the \(primary.label) of \(baseline)")), "
                + "\(figures(comparison, primary, baseline)), in \(comparison.pairs.count) repetitions"
                + (row.map { $0.familyCount > 1 ? "; \(correction($0))." : "." } ?? ".")
        ]
        lines += onlyBeforeCorrection(primaryRows)
        if let reason = comparison.reason { lines.append("Note: \(reason).") }
        return lines + rivalLines(winner)
    }

    /// The best of many by its median isn't yet better than the second best: a family of comparisons of its own.
    private func rivalLines(_ winner: String) -> [String] {
        let rivals = primaryRows.map(\.candidate).filter { $0 != winner }
        let family = report.family(rivals.map { (candidate: winner, baseline: $0) }, in: primary)
        let ties = family.filter { $0.correctedVerdict == .noDifferenceShown && report.withoutRate[$0.baseline] == nil }
        let beaten = family.filter { $0.correctedVerdict == .worse }
        var lines: [String] = []
        if !ties.isEmpty {
            lines.append(
                "No difference in \(primary.label) is shown between \(winner) and \(list(ties.map(\.baseline)))"
                    + (report.load == .search ? "." : ": choose among them by what they cost."))
        }
        if !beaten.isEmpty {
            lines.append(
                "Better than \(winner) in the repetitions that both have: \(list(beaten.map(\.baseline))); the baseline has "
                    + "others.")
        }
        lines += onlyBeforeCorrection(family, namesBaseline: true)
        let reasoned =
            ties.filter { $0.comparison.knowledge != .exact } + family.filter { report.withoutRate[$0.baseline] != nil }
        return lines
            + reasoned.compactMap { row in
                row.comparison.reason.map { "Note: \(winner) and \(row.baseline): \($0)." }
            }
    }

    private var withoutWinner: [String] {
        let unshown = primaryRows.filter { $0.correctedVerdict == .noDifferenceShown }
        let worse = primaryRows.filter { $0.correctedVerdict == .worse }
        var lines = [
            "No recommendation: no difference in \(primary.label) is shown between \(baseline) and "
                + "\(list(unshown.map(\.candidate))), so these repetitions don't speak for any of them."
        ]
        if !worse.isEmpty {
            lines.append("Worse than \(baseline): \(list(worse.map { "\($0.candidate), \(times($0.comparison))" })).")
        }
        let reasons = Set(primaryRows.compactMap(\.comparison.reason)).sorted()
        return lines + onlyBeforeCorrection(primaryRows) + reasons.map { "Note: \($0)." }
    }

    /// Which verdicts of the table aren't asserted, because they are among many.
    private func onlyBeforeCorrection(_ family: [ComparisonRow], namesBaseline: Bool = false) -> [String] {
        let lost = family.filter(\.holdsOnlyBeforeCorrection)
        guard let first = lost.first else { return [] }
        let listed = lost.map { row in
            "\(row.candidate) is \(row.comparison.verdict.rawValue)"
                + (namesBaseline ? " than \(row.baseline)" : "") + " (\(probabilities(row)))"
        }
        return [
            "Only before the correction for \(first.familyCount) comparisons (Holm), so not taken as shown: \(list(listed))."
        ]
    }

    /// What the winner costs, or saves, beside what it wins by.
    private func costs(of winner: String?) -> [String] {
        guard let winner, winner != baseline else { return [] }
        if report.load == .search {
            return [
                "What it costs isn't compared: every other figure of a search is of a probe at a rate of its own. Measure all of "
                    + "them with an open load at one rate."
            ]
        }
        let lines = otherMetrics.compactMap { metric -> String? in
            guard let row = report.rows.first(where: { $0.metric == metric && $0.candidate == winner }),
                !row.comparison.pairs.isEmpty
            else { return nil }
            return
                "- \(metric.label): \(figures(row.comparison, metric, baseline)): \(row.comparison.verdict.rawValue), "
                + "\(times(row.comparison))"
                + (row.holdsOnlyBeforeCorrection ? "; only before the correction, \(probabilities(row))" : "")
        }
        let missing = ["p99 time-to-visible", "WAL per execution", "database CPU"].filter { label in
            !(otherMetrics + [primary]).contains { $0.label.hasPrefix(label) }
        }
        let head = lines.isEmpty ? [] : ["What it costs or saves against \(baseline):"]
        return head + lines + (missing.isEmpty ? [] : ["Not measured: \(list(missing))."])
    }

    /// By which other figure another configuration would be chosen.
    private func changes(from chosen: String) -> [String] {
        let rivals = report.configurations.filter { $0 != chosen }
        var lines: [String] = []
        var unbeaten: [String] = []
        for metric in otherMetrics {
            let better = report.family(rivals.map { (candidate: $0, baseline: chosen) }, in: metric)
                .filter { $0.correctedVerdict == .better }
            if let best = best(of: better) {
                lines.append(
                    "if \(metric.label) counts most: \(best.candidate), with "
                        + "\(times(best.comparison, of: "that of \(chosen)")), \(figures(best.comparison, metric, chosen))."
                )
            } else {
                unbeaten.append(metric.label)
            }
        }
        if !unbeaten.isEmpty {
            lines.append("in \(list(unbeaten)) nothing is shown to be better than \(chosen).")
        }
        if report.load == .search {
            lines.append(
                "another limit: each rate is the one at which the p99 of time-to-visible holds this scenario's.")
        }
        if report.load == .backlog, (otherMetrics + [primary]).contains(where: { $0.name.hasPrefix("time_to_visible") })
        {
            lines.append(
                "an SLO on time-to-visible: for a drained backlog it says how long the queue was; measure it with an open load."
            )
        }
        return lines
    }

    /// What the repetitions couldn't have shown.
    private func limits(of winner: String?, _ others: [ComparisonRow]) -> [String] {
        var lines: [String] = []
        let unshown = others.filter {
            $0.comparison.verdict == .noDifferenceShown && $0.comparison.knowledge == .exact
        }
        let effects = unshown.compactMap(\.comparison.minimumDetectableEffect)
        if let largest = effects.max() {
            let before = unshown.contains { $0.familyCount > 1 } ? ", even before the correction" : ""
            lines.append(
                "more repetitions: against \(baseline), differences in \(primary.label) below \(readablePercent(largest)) may "
                    + "have gone unseen\(before).")
        }
        let needed = unshown.compactMap { $0.comparison.repetitionsToShowRatio() }
        if let most = needed.max() {
            lines.append(
                "about \(grouped(most)) repetitions would show the differences seen, if they are real"
                    + (needed.count == unshown.count ? "." : "; some are too small even for 1,000."))
        }
        if others.contains(where: \.holdsOnlyBeforeCorrection) {
            lines.append(
                "more repetitions, or a scenario of fewer configurations: what holds only before the correction.")
        }
        let bounded = primaryRows.contains { $0.comparison.knowledge != .exact }
        if bounded {
            lines.append(
                "searches that meet a rate which fails (a higher `to`, or longer probes): what is at least so much may be more."
            )
        }
        let without = report.configurations.filter { report.withoutRate[$0] != nil }
        if !without.isEmpty {
            lines.append(
                "searches that find a rate in every repetition (a lower `from`, longer probes or another limit): \(list(without))."
            )
        }
        let isMissing = primaryRows.contains { row in
            row.comparison.interval == nil && row.comparison.knowledge != .none
                && report.withoutRate[row.baseline] == nil && report.withoutRate[row.candidate] == nil
        }
        if isMissing {
            lines.append(
                "two repetitions or more that are valid and verified on both sides: without them there is no interval.")
        }
        let tested = report.rows.count { $0.comparison.pValue != nil }
        if tested >= 10 {
            let byChance = Double(tested) * (1 - RatioComparison.confidence)
            lines.append(
                "chance: what is asserted here is corrected for the number of comparisons in its metric, the table isn't: "
                    + "between equals, \(decimal(byChance, decimals: 1)) of its \(tested) comparisons, all metrics counted, would "
                    + "show a difference on average.")
        }
        return lines
    }

    // MARK: Between runs

    var linesBetweenRuns: [String] {
        var lines = primaryRows.map { row in
            let comparison = row.comparison
            let effect =
                comparison.minimumDetectableEffect.map {
                    ", where differences below \(readablePercent($0)) may go unseen"
                } ?? ""
            let reason = comparison.reason.map { "; \($0)" } ?? ""
            let ending =
                row.holdsOnlyBeforeCorrection
                ? ", but only before the correction for \(row.familyCount) comparisons (Holm), \(probabilities(row))"
                : comparison.verdict == .noDifferenceShown && comparison.reason == nil ? effect : ""
            return
                "\(row.candidate): \(primary.label) \(comparison.verdict.rawValue), \(times(comparison))\(ending)\(reason)."
        }
        let others = report.rows.filter {
            otherMetrics.contains($0.metric) && $0.comparison.verdict != .noDifferenceShown
        }
        lines += others.map {
            "\($0.candidate): \($0.metric.label) \($0.comparison.verdict.rawValue), \(times($0.comparison))"
                + ($0.holdsOnlyBeforeCorrection ? ", but only before the correction, \(probabilities($0))." : ".")
        }
        let decided = primaryRows.filter { $0.correctedVerdict != .noDifferenceShown }
        if decided.isEmpty {
            lines.insert("No difference in \(primary.label) is shown between the two runs.", at: 0)
        }
        return lines + [
            "What would change the answer: the configurations of both runs in one scenario, interleaved; only that takes the "
                + "machine's changes out."
        ]
    }

    // MARK: Words

    /// The one with the best ratio.
    private func best(of rows: [ComparisonRow]) -> ComparisonRow? {
        rows.max { a, b in
            let (left, right) = (a.comparison.ratio ?? 1, b.comparison.ratio ?? 1)
            return a.metric.isHigherBetter ? left < right : left > right
        }
    }

    /// `1.203 times the throughput of row (95 % interval 1.180 to 1.219)`, `at least 1.203 times (95 % bound 1.180)`.
    private func times(_ comparison: RatioComparison, of what: String = "") -> String {
        guard let ratio = comparison.ratio else { return "no ratio" }
        let factor = "\(readableRatio(ratio)) times" + (what.isEmpty ? "" : " \(what)")
        let bound = comparison.knowledge == .atLeast ? "at least " : comparison.knowledge == .atMost ? "at most " : ""
        guard let interval = comparison.interval else { return "\(bound)\(factor) (no interval)" }
        switch comparison.knowledge {
        case .exact, .none:
            return "\(factor) (95 % interval \(readableRatio(interval.low)) to \(readableRatio(interval.high)))"
        case .atLeast: return "\(bound)\(factor) (95 % bound \(readableRatio(interval.low)))"
        case .atMost: return "\(bound)\(factor) (95 % bound \(readableRatio(interval.high)))"
        }
    }

    /// `12.30 ms instead of 15.10`, `at least 1,000 executions/s instead of 500`.
    private func figures(_ comparison: RatioComparison, _ metric: Metric, _ baseline: String) -> String {
        guard let candidate = comparison.candidateMedian, let other = comparison.baselineMedian else {
            return "no figure"
        }
        let knowledge = comparison.knowledge
        return (knowledge == .atLeast || knowledge == .none ? "at least " : "")
            + "\(readable(candidate)) \(metric.unit) instead of "
            + (knowledge == .atMost || knowledge == .none ? "at least " : "") + readable(other)
    }

    /// `p 0.0312, corrected 0.0936`.
    private func probabilities(_ row: ComparisonRow) -> String {
        guard let own = row.comparison.pValue, let corrected = row.correctedPValue else { return "no p" }
        return "\(readableProbability(own)), corrected \(readableProbability(corrected).dropFirst(2))"
    }

    /// `corrected for 6 comparisons, p 0.0021`.
    private func correction(_ row: ComparisonRow) -> String {
        guard let corrected = row.correctedPValue else { return "not corrected" }
        return "corrected for \(row.familyCount) comparisons (Holm), \(readableProbability(corrected))"
    }

    private func list(_ items: [String]) -> String {
        guard let last = items.last else { return "any other" }
        return items.count == 1 ? last : items.dropLast().joined(separator: ", ") + " and " + last
    }
}
