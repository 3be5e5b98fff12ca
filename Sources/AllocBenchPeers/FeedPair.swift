// The change feed beside the program that comes with PostgreSQL and does nothing with what it reads.

import ChangeFeed
import Diagnostics
import Measurement
import Postgres
import Scenario
import Threads
import Trades

/// Both read the same part of the server's log, by copies of one slot that was made before it. Ours decodes the rows, makes
/// envelopes of them, and has a Kafka acknowledge each; the peer writes to /dev/null.
final class FeedPair: PeerPair {
    let name = "feed"
    let path = "change feed, decode → envelope → Kafka acknowledged"
    private(set) var peer = "pg_recvlogical to /dev/null"
    let unit = "rows/s"
    let target: Double? = 0.6
    let warmUps = 3

    private let rows: Int
    private let partitions = 8
    private static let keptSlot = "peers_kept"
    private static let peerSlot = "peers_read"
    private var orders: OrderedExecutions?
    private var feed: (any ChangeFeed)?
    private var program = ""
    /// Behind the last execution in the server's log.
    private var end = LSN.zero
    /// What stands in the log up to there.
    private var content: [String: String] = [:]
    private var runCount = 0

    init(_ size: PeerSize) { rows = size.pick(tiny: 2_000, full: 1_000_000) }

    func obstacle(_ surroundings: PeerSurroundings) -> String? {
        if surroundings.size == .full, surroundings.kafkaHome == nil { return "no real Kafka (KAFKA_HOME)" }
        return surroundings.missing("pg_recvlogical")
    }

    func prepare(_ bench: PeerBench) throws {
        program = try PeerPrograms.postgres("pg_recvlogical", bench)
        peer = "\(PeerBench.version(of: program)) to /dev/null"
        let orders = try OrderedExecutions(count: rows, blocks: rows / 200, on: bench)
        self.orders = orders
        let feed = try bench.target.feed(of: .executions, to: "unused")
        self.feed = feed
        // Makes the publication, which both sides read by, and a slot.
        try feed.create(scanTable: false)
        try bench.withConnection { connection in
            try connection.copySlot(feed.name, to: Self.keptSlot)
            try connection.dropSlot(feed.name)
            try orders.write(rows, transactionSize: 1000, on: connection, stop: bench.stop)
            guard case .log(let end) = try FeedPosition.now(on: connection) else {
                throw OperatingError("pg_recvlogical reads the log of a PostgreSQL")
            }
            self.end = end
            let counts = try connection.query(
                """
                SELECT count(*) FILTER (WHERE get_byte(data, 0) = ascii('I')),
                       count(*) FILTER (WHERE get_byte(data, 0) = ascii('C'))
                FROM pg_logical_slot_peek_binary_changes(
                    $1, $2::TEXT::PG_LSN, NULL, 'proto_version', '1', 'publication_names', $3)
                """, .text(Self.keptSlot), .text("\(end)"), .text(feed.name))
            content = ["rows": counts.text(0, 0) ?? "", "transactions": counts.text(0, 1) ?? ""]
        }
    }

    func runOurs(_ bench: PeerBench) throws -> PeerRun {
        guard let name = feed?.name else { throw PeerFault.notPrepared }
        runCount += 1
        let topic = "feed\(runCount)"
        try bench.target.createTopic(topic, partitions: partitions)
        defer { try? bench.target.deleteTopic(topic) }
        try bench.withConnection { try $0.copySlot(Self.keptSlot, to: name) }
        defer { try? bench.withConnection { try $0.dropSlot(name) } }
        let start = monotonicNow()
        let feed = try bench.target.feed(of: .executions, to: topic)
        let figures = try feed.run(until: FeedEnd(end), stop: bench.stop) { _ in }
        let elapsed = monotonicNow() - start
        let messages = try bench.target.completeTopicEnds(topic).values.reduce(0, +)
        return PeerRun(
            figure: Double(rows) * 1e9 / Double(elapsed),
            work: ["rows": "\(messages)", "transactions": "\(figures.transactionCount)"])
    }

    /// pg_recvlogical counts nothing. So the server was asked what stands in the log up to the end, and is asked after each run
    /// whether all of that is confirmed.
    func runPeer(_ bench: PeerBench) throws -> PeerRun {
        guard let publication = feed?.name else { throw PeerFault.notPrepared }
        try bench.withConnection { try $0.copySlot(Self.keptSlot, to: Self.peerSlot) }
        defer { try? bench.withConnection { try $0.dropSlot(Self.peerSlot) } }
        let start = monotonicNow()
        try PeerBench.child([
            program, "--dbname=\(bench.connectionText)", "--slot=\(Self.peerSlot)", "--start", "--endpos=\(end)",
            "--file=/dev/null", "--no-loop", "--option=proto_version=1", "--option=publication_names=\(publication)",
        ])
        let elapsed = monotonicNow() - start
        return try bench.withConnection { connection in
            let isRead = try connection.query(
                "SELECT confirmed_flush_lsn >= $1::TEXT::PG_LSN FROM pg_replication_slots WHERE slot_name = $2",
                .text("\(end)"), .text(Self.peerSlot)
            ).text(0, 0)
            guard isRead == "t" else { throw OperatingError("pg_recvlogical ended before \(end)") }
            return PeerRun(figure: Double(rows) * 1e9 / Double(elapsed), work: content)
        }
    }

    func finish(_ bench: PeerBench) {
        try? bench.withConnection { try $0.dropSlot(Self.keptSlot) }
        try? feed?.drop()
    }
}

extension Target {
    /// The change feed as `allocbench feed` runs it.
    func feed(of source: FeedSource, to topic: String) throws -> any ChangeFeed {
        guard let kafka else { throw PeerFault.notPrepared }
        return try FeedPlan(connection: connection, kafka: kafka, topic: topic, source: source).makeFeed()
    }
}

extension PostgresConnection {
    /// A slot that stands where another one does, so that the same part of the log can be read again.
    func copySlot(_ slot: String, to name: String) throws {
        try query("SELECT pg_copy_logical_replication_slot($1, $2)", .text(slot), .text(name))
    }

    /// Waits a moment for a reader that has just gone.
    func dropSlot(_ name: String) throws {
        let deadline = monotonicNow() + 5_000_000_000
        while try query("SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND active", .text(name)).rowCount > 0,
            monotonicNow() < deadline
        {
            sleepThread(for: .milliseconds(10))
        }
        try query(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", .text(name))
    }
}
