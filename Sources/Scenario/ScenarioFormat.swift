// Every key of a scenario file with what it may hold, level by level: the one table behind the reader's refusals, the JSON
// Schema and the names that `allocbench check` suggests. Plain values.

import Measurement
import Model
import Postgres
import Report

/// What each number may be. The upper ends are far beyond use: they catch a slip of the keyboard.
enum Limit {
    static let repetitions = 1...1000
    static let executions = 1...100_000_000
    static let blocks = 1...1_000_000
    static let accountsPerBlock = 1...10_000
    static let partitions = 1...256
    static let workers = 1...256
    static let lotSize = 1...1000
    static let minimumTicketLots = 1...1_000_000
    static let policyCount = 1...100
    /// θ of Zipf's law in parts per million; 1 is the law itself, beyond 2 one block gets nearly everything.
    static let zipfTheta: ClosedRange<Int64> = 10_000...2_000_000
    static let standbys = 0...3
    static let replicas = 1...15
    /// The buckets that CockroachDB takes.
    static let hashBuckets = 2...2048
    static let splitPoints = 0...10_000
    /// From 64 MiB, the least that CockroachDB takes, to 8 GiB.
    static let rangeBytesMax = 67_108_864...8_589_934_592
    static let workerHosts = 1...64
    static let bookingWorkers = 0...64
    static let routingBatchSize = 1...10_000
    static let executeBatchSize = 1...10_000
    static let snapshotParts = 1...10_000
    static let snapshotExecutions = 1...1_000_000
    static let snapshotIntervalMs = 1...3_600_000
    static let roundTripTimeUs = 0...1_000_000
    /// In parts per million. Of a block whose fills are all reversed nothing could be learnt.
    static let busts: ClosedRange<Int64> = 0...500_000
    static let changes: ClosedRange<Int64> = 0...1_000_000
    static let handicap: ClosedRange<Int64> = 0...900_000
    static let configurationCount = 200
    /// Of a matrix before what is equal or excluded is taken away.
    static let matrixProduct = 10_000
    static let rate = 0.001...10_000_000
    /// Of a phase, which may be a pause or begin from nothing.
    static let phaseRate = 0...10_000_000.0
    static let phaseCount = 1...100
    static let seconds = 0.001...86_400
    static let milliseconds = 0.001...3_600_000
    /// A harness that is later than a second offers no schedule.
    static let scheduleLagMs = 0.001...1000.0
    static let precision = 0.001...0.5
    static let probeSeconds = 0.5...600
    static let gateCount = 1...100
    static let faultCount = 1...100
    static let gateRate = 0.001...1_000_000_000
    static let gateRatio = 0.001...1000
    /// An open load that lasts longer is a slip in the rate.
    static let replaySeconds = 86_400.0

    static func range(of setting: ModeSetting) -> ClosedRange<Int> {
        switch setting {
        case .transactionSize: 1...10_000
        case .pipelineDepth: 1...1000
        case .batchSize: 1...100_000
        case .batchWindowMs: 1...60_000
        case .cycleIntervalMs: 1...600_000
        }
    }

    /// PostgreSQL's settings that a scenario may change. Those that the harness lives by (where the server listens, what its
    /// log holds, who its standbys are) aren't among them, nor what is a field of a configuration.
    static let serverSettings = [
        "autovacuum", "autovacuum_max_workers", "autovacuum_naptime", "autovacuum_vacuum_scale_factor",
        "backend_flush_after", "bgwriter_delay", "bgwriter_lru_maxpages", "checkpoint_completion_target",
        "checkpoint_flush_after", "checkpoint_timeout", "commit_delay", "commit_siblings", "deadlock_timeout",
        "effective_cache_size", "effective_io_concurrency", "fsync", "full_page_writes", "huge_pages", "jit",
        "maintenance_work_mem", "max_parallel_workers", "max_parallel_workers_per_gather", "max_wal_size",
        "min_wal_size", "random_page_cost", "seq_page_cost", "shared_buffers", "track_io_timing", "wal_buffers",
        "wal_compression", "wal_sync_method", "wal_writer_delay", "wal_writer_flush_after", "work_mem",
    ]
}

