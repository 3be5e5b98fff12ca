// Event-driven routing against set-based routing: whatever comes between a request and its orders, the tables are the same.
// Method: a random book of accounts, groups and prices, routed by both ways; equal sums over every table of the stage.

import Diagnostics
import Glibc
import Kafka
import Measurement
import Model
import Orders
import Postgres
import Routing
import TestSupport
import Testing
import Threads

@testable import Scenario

/// Accounts with their drifts, in groups by criteria.
private struct RoutingWorld {
    let accountCount: Int64

    /// Fills reference, market, holdings and groups. Some securities have no price, some accounts no group, some no cash.
    func insert(_ random: inout SeededRandom, on connection: PostgresConnection) throws {
        try connection.execute(
            """
            INSERT INTO holdings.managers VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 1);
            INSERT INTO orders.rebalancing_groups
              (group_id, name, manager_group, minimum_net_asset_value, risk_class, tolerance) VALUES
              (1, 'large', NULL, 20000000, NULL, 0.01), (2, 'careful', NULL, NULL, 'LOW', 0.02),
              (3, 'first', 1, NULL, 'MEDIUM', 0), (4, 'rest', 2, NULL, 'MEDIUM', 0.005)
            """)
        for security in Int64(1)...8 {
            let ticks = random.integer(in: 10_000...2_000_000)
            try connection.query(
                "INSERT INTO reference.securities VALUES ($1, $2, 'x', 'Equity', 'US', 'x', 'x', $3)", .int64(security),
                .text("S\(security)"), .int64([1, 1, 10, 100][Int(random.integer(in: 0...3))]))
            try connection.addPrice(security, on: tradingDay.advanced(by: -1), open: Price(ticks: ticks).description)
            if security != 8 { try connection.addPrice(security, open: Price(ticks: ticks + 100).description) }
            for group in Int64(1)...4 where random.integer(in: 0...3) > 0 {
                try connection.query(
                    "INSERT INTO orders.group_targets VALUES ($1, $2, $3::NUMERIC)", .int64(group), .int64(security),
                    .text("0.\(random.integer(in: 1500...1900))"))
            }
        }
        for account in 1...accountCount {
            try connection.query(
                "INSERT INTO holdings.accounts VALUES ($1, $2, 'x', $3::NUMERIC, '', $4, '')", .int64(account),
                .int64(random.integer(in: 1...3)),
                .text(Price(ticks: random.integer(in: 0...20_000_000_000)).description),
                .text(["LOW", "MEDIUM", "MEDIUM", "HIGH"][Int(random.integer(in: 0...3))]))
            for security in Int64(1)...8 where random.integer(in: 0...2) > 0 {
                try connection.query(
                    "INSERT INTO holdings.positions VALUES ($1, $2, $3)", .int64(account), .int64(security),
                    .int64(random.integer(in: 0...50_000)))
            }
        }
        try connection.execute("ANALYZE")
    }
}

/// A database with a routed world: what set-based routing made of it, and how to route it again.
private struct RoutingBench {
    let info: ConnectionInfo
    let connection: PostgresConnection
    let target: Target
    let plan: RoutingPlan
    /// By table, after set-based routing.
    let wanted: [String: String]
    let summary: RoutingSummary

    init(
        accounts: Int64, _ random: inout SeededRandom, _ info: ConnectionInfo, _ connection: PostgresConnection,
        _ kafka: KafkaClientSettings
    ) throws {
        self.info = info
        self.connection = connection
        target = Target(connection: info, kafka: kafka, services: nil, brokerKind: "test")
        var plan = RoutingPlan(date: tradingDay)
        plan.policies = [.proRata, .equal, .timePriority]
        self.plan = plan
        try RoutingWorld(accountCount: accounts).insert(&random, on: connection)
        summary = try OrdersSource.route(plan, on: connection)
        wanted = try OrdersSource.routingChecksums(of: tradingDay, on: connection)
        try OrdersSource.truncate(on: connection)
    }

