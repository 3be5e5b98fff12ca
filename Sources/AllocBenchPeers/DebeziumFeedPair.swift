// The change feed beside Debezium, as both run for long: they stream already when a burst of rows is committed.

import ChangeFeed
import Diagnostics
import Kafka
import Measurement
import Postgres
import Scenario
import Threads

/// A run starts its side, commits one burst that isn't measured, and then the burst that is: it is over when the topic holds
/// every row. Only one side reads the log at a time: the server decodes it for each.
final class DebeziumFeedPair: PeerPair {
    let name = "feed-debezium"
    let path = "change feed, commit of a burst → Kafka acknowledged"
    private(set) var peer = "Debezium in Kafka Connect"
    let unit = "rows/s"
    let target: Double? = 3
    let postgresSettings = PeerDatabase.settings

    private let burst: Int
    private var bursts: ExecutionBursts?

    init(_ size: PeerSize) { burst = size.pick(tiny: 1_000, full: 300_000) }

    func obstacle(_ surroundings: PeerSurroundings) -> String? {
        Debezium.obstacle(surroundings, plugins: "debezium-connector-postgres")
    }

    func prepare(_ bench: PeerBench) throws {
        let version = Debezium.version(of: "debezium-connector-postgres", bench.surroundings)
        peer = "Debezium \(version) in Kafka Connect"
        bursts = try ExecutionBursts([burst, 2 * burst], of: 2 * burst, blocks: max(1, burst / 200), on: bench)
    }

    func runOurs(_ bench: PeerBench) throws -> PeerRun {
        guard let bursts else { throw PeerFault.notPrepared }
        let topic = bursts.nextName("ours")
        return try run(bench, bursts, topic: topic) {
            try RunningPeerFeed.during(
                FeedPlan(
                    connection: bursts.database.connection, kafka: bursts.kafka, topic: topic, source: .executions)
            ) { feed in try time(bench, bursts, topic) { try feed.requireRunning() } }
        }
    }

    func runPeer(_ bench: PeerBench) throws -> PeerRun {
        guard let bursts else { throw PeerFault.notPrepared }
        let prefix = bursts.nextName(Debezium.prefix)
        let topic = "\(prefix).\(Debezium.tableName)"
        return try run(bench, bursts, topic: topic) {
            var source = Debezium.source(bursts.database, prefix: prefix)
            // As ours has it: keyed by block, and no schema in each message.
            source["message.key.columns"] = "\(Debezium.tableName):block_order_code"
            for part in ["key", "value"] {
                source["\(part).converter"] = "org.apache.kafka.connect.json.JsonConverter"
                source["\(part).converter.schemas.enable"] = "false"
            }
            return try Debezium.during(bench, folder: prefix, connectors: [source]) { worker in
                try time(bench, bursts, topic) { try worker.requireRunning() }
            }
        }
    }

    private func run(
        _ bench: PeerBench, _ bursts: ExecutionBursts, topic: String, _ side: () throws -> Int64
    ) throws -> PeerRun {
        try bursts.run(bench, topic: topic, side: side) {
            ["messages": "\(try bench.messageCount(of: topic))"]
        }
    }

    /// - Returns: how long the second burst took.
    private func time(
        _ bench: PeerBench, _ bursts: ExecutionBursts, _ topic: String, check: () throws -> Void
    ) throws -> Int64 {
        let admin = try KafkaAdmin(settings: bursts.kafka)
        return try bursts.time(bench, waitingFor: "messages", check: check) { total, _ in
            try admin.watermarks(of: topic).reduce(0) { $0 + $1.high } >= Int64(total)
        }
    }
}

extension PeerBench {
    func messageCount(of topic: String) throws -> Int64 {
        try target.completeTopicEnds(topic).values.reduce(0, +)
    }

    /// Waits until somebody streams from a slot: whoever makes one holds it before.
    func waitForStream(from slot: String, check: () throws -> Void) throws {
        try withConnection { connection in
            try wait(for: "a reader of the slot \(slot)", everyMs: 50, check: check) {
                try connection.query(
                    """
                    SELECT 1 FROM pg_replication_slots AS s JOIN pg_stat_replication AS r ON r.pid = s.active_pid
                    WHERE s.slot_name = $1 AND r.state = 'streaming'
                    """, .text(slot)
                ).rowCount > 0
            }
        }
    }

    /// Asks until it is so.
    func wait(
        for what: String, everyMs: Int64 = 5, seconds: Int64 = 180, check: () throws -> Void, _ isSo: () throws -> Bool
    ) throws {
        let start = monotonicNow()
        var nextCheck = start
        while try !isSo() {
            let now = monotonicNow()
            if stop.isSet { throw OperatingError("interrupted") }
            if now >= nextCheck {
                nextCheck = now + 1_000_000_000
                try check()
            }
            guard now - start < seconds * 1_000_000_000 else {
                throw OperatingError("waited for \(what) for \(seconds) s in vain")
            }
            sleepUntil(monotonic: now + everyMs * 1_000_000)
        }
    }
}

/// Our feed on a thread of its own, as `allocbench feed` runs it without an end.
final class RunningPeerFeed {
    private let stop = StopFlag()
    private let failed = StopFlag()
    private let isReading = StopFlag()
    private let thread: WorkerThread<FeedFigures>

    /// Runs the feed while the body runs, and drops it behind.
    static func during<R>(_ plan: FeedPlan, _ body: (RunningPeerFeed) throws -> R) throws -> R {
        let feed = try plan.makeFeed()
        try feed.create(scanTable: false)
        defer { try? feed.drop() }
        let running = RunningPeerFeed(feed)
        let result = Result { try body(running) }
        running.stop.set()
        let figures = Result { try running.thread.join() }
        // If the feed failed, the body only waited in vain.
        _ = try figures.get()
        return try result.get()
    }

    private init(_ feed: any ChangeFeed) {
        let (stop, failed, isReading) = (stop, failed, isReading)
        thread = WorkerThread(name: "feed") {
            defer { isReading.set() }
            do {
                return try feed.run(until: FeedEnd(), stop: stop) { _ in isReading.set() }
            } catch {
                failed.set()
                throw error
            }
        }
        while !isReading.isSet { sleepThread(for: .milliseconds(1)) }
    }

    func requireRunning() throws {
        if failed.isSet { throw OperatingError("the feed has failed") }
    }
}
