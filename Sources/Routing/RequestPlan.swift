// What the routing workers are told, and what they measured. Plain values, and the one object by which they are told where
// their topic ends.

public import Kafka
public import Measurement
public import Model
public import Postgres
import Synchronization

/// What a routing worker needs to know.
public struct RequestPlan: Sendable {
    public var connection: ConnectionInfo
    public var kafka: KafkaClientSettings
    public var topic: String
    /// The partitions that are read; the pool deals them out among its workers.
    public var partitions: [Int32]
    /// Requests of other dates are left alone.
    public var date: TradeDate
    public var workers: Int
    /// Requests in one transaction at most; a worker never waits to fill one.
    public var batchSize: Int
    /// Under this name the broker keeps how far the partitions are done.
    public var group: String
    public var retry = RetryPolicy(maxAttempts: 20)
    /// How a lost connection is sought again.
    public var reconnect = ReconnectPolicy()
    /// How long a request may be announced before its row can be seen. The change feed sends a transaction as soon as the
    /// log has it, which is before the server lets others see its rows: a moment, or as long as a standby takes.
    public var visibilityTimeoutNs: Int64 = 10_000_000_000
    /// Of the delays between attempts.
    public var seed: UInt64 = 1
    /// Hears what all workers have done so far; nil tells nobody.
    public var progress: WorkerProgress?

    public init(
        connection: ConnectionInfo, kafka: KafkaClientSettings, topic: String, partitions: [Int32], date: TradeDate,
        workers: Int = RoutingConfiguration.workersDefault, batchSize: Int = RoutingConfiguration.batchSizeDefault,
        group: String = "allocbench.routing"
    ) {
        self.connection = connection
        self.kafka = kafka
        self.topic = topic
        self.partitions = partitions
        self.date = date
        self.workers = workers
        self.batchSize = batchSize
        self.group = group
    }
}

/// Where the topic ends: unknown while requests are still being published, set once the last one is.
public final class TopicEnd: Sendable {
    private let ends = Mutex<[Int32: Int64]?>(nil)

    public init(_ ends: [Int32: Int64]? = nil) {
        if let ends { set(ends) }
    }

    /// By partition the offset behind its last message.
    public func set(_ ends: [Int32: Int64]) { self.ends.withLock { $0 = ends } }

    var value: [Int32: Int64]? { ends.withLock { $0 } }
}

/// A message that is no request. It is told, never just skipped: it may stand for a request that nobody routes.
public struct RejectedMessage: Sendable, Equatable, CustomStringConvertible {
    public let partition: Int32
    public let offset: Int64
    /// The field at fault.
    public let field: String

    public var description: String { "partition \(partition), offset \(offset): malformed \(field)" }
}

/// What routing workers did. Each worker has its own, written by its thread alone; the pool merges them afterwards.
public struct RequestFigures: Sendable {
    /// Messages that were requests of the date, duplicates included.
    public var messageCount: Int64 = 0
    /// Requests that these workers routed, as far as the answers of their commits came back.
    public var routedCount: Int64 = 0
    public var customerOrderCount: Int64 = 0
    /// Messages of other dates, of routed and deleted rows, and marks.
    public var skippedCount: Int64 = 0
    /// Requests whose rows weren't there within the plan's visibility timeout: deleted, or of a date that was routed anew.
    public var missingCount: Int64 = 0
    /// Looks for rows that their messages had overtaken.
    public var overtakenCount: Int64 = 0
    public var rejectedCount: Int64 = 0
    /// The first of them.
    public var rejected: [RejectedMessage] = []
    public var transactionCount: Int64 = 0
    /// Attempts that failed and were repeated, by SQLSTATE.
    public var retries: [SQLState: RetryFigures] = [:]
    public var reconnectCount: Int64 = 0
    /// Per transaction: from its statement to the answer of its commit, retries included, in nanoseconds.
    public var transactionLatency = Histogram()
    /// Per request: from the commit that opened it, by the server's clock, to the commit that routed it, by this machine's.
    public var requestToRouted = Histogram()
    /// When the first and the last commit were answered, on the monotonic clock; 0 without one.
    public var firstCommitTime: Int64 = 0
    public var lastCommitTime: Int64 = 0

    static let rejectedKept = 20

    public init() {}

    /// Messages whose requests were routed before.
    public var duplicateCount: Int64 { messageCount - routedCount - missingCount }
    public var retryCount: Int64 { retries.retryCount }

    mutating func reject(_ message: RejectedMessage) {
        rejectedCount += 1
        if rejected.count < Self.rejectedKept { rejected.append(message) }
    }

    public mutating func merge(_ other: RequestFigures) {
        messageCount += other.messageCount
        routedCount += other.routedCount
        customerOrderCount += other.customerOrderCount
        skippedCount += other.skippedCount
        missingCount += other.missingCount
        overtakenCount += other.overtakenCount
        rejectedCount += other.rejectedCount
        rejected += other.rejected.prefix(Self.rejectedKept - rejected.count)
        transactionCount += other.transactionCount
        retries.merge(other.retries)
        reconnectCount += other.reconnectCount
        transactionLatency.merge(other.transactionLatency)
        requestToRouted.merge(other.requestToRouted)
        if other.firstCommitTime != 0 {
            firstCommitTime = firstCommitTime == 0 ? other.firstCommitTime : min(firstCommitTime, other.firstCommitTime)
        }
        lastCommitTime = max(lastCommitTime, other.lastCommitTime)
    }
}
