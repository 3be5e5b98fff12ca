// From runs to rows, table and recommendation. Goal: what was left out is told, and nothing is recommended that wasn't
// shown.

import Diagnostics
import Statistics
import Testing

@testable import Report

/// Five repetitions of a configuration: `noise` moves each of them, another way for each configuration.
func comparedRuns(
    _ configuration: String, throughput: Double, p99Ms: Double = 20, walBytes: Double? = nil,
    noise: [Double] = [1.00, 1.01, 0.99, 1.02, 0.98]
) -> [ComparedRun] {
    noise.enumerated().map { index, factor in
        var metrics = ["executions_per_s": throughput * factor, "time_to_visible_p99_ms": p99Ms / factor]
        metrics["wal_bytes_per_execution"] = walBytes.map { $0 * factor }
        return ComparedRun(configuration: configuration, repetition: index + 1, metrics: metrics)
    }
}

private let otherNoise = [0.99, 1.00, 1.01, 0.98, 1.02]

@Suite struct ComparedRunTests {
    private func fields(_ cells: [String: String]) -> RunFields {
        RunFields(columns: Array(cells.keys), fields: Array(cells.values))
    }

    private let cells = [
        "format_version": "2", "configuration": "c8", "repetition": "3", "verified": "true", "executions": "20000",
        "executions_per_s": "1234.5", "time_to_visible_p99_ms": "", "database_cpu_s": "3.000", "mode": "concurrent",
    ]

    @Test func `a row of runs.csv gives its figures by name, and empty ones not at all`() throws {
        let run = try ComparedRun(fields(cells), source: "runs.csv", line: 2)
        #expect(run.configuration == "c8" && run.repetition == 3 && run.isVerified)
        #expect(run.isValid, "versions without the column marked nothing")
        // 3 s for 20,000 executions are 150 µs for each.
        #expect(
            run.metrics == ["executions_per_s": 1234.5, "database_cpu_us_per_execution": 3.0 / 20_000 * 1e6])
        var routing = cells
        routing["executions"] = ""
        routing["requests_per_s"] = "70.5"
        #expect(try ComparedRun(fields(routing), source: "r").metrics["database_cpu_s"] == 3)
        var invalid = cells
        invalid["validity"] = "invalid"
        #expect(try !ComparedRun(fields(invalid), source: "r").isValid)
    }

    @Test(
        arguments: [
            ("configuration", "", "the name of a configuration"), ("repetition", "0", "a whole number from 1"),
            ("repetition", "one", "a whole number from 1"), ("verified", "yes", "true or false"),
            ("validity", "maybe", "valid or invalid"), ("executions_per_s", "fast", "a number from 0"),
            ("executions_per_s", "-1", "a number from 0"), ("executions", "nan", "a number from 0"),
        ]) func `a field that isn't what its column holds is named`(field: String, value: String, expected: String)
    {
        var wrong = cells
        wrong[field] = value
        let fault = #expect(throws: InputFault.self) { try ComparedRun(fields(wrong), source: "a/runs.csv", line: 7) }
        #expect(fault?.description == "a/runs.csv:7: \(field): \"\(value)\": expected \(expected)")
    }
}

