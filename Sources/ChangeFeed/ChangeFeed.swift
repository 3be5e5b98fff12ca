// The one face of a change feed, whichever server publishes: on PostgreSQL a relay of ours that reads logical replication, on
// CockroachDB the server's own changefeed, which is only made and watched here.

import Diagnostics
public import Kafka
public import Measurement
public import Postgres
import Synchronization
public import Threads

/// What a feed is to carry, and where to.
public struct FeedPlan: Sendable {
    public let connection: ConnectionInfo
    public let kafka: KafkaClientSettings
    /// Is there already.
    public let topic: String
    public let source: FeedSource
    /// Whether to publish in transactions of Kafka.
    public let isTransactional: Bool
    /// Of which commits the time to the broker counts; nil for all.
    public let window: MeasuredWindow?

    public init(
        connection: ConnectionInfo, kafka: KafkaClientSettings, topic: String, source: FeedSource,
        isTransactional: Bool = false, window: MeasuredWindow? = nil
    ) {
        self.connection = connection
        self.kafka = kafka
        self.topic = topic
        self.source = source
        self.isTransactional = isTransactional
        self.window = window
    }
}

/// Carries the committed new rows of one table to a topic, at least once. Every call blocks its thread.
public protocol ChangeFeed: Sendable {
    /// What it is called on the server.
    var name: String { get }

    /// Whether a row may be published more than once although nothing failed here.
    var mayRepeat: Bool { get }

    /// Makes on the server what carries the feed, or goes on with what an earlier one has kept. Nothing that commits from here
    /// on is missed.
    /// - Parameter scanTable: whether rows that stand in the table already are to be published too.
    func create(scanTable: Bool) throws

    /// After a promotion: makes anew on the new primary what stayed with the old one. What it would still have told comes by a scan
    /// of the whole table.
    func createAnew() throws

    /// Publishes, or watches the server publish, until the broker has everything before `end`, or until `stop` is set.
    /// - Parameter report: called while rows are carried, about as often as the figures change, with the figures so far.
    func run(until end: FeedEnd, stop: StopFlag, report: (FeedFigures) -> Void) throws -> FeedFigures

    /// Leaves it on the server without anybody who publishes. The next `create` of the same topic goes on from there.
    func keep() throws

    /// Removes it from the server, so that nothing is kept for nobody. What isn't there is fine.
    func drop() throws
}

extension ChangeFeed {
    /// The job of a changefeed is its cluster's, whichever node dies.
    public func createAnew() throws {}
}

extension FeedPlan {
    /// The feed of the server that the plan's connection leads to. Connects to ask which it is.
    public func makeFeed() throws -> any ChangeFeed {
        let connection = try PostgresConnection.connect(to: connection, applicationName: "allocbench feed")
        defer { connection.close() }
        let database = try ChangeFeeds.database(on: connection)
        if connection.dialect == .cockroachdb {
            guard !isTransactional else {
                throw OperatingError(
                    "a changefeed of CockroachDB doesn't publish in transactions of Kafka",
                    remedy: "leave out --transactional, or transactional_feed in the scenario")
            }
            return try CockroachChangefeed(self, database: database)
        }
        return SlotFeed(self, database: database)
    }
}

/// What a feed did since it started.
public struct FeedFigures: Sendable, Equatable {
    /// Messages that the broker has, scanned ones included. Of a changefeed: by how much its topic has grown.
    public var publishedCount: Int64 = 0
    /// Bytes of keys and values, before compression; 0 for a changefeed, which doesn't tell.
    public var byteCount: Int64 = 0
    /// Messages of the first scan of the table; 0 for a changefeed, which doesn't tell.
    public var scannedCount: Int64 = 0
    /// Messages of the stream whose rows this run's scan had published already. What an earlier run published and couldn't
    /// confirm to the server any more comes twice as well, and isn't known here: the topic's count tells.
    public var duplicateCount: Int64 = 0
    /// Per message of the stream that was committed within the window: from its transaction's commit to the broker's
    /// acknowledgement, in nanoseconds. The commit is known to a microsecond, and the acknowledgement is noticed within a
    /// millisecond or so: between two reads of the log. Empty for a changefeed, whose acknowledgements the server gets.
    public var committedToPublished = Histogram()
    /// When the last acknowledgement was noticed, on the monotonic clock; 0 if nothing was published. Of a changefeed: when the
    /// topic was last seen to have grown.
    public var lastPublishedTime: Int64 = 0
    /// How the commit's times, which are the server's, were brought to the clock of this machine.
    public var clock: ServerClock?
    public var transactionCount: Int64 = 0
    /// How far a changefeed was behind; nil for our own feed.
    public var lag: ChangefeedLag?

