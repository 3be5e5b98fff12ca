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
    var row = RunRow(
        scenario: "test", competitor: .allocate(configuration), repetition: repetition, orderIndex: repetition,
        partitions: 8, load: LoadSummary(model: "backlog", through: "topic"))
    row.executions = 1000
    row.elapsedNanoseconds = 1000 * 1_000_000_000 / executionsPerSecond
    row.timeToVisible = LatencySummary(
        p50: p99Ms * ms / 10, p95: p99Ms * ms / 2, p99: p99Ms * ms, p999: p99Ms * ms * 10, max: p99Ms * ms * 50)
    row.transactionLatency = LatencySummary(p50: 1_234_567, p95: 2 * ms, p99: 2_000_499, p999: 3 * ms, max: 9 * ms)
    row.transactions.committed = 1250
    row.transactions.retries = 3
    row.transactions.retriedMessages = 12
    row.transactions.retriedNanoseconds = 7 * ms
    row.duplicates = 2
    row.snapshots = 400
    row.waitingBusts = 2
    row.booking = BookingSummary(
        blocks: 60, accounts: 1200,
        latency: LatencySummary(p50: 3 * ms, p95: 5 * ms, p99: 7_654_321, p999: 8 * ms, max: 8 * ms),
        elapsedNanoseconds: 1_260_000_000)
    row.lagMaxMessages = 77
    row.lagMaxNanoseconds = 88 * ms
    row.partitionSkew = 1.25
    row.scheduleLagP99Nanoseconds = 40_000
    row.sinkCeilingPerSecond = 900_000
    row.feedCatchUpNanoseconds = 12_500_000
    row.proxyLatenessP99Nanoseconds = 150_000
    row.resources.harnessCPUSeconds = 1
    row.resources.databaseCPUSeconds = databaseCPUSeconds
    row.resources.harnessPeakResidentBytes = 123_456_789
    row.resources.walBytes = 2_000_000
    row.resources.rowsWritten = 5000
    row.resources.commitsPerSync = 1.5
    row.resources.lockWaits = 4
    row.resources.deadlocks = 0
    row.resources.walFullPageImages = 17
    row.resources.checkpoints = 1
    row.finalTables = "1f2e"
    row.verified = verified
    return row
}

/// The same as text.
func makeFields(
    _ configuration: Configuration, repetition: Int = 1, executionsPerSecond: Int64 = 1000,
    p99Ms: Int64 = 30, databaseCPUSeconds: Double? = 3, verified: Bool = true
) -> RunFields {
    RunFields(
        makeRow(
            configuration, repetition: repetition, executionsPerSecond: executionsPerSecond, p99Ms: p99Ms,
            databaseCPUSeconds: databaseCPUSeconds, verified: verified))
}

@Suite struct RunRowTests {
    private func cells(_ row: RunRow) -> [String: String] {
        Dictionary(uniqueKeysWithValues: zip(RunRow.columnNames, row.fields))
    }

    @Test func `the columns are the published ones in their order`() {
        let published = """
            format_version scenario stage configuration repetition order_index mode workers partitions txn_size
            pipeline_depth batch_size batch_window_ms cycle_interval_ms topic_key isolation synchronous_commit
            key_strategy round_trip_us snapshot_policy booking_workers handicap load through offered_rate_per_s executions
            requests customer_orders elapsed_ms executions_per_s requests_per_s attempted_messages_per_s
            sustained_rate_per_s time_to_visible_p50_ms time_to_visible_p95_ms time_to_visible_p99_ms
            time_to_visible_p999_ms time_to_visible_max_ms txn_latency_p50_ms txn_latency_p95_ms txn_latency_p99_ms
            txn_latency_p999_ms txn_latency_max_ms transactions retries retried_messages retried_ms ambiguous_commits
            reconnects duplicates snapshots waiting_busts booked_blocks account_bookings booking_p50_ms booking_p99_ms
            booking_elapsed_s lag_max_messages lag_max_ms partition_skew committed_to_published_p50_ms
            committed_to_published_p99_ms clock_offset_ms clock_uncertainty_ms schedule_lag_p99_ms sink_ceiling_per_s recovery_ms feed_catch_up_ms
            proxy_lateness_p99_ms harness_cpu_s
            harness_cpu_share database_cpu_s database_cpu_us_per_execution harness_peak_rss_mb wal_bytes
            wal_bytes_per_execution rows_written commits_per_sync lock_waits deadlocks
            wal_full_page_images checkpoints final_tables verified validity
            invalid_reason server_restarts consumers rebalances partitions_lost fenced_transactions
            blocks accounts_per_block
            """
        #expect(RunRow.columnNames == published.split { $0 == " " || $0 == "\n" }.map(String.init))
        #expect(RunRow.columns.allSatisfy { !$0.meaning.isEmpty })
    }

