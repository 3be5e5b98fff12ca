// The change feed from a real PostgreSQL to a broker: nothing lost, in commit order, and acknowledged only when safe.

import Diagnostics
import Glibc
import Kafka
import Measurement
import Model
import Postgres
import Services
import TestSupport
import Testing
import Threads

@testable import ChangeFeed

/// A database with its feed, and a topic that it publishes to.
private struct FeedBench {
    let info: ConnectionInfo
    let connection: PostgresConnection
    let kafka: KafkaClientSettings
    let topic: String
    var slot: FeedSlot

    /// Writes executions in one transaction, with the given ids: blocks 1 to 5 in turn.
    func insert(_ ids: ClosedRange<Int64>, on other: PostgresConnection? = nil) throws {
        try (other ?? connection).query(
            """
            INSERT INTO trades.executions
              (execution_id, exec_type, block_order_id, block_order_code, order_version, order_quantity, quantity, price,
               executed_at)
            SELECT i, 'TRADE', i % 5 + 1, 'B20241114-000000' || (i % 5 + 1), 0, 5000, 100 + i % 7, 9.5 + i * 0.0001,
                   TIMESTAMPTZ '2024-11-14 14:30:00.25+00' + i * INTERVAL '1 microsecond'
            FROM generate_series($1::INT8, $2::INT8) AS i
            """, .int64(ids.lowerBound), .int64(ids.upperBound))
    }

    func create(scanTable: Bool = false) throws {
        try slot.create(topic: topic, scanTable: scanTable, connection: info)
    }

    /// Runs the feed until everything committed so far is acknowledged.
    @discardableResult
    func run(_ settings: KafkaClientSettings? = nil) throws -> FeedFigures {
        let end = try #require(LSN(try connection.lines("SELECT pg_current_wal_lsn()")[0]))
        return try ReplicationFeed(connection: info, kafka: settings ?? kafka, topic: topic, slot: slot)
            .run(until: FeedEnd(end), stop: StopFlag())
    }

    /// The server takes a moment to notice that a reader has gone.
    func waitUntilSlotIsFree() throws {
        let deadline = monotonicNow() + 10_000_000_000
        while try connection.lines(
            "SELECT active FROM pg_replication_slots WHERE slot_name = '\(slot.name)'") == ["t"],
            monotonicNow() < deadline
        { usleep(10_000) }
    }

    var confirmedPosition: String? {
        get throws {
            try connection.lines(
                "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '\(slot.name)'"
            ).first
        }
    }
}

private func withFeed<R>(
    partitions: Int = 3, on kind: BrokerKind = .mock, _ body: (FeedBench, TemporaryBroker) throws -> R
) throws -> R {
    try withStages(isOwn: true) { info, connection in
        try withTopic(partitions: partitions, on: kind) { broker, topic in
            try body(bench(info, connection, broker.settings, topic), broker)
        }
    }
}

