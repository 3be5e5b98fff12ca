// A rate search with a system made of one rule instead of a database: which row it ends with, how long its probes are, and
// what it says of probes that show nothing.

import Allocations
import Measurement
import Model
import Report
import Testing

@testable import Scenario

@Suite struct RateProbesTests {
    private func probes(
        from: Double = 1000, to: Double = 4000, executions: Int64 = 1_000_000, probeSeconds: Double = 3
    ) -> RateProbes {
        RateProbes(
            load: ScenarioFile.SearchLoad(
                p99LimitMs: 50, lagLimitMs: 1000, lowRate: from, highRateLimit: to, precision: 0.1,
                probeSeconds: probeSeconds, through: .topic),
            executionsMaximum: executions, key: RunKey(configuration: "row", repetition: 1))
    }

    /// What a probe measured. Its last commit came `behindMs` after its last arrival.
    private func outcome(_ plan: RateProbes.Plan, p99Ms: Int64?, behindMs: Int64 = 0) -> CellOutcome {
        var row = RunRow(
            scenario: "s", competitor: .allocate(Configuration(name: "row", mode: .row)), repetition: 1, orderIndex: 1,
            partitions: 4,
            load: LoadSummary(model: "search", through: "topic", offeredRatePerSecond: plan.ratePerSecond))
        row.executions = plan.executions
        row.elapsedNanoseconds = 1_000_000_000
        row.timeToVisible = p99Ms.map {
            LatencySummary(
                p50: 1_000_000, p95: 2_000_000, p99: $0 * 1_000_000, p999: $0 * 1_000_000, max: $0 * 1_000_000)
        }
        var outcome = CellOutcome(row: row)
        outcome.finalTables = ["blocks": "1"]
        outcome.drainNanoseconds =
            plan.schedule.intendedArrival(sequence: plan.executions - 1, start: 0) + behindMs * 1_000_000
        return outcome
    }

    private func table(_ outcome: CellOutcome) -> [RunFields] {
        (outcome.tables[.probes] ?? []).map { RunFields(columns: ResultTable.probes.columnNames, fields: $0) }
    }

    @Test func `a rate that is found ends with the row of the probe that confirmed it`() throws {
        var said: [String] = []
        let found = try probes().search(
            measure: { plan in outcome(plan, p99Ms: plan.ratePerSecond <= 1500 ? 40 : 51) }, say: { said.append($0) })
        let rate = try #require(found.row.sustainedRatePerSecond)
        #expect(rate <= 1500 && rate > 1500 / 1.1)
        #expect(found.row.load.offeredRatePerSecond == rate && found.row.invalidReason == nil)
        #expect(found.finalTables.isEmpty)
        let rows = table(found)
        #expect(rows.map { $0["probe"] } == (1...rows.count).map(String.init))
        #expect(rows.suffix(3).map { $0["purpose"] } == ["confirm", "confirm", "above"])
        #expect(rows.last?["outcome"] == "failed" && rows.last?["reason"] == "p99 51.0 ms, the limit is 50.0 ms")
        #expect(said.count == rows.count && said.first == "probe 1, bracket: 1000/s held")
    }

    @Test func `that no rate holds is a valid result without a rate, with the row of the last probe`() throws {
        let nothing = try probes().search(measure: { outcome($0, p99Ms: 51) }, say: { _ in })
        #expect(nothing.row.sustainedRatePerSecond == nil && nothing.row.invalidReason == nil)
        #expect(nothing.row.verified)
        #expect(nothing.note?.hasPrefix("No rate was found: not even ") == true)
        let last = try #require(table(nothing).last)
        #expect(last.number("rate_per_s") == nothing.row.load.offeredRatePerSecond.map { ($0 * 10).rounded() / 10 })
        #expect(last["outcome"] == "failed")
    }

    @Test func `an unverified probe ends the search without a rate`() throws {
        var count = 0
        let wrong = try probes().search(
            measure: { plan in
                count += 1
                var probe = outcome(plan, p99Ms: 1)
                if count == 2 {
                    var tables = FirstTables()
                    _ = tables.check(["blocks": "1"], isTrusted: true)
                    probe.checks = [tables.check(["blocks": "2"], isTrusted: true)]
                }
                return probe
            }, say: { _ in })
        #expect(count == 2)
        #expect(!wrong.checks.isClean && !wrong.row.verified && wrong.row.sustainedRatePerSecond == nil)
        #expect(wrong.note == nil)
        #expect(table(wrong).map { $0["outcome"] } == ["held", "invalid"])
        #expect(table(wrong).last?["reason"] == "verification failed")
    }