    func route(
        _ topic: String, workers: Int = 2, batchSize: Int = 8, info other: ConnectionInfo? = nil,
        stop: StopFlag = StopFlag()
    ) throws -> EventRoutingResult {
        let place = Target(connection: other ?? info, kafka: target.kafka, services: nil, brokerKind: "test")
        return try EventRouting.route(
            EventRoutingPlan(plan, topic: topic, workers: workers, batchSize: batchSize), target: place, on: connection,
            stop: stop)
    }

    func requestPlan(_ topic: String, partitions: Int, workers: Int = 2, batchSize: Int = 8) throws -> RequestPlan {
        RequestPlan(
            connection: info, kafka: try #require(target.kafka), topic: topic,
            partitions: (0..<Int32(partitions)).map { $0 }, date: tradingDay, workers: workers, batchSize: batchSize,
            group: "group-of-\(topic)")
    }

    /// Messages of the opened requests as a feed sends them.
    func messages(partitions: Int) throws -> [TopicMessage] {
        let rows = try connection.query(
            "SELECT request_id, account_id, group_id FROM orders.rebalancing_requests ORDER BY request_id")
        return (0..<rows.rowCount).map { row in
            let id = rows.int64(row, 0)
            return TopicMessage(
                partition: Int32(id % Int64(partitions)), key: "[\(id)]",
                value: #"{"after": {"account_id": \#(rows.int64(row, 1)), "group_id": \#(rows.int64(row, 2)), "#
                    + #""request_id": \#(id), "status": "PENDING", "trade_date": "\#(tradingDay)"}}"#)
        }
    }

    func checksums() throws -> [String: String] {
        try OrdersSource.routingChecksums(of: tradingDay, on: connection)
    }
}

private func withBench<R>(
    accounts: Int64 = 60, partitions: Int = 3, on kind: BrokerKind = .mock,
    _ body: (RoutingBench, TemporaryBroker, String, inout SeededRandom) throws -> R
) throws -> R {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var random = SeededRandom(seed: seed)
    return try withStages(isOwn: true) { info, connection in
        try withTopic(partitions: partitions, on: kind) { broker, topic in
            let bench = try RoutingBench(accounts: accounts, &random, info, connection, broker.settings)
            #expect(bench.summary.requestCount > accounts / 3 && bench.summary.customerOrderCount > accounts)
            #expect(bench.summary.outcomes.count >= 2, "accounts without prices, groups or cash, seed \(seed)")
            return try body(bench, broker, topic, &random)
        }
    }
}

@Suite struct EventRoutingTests {
    struct Shape: Sendable, CustomStringConvertible {
        let workers: Int
        let partitions: Int
        let batchSize: Int
        var description: String { "\(workers) workers, \(partitions) partitions, \(batchSize) a transaction" }
    }

