// From a committed execution to a row of a table on the other side of Kafka: our feed with workers in batch mode beside
// Debezium's source and its JDBC sink.

import Allocations
import ChangeFeed
import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
import Scenario
import Threads

/// Clocked as `DebeziumFeedPair`: both sides run already, and the second of two bursts is measured, from its commit until the
/// table has all of it. The blocks are larger than the bursts, so that none is filled and nothing is allocated. What our workers
/// do beyond capturing stays in: they move the fill state of every block, and the partition's offset, in the same transactions.
final class CapturePair: PeerPair {
    let name = "capture"
    let path = "feed + workers in batch mode, capture only"
    private(set) var peer = "Debezium source + Debezium JDBC sink, upsert"
    let unit = "rows/s"
    let target: Double? = 5
    let postgresSettings = PeerDatabase.settings

    private let burst: Int
    private let partitions = 8
    private let tasks = 2
    private let batchSize = 2000
    private var orders: OrderedExecutions?
    private var database: PeerDatabase?
    private var runCount = 0

    init(_ size: PeerSize) { burst = size.pick(tiny: 1_000, full: 100_000) }

    /// The first burst is half as long: what compiles as it runs has run for seconds by then.
    private var totals: [Int] { [burst / 2, burst / 2 + burst] }

    func obstacle(_ surroundings: PeerSurroundings) -> String? {
        Debezium.obstacle(surroundings, plugins: "debezium-connector-postgres", "debezium-connector-jdbc")
    }

    func prepare(_ bench: PeerBench) throws {
        let version = Debezium.version(of: "debezium-connector-jdbc", bench.surroundings)
        peer = "Debezium \(version) source + Debezium JDBC sink, upsert"
        orders = try OrderedExecutions(count: 3 * burst, blocks: max(1, burst / 100), on: bench)
        database = try PeerDatabase(bench)
        try bench.withConnection {
            try $0.execute("CREATE TABLE captured (LIKE \(Debezium.tableName) INCLUDING CONSTRAINTS INCLUDING INDEXES)")
        }
    }

    func runOurs(_ bench: PeerBench) throws -> PeerRun {
        guard let database, let kafka = bench.target.kafka else { throw PeerFault.notPrepared }
        let table = "allocations.captured_trades"
        return try run(bench, into: table, topic: "ours\(nextRun())") { topic in
            var plan = try bench.withConnection { connection in
                try AllocationsSource.receive(on: connection, topic: topic, partitions: partitions)
                return WorkerPlan(
                    connection: database.connection, kafka: kafka, topic: topic,
                    partitions: (0..<partitions).map { Int32($0) },
                    configuration: Configuration(
                        mode: .batch, workers: tasks, batchSize: batchSize, snapshots: .completion, bookingWorkers: 0),
                    book: try AllocationsSource.book(on: connection))
            }
            let end = StreamEnd()
            plan.streamEnd = end
            let feed = FeedPlan(connection: database.connection, kafka: kafka, topic: topic, source: .executions)
            return try RunningPeerFeed.during(feed) { feed in
                let workers = RunningWorkers(plan)
                let elapsed = Result {
                    let elapsed = try bursts(into: table, bench) {
                        try feed.requireRunning()
                        try workers.requireRunning()
                    }
                    end.set(try bench.target.completeTopicEnds(topic))
                    return elapsed
                }
                // If a worker failed, everything else only waited in vain.
                try workers.finish(isDone: (try? elapsed.get()) != nil)
                return try elapsed.get()
            }
        }
    }

