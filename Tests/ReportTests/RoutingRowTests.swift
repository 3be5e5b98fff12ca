// The rows and the table of a scenario of routing: columns of every runs.csv, figures only where they were verified.

import Model
import Testing

@testable import Report

private func row(
    _ configuration: RoutingConfiguration = RoutingConfiguration(way: .eventDriven), repetition: Int = 1,
    milliseconds: Int64 = 2_000,
    latency: LatencySummary? = LatencySummary(p50: 1_500_000, p95: 2, p99: 9_000_000, max: 4),
    verified: Bool = true
) -> RoutingRow {
    RoutingRow(
        scenario: "r", configuration: configuration, repetition: repetition, orderIndex: 1, partitions: 8,
        requests: 4_000, customerOrders: 100_000, elapsedNanoseconds: milliseconds * 1_000_000,
        requestToRouted: latency, transactionLatency: latency, transactions: 63, retries: 2, duplicates: 5,
        harnessCPUSeconds: 1, databaseCPUSeconds: 3, harnessPeakResidentBytes: 50_000_000, verified: verified)
}

private func values(_ row: RoutingRow) -> [String: String] {
    Dictionary(uniqueKeysWithValues: zip(RoutingRow.columnNames, row.fields))
}

@Suite struct RoutingRowTests {
    @Test func `a row has the columns of every run and its own behind them`() {
        #expect(RoutingRow.columnNames.starts(with: RunRow.columnNames))
        #expect(RoutingRow.columnNames.suffix(3) == ["requests", "customer_orders", "requests_per_s"])
        let row = values(row())
        #expect(row["mode"] == "event_driven" && row["batch_size"] == "64" && row["workers"] == "4")
        #expect(row["requests_per_s"] == "2000.0" && row["elapsed_ms"] == "2000.000")
        #expect(row["time_to_visible_p50_ms"] == "1.500" && row["harness_cpu_share"] == "0.2500")
        #expect(row["executions"] == "" && row["snapshots"] == "" && row["txn_size"] == "")
    }

    @Test func `every value of a row stands in a column that exists`() {
        #expect(Set(row().values.keys).subtracting(RoutingRow.columnNames).isEmpty)
    }

    @Test func `set-based routing has neither batches nor a wait`() {
        let row = values(row(RoutingConfiguration(way: .setBased), latency: nil))
        #expect(row["mode"] == "set_based" && row["workers"] == "1")
        #expect(row["batch_size"] == "" && row["partitions"] == "" && row["time_to_visible_p99_ms"] == "")
    }

    @Test func `a run that wasn't verified has no figure of speed`() {
        let row = values(row(verified: false))
        #expect(row["verified"] == "false" && row["requests"] == "4000")
        for name in ["elapsed_ms", "requests_per_s", "time_to_visible_p99_ms", "txn_latency_p50_ms"] {
            #expect(row[name] == "", "\(name)")
        }
    }

    @Test func `the table ranks by requests per second and names what overlaps or failed`() {
        let sets = RoutingConfiguration(way: .setBased)
        let events = RoutingConfiguration(way: .eventDriven)
        let text = RoutingTable([
            row(sets, milliseconds: 4_000, latency: nil), row(events, milliseconds: 1_000),
            row(events, repetition: 2, milliseconds: 2_000),
            row(sets, repetition: 2, milliseconds: 1_900, latency: nil),
            row(RoutingConfiguration(name: "bad", way: .eventDriven), verified: false),
        ]).text
        let lines = text.split(separator: "\n")
        #expect(lines[1].hasPrefix("event_driven-w4-b64") && lines[1].contains("3,000  2,000-4,000"), "\(text)")
        #expect(lines[2].hasPrefix("set_based") && lines[3].hasPrefix("bad"))
        #expect(text.contains("FAILED verification, so without a result: bad; see verify.csv."))
        #expect(text.contains("overlap: no difference is shown between them."))
        #expect(RoutingTable([]).text == "No run was finished.\n")
    }
}
