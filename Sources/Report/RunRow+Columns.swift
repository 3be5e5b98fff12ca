// The columns of runs.csv: a contract with every reader of published results, so a change of them changes
// `RunRow.formatVersion`. Every file has all of them, whatever its stage; empty where there is no value.

import Model

/// A column of a result file, with what it means and how a row fills it.
public struct Column<Row: Sendable>: Sendable {
    public let name: String
    public let meaning: String
    let text: @Sendable (Row) -> String

    init(_ name: String, _ meaning: String, _ text: @escaping @Sendable (Row) -> String) {
        self.name = name
        self.meaning = meaning
        self.text = text
    }
}

extension RunRow {
    public static let columnNames = columns.map(\.name)

    /// The fields in the order of the columns.
    public var fields: [String] { RunRow.columns.map { $0.text(self) } }

    /// The data dictionary of runs.csv.
    public static let columns: [Column<RunRow>] =
        identityColumns + settingColumns + loadColumns + speedColumns + countColumns + bookingColumns + lagColumns
        + resourceColumns + outcomeColumns

    private static let identityColumns: [Column<RunRow>] = [
        Column("format_version", "version of these columns") { _ in String(formatVersion) },
        Column("scenario", "name of the scenario") { $0.scenario },
        Column("stage", "what is measured: allocate, route or execute") {
            switch $0.competitor {
            case .allocate: "allocate"
            case .route: "route"
            case .execute: "execute"
            }
        },
        Column("configuration", "name of the configuration") { $0.competitor.name },
        Column("repetition", "from 1") { String($0.repetition) },
        Column("order_index", "place in the order of all runs, from 1") { String($0.orderIndex) },
    ]

    /// The columns that tell two configurations apart.
    static let settingColumnNames = settingColumns.map(\.name)

    private static let settingColumns: [Column<RunRow>] =
        [
            Column("mode", "allocate: what one transaction holds; route: the way; execute: what the feed does") {
                switch $0.competitor {
                case .allocate(let configuration): configuration.mode.rawValue
                case .route(let configuration): configuration.way.rawValue
                case .execute(let configuration): "feed_\(configuration.feed.rawValue)"
                }
            },
            Column("workers", "worker threads, each with a connection") {
                switch $0.competitor {
                case .allocate(let configuration): String(configuration.workers)
                case .route(let configuration): String(configuration.workers)
                case .execute: "1"
                }
            },
            Column("partitions", "partitions of the topic") { $0.partitions.map { String($0) } ?? "" },
        ] + ModeSetting.allCases.map(column)
        + [
            allocate("topic_key", "what the messages are keyed by") { $0.topicKey.rawValue },
            allocate("isolation", "isolation level") { $0.isolation.rawValue },
            allocate("synchronous_commit", "what a commit of a worker waits for, allocating or booking") {
                $0.synchronousCommit.rawValue
            },
            allocate("key_strategy", "surrogate key of captured executions") { $0.keyStrategy.rawValue },
            allocate("round_trip_us", "emulated round-trip time to the database, in microseconds") {
                String($0.roundTripTimeUs)
            },
            allocate("snapshot_policy", "when fills are allocated on the way") { $0.snapshots.name },
            allocate("booking_workers", "booking workers beside the others; 0 books after them") {
                String($0.bookingWorkers)
            },
            allocate("handicap", "deliberate loss of throughput, 0 to 1, that checks the harness") {
                decimal(Double($0.handicapPpm) / 1e6, decimals: 6)
            },
        ]

    private static let loadColumns: [Column<RunRow>] = [
        Column("load", "backlog, open or search") { $0.load.model },
        Column("through", "topic: replayed from a recorded topic; feed: committed on schedule, through the change feed")
        {
            $0.load.through
        },
        Column(
            "offered_rate_per_s",
            "executions per second that were offered, of several phases the most; empty for a backlog"
        ) {
            $0.load.offeredRatePerSecond.map { decimal($0, decimals: 1) } ?? ""
        },
        Column("executions", "executions in the measured window, each counted once") { count($0.executions) },
        Column("requests", "rebalancing requests of the date (stage route)") { count($0.requests) },
        Column("customer_orders", "customer orders that they became (stage route)") { count($0.customerOrders) },
    ]

    private static let speedColumns: [Column<RunRow>] =
        [
            speed("elapsed_ms", "from the start of the measured window to its last commit") {
                milliseconds($0.elapsedNanoseconds)
            },
            speed("executions_per_s", "goodput: executions / elapsed; of an open load about the rate offered") {
                rate($0.executionsPerSecond)
            },
            speed("requests_per_s", "requests / elapsed (stage route)") { rate($0.requestsPerSecond) },
            speed(
                "attempted_messages_per_s",
                "messages committed while measured, duplicates included, and what retries threw away, / elapsed"
            ) { row in
                guard let executions = row.executions, row.elapsedNanoseconds > 0 else { return "" }
                // A cycle may commit what an earlier worker had staged, which then is in no message of its own.
                let committed = row.committedMessages.map { max($0, executions) } ?? executions + (row.duplicates ?? 0)
                let attempted = committed + row.transactions.retriedMessages
                return decimal(Double(attempted) * 1e9 / Double(row.elapsedNanoseconds), decimals: 1)
            },
            speed("sustained_rate_per_s", "the highest rate that held the SLO (load search)") {
                rate($0.sustainedRatePerSecond)
            },
        ]
        + latencies("time_to_visible", "from intended arrival (route: from the request) to visible commit") {
            $0.timeToVisible
        }
        + latencies("txn_latency", "from begin to commit, retries included") { $0.transactionLatency }

