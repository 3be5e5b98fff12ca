// A small stream of executions in a topic, the tables that workers fill from it, and what must come out.

import Allocations
import Kafka
import Measurement
public import Model
import Postgres
import Scenario
import TestSupport
public import Testing
import Threads
import Trades

/// One database, one topic, and the executions that stand in both.
struct WorkerBench {
    let info: ConnectionInfo
    let connection: PostgresConnection
    let broker: TemporaryBroker
    let topic: String
    let partitions: Int
    var executions: [Execution] = []

    /// The shares that the accounts of each block want, by block from 1.
    static let accounts: [[Int64]] = [
        [4_000, 3_000, 2_000, 1], [5_000], [100, 200, 300, 400, 500, 600, 700, 800], [3_333, 3_333, 3_334], [40],
        [9_999, 1],
    ]

    /// The messages of all executions in their order, each in its block's partition.
    var messages: [TopicMessage] { executions.map { TopicMessage($0, partitions: partitions) } }

    /// Empty tables of the allocations stage, with the blocks received.
    func prepare() throws {
        try AllocationsSource.truncate(on: connection)
        try AllocationsSource.receive(on: connection, topic: topic, partitions: partitions)
    }

    func publish(_ messages: [TopicMessage]) throws { try broker.publish(messages, to: topic) }

    func plan(_ configuration: Configuration) throws -> WorkerPlan {
        var plan = WorkerPlan(
            connection: info, kafka: broker.settings, topic: topic, partitions: (0..<partitions).map { Int32($0) },
            configuration: configuration, book: try AllocationsSource.book(on: connection))
        plan.endOffsets = try broker.ends(topic)
        plan.reconnect.timeout = .seconds(10)
        return plan
    }

    /// Processes everything that the topic holds now.
    @discardableResult
    func drain(
        _ configuration: Configuration, stop: StopFlag = StopFlag(), change: (inout WorkerPlan) -> Void = { _ in }
    ) throws -> DrainResult {
        var plan = try plan(configuration)
        change(&plan)
        return try WorkerPool.run(plan, stop: stop)
    }

    func verify() throws -> [CheckResult] {
        // Workers alone: nobody books here.
        try Verifier.verify(on: connection, topic: topic, topicEnds: try broker.ends(topic), includesBookings: false)
    }

    /// What every account has in the end: block, account, shares, and the price of the block's last snapshot.
    func finalAllocations() throws -> [String] {
        try connection.lines(
            """
            SELECT a.block_order_id, a.account_id, sum(a.quantity_delta), s.average_price
            FROM allocations.allocations AS a
            JOIN allocations.block_fills AS f ON f.block_order_id = a.block_order_id
            JOIN allocations.snapshots AS s
              ON s.block_order_id = f.block_order_id AND s.snapshot_number = f.snapshot_number
            GROUP BY a.block_order_id, a.account_id, s.average_price
            HAVING sum(a.quantity_delta) <> 0 ORDER BY a.block_order_id, a.account_id
            """)
    }

    /// `block filled allocated`, of the blocks that have fills.
    func fills() throws -> [String] {
        try connection.lines(
            """
            SELECT block_order_id, cum_quantity, allocated_quantity FROM allocations.block_fills
            WHERE cum_quantity > 0 ORDER BY block_order_id
            """)
    }

    /// `code offset reason`, in the order of the topic.
    func parked() throws -> [String] {
        try connection.lines(
            """
            SELECT block_order_code, topic_offset, reason FROM allocations.parked_messages
            ORDER BY topic_partition, topic_offset
            """)
    }

    /// Every table that workers write, row by row.
    func tables() throws -> [[String]] {
        try [
            "block_fills", "captured_trades", "captured_changes", "snapshots", "allocations", "consumer_offsets",
            "staged_trades",
            "parked_blocks", "parked_messages",
        ].map { try connection.lines("SELECT t FROM allocations.\($0) AS t ORDER BY t::TEXT") }
    }
}

/// Calls `body` with blocks in the orders stage and nothing executed.
func withEmptyBench<R>(
    blocks: [[Int64]] = WorkerBench.accounts, partitions: Int = 3, on kind: BrokerKind = .mock,
    isOwnDatabase: Bool = false, _ body: (inout WorkerBench) throws -> R
) throws -> R {
    try withStages(isOwn: isOwnDatabase) { info, connection in
        try withTopic(partitions: partitions, on: kind) { broker, topic in
            for (index, accounts) in blocks.enumerated() {
                try connection.addBlock(Int64(index + 1), accounts: accounts)
            }
            var bench = WorkerBench(
                info: info, connection: connection, broker: broker, topic: topic, partitions: partitions)
            try bench.prepare()
            return try body(&bench)
        }
    }
}

/// Calls `body` with executions that complete every block (busts, replaces and cancels at `rates`), in the trades stage and (unless told otherwise) in the topic.
func withBench<R>(
    blocks: [[Int64]] = WorkerBench.accounts, partitions: Int = 3, on kind: BrokerKind = .mock, seed: UInt64 = 3,
    rates: EventRates = .none, isPublished: Bool = true, isOwnDatabase: Bool = false,
    _ body: (inout WorkerBench) throws -> R
) throws -> R {
    try withEmptyBench(blocks: blocks, partitions: partitions, on: kind, isOwnDatabase: isOwnDatabase) { bench in
        let fillable = blocks.enumerated().map { index, accounts in
            FillableBlock(
                id: BlockOrderID(Int64(index + 1)), code: blockCode(Int64(index + 1)), side: .buy,
                quantity: accounts.reduce(0, +), low: Price(ticks: 95_000), high: Price(ticks: 105_000))
        }
        bench.executions = try ExecutionDraw(blocks: fillable, seed: seed, rates: rates).compactMap { event in
            event.execution(of: fillable) { ExecutionID($0 + 1) }
        }
        try bench.connection.addExecutions(bench.executions)
        if isPublished { try bench.publish(bench.messages) }
        return try body(&bench)
    }
}

/// One configuration of each mode, with the sizes of these small streams.
let modes: [Configuration] = [
    Configuration(mode: .row, workers: 2),
    Configuration(mode: .concurrent, workers: 2),
    Configuration(mode: .adaptive, workers: 2, batchSize: 32),
    Configuration(mode: .batch, workers: 2, batchSize: 16, batchWindowMs: 10),
    Configuration(mode: .cycle, workers: 2, cycleIntervalMs: 30),
]

extension Configuration: CustomTestStringConvertible {
    public var testDescription: String { name }

    func with(_ isolation: Isolation) -> Configuration {
        var copy = self
        copy.isolation = isolation
        return copy
    }
}

extension [CheckResult] {
    /// Names of the checks that found something, with how many differences.
    var findings: [String: Int64] {
        Dictionary(uniqueKeysWithValues: filter { $0.differenceCount > 0 }.map { ($0.name, $0.differenceCount) })
    }
}
