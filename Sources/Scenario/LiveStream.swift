// An open load through the change feed: executions are committed into trades when they are due, the feed publishes them, and
// the workers process them meanwhile. One cell at a time. The executor, the feed and each worker have a thread of their own.

import Allocations
import Booking
import ChangeFeed
import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
import Threads
import Trades

/// What a live cell measured.
struct LiveResult: Sendable {
    /// Of the workers; their time-to-visible counts from the time at which the execution was meant to be committed.
    let drain: DrainResult
    let feed: FeedFigures
    /// With the executor's own schedule lag in its figures.
    let execution: ExecutionSummary
    /// By partition the offset behind the last message. The topic itself is gone.
    let ends: [Int32: Int64]

    /// How the server's clock stood against this machine's, and how far off that may be; of the feed's times.
    var clock: ServerClock? { feed.clock }
}

enum LiveStream {
    /// Runs one cell: forgets the trades, makes the topic, and executes the orders again on the schedule of the plan. The
    /// tables behind trades must be empty and have received the topic's partitions. Blocks until everything that was executed
    /// is processed and what it led to is booked. Leaves neither topic nor feed behind, whether it succeeds or throws.
    ///
    /// With the same orders and number the executions are those of the recorded stream, row by row, and so the final tables
    /// are the same, too.
    /// - Parameters:
    ///   - plan: names a topic that isn't there yet, and its partitions. Where the stream ends is found out here.
    ///   - takeover: who promotes a standby, where a fault asks for it.
    ///   - executions: how many execution reports at most, the first of the scenario's; nil for all.
    /// - Throws: what went wrong first, or `Interrupted` when `stop` is set.
    static func run(
        _ plan: WorkerPlan, bookings: BookingPlan? = nil, faults: [ScenarioFile.FaultPlan] = [],
        takeover: Takeover? = nil,
        orders: SeededOrders, executions: Int64? = nil, target: Target, stop: StopFlag
    ) throws -> LiveResult {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        try TradesStore.truncate(on: connection)
        try target.createTopic(plan.topic, partitions: plan.partitions.count)
        defer { try? target.deleteTopic(plan.topic) }
        let feed = try RunningFeed(
            to: plan.topic, keyedBy: plan.configuration.topicKey, window: plan.window, target: target,
            takeover: takeover)
        feed.waitUntilReading()

        var plan = plan
        let end = StreamEnd()
        plan.endOffsets = nil
        plan.streamEnd = end
        plan.measuresPublishing = true
        // In an empty table the first execution has the number 1.
        plan.firstExecution = ExecutionID(1)
        var execution = orders.executionPlan
        execution.limit = executions
        execution.schedule = plan.schedule
        execution.window = plan.window
        let executor = Executor(
            plan: execution, topic: plan.topic, feed: feed, end: end, target: target, takeover: takeover)
        // Ends this cell without the run's own flag being set.
        let cellStop = StopFlag()
        let watch = WorkerThread(name: "live-stop") {
            while !cellStop.isSet && !stop.isSet && !feed.hasFailed && !executor.isDone.isSet {
                sleepUntil(monotonic: monotonicNow() + 20_000_000)
            }
            guard stop.isSet || cellStop.isSet || feed.hasFailed else { return }
            cellStop.set()
            feed.stop()
        }
        var thread: WorkerThread<Executor.Outcome>?
        let drained = Result {
            try WorkerPool.run(
                plan, bookings: bookings, faults: faults, takeover: takeover, companions: 1,
                broker: target.brokerFault(topic: plan.topic),
                onLine: { line in
                    thread = WorkerThread(name: "executor") { try executor.run(from: line, stop: cellStop) }
                }, stop: cellStop)
        }
        // After a failure the executor has to be told; otherwise it has ended, for the workers wait for the end that it says.
        if case .failure = drained { cellStop.set() }
        let executed = thread.map { thread in Result { try thread.join() } }
        if executed == nil { feed.abandon() }
        executor.isDone.set()
        try watch.join()
        // A worker that failed stopped the executor, and the other way round: whichever throws is the cause.
        let result = try drained.get()
        guard let outcome = try executed?.get() else { throw OperatingError("the workers never started") }
        try requireNotStopped(stop)
        guard let feedFigures = outcome.feed, let ends = outcome.ends else {
            throw OperatingError("the executor was stopped before its end")
        }
        return LiveResult(
            drain: result, feed: feedFigures, execution: outcome.execution, ends: ends)
    }
}

/// Writes the executions of a live cell, and then finds out where the stream ends.
private struct Executor: Sendable {
    struct Outcome: Sendable {
        let execution: ExecutionSummary
        /// Nil when it was stopped.
        var feed: FeedFigures?
        var ends: [Int32: Int64]?
    }

    let plan: ExecutionPlan
    let topic: String
    let feed: RunningFeed
    let end: StreamEnd
    let target: Target
    let takeover: Takeover?
    let isDone = StopFlag()

    private func connect() throws -> PostgresConnection {
        try PostgresConnection.connect(to: target.connection, applicationName: "allocbench executor")
    }

    /// Starts with the workers. Ends the feed, whatever happens.
    func run(from line: StartingLine, stop: StopFlag) throws -> Outcome {
        do {
            var connection: PostgresConnection
            let summary: ExecutionSummary
            func reconnect() throws -> PostgresConnection {
                try ReconnectPolicy().reconnect(since: monotonicNow(), now: monotonicNow, isStopped: { stop.isSet }) {
                    try connect()
                }
            }
            do {
                connection = try connect()
                let recovery = takeover.map { takeover in
                    ExecutionRecovery(
                        reconnect: { _ in
                            connection.close()
                            connection = try reconnect()
                            return connection
                        }, onLost: { takeover.addLost(executions: $0) })
                }
                // Everything is drawn before the line, and nothing is drawn behind it but after a promotion.
                summary = try TradesStore.execute(
                    plan, on: connection, stop: stop, start: { line.wait() }, recovery: recovery
                ) { _ in }
            } catch {
                feed.abandon()
                throw error
            }
            defer { connection.close() }
            if stop.isSet && !feed.hasFailed {
                feed.abandon()
                return Outcome(execution: summary)
            }
            let figures = try feed.finish(stop: stop) {
                do {
                    return try FeedPosition.now(on: connection)
                } catch let error as PostgresError where error.isConnectionLost && takeover != nil {
                    connection.close()
                    connection = try reconnect()
                    return try FeedPosition.now(on: connection)
                }
            }
            // A feed that was stopped may have left messages unpublished, and nobody waits for them any more.
            if stop.isSet { return Outcome(execution: summary) }
            // What is published more than once counts as often.
            let expected = max(summary.writtenCount, figures.publishedCount)
            let content = try target.completeContent(of: topic, holding: expected)
            let (ends, held) = (content.ends, content.messageCount)
            guard held >= summary.writtenCount else {
                throw OperatingError("the topic \(topic) holds \(held) messages of \(summary.writtenCount) executions")
            }
            end.set(ends)
            return Outcome(execution: summary, feed: figures, ends: ends)
        } catch {
            line.abandon()
            stop.set()
            throw error
        }
    }
}
