// What a change feed costs those who write: executions are written as fast as they can be, with no slot in the database, with
// a slot that nobody reads, and with a feed that publishes meanwhile. Runs on the main thread; the feed has its own.
// The server's wal_level is logical in all three, so what that alone costs isn't in the differences.

import Allocations
import ChangeFeed
import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
import Report
import Threads
import Trades

/// What one cell of stage execute measured.
struct ExecuteResult: Sendable {
    let configuration: ExecuteConfiguration
    /// With the latency of each transaction in its figures.
    let execution: ExecutionSummary
    /// Nil unless the feed was running.
    let feed: FeedFigures?
    /// From the last commit to the broker's acknowledgement of the last message; nil unless the feed was running.
    let catchUpNanoseconds: Int64?
    /// From the first transaction to the end of the feed.
    let resources: ResourceSummary
    let topicMessageCount: Int64?
    /// Of the executions: the same for every cell, or something is wrong.
    let checksum: String
    let checks: [CheckResult]

    /// Nil when nothing was written.
    var executionsPerSecond: Double? {
        let elapsed = execution.figures.elapsedNanoseconds
        return elapsed == 0 ? nil : Double(execution.writtenCount) * 1e9 / Double(elapsed)
    }
}

enum ExecuteRun {
    /// Runs one cell on freshly emptied trades. Blocks. Leaves neither topic nor feed behind, whether it succeeds or throws.
    /// - Parameters:
    ///   - executions: how many execution reports at most; nil for all.
    ///   - topic: a name that no topic has yet.
    ///   - progress: hears of every transaction.
    static func run(
        _ configuration: ExecuteConfiguration, orders: SeededOrders, executions: Int64? = nil, topic: String,
        partitions: Int, target: Target, stop: StopFlag, progress: WorkerProgress = WorkerProgress()
    ) throws -> ExecuteResult {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        try Schemas.emptyStages(behind: .trades, on: connection)
        try TradesStore.truncate(on: connection)
        // A feed of another cell or of a run that was killed would make this one another configuration.
        try ChangeFeeds.dropAll(connection: target.connection)
        if target.services != nil { try connection.execute("CHECKPOINT") }

        var plan = orders.executionPlan
        plan.limit = executions
        plan.transactionSize = configuration.batchSize
        plan.drawsAhead = true
        switch configuration.feed {
        case .none:
            return try measure(configuration, plan, nil, nil, target, connection, stop, progress)
        case .slot:
            // On CockroachDB the counterpart of a slot that nobody reads is a job that is paused: it holds back the collection
            // of garbage as a slot holds back that of the log. A job, even a paused one, knows its topic.
            let topicMade = connection.dialect == .cockroachdb
            if topicMade { try target.createTopic(topic, partitions: partitions) }
            defer { if topicMade { try? target.deleteTopic(topic) } }
            let feed = try target.changeFeed(of: .executions, to: topic)
            try feed.create(scanTable: false)
            defer { feed.dropOrTell() }
            try feed.keep()
            return try measure(configuration, plan, nil, nil, target, connection, stop, progress)
        case .running:
            try target.createTopic(topic, partitions: partitions)
            defer { try? target.deleteTopic(topic) }
            let feed = try RunningFeed(to: topic, keyedBy: .standard, target: target)
            feed.waitUntilReading()
            return try measure(
                configuration, plan, feed, { try target.completeContent(of: topic).messageCount }, target,
                connection, stop, progress)
        }
    }

    /// - Parameters:
    ///   - feed: is ended here.
    ///   - topicMessageCount: asks the broker, once the feed has ended.
    private static func measure(
        _ configuration: ExecuteConfiguration, _ plan: ExecutionPlan, _ feed: RunningFeed?,
        _ topicMessageCount: (() throws -> Int64)?, _ target: Target, _ connection: PostgresConnection,
        _ stop: StopFlag,
        _ progress: WorkerProgress
    ) throws -> ExecuteResult {
        let execution: ExecutionSummary
        var figures: FeedFigures?
        let resources: ResourceSummary
        // What is still to be abandoned after a failure. Whatever is being finished ends even if that throws.
        var (openFeed, openMeter) = (feed, nil as UsageMeter?)
        do {
            let meter = try UsageMeter(target, on: connection)
            openMeter = meter
            let start = monotonicNow()
            var toldCount: Int64 = 0
            execution = try TradesStore.execute(plan, on: connection, stop: stop) { count in
                progress.addCommitted(count - toldCount)
                toldCount = count
            }
            try requireNotStopped(stop)
            openFeed = nil
            figures = try feed?.finish(on: connection, stop: stop)
            openMeter = nil
            resources = try meter.finish(on: connection, start: start).summary
        } catch {
            openMeter?.abandon()
            openFeed?.abandon()
            throw error
        }
        try requireNotStopped(stop)
        let mayRepeat = feed?.mayRepeat ?? false
        let messages = try topicMessageCount?()
        let rows = try connection.query("SELECT count(*) FROM trades.executions").int64(0, 0)
        var checks = [
            check("executions_differ_from_written", "executions", execution.writtenCount, rows)
        ]
        // A changefeed may repeat a message; none may be missing.
        if let messages {
            let expected = mayRepeat ? max(rows, messages) : rows
            // Our own feed counts its duplicates; a changefeed's are what the topic has too many.
            if mayRepeat { figures?.duplicateCount = max(0, messages - rows) }
            checks.append(check("topic_differs_from_executions", "messages", expected, messages))
        }
        return ExecuteResult(
            configuration: configuration, execution: execution, feed: figures,
            catchUpNanoseconds: figures.map { max(0, $0.lastPublishedTime - execution.figures.lastCommitTime) },
            resources: resources, topicMessageCount: messages,
            checksum: try TradesStore.checksum(on: connection),
            checks: checks)
    }

    private static func check(_ name: String, _ subject: String, _ expected: Int64, _ actual: Int64) -> CheckResult {
        let difference = CheckResult.Difference(subject: subject, expected: String(expected), actual: String(actual))
        return CheckResult(
            name: name, differenceCount: expected == actual ? 0 : 1, first: expected == actual ? [] : [difference])
    }
}
