// Goal: however requests are routed, and wherever routing is interrupted, the tables end up the same. Method: checksums of
// all tables of a routing, set-based against steps by hand, with threads and interruptions.

import Diagnostics
import Measurement
import Model
import Orders
import Postgres
import Testing
import Threads

@Suite struct RoutingStepTests {
    private static let plan = RoutingPlan(date: tradingDay)

    private func checksums(_ connection: PostgresConnection) throws -> [String: String] {
        try OrdersSource.routingChecksums(of: tradingDay, on: connection)
    }

    /// Fifty accounts or so in a few groups, with more than a handful of requests.
    private func insertBook(_ random: inout SeededRandom, on connection: PostgresConnection) throws {
        while true {
            let book = RoutingBook.random(&random, accounts: 60)
            if book.routed().requests.count < 20 || book.groups.count < 2 { continue }
            return try book.insert(on: connection)
        }
    }

    private func routeSetBased(_ connection: PostgresConnection) throws -> [String: String] {
        _ = try OrdersSource.route(Self.plan, on: connection)
        let sums = try checksums(connection)
        try OrdersSource.truncate(on: connection)
        return sums
    }

    @Test func `the same input gives the same tables, and other input others`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        let comment: Comment = "seed \(seed)"
        try withStages { _, connection in
            try insertBook(&random, on: connection)
            let sums = try routeSetBased(connection)
            #expect(sums.count == 6 && sums.values.allSatisfy { $0.count == 32 }, comment)
            #expect(try routeSetBased(connection) == sums, comment)
            try connection.execute("UPDATE holdings.positions SET quantity = quantity * 2 + 100")
            let other = try routeSetBased(connection)
            #expect(other["orders.block_orders"] != sums["orders.block_orders"], comment)
        }
    }

    @Test func `workers side by side, with repeated and shuffled requests, make what the set-based way makes`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("routing side by side with seed \(seed)")
        var random = SeededRandom(seed: seed)
        let comment: Comment = "seed \(seed)"
        try withStages { info, connection in
            try insertBook(&random, on: connection)
            let expected = try routeSetBased(connection)

            try OrdersSource.begin(Self.plan, on: connection)
            let count = try OrdersSource.openRequests(tradingDay, on: connection)
            #expect(count == 0 || count >= 20, comment)
            let ids = try connection.lines("SELECT request_id FROM orders.rebalancing_requests").compactMap {
                Int64($0)
            }
            let workers = (0..<4).map { number in
                let workerSeed = seed &+ UInt64(number)
                return WorkerThread(name: "route-\(number)") {
                    var random = SeededRandom(seed: workerSeed)
                    let connection = try PostgresConnection.connect(to: info)
                    defer { connection.close() }
                    // Each worker asks for everything, in its own order and in batches of up to seven.
                    var left = ids
                    var routed: Int64 = 0
                    while !left.isEmpty {
                        let size = Int(random.integer(in: 1...7))
                        let batch = (0..<min(size, left.count)).map { _ in
                            left.remove(at: Int(random.integer(in: 0...Int64(left.count - 1))))
                        }
                        routed += try OrdersSource.routeRequests(batch, tradingDay, on: connection).requestCount
                    }
                    return routed
                }
            }
            let routed = try workers.map { try $0.join() }
            #expect(routed.reduce(0, +) == count, comment)
            #expect(try OrdersSource.pendingRequestCount(tradingDay, on: connection) == 0, comment)
            try OrdersSource.close(Self.plan, on: connection)
            #expect(try checksums(connection) == expected, comment)
        }
    }

    @Test func `a routing that failed between two groups is gone on with`() throws {
        try withStages(isOwn: true) { _, connection in
            var random = SeededRandom(seed: 17)
            try insertBook(&random, on: connection)
            let expected = try routeSetBased(connection)
            let last = try {
                _ = try OrdersSource.route(Self.plan, on: connection)
                let last = try connection.number("SELECT max(group_id) FROM orders.rebalancing_requests")
                try OrdersSource.truncate(on: connection)
                return last
            }()
            try connection.execute(
                """
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'refused'; END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON orders.rebalancing_requests FOR EACH ROW
                WHEN (NEW.group_id = \(last)) EXECUTE FUNCTION refuse()
                """)
            let text = errorText { _ = try OrdersSource.route(Self.plan, on: connection) }
            #expect(text.contains("refused"))
            #expect(try connection.number("SELECT count(*) FROM orders.customer_orders") > 0)
            // Nothing half done is taken for a routing.
            #expect(try connection.number("SELECT count(*) FROM orders.block_orders") == 0)
            try connection.execute("DROP TRIGGER refuse ON orders.rebalancing_requests")
            _ = try OrdersSource.route(Self.plan, on: connection)
            #expect(try checksums(connection) == expected)
        }
    }

    @Test func `requests that were opened and partly routed are gone on with, or replaced`() throws {
        try withStages { _, connection in
            var random = SeededRandom(seed: 23)
            try insertBook(&random, on: connection)
            let expected = try routeSetBased(connection)
            for replace in [false, true] {
                try OrdersSource.begin(Self.plan, on: connection)
                try OrdersSource.openRequests(tradingDay, on: connection)
                let ids = try connection.lines("SELECT request_id FROM orders.rebalancing_requests ORDER BY 1")
                    .compactMap {
                        Int64($0)
                    }
                try OrdersSource.routeRequests(Array(ids.prefix(5)), tradingDay, on: connection)
                // Opening again adds nothing.
                #expect(try OrdersSource.openRequests(tradingDay, on: connection) == Int64(ids.count))
                var plan = Self.plan
                plan.replace = replace
                _ = try OrdersSource.route(plan, on: connection)
                #expect(try checksums(connection) == expected)
                try OrdersSource.truncate(on: connection)
            }
        }
    }

    @Test func `a request is routed once, and of its own date only`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addPrice(1, on: tradingDay.advanced(by: 1), open: "10")
            try connection.addAccount(cash: "500")
            try connection.addGroup(targets: [1: "0.5"])
            try OrdersSource.openRequests(tradingDay, on: connection)
            let other = try OrdersSource.routeRequests([1], tradingDay.advanced(by: 1), on: connection)
            #expect(other == (try OrdersSource.routeRequests([2, 3], tradingDay, on: connection)))
            #expect(other.requestCount == 0 && other.customerOrderCount == 0)
            let first = try OrdersSource.routeRequests([1, 1, 9], tradingDay, on: connection)
            #expect(first.requestCount == 1 && first.customerOrderCount == 1 && first.withoutCashCount == 0)
            let again = try OrdersSource.routeRequests([1], tradingDay, on: connection)
            #expect(again.requestCount == 0)
            #expect(try connection.lines("SELECT quantity, account_count FROM orders.block_drafts") == ["25 1"])
        }
    }

    @Test func `a date is closed once, when all its requests are routed`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addAccount(cash: "500")
            try connection.addGroup(targets: [1: "0.5"])
            try OrdersSource.openRequests(tradingDay, on: connection)
            let early = errorText { try OrdersSource.close(Self.plan, on: connection) }
            #expect(early == "1 requests of 2024-11-14 aren't routed yet")
            #expect(try connection.number("SELECT count(*) FROM orders.block_orders") == 0)
            try OrdersSource.routeRequests([1], tradingDay, on: connection)
            let summary = try OrdersSource.close(Self.plan, on: connection)
            #expect(summary.blockOrderCount == 1 && summary.quantity == 25 && summary.requestCount == 1)
            let late = errorText { try OrdersSource.close(Self.plan, on: connection) }
            #expect(late == "2024-11-14 is routed already")
        }
    }
}