@Suite struct ComparisonReportTests {
    @Test func `every configuration is compared with the first, throughput first`() {
        let report = ComparisonReport(
            comparedRuns("row", throughput: 1000, walBytes: 2000)
                + comparedRuns("c8", throughput: 2000, walBytes: 900, noise: otherNoise)
                + comparedRuns("batch", throughput: 1500, noise: otherNoise), load: .backlog)
        #expect(report.primary?.name == "executions_per_s")
        #expect(
            report.rows.map { "\($0.baseline) \($0.candidate) \($0.metric.name)" } == [
                "row c8 executions_per_s", "row c8 time_to_visible_p99_ms", "row c8 wal_bytes_per_execution",
                "row batch executions_per_s", "row batch time_to_visible_p99_ms",
            ])
        #expect(report.rows.map(\.comparison.verdict).prefix(3) == [.better, .noDifferenceShown, .better])
        let other = ComparisonReport(
            comparedRuns("row", throughput: 1000) + comparedRuns("c8", throughput: 2000), load: .backlog, baseline: "c8"
        )
        #expect(other.rows.first?.baseline == "c8" && other.rows.first?.candidate == "row")
        #expect(other.rows.first?.comparison.verdict == .worse)
    }

    @Test func `what decides depends on how the executions came`() {
        let runs = comparedRuns("row", throughput: 1000) + comparedRuns("c8", throughput: 2000)
        #expect(ComparisonReport(runs, load: .open).primary?.name == "time_to_visible_p99_ms")
        // A search without its own figure has nothing to go by.
        #expect(ComparisonReport(runs, load: .search).primary?.name == "sustained_rate_per_s")
        let searched = runs.map {
            var run = $0
            run.metrics["sustained_rate_per_s"] = 500
            return run
        }
        #expect(ComparisonReport(searched, load: .search).primary?.name == "sustained_rate_per_s")
        let routing = ["set", "events"].map {
            ComparedRun(configuration: $0, repetition: 1, metrics: ["requests_per_s": 10])
        }
        #expect(ComparisonReport(routing, load: .backlog).primary?.name == "requests_per_s")
    }

    @Test func `the throughput of an open load decides nothing and is in no comparison`() {
        let report = ComparisonReport(
            comparedRuns("row", throughput: 1500, walBytes: 2000)
                + comparedRuns("cycle", throughput: 1569, p99Ms: 40, walBytes: 2000, noise: otherNoise), load: .open)
        #expect(report.rows.map(\.metric.name) == ["time_to_visible_p99_ms", "wal_bytes_per_execution"])
        #expect(report.rows[0].comparison.verdict == .worse)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == "row" && !recommendation.text.contains("throughput"))
        let text = ComparisonTable(report, showsAllMetrics: true).text
        #expect(!text.contains("throughput, executions/s"))
        #expect(
            text.contains(
                "The throughput isn't compared: under an open load it is the rate at which executions arrived.\n"))
    }

    @Test func `invalid and unverified runs are in no comparison, and told`() {
        var runs = comparedRuns("row", throughput: 1000) + comparedRuns("c8", throughput: 2000)
        runs[1].isValid = false
        runs[8].isVerified = false
        runs[9].isVerified = false
        runs[9].isValid = false
        let report = ComparisonReport(runs, load: .backlog)
        #expect(report.rows[0].comparison.pairs.map(\.repetition) == [1, 3])
        #expect(report.rows[0].comparison.unpairedRepetitions == [2, 4, 5])
        #expect(report.leftOut == ["1 invalid run of row", "2 unverified runs of c8"])
        let text = ComparisonTable(report).text
        #expect(text.contains("Left out: 1 invalid run of row, 2 unverified runs of c8.\n"))
        #expect(text.contains("Left out for want of a partner, by repetition: c8 2, 4, 5.\n"))
        #expect(report.rows[0].note.hasSuffix("; left out for want of a partner: repetition 2, 4, 5"))
    }

    @Test func `a configuration without any valid run still has its line`() {
        let runs =
            comparedRuns("row", throughput: 1000)
            + comparedRuns("c8", throughput: 2000).map {
                var run = $0
                run.isVerified = false
                return run
            }
        let report = ComparisonReport(runs, load: .backlog)
        #expect(report.rows.count == 1)
        #expect(report.rows[0].comparison.reason == "no interval: no repetition has a figure on both sides")
        #expect(Recommendation(report).configuration == nil)
    }

    @Test func `two runs are compared configuration by configuration`() {
        let report = ComparisonReport(
            baselineRuns: comparedRuns("row", throughput: 1000) + comparedRuns("old", throughput: 1),
            named: "monday",
            candidateRuns: comparedRuns("new", throughput: 1)
                + comparedRuns("row", throughput: 900, noise: otherNoise), named: "tuesday", load: .backlog)
        #expect(
            report.rows.map { "\($0.baseline) \($0.candidate)" } == [
                "monday/row tuesday/row", "monday/row tuesday/row",
            ])
        #expect(report.rows[0].comparison.verdict == .worse)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == nil)
        #expect(recommendation.lines[0].hasPrefix("tuesday/row: throughput worse, 0.900 times (95 % interval 0.8"))
        #expect(ComparisonTable(report).text.contains("The runs were not interleaved"))
    }

    @Test func `the table shows each metric with its direction, and the numbers to the right`() {
        let report = ComparisonReport(
            comparedRuns("row", throughput: 1000, noise: [1, 1.01, 0.99, 1, 1])
                + comparedRuns("concurrent-8", throughput: 1200, noise: [1.01, 1, 1, 0.99, 1]), load: .backlog)
        let lines = ComparisonTable(report).text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(
            lines[0] == "                baseline  candidate  ratio  95 % interval  detectable     CV  verdict",
            "\(lines[0])")
        #expect(lines[1] == "throughput, executions/s, more is better, against row")
        #expect(
            lines[2]
                == "  concurrent-8     1,000      1,200  1.200    1.185-1.215       1.7 %  0.7 %  better, 4 outliers",
            "\(lines[2])")
        #expect(lines[3] == "p99 time-to-visible, ms, less is better, against row")
        #expect(
            lines[6]
                == "Baseline and candidate: medians of 5 paired repetitions. Ratio: not of these medians, but the geometric mean of "
                + "the repetitions' own ratios candidate / baseline, so that what disturbed both sides of a repetition cancels "
                + "out; its 95 % interval is t on log ratios.")
        #expect(!lines.contains { $0.contains("Holm") }, "one comparison has nothing to be corrected for")
        let alone = ComparisonReport(comparedRuns("row", throughput: 1000), load: .backlog)
        #expect(ComparisonTable(alone).text == "No comparison: row has no other configuration beside it.\n")
    }

    @Test func `comparisons.csv has its published columns, each with a meaning`() {
        #expect(
            ComparisonRow.columnNames == [
                "format_version", "baseline", "candidate", "metric", "unit", "higher_is_better", "repetitions_paired",
                "baseline_median", "candidate_median", "ratio", "ratio_low", "ratio_high", "p_value", "p_value_holm",
                "min_detectable_effect", "baseline_cv", "candidate_cv", "outliers", "verdict", "note",
            ])
        #expect(ComparisonRow.columns.allSatisfy { !$0.meaning.isEmpty })
        #expect(Set(Metric.all.map(\.name)).count == Metric.all.count)
        guard let throughput = Metric.named("executions_per_s") else {
            Issue.record("no throughput")
            return
        }
        let row = ComparisonRow(
            baseline: "row", candidate: "c8", metric: throughput,
            comparison: RatioComparison(
                baseline: [1: 100, 2: 104, 3: 98, 4: 101, 5: 97, 6: 1],
                candidate: [1: 120, 2: 126, 3: 117, 4: 119, 5: 118], isHigherBetter: true))
        // The figures are SciPy's; see RatioComparisonTests.
        #expect(
            row.fields == [
                "2", "row", "c8", "executions_per_s", "executions/s", "true", "5", "100.000000", "119.000000", "1.1999",
                "1.1813", "1.2189", "0.000006", "0.000006", "0.0212", "0.0274", "0.0295", "1", "better",
                "left out for want of a partner: repetition 6; outliers, not dropped: candidate repetition 2 with 126.0",
            ])
        let single = ComparisonRow(
            baseline: "row", candidate: "c8", metric: throughput,
            comparison: RatioComparison(baseline: [100], candidate: [120], isHigherBetter: true))
        #expect(
            single.fields.dropFirst(6) == [
                "1", "100.000000", "120.000000", "1.2000", "", "", "", "", "", "", "", "0", "no difference shown",
                "no interval: one pair of repetitions shows no spread",
            ])
    }
}

