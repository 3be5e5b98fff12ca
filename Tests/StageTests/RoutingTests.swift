// Goal: routing gives every account the exact whole shares, and every order a block. Method: the set-based SQL against an
// independent reading of the formula in 128-bit integers, over random small books with a printed seed.

import Diagnostics
import Measurement
import Model
import Orders
import Postgres
import Testing

/// A small market and its accounts, and what routing must make of them.
private struct Book {
    struct Position {
        let account: Int64
        let security: Int64
        let quantity: Int64
        /// In units of 0.00000001.
        let weight: Int64
    }

    /// Ticks by security and day; a day before, and the trading day.
    var closes: [Int64: Int64] = [:]
    var opens: [Int64: Int64] = [:]
    /// Cash in ticks and manager group, by account.
    var accounts: [Int64: (cash: Int64, group: Int64)] = [:]
    var positions: [Position] = []

    static func random(_ random: inout SeededRandom) -> Book {
        var book = Book()
        let magnitude: Int64 = [3, 1_000, 1_000_000][Int(random.integer(in: 0...2))]
        for security in 1...random.integer(in: 2...6) {
            let dice = random.integer(in: 0...9)
            if dice < 9 { book.closes[security] = random.integer(in: magnitude...4 * magnitude) }
            if dice < 8 { book.opens[security] = random.integer(in: magnitude...4 * magnitude) }
        }
        // A day on which nothing has a price is no trading day.
        book.opens[1] = magnitude
        for account in 1...random.integer(in: 1...12) {
            book.accounts[account] = (random.integer(in: 0...magnitude * 1_000_000), random.integer(in: 1...2))
            let isWithoutMandate = random.integer(in: 0...5) == 0
            for security in Int64(1)...6 where random.integer(in: 0...2) > 0 {
                let weights: [Int64] = [0, 1, 33_333_333, 50_000_000, 100_000_000, random.integer(in: 0...99_999_999)]
                book.positions.append(
                    Position(
                        account: account, security: security, quantity: random.integer(in: 0...100_000),
                        weight: isWithoutMandate ? 0 : weights[Int(random.integer(in: 0...5))]))
            }
        }
        return book
    }

    func insert(on connection: PostgresConnection) throws {
        let dayBefore = tradingDay.advanced(by: -3)
        for (security, ticks) in closes {
            try connection.addPrice(security, on: dayBefore, open: Price(ticks: ticks).description)
        }
        for (security, ticks) in opens { try connection.addPrice(security, open: Price(ticks: ticks).description) }
        try connection.execute("INSERT INTO holdings.managers VALUES (1, 'a', 1), (2, 'b', 2)")
        for (account, row) in accounts {
            try connection.query(
                "INSERT INTO holdings.accounts VALUES ($1, $2, 'x', $3::NUMERIC)", .int64(account), .int64(row.group),
                .text(Price(ticks: row.cash).description))
        }
        for position in positions {
            try connection.query(
                "INSERT INTO holdings.positions VALUES ($1, $2, $3, $4::INT8 * 0.00000001)", .int64(position.account),
                .int64(position.security), .int64(position.quantity), .int64(position.weight))
        }
    }

    private var mandates: Set<Int64> { Set(positions.filter { $0.weight > 0 }.map(\.account)) }

    /// `account security side group quantity`, by account and security.
    var customerOrders: [(account: Int64, security: Int64, side: Side, group: Int64, quantity: Int64)] {
        mandates.sorted().flatMap {
            (account) -> [(account: Int64, security: Int64, side: Side, group: Int64, quantity: Int64)] in
            let held = positions.filter { $0.account == account }
            let (cash, group) = accounts[account] ?? (0, 0)
            let netAssetValue = held.reduce(Int128(cash)) {
                $0 + Int128($1.quantity) * Int128(opens[$1.security] ?? closes[$1.security] ?? 0)
            }
            return held.sorted { $0.security < $1.security }.compactMap { position in
                guard let open = opens[position.security] else { return nil }
                let target = Int64(Int128(position.weight) * netAssetValue / (Int128(open) * 100_000_000))
                let delta = target - position.quantity
                if delta == 0 { return nil }
                return (account, position.security, delta > 0 ? .buy : .sell, group, abs(delta))
            }
        }
    }

    /// `security side group quantity accounts`, in the order of their keys.
    var blockOrders: [String] {
        var blocks: [String: (quantity: Int64, accounts: Int64)] = [:]
        for order in customerOrders {
            let key = "\(order.security) \(order.side.rawValue) \(order.group)"
            blocks[key, default: (0, 0)].quantity += order.quantity
            blocks[key, default: (0, 0)].accounts += 1
        }
        return blocks.map { "\($0.key) \($0.value.quantity) \($0.value.accounts)" }.sorted()
    }

