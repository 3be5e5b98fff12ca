// Gates by rows of runs.csv: which figure a gate goes by, and what it says of a search that found no rate.

import Measurement
import Report
import Statistics
import Testing

@testable import Scenario

@Suite struct GateRuleTests {
    private static let open = ScenarioFile.Load.open(
        ScenarioFile.OpenLoad(schedule: .uniform(ratePerSecond: 1500), through: .topic))
    private static let search = ScenarioFile.Load.search(
        ScenarioFile.SearchLoad(
            p99LimitMs: 50, lagLimitMs: 1000, lowRate: 500, highRateLimit: 4000, precision: 0.05, probeSeconds: 5,
            through: .topic))

    /// The figures of three repetitions; an empty text is no figure.
    private func runs(_ name: String, p99Ms: [String], throughput: [String], rate: [String] = ["", "", ""])
        -> [RunFields]
    {
        (0..<3).map { index in
            RunFields(
                columns: [
                    "configuration", "repetition", "verified", "validity", "executions_per_s", "time_to_visible_p99_ms",
                    "sustained_rate_per_s",
                ],
                fields: [name, String(index + 1), "true", "valid", throughput[index], p99Ms[index], rate[index]])
        }
    }

    private func judge(
        _ rule: ScenarioFile.GateRule.Rule, _ runs: [RunFields], _ load: ScenarioFile.Load
    ) -> GateResult? {
        ScenarioFile.GateRule.judge(
            [ScenarioFile.GateRule(configuration: "c8", rule: rule)], by: runs, configurations: ["row", "c8"],
            load: load
        ).first
    }

    @Test func `at a fixed rate a ratio is of the p99, unless the metric is named`() {
        let given =
            runs("row", p99Ms: ["20", "21", "20"], throughput: ["1500", "1501", "1500"])
            + runs("c8", p99Ms: ["10", "10.2", "9.9"], throughput: ["1500", "1500", "1501"])
        #expect(judge(.minRatio(to: "row", ratio: 1.5, metric: nil), given, Self.open)?.outcome == .pass)
        let named = judge(.minRatio(to: "row", ratio: 1.5, metric: .executionsPerSecond), given, Self.open)
        #expect(named?.outcome == .fail)
        #expect(judge(.minExecutionsPerSecond(1400), given, Self.open)?.outcome == .pass)
        #expect(judge(.minExecutionsPerSecond(1600), given, Self.open)?.outcome == .fail)
        // A backlog's ratio is of the throughput.
        #expect(judge(.minRatio(to: "row", ratio: 1.5, metric: nil), given, .backlog)?.outcome == .fail)
    }

    @Test(arguments: [
        ScenarioFile.GateRule.Rule.maxP99Ms(100), .minExecutionsPerSecond(10),
        .minRatio(to: "row", ratio: 0.5, metric: nil),
    ])
    func `a search without a rate in one repetition misses every gate on it`(rule: ScenarioFile.GateRule.Rule) {
        func given(_ rate: String) -> [RunFields] {
            runs("row", p99Ms: ["20", "20", "20"], throughput: ["90", "91", "90"], rate: ["90", "91", "90"])
                + runs("c8", p99Ms: ["20", "60", "20"], throughput: ["90", "90", "91"], rate: ["90", rate, "91"])
        }
        #expect(judge(rule, given("90"), Self.search)?.outcome == .pass)
        let missed = judge(rule, given(""), Self.search)
        #expect(missed?.outcome == .fail)
        #expect(missed?.sentence == "c8: missed, the search found no rate in repetition 2.")
    }

    @Test func `by another configuration without a rate nothing is decided`() {
        let given =
            runs("row", p99Ms: ["20", "20", "20"], throughput: ["90", "91", "90"], rate: ["90", "", ""])
            + runs("c8", p99Ms: ["20", "20", "20"], throughput: ["90", "90", "91"], rate: ["90", "90", "91"])
        let result = judge(.minRatio(to: "row", ratio: 0.5, metric: nil), given, Self.search)
        #expect(result?.outcome == .undecided)
        #expect(result?.sentence == "c8 by row: undecided, row has no rate in repetition 2, 3.")
    }
}