@Suite struct RecommendationTests {
    @Test func `a clear winner is named with its interval, its costs and what would change the answer`() {
        let report = ComparisonReport(
            comparedRuns("row", throughput: 1000, p99Ms: 20, walBytes: 2000)
                + comparedRuns("c8", throughput: 2000, p99Ms: 30, walBytes: 1000, noise: otherNoise)
                + comparedRuns("batch", throughput: 1500, p99Ms: 90, walBytes: 500, noise: otherNoise), load: .backlog)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == "c8")
        let lines = recommendation.lines
        #expect(
            lines[0].hasPrefix("Recommended: c8. It has 2.000 times the throughput of row (95 % interval 1.9"),
            "\(lines[0])")
        #expect(
            lines[0].hasSuffix(
                ", 2,000 executions/s instead of 1,000, in 5 repetitions; corrected for 2 comparisons (Holm), p < 0.0001."
            ),
            "\(lines[0])")
        #expect(lines.contains("What it costs or saves against row:"))
        #expect(lines.contains { $0.hasPrefix("- p99 time-to-visible: 30.00 ms instead of 20.00: worse, 1.500 times") })
        #expect(
            lines.contains { $0.hasPrefix("- WAL per execution: 1,000 bytes instead of 2,000: better, 0.500 times") })
        #expect(lines.contains("Not measured: database CPU."))
        #expect(
            lines.contains { $0.hasPrefix("- if p99 time-to-visible counts most: row, with 0.667 times that of c8") })
        #expect(
            lines.contains { $0.hasPrefix("- if WAL per execution counts most: batch, with 0.500 times that of c8") })
        #expect(lines.contains { $0.contains("measure it with an open load") })
        #expect(!lines.contains { $0.contains("more repetitions") })
    }

    @Test func `where nothing differs it recommends nothing`() {
        let report = ComparisonReport(
            comparedRuns("row", throughput: 1000) + comparedRuns("twin", throughput: 1010, noise: otherNoise),
            load: .backlog)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == nil)
        #expect(
            recommendation.lines[0]
                == "No recommendation: no difference in throughput is shown between row and twin, so these repetitions don't "
                + "speak for any of them.")
        #expect(
            recommendation.lines.contains { $0.hasPrefix("- more repetitions: against row, differences in throughput") }
        )
        #expect(
            recommendation.lines.contains {
                $0.contains("repetitions would show the differences seen, if they are real")
            })
        #expect(!recommendation.text.contains("Recommended"))
    }

    @Test func `a lead over the second best that wasn't shown is said to be none`() {
        let report = ComparisonReport(
            comparedRuns("row", throughput: 1000) + comparedRuns("c8", throughput: 2010, noise: otherNoise)
                + comparedRuns("adaptive", throughput: 2000), load: .backlog)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == "c8")
        #expect(
            recommendation.lines.contains(
                "No difference in throughput is shown between c8 and adaptive: choose among them by what they cost."))
    }

    @Test func `where all others are worse the baseline stays`() {
        let report = ComparisonReport(
            comparedRuns("row", throughput: 1000) + comparedRuns("slow", throughput: 800, noise: otherNoise),
            load: .backlog)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == "row")
        #expect(
            recommendation.lines[0].hasPrefix(
                "Recommended: row, the baseline. In throughput every other one is worse: slow has 0.800 times (95 %"))
    }

    @Test func `a single repetition recommends nothing, however large the difference`() {
        let report = ComparisonReport(
            comparedRuns("row", throughput: 1000, noise: [1]) + comparedRuns("c8", throughput: 9000, noise: [1]),
            load: .backlog)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == nil)
        #expect(recommendation.lines.contains("Note: no interval: one pair of repetitions shows no spread."))
        #expect(recommendation.lines.contains { $0.hasPrefix("- two repetitions or more") })
    }

    @Test func `under an open load latency decides`() {
        let report = ComparisonReport(
            comparedRuns("batch", throughput: 1000, p99Ms: 90)
                + comparedRuns("c8", throughput: 1000, p99Ms: 30, noise: otherNoise), load: .open)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == "c8")
        #expect(
            recommendation.lines[0].hasPrefix("Recommended: c8. It has 0.333 times the p99 time-to-visible of batch"))
        #expect(!recommendation.text.contains("measure it with an open load"))
    }

    // MARK: Many comparisons

    /// Figures whose log ratios to a baseline of 1000 are `mean` and spread by `spread` on either side: p is known.
    private func spread(_ name: String, mean: Double, _ deviations: [Double]) -> [ComparedRun] {
        deviations.enumerated().map { index, deviation in
            ComparedRun(
                configuration: name, repetition: index + 1, metrics: ["executions_per_s": 1000 * (mean + deviation)])
        }
    }

    @Test func `a difference that is one of many isn't asserted, and is told as such`() {
        // Alone, 6 % above with this spread has p 0.02; of four comparisons the smallest must be below 0.0125.
        let noise = [0.03, -0.03, 0.01, -0.01, 0.02]
        let runs =
            spread("row", mean: 1, [0, 0, 0, 0, 0]) + spread("lucky", mean: 1.035, noise)
            + ["a", "b", "c"].flatMap { spread($0, mean: 1, noise.reversed()) }
        let alone = Recommendation(ComparisonReport(Array(runs.prefix(10)), load: .backlog))
        #expect(alone.configuration == "lucky", "\(alone.text)")
        #expect(alone.lines[0].hasSuffix("in 5 repetitions."), "\(alone.lines[0])")
        let report = ComparisonReport(runs, load: .backlog)
        #expect(report.rows[0].comparison.verdict == .better && report.rows[0].correctedVerdict == .noDifferenceShown)
        #expect(report.rows[0].familyCount == 4)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == nil)
        #expect(
            recommendation.lines.contains {
                $0.hasPrefix(
                    "Only before the correction for 4 comparisons (Holm), so not taken as shown: lucky is better (p 0.0"
                )
            }, "\(recommendation.text)")
        #expect(
            recommendation.lines.contains(
                "- more repetitions, or a scenario of fewer configurations: what holds only before the correction."))
        let text = ComparisonTable(report).text
        #expect(text.contains("better"), "the table keeps its own verdict")
        #expect(
            text.contains(
                "Each verdict is that of its own interval; corrected for the number of comparisons of their metric (Holm, up to 4), "
                    + "these no longer hold: throughput of lucky.\n"), "\(text)")
        #expect(report.rows[0].fields[13] == decimal((report.rows[0].comparison.pValue ?? 0) * 4, decimals: 6))
    }

    @Test func `between two runs a verdict that is one of many is told as such`() {
        let names = ["lucky", "a", "b", "c"]
        let noise = [0.03, -0.03, 0.01, -0.01, 0.02]
        let report = ComparisonReport(
            baselineRuns: names.flatMap { spread($0, mean: 1, [0, 0, 0, 0, 0]) }, named: "monday",
            candidateRuns: names.flatMap { spread($0, mean: $0 == "lucky" ? 1.035 : 1, noise) }, named: "tuesday",
            load: .backlog)
        let lines = Recommendation(report).lines
        #expect(lines[0] == "No difference in throughput is shown between the two runs.", "\(lines)")
        #expect(lines[1].hasPrefix("tuesday/lucky: throughput better, 1.039 times (95 % interval 1."), "\(lines)")
        #expect(
            lines[1].contains(
                "), but only before the correction for 4 comparisons (Holm), p 0.0217, corrected 0.0868."),
            "\(lines)")
    }

    @Test func `what chance would show is told of the table, in true numbers`() {
        let runs = ["row", "a", "b", "c", "d", "e"].flatMap { comparedRuns($0, throughput: 1000, walBytes: 5) }
        let lines = Recommendation(ComparisonReport(runs, load: .backlog)).lines
        #expect(
            lines.contains(
                "- chance: what is asserted here is corrected for the number of comparisons in its metric, the table isn't: "
                    + "between equals, 0.8 of its 15 comparisons, all metrics counted, would show a difference on average."
            ),
            "\(lines)")
    }

    // MARK: Searches

    /// Three repetitions of a search that found `rate`, as a limit or as the least that it may be.
    private func search(_ name: String, rate: Double, isLowerBound: Bool) -> [ComparedRun] {
        [1.0, 1.01, 0.99].enumerated().map { index, noise in
            ComparedRun(
                configuration: name, repetition: index + 1,
                metrics: ["sustained_rate_per_s": rate * noise, "executions_per_s": rate * noise],
                isRateLowerBound: isLowerBound)
        }
    }

    @Test func `only the rates of a search are compared, whatever else its rows hold`() {
        let runs = (search("row", rate: 1000, isLowerBound: false) + search("c8", rate: 2000, isLowerBound: false)).map
        {
            var run = $0
            run.metrics["time_to_visible_p99_ms"] = 40
            run.metrics["wal_bytes_per_execution"] = 900
            return run
        }
        let report = ComparisonReport(runs, load: .search)
        #expect(report.rows.map(\.metric.name) == ["sustained_rate_per_s"])
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == "c8")
        #expect(
            recommendation.text.contains("What it costs isn't compared: every other figure of a search is of a probe"))
        #expect(!recommendation.text.contains("WAL") && !recommendation.text.contains("Not measured"))
        #expect(ComparisonTable(report).text.contains("Only the sustained rate is compared"))
    }

    @Test func `a configuration with a search that found no rate has no ratio, whatever the others found`() {
        var lucky = search("c8", rate: 3000, isLowerBound: false)
        lucky[1].metrics["sustained_rate_per_s"] = nil
        let runs =
            search("row", rate: 1000, isLowerBound: false) + lucky + search("adaptive", rate: 2000, isLowerBound: false)
        let report = ComparisonReport(runs, load: .search)
        #expect(report.rows.map(\.candidate) == ["c8", "adaptive"])
        let left = report.rows[0]
        #expect(
            left.comparison.ratio == nil && left.comparison.pairs.isEmpty
                && left.comparison.verdict == .noDifferenceShown)
        #expect(left.note == "c8 has no rate in repetition 2")
        let text = ComparisonTable(report).text
        #expect(text.contains("Left out: c8 (no rate in repetition 2).\n"), "\(text)")
        #expect(!text.contains("want of a partner"))
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == "adaptive")
        #expect(recommendation.text.contains("Note: adaptive and c8: c8 has no rate in repetition 2.\n"))
        #expect(!recommendation.text.contains("is shown between adaptive and c8"))
        #expect(recommendation.text.contains("- searches that find a rate in every repetition"))
        #expect(!recommendation.text.contains("two repetitions or more"))
        // Without a rate of the baseline nobody has a ratio.
        let other = ComparisonReport(runs, load: .search, baseline: "c8")
        #expect(other.rows.allSatisfy { $0.comparison.ratio == nil })
        #expect(Recommendation(other).configuration == nil)
        #expect(Recommendation(other).text.contains("Note: c8 has no rate in repetition 2.\n"))
        // An invalid search is left out by its repetition, as any invalid run.
        lucky[1].isValid = false
        let valid = ComparisonReport(search("row", rate: 1000, isLowerBound: false) + lucky, load: .search)
        #expect(valid.rows[0].comparison.pairs.map(\.repetition) == [1, 3])
    }

    @Test func `a difference between two lower bounds is none`() {
        let report = ComparisonReport(
            search("row", rate: 1000, isLowerBound: true) + search("c8", rate: 2000, isLowerBound: true), load: .search)
        #expect(report.rows.count == 1 && report.rows.allSatisfy { $0.comparison.verdict == .noDifferenceShown })
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == nil)
        #expect(
            recommendation.text.contains("Note: no ratio: the baseline's figure is a lower bound in repetition 1, 2, 3")
        )
        #expect(recommendation.text.contains("- searches that meet a rate which fails"))
        #expect(!recommendation.text.contains("two repetitions or more"))
        let text = ComparisonTable(report).text
        #expect(text.contains("≥1,000     ≥2,000      -              -"), "\(text)")
        #expect(
            text.contains(
                "≥: at least, not confirmed from above: no higher rate failed for row in repetition 1, 2, 3; c8"))
        #expect(Array(report.rows[0].fields[9...13]) == ["", "", "", "", ""])
    }

    @Test func `a lower bound above a limit is better by at least so much`() {
        let report = ComparisonReport(
            search("row", rate: 1000, isLowerBound: false) + search("c8", rate: 2000, isLowerBound: true)
                + search("adaptive", rate: 3000, isLowerBound: true), load: .search)
        let recommendation = Recommendation(report)
        #expect(recommendation.configuration == "adaptive")
        #expect(
            recommendation.lines[0].hasPrefix(
                "Recommended: adaptive. It has at least 3.000 times the sustained rate of row (95 % bound "),
            "\(recommendation.text)")
        #expect(recommendation.lines[0].contains(", at least 3,000 executions/s instead of 1,000, in 3 repetitions"))
        #expect(
            recommendation.lines.contains(
                "No difference in sustained rate is shown between adaptive and c8."))
        #expect(recommendation.text.contains("Note: adaptive and c8: no ratio: "))
        #expect(ComparisonTable(report).text.contains("≥3.000"))
        let other = ComparisonReport(
            search("row", rate: 2000, isLowerBound: false) + search("c8", rate: 1000, isLowerBound: true), load: .search
        )
        #expect(other.rows[0].comparison.verdict == .noDifferenceShown)
        #expect(Recommendation(other).configuration == nil)
    }
}