/// What a value may be.
indirect enum Form: Sendable {
    case integer(ClosedRange<Int>)
    /// Any 64 bits.
    case seed
    case number(ClosedRange<Double>)
    /// A decimal of at most six digits, kept in millionths.
    case share(ClosedRange<Int64>)
    /// A whole number of microseconds or milliseconds with its unit, such as 500us or 2ms, or 0; kept in microseconds.
    case shortTime(ClosedRange<Int>)
    case words([String])
    case name
    case text
    case day
    case list(of: Form, count: ClosedRange<Int>)
    case mapping(Level)
    case either([Form])
    /// Server settings by name.
    case settings
    /// Properties of librdkafka by name.
    case properties
    /// `ANY` or `FIRST` with a number.
    case standbyNames
}

/// One key of a mapping.
struct Key: Sendable {
    var name: String
    var form: Form
    /// For editors and the wiki: what it means, in a sentence.
    var about: String
    /// As YAML would have it.
    var standard: String?
    var isRequired = false
    /// The stages that know it.
    var stages = ScenarioFile.Stage.allCases

    init(
        _ name: String, _ form: Form, _ about: String, standard: String? = nil, isRequired: Bool = false,
        stages: [ScenarioFile.Stage] = ScenarioFile.Stage.allCases
    ) {
        self.name = name
        self.form = form
        self.about = about
        self.standard = standard
        self.isRequired = isRequired
        self.stages = stages
    }
}

/// A mapping with the keys that it may have.
struct Level: Sendable {
    /// As a refusal names it: "a key of workload".
    var owner: String
    var keys: [Key]

    init(_ owner: String, _ keys: [Key]) {
        self.owner = owner
        self.keys = keys
    }

    var names: [String] { keys.map(\.name) }

    subscript(name: String) -> Key? { keys.first { $0.name == name } }
}

/// The levels of a scenario file.
enum ScenarioFormat {
    static let workload = Level(
        "workload",
        [
            Key("executions", .integer(Limit.executions), "Exactly so many executions.", isRequired: true),
            Key("blocks", .integer(Limit.blocks), "Block orders; at most as many as executions.", isRequired: true),
            Key(
                "accounts_per_block", .integer(Limit.accountsPerBlock), "Accounts behind each block order.",
                standard: String(ScenarioFile.Workload.accountsPerBlockDefault)),
            Key(
                "partitions", .integer(Limit.partitions), "Partitions of the topic.",
                standard: String(ScenarioFile.Workload.partitionsDefault)),
            Key(
                "skew", .either([.words(["uniform"]), .mapping(skew)]),
                "How executions are spread over the block orders: evenly, or by Zipf's law.", standard: "uniform"),
            Key("securities_file", .text, "Real securities; goes with prices_folder. Relative to this file's folder."),
            Key("prices_folder", .text, "Real prices, a file for each symbol. Relative to this file's folder."),
            Key("route_date", .day, "The trade date; the last day with prices where it isn't said."),
            Key(
                "busts", .share(Limit.busts), "Share of the trades that are busted.", standard: "0",
                stages: [.allocate, .execute]),
            Key(
                "replaces", .share(Limit.changes), "Share of the block orders that are replaced.", standard: "0",
                stages: [.allocate, .execute]),
            Key(
                "cancels", .share(Limit.changes),
                "Share of the block orders that are canceled; with replaces at most 1.", standard: "0",
                stages: [.allocate, .execute]),
            Key(
                "allocation_policies",
                .either([.words(policies), .list(of: .words(policies), count: Limit.policyCount)]),
                "How fills are divided among accounts: one policy, or several that are dealt to the blocks in turn.",
                standard: AllocationPolicy.proRata.rawValue, stages: [.allocate]),
            Key(
                "minimum_ticket_lots", .integer(Limit.minimumTicketLots),
                "The least that an account gets under pro_rata_min_ticket.",
                standard: String(ScenarioFile.Workload.minimumTicketLotsDefault), stages: [.allocate]),
            Key(
                "lot_size", .integer(Limit.lotSize), "Shares in a lot of every security.",
                standard: String(ScenarioFile.Workload.lotSizeDefault)),
            Key(
                "routing", .words(RoutingWay.allCases.map(\.rawValue)), "How the block orders are made.",
                standard: RoutingWay.setBased.rawValue, stages: [.allocate, .execute]),
        ])

    static let skew = Level(
        "skew",
        [Key("zipf", .share(Limit.zipfTheta), "θ of Zipf's law: 1 is steep, 0.01 nearly even.", isRequired: true)])

