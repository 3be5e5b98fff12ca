// Event-driven routing of one date: opens the requests, carries them through the change feed and a topic to the routing
// workers, and closes the date when all are routed. Runs on its caller's thread; feed and workers have theirs.

import ChangeFeed
import Diagnostics
import Kafka
public import Measurement
public import Model
public import Orders
public import Postgres
public import Routing
public import Threads

/// How requests travel.
public struct EventRoutingPlan: Sendable {
    public static let topicDefault = "orders.requests"

    public var routing: RoutingPlan
    public var topic: String
    /// Of the topic, when it is made.
    public var partitions: Int
    public var workers: Int
    public var batchSize: Int
    public var seed: UInt64 = 1
    /// Hears what the workers have done so far; nil tells nobody.
    public var progress: WorkerProgress?

    public init(
        _ routing: RoutingPlan, topic: String = topicDefault,
        partitions: Int = ScenarioFile.Workload.partitionsDefault,
        workers: Int = RoutingConfiguration.workersDefault, batchSize: Int = RoutingConfiguration.batchSizeDefault
    ) {
        self.routing = routing
        self.topic = topic
        self.partitions = partitions
        self.workers = workers
        self.batchSize = batchSize
    }
}

/// What event-driven routing did.
public struct EventRoutingResult: Sendable {
    public let summary: RoutingSummary
    public let figures: RequestFigures
    /// From the beginning of the first group's opening to the last commit of a routing worker, in nanoseconds: the change
    /// feed and the topic are in it, the close is not.
    public let elapsedNanoseconds: Int64
}

public enum EventRouting {
    /// Routes a date. Blocks until its block orders are made. What a killed routing left half done is gone on with: every
    /// request that still waits is published again, and those that come twice are routed once.
    /// - Parameter onReplace: runs in the transaction that forgets an earlier routing of the date.
    /// - Throws: as `OrdersSource.route`, and when requests are left that no message brought; then the rest is routed, the
    ///   date isn't closed, and another run goes on.
    public static func route(
        _ plan: EventRoutingPlan, target: Target, on connection: PostgresConnection, stop: StopFlag,
        onReplace: (PostgresConnection) throws -> Void = { _ in }
    ) throws -> EventRoutingResult {
        guard let kafka = target.kafka else { throw OperatingError("event-driven routing needs a broker") }
        let database = try connection.query("SELECT current_database()").text(0, 0) ?? ""
        try OrdersSource.begin(plan.routing, on: connection, onReplace: onReplace)
        if try target.partitionCount(of: plan.topic) == nil {
            try target.createTopic(plan.topic, partitions: plan.partitions)
        }
        let partitions = try target.partitionCount(of: plan.topic) ?? plan.partitions
        let feed = try target.changeFeed(of: .requests, to: plan.topic)
        // A feed that a killed routing left is of no use: the scan of the table knows more than it.
        try feed.drop()
        let isResumed = try OrdersSource.pendingRequestCount(plan.routing.date, on: connection) > 0
        try feed.create(scanTable: isResumed)
        defer { try? feed.drop() }

        var requests = RequestPlan(
            connection: target.connection, kafka: kafka, topic: plan.topic,
            partitions: (0..<Int32(partitions)).map { $0 }, date: plan.routing.date,
            workers: min(plan.workers, partitions), batchSize: plan.batchSize, group: "allocbench.routing.\(database)")
        requests.seed = plan.seed
        requests.progress = plan.progress
        let end = TopicEnd()
        let pool = try RequestPool(requests, end: end, stop: stop)
        let start: Int64
        do {
            start = try publish(plan, through: feed, on: connection, stop: stop)
            let marks = try KafkaAdmin(settings: kafka).watermarks(of: plan.topic)
            end.set(Dictionary(uniqueKeysWithValues: marks.enumerated().map { (Int32($0), $1.high) }))
        } catch {
            pool.cancel()
            // What a worker says is more than that the others had to stop for it.
            _ = try pool.join()
            throw error
        }
        let figures = try pool.join()
        try requireNotStopped(stop)
        try requireAllRouted(plan.routing.date, figures, on: connection)
        let summary = try OrdersSource.close(plan.routing, on: connection)
        return EventRoutingResult(
            summary: summary, figures: figures,
            elapsedNanoseconds: figures.lastCommitTime == 0 ? 0 : figures.lastCommitTime - start)
    }

    /// Opens the requests of all groups while the feed publishes them. Returns when the opening began, on the monotonic
    /// clock, once the broker has every message.
    private static func publish(
        _ plan: EventRoutingPlan, through changeFeed: any ChangeFeed, on connection: PostgresConnection, stop: StopFlag
    ) throws -> Int64 {
        let end = FeedEnd()
        let feedStop = StopFlag()
        // Set by the feed's first report, when it reads the log; or when it has failed before that.
        let isReading = StopFlag()
        let feed = WorkerThread(name: "request-feed") {
            defer { isReading.set() }
            return try changeFeed.run(until: end, stop: feedStop) { _ in isReading.set() }
        }
        while !isReading.isSet { sleepThread(for: .milliseconds(1)) }
        let start = monotonicNow()
        do {
            try OrdersSource.openRequests(plan.routing.date, on: connection)
            try requireNotStopped(stop)
            end.set(try FeedPosition.now(on: connection))
        } catch {
            feedStop.set()
            _ = try? feed.join()
            throw error
        }
        _ = try feed.join()
        return start
    }

    static func requireAllRouted(
        _ date: TradeDate, _ figures: RequestFigures, on connection: PostgresConnection
    ) throws {
        let pending = try OrdersSource.pendingRequestCount(date, on: connection)
        guard pending == 0 else {
            let rejected = figures.rejected.first.map { ", such as \($0)" } ?? ""
            throw OperatingError(
                "\(pending) requests of \(date) wait, and the topic holds no further message of them "
                    + "(\(figures.rejectedCount) messages were malformed\(rejected); "
                    + "\(figures.missingCount) named requests that aren't there)",
                remedy: "route the date again: what is routed stays, what waits is published anew")
        }
    }
}
