// The table a run ends with, for fixed rows. Goal: the exact text, and no speed where there is none.

import Model
import Testing

@testable import Report

private let row = Configuration(name: "row", mode: .row)
private let concurrent = Configuration(name: "concurrent-8", mode: .concurrent, workers: 8)
private let batch = Configuration(name: "batch-128", mode: .batch)

private let comparison = """
    configuration  executions/s        min-max  p50 ms  p95 ms  p99 ms  max ms  transactions  retries  verified
    concurrent-8         45,000  40,000-50,000    0.70    3.50    7.00     350         1,250        3  yes
    batch-128            22,500  20,000-25,000    6.00    30.0    60.0   3,000         1,250        3  yes
    row                   1,125    1,000-1,250    90.0     450     900  45,000         1,250        3  yes

    Medians of 2 repetitions; milliseconds are time-to-visible, and of two middle ones the worse.
    Harness: 25 % of the processor time that it and the database took, peak memory 124 MB.

    """

private let failure = """
    configuration  executions/s      min-max  p50 ms  p95 ms  p99 ms  max ms  transactions  retries  verified
    row                   1,000  1,000-1,000    3.00    15.0    30.0   1,500         1,250        3  yes
    batch-128            FAILED            -       -       -       -       -         1,250        3  FAILED

    Medians of 2 repetitions; milliseconds are time-to-visible, and of two middle ones the worse.
    FAILED verification, so without a result: batch-128; see verify.csv.
    Harness: 25 % of the processor time that it and the database took, peak memory 124 MB.

    """