    @Test func `a verified row fills every column of its stage and mode`() {
        let configuration = Configuration(name: "c8", mode: .concurrent, workers: 8, pipelineDepth: 4)
        let row = makeRow(configuration, repetition: 2, executionsPerSecond: 800)
        let expected = """
            6,test,allocate,c8,2,2,concurrent,8,8,1,4,,,,block_order,read_committed,on,natural,0,parts4,1,0.000000,\
            backlog,topic,,1000,,,1250.000,800.0,,811.2,,3.000,15.000,30.000,300.000,1500.000,1.235,2.000,2.000,3.000,\
            9.000,1250,3,12,7.000,0,0,2,400,2,60,1200,3.000,7.654,1.260,77,88.000,1.250,,,,,0.040,900000.0,,12.500,0.150,1.000,0.2500,\
            3.000,3000.0,123.5,2000000,2000.0,5000,1.50,4,0,17,1,1f2e,true,valid,,,assigned,,,,,
            """
        #expect(row.fields.joined(separator: ",") == expected)
    }

    @Test func `a row of another stage has the same columns and leaves what it hasn't empty`() {
        var routing = RunRow(
            scenario: "desk", competitor: .route(RoutingConfiguration(way: .eventDriven, workers: 2)), repetition: 1,
            orderIndex: 1, partitions: 4, load: LoadSummary(model: "backlog", through: "feed"))
        routing.requests = 40
        routing.customerOrders = 38
        routing.elapsedNanoseconds = 2_000_000_000
        routing.verified = true
        let route = cells(routing)
        #expect(route["stage"] == "route")
        #expect(route["mode"] == "event_driven")
        #expect(route["batch_size"] == "64")
        #expect(route["requests_per_s"] == "20.0")
        for column in ["executions", "executions_per_s", "topic_key", "txn_size", "snapshots", "duplicates"] {
            #expect(route[column] == "", "\(column)")
        }
        let execute = cells(
            RunRow(
                scenario: "cost", competitor: .execute(ExecuteConfiguration(feed: .slot)), repetition: 1, orderIndex: 1,
                partitions: nil, load: LoadSummary(model: "backlog", through: "")))
        #expect(execute["stage"] == "execute")
        #expect(execute["mode"] == "feed_slot")
        #expect(execute["batch_size"] == "100")
        #expect(execute["partitions"] == "")
    }

    @Test func `what was attempted counts every message by its commit`() {
        var row = makeRow(Configuration(mode: .row), executionsPerSecond: 1000)
        // Of the 1,010 messages committed while the window was open only two duplicates were meant to arrive in it.
        row.committedMessages = 1010
        #expect(
            cells(row)["attempted_messages_per_s"] == "1022.0", "1,010 and the 12 that retries threw away, in a second")
        row.committedMessages = 400
        #expect(cells(row)["attempted_messages_per_s"] == "1012.0", "never less than the goodput and the retries")
        row.committedMessages = nil
        #expect(cells(row)["attempted_messages_per_s"] == "1014.0")
    }

    @Test func `an invalid row says why, and can't be compared`() {
        var row = makeRow(Configuration(mode: .row))
        #expect(row.isComparable)
        row.invalidReason = "the harness was the limit"
        #expect(!row.isComparable)
        #expect(cells(row)["validity"] == "invalid")
        #expect(cells(row)["invalid_reason"] == "the harness was the limit")
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
        where ["time_to_visible", "txn_latency", "booking_p", "booking_elapsed", "wal_bytes_per"].contains(
            where: column.hasPrefix)
        {
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
        for column in ["booked_blocks", "account_bookings", "booking_p50_ms", "booking_p99_ms", "booking_elapsed_s"] {
            #expect(cells[column] == "", "\(column)")
        }
    }

    @Test func `a summary takes its figures from the histogram`() {
        var histogram = Histogram()
        for value: Int64 in 1...100 { histogram.record(value) }
        histogram.record(.max)
        let summary = LatencySummary(histogram)
        #expect(
            summary
                == LatencySummary(
                    p50: 51, p95: 96, p99: 100, p999: Histogram.highestTrackable, max: .max, clippedCount: 1))
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
        #expect(grouped(Int64.min) == "-9,223,372,036,854,775,808")
        #expect(readableMilliseconds(9.994999) == "9.99")
        #expect(readableMilliseconds(9.995001) == "10.0")
        #expect(readableMilliseconds(99.96) == "100")
        #expect(readableMilliseconds(12_345.6) == "12,346")
        #expect(plain(5) == "5" && plain(0.05) == "0.05" && groupedWhole(.nan) == "-")
        #expect(readableSeconds(.milliseconds(1234)) == "1.23" && readableSeconds(.milliseconds(60_050)) == "60.05")
        #expect(readableRatio(1.23456) == "1.235" && readableRatio(12.3456) == "12.35")
        #expect(readableProbability(0.03124) == "p 0.0312" && readableProbability(0.00004) == "p < 0.0001")
        #expect(readableFigure(1000, isAtLeast: true) == "≥1,000" && readableFigure(1000, isAtLeast: false) == "1,000")
    }
}