    /// What only a CockroachDB cluster has.
    static let cockroach = Level(
        "cockroachdb",
        [
            Key("replicas", .integer(Limit.replicas), "Copies of every range of the harness's tables."),
            Key("range_max_bytes", .integer(Limit.rangeBytesMax), "The largest range before it is split."),
            Key(
                "hash_buckets", .integer(Limit.hashBuckets), "Buckets of the keys that grow.",
                standard: String(CockroachSettings.hashBucketsDefault)),
            Key(
                "split_points", .integer(Limit.splitPoints),
                "At how many block orders the tables of their rows are split before a run.", standard: "0"),
            Key(
                "bulk_load", .words(BulkLoad.allCases.map(\.rawValue)), "How prices are loaded.", standard: "copy"),
            Key(
                "retry", .words(RetryMethod.allCases.map(\.rawValue)),
                "What workers repeat after a 40001: the transaction, or what lies behind SAVEPOINT cockroach_restart.",
                standard: "transaction"),
            Key(
                "inject_retry_errors", .words(["true", "false"]),
                "Has the server answer the workers' transactions with 40001; goes with retry: savepoint.",
                standard: "false"),
        ])

    static let servers = Level(
        "servers",
        [
            Key(
                "database", .text,
                "embedded, or a URI of your own PostgreSQL or CockroachDB, without its password.", standard: "embedded"),
            Key(
                "standbys", .integer(Limit.standbys),
                "Copies of the embedded database that a commit may wait for.", standard: "0"),
            Key(
                "synchronous_standby_names", .standbyNames,
                "For how many of the standbys a commit waits, by quorum (ANY 1) or by priority (FIRST 1); "
                    + "ANY 1 where there are standbys."),
            Key("settings", .settings, "Settings of the embedded PostgreSQL, such as shared_buffers: 256MB."),
            Key("cockroachdb", .mapping(cockroach), "What a CockroachDB cluster is told; refused on PostgreSQL."),
            Key(
                "worker_hosts", .integer(Limit.workerHosts),
                "Processes (allocbench work --join) that the workers run in, on any machines; else they are threads of the runner."
            ),
            Key("brokers", .text, "embedded, or HOST:PORT,... of your own Kafka.", standard: "embedded"),
            Key(
                "embedded_brokers", .integer(Limit.embeddedBrokers),
                "Nodes of the embedded Kafka; more than one need a distribution (KAFKA_HOME).", standard: "1"),
            Key("kafka", .mapping(kafka), "Of the Kafka's clients and topics."),
        ])

    static let scenario = Level(
        "a scenario",
        [
            Key("name", .name, "Names the results; the file's name where it isn't said."),
            Key("description", .text, "For readers."),
            Key(
                "seed", .seed, "Of all generated data and of everything drawn.",
                standard: String(ScenarioFile.seedDefault)),
            Key(
                "repetitions", .integer(Limit.repetitions),
                "Of every configuration; without several there is no verdict.",
                standard: String(ScenarioFile.repetitionsDefault)),
            Key(
                "order", .words(ScenarioFile.Order.allCases.map(\.rawValue)),
                "In which order the configurations take turns over the repetitions.", standard: "abba"),
            Key(
                "stage", .words(ScenarioFile.Stage.allCases.map(\.rawValue)), "What is measured.", standard: "allocate"),
            Key(
                "workload", .either([.mapping(workload), .text]),
                "What is processed; or the path of a file that says so.",
                isRequired: true),
            Key(
                "servers", .either([.mapping(servers), .text]),
                "The servers; or embedded, or a URI of your own database, or the path of a file that says all this."),
            Key(
                "load",
                .either([.words(["backlog"]), .mapping(backlog), .mapping(open), .mapping(search)]),
                "How executions reach the workers.", standard: "backlog", stages: [.allocate]),
            Key(
                "warm_up", .mapping(extent), "The beginning of every run, which isn't measured.", stages: [.allocate]),
            Key("measured", .mapping(extent), "What is measured; the rest where it isn't said.", stages: [.allocate]),
            Key(
                "gates", .list(of: .mapping(gate), count: Limit.gateCount),
                "What configurations must reach, or else the run ends with an exit status of its own."),
            Key(
                "faults", .list(of: .mapping(fault), count: Limit.faultCount), "What breaks while a run goes on.",
                stages: [.allocate]),
            Key(
                "configurations", .mapping(configuration),
                "What competes: a list, in which every field but name may be a list itself, or a matrix.",
                isRequired: true),
        ])

    static let backlog = Level("load", [modelKey("backlog", "The topic is filled, then drained.")])