    private static let countColumns: [Column<RunRow>] = [
        Column("transactions", "transactions committed") { String($0.transactions.committed) },
        Column("retries", "attempts beyond the first; by SQLSTATE in retries.csv") { String($0.transactions.retries) },
        Column("retried_messages", "messages in attempts that failed: work thrown away") {
            String($0.transactions.retriedMessages)
        },
        Column("retried_ms", "time in attempts that failed, over all workers") {
            milliseconds($0.transactions.retriedNanoseconds)
        },
        Column("ambiguous_commits", "commits whose outcome had to be looked up") { String($0.transactions.ambiguous) },
        Column("reconnects", "connections lost and made anew") { String($0.transactions.reconnects) },
        Column("duplicates", "messages that the feed had published before") { count($0.duplicates) },
        Column("snapshots", "allocation snapshots taken") { count($0.snapshots) },
        Column("waiting_busts", "busts whose execution never came") { count($0.waitingBusts) },
    ]

    private static let bookingColumns: [Column<RunRow>] = [
        Column("booked_blocks", "blocks booked, each time it was") { count($0.booking?.blocks) },
        Column("account_bookings", "accounts with shares in the booked blocks") { count($0.booking?.accounts) },
        speed("booking_p50_ms", "from the snapshot's request to the commit that books it") {
            latency($0.booking?.latency?.p50)
        },
        speed("booking_p99_ms", "from the snapshot's request to the commit that books it") {
            latency($0.booking?.latency?.p99)
        },
        speed("booking_elapsed_s", "from the start of the load to the last commit of a booking") { row in
            row.booking.map { decimal(Double($0.elapsedNanoseconds) / 1e9, decimals: 3) } ?? ""
        },
    ]

    private static let lagColumns: [Column<RunRow>] = [
        Column(
            "lag_max_messages",
            "the most due and uncommitted messages of one partition, wherever they were, each second"
        ) {
            count($0.lagMaxMessages)
        },
        Column("lag_max_ms", "the longest that a due message of a partition had waited for its commit, each second") {
            latency($0.lagMaxNanoseconds)
        },
        Column("partition_skew", "messages of the fullest partition / messages of the average one") {
            $0.partitionSkew.map { decimal($0, decimals: 3) } ?? ""
        },
        speed("committed_to_published_p50_ms", "from an execution's commit to the broker's acknowledgement") {
            latency($0.committedToPublished?.p50)
        },
        speed("committed_to_published_p99_ms", "from an execution's commit to the broker's acknowledgement") {
            latency($0.committedToPublished?.p99)
        },
        Column("clock_offset_ms", "the server's clock less this machine's, as estimated (through feed)") {
            latency($0.clockOffsetNanoseconds)
        },
        Column("clock_uncertainty_ms", "how exactly: the offset is corrected for only beyond this") {
            latency($0.clockUncertaintyNanoseconds)
        },
        Column("schedule_lag_p99_ms", "how late the harness offered what was due while its workers were idle") {
            latency($0.scheduleLagP99Nanoseconds)
        },
        Column("sink_ceiling_per_s", "messages per second that the harness takes without a database") {
            rate($0.sinkCeilingPerSecond)
        },
        Column("recovery_ms", "from the last injected fault until what was due then is committed") {
            latency($0.recoveredNanoseconds)
        },
        speed("feed_catch_up_ms", "from the last commit of an execution to the acknowledgement of the last message") {
            latency($0.feedCatchUpNanoseconds)
        },
        Column(
            "proxy_lateness_p99_ms", "how much later than asked the emulated network passed bytes on; empty without one"
        ) {
            latency($0.proxyLatenessP99Nanoseconds)
        },
    ]

