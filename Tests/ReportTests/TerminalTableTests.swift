// The table a run ends with, for fixed rows. Goal: the exact text, and no speed or winner where there is none.

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
    Winner: concurrent-8 with 45,000 executions/s, 2.00 times batch-128 (next), 40.00 times row.
    Harness: 25 % of the processor time that it and the database took, peak memory 123 MB.

    """

private let failure = """
    configuration  executions/s      min-max  p50 ms  p95 ms  p99 ms  max ms  transactions  retries  verified
    row                   1,000  1,000-1,000    3.00    15.0    30.0   1,500         1,250        3  yes
    batch-128            FAILED            -       -       -       -       -         1,250        3  FAILED

    Medians of 2 repetitions; milliseconds are time-to-visible, and of two middle ones the worse.
    No comparison: row alone has a verified result.
    FAILED verification, so without a result: batch-128; see verify.csv.
    Harness: 25 % of the processor time that it and the database took, peak memory 123 MB.

    """

@Suite struct TerminalTableTests {
    @Test func `configurations stand by throughput and the winner has its ratios`() {
        let rows = [
            makeRow(row, repetition: 1, executionsPerSecond: 1000, p99Ms: 900),
            makeRow(batch, repetition: 1, executionsPerSecond: 20_000, p99Ms: 60),
            makeRow(concurrent, repetition: 1, executionsPerSecond: 40_000, p99Ms: 7),
            makeRow(concurrent, repetition: 2, executionsPerSecond: 50_000, p99Ms: 5),
            makeRow(batch, repetition: 2, executionsPerSecond: 25_000, p99Ms: 50),
            makeRow(row, repetition: 2, executionsPerSecond: 1250, p99Ms: 800),
        ]
        #expect(
            TerminalTable(rows).text == comparison)
    }

    @Test func `a configuration with one failed verification has no throughput and can't win`() {
        let rows = [
            makeRow(batch, repetition: 1, executionsPerSecond: 50_000),
            makeRow(batch, repetition: 2, executionsPerSecond: 50_000, verified: false),
            makeRow(row, repetition: 1, executionsPerSecond: 1000),
            makeRow(row, repetition: 2, executionsPerSecond: 1000),
        ]
        #expect(
            TerminalTable(rows).text == failure)
    }

    @Test func `one repetition is said to show no spread`() {
        let text = TerminalTable([makeRow(row), makeRow(batch, executionsPerSecond: 3000)]).text
        #expect(text.contains("Medians of 1 repetition; "))
        #expect(text.contains("\nWinner: batch-128 with 3,000 executions/s, 3.00 times row (next).\n"))
        #expect(text.contains("\nA single repetition shows no spread: repeat before trusting a difference.\n"))
        #expect(!text.contains("overlap"))
    }

    @Test func `ranges that overlap show no difference`() {
        let rows = [
            makeRow(batch, repetition: 1, executionsPerSecond: 2000),
            makeRow(batch, repetition: 2, executionsPerSecond: 5000),
            makeRow(concurrent, repetition: 1, executionsPerSecond: 2500),
            makeRow(concurrent, repetition: 2, executionsPerSecond: 2500),
        ]
        #expect(
            TerminalTable(rows).text.contains(
                "\nThe ranges of batch-128 and concurrent-8 overlap: no difference is shown between them.\n"))
    }

    @Test func `at a fixed rate the lowest p99 wins`() {
        let rows = [
            makeRow(batch, repetition: 1, executionsPerSecond: 1001, p99Ms: 40),
            makeRow(batch, repetition: 2, executionsPerSecond: 1001, p99Ms: 42),
            makeRow(concurrent, repetition: 1, executionsPerSecond: 1000, p99Ms: 4),
            makeRow(concurrent, repetition: 2, executionsPerSecond: 1000, p99Ms: 6),
            makeRow(row, repetition: 1, executionsPerSecond: 1000, p99Ms: 60),
            makeRow(row, repetition: 2, executionsPerSecond: 1000, p99Ms: 60),
        ]
        let text = TerminalTable(rows, ranking: .timeToVisibleP99).text
        let names = text.split(separator: "\n")[1...3].compactMap { $0.split(separator: " ").first }
        #expect(names == ["concurrent-8", "batch-128", "row"])
        #expect(
            text.contains(
                "\nWinner: concurrent-8 with a p99 time-to-visible of 6.00 ms, "
                    + "batch-128 (next) takes 7.00 times as long, row takes 10.00 times as long.\n"))
    }

    @Test func `no verified run means no winner`() {
        let text = TerminalTable([makeRow(row, verified: false), makeRow(batch, verified: false)]).text
        #expect(text.contains("\nNo winner: no configuration has a verified result.\n"))
        #expect(text.contains("so without a result: row, batch-128; see"))
        #expect(TerminalTable([]).text == "No run was finished.\n")
    }

    @Test func `the baseline as winner is compared once`() {
        let text = TerminalTable([makeRow(row, executionsPerSecond: 4000), makeRow(batch)]).text
        #expect(text.contains("\nWinner: row with 4,000 executions/s, 4.00 times batch-128 (next).\n"))
    }

    @Test func `an external database leaves the harness's own processor time`() {
        let text = TerminalTable([makeRow(row, databaseCPUSeconds: nil)]).text
        #expect(text.hasSuffix("Harness: at most 1.0 s of processor time a run, peak memory 123 MB.\n"))
    }

    @Test func `clipped latencies are said`() {
        var clipped = makeRow(row)
        clipped.timeToVisible?.clippedCount = 1200
        let text = TerminalTable([clipped]).text
        #expect(text.contains("\n1,200 latencies lay outside the histogram's range; percentiles are bounds.\n"))
    }
}
