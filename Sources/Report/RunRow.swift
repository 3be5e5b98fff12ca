// One measured run of one configuration: a row of runs.csv. A plain value, the same for every stage; the columns are in
// RunRow+Columns.swift.

public import Measurement
public import Model

/// What a row keeps of a histogram, in nanoseconds.
public struct LatencySummary: Sendable, Equatable {
    public var p50: Int64
    public var p95: Int64
    public var p99: Int64
    public var p999: Int64
    public var max: Int64
    /// How many values lay outside the histogram's range, so that the percentiles are bounds.
    public var clippedCount: Int64

    public init(p50: Int64, p95: Int64, p99: Int64, p999: Int64, max: Int64, clippedCount: Int64 = 0) {
        self.p50 = p50
        self.p95 = p95
        self.p99 = p99
        self.p999 = p999
        self.max = max
        self.clippedCount = clippedCount
    }

    /// Nil for a histogram that recorded nothing: no latency is not a latency of 0.
    public init?(_ histogram: Histogram) {
        guard histogram.count > 0 else { return nil }
        self.init(
            p50: histogram.percentile(50), p95: histogram.percentile(95), p99: histogram.percentile(99),
            p999: histogram.percentile(99.9), max: histogram.max, clippedCount: histogram.clippedCount)
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

/// How work arrived.
public struct LoadSummary: Sendable, Equatable {
    /// `backlog`, `open` or `search`.
    public var model: String
    /// `topic`: a recorded stream was replayed; `feed`: executions were committed on schedule and came through the feed.
    public var through: String
    /// Executions per second that were offered, of several phases the most; nil for a backlog.
    public var offeredRatePerSecond: Double?

    public init(model: String, through: String, offeredRatePerSecond: Double? = nil) {
        self.model = model
        self.through = through
        self.offeredRatePerSecond = offeredRatePerSecond
    }
}

/// What the transactions of a run were, beyond their latency.
public struct TransactionCounts: Sendable, Equatable {
    /// Committed.
    public var committed: Int64 = 0
    /// Attempts beyond the first.
    public var retries: Int64 = 0
    /// Messages in the attempts that failed: work thrown away.
    public var retriedMessages: Int64 = 0
    /// Time in the attempts that failed, over all workers.
    public var retriedNanoseconds: Int64 = 0
    /// Commits whose outcome had to be looked up.
    public var ambiguous: Int64 = 0
    public var reconnects: Int64 = 0

    public init() {}
}

/// What a run took from its machine. Nil where it can't be seen, such as on another machine.
public struct ResourceSummary: Sendable, Equatable {
    public var harnessCPUSeconds = 0.0
    public var databaseCPUSeconds: Double?
    public var harnessPeakResidentBytes: Int64 = 0
    public var walBytes: Int64?
    /// Rows inserted, updated and deleted.
    public var rowsWritten: Int64?
    public var commitsPerSync: Double?
    /// Whole pages in the log: the first change of a page after a checkpoint.
    public var walFullPageImages: Int64?
    public var checkpoints: Int64?
    /// Sessions seen waiting for a lock, summed over samples of one each second.
    public var lockWaits: Int64?
    public var deadlocks: Int64?
    /// Transactions that a CockroachDB began anew, whether by itself or by asking its client.
    public var serverRestarts: Int64?

    public init() {}

    /// The harness's part of the processor time that harness and database took together, 0 to 1.
    public var harnessCPUShare: Double? {
        guard let databaseCPUSeconds, harnessCPUSeconds + databaseCPUSeconds > 0 else { return nil }
        return harnessCPUSeconds / (harnessCPUSeconds + databaseCPUSeconds)
    }
}

/// One configuration in one repetition.
public struct RunRow: Sendable, Equatable {
    public static let formatVersion = 6

    public var scenario: String
    public var competitor: Competitor
    /// From 1.
    public var repetition: Int
    /// Where the run stood in the order of all runs, from 1.
    public var orderIndex: Int
    /// Nil where there is no topic.
    public var partitions: Int?
    /// Of the workload; nil where it is no choice of the scenario's.
    public var blocks: Int?
    public var accountsPerBlock: Int?
    public var load: LoadSummary
    /// Executions in the measured window.
    public var executions: Int64?
    /// Messages committed in the same time, those that had been captured before included. Nil where it is `executions` and
    /// `duplicates`; of an open load with a window it isn't, for `duplicates` go by their intended arrival.
    public var committedMessages: Int64?
    /// Executions of the whole run, the warm-up included: what resources are divided by. Nil where it is `executions`.
    public var processedExecutions: Int64?
    /// Of stage route.
    public var requests: Int64?
    public var customerOrders: Int64?
    public var elapsedNanoseconds: Int64 = 0
    /// Stage allocate: from the intended arrival to the visible commit; stage route: from a request's commit to its orders'.
    public var timeToVisible: LatencySummary?
    public var transactionLatency: LatencySummary?
    public var transactions = TransactionCounts()
    public var duplicates: Int64?
    public var snapshots: Int64?
    /// Busts whose execution never came: recorded no-ops.
    public var waitingBusts: Int64?
    /// Of a group: assignments that its members were given, partitions that others took before their member gave them up, and
    /// transactions that moved no row because of it. Nil where partitions are assigned.
    public var rebalances: Int64?
    public var partitionsLost: Int64?
    public var fencedTransactions: Int64?
    /// Nil where nobody booked.
    public var booking: BookingSummary?
    /// The worst that any partition reached.
    public var lagMaxMessages: Int64?
    public var lagMaxNanoseconds: Int64?
    /// Messages of the fullest partition over those of the average one.
    public var partitionSkew: Double?
    /// From the commit of an execution to the broker's acknowledgement, where the feed ran beside.
    public var committedToPublished: LatencySummary?
    /// From the last execution's commit to the acknowledgement of its message, where the feed ran beside.
    public var feedCatchUpNanoseconds: Int64?
    /// How much later than asked the emulated network passed bytes on; nil without one.
    public var proxyLatenessP99Nanoseconds: Int64?
    /// The server's clock less this machine's, where the feed ran beside; corrected for only beyond its uncertainty.
    public var clockOffsetNanoseconds: Int64?
    public var clockUncertaintyNanoseconds: Int64?
    /// How late the harness offered what was due while its workers were idle.
    public var scheduleLagP99Nanoseconds: Int64?
    /// What the harness alone could take, in messages per second.
    public var sinkCeilingPerSecond: Double?
    /// The highest rate that held the SLO, of a search.
    public var sustainedRatePerSecond: Double?
    /// From the last fault to the recovery of all partitions.
    public var recoveredNanoseconds: Int64?
    public var resources = ResourceSummary()
    /// A digest of the final tables: the same for every run of the same messages.
    public var finalTables = ""
    /// False takes away every figure of speed: a wrong run has none.
    public var verified = false
    /// Why the run says nothing about the database; nil for a run that does.
    public var invalidReason: String?

    public init(
        scenario: String, competitor: Competitor, repetition: Int, orderIndex: Int, partitions: Int?, load: LoadSummary
    ) {
        self.scenario = scenario
        self.competitor = competitor
        self.repetition = repetition
        self.orderIndex = orderIndex
        self.partitions = partitions
        self.load = load
    }

    /// Whether its figures may be compared and averaged.
    public var isComparable: Bool { verified && invalidReason == nil }

    /// Nil for a run that was not verified or took no time.
    public var executionsPerSecond: Double? { rate(of: executions) }

    /// Nil for a run that was not verified, took no time, or is of another stage.
    public var requestsPerSecond: Double? { rate(of: requests) }

    private func rate(of count: Int64?) -> Double? {
        guard let count, verified, elapsedNanoseconds > 0 else { return nil }
        return Double(count) * 1e9 / Double(elapsedNanoseconds)
    }
}