@Suite struct TerminalTableTests {
    @Test func `configurations stand by throughput`() {
        let rows = [
            makeFields(row, repetition: 1, executionsPerSecond: 1000, p99Ms: 900),
            makeFields(batch, repetition: 1, executionsPerSecond: 20_000, p99Ms: 60),
            makeFields(concurrent, repetition: 1, executionsPerSecond: 40_000, p99Ms: 7),
            makeFields(concurrent, repetition: 2, executionsPerSecond: 50_000, p99Ms: 5),
            makeFields(batch, repetition: 2, executionsPerSecond: 25_000, p99Ms: 50),
            makeFields(row, repetition: 2, executionsPerSecond: 1250, p99Ms: 800),
        ]
        #expect(
            TerminalTable(rows).text == comparison)
    }

    @Test func `a configuration with one failed verification has no throughput`() {
        let rows = [
            makeFields(batch, repetition: 1, executionsPerSecond: 50_000),
            makeFields(batch, repetition: 2, executionsPerSecond: 50_000, verified: false),
            makeFields(row, repetition: 1, executionsPerSecond: 1000),
            makeFields(row, repetition: 2, executionsPerSecond: 1000),
        ]
        #expect(
            TerminalTable(rows).text == failure)
    }

    @Test func `one repetition is said to show no spread`() {
        let text = TerminalTable([makeFields(row), makeFields(batch, executionsPerSecond: 3000)]).text
        #expect(text.contains("Medians of 1 repetition; "))
        #expect(text.contains("\nA single repetition shows no spread: repeat before trusting a difference.\n"))
    }

    @Test func `a schedule lag that is much of a p99 is told beside it, and the run still counts`() {
        func row(_ configuration: Configuration, lagNs: Int64, invalidReason: String? = nil) -> RunFields {
            var row = makeRow(configuration, executionsPerSecond: 1000, p99Ms: 4)
            row.scheduleLagP99Nanoseconds = lagNs
            row.invalidReason = invalidReason
            return RunFields(row)
        }
        let rows = [row(batch, lagNs: 410_000), row(concurrent, lagNs: 400_000)]
        let text = TerminalTable(rows, ranking: .timeToVisibleP99).text
        #expect(text.contains("so a part of that is the harness's: batch-128, repetition 1 (0.410 of 4.000 ms).\n"))
        #expect(!text.contains("INVALID"))
        let invalid = TerminalTable([row(batch, lagNs: 6_000_000, invalidReason: "late")]).text
        #expect(!invalid.contains("a tenth of the p99"), "its reason says it already")
    }

    @Test func `at a fixed rate the lowest p99 wins`() {
        let rows = [
            makeFields(batch, repetition: 1, executionsPerSecond: 1001, p99Ms: 40),
            makeFields(batch, repetition: 2, executionsPerSecond: 1001, p99Ms: 42),
            makeFields(concurrent, repetition: 1, executionsPerSecond: 1000, p99Ms: 4),
            makeFields(concurrent, repetition: 2, executionsPerSecond: 1000, p99Ms: 6),
            makeFields(row, repetition: 1, executionsPerSecond: 1000, p99Ms: 60),
            makeFields(row, repetition: 2, executionsPerSecond: 1000, p99Ms: 60),
        ]
        let text = TerminalTable(rows, ranking: .timeToVisibleP99).text
        let names = text.split(separator: "\n")[1...3].compactMap { $0.split(separator: " ").first }
        #expect(names == ["concurrent-8", "batch-128", "row"])
    }

    /// Of an open load at 1,500 a second.
    private func open(
        _ configuration: Configuration, repetition: Int = 1, rate: Int64, lagMs: Int64
    ) -> RunFields {
        var row = makeRow(configuration, repetition: repetition, executionsPerSecond: rate)
        row.load = LoadSummary(model: "open", through: "topic", offeredRatePerSecond: 1500)
        row.lagMaxNanoseconds = lagMs * 1_000_000
        return RunFields(row)
    }

    @Test func `of an open load the table has the rate that was offered, and who kept up with it`() {
        let text = TerminalTable(
            [
                // More than was offered: what was under way when the warm-up ended.
                open(batch, rate: 1569, lagMs: 400), open(batch, repetition: 2, rate: 1400, lagMs: 900),
                open(row, rate: 900, lagMs: 4000), open(row, repetition: 2, rate: 1499, lagMs: 4000),
                open(concurrent, rate: 900, lagMs: 1001), open(concurrent, repetition: 2, rate: 1424, lagMs: 5000),
            ], ranking: .timeToVisibleP99
        ).text
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines[0].hasPrefix("configuration  offered/s  kept up  p50 ms"), "\(text)")
        #expect(lines[1].hasPrefix("batch-128          1,500      yes "), "\(text)")
        #expect(lines[2].hasPrefix("row                1,500   1 of 2 "), "\(text)")
        #expect(lines[3].hasPrefix("concurrent-8       1,500       no "), "\(text)")
        #expect(
            text.contains("Kept up: not where less than 95 % of the offered rate was committed and an execution was"))
        #expect(!text.contains("1,569"))
    }

    @Test func `a search that found no rate in a repetition has no median and stands last`() {
        func search(_ configuration: Configuration, _ repetition: Int, _ rate: Double?) -> RunFields {
            var row = makeRow(configuration, repetition: repetition, executionsPerSecond: 900)
            row.sustainedRatePerSecond = rate
            return RunFields(row)
        }
        let rows = [
            search(batch, 1, 9000), search(batch, 2, nil), search(row, 1, 900), search(row, 2, 910),
        ]
        let text = TerminalTable(rows, ranking: .sustainedRate).text
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines[1].hasPrefix("row                    905  900-910 "), "\(text)")
        #expect(lines[2].hasPrefix("batch-128          NO RATE        -       -       -       -       - "), "\(text)")
        #expect(text.contains("\nNO RATE was found for batch-128 in repetition 2, so it has no median.\n"))
        #expect(text.contains("are of one probe at its own rate: not for comparing.\n"))
    }

    @Test func `a run without verified results says so`() {
        let text = TerminalTable([makeFields(row, verified: false), makeFields(batch, verified: false)]).text
        #expect(text.contains("so without a result: row, batch-128; see"))
        #expect(TerminalTable([]).text == "No run was finished.\n")
    }

    @Test func `an external database leaves the harness's own processor time`() {
        let text = TerminalTable([makeFields(row, databaseCPUSeconds: nil)]).text
        #expect(text.hasSuffix("Harness: at most 1.0 s of processor time a run, peak memory 124 MB.\n"))
    }

    @Test func `a rate that is only a lower bound is marked`() {
        var found = makeRow(row, executionsPerSecond: 900)
        found.sustainedRatePerSecond = 900
        var open = makeRow(batch, executionsPerSecond: 2000)
        open.sustainedRatePerSecond = 2000
        let columns = ["configuration", "repetition", "purpose", "rate_per_s", "outcome"]
        let bounds = RateBounds([
            RunFields(columns: columns, fields: ["row", "1", "confirm", "900", "held"]),
            RunFields(columns: columns, fields: ["row", "1", "above", "1080", "failed"]),
            RunFields(columns: columns, fields: ["batch-128", "1", "confirm", "2000", "held"]),
        ])
        let text = TerminalTable([RunFields(found), RunFields(open)], ranking: .sustainedRate, bounds: bounds).text
        #expect(text.contains("\nbatch-128           ≥2,000 "), "\(text)")
        #expect(text.contains("\nrow                    900 "), "\(text)")
        #expect(text.contains("\n≥: at least, not confirmed from above: in a repetition no higher rate failed.\n"))
    }

    @Test func `invalid runs are left out of the medians and named with their reason`() {
        var invalid = makeRow(batch, repetition: 2, executionsPerSecond: 90_000)
        invalid.invalidReason = "schedule lag"
        let text = TerminalTable([makeFields(batch, executionsPerSecond: 5000), RunFields(invalid)]).text
        #expect(text.contains("batch-128             5,000"))
        #expect(text.contains("\nINVALID, so left out: batch-128, repetition 2: schedule lag\n"))
    }
}
