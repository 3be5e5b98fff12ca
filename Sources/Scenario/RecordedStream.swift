// Makes the stream that every configuration of a scenario gets: executes what was ordered, and carries the executions
// through the change feed into a topic that stays as it is. Runs on the main thread; the feed has a thread of its own.

import Allocations
import ChangeFeed
import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
import Threads
import Trades

/// A topic that holds every execution of a scenario: once, or at least once where a CockroachDB changefeed filled it.
struct RecordedTopic: Sendable, Equatable {
    let topic: String
    let key: TopicKey
    /// By partition the offset behind its last message.
    let ends: [Int32: Int64]
    let messageCount: Int64

    /// - Parameter messageCount: where the ends don't say it, as of a topic that was written in transactions.
    init(topic: String, key: TopicKey, ends: [Int32: Int64], messageCount: Int64? = nil) {
        self.topic = topic
        self.key = key
        self.ends = ends
        self.messageCount = messageCount ?? ends.values.reduce(0, +)
    }

    var partitions: [Int32] { ends.keys.sorted() }

    /// A topic of the same shape, to be filled anew.
    func renamed(_ name: String) -> RecordedTopic {
        RecordedTopic(topic: name, key: key, ends: ends, messageCount: messageCount)
    }
}

/// The executions of a scenario, in a topic for each shape that its configurations ask for, and what they were made from.
///
/// Recording is repeatable: the same scenario with the same seed makes the same rows in the same order, whatever machine and
/// time. So a run that is resumed or repeated records again, and compares `fingerprint` with that of the run before.
struct RecordedStream {
    /// What a topic looks like to its readers.
    struct Shape: Hashable {
        let partitions: Int
        let key: TopicKey

        init(of configuration: Configuration, in workload: ScenarioFile.Workload) {
            partitions = configuration.partitions ?? workload.partitions
            key = configuration.topicKey
        }
    }

    /// In the order in which the configurations ask for them; the first was fed while the executions were written.
    let topics: [RecordedTopic]
    /// The number of orders and executions, and a digest of them.
    let fingerprint: String
    let orders: SeededOrders
    let execution: ExecutionSummary
    /// Of the first topic.
    let feed: FeedFigures
    private let workload: ScenarioFile.Workload

    // MARK: The first topic

    var topic: String { topics[0].topic }
    var ends: [Int32: Int64] { topics[0].ends }
    var partitions: [Int32] { topics[0].partitions }

    /// The topic whose partitions and key are the configuration's.
    func topic(for configuration: Configuration) -> RecordedTopic {
        let shape = Shape(of: configuration, in: workload)
        guard let topic = topics.first(where: { $0.ends.count == shape.partitions && $0.key == shape.key }) else {
            preconditionFailure("no topic was recorded for configuration \(configuration.name)")
        }
        return topic
    }

    /// Deletes all its topics. One that can't be deleted is left: the broker may be the one that was started for the run.
    func deleteTopics(target: Target) {
        for topic in topics { try? target.deleteTopic(topic.topic) }
    }

    /// Whether what a live run has left in trades is what was recorded. It reads all executions, which costs the database time:
    /// never inside what is measured.
    /// - Parameter executions: what the live run was limited to; nil for no limit.
    /// - Returns: nil where the limit left something out, for then there is nothing to compare with.
    func check(liveExecutions executions: Int64?, on connection: PostgresConnection) throws -> CheckResult? {
        if let executions, executions < execution.writtenCount { return nil }
        let found = try orders.fingerprint(on: connection)
        let difference = CheckResult.Difference(
            subject: "orders and executions", expected: fingerprint, actual: found)
        return CheckResult(
            name: "executions_differ_from_recorded", differenceCount: fingerprint == found ? 0 : 1,
            first: fingerprint == found ? [] : [difference])
    }

    // MARK: Recording

