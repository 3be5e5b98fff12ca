// The change feed of rebalancing requests: new rows only, keyed by request, beside the feed of executions.

import ChangeFeed
import Kafka
import Model
import Postgres
import TestSupport
import Testing
import Threads

extension PostgresConnection {
    /// Opens requests of the trading day, in one transaction: accounts of the same numbers, groups 1 to 3 in turn.
    func addRequests(_ ids: ClosedRange<Int64>) throws {
        try query(
            """
            INSERT INTO orders.rebalancing_requests (request_id, trade_date, account_id, group_id)
            SELECT i, $3::DATE, i, i % 3 + 1 FROM generate_series($1::INT8, $2::INT8) AS i
            """, .int64(ids.lowerBound), .int64(ids.upperBound), .text(tradingDay.description))
    }
}

extension TopicMessage {
    /// The request that the message carries.
    var request: RebalancingRequest? {
        guard let value,
            case .request(let request, _) = Array(value.utf8).withUnsafeBytes(RequestDecoder().decode)
        else { return nil }
        return request
    }
}

@Suite struct RequestFeedTests {
    private func feed(_ slot: FeedSlot, _ topic: String, _ broker: TemporaryBroker, _ info: ConnectionInfo) throws
        -> FeedFigures
    {
        let connection = try PostgresConnection.connect(to: info)
        defer { connection.close() }
        let end = try #require(LSN(try connection.lines("SELECT pg_current_wal_lsn()")[0]))
        return try ReplicationFeed(connection: info, kafka: broker.settings, topic: topic, slot: slot)
            .run(until: FeedEnd(end), stop: StopFlag())
    }

    @Test(arguments: BrokerKind.available)
    func `every request arrives once with its key, and routing it publishes nothing`(_ kind: BrokerKind) throws {
        try withStages(isOwn: true) { info, connection in
            try withTopic(partitions: 3, on: kind) { broker, topic in
                let slot = FeedSlot(database: try #require(info["dbname"]), source: .requests)
                try slot.create(topic: topic, scanTable: false, connection: info)
                try connection.addRequests(1...50)
                try connection.execute("UPDATE orders.rebalancing_requests SET status = 'ROUTED' WHERE request_id < 20")
                try connection.execute("DELETE FROM orders.rebalancing_requests WHERE request_id = 7")
                #expect(try feed(slot, topic, broker, info).publishedCount == 50)
                let messages = try broker.messages(topic)
                #expect(messages.compactMap(\.request).map(\.id.rawValue).sorted() == Array(1...50))
                #expect(messages.allSatisfy { $0.key == "[\($0.request?.id.rawValue ?? 0)]" })
                #expect(Set(messages.map(\.partition)).count == 3, "requests spread over the partitions")
                let first = try #require(messages.first { $0.key == "[17]" })
                #expect(
                    first.request
                        == RebalancingRequest(id: RequestID(17), account: AccountID(17), group: 3, date: tradingDay))
                let start =
                    #"{"after": {"account_id": 17, "group_id": 3, "request_id": 17, "status": "PENDING", "#
                    + #""trade_date": "2024-11-14"}, "updated": ""#
                #expect(first.value?.hasPrefix(start) == true, "\(first.value ?? "")")
                try slot.drop(connection: info)
            }
        }
    }

    @Test func `a scan publishes what stands there, and routed rows are known by their status`() throws {
        try withStages(isOwn: true) { info, connection in
            try withTopic(partitions: 2) { broker, topic in
                try connection.addRequests(1...30)
                try connection.execute(
                    "UPDATE orders.rebalancing_requests SET status = 'ROUTED' WHERE request_id <= 10")
                let slot = FeedSlot(database: try #require(info["dbname"]), source: .requests)
                try slot.create(topic: topic, scanTable: true, connection: info)
                #expect(try feed(slot, topic, broker, info).scannedCount == 30)
                let messages = try broker.messages(topic)
                #expect(messages.count == 30)
                #expect(messages.compactMap(\.request).map(\.id.rawValue).sorted() == Array(11...30))
                try slot.drop(connection: info)
            }
        }
    }

    @Test func `the feeds of executions and of requests live side by side, each with its own rows`() throws {
        try withStages(isOwn: true) { info, connection in
            try withTopic(partitions: 2) { broker, executions in
                try withTopic(partitions: 2) { _, requests in
                    let database = try #require(info["dbname"])
                    let slots = [FeedSource.executions, .requests].map { FeedSlot(database: database, source: $0) }
                    for (slot, topic) in zip(slots, [executions, requests]) {
                        try slot.create(topic: topic, scanTable: false, connection: info)
                    }
                    try connection.addRequests(1...20)
                    try connection.addExecutions(
                        (1...10).map {
                            Execution(
                                id: ExecutionID($0), blockOrder: BlockOrderID(1), orderQuantity: 1000, quantity: 100,
                                price: Price(ticks: 10_000))
                        })
                    #expect(try feed(slots[0], executions, broker, info).publishedCount == 10)
                    #expect(try feed(slots[1], requests, broker, info).publishedCount == 20)
                    #expect(try broker.messages(executions).compactMap(\.executionID) == Array(1...10))
                    #expect(try broker.messages(requests).compactMap(\.request).count == 20)
                    try FeedSlot.dropAll(database: database, connection: info)
                    #expect(try connection.number("SELECT count(*) FROM trades.change_feeds") == 0)
                    let left = try connection.number(
                        "SELECT count(*) FROM pg_replication_slots WHERE database = $1", .text(database))
                    #expect(left == 0)
                    #expect(try connection.number("SELECT count(*) FROM pg_publication") == 0)
                }
            }
        }
    }
}