    @Test(arguments: BrokerKind.best)
    func `both ways of routing end in the same tables, whatever the workers, partitions and batches`(
        _ kind: BrokerKind
    ) throws {
        let shapes = [
            Shape(workers: 1, partitions: 1, batchSize: 1), Shape(workers: 2, partitions: 3, batchSize: 1),
            Shape(workers: 4, partitions: 4, batchSize: 7), Shape(workers: 3, partitions: 8, batchSize: 1000),
        ]
        try withBench(accounts: 120, on: kind) { bench, _, _, _ in
            for shape in shapes {
                try withTopic(partitions: shape.partitions, on: kind) { _, topic in
                    let result = try bench.route(topic, workers: shape.workers, batchSize: shape.batchSize)
                    #expect(result.summary == bench.summary, "\(shape)")
                    #expect(try bench.checksums() == bench.wanted, "\(shape)")
                    let figures = result.figures
                    #expect(figures.routedCount == bench.summary.requestCount, "\(shape)")
                    #expect(figures.customerOrderCount == bench.summary.customerOrderCount)
                    #expect(figures.duplicateCount == 0 && figures.rejectedCount == 0)
                    #expect(figures.requestToRouted.count == figures.routedCount && figures.requestToRouted.min > 0)
                    #expect(result.elapsedNanoseconds > 0)
                    if shape.batchSize == 1 { #expect(figures.transactionCount == figures.routedCount) }
                    #expect(try bench.connection.number("SELECT count(*) FROM trades.change_feeds") == 0)
                    try OrdersSource.truncate(on: bench.connection)
                }
            }
        }
    }

    @Test func `duplicates, any order and messages of other kinds change nothing`() throws {
        try withBench(partitions: 4) { bench, broker, topic, random in
            try OrdersSource.begin(bench.plan, on: bench.connection)
            let count = try OrdersSource.openRequests(tradingDay, on: bench.connection)
            var messages = try bench.messages(partitions: 4)
            #expect(Int64(messages.count) == count)
            // Each once more, some a third time, in another partition, and what a feed may send besides.
            messages += messages.map { message in
                TopicMessage(partition: (message.partition + 1) % 4, key: message.key, value: message.value)
            }
            messages += messages.prefix(20)
            let duplicates = Int64(messages.count) - count
            messages += (0..<4).map { TopicMessage.resolved(partition: $0) }
            messages.append(TopicMessage(partition: 1, key: "[1]", value: nil))
            messages.append(TopicMessage(partition: 2, key: "[1]", value: #"{"after": null}"#))
            let first = try #require(messages.first?.value)
            messages.append(
                TopicMessage(partition: 3, key: "[1]", value: first.replacing("PENDING", with: "ROUTED")))
            messages.append(
                TopicMessage(partition: 3, key: "[1]", value: first.replacing("2024-11-14", with: "2024-11-13")))
            for last in stride(from: messages.count - 1, to: 0, by: -1) {
                messages.swapAt(last, Int(random.integer(in: 0...Int64(last))))
            }
            try broker.publish(messages, to: topic)
            let pool = try RequestPool(
                try bench.requestPlan(topic, partitions: 4, workers: 3, batchSize: 5),
                end: TopicEnd(try broker.ends(topic)), stop: StopFlag())
            let figures = try pool.join()
            #expect(figures.routedCount == count && figures.duplicateCount == duplicates)
            #expect(figures.skippedCount == 8 && figures.rejectedCount == 0)
            #expect(try OrdersSource.close(bench.plan, on: bench.connection) == bench.summary)
            #expect(try bench.checksums() == bench.wanted)
        }
    }

    @Test func `a message that is no request is told with its place, and its request waits`() throws {
        try withBench(partitions: 2) { bench, broker, topic, _ in
            try OrdersSource.begin(bench.plan, on: bench.connection)
            let count = try OrdersSource.openRequests(tradingDay, on: bench.connection)
            var messages = try bench.messages(partitions: 2)
            messages[0].value = messages[0].value?.replacing("group_id", with: "group")
            messages[0].partition = 1
            messages.insert(TopicMessage(partition: 0, key: "", value: "what?"), at: 0)
            try broker.publish(messages, to: topic)
            let figures = try RequestPool(
                try bench.requestPlan(topic, partitions: 2), end: TopicEnd(try broker.ends(topic)), stop: StopFlag()
            ).join()
            #expect(figures.rejectedCount == 2 && figures.routedCount == count - 1)
            #expect(
                figures.rejected.map(\.description).sorted() == [
                    "partition 0, offset 0: malformed JSON object", "partition 1, offset 0: malformed after.group_id",
                ])
            let text = errorText { try EventRouting.requireAllRouted(tradingDay, figures, on: bench.connection) }
            #expect(
                text.hasPrefix(
                    "1 requests of 2024-11-14 wait, and the topic holds no further message of them "
                        + "(2 messages were malformed, such as partition "), "\(text)")
            let refusal = errorText { try OrdersSource.close(bench.plan, on: bench.connection) }
            #expect(refusal == "1 requests of 2024-11-14 aren't routed yet")
            // The next run publishes anew what waits, and ends as if nothing had been.
            try withTopic(partitions: 3) { _, other in
                let result = try bench.route(other)
                #expect(result.figures.routedCount == 1)
                #expect(try bench.checksums() == bench.wanted)
            }
        }
    }

    @Test func `a message that comes before its row can be seen waits for it; one whose row never comes is counted`()
        throws
    {
        try withBench(partitions: 2) { bench, broker, topic, _ in
            try OrdersSource.begin(bench.plan, on: bench.connection)
            // Opened once to know the messages, and once more in a transaction that stays open while they are read.
            let count = try OrdersSource.openRequests(tradingDay, on: bench.connection)
            let messages = try bench.messages(partitions: 2)
            try bench.connection.execute(
                """
                CREATE TEMP TABLE opened AS SELECT * FROM orders.rebalancing_requests;
                DELETE FROM orders.rebalancing_requests
                """)
            let ghost = TopicMessage(
                partition: 0, key: "[99999]",
                value: #"{"after": {"account_id": 1, "group_id": 1, "request_id": 99999, "status": "PENDING", "#
                    + #""trade_date": "2024-11-14"}}"#)
            try broker.publish(messages + [ghost], to: topic)
            try bench.connection.begin()
            try bench.connection.execute("INSERT INTO orders.rebalancing_requests SELECT * FROM opened")
            var plan = try bench.requestPlan(topic, partitions: 2, workers: 2, batchSize: 7)
            plan.visibilityTimeoutNs = 2_000_000_000
            let pool = try RequestPool(plan, end: TopicEnd(try broker.ends(topic)), stop: StopFlag())
            usleep(300_000)
            try bench.connection.commit()
            let figures = try pool.join()
            #expect(figures.routedCount == count && figures.missingCount == 1 && figures.duplicateCount == 0)
            #expect(figures.overtakenCount > 10)
            try OrdersSource.close(bench.plan, on: bench.connection)
            #expect(try bench.checksums() == bench.wanted)
        }
    }

    @Test func `workers that read a topic again read only what they hadn't committed`() throws {
        try withBench(partitions: 2) { bench, broker, topic, _ in
            try OrdersSource.begin(bench.plan, on: bench.connection)
            let count = try OrdersSource.openRequests(tradingDay, on: bench.connection)
            let messages = try bench.messages(partitions: 2)
            try broker.publish(Array(messages.prefix(10)), to: topic)
            let plan = try bench.requestPlan(topic, partitions: 2)
            let first = try RequestPool(plan, end: TopicEnd(try broker.ends(topic)), stop: StopFlag()).join()
            try broker.publish(Array(messages.dropFirst(10)), to: topic)
            let second = try RequestPool(plan, end: TopicEnd(try broker.ends(topic)), stop: StopFlag()).join()
            #expect(first.messageCount == 10 && second.messageCount == count - 10)
            // Another group reads everything, and changes nothing.
            var other = plan
            other.group += "-other"
            let third = try RequestPool(other, end: TopicEnd(try broker.ends(topic)), stop: StopFlag()).join()
            #expect(third.messageCount == count && third.routedCount == 0)
            try OrdersSource.close(bench.plan, on: bench.connection)
            #expect(try bench.checksums() == bench.wanted)
        }
    }

    @Test func `connections that are cut in the middle are sought again, and nothing is routed twice`() throws {
        try withBench(accounts: 200, partitions: 4) { bench, _, topic, _ in
            let isDone = StopFlag()
            let info = bench.info
            let cutter = WorkerThread(name: "cutter") {
                let connection = try PostgresConnection.connect(to: info)
                defer { connection.close() }
                var count = 0
                while !isDone.isSet, count < 30 {
                    usleep(15_000)
                    count += try connection.query(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name = 'allocbench routing'
                          AND EXISTS (SELECT 1 FROM orders.rebalancing_requests WHERE status = 'ROUTED') LIMIT 1
                        """
                    ).rowCount
                }
                return count
            }
            let outcome = Result { try bench.route(topic, workers: 3, batchSize: 1) }
            isDone.set()
            let cuts = try cutter.join()
            let figures = try outcome.get().figures
            #expect(cuts > 0 && figures.reconnectCount > 0, "\(cuts) cuts")
            #expect(try bench.checksums() == bench.wanted)
        }
    }

    @Test func `conflicts of serializable transactions are repeated and counted`() throws {
        try withBench(accounts: 150, partitions: 4) { bench, _, topic, _ in
            let serializable = bench.info.with("options", "-c default_transaction_isolation=serializable")
            let figures = try bench.route(topic, workers: 4, batchSize: 2, info: serializable).figures
            #expect((figures.retries[.serializationFailure]?.count ?? 0) > 0)
            #expect(figures.routedCount == bench.summary.requestCount)
            #expect(try bench.checksums() == bench.wanted)
        }
    }

    @Test func `a routing that was stopped anywhere is gone on with`() throws {
        try withBench(accounts: 150, partitions: 4) { bench, broker, _, random in
            var stoppedCount = 0
            for attempt in 1...40 {
                let isFinished = try withTopic(partitions: 4) { _, topic in
                    let stop = StopFlag()
                    // Soon at first, because on a quick machine all of it may be over in a tenth of a second.
                    let delay = UInt32(random.integer(in: 0...Int64(min(200_000, 5_000 * attempt * attempt))))
                    let stopper = WorkerThread(name: "stopper") {
                        usleep(delay)
                        stop.set()
                    }
                    // The last attempts are left alone.
                    let outcome = Result {
                        try bench.route(topic, workers: 2, batchSize: 1, stop: attempt < 30 ? stop : StopFlag())
                    }
                    try stopper.join()
                    switch outcome {
                    case .success: return true
                    case .failure(let error):
                        guard error is Interrupted else { throw error }
                        stoppedCount += 1
                        return false
                    }
                }
                if isFinished { break }
            }
            #expect(stoppedCount > 0, "no stop came before the end")
            #expect(try bench.checksums() == bench.wanted)
            let text = errorText { _ = try bench.route("never-made") }
            #expect(text.contains("2024-11-14 is routed already"), "\(text)")
        }
    }

    @Test func `a worker that fails stops the others, and its error is told`() throws {
        try withBench(partitions: 4) { bench, _, topic, _ in
            try bench.connection.execute(
                "ALTER TABLE orders.customer_orders ADD CONSTRAINT c CHECK (quantity < 0) NOT VALID")
            let text = errorText { _ = try bench.route(topic, workers: 4, batchSize: 1) }
            #expect(text.contains("violates check constraint"), "\(text)")
            #expect(
                try bench.connection.number(
                    "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == 0)
            try bench.connection.execute("ALTER TABLE orders.customer_orders DROP CONSTRAINT c")
            try withTopic(partitions: 2) { _, other in _ = try bench.route(other) }
            #expect(try bench.checksums() == bench.wanted)
        }
    }

    @Test func `a broker out of reach is an error before anything is opened`() throws {
        try withBench { bench, _, _, _ in
            let kafka = KafkaClientSettings(bootstrapServers: "127.0.0.1:9", unreachableTimeoutMs: 500)
            let target = Target(connection: bench.info, kafka: kafka, services: nil, brokerKind: "test")
            let text = errorText {
                _ = try EventRouting.route(
                    EventRoutingPlan(bench.plan), target: target, on: bench.connection, stop: StopFlag())
            }
            #expect(text.contains("127.0.0.1:9"), "\(text)")
            let opened = try bench.connection.number("SELECT count(*) FROM orders.rebalancing_requests")
            #expect(opened == 0)
        }
    }
}

extension String {
    fileprivate func replacing(_ word: String, with other: String) -> String {
        guard let range = firstRange(of: word) else { return self }
        return String(self[..<range.lowerBound]) + other + self[range.upperBound...]
    }
}
