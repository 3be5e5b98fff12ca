// What pairs work on: routed block orders, their executions, and a topic that holds them.
// Runs on the main thread.

import Allocations
import ChangeFeed
import Diagnostics
import Holdings
import Kafka
import Model
import Orders
import Postgres
import Scenario
import Seeding
import Threads
import Trades

/// The executions of one day, in the tables and in a topic.
struct PeerStream {
    static let seed: UInt64 = 1
    static let topic = "executions"

    struct Shape {
        var executions: Int
        var blocks: Int
        var accountsPerBlock: Int
        var partitions: Int
    }

    let shape: Shape
    let date: TradeDate
    /// The one that is worked on: `topic` of the type until the stream is cut.
    private(set) var topic = PeerStream.topic
    /// By partition the offset behind its last message; empty where nothing was published.
    private(set) var ends: [Int32: Int64] = [:]

    /// Seeds, routes and executes in an empty database. Blocks.
    static func make(_ shape: Shape, on bench: PeerBench) throws -> PeerStream {
        let workload = try WorkloadShape(
            executions: Int64(shape.executions), blocks: shape.blocks, accountsPerBlock: shape.accountsPerBlock,
            lotSize: 1, skew: .uniform)
        let seedPlan = SeedPlan(
            seed: seed, market: .generated(securities: min(500, (shape.blocks + 1) / 2), days: 20),
            holdings: .workload(workload))
        return try bench.withConnection { connection in
            try Schemas.create(on: connection)
            let loader = SeedLoader(connectionInfo: bench.target.connection)
            let date = try loader.load(try seedPlan.prepare(), stop: bench.stop).routingDate
            _ = try OrdersSource.route(RoutingPlan(date: date), on: connection)
            var plan = ExecutionPlan(date: date, seed: Self.seed)
            plan.count = Int64(shape.executions)
            let execution = try TradesStore.execute(plan, on: connection, stop: bench.stop) { _ in }
            guard execution.isComplete else { throw OperatingError("interrupted") }
            return PeerStream(shape: shape, date: date)
        }
    }

    /// Publishes the executions to a topic of their own, keyed by block order. Blocks.
    mutating func publish(on bench: PeerBench) throws {
        guard let kafka = bench.target.kafka else { throw OperatingError("a topic needs a broker") }
        try bench.target.createTopic(topic, partitions: shape.partitions)
        let feed = try FeedPlan(
            connection: bench.target.connection, kafka: kafka, topic: topic,
            source: .executions(keyedBy: .blockOrder)
        ).makeFeed()
        try feed.create(scanTable: true)
        defer { try? feed.drop() }
        let end = FeedEnd(try bench.withConnection { try FeedPosition.now(on: $0) })
        _ = try feed.run(until: end, stop: bench.stop) { _ in }
        // A broker that is busy may still answer with the ends that it had a moment ago.
        for attempt in 1...100 {
            ends = try bench.target.completeTopicEnds(topic, mayHaveTransactions: false)
            let count = ends.values.reduce(0, +)
            if count == shape.executions { return }
            guard count < shape.executions, attempt < 100 else {
                throw OperatingError("the topic holds \(count) messages of \(shape.executions) executions")
            }
            sleepThread(for: .milliseconds(20))
        }
    }

    /// Copies the stream to a topic in which every partition has as many messages as the smallest has here, rounded down to a
    /// multiple, and goes on with that. Blocks are dealt out by a hash of their codes, so that partitions differ by a fifth or more;
    /// at the end the largest one's worker would be alone with the server.
    /// - Returns: the messages of each partition.
    mutating func cutEvenly(to multiple: Int, on bench: PeerBench) throws -> Int {
        guard let kafka = bench.target.kafka else { throw OperatingError("a topic needs a broker") }
        let count = Int64(Int(ends.values.min() ?? 0) / multiple * multiple)
        let even = "\(topic)-even"
        try bench.target.createTopic(even, partitions: shape.partitions)
        let producer = try KafkaProducer(settings: kafka)
        let destination = try producer.topic(even)
        let consumer = try KafkaConsumer(settings: WorkerPlan.consumerSettings(kafka, isRecorded: true))
        defer { consumer.close(timeoutMs: 5_000) }
        try consumer.assign(ends.keys.sorted().map { TopicPartitionOffset(topic: topic, partition: $0, offset: 0) })
        var left = count * Int64(shape.partitions)
        while left > 0, !bench.stop.isSet {
            _ = try consumer.pollBatch(max: 4096, timeoutMs: 20) { message throws(KafkaError) in
                guard message.offset < count else { return }
                left -= 1
                try message.withKey { key throws(KafkaError) in
                    try message.withValue { value throws(KafkaError) in
                        try producer.produce(
                            topic: destination, partition: message.partition, key: key, value: value, tag: 0)
                    }
                }
            }
        }
        var failure: KafkaError?
        try producer.flush(timeoutMs: 60_000) { _, delivery in
            if case .failure(let error) = delivery { failure = failure ?? error }
        }
        if let failure { throw failure }
        topic = even
        ends = try bench.target.completeTopicEnds(even, mayHaveTransactions: false)
        guard ends.values.allSatisfy({ $0 == count }) else {
            throw OperatingError("the even topic holds \(ends.values.reduce(0, +)) messages")
        }
        return Int(count)
    }

    /// Empty allocations tables that have received the blocks. What was written before is on disk, so that no run pays for
    /// another's.
    func freshAllocations(on bench: PeerBench) throws {
        try bench.withConnection { connection in
            try Schemas.emptyStages(behind: .trades, on: connection)
            try AllocationsSource.receive(on: connection, topic: topic, partitions: shape.partitions)
            // The peers' statements claim nothing, so they name an epoch that is written down; a worker claims a later one.
            try connection.execute("UPDATE allocations.consumer_offsets SET epoch = 0")
            try connection.execute("CHECKPOINT")
        }
    }

    /// Gives every session of the database the planner's settings that the workers' sessions have, those of the peers, too.
    func planAsWorkersDo(on bench: PeerBench) throws {
        try bench.withConnection { connection in
            let lines = ServerStatements.statement("planner", for: .postgresql).split(separator: "\n")
            let settings = lines.filter { $0.hasPrefix("SET ") }.map { $0.prefix { $0 != ";" } }
            guard !settings.isEmpty else { throw OperatingError("sql/server/server.sql has no setting of the planner") }
            for setting in settings {
                try connection.execute(
                    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I \(setting)', current_database()); END $$")
            }
        }
    }

    /// What workers of a configuration do with the topic.
    func plan(_ configuration: Configuration, on bench: PeerBench) throws -> WorkerPlan {
        guard let kafka = bench.target.kafka else { throw OperatingError("workers need a broker") }
        var plan = WorkerPlan(
            connection: bench.target.connection, kafka: kafka, topic: topic,
            partitions: (0..<shape.partitions).map { Int32($0) }, configuration: configuration,
            book: try bench.withConnection { try AllocationsSource.book(on: $0) })
        plan.endOffsets = ends
        return plan
    }
}
