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
    private let tasks = 2
    private let batchSize = 2000
    private var bursts: ExecutionBursts?

    init(_ size: PeerSize) { burst = size.pick(tiny: 1_000, full: 100_000) }

    func obstacle(_ surroundings: PeerSurroundings) -> String? {
        Debezium.obstacle(surroundings, plugins: "debezium-connector-postgres", "debezium-connector-jdbc")
    }

    func prepare(_ bench: PeerBench) throws {
        let version = Debezium.version(of: "debezium-connector-jdbc", bench.surroundings)
        peer = "Debezium \(version) source + Debezium JDBC sink, upsert"
        // The first burst is half as long: what compiles as it runs has run for seconds by then.
        bursts = try ExecutionBursts(
            [burst / 2, burst / 2 + burst], of: 3 * burst, blocks: max(1, burst / 100), on: bench)
        try bench.withConnection {
            try $0.execute("CREATE TABLE captured (LIKE \(Debezium.tableName) INCLUDING CONSTRAINTS INCLUDING INDEXES)")
        }
    }

    func runOurs(_ bench: PeerBench) throws -> PeerRun {
        guard let bursts else { throw PeerFault.notPrepared }
        let (database, kafka, partitions) = (bursts.database, bursts.kafka, bursts.partitions)
        let table = "allocations.captured_trades"
        let topic = bursts.nextName("ours")
        return try run(bench, bursts, into: table, topic: topic) {
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
                    let elapsed = try time(bench, bursts, into: table) {
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
        guard let bursts else { throw PeerFault.notPrepared }
        let database = bursts.database
        let prefix = bursts.nextName(Debezium.prefix)
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
        return try run(bench, bursts, into: "captured", topic: topic) {
            try Debezium.during(bench, folder: prefix, connectors: [source, sink]) { worker in
                try time(bench, bursts, into: "captured") { try worker.requireRunning() }
            }
        }
    }

    private func run(
        _ bench: PeerBench, _ bursts: ExecutionBursts, into table: String, topic: String, _ side: () throws -> Int64
    ) throws -> PeerRun {
        func clear(_ connection: PostgresConnection) throws {
            try AllocationsSource.truncate(on: connection)
            try connection.execute("TRUNCATE captured")
        }
        return try bursts.run(bench, topic: topic, clear: clear, side: side) {
            try bench.withConnection { connection in
                let executed = try OrderedExecutions.digest(of: Debezium.tableName, on: connection)
                let captured = try OrderedExecutions.digest(of: table, on: connection)
                guard executed == captured else {
                    throw OperatingError("\(table) has \(captured), but executed was \(executed)")
                }
                return captured
            }
        }
    }

    /// - Returns: how long the second burst took.
    private func time(
        _ bench: PeerBench, _ bursts: ExecutionBursts, into table: String, check: () throws -> Void
    ) throws -> Int64 {
        func size(_ connection: PostgresConnection) throws -> Int64 {
            try connection.query("SELECT pg_relation_size($1::TEXT::REGCLASS)", .text(table)).int64(0, 0)
        }
        let totals = bursts.totals
        var sizeNearEnd: Int64 = 0
        return try bursts.time(bench, waitingFor: "rows in \(table)", everyMs: 20, check: check) { total, connection in
            // To count costs the server time that the side under test would miss; to look at the size costs nothing.
            guard try size(connection) >= sizeNearEnd else { return false }
            return try connection.query("SELECT count(*) FROM \(table)").int64(0, 0) == Int64(total)
        } rest: { connection in
            // Less a few pages, for each writer has one that is half full. Of a small table these are much of it, so that its size says
            // nothing; but to count it costs nothing either.
            let now = try size(connection)
            sizeNearEnd = now < 1 << 20 ? 0 : now * Int64(totals[1]) / Int64(totals[0]) * 9 / 10 - 65_536
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