    public init() {}

    /// Adds what a feed did that went on in the place of this one.
    public mutating func add(_ later: FeedFigures) {
        publishedCount += later.publishedCount
        byteCount += later.byteCount
        scannedCount += later.scannedCount
        duplicateCount += later.duplicateCount
        committedToPublished.merge(later.committedToPublished)
        lastPublishedTime = max(lastPublishedTime, later.lastPublishedTime)
        clock = later.clock ?? clock
        transactionCount += later.transactionCount
        lag = later.lag ?? lag
    }
}

/// How far the high-water mark of a changefeed's job was behind the cluster's clock, as often as it was asked.
public struct ChangefeedLag: Sendable, Equatable {
    public var job: Int64
    public var lastNs: Int64
    public var maximumNs: Int64
    /// What the cluster's settings and the job's checkpoints allow at best: less isn't the feed's merit, nor its fault.
    public var floorNs: Int64
}

/// A place in what a server commits.
public enum FeedPosition: Sendable, Equatable {
    /// Of PostgreSQL's log.
    case log(LSN)
    /// Of CockroachDB's clock.
    case clock(HybridTimestamp)

    /// CockroachDB's nodes may differ by so much before one of them ends itself (`--max-offset`). A commit through another node
    /// may carry a time that this session's node has yet to reach.
    static let clockOffsetMaximumNs: Int64 = 500_000_000

    /// Behind everything that is committed by now.
    public static func now(on connection: PostgresConnection) throws -> FeedPosition {
        if connection.dialect == .cockroachdb {
            return .clock(try SQLChangefeedServer(connection).clusterTime().advanced(byNs: clockOffsetMaximumNs))
        }
        // A commit under synchronous_commit = off is known to its client before it is written, let alone flushed, and a feed is
        // told of nothing that isn't. So the end is where the next record would be inserted, and a record of our own behind it
        // is flushed by its commit. A transaction that writes nothing wouldn't flush, and a standby that has gone needn't be
        // waited for.
        try connection.begin(isolation: .readCommitted)
        defer { if connection.isInTransaction { try? connection.rollback() } }
        try connection.execute("SET LOCAL synchronous_commit = local")
        let text = try connection.query("SELECT pg_current_wal_insert_lsn()").text(0, 0)
        try connection.query("SELECT pg_logical_emit_message(true, 'allocbench', 'end')")
        try connection.commit()
        guard let text, let position = LSN(text) else {
            throw OperatingError("the server doesn't tell its log position")
        }
        return .log(position)
    }
}

/// Where a feed ends: unknown while rows are still being written, set once the last one is.
public final class FeedEnd: Sendable {
    private let position: Mutex<FeedPosition?>

    public init(_ end: FeedPosition? = nil) { position = Mutex(end) }
    public convenience init(_ end: LSN) { self.init(.log(end)) }

    /// The feed ends when the broker has everything before `end`.
    public func set(_ end: FeedPosition) { position.withLock { $0 = end } }

    /// Whether it is known.
    public var isSet: Bool { position.withLock { $0 != nil } }

    var logPosition: LSN? {
        if case .log(let end) = position.withLock({ $0 }) { return end }
        return nil
    }

    var clockPosition: HybridTimestamp? {
        if case .clock(let end) = position.withLock({ $0 }) { return end }
        return nil
    }
}

/// The feeds of a whole database.
public enum ChangeFeeds {
    /// Removes the feeds of every table from the server that `info` leads to, those of killed processes included.
    public static func dropAll(connection info: ConnectionInfo) throws {
        let connection = try PostgresConnection.connect(to: info, applicationName: "allocbench feed")
        defer { connection.close() }
        let database = try database(on: connection)
        guard connection.dialect == .cockroachdb else {
            return try FeedSlot.dropAll(database: database, connection: info)
        }
        try CockroachChangefeed.dropAll(database: database, on: SQLChangefeedServer(connection))
    }

    /// By the server's word: the environment may name it (PGDATABASE), and then the connection's parameters don't.
    static func database(on connection: PostgresConnection) throws -> String {
        let answer = try connection.query("SELECT current_database()")
        guard answer.rowCount == 1, let name = answer.text(0, 0) else {
            throw OperatingError("the connection is to no database", remedy: "name one in --database, or in PGDATABASE")
        }
        return name
    }
}
