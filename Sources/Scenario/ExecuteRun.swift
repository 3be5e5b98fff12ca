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
    /// What the server counted, the feed's catching up included; nil where it doesn't count.
    let activity: DatabaseActivity?
    let topicMessageCount: Int64?
    /// Of orders and executions: the same for every cell, or something is wrong.
    let fingerprint: String
    let checks: [CheckResult]

    /// Nil when nothing was written.
    var executionsPerSecond: Double? {
        let elapsed = execution.figures.elapsedNanoseconds
        return elapsed == 0 ? nil : Double(execution.writtenCount) * 1e9 / Double(elapsed)
    }
}

enum ExecuteRun {
    /// Runs one cell on freshly emptied trades. Blocks. Leaves neither topic nor slot behind, whether it succeeds or throws.
    /// - Parameters:
    ///   - executions: how many execution reports at most; nil for all.
    ///   - topic: a name that no topic has yet.
    ///   - firstFingerprint: of the first cell that was right; nil for that one.
    static func run(
        _ configuration: ExecuteConfiguration, orders: SeededOrders, executions: Int64? = nil, topic: String,
        partitions: Int, firstFingerprint: String?, target: Target, stop: StopFlag
    ) throws -> ExecuteResult {
        guard let database = target.connection["dbname"] else {
            throw OperatingError("stage execute needs a database by name")
        }
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        try Schemas.emptyStages(behind: .trades, on: connection)
        try TradesStore.truncate(on: connection)
        // A slot of another cell or of a run that was killed would make this one another configuration.
        if !connection.isCockroachDB { try FeedSlot.dropAll(database: database, connection: target.connection) }
        if target.services != nil { try connection.execute("CHECKPOINT") }

        var plan = orders.executionPlan
        plan.limit = executions
        plan.transactionSize = configuration.batchSize
        plan.drawsAhead = true
        switch configuration.feed {
        case .none:
            return try measure(configuration, plan, orders, nil, nil, firstFingerprint, connection, stop)
        case .slot:
            let slot = FeedSlot(database: database)
            try slot.create(topic: topic, scanTable: false, connection: target.connection)
            defer { try? slot.drop(connection: target.connection) }
            return try measure(configuration, plan, orders, nil, nil, firstFingerprint, connection, stop)
        case .running:
            try target.createTopic(topic, partitions: partitions)
            defer { try? target.deleteTopic(topic) }
            let feed = try RunningFeed(to: topic, keyedBy: .standard, target: target)
            feed.waitUntilReading()
            return try measure(
                configuration, plan, orders, feed,
                { try target.completeTopicEnds(topic).values.reduce(0, +) }, firstFingerprint, connection, stop)
        }
    }

    /// - Parameters:
    ///   - feed: is ended here.
    ///   - topicMessageCount: asks the broker, once the feed has ended.
    private static func measure(
        _ configuration: ExecuteConfiguration, _ plan: ExecutionPlan, _ orders: SeededOrders, _ feed: RunningFeed?,
        _ topicMessageCount: (() throws -> Int64)?, _ firstFingerprint: String?, _ connection: PostgresConnection,
        _ stop: StopFlag
    ) throws -> ExecuteResult {
        let meter: DatabaseMeter?
        let execution: ExecutionSummary
        do {
            meter = try DatabaseMeter.begin(on: connection)
            execution = try TradesStore.execute(plan, on: connection, stop: stop) { _ in }
            try requireNotStopped(stop)
        } catch {
            feed?.abandon()
            throw error
        }
        let figures = try feed?.finish(on: connection)
        let activity = try meter?.end(on: connection)
        try requireNotStopped(stop)
        let messages = try topicMessageCount?()
        let rows = try connection.query("SELECT count(*) FROM trades.executions").int64(0, 0)
        let fingerprint = try orders.fingerprint(on: connection)
        var checks = [
            check("executions_differ_from_written", "executions", String(execution.writtenCount), String(rows)),
            check(
                "fingerprint_differs_from_first_run", "orders and executions", firstFingerprint ?? fingerprint,
                fingerprint),
        ]
        if let messages {
            checks.append(check("messages_differ_from_executions", "topic", String(rows), String(messages)))
        }
        return ExecuteResult(
            configuration: configuration, execution: execution, feed: figures,
            catchUpNanoseconds: figures.map { max(0, $0.lastPublishedTime - execution.figures.lastCommitTime) },
            activity: activity, topicMessageCount: messages, fingerprint: fingerprint, checks: checks)
    }

    private static func check(_ name: String, _ subject: String, _ expected: String, _ actual: String) -> CheckResult {
        let isRight = expected == actual
        return CheckResult(
            name: name, differenceCount: isRight ? 0 : 1,
            first: isRight ? [] : [CheckResult.Difference(subject: subject, expected: expected, actual: actual)])
    }
}