    func runPeer(_ bench: PeerBench) throws -> PeerRun {
        guard let database else { throw PeerFault.notPrepared }
        let prefix = "\(Debezium.prefix)\(nextRun())"
        let topic = "\(prefix).\(Debezium.tableName)"
        let sink = [
            "name": "\(prefix)-sink", "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "topics": topic, "tasks.max": String(tasks), "batch.size": String(batchSize),
            "use.reduction.buffer": "true", "insert.mode": "upsert", "primary.key.mode": "record_key",
            "schema.evolution": "none", "collection.name.format": "captured",
            "connection.url":
                "jdbc:postgresql://\(database.host):5432/\(database.database)?reWriteBatchedInserts=true",
            "connection.username": database.user, "connection.password": database.password,
        ]
        // The sink takes its columns from the schema in each message, which is the converter's default.
        let source = Debezium.source(database, prefix: prefix)
        return try run(bench, into: "captured", topic: topic) { _ in
            try Debezium.during(bench, folder: prefix, connectors: [source, sink]) { worker in
                try bursts(into: "captured", bench) { try worker.requireRunning() }
            }
        }
    }

    private func nextRun() -> Int {
        runCount += 1
        return runCount
    }

    private func run(
        _ bench: PeerBench, into table: String, topic: String, _ body: (String) throws -> Int64
    ) throws -> PeerRun {
        try bench.withConnection { connection in
            try AllocationsSource.truncate(on: connection)
            try orders?.forget(on: connection)
            try connection.execute("TRUNCATE captured; CHECKPOINT")
        }
        try bench.target.createTopic(topic, partitions: partitions)
        defer { try? bench.target.deleteTopic(topic) }
        let elapsed = try body(topic)
        return try bench.withConnection { connection in
            let executed = try OrderedExecutions.digest(of: Debezium.tableName, on: connection)
            let captured = try OrderedExecutions.digest(of: table, on: connection)
            guard executed == captured else {
                throw OperatingError("\(table) has \(captured), but executed was \(executed)")
            }
            return PeerRun(figure: Double(burst) * 1e9 / Double(elapsed), work: captured)
        }
    }

    /// - Returns: how long the second burst took.
    private func bursts(into table: String, _ bench: PeerBench, check: () throws -> Void) throws -> Int64 {
        guard let orders else { throw PeerFault.notPrepared }
        return try bench.withConnection { connection in
            func size() throws -> Int64 {
                try connection.query("SELECT pg_relation_size($1::TEXT::REGCLASS)", .text(table)).int64(0, 0)
            }
            var (elapsed, sizeNearEnd, before) = (Int64(0), Int64(0), 0)
            for total in totals {
                let committed = try orders.write(
                    total, transactionSize: total - before, on: connection, stop: bench.stop)
                try bench.wait(for: "\(total) rows in \(table)", everyMs: 20, check: check) {
                    // To count costs the server time that the side under test would miss; to look at the size costs nothing.
                    guard try size() >= sizeNearEnd else { return false }
                    return try connection.query("SELECT count(*) FROM \(table)").int64(0, 0) == Int64(total)
                }
                elapsed = monotonicNow() - committed
                before = total
                // Less a few pages, for each writer has one that is half full. Of a small table these are much of it, so that its
                // size says nothing; but to count it costs nothing either.
                let now = try size()
                sizeNearEnd = now < 1 << 20 ? 0 : now * Int64(totals[1]) / Int64(totals[0]) * 9 / 10 - 65_536
            }
            return elapsed
        }
    }
}

/// Workers on a thread of their own, until the end of the stream is known.
private final class RunningWorkers {
    private let stop = StopFlag()
    private let failed = StopFlag()
    private let thread: WorkerThread<Void>

    init(_ plan: WorkerPlan) {
        let (stop, failed) = (stop, failed)
        thread = WorkerThread(name: "workers") {
            do {
                _ = try WorkerPool.run(plan, stop: stop)
            } catch {
                failed.set()
                throw error
            }
        }
    }

    func requireRunning() throws {
        if failed.isSet { throw OperatingError("the workers have failed") }
    }

    /// Waits for their end, which the stream's end says if it is done. Called once.
    func finish(isDone: Bool) throws {
        if !isDone { stop.set() }
        try thread.join()
    }
}
