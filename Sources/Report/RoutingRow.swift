// One measured run of one way of routing: a row of runs.csv. It has the columns of every runs.csv, empty where they mean
// nothing for routing, and some of its own behind them.

public import Model

/// One configuration of routing in one repetition.
public struct RoutingRow: Sendable, Equatable {
    public var scenario: String
    public var configuration: RoutingConfiguration
    /// From 1.
    public var repetition: Int
    /// Where the run stood in the order of all runs, from 1.
    public var orderIndex: Int
    public var partitions: Int
    public var requests: Int64
    public var customerOrders: Int64
    /// From the beginning of the first group's opening to the last commit that routed a request.
    public var elapsedNanoseconds: Int64
    /// From the commit that opened a request to the commit that routed it; nil set-based, where they are one commit.
    public var requestToRouted: LatencySummary?
    public var transactionLatency: LatencySummary?
    public var transactions: Int64
    public var retries: Int64
    public var duplicates: Int64
    public var harnessCPUSeconds: Double
    /// Nil where the database isn't on this machine.
    public var databaseCPUSeconds: Double?
    public var harnessPeakResidentBytes: Int64
    /// False takes away every figure of speed: a wrong run has none.
    public var verified: Bool

    public init(
        scenario: String, configuration: RoutingConfiguration, repetition: Int, orderIndex: Int, partitions: Int,
        requests: Int64, customerOrders: Int64, elapsedNanoseconds: Int64, requestToRouted: LatencySummary?,
        transactionLatency: LatencySummary?, transactions: Int64, retries: Int64, duplicates: Int64,
        harnessCPUSeconds: Double, databaseCPUSeconds: Double?, harnessPeakResidentBytes: Int64, verified: Bool
    ) {
        self.scenario = scenario
        self.configuration = configuration
        self.repetition = repetition
        self.orderIndex = orderIndex
        self.partitions = partitions
        self.requests = requests
        self.customerOrders = customerOrders
        self.elapsedNanoseconds = elapsedNanoseconds
        self.requestToRouted = requestToRouted
        self.transactionLatency = transactionLatency
        self.transactions = transactions
        self.retries = retries
        self.duplicates = duplicates
        self.harnessCPUSeconds = harnessCPUSeconds
        self.databaseCPUSeconds = databaseCPUSeconds
        self.harnessPeakResidentBytes = harnessPeakResidentBytes
        self.verified = verified
    }

    /// Nil for a run that was not verified or took no time.
    public var requestsPerSecond: Double? {
        guard verified, elapsedNanoseconds > 0 else { return nil }
        return Double(requests) * 1e9 / Double(elapsedNanoseconds)
    }

    /// The columns that only routing has, with what they mean.
    public static let ownColumns: [(name: String, meaning: String)] = [
        ("requests", "rebalancing requests of the date"),
        ("customer_orders", "customer orders that they became"),
        ("requests_per_s", "requests / elapsed"),
    ]

    public static let columnNames = RunRow.columnNames + ownColumns.map(\.name)

    /// The fields in the order of the columns; empty where there is no value.
    public var fields: [String] { RoutingRow.columnNames.map { values[$0] ?? "" } }

    /// By column.
    var values: [String: String] {
        let isByEvents = configuration.way == .eventDriven
        var values = [
            "format_version": String(RunRow.formatVersion), "scenario": scenario, "configuration": configuration.name,
            "mode": configuration.way.rawValue, "repetition": String(repetition), "order_index": String(orderIndex),
            "workers": String(configuration.workers), "partitions": isByEvents ? String(partitions) : "",
            "batch_size": isByEvents ? String(configuration.batchSize) : "", "transactions": String(transactions),
            "retries": String(retries), "duplicates": isByEvents ? String(duplicates) : "",
            "harness_cpu_s": decimal(harnessCPUSeconds, decimals: 3),
            "database_cpu_s": databaseCPUSeconds.map { decimal($0, decimals: 3) } ?? "",
            "harness_peak_rss_mb": decimal(Double(harnessPeakResidentBytes) / 1e6, decimals: 1),
            "verified": String(verified), "requests": String(requests), "customer_orders": String(customerOrders),
        ]
        guard verified else { return values }
        values["elapsed_ms"] = milliseconds(elapsedNanoseconds)
        values["requests_per_s"] = requestsPerSecond.map { decimal($0, decimals: 1) } ?? ""
        if let latency = requestToRouted {
            values["time_to_visible_p50_ms"] = milliseconds(latency.p50)
            values["time_to_visible_p95_ms"] = milliseconds(latency.p95)
            values["time_to_visible_p99_ms"] = milliseconds(latency.p99)
            values["time_to_visible_max_ms"] = milliseconds(latency.max)
        }
        if let latency = transactionLatency {
            values["txn_latency_p50_ms"] = milliseconds(latency.p50)
            values["txn_latency_p99_ms"] = milliseconds(latency.p99)
        }
        if let databaseCPUSeconds, harnessCPUSeconds + databaseCPUSeconds > 0 {
            let share = harnessCPUSeconds / (harnessCPUSeconds + databaseCPUSeconds)
            values["harness_cpu_share"] = decimal(share, decimals: 4)
        }
        return values
    }
}
