// runs.csv column by column. Goal: the published columns stay what they are, and a wrong run has no speed.

import Measurement
import Model
import Testing

@testable import Report

/// A row whose speed is `executionsPerSecond` for 1,000 executions.
func makeRow(
    _ configuration: Configuration, repetition: Int = 1, executionsPerSecond: Int64 = 1000,
    p99Ms: Int64 = 30, databaseCPUSeconds: Double? = 3, verified: Bool = true
) -> RunRow {
    let ms: Int64 = 1_000_000
    return RunRow(
        scenario: "test", configuration: configuration, repetition: repetition, orderIndex: repetition, partitions: 8,
        executions: 1000, elapsedNanoseconds: 1000 * 1_000_000_000 / executionsPerSecond,
        timeToVisible: LatencySummary(p50: p99Ms * ms / 10, p95: p99Ms * ms / 2, p99: p99Ms * ms, max: p99Ms * ms * 50),
        transactionLatency: LatencySummary(p50: 1_234_567, p95: 2 * ms, p99: 2_000_499, max: 9 * ms),
        transactions: 1250, retries: 3, duplicates: 2, snapshots: 400,
        waitingBusts: 2, finalTables: "1f2e",
        booking: BookingSummary(
            blocks: 60, accounts: 1200, latency: LatencySummary(p50: 3 * ms, p95: 5 * ms, p99: 7_654_321, max: 8 * ms),
            elapsedNanoseconds: 1_260_000_000), harnessCPUSeconds: 1,
        databaseCPUSeconds: databaseCPUSeconds, harnessPeakResidentBytes: 123_456_789, verified: verified)
}

@Suite struct RunRowTests {
    private func cells(_ row: RunRow) -> [String: String] {
        Dictionary(uniqueKeysWithValues: zip(RunRow.columnNames, row.fields))
    }

    @Test func `the columns are the published ones in their order`() {
        #expect(
            RunRow.columnNames == [
                "format_version", "scenario", "configuration", "mode", "repetition", "order_index", "workers",
                "partitions", "txn_size", "pipeline_depth", "batch_size", "batch_window_ms", "cycle_interval_ms",
                "isolation", "snapshot_policy", "executions", "elapsed_ms", "executions_per_s",
                "time_to_visible_p50_ms",
                "time_to_visible_p95_ms", "time_to_visible_p99_ms", "time_to_visible_max_ms", "txn_latency_p50_ms",
                "txn_latency_p99_ms", "transactions", "retries", "duplicates", "snapshots", "waiting_busts",
                "booking_workers",
                "booked_blocks", "account_bookings", "booking_p50_ms", "booking_p99_ms", "booking_elapsed_s",
                "harness_cpu_s", "harness_cpu_share", "database_cpu_s", "harness_peak_rss_mb", "final_tables",
                "verified",
            ])
        #expect(RunRow.columns.allSatisfy { !$0.meaning.isEmpty })
    }

    @Test func `a verified row fills every column of its mode`() {
        let configuration = Configuration(name: "c8", mode: .concurrent, workers: 8, pipelineDepth: 4)
        let row = makeRow(configuration, repetition: 2, executionsPerSecond: 800)
        #expect(
            row.fields == [
                "2", "test", "c8", "concurrent", "2", "2", "8", "8", "1", "4", "", "", "", "read_committed", "parts4",
                "1000",
                "1250.000", "800.0", "3.000", "15.000", "30.000", "1500.000", "1.235", "2.000", "1250", "3", "2", "400",
                "2", "1", "60", "1200", "3.000", "7.654", "1.260", "1.000", "0.2500", "3.000", "123.5", "1f2e",
                "true",
            ])
    }

    @Test func `settings of other modes are empty`() {
        let cycle = cells(makeRow(Configuration(mode: .cycle)))
        #expect(cycle["cycle_interval_ms"] == "500")
        #expect(cycle["batch_size"] == "1024")
        #expect(cycle["batch_window_ms"] == "")
        #expect(cycle["txn_size"] == "")
        let row = cells(makeRow(Configuration(mode: .row)))
        for setting in ModeSetting.allCases { #expect(row[setting.rawValue] == "") }
    }

    @Test func `a row that failed verification has no speed and keeps its counts`() {
        let failed = cells(makeRow(Configuration(mode: .batch), verified: false))
        for column in RunRow.columnNames
        where ["time_to_visible", "txn_latency", "booking_p", "booking_elapsed"].contains(where: column.hasPrefix) {
            #expect(failed[column] == "", "\(column)")
        }
        #expect(failed["elapsed_ms"] == "")
        #expect(failed["executions_per_s"] == "")
        #expect(failed["transactions"] == "1250")
        #expect(failed["booked_blocks"] == "60")
        #expect(failed["verified"] == "false")
    }

    @Test func `what is unknown is empty, not zero`() {
        var row = makeRow(Configuration(mode: .row), databaseCPUSeconds: nil)
        row.timeToVisible = LatencySummary(Histogram())
        row.elapsedNanoseconds = 0
        row.booking = nil
        let cells = cells(row)
        #expect(cells["harness_cpu_share"] == "")
        #expect(cells["database_cpu_s"] == "")
        #expect(cells["time_to_visible_p99_ms"] == "")
        #expect(cells["executions_per_s"] == "")
        for column in RunRow.columnNames where column.hasPrefix("booking_") || column.hasSuffix("bookings") {
            #expect(cells[column] == (column == "booking_workers" ? "1" : ""), "\(column)")
        }
    }

    @Test func `a summary takes its figures from the histogram`() {
        var histogram = Histogram()
        for value: Int64 in 1...100 { histogram.record(value) }
        histogram.record(.max)
        let summary = LatencySummary(histogram)
        #expect(summary == LatencySummary(p50: 51, p95: 96, p99: 100, max: .max, clippedCount: 1))
    }

    @Test func `numbers are written the same everywhere`() {
        #expect(milliseconds(0) == "0.000")
        #expect(milliseconds(499) == "0.000")
        #expect(milliseconds(500) == "0.001")
        #expect(milliseconds(-1_500_500) == "-1.501")
        #expect(milliseconds(.max) == "9223372036854.776")
        #expect(decimal(2.5, decimals: 0) == "3")
        #expect(decimal(0.05, decimals: 1) == "0.1")
        #expect(decimal(-0.04, decimals: 1) == "0.0")
        #expect(decimal(.nan, decimals: 1) == "")
        #expect(decimal(.infinity, decimals: 1) == "")
        #expect(grouped(0) == "0")
        #expect(grouped(999) == "999")
        #expect(grouped(1000) == "1,000")
        #expect(grouped(-1_234_567) == "-1,234,567")
        #expect(grouped(.min) == "-9,223,372,036,854,775,808")
        #expect(readableMilliseconds(9_994_999) == "9.99")
        #expect(readableMilliseconds(9_995_001) == "10.0")
        #expect(readableMilliseconds(99_960_000) == "100")
        #expect(readableMilliseconds(12_345_600_000) == "12,346")
    }
}
