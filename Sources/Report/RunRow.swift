// One measured run of one configuration: a row of runs.csv. A plain value; the columns are a contract with every
// reader of published results, so a change of them changes `formatVersion`.

public import Measurement
public import Model

/// What a row keeps of a histogram, in nanoseconds.
public struct LatencySummary: Sendable, Equatable {
    public var p50: Int64
    public var p95: Int64
    public var p99: Int64
    public var max: Int64
    /// How many values lay outside the histogram's range, so that the percentiles are bounds.
    public var clippedCount: Int64

    public init(p50: Int64, p95: Int64, p99: Int64, max: Int64, clippedCount: Int64 = 0) {
        self.p50 = p50
        self.p95 = p95
        self.p99 = p99
        self.max = max
        self.clippedCount = clippedCount
    }

    /// Nil for a histogram that recorded nothing: no latency is not a latency of 0.
    public init?(_ histogram: Histogram) {
        guard histogram.count > 0 else { return nil }
        self.init(
            p50: histogram.percentile(50), p95: histogram.percentile(95), p99: histogram.percentile(99),
            max: histogram.max, clippedCount: histogram.clippedCount)
    }
}

/// The booking of a run, a stage of its own beside the allocation.
public struct BookingSummary: Sendable, Equatable {
    /// Blocks booked, those that were booked again included.
    public var blocks: Int64
    /// Accounts with shares among those of the booked blocks.
    public var accounts: Int64
    /// From the request to the commit that booked it; nil if nothing was requested.
    public var latency: LatencySummary?
    /// From the start to the last commit of a booking.
    public var elapsedNanoseconds: Int64

    public init(blocks: Int64, accounts: Int64, latency: LatencySummary?, elapsedNanoseconds: Int64) {
        self.blocks = blocks
        self.accounts = accounts
        self.latency = latency
        self.elapsedNanoseconds = elapsedNanoseconds
    }
}

/// One configuration in one repetition.
public struct RunRow: Sendable, Equatable {
    public static let formatVersion = 2

    public var scenario: String
    public var configuration: Configuration
    /// From 1.
    public var repetition: Int
    /// Where the run stood in the order of all runs, from 1.
    public var orderIndex: Int
    public var partitions: Int
    public var executions: Int64
    public var elapsedNanoseconds: Int64
    public var timeToVisible: LatencySummary?
    public var transactionLatency: LatencySummary?
    public var transactions: Int64
    public var retries: Int64
    public var duplicates: Int64
    public var snapshots: Int64
    /// Busts whose execution never came: recorded no-ops.
    public var waitingBusts: Int64
    /// A digest of the final allocations, residuals and bookings: the same for every run of the same messages.
    public var finalTables: String
    /// Nil where nobody booked.
    public var booking: BookingSummary?
    public var harnessCPUSeconds: Double
    /// Nil where the database isn't on this machine.
    public var databaseCPUSeconds: Double?
    public var harnessPeakResidentBytes: Int64
    /// False takes away every figure of speed: a wrong run has none.
    public var verified: Bool

    public init(
        scenario: String, configuration: Configuration, repetition: Int, orderIndex: Int, partitions: Int,
        executions: Int64, elapsedNanoseconds: Int64, timeToVisible: LatencySummary?,
        transactionLatency: LatencySummary?, transactions: Int64, retries: Int64, duplicates: Int64, snapshots: Int64,
        waitingBusts: Int64, finalTables: String, booking: BookingSummary?, harnessCPUSeconds: Double,
        databaseCPUSeconds: Double?,
        harnessPeakResidentBytes: Int64, verified: Bool
    ) {
        self.scenario = scenario
        self.configuration = configuration
        self.repetition = repetition
        self.orderIndex = orderIndex
        self.partitions = partitions
        self.executions = executions
        self.elapsedNanoseconds = elapsedNanoseconds
        self.timeToVisible = timeToVisible
        self.transactionLatency = transactionLatency
        self.transactions = transactions
        self.retries = retries
        self.duplicates = duplicates
        self.snapshots = snapshots
        self.waitingBusts = waitingBusts
        self.finalTables = finalTables
        self.booking = booking
        self.harnessCPUSeconds = harnessCPUSeconds
        self.databaseCPUSeconds = databaseCPUSeconds
        self.harnessPeakResidentBytes = harnessPeakResidentBytes
        self.verified = verified
    }

    /// Nil for a run that was not verified or took no time.
    public var executionsPerSecond: Double? {
        guard verified, elapsedNanoseconds > 0 else { return nil }
        return Double(executions) * 1e9 / Double(elapsedNanoseconds)
    }

    /// The harness's part of the processor time that harness and database took together, 0 to 1.
    public var harnessCPUShare: Double? {
        guard let databaseCPUSeconds, harnessCPUSeconds + databaseCPUSeconds > 0 else { return nil }
        return harnessCPUSeconds / (harnessCPUSeconds + databaseCPUSeconds)
    }
}

extension RunRow {
    /// A column of runs.csv with what it means and how a row fills it.
    public struct Column: Sendable {
        public let name: String
        public let meaning: String
        let text: @Sendable (RunRow) -> String
    }

    public static let columnNames = columns.map(\.name)

    /// The fields in the order of the columns; empty where there is no value.
    public var fields: [String] { RunRow.columns.map { $0.text(self) } }