    static let open = Level(
        "load",
        [
            modelKey("open", "Executions arrive on a schedule, whether or not the system keeps up."),
            Key("rate", .number(Limit.rate), "Executions per second; this or phases."),
            Key(
                "phases", .list(of: .mapping(phase), count: Limit.phaseCount),
                "Rates that follow each other; the last goes on until every execution has come."),
            Key(
                "arrivals", .words(["uniform", "poisson"]), "Evenly spaced, or at random as customers come.",
                standard: "uniform"),
            through,
            Key(
                "schedule_lag_max_ms", .number(Limit.scheduleLagMs),
                "How late, at its p99, the harness may offer what is due before the run is INVALID.",
                standard: plain(Double(HarnessValidity.scheduleLagBoundNs) / 1e6)),
        ])

    static let phase = Level(
        "a phase",
        [
            Key("rate", .number(Limit.phaseRate), "Executions per second; this, or from and to."),
            Key("from", .number(Limit.phaseRate), "The rate at the beginning of a ramp."),
            Key("to", .number(Limit.phaseRate), "The rate at the end of a ramp."),
            Key("seconds", .number(Limit.seconds), "How long the phase lasts; the last one needs none."),
        ])

    static let search = Level(
        "load",
        [
            modelKey("search", "Looks for the highest rate that holds a limit."),
            Key("p99_ms", .number(Limit.milliseconds), "What the p99 of time-to-visible may be.", isRequired: true),
            Key(
                "lag_max_ms", .number(Limit.milliseconds), "How far behind its schedule a probe may end.",
                standard: plain(ScenarioFile.SearchLoad.lagLimitMsDefault)),
            Key(
                "from", .number(Limit.rate), "Executions per second of the first probe.",
                standard: plain(ScenarioFile.SearchLoad.lowRateDefault)),
            Key(
                "to", .number(Limit.rate), "No probe has a higher rate.",
                standard: plain(ScenarioFile.SearchLoad.highRateLimitDefault)),
            Key(
                "precision", .number(Limit.precision), "How near, as a share, the answer is pinned down.",
                standard: plain(ScenarioFile.SearchLoad.precisionDefault)),
            Key(
                "probe_seconds", .number(Limit.probeSeconds), "How long each rate is tried.",
                standard: plain(ScenarioFile.SearchLoad.probeSecondsDefault)),
            through,
        ])

    static let extent = Level(
        "a part of a run",
        [
            Key("executions", .integer(Limit.executions), "By count."),
            Key("seconds", .number(Limit.seconds), "By time."),
        ])

    static let gate = Level(
        "a gate",
        [
            Key("configuration", .name, "Whom it binds; every configuration where it isn't said."),
            Key("max_p99_ms", .number(Limit.milliseconds), "The p99 of time-to-visible is at most this."),
            Key("min_executions_per_s", .number(Limit.gateRate), "At least so many executions per second."),
            Key("min_ratio_to", .name, "At least ratio times as good as the configuration of this name."),
            Key("ratio", .number(Limit.gateRatio), "Goes with min_ratio_to.", standard: "1"),
            Key(
                "metric", .words(ScenarioFile.GateRule.Metric.allCases.map(\.rawValue)),
                "Goes with min_ratio_to; the load's own where it isn't said."),
        ])

    static let fault = Level(
        "a fault",
        [
            Key("at_seconds", .number(Limit.seconds), "After the start of the run.", isRequired: true),
            Key("kind", .words(ScenarioFile.FaultPlan.Kind.allCases.map(\.rawValue)), "What breaks.", isRequired: true),
        ])

    static let snapshots = Level(
        "snapshots",
        [
            Key("parts", .integer(Limit.snapshotParts), "Whenever another of so many parts of the block is filled."),
            Key("executions", .integer(Limit.snapshotExecutions), "Whenever so many more executions are live."),
            Key("interval_ms", .integer(Limit.snapshotIntervalMs), "When so long has passed since the last snapshot."),
        ])