    var outcomes: [String] {
        let idle = Set(positions.map(\.account)).subtracting(mandates).map { "\($0) 0 zero_weight" }
        let unpriced = positions.filter { opens[$0.security] == nil }.map { "\($0.account) \($0.security) no_price" }
        return (idle + unpriced).sorted()
    }
}

private func route(_ connection: PostgresConnection, replace: Bool = false) throws -> RoutingSummary {
    try OrdersSource.route(tradingDay, replace: replace, on: connection)
}

/// One manager and one account; its positions follow by `addPosition`.
private func addAccount(_ connection: PostgresConnection, cash: String) throws {
    try connection.execute("INSERT INTO holdings.managers VALUES (1, 'a', 1)")
    try connection.query("INSERT INTO holdings.accounts VALUES (1, 1, 'x', $1::NUMERIC)", .text(cash))
}

private func addPosition(
    _ connection: PostgresConnection, _ security: Int64, quantity: Int64, weight: String, account: Int64 = 1
) throws {
    try connection.query(
        "INSERT INTO holdings.positions VALUES ($1, $2, $3, $4::NUMERIC)", .int64(account), .int64(security),
        .int64(quantity), .text(weight))
}

@Suite struct RoutingTests {
    @Test func `random books are routed as the formula says`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("routing with seed \(seed)")
        var random = SeededRandom(seed: seed)
        try withStages { _, connection in
            for round in 0..<12 {
                let comment: Comment = "seed \(seed), round \(round)"
                try connection.execute(
                    """
                    TRUNCATE market.daily_prices, holdings.managers, holdings.accounts, holdings.positions,
                      orders.block_orders, orders.block_order_accounts, orders.customer_orders, orders.routing_outcomes
                    """)
                let book = Book.random(&random)
                try book.insert(on: connection)
                let summary = try route(connection)
                let expected = book.customerOrders
                #expect(
                    try connection.lines(
                        """
                        SELECT customer_order_id, account_id, security_id, side, manager_group, quantity
                        FROM orders.customer_orders ORDER BY customer_order_id
                        """)
                        == expected.enumerated().map {
                            "\($0 + 1) \($1.account) \($1.security) \($1.side.rawValue) \($1.group) \($1.quantity)"
                        }, comment)
                #expect(
                    try connection.lines(
                        "SELECT security_id, side, manager_group, quantity, account_count FROM orders.block_orders"
                    ).sorted() == book.blockOrders, comment)
                #expect(
                    try connection.lines("SELECT account_id, security_id, outcome FROM orders.routing_outcomes")
                        .sorted() == book.outcomes, comment)
                #expect(summary.customerOrderCount == Int64(expected.count), comment)
                #expect(summary.blockOrderCount == Int64(book.blockOrders.count), comment)
                #expect(summary.quantity == expected.reduce(0) { $0 + $1.quantity }, comment)
                #expect(summary.outcomes.values.reduce(0, +) == Int64(book.outcomes.count), comment)
                try expectBlocksHoldTheirOrders(connection, comment)
            }
        }
    }

    /// Every customer order stands behind exactly one block of its security, side and group, and the sums agree.
    private func expectBlocksHoldTheirOrders(_ connection: PostgresConnection, _ comment: Comment) throws {
        let differences = try connection.lines(
            """
            SELECT b.block_order_id FROM orders.block_orders AS b
            LEFT JOIN orders.block_order_accounts AS a ON a.block_order_id = b.block_order_id
            GROUP BY b.block_order_id, b.quantity, b.account_count
            HAVING sum(a.quantity) <> b.quantity OR count(a.account_id) <> b.account_count
            """)
        #expect(differences == [], comment)
        let strays = try connection.lines(
            """
            SELECT c.customer_order_id FROM orders.customer_orders AS c
            LEFT JOIN orders.block_order_accounts AS a ON a.customer_order_id = c.customer_order_id
            LEFT JOIN orders.block_orders AS b ON b.block_order_id = a.block_order_id AND b.security_id = c.security_id
              AND b.side = c.side AND b.manager_group = c.manager_group
            WHERE b.block_order_id IS NULL OR a.quantity <> c.quantity OR a.account_id <> c.account_id
            """)
        #expect(strays == [], comment)
    }

    @Test(arguments: [
        // cash, open, weight, wanted shares
        ("1000.0000", "5.0000", "0.50000000", 100),  // exactly whole
        ("999.9999", "5.0000", "0.50000000", 99),  // a hair below
        ("1000.0001", "5.0000", "0.50000000", 100),  // a hair above
        ("1.0000", "3.0000", "1.00000000", 0),
        ("3.0000", "3.0000", "1.00000000", 1),
        ("0.0009", "0.0003", "1.00000000", 3),
        ("0.0009", "0.0003", "0.99999999", 2),
        ("100000000.0000", "0.3333", "0.33333333", 100_010_000),
        ("10000000.0000", "0.0300", "0.30000000", 100_000_000),
    ]) func `target shares are the exact floor of the quotient`(
        _ cash: String, _ open: String, _ weight: String, _ shares: Int64
    ) throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: open)
            try addAccount(connection, cash: cash)
            try addPosition(connection, 1, quantity: 0, weight: weight)
            _ = try route(connection)
            #expect(
                try connection.lines("SELECT side, quantity FROM orders.customer_orders")
                    == (shares == 0 ? [] : ["BUY \(shares)"]))
        }
    }

    @Test func `a security without a price that day is left alone and valued at its last close`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addPrice(2, on: tradingDay.advanced(by: -30), open: "99")
            try connection.addPrice(2, on: tradingDay.advanced(by: -2), open: "20")
            try connection.addPrice(2, on: tradingDay.advanced(by: 1), open: "77")
            try addAccount(connection, cash: "0")
            try addPosition(connection, 1, quantity: 0, weight: "0.5")
            try addPosition(connection, 2, quantity: 50, weight: "0.5")
            try addPosition(connection, 3, quantity: 7, weight: "0.1")
            let summary = try route(connection)
            // 50 × 20 is all there is; half of it buys 50 shares at 10. Security 3 never had a price: it counts nothing.
            #expect(
                try connection.lines("SELECT security_id, side, quantity FROM orders.customer_orders") == ["1 BUY 50"])
            #expect(
                try connection.lines("SELECT * FROM orders.routing_outcomes ORDER BY security_id")
                    == ["2024-11-14 1 2 no_price", "2024-11-14 1 3 no_price"])
            #expect(summary.outcomes == ["no_price": 2])
        }
    }

    @Test func `an account whose weights are all zero has an outcome and no orders`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try addAccount(connection, cash: "500")
            try addPosition(connection, 1, quantity: 40, weight: "0")
            let summary = try route(connection)
            #expect(summary.customerOrderCount == 0 && summary.blockOrderCount == 0 && summary.quantity == 0)
            #expect(summary.outcomes == ["zero_weight": 1])
            #expect(try connection.lines("SELECT * FROM orders.routing_outcomes") == ["2024-11-14 1 0 zero_weight"])
        }
    }

    @Test func `a zero weight beside others sells the whole position`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addPrice(2, open: "10")
            try addAccount(connection, cash: "0")
            try addPosition(connection, 1, quantity: 40, weight: "0")
            try addPosition(connection, 2, quantity: 40, weight: "1")
            _ = try route(connection)
            #expect(
                try connection.lines("SELECT block_order_code, security_id, side, quantity FROM orders.block_orders")
                    == ["B20241114-0000001 1 SELL 40", "B20241114-0000002 2 BUY 40"])
        }
    }

    @Test func `a holiday is refused with the trading days beside it, and nothing is written`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, on: tradingDay.advanced(by: -1), open: "10")
            try connection.addPrice(1, on: tradingDay.advanced(by: 4), open: "10")
            try addAccount(connection, cash: "500")
            try addPosition(connection, 1, quantity: 40, weight: "1")
            let text = errorText { _ = try route(connection) }
            #expect(
                text.contains("2024-11-14") && text.contains("2024-11-13") && text.contains("2024-11-18"), "\(text)")
            #expect(try connection.number("SELECT count(*) FROM orders.routing_outcomes") == 0)
            #expect(try connection.number("SELECT count(*) FROM orders.customer_orders") == 0)
            #expect(!connection.isInTransaction)
        }
    }

    @Test func `without any prices the remedy is to seed`() throws {
        try withStages { _, connection in
            #expect(errorText { _ = try route(connection) }.contains("seed"))
        }
    }

    @Test func `a date is routed once, and again only when told to replace`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addPrice(1, on: tradingDay.advanced(by: 1), open: "10")
            try addAccount(connection, cash: "500")
            try addPosition(connection, 1, quantity: 40, weight: "1")
            let first = try route(connection)
            let orders = try connection.lines("SELECT * FROM orders.customer_orders")
            #expect(errorText { _ = try route(connection) }.contains("--replace"))
            #expect(try connection.lines("SELECT * FROM orders.customer_orders") == orders)
            let other = try OrdersSource.route(tradingDay.advanced(by: 1), replace: false, on: connection)
            #expect(other.customerOrderCount == 1)

            try connection.execute("UPDATE holdings.positions SET quantity = 10")
            let second = try route(connection, replace: true)
            #expect(first.quantity == 50 && second.quantity == 50)
            #expect(second.blockOrderCount == 1)
            #expect(
                try connection.lines("SELECT trade_date, quantity FROM orders.block_orders ORDER BY trade_date")
                    == ["2024-11-14 50", "2024-11-15 50"])
            #expect(try connection.number("SELECT count(*) FROM orders.block_order_accounts") == 2)
        }
    }
}
