// What is compared: one mode of processing with its settings, as a scenario names it and a worker obeys it.
// A plain value without I/O: the scenario file checks the ranges, the workers trust them.

/// How executions are grouped into database transactions.
public enum Mode: String, Sendable, Hashable, CaseIterable {
    /// One statement per row, autocommit: the naive baseline.
    case row
    /// `txn_size` messages of one partition a transaction, `pipeline_depth` transactions in flight.
    case concurrent
    /// Whatever has arrived, up to `batch_size`; never waits to fill.
    case adaptive
    /// Up to `batch_size` messages, or what came within `batch_window_ms`.
    case batch
    /// Messages are staged; every `cycle_interval_ms` one set-based transaction processes everything staged.
    case cycle
}

/// The isolation level of a worker's transactions, in the words of the scenario file.
public enum Isolation: String, Sendable, Hashable, CaseIterable {
    case readCommitted = "read_committed"
    case repeatableRead = "repeatable_read"
    case serializable

    /// The level as `BEGIN ISOLATION LEVEL` takes it.
    public var sql: String {
        switch self {
        case .readCommitted: "READ COMMITTED"
        case .repeatableRead: "REPEATABLE READ"
        case .serializable: "SERIALIZABLE"
        }
    }
}

/// A number that only some modes have; the raw value is its key in the scenario file and its column in the CSV.
public enum ModeSetting: String, Sendable, Hashable, CaseIterable {
    case transactionSize = "txn_size"
    case pipelineDepth = "pipeline_depth"
    case batchSize = "batch_size"
    case batchWindowMs = "batch_window_ms"
    case cycleIntervalMs = "cycle_interval_ms"

    /// The modes that the setting belongs to.
    public var modes: [Mode] {
        switch self {
        case .transactionSize, .pipelineDepth: [.concurrent]
        case .batchSize: [.adaptive, .batch, .cycle]
        case .batchWindowMs: [.batch]
        case .cycleIntervalMs: [.cycle]
        }
    }

    /// What a configuration of `mode` has when it doesn't say.
    public func standard(in mode: Mode) -> Int {
        switch self {
        case .transactionSize, .pipelineDepth: 1
        case .batchSize: mode == .batch ? 128 : 1024
        case .batchWindowMs: 20
        case .cycleIntervalMs: 500
        }
    }
}

/// One competitor: a mode and all its settings. Settings of other modes hold their defaults and mean nothing.
public struct Configuration: Sendable, Hashable {
    public static let workersDefault = 4
    public static let bookingWorkersDefault = 1

    /// Unique within a scenario; generated from the settings where the scenario gives none.
    public var name: String
    public var mode: Mode
    public var workers: Int
    public var transactionSize: Int
    public var pipelineDepth: Int
    public var batchSize: Int
    public var batchWindowMs: Int
    public var cycleIntervalMs: Int
    public var isolation: Isolation
    /// When fills are allocated on the way.
    public var snapshots: SnapshotPolicy
    /// Workers that book beside the allocation workers; 0 books after they have ended.
    public var bookingWorkers: Int
    /// What the records of the executions' topic are keyed by.
    public var topicKey: TopicKey
    public var consumers: PartitionSource
    /// Of a group; means nothing where partitions are assigned.
    public var assignor: GroupAssignor
    /// What a commit of an allocation worker waits for; booking workers keep the server's setting.
    public var synchronousCommit: SynchronousCommit
    /// A surrogate key beside the natural one of what was captured.
    public var keyStrategy: KeyStrategy
    /// The emulated round trip between the workers and the database; 0 connects them directly.
    public var roundTripTimeUs: Int
    /// Partitions of the executions' topic; nil takes the workload's.
    public var partitions: Int?
    /// A deliberate slow-down in millionths, which checks that the harness finds one. Never part of a serious comparison.
    public var handicapPpm: Int64

    /// A nil takes the default of the mode, a nil name the generated one.
    public init(
        name: String? = nil,
        mode: Mode,
        workers: Int = Configuration.workersDefault,
        transactionSize: Int? = nil,
        pipelineDepth: Int? = nil,
        batchSize: Int? = nil,
        batchWindowMs: Int? = nil,
        cycleIntervalMs: Int? = nil,
        isolation: Isolation = .readCommitted,
        snapshots: SnapshotPolicy = .quarters,
        bookingWorkers: Int = Configuration.bookingWorkersDefault,
        topicKey: TopicKey = .standard,
        consumers: PartitionSource = .standard,
        assignor: GroupAssignor = .standard,
        synchronousCommit: SynchronousCommit = .standard,
        keyStrategy: KeyStrategy = .standard,
        roundTripTimeUs: Int = 0,
        partitions: Int? = nil,
        handicapPpm: Int64 = 0
    ) {
        self.name = ""
        self.mode = mode
        self.workers = workers
        self.transactionSize = transactionSize ?? ModeSetting.transactionSize.standard(in: mode)
        self.pipelineDepth = pipelineDepth ?? ModeSetting.pipelineDepth.standard(in: mode)
        self.batchSize = batchSize ?? ModeSetting.batchSize.standard(in: mode)
        self.batchWindowMs = batchWindowMs ?? ModeSetting.batchWindowMs.standard(in: mode)
        self.cycleIntervalMs = cycleIntervalMs ?? ModeSetting.cycleIntervalMs.standard(in: mode)
        self.isolation = isolation
        self.snapshots = snapshots
        self.bookingWorkers = bookingWorkers
        self.topicKey = topicKey
        self.consumers = consumers
        self.assignor = assignor
        self.synchronousCommit = synchronousCommit
        self.keyStrategy = keyStrategy
        self.roundTripTimeUs = roundTripTimeUs
        self.partitions = partitions
        self.handicapPpm = handicapPpm
        self.name = name ?? generatedName
    }