    static let configuration = Level(
        "a configuration",
        [
            Key("name", .name, "Unique; generated where it isn't said. A prefix where another field is a list."),
            Key("mode", .words(Mode.allCases.map(\.rawValue)), "How executions are grouped.", isRequired: true),
            Key(
                "workers", .integer(Limit.workers), "Threads with a connection each; at most one a partition.",
                standard: String(Configuration.workersDefault)),
        ] + ModeSetting.allCases.map(modeKey) + [
            Key(
                "isolation", .words(Isolation.allCases.map(\.rawValue)), "Of the workers' transactions.",
                standard: Isolation.readCommitted.rawValue),
            Key(
                "snapshots", .either([.words(["completion"]), .mapping(snapshots)]),
                "When fills are allocated on the way.", standard: "{ parts: 4 }"),
            Key(
                "booking_workers", .integer(Limit.bookingWorkers), "Book beside the drain; 0 books after it.",
                standard: String(Configuration.bookingWorkersDefault)),
            Key("partitions", .integer(Limit.partitions), "Partitions of the topic instead of the workload's."),
            Key(
                "topic_key", .words(TopicKey.allCases.map(\.rawValue)),
                "What keeps order in the topic: with execution, workers contend for the rows of a block.",
                standard: TopicKey.standard.rawValue),
            Key(
                "consumers", .words(PartitionSource.allCases.map(\.rawValue)),
                "Whether partitions are assigned to workers for good or come from a consumer group of them.",
                standard: PartitionSource.standard.rawValue),
            Key(
                "assignor", .words(GroupAssignor.allCases.map(\.rawValue)), "Of a group: how it deals partitions out.",
                standard: GroupAssignor.standard.rawValue),
            Key(
                "synchronous_commit", .words(SynchronousCommit.allCases.map(\.rawValue)), "What a commit waits for.",
                standard: SynchronousCommit.standard.rawValue),
            Key(
                "key_strategy", .words(KeyStrategy.allCases.map(\.rawValue)),
                "A surrogate key beside the natural one of what was captured.", standard: KeyStrategy.standard.rawValue),
            Key(
                "emulated_round_trip", .shortTime(Limit.roundTripTimeUs),
                "What a round trip between workers and database takes, such as 500us or 2ms.", standard: "0"),
            Key(
                "handicap", .share(Limit.handicap),
                "A deliberate slow-down: throughput falls by this share. Checks the harness itself.", standard: "0"),
        ])

    static let routingConfiguration = Level(
        "a configuration",
        [
            Key("name", .name, "Unique; generated where it isn't said."),
            Key(
                "routing", .words(RoutingWay.allCases.map(\.rawValue)), "How requests become orders.", isRequired: true),
            Key(
                "workers", .integer(Limit.workers), "Of event_driven: threads with a connection each.",
                standard: String(RoutingConfiguration.workersDefault)),
            Key(
                "batch_size", .integer(Limit.routingBatchSize), "Of event_driven: requests in a transaction at most.",
                standard: String(RoutingConfiguration.batchSizeDefault)),
        ])

    static let executeConfiguration = Level(
        "a configuration",
        [
            Key("name", .name, "Unique; generated where it isn't said."),
            Key("feed", .words(FeedState.allCases.map(\.rawValue)), "What reads the log meanwhile.", isRequired: true),
            Key(
                "batch_size", .integer(Limit.executeBatchSize), "Executions in one transaction.",
                standard: String(ExecuteConfiguration.batchSizeDefault)),
        ])

    static let matrix = ["matrix", "include", "exclude"]

    /// The level of a configuration of this stage.
    static func configuration(of stage: ScenarioFile.Stage) -> Level {
        switch stage {
        case .allocate: configuration
        case .route: routingConfiguration
        case .execute: executeConfiguration
        }
    }

    private static let policies = AllocationPolicy.allCases.map(\.rawValue)

    private static let through = Key(
        "through", .words(ScenarioFile.Through.allCases.map(\.rawValue)),
        "From the topic, recorded before; or through tables and change feed, committed on schedule.", standard: "topic")

    private static func modelKey(_ word: String, _ about: String) -> Key {
        Key("model", .words([word]), about, isRequired: true)
    }

    private static func modeKey(_ setting: ModeSetting) -> Key {
        let about =
            switch setting {
            case .transactionSize: "Messages of one partition in a transaction, at most."
            case .pipelineDepth: "Transactions in flight."
            case .batchSize: "Messages in one transaction, at most; in mode cycle, in one staging."
            case .batchWindowMs: "How long a batch waits to fill."
            case .cycleIntervalMs: "How often what is staged is processed."
            }
        let modes = setting.modes.map(\.rawValue).joined(separator: ", ")
        let standards = Set(setting.modes.map { setting.standard(in: $0) })
        return Key(
            setting.rawValue, .integer(Limit.range(of: setting)), "Of mode \(modes): \(about)",
            standard: standards.count == 1 ? standards.first.map(String.init) : nil)
    }
}
