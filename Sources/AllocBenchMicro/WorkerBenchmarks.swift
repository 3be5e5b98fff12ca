// What an allocation worker asks of malloc and of locks for one message, counted while a real worker drains a topic into a
// real PostgreSQL: poll, decode, queue, bind, send, read the answer, record.
//
// Each configuration drains two topics, a short one and a long one. What both need once (connections, prepared statements, the
// growth of buffers) goes out in the difference; what is left belongs to the messages. The worker runs on this thread, so
// that what librdkafka's threads do meanwhile, which is one allocation for each message, isn't in it: of librdkafka only what
// it does inside of a poll counts.

import Allocations
import Diagnostics
import Kafka
import Measurement
import Model
import Orders
import Postgres
import Threads

/// What one drain took.
private struct Drain {
    var counts = ThreadCounts()
    var nanoseconds: Int64 = 0
    var messages: Int64 = 0
    var transactions: Int64 = 0
}

/// The configurations that are counted: a message a transaction, one and several of them under way, and a batch.
private let countedConfigurations = [
    Configuration(name: "concurrent", mode: .concurrent, workers: 1),
    Configuration(name: "concurrent, 8 in flight", mode: .concurrent, workers: 1, pipelineDepth: 8),
    Configuration(name: "batches of 128", mode: .batch, workers: 1, batchSize: 128),
]

let workingNames = countedConfigurations.map(workingName)

private func workingName(_ configuration: Configuration) -> String { "worker, \(configuration.name)" }

func working(_ size: BenchmarkSize, on server: BenchmarkServer) throws -> [Figure] {
    let cluster = try MockCluster()
    return try server.withDatabase { info in
        let bench = try WorkerBenchmark(info: info, cluster: cluster)
        defer { bench.connection.close() }
        let short = try bench.topic(named: "short", messages: size.workerMessages / 10)
        let long = try bench.topic(named: "long", messages: size.workerMessages + size.workerMessages / 10)
        return try countedConfigurations.map { configuration in
            let warmUp = try bench.drain(short, configuration)
            let whole = try bench.drain(long, configuration)
            return figure(of: configuration, from: warmUp, to: whole)
        }
    }
}

private func figure(of configuration: Configuration, from warmUp: Drain, to whole: Drain) -> Figure {
    let counts = whole.counts - warmUp.counts
    let messages = whole.messages - warmUp.messages
    func perMessage(_ count: Int64) -> Double { Double(count) / Double(messages) }
    let nanoseconds = perMessage(whole.nanoseconds - warmUp.nanoseconds)
    var figure = Figure(
        name: workingName(configuration), operation: "message", nanoseconds: nanoseconds,
        nanosecondsBest: nanoseconds, operations: messages, runs: 1, checksum: UInt64(whole.messages))
    guard ThreadCounts.isCounting else { return figure }
    figure.allocations = perMessage(counts.allocations.program)
    figure.libraryAllocations = perMessage(counts.allocations.libraries)
    let locks = counts.locks
    figure.note =
        "\(whole.transactions - warmUp.transactions) transactions; locks a message: \(decimals(perMessage(locks.program))), "
        + "libpq \(decimals(perMessage(locks.libpq))), librdkafka \(decimals(perMessage(locks.librdkafka)))"
    return figure
}

/// A database with block orders, and topics of their executions on a broker in this process.
private struct WorkerBenchmark {
    private static let partitions = 8
    private static let blocks: Int64 = 64
    private static let accounts = 20
    /// The accounts of a block order so much that even the long topic leaves every block unfilled: its first quarter
    /// comes, and with it the snapshots that belong to a steady state.
    private static let sharesPerAccount = 50_000

    let connection: PostgresConnection
    private let info: ConnectionInfo
    private let cluster: MockCluster
    private let kafka: KafkaClientSettings

    init(info: ConnectionInfo, cluster: MockCluster) throws {
        self.info = info
        self.cluster = cluster
        kafka = KafkaClientSettings(bootstrapServers: cluster.bootstrapServers, unreachableTimeoutMs: 10_000)
        connection = try PostgresConnection.connect(to: info)
        try OrdersSchema.create(on: connection)
        try AllocationsSchema.create(on: connection)
        try connection.query(
            """
            INSERT INTO orders.block_orders
              (block_order_id, block_order_code, trade_date, security_id, side, manager_group, quantity, account_count,
               lot_size)
            SELECT b, 'B20241114-' || lpad(b::TEXT, 7, '0'), DATE '2024-11-14', b, 'BUY', 1, $2::INT8 * $3::INT8, $2, 100
            FROM generate_series(1, $1::INT8) AS b
            """, .int64(Self.blocks), .int64(Int64(Self.accounts)), .int64(Int64(Self.sharesPerAccount)))
        try connection.query(
            """
            INSERT INTO orders.block_order_accounts (block_order_id, account_id, customer_order_id, quantity)
            SELECT b, a, b * 1000 + a, $3::INT8 FROM generate_series(1, $1::INT8) AS b, generate_series(1, $2::INT8) AS a
            """, .int64(Self.blocks), .int64(Int64(Self.accounts)), .int64(Int64(Self.sharesPerAccount)))
    }

    /// A topic that holds so many executions as the feed publishes them, and where each partition ends.
    func topic(named name: String, messages: Int64) throws -> (name: String, ends: [Int32: Int64]) {
        try cluster.createTopic(name, partitions: Self.partitions)
        let producer = try KafkaProducer(settings: kafka)
        let topic = try producer.topic(name)
        var ends: [Int32: Int64] = [:]
        var failure: KafkaError?
        let executions = SampleExecution.draw(Int(messages), blocks: Self.blocks)
        for (execution, message) in zip(executions, try SampleEnvelopes.published(executions)) {
            let partition = Int32(execution.block % Int64(Self.partitions))
            ends[partition, default: 0] += 1
            try message.key.withUnsafeBytes { key in
                try message.value.withUnsafeBytes { value in
                    try producer.produce(topic: topic, partition: partition, key: key, value: value, tag: 1)
                }
            }
        }
        try producer.flush(timeoutMs: 60_000) { _, delivery in
            if case .failure(let error) = delivery { failure = error }
        }
        if let failure { throw failure }
        try KafkaAdmin(settings: kafka).requireComplete(topic: name)
        return (name, ends)
    }

    /// Lets one worker drain a topic into empty tables.
    func drain(_ topic: (name: String, ends: [Int32: Int64]), _ configuration: Configuration) throws -> Drain {
        try AllocationsSource.truncate(on: connection)
        try AllocationsSource.receive(on: connection, topic: topic.name, partitions: Self.partitions)
        var plan = WorkerPlan(
            connection: info, kafka: kafka, topic: topic.name, partitions: (0..<Self.partitions).map { Int32($0) },
            configuration: configuration, book: try AllocationsSource.book(on: connection))
        plan.endOffsets = topic.ends
        var drain = Drain()
        let before = ThreadCounts.now
        let start = BenchmarkClock.processor.now
        let figures = try AllocationWorker.run(plan, line: StartingLine(workerCount: 1), stop: StopFlag())
        drain.nanoseconds = BenchmarkClock.processor.now - start
        drain.counts = ThreadCounts.now - before
        drain.messages = figures.capturedCount
        drain.transactions = figures.transactionCount
        guard drain.messages == topic.ends.values.reduce(0, +) else {
            throw OperatingError(
                "\(configuration.name) captured \(drain.messages) of \(topic.ends.values.reduce(0, +)) messages")
        }
        return drain
    }
}