    public var batchWindow: Duration { .milliseconds(batchWindowMs) }
    public var cycleInterval: Duration { .milliseconds(cycleIntervalMs) }

    /// The setting's value; nil where it doesn't belong to the mode.
    public func value(of setting: ModeSetting) -> Int? {
        guard setting.modes.contains(mode) else { return nil }
        return switch setting {
        case .transactionSize: transactionSize
        case .pipelineDepth: pipelineDepth
        case .batchSize: batchSize
        case .batchWindowMs: batchWindowMs
        case .cycleIntervalMs: cycleIntervalMs
        }
    }

    /// Short and stable, such as `row-w4`, `concurrent-w8-t1-d4`, `batch-w4-b128` or `cycle-w4-i500`. A setting that
    /// is rarely changed (window, staging size, isolation, snapshots, booking, the servers' dimensions) shows only where it
    /// differs from its default: `concurrent-w4-t1-d1-keyexecution-sync_off-uuid7-rtt500us-p8-handicap100000ppm`.
    public var generatedName: String {
        var parts = [mode.rawValue, "w\(workers)"]
        switch mode {
        case .row: break
        case .concurrent: parts += ["t\(transactionSize)", "d\(pipelineDepth)"]
        case .adaptive: parts += ["b\(batchSize)"]
        case .batch:
            parts += ["b\(batchSize)"]
            if batchWindowMs != ModeSetting.batchWindowMs.standard(in: mode) { parts += ["ms\(batchWindowMs)"] }
        case .cycle:
            parts += ["i\(cycleIntervalMs)"]
            if batchSize != ModeSetting.batchSize.standard(in: mode) { parts += ["b\(batchSize)"] }
        }
        switch isolation {
        case .readCommitted: break
        case .repeatableRead: parts += ["rr"]
        case .serializable: parts += ["ser"]
        }
        if snapshots != .quarters { parts += [snapshots.name] }
        if bookingWorkers != Configuration.bookingWorkersDefault { parts += ["book\(bookingWorkers)"] }
        if topicKey != .standard { parts += ["key\(topicKey.rawValue)"] }
        if consumers == .group { parts += [consumers.rawValue] + (assignor == .standard ? [] : [assignor.rawValue]) }
        if synchronousCommit != .standard { parts += ["sync_\(synchronousCommit.rawValue)"] }
        if keyStrategy != .standard { parts += [keyStrategy.rawValue] }
        if roundTripTimeUs != 0 { parts += ["rtt\(roundTripTimeUs)us"] }
        if let partitions { parts += ["p\(partitions)"] }
        if handicapPpm != 0 { parts += ["handicap\(handicapPpm)ppm"] }
        return parts.joined(separator: "-")
    }
}

extension SnapshotPolicy {
    /// Short and without blanks, for names of configurations and columns: `completion`, `parts4`, `executions100`,
    /// `interval500ms`.
    public var name: String {
        switch self {
        case .fraction(let parts): "parts\(parts)"
        case .executions(let count): "executions\(count)"
        case .interval(let milliseconds): "interval\(milliseconds)ms"
        case .completion: "completion"
        }
    }
}

/// How requests become orders. Both ways end in identical tables.
public enum RoutingWay: String, Sendable, Hashable, CaseIterable {
    /// One SQL transaction per group of accounts.
    case setBased = "set_based"
    /// Requests travel through the change feed and a topic to workers that route them side by side.
    case eventDriven = "event_driven"
}

/// One competitor of a scenario that compares ways of routing.
public struct RoutingConfiguration: Sendable, Hashable {
    public static let workersDefault = 4
    public static let batchSizeDefault = 64

    /// Unique within a scenario; generated from the settings where the scenario gives none.
    public var name: String
    public var way: RoutingWay
    /// Threads with a connection each; set-based routing has one.
    public var workers: Int
    /// Requests in one transaction at most; of set-based routing a group is the transaction, and this means nothing.
    public var batchSize: Int

    /// A nil takes the default, a nil name the generated one: `set_based` or `event_driven-w4-b64`.
    public init(name: String? = nil, way: RoutingWay, workers: Int? = nil, batchSize: Int? = nil) {
        self.way = way
        self.workers = way == .setBased ? 1 : workers ?? Self.workersDefault
        self.batchSize = batchSize ?? Self.batchSizeDefault
        let generated = way == .setBased ? way.rawValue : "\(way.rawValue)-w\(self.workers)-b\(self.batchSize)"
        self.name = name ?? generated
    }
}