    private static let resourceColumns: [Column<RunRow>] = [
        Column("harness_cpu_s", "processor time of this process") {
            decimal($0.resources.harnessCPUSeconds, decimals: 3)
        },
        Column("harness_cpu_share", "harness_cpu_s / (harness_cpu_s + database_cpu_s)") {
            $0.resources.harnessCPUShare.map { decimal($0, decimals: 4) } ?? ""
        },
        Column("database_cpu_s", "processor time of the database's processes; empty if elsewhere") {
            $0.resources.databaseCPUSeconds.map { decimal($0, decimals: 3) } ?? ""
        },
        speed("database_cpu_us_per_execution", "database_cpu_s / executions of the whole run, in microseconds") { row in
            perExecution(row) { row.resources.databaseCPUSeconds.map { $0 * 1e6 } }
        },
        Column("harness_peak_rss_mb", "peak resident memory of this process, MB of 10⁶ bytes") {
            decimal(Double($0.resources.harnessPeakResidentBytes) / 1e6, decimals: 1)
        },
        Column("wal_bytes", "write-ahead log that the server wrote meanwhile") { count($0.resources.walBytes) },
        speed("wal_bytes_per_execution", "wal_bytes / executions of the whole run, warm-up included") { row in
            perExecution(row) { row.resources.walBytes.map(Double.init) }
        },
        Column("rows_written", "rows inserted, updated and deleted in the database") {
            count($0.resources.rowsWritten)
        },
        Column("commits_per_sync", "transactions of the server per sync of its log") {
            $0.resources.commitsPerSync.map { decimal($0, decimals: 2) } ?? ""
        },
        Column("lock_waits", "sessions seen waiting for a lock, summed over one sample a second") {
            count($0.resources.lockWaits)
        },
        Column("deadlocks", "deadlocks that the server broke") { count($0.resources.deadlocks) },
        Column("wal_full_page_images", "whole pages in that log: first changes of a page after a checkpoint") {
            count($0.resources.walFullPageImages)
        },
        Column("checkpoints", "checkpoints that the server began meanwhile, timed and requested ones") {
            count($0.resources.checkpoints)
        },
    ]

    private static let outcomeColumns: [Column<RunRow>] = [
        Column("final_tables", "digest of the final tables: the same for the same messages") { $0.finalTables },
        Column("verified", "true: no difference found; else every figure of speed is empty") { String($0.verified) },
        Column("validity", "invalid: the harness was the limit, so the run is left out of every comparison") {
            $0.invalidReason == nil ? "valid" : "invalid"
        },
        Column("invalid_reason", "why it is invalid") { $0.invalidReason ?? "" },
        Column("server_restarts", "transactions that CockroachDB began anew, by itself or by asking for it") {
            count($0.resources.serverRestarts)
        },
        allocate("consumers", "where workers have their partitions from: assigned, or a group and its assignor") {
            $0.consumers == .assigned ? $0.consumers.rawValue : "\($0.consumers.rawValue) \($0.assignor.rawValue)"
        },
        Column("rebalances", "of a group: assignments that its members were given, the first ones included") {
            count($0.rebalances)
        },
        Column("partitions_lost", "of a group: partitions that others took before their member gave them up") {
            count($0.partitionsLost)
        },
        Column("fenced_transactions", "of a group: transactions that moved no row, because of a later claim") {
            count($0.fencedTransactions)
        },
        Column("blocks", "block orders of the workload (stage allocate)") { $0.blocks.map { String($0) } ?? "" },
        Column("accounts_per_block", "accounts of each of them") { $0.accountsPerBlock.map { String($0) } ?? "" },
    ]

    private static func column(for setting: ModeSetting) -> Column<RunRow> {
        let modes = setting.modes.map(\.rawValue).joined(separator: ", ")
        let others = setting == .batchSize ? "; of requests or executions in the other stages" : ""
        return Column(setting.rawValue, "setting of \(modes)\(others); empty elsewhere") { row in
            switch row.competitor {
            case .allocate(let configuration): return configuration.value(of: setting).map { String($0) } ?? ""
            case .route(let configuration):
                return setting == .batchSize && configuration.way == .eventDriven ? String(configuration.batchSize) : ""
            case .execute(let configuration):
                return setting == .batchSize ? String(configuration.batchSize) : ""
            }
        }
    }

    /// A setting that only stage allocate has.
    private static func allocate(
        _ name: String, _ meaning: String, _ text: @escaping @Sendable (Configuration) -> String
    ) -> Column<RunRow> {
        Column(name, meaning) { row in
            if case .allocate(let configuration) = row.competitor { text(configuration) } else { "" }
        }
    }

    /// A column that is empty unless the run was verified.
    private static func speed(
        _ name: String, _ meaning: String, _ text: @escaping @Sendable (RunRow) -> String
    ) -> Column<RunRow> {
        Column(name, meaning) { $0.verified ? text($0) : "" }
    }

    private static func latencies(
        _ name: String, _ meaning: String, _ summary: @escaping @Sendable (RunRow) -> LatencySummary?
    ) -> [Column<RunRow>] {
        [
            speed("\(name)_p50_ms", meaning) { latency(summary($0)?.p50) },
            speed("\(name)_p95_ms", meaning) { latency(summary($0)?.p95) },
            speed("\(name)_p99_ms", meaning) { latency(summary($0)?.p99) },
            speed("\(name)_p999_ms", meaning) { latency(summary($0)?.p999) },
            speed("\(name)_max_ms", meaning) { latency(summary($0)?.max) },
        ]
    }

    private static func perExecution(_ row: RunRow, _ total: () -> Double?) -> String {
        guard let executions = row.processedExecutions ?? row.executions, executions > 0, let total = total() else {
            return ""
        }
        return decimal(total / Double(executions), decimals: 1)
    }

    private static func latency(_ nanoseconds: Int64?) -> String { nanoseconds.map { milliseconds($0) } ?? "" }
    private static func count(_ count: Int64?) -> String { count.map { String($0) } ?? "" }
    private static func rate(_ rate: Double?) -> String { rate.map { decimal($0, decimals: 1) } ?? "" }
}