    /// The data dictionary of runs.csv.
    public static let columns: [Column] =
        [
            Column(name: "format_version", meaning: "version of these columns") { _ in String(formatVersion) },
            Column(name: "scenario", meaning: "name of the scenario") { $0.scenario },
            Column(name: "configuration", meaning: "name of the configuration") { $0.configuration.name },
            Column(name: "mode", meaning: "what one transaction holds") { $0.configuration.mode.rawValue },
            Column(name: "repetition", meaning: "from 1") { String($0.repetition) },
            Column(name: "order_index", meaning: "place in the order of all runs, from 1") { String($0.orderIndex) },
            Column(name: "workers", meaning: "worker threads, each with a connection") {
                String($0.configuration.workers)
            },
            Column(name: "partitions", meaning: "partitions of the topic") { String($0.partitions) },
        ] + ModeSetting.allCases.map(column)
        + [
            Column(name: "isolation", meaning: "isolation level") { $0.configuration.isolation.rawValue },
            Column(name: "snapshot_policy", meaning: "when fills are allocated on the way") {
                $0.configuration.snapshots.name
            },
            Column(name: "executions", meaning: "executions in the stream") { String($0.executions) },
        ] + speedColumns + countColumns + bookingColumns + resourceColumns

    private static func column(for setting: ModeSetting) -> Column {
        let modes = setting.modes.map(\.rawValue).joined(separator: ", ")
        return Column(name: setting.rawValue, meaning: "setting of \(modes); empty in other modes") {
            $0.configuration.value(of: setting).map { String($0) } ?? ""
        }
    }

    private static let speedColumns: [Column] = [
        speed("elapsed_ms", "from the start of the load to the last commit") { milliseconds($0.elapsedNanoseconds) },
        speed("executions_per_s", "executions / elapsed") {
            $0.executionsPerSecond.map { decimal($0, decimals: 1) } ?? ""
        },
        latency("time_to_visible_p50_ms", "from intended arrival to visible commit") { $0.timeToVisible?.p50 },
        latency("time_to_visible_p95_ms", "from intended arrival to visible commit") { $0.timeToVisible?.p95 },
        latency("time_to_visible_p99_ms", "from intended arrival to visible commit") { $0.timeToVisible?.p99 },
        latency("time_to_visible_max_ms", "from intended arrival to visible commit") { $0.timeToVisible?.max },
        latency("txn_latency_p50_ms", "from begin to commit, retries included") { $0.transactionLatency?.p50 },
        latency("txn_latency_p99_ms", "from begin to commit, retries included") { $0.transactionLatency?.p99 },
    ]

    private static let countColumns: [Column] = [
        Column(name: "transactions", meaning: "transactions committed") { String($0.transactions) },
        Column(name: "retries", meaning: "attempts beyond the first") { String($0.retries) },
        Column(name: "duplicates", meaning: "messages that the feed had published before") { String($0.duplicates) },
        Column(name: "snapshots", meaning: "allocation snapshots taken") { String($0.snapshots) },
        Column(name: "waiting_busts", meaning: "busts whose execution never came") { String($0.waitingBusts) },
    ]

    private static let bookingColumns: [Column] = [
        Column(name: "booking_workers", meaning: "booking workers beside the others; 0 books after them") {
            String($0.configuration.bookingWorkers)
        },
        Column(name: "booked_blocks", meaning: "blocks booked, each time it was") {
            $0.booking.map { String($0.blocks) } ?? ""
        },
        Column(name: "account_bookings", meaning: "accounts with shares in the booked blocks") {
            $0.booking.map { String($0.accounts) } ?? ""
        },
        latency("booking_p50_ms", "from the snapshot's request to the commit that books it") {
            $0.booking?.latency?.p50
        },
        latency("booking_p99_ms", "from the snapshot's request to the commit that books it") {
            $0.booking?.latency?.p99
        },
        speed("booking_elapsed_s", "from the start of the load to the last commit of a booking") { row in
            row.booking.map { decimal(Double($0.elapsedNanoseconds) / 1e9, decimals: 3) } ?? ""
        },
    ]

    private static let resourceColumns: [Column] = [
        Column(name: "harness_cpu_s", meaning: "processor time of this process") {
            decimal($0.harnessCPUSeconds, decimals: 3)
        },
        Column(name: "harness_cpu_share", meaning: "harness_cpu_s / (harness_cpu_s + database_cpu_s)") {
            $0.harnessCPUShare.map { decimal($0, decimals: 4) } ?? ""
        },
        Column(name: "database_cpu_s", meaning: "processor time of the database's processes; empty if elsewhere") {
            $0.databaseCPUSeconds.map { decimal($0, decimals: 3) } ?? ""
        },
        Column(name: "harness_peak_rss_mb", meaning: "peak resident memory of this process, MB of 10⁶ bytes") {
            decimal(Double($0.harnessPeakResidentBytes) / 1e6, decimals: 1)
        },
        Column(name: "final_tables", meaning: "digest of the final allocations, residuals and bookings") {
            $0.finalTables
        },
        Column(name: "verified", meaning: "true: no difference found; else every figure of speed is empty") {
            String($0.verified)
        },
    ]

    /// A column that is empty unless the run was verified.
    private static func speed(
        _ name: String, _ meaning: String, _ text: @escaping @Sendable (RunRow) -> String
    ) -> Column {
        Column(name: name, meaning: meaning) { $0.verified ? text($0) : "" }
    }

    private static func latency(
        _ name: String, _ meaning: String, _ nanoseconds: @escaping @Sendable (RunRow) -> Int64?
    ) -> Column {
        speed(name, meaning) { nanoseconds($0).map { milliseconds($0) } ?? "" }
    }
}