    @Test func `every probe lasts as long, and none has more executions than there are`() throws {
        var plans: [RateProbes.Plan] = []
        // The workload's 6,001 executions are 2,000.33 a second for 3 s.
        let found = try probes(from: 100, to: 5000, executions: 6001).search(
            measure: { plan in
                plans.append(plan)
                return outcome(plan, p99Ms: 1)
            }, say: { _ in })
        #expect(plans.map(\.executions).max() == 6001)
        for plan in plans {
            let seconds = Double(plan.executions) / plan.ratePerSecond
            #expect(abs(seconds - 3) < 0.51 / plan.ratePerSecond, "\(plan)")
        }
        #expect(found.row.sustainedRatePerSecond == 6001.0 / 3)
        #expect(
            found.note?.contains("the highest rate allowed, holds the SLO, confirmed; the limit lies higher") == true)
        var low: [RateProbes.Plan] = []
        _ = try probes(from: 4000, to: 5000, executions: 3000).search(
            measure: { plan in
                low.append(plan)
                return outcome(plan, p99Ms: 1)
            }, say: { _ in })
        #expect(low.first?.ratePerSecond == 1000, "the first rate isn't above the highest")
    }

    @Test func `a probe that the generator couldn't keep up with bounds the search and makes the run invalid`() throws {
        let limited = try probes().search(
            measure: { plan in
                var probe = outcome(plan, p99Ms: 1)
                if plan.ratePerSecond > 1500 { probe.row.invalidReason = "the generator was late" }
                return probe
            }, say: { _ in })
        #expect(limited.row.invalidReason?.hasPrefix("Limited by the generator at ") == true)
        #expect(limited.row.sustainedRatePerSecond.map { $0 <= 1500 } == true)
        #expect(table(limited).contains { $0["outcome"] == "invalid" && $0["reason"] == "the generator was late" })
    }

    @Test func `a probe may be late by as much as is allowed and no more`() throws {
        let held = try probes().search(measure: { outcome($0, p99Ms: 50, behindMs: 1000) }, say: { _ in })
        #expect(held.row.sustainedRatePerSecond == 4000)
        let late = try probes().search(measure: { outcome($0, p99Ms: 50, behindMs: 1001) }, say: { _ in })
        #expect(late.row.sustainedRatePerSecond == nil)
        let first = try #require(table(late).first)
        #expect(first["behind_at_end_ms"] == "1001.0")
        #expect(first["reason"] == "1001.0 ms behind at the end, the limit is 1000.0 ms")
    }

    @Test func `a probe that is over before its warm-up ends the search, and isn't laid to the generator`() throws {
        var count = 0
        // The first probe misses the limit; half its rate is too few executions to outlast the warm-up.
        let short = try probes(from: 2, to: 10).search(
            measure: { plan in
                count += 1
                var probe = outcome(plan, p99Ms: count == 1 ? 51 : nil)
                if count == 2 { probe.row.invalidReason = "The run was over before its warm-up." }
                return probe
            }, say: { _ in })
        #expect(count == 2 && short.row.sustainedRatePerSecond == nil)
        #expect(
            short.note
                == "The probe of 1.0/s, 3 executions, was over before its warm-up, so nothing is known: lengthen probe_seconds, "
                + "shorten the warm-up or raise `from`.")
        #expect(short.row.invalidReason == short.note)
        #expect(table(short).last?["reason"] == "the probe was over before its warm-up")
    }
}

@Suite struct EmptyWindowTests {
    private func window(_ warmUp: WindowPlan.Extent, _ measured: WindowPlan.Extent?) -> MeasuredWindow {
        let window = MeasuredWindow(plan: WindowPlan(warmUp: warmUp, measured: measured), schedule: .backlog)
        window.begin(at: 1000)
        return window
    }

    @Test func `a window in which nothing was committed isn't one that never opened`() {
        let nothing =
            "Nothing was committed in the measured part, though there were commits after it: lengthen `measured`."
        let over =
            "The run was over before its warm-up, so nothing was measured: shorten the warm-up or lengthen the stream."
        // A cycle of 500 ms and 300 ms that are measured.
        #expect(window(.none, .seconds(0.3)).reasonForNothing(lastTime: 500_001_000, isByArrival: false) == nothing)
        #expect(window(.seconds(1), .seconds(0.3)).reasonForNothing(lastTime: 500_001_000, isByArrival: false) == over)
        #expect(
            window(.seconds(1), .seconds(0.3)).reasonForNothing(lastTime: 1_500_001_000, isByArrival: false) == nothing)
        let counted = window(.count(10), nil)
        #expect(counted.reasonForNothing(lastTime: 5000, isByArrival: false) == over, "it never opened")
        _ = counted.commit(count: 10, at: 6000)
        #expect(counted.reasonForNothing(lastTime: 6000, isByArrival: false) == over, "its last commit opened it")
        #expect(
            window(.seconds(1), .seconds(0.1)).reasonForNothing(lastTime: 2_000_001_000, isByArrival: true)
                == "No execution was due in the measured part, so nothing was measured: lengthen `measured`.")
        let whole = MeasuredWindow(plan: .everything, schedule: .backlog)
        #expect(whole.reasonForNothing(lastTime: 0, isByArrival: false) == "The run had nothing to process.")
    }
}