private func bench(
    _ info: ConnectionInfo, _ connection: PostgresConnection, _ kafka: KafkaClientSettings, _ topic: String
) throws -> FeedBench {
    FeedBench(
        info: info, connection: connection, kafka: kafka, topic: topic,
        slot: FeedSlot(database: try #require(info["dbname"])))
}

@Suite struct ReplicationFeedTests {
    @Test(arguments: BrokerKind.available)
    func `every execution arrives once, in commit order of its block, with its key and envelope`(_ kind: BrokerKind)
        throws
    {
        try withFeed(on: kind) { feed, broker in
            try feed.create()
            try feed.insert(1...50)
            try feed.insert(101...150)
            // A transaction that began earlier and commits later comes later, whatever its ids.
            let early = try PostgresConnection.connect(to: feed.info)
            try early.begin()
            try feed.insert(51...60, on: early)
            try feed.insert(61...70)
            try early.commit()
            // What is rolled back, and what happens to other tables, is not published.
            try early.begin()
            try feed.insert(900...910, on: early)
            try early.rollback()
            try feed.connection.execute("UPDATE trades.executions SET quantity = quantity WHERE execution_id = 1")
            early.close()

            let figures = try feed.run()
            #expect(figures.publishedCount == 120 && figures.scannedCount == 0 && figures.transactionCount >= 4)
            // Committed before the feed began, so the wait for it counts; one machine has one clock.
            let published = figures.committedToPublished
            #expect(published.count == 120 && published.min > 0 && published.max < 60_000_000_000)
            #expect(published.clippedCount == 0 && figures.clock?.appliedOffsetNs == 0, "\(figures.clock as Any)")
            let messages = try broker.messages(feed.topic)
            let commitOrder = Array(1...50) + Array(101...150) + Array(61...70) + Array(51...60)
            for block in 1...5 as ClosedRange<Int64> {
                let ofBlock = messages.filter { $0.key == "[\"\(blockCode(block))\"]" }
                #expect(Set(ofBlock.map(\.partition)).count == 1)
                #expect(ofBlock.map(\.executionID) == commitOrder.filter { $0 % 5 + 1 == block }.map { Int64($0) })
            }
            let first = try #require(messages.first { $0.executionID == 1 }?.value)
            let start =
                #"{"after": {"block_order_code": "B20241114-0000002", "block_order_id": 2, "exec_ref_id": null, "#
                + #""exec_type": "TRADE", "executed_at": "2024-11-14T14:30:00.250001Z", "execution_id": 1, "#
                + #""order_quantity": 5000, "order_version": 0, "price": 9.5001, "quantity": 101}, "updated": ""#
            #expect(first.hasPrefix(start), "\(first)")
            let seconds = try feed.connection.number("SELECT extract(epoch FROM now())::INT8")
            let updated = first.dropFirst(start.count).prefix { $0 != "." }
            #expect(abs((Int64(updated) ?? 0) / 1_000_000_000 - seconds) < 60)
            #expect(first.hasSuffix(#".0000000000"}"#))
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `only what is committed within the window counts in the time to the broker`() throws {
        try withFeed { feed, _ in
            try feed.create()
            let window = MeasuredWindow(
                plan: WindowPlan(warmUp: .seconds(60), measured: nil), schedule: .uniform(ratePerSecond: 1))
            try feed.insert(1...20)
            // Both clocks are known to some microseconds.
            sleepThread(for: .milliseconds(2))
            window.begin(at: monotonicNow() - 60_000_000_000)
            sleepThread(for: .milliseconds(2))
            try feed.insert(21...28)
            let end = try #require(LSN(try feed.connection.lines("SELECT pg_current_wal_lsn()")[0]))
            let figures = try ReplicationFeed(
                connection: feed.info, kafka: feed.kafka, topic: feed.topic, slot: feed.slot, window: window
            ).run(until: FeedEnd(end), stop: StopFlag())
            #expect(figures.publishedCount == 28 && figures.committedToPublished.count == 8)
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test(.enabled(if: BrokerKind.available.contains(.kafka), "needs KAFKA_HOME"))
    func `in transactions every execution is seen once, and nothing of what a dead feed left open`() throws {
        try withFeed(on: .kafka) { feed, broker in
            func run() throws -> FeedFigures {
                let end = try #require(LSN(try feed.connection.lines("SELECT pg_current_wal_lsn()")[0]))
                return try ReplicationFeed(
                    connection: feed.info, kafka: feed.kafka, topic: feed.topic, slot: feed.slot, isTransactional: true
                ).run(until: FeedEnd(end), stop: StopFlag())
            }
            try feed.create(scanTable: true)
            try feed.insert(1...40)
            // A feed that died between its messages and their commit.
            let dead = try KafkaProducer(
                settings: feed.kafka.with("transactional.id", "allocbench-\(feed.slot.name)-\(feed.topic)"))
            try dead.initTransactions()
            try dead.beginTransaction()
            let topic = try dead.topic(feed.topic)
            let text = Array("half".utf8)
            try text.withUnsafeBytes { try dead.produce(topic: topic, key: $0, value: $0, tag: 1) }
            try dead.flush(timeoutMs: 30_000) { _, _ in }

            let first = try run()
            #expect(first.publishedCount >= 40 && first.scannedCount == 40)
            try feed.insert(41...50)
            #expect(try run().publishedCount == 10, "the first run acknowledged what it had committed")
            let content = try KafkaAdmin(settings: broker.settings).content(of: feed.topic)
            #expect(content.messageCount == first.publishedCount + 10)
            let high = try broker.watermarks(feed.topic).reduce(0) { $0 + $1.high }
            #expect(high > content.messageCount, "marks and what was aborted take offsets")
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `a second run publishes only what came since`() throws {
        try withFeed { feed, broker in
            try feed.create()
            try feed.insert(1...40)
            #expect(try feed.run().publishedCount == 40)
            try feed.insert(41...60)
            #expect(try feed.run().publishedCount == 20)
            #expect(try feed.run().publishedCount == 0)
            #expect(try broker.messages(feed.topic).compactMap(\.executionID).sorted() == Array(1...60))
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `rows that stand in the table are scanned first, and only once`() throws {
        try withFeed { feed, broker in
            try feed.insert(1...30)
            try feed.create(scanTable: true)
            try feed.insert(31...40)
            let figures = try feed.run()
            // The scan sees the later ten as well, and the stream brings them again: at least once.
            #expect(figures.scannedCount == 40 && figures.publishedCount == 50)
            #expect(figures.duplicateCount == 10 && figures.committedToPublished.count == 10)
            let messages = try broker.messages(feed.topic)
            #expect(Set(messages.compactMap(\.executionID)) == Set(1...40))
            let twice = messages.filter { $0.executionID == 31 }.compactMap(\.value)
            #expect(twice.count == 2)
            #expect(
                Set(twice.compactMap { $0.components(before: #", "updated""#) }).count == 1, "scan and stream agree")
            #expect(try feed.run().publishedCount == 0)
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test
    func `keyed by themselves, the executions of a block spread over the partitions, scanned ones and later ones`()
        throws
    {
        try withFeed { feed, broker in
            var feed = feed
            let plain = feed.slot
            feed.slot = FeedSlot(database: try #require(feed.info["dbname"]), source: .executions(keyedBy: .execution))
            #expect(feed.slot != plain)
            try feed.insert(1...50)
            try feed.create(scanTable: true)
            try feed.run()
            try feed.insert(51...100)
            try feed.run()
            let messages = try broker.messages(feed.topic)
            #expect(Array(messages.compactMap(\.executionID).sorted().suffix(50)) == Array(51...100))
            #expect(Set(messages.compactMap(\.executionID)).count == 100)
            #expect(messages.allSatisfy { message in message.key == message.executionID.map { "[\($0)]" } })
            let ofBlock = messages.filter { ($0.executionID ?? 0) % 5 == 0 }
            #expect(Set(ofBlock.map(\.partition)).count == 3)
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `without a scan only what comes after the slot is published`() throws {
        try withFeed { feed, broker in
            try feed.insert(1...30)
            try feed.create(scanTable: false)
            try feed.insert(31...33)
            #expect(try feed.run().publishedCount == 3)
            #expect(try broker.messages(feed.topic).compactMap(\.executionID).sorted() == [31, 32, 33])
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `what is committed without waiting for the disk is before the end, and the end is flushed`() throws {
        try withFeed { feed, broker in
            try feed.create()
            let hasty = try PostgresConnection.connect(
                to: feed.info.with("options", "-c synchronous_commit=off"))
            defer { hasty.close() }
            for id in 1...20 as ClosedRange<Int64> { try feed.insert(id...id, on: hasty) }
            let inserted = try #require(LSN(try feed.connection.lines("SELECT pg_current_wal_insert_lsn()")[0]))
            let position = try FeedPosition.now(on: feed.connection)
            let flushed = try #require(LSN(try feed.connection.lines("SELECT pg_current_wal_flush_lsn()")[0]))
            guard case .log(let end) = position else {
                Issue.record("\(position)")
                return
            }
            #expect(end >= inserted && flushed >= end)
            let figures = try ReplicationFeed(
                connection: feed.info, kafka: feed.kafka, topic: feed.topic, slot: feed.slot
            ).run(until: FeedEnd(position), stop: StopFlag())
            #expect(figures.publishedCount == 20)
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `a stop ends a scan, which the next feed begins again`() throws {
        try withFeed { feed, broker in
            try feed.insert(1...3_000)
            try feed.create(scanTable: true)
            let stop = StopFlag()
            stop.set()
            let figures = try ReplicationFeed(
                connection: feed.info, kafka: feed.kafka, topic: feed.topic, slot: feed.slot
            ).run(until: FeedEnd(), stop: stop)
            #expect(figures.scannedCount < 3_000)
            #expect(try feed.connection.lines("SELECT scan_completed FROM trades.change_feeds") == ["f"])
            #expect(try feed.run().scannedCount == 3_000)
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `a producer of the feed leaves the user's properties alone`() throws {
        let slot = FeedSlot(database: "bench")
        func asked(_ properties: [String: String], isTransactional: Bool = false) -> [String: String] {
            ReplicationFeed.producerSettings(
                KafkaClientSettings(bootstrapServers: "h:1", properties: properties), slot: slot, topic: "t",
                isTransactional: isTransactional
            ).properties
        }
        #expect(asked([:]).isEmpty && asked(["linger.ms": "50"]) == ["linger.ms": "50"])
        #expect(
            asked(["linger.ms": "50"], isTransactional: true)
                == ["linger.ms": "50", "transactional.id": "allocbench-\(slot.name)-t"])
    }

    // MARK: Failures

    @Test func `a scan that is cut starts over`() throws {
        try withStages(isOwn: true) { info, connection in
            let cluster = try MockCluster()
            try cluster.createTopic("cut", partitions: 2)
            let kafka = KafkaClientSettings(bootstrapServers: cluster.bootstrapServers, unreachableTimeoutMs: 500)
            let feed = try bench(info, connection, kafka, "cut")
            try feed.insert(1...2_000)
            try feed.create(scanTable: true)
            let cutter = downAfterFirstAnswers(cluster)
            #expect(throws: KafkaError.self) { try feed.run() }
            try cutter.join()
            #expect(try connection.lines("SELECT scan_completed FROM trades.change_feeds") == ["f"])
            cluster.setRoundTripTime(ms: 0)
            cluster.setBrokerUp()
            let figures = try feed.run()
            #expect(figures.scannedCount == 2_000)
            #expect(try connection.lines("SELECT scan_completed FROM trades.change_feeds") == ["t"])
            try feed.slot.drop(connection: info)
        }
    }

    @Test func `a broker that goes away fails the feed, and the next run brings what it hadn't acknowledged`() throws {
        try withStages(isOwn: true) { info, connection in
            let cluster = try MockCluster()
            try cluster.createTopic("gone", partitions: 2)
            let kafka = KafkaClientSettings(bootstrapServers: cluster.bootstrapServers, unreachableTimeoutMs: 500)
            let feed = try bench(info, connection, kafka, "gone")
            try feed.create()
            try feed.insert(1...100)
            try feed.run()
            try feed.insert(101...2_000)
            let end = try #require(LSN(try connection.lines("SELECT pg_current_wal_insert_lsn()")[0]))
            let cutter = downAfterFirstAnswers(cluster)
            #expect(throws: KafkaError.self) { try feed.run() }
            try cutter.join()
            // The log of other databases before the transaction may be confirmed, its commit not.
            let confirmed = try #require(LSN(try feed.confirmedPosition ?? ""))
            #expect(confirmed < end, "nothing of the transaction was safe")
            cluster.setRoundTripTime(ms: 0)
            cluster.setBrokerUp()
            let figures = try feed.run()
            #expect(figures.publishedCount == 1_900, "what was acknowledged before is not published again")
            try feed.slot.drop(connection: info)
        }
    }

    /// Slows every answer of the broker and cuts it off a moment later, so that messages are on their way then.
    private func downAfterFirstAnswers(_ cluster: MockCluster) -> WorkerThread<Void> {
        cluster.setRoundTripTime(ms: 250)
        return WorkerThread(name: "cutter") {
            usleep(900_000)
            cluster.setBrokerDown()
        }
    }

    @Test func `a broker out of reach is an error, and the log is kept`() throws {
        try withFeed { feed, broker in
            try feed.create()
            let position = try feed.confirmedPosition
            try feed.insert(1...10)
            let text = errorText {
                try feed.run(KafkaClientSettings(bootstrapServers: "127.0.0.1:9", unreachableTimeoutMs: 500))
            }
            #expect(text.contains("127.0.0.1:9"), "\(text)")
            #expect(try feed.confirmedPosition == position)
            #expect(try feed.run().publishedCount == 10)
            try feed.slot.drop(connection: feed.info)
        }
    }

    // MARK: Beginning and end

    @Test func `a stop ends a feed that has nothing under way`() throws {
        try withFeed { feed, broker in
            try feed.create()
            try feed.insert(1...10)
            let stop = StopFlag()
            let (info, kafka, topic, slot) = (feed.info, feed.kafka, feed.topic, feed.slot)
            let running = WorkerThread(name: "feed") {
                try ReplicationFeed(connection: info, kafka: kafka, topic: topic, slot: slot)
                    .run(until: FeedEnd(), stop: stop)
            }
            let deadline = monotonicNow() + 10_000_000_000
            while try broker.watermarks(topic).reduce(0, { $0 + $1.high }) < 10, monotonicNow() < deadline {
                usleep(20_000)
            }
            stop.set()
            #expect(try running.join().publishedCount == 10)
            #expect(try feed.run().publishedCount == 0, "the stop acknowledged what was published")
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `a feed that starts again waits until the server lets go of its slot`() throws {
        try withFeed { feed, broker in
            try feed.create()
            try feed.insert(1...10)
            // What a killed feed leaves for a while: a session that still reads the slot.
            let (info, slot) = (feed.info, feed.slot)
            let isReading = StopFlag()
            let lastReader = WorkerThread(name: "last-reader") {
                let replication = try ReplicationConnection.connect(to: info)
                try replication.startReplication(slot: slot.name, publication: slot.publication)
                isReading.set()
                usleep(700_000)
                replication.close()
            }
            while !isReading.isSet { usleep(5_000) }
            let outcome = Result { try feed.run().publishedCount }
            try lastReader.join()
            #expect(try outcome.get() == 10)
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `dropping a feed leaves neither slot nor publication nor row, even while it runs`() throws {
        try withFeed { feed, broker in
            try feed.create()
            try feed.insert(1...10)
            let (info, kafka, topic, slot) = (feed.info, feed.kafka, feed.topic, feed.slot)
            let running = WorkerThread(name: "feed") {
                try ReplicationFeed(connection: info, kafka: kafka, topic: topic, slot: slot)
                    .run(until: FeedEnd(), stop: StopFlag())
            }
            let deadline = monotonicNow() + 10_000_000_000
            while try broker.watermarks(topic).reduce(0, { $0 + $1.high }) < 10, monotonicNow() < deadline {
                usleep(20_000)
            }
            try feed.slot.drop(connection: feed.info)
            // Which of the three was gone when it looked is a matter of moments.
            #expect(throws: (any Error).self) { try running.join() }
            for query in [
                "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()",
                "SELECT pubname FROM pg_publication", "SELECT slot_name FROM trades.change_feeds",
            ] {
                #expect(try feed.connection.lines(query) == [])
            }
            // Dropping what is gone is no error.
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `creating a feed again changes nothing, and another topic or a lost slot is refused`() throws {
        try withFeed { feed, broker in
            try feed.insert(1...5)
            try feed.create(scanTable: true)
            try feed.create(scanTable: true)
            #expect(try feed.run().publishedCount == 5)
            try feed.create(scanTable: true)
            #expect(try feed.run().publishedCount == 0)
            #expect(
                errorText { try feed.slot.create(topic: "other", scanTable: false, connection: feed.info) }
                    == "the feed \(feed.slot.name) publishes to topic \(feed.topic); go on with that topic, or drop the feed "
                    + "first")
            try feed.waitUntilSlotIsFree()
            try feed.connection.query("SELECT pg_drop_replication_slot($1)", .text(feed.slot.name))
            let text = errorText { try feed.create() }
            #expect(text.contains("the slot \(feed.slot.name) is gone") && text.contains("feed --drop"), "\(text)")
            try feed.slot.drop(connection: feed.info)
        }
    }

    @Test func `databases whose names differ have slots of different names`() {
        let names = [
            "bench-1", "bench_1", "BENCH_1", "bench_1_requests", "bench_1_requests_requests",
            "a" + String(repeating: "x", count: 62), String(repeating: "x", count: 63),
            String(repeating: "x", count: 40),
        ]
        let slots = names.flatMap { name in FeedSource.all.map { FeedSlot(database: name, source: $0).name } }
        #expect(Set(slots).count == names.count * FeedSource.all.count, "\(slots)")
        #expect(slots.allSatisfy { $0.utf8.count <= 63 && $0.hasPrefix(FeedSlot.prefix) })
        #expect(FeedSlot(database: "bench_1").name == "allocbench_bench_1", "a plain name stays readable")
        #expect(FeedSlot(database: "bench_1", source: .requests).name == "allocbench_bench_1_requests")
    }
}

extension String {
    /// What stands before the first `mark`; nil if it isn't there.
    fileprivate func components(before mark: String) -> Substring? {
        firstRange(of: mark).map { self[..<$0.lowerBound] }
    }
}