    /// Executes what was ordered and publishes it. What the trades tables hold is forgotten first, so that the next stream
    /// may have another length. Blocks. Leaves no feed behind, whether it succeeds or throws, and no topic if it throws.
    /// - Parameters:
    ///   - executions: how many execution reports at most, the first of the scenario's; nil for all. Fewer leave blocks
    ///     partially filled.
    ///   - topic: name of the first topic; those of others begin with it.
    static func record(
        _ orders: SeededOrders, executions: Int64? = nil, of scenario: ScenarioFile, topic: String, target: Target,
        stop: StopFlag, say: (String) -> Void
    ) throws -> RecordedStream {
        var shapes: [Shape] = []
        for configuration in scenario.configurations {
            let shape = Shape(of: configuration, in: scenario.workload)
            if !shapes.contains(shape) { shapes.append(shape) }
        }
        guard let first = shapes.first else { throw OperatingError("the scenario has no configuration to record for") }
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        try TradesStore.truncate(on: connection)

        var made: [String] = []
        do {
            try target.createTopic(topic, partitions: first.partitions)
            made.append(topic)
            let feed = try RunningFeed(to: topic, keyedBy: first.key, target: target)
            let execution: ExecutionSummary
            do {
                var plan = orders.executionPlan
                plan.limit = executions
                execution = try TradesStore.execute(plan, on: connection, stop: stop) { _ in }
                try requireNotStopped(stop)
            } catch {
                feed.abandon()
                throw error
            }
            let figures = try feed.finish(on: connection, stop: stop)
            let mayRepeat = feed.mayRepeat
            try requireNotStopped(stop)
            say("executed \(execution.writtenCount) and published them to \(first.partitions) partitions of \(topic)")
            var topics = [
                try complete(
                    topic, first, count: execution.writtenCount, published: figures.publishedCount,
                    mayRepeat: mayRepeat, target: target)
            ]
            for shape in shapes.dropFirst() {
                let name = "\(topic).p\(shape.partitions).\(shape.key.rawValue)"
                try target.createTopic(name, partitions: shape.partitions)
                made.append(name)
                // The rows stand in the table in the order of their commits, so the scan publishes what the stream did.
                let scan = try RunningFeed(to: name, keyedBy: shape.key, scanTable: true, target: target)
                let scanned = try scan.finish(on: connection, stop: stop)
                try requireNotStopped(stop)
                topics.append(
                    try complete(
                        name, shape, count: execution.writtenCount, published: scanned.publishedCount,
                        mayRepeat: mayRepeat, target: target))
                say("published them to \(shape.partitions) partitions of \(name) as well")
            }
            return RecordedStream(
                topics: topics, fingerprint: try orders.fingerprint(on: connection), orders: orders,
                execution: execution, feed: figures, workload: scenario.workload)
        } catch {
            for name in made { try? target.deleteTopic(name) }
            throw error
        }
    }

    /// The ends of a topic that holds every execution, of which the broker has acknowledged `published`.
    /// - Parameter mayRepeat: whether the feed may have published some of them more than once: then the configurations get those
    ///   twice as well, all of them the same, and drop what they know.
    private static func complete(
        _ topic: String, _ shape: Shape, count: Int64, published: Int64, mayRepeat: Bool, target: Target
    ) throws -> RecordedTopic {
        let content = try target.completeContent(of: topic, holding: count)
        guard content.messageCount == count || (mayRepeat && content.messageCount > count) else {
            throw OperatingError(
                "the topic \(topic) holds \(content.messageCount) messages of \(count) executions, "
                    + "of which the broker acknowledged \(published)",
                remedy: "repeat the run: its configurations must get the same messages")
        }
        return RecordedTopic(topic: topic, key: shape.key, ends: content.ends, messageCount: content.messageCount)
    }
}

extension Target {
    /// The content of a topic whose last messages have just been acknowledged. A broker that is busy may still answer with the
    /// ends that it had a moment ago, and one that has just committed a transaction hides its messages for a moment more.
    /// - Parameter count: of messages that must be there.
    /// - Returns: what is there when as many are, or two seconds later.
    func completeContent(of topic: String, holding count: Int64) throws -> TopicContent {
        try lookAgain(whileBelow: count) { try completeContent(of: topic) }
    }
}

/// Looks until there is enough, or two seconds have passed.
func lookAgain(
    whileBelow count: Int64, now: () -> Int64 = monotonicNow, sleep: (Duration) -> Void = sleepThread,
    _ look: () throws -> TopicContent
) rethrows -> TopicContent {
    let deadline = now() + 2_000_000_000
    while true {
        let content = try look()
        if content.messageCount >= count || now() >= deadline { return content }
        sleep(.milliseconds(20))
    }
}
