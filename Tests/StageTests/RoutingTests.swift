// Goal: routing trades what drifted, in whole lots, for no more money than there is, and every order stands behind its
// block. Method: hand-made accounts for each rule, and the SQL against `RoutingBook` over random books with a printed seed.

import Diagnostics
import Measurement
import Model
import Orders
import Postgres
import Testing

@discardableResult
private func route(_ connection: PostgresConnection, replace: Bool = false) throws -> RoutingSummary {
    var plan = RoutingPlan(date: tradingDay)
    plan.replace = replace
    return try OrdersSource.route(plan, on: connection)
}

extension PostgresConnection {
    /// `account security side quantity`, in the order of accounts and securities.
    fileprivate func orders() throws -> [String] {
        try lines(
            "SELECT account_id, security_id, side, quantity FROM orders.customer_orders ORDER BY customer_order_id")
    }

    /// `account security outcome`.
    fileprivate func outcomes() throws -> [String] {
        try lines(
            "SELECT account_id, security_id, outcome FROM orders.routing_outcomes ORDER BY account_id, security_id")
    }

    fileprivate func clearBook() throws {
        try execute(
            """
            TRUNCATE reference.securities, market.daily_prices, holdings.managers, holdings.accounts, holdings.positions,
              orders.rebalancing_groups, orders.group_targets
            """)
        try OrdersSource.truncate(on: self)
    }
}

@Suite struct RoutingTests {
    @Test func `random books are routed as the rules say`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("routing with seed \(seed)")
        var random = SeededRandom(seed: seed)
        try withStages { _, connection in
            for round in 0..<40 {
                let comment: Comment = "seed \(seed), round \(round)"
                try connection.clearBook()
                let book = RoutingBook.random(&random)
                try book.insert(on: connection)
                let summary = try route(connection)
                let expected = book.routed()
                try expect(connection, expected, summary, comment)
                try expectBlocksHoldTheirOrders(connection, comment)
                try expectWholeLotsAndCash(connection, comment)
                let overdrawn = expected.cash.values.filter { $0 < 0 }
                #expect(overdrawn.isEmpty, comment)
            }
        }
    }

    private func expect(
        _ connection: PostgresConnection, _ expected: RoutingBook.Routing, _ summary: RoutingSummary,
        _ comment: Comment
    ) throws {
        let requests = try connection.lines(
            "SELECT request_id, account_id, group_id, status FROM orders.rebalancing_requests ORDER BY request_id")
        let expectedRequests = expected.requests.enumerated().map { "\($0 + 1) \($1.account) \($1.group) ROUTED" }
        #expect(requests == expectedRequests, comment)
        let orders = try connection.lines(
            """
            SELECT customer_order_id, request_id, account_id, security_id, side, manager_group, quantity
            FROM orders.customer_orders ORDER BY customer_order_id
            """)
        let expectedOrders = expected.orders.map {
            "\($0.request * 100_000 + $0.line) \($0.request) \($0.account) \($0.security) \($0.side.rawValue) "
                + "\($0.managerGroup) \($0.quantity)"
        }
        #expect(orders == expectedOrders, comment)
        let blocks = try connection.lines(
            """
            SELECT security_id, side, manager_group, quantity, account_count FROM orders.block_orders
            ORDER BY block_order_id
            """)
        #expect(blocks == expected.blockOrders, comment)
        #expect(try connection.outcomes().sorted() == expected.outcomes, comment)
        #expect(summary.requestCount == Int64(expected.requests.count), comment)
        #expect(summary.customerOrderCount == Int64(expected.orders.count), comment)
        #expect(summary.blockOrderCount == Int64(blocks.count), comment)
        #expect(summary.quantity == expected.orders.reduce(0) { $0 + $1.quantity }, comment)
        #expect(summary.outcomes.values.reduce(0, +) == Int64(expected.outcomes.count), comment)
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
            LEFT JOIN holdings.accounts AS h ON h.account_id = c.account_id
            WHERE b.block_order_id IS NULL OR a.quantity <> c.quantity OR a.account_id <> c.account_id
              OR a.target_broker <> h.target_broker
            """)
        #expect(strays == [], comment)
    }

    private func expectWholeLotsAndCash(_ connection: PostgresConnection, _ comment: Comment) throws {
        let odd = try connection.lines(
            """
            SELECT c.customer_order_id FROM orders.customer_orders AS c
            JOIN reference.securities AS s ON s.security_id = c.security_id
            WHERE c.quantity % s.lot_size <> 0
            """)
        #expect(odd == [], comment)
        let overdrawn = try connection.lines(
            """
            SELECT a.account_id FROM holdings.accounts AS a
            JOIN orders.customer_orders AS c ON c.account_id = a.account_id
            JOIN market.daily_prices AS d ON d.security_id = c.security_id AND d.price_date = c.trade_date
            GROUP BY a.account_id, a.cash
            HAVING a.cash + sum(d.open * c.quantity * CASE WHEN c.side = 'SELL' THEN 1 ELSE -1 END) < 0
            """)
        #expect(overdrawn == [], comment)
        let short = try connection.lines(
            """
            SELECT c.customer_order_id FROM orders.customer_orders AS c
            LEFT JOIN holdings.positions AS p ON p.account_id = c.account_id AND p.security_id = c.security_id
            WHERE c.side = 'SELL' AND c.quantity > coalesce(p.quantity, 0)
            """)
        #expect(short == [], comment)
    }

    // MARK: Targets, tolerance, lots

    @Test(
        arguments: [
            // cash, open, lot, weight, wanted shares
            ("1000.0000", "5.0000", 1, "0.50000000", 100),  // exactly whole
            ("999.9999", "5.0000", 1, "0.50000000", 99),  // a hair below
            ("1000.0001", "5.0000", 1, "0.50000000", 100),  // a hair above
            ("1.0000", "3.0000", 1, "1.00000000", 0),
            ("3.0000", "3.0000", 1, "1.00000000", 1),
            ("0.0009", "0.0003", 1, "1.00000000", 3),
            ("0.0009", "0.0003", 1, "0.99999999", 2),
            ("100000000.0000", "0.3333", 1, "0.33333333", 100_010_000),
            ("10000000.0000", "0.0300", 1, "0.30000000", 100_000_000),
            ("1000.0000", "5.0000", 100, "0.50000000", 100),
            ("999.9999", "5.0000", 100, "0.50000000", 0),
            ("1000.0000", "5.0000", 7, "0.50000000", 98),
            ("100000000.0000", "0.3333", 1_000, "0.33333333", 100_010_000),
            ("100000000.0000", "0.3333", 1_000, "0.33332999", 100_008_000),
        ] as [(String, String, Int64, String, Int64)]) func `target shares are the exact floor of the quotient in lots`(
            _ cash: String, _ open: String, _ lotSize: Int64, _ weight: String, _ shares: Int64
        ) throws
    {
        try withStages { _, connection in
            try connection.addSecurity(1, lotSize: lotSize)
            try connection.addPrice(1, open: open)
            try connection.addAccount(cash: cash)
            try connection.addGroup(targets: [1: weight])
            try route(connection)
            #expect(try connection.orders() == (shares == 0 ? [] : ["1 1 BUY \(shares)"]))
        }
    }

    /// Net asset value 1,000; a target of 0.4 is 40 shares at 10.
    @Test(
        arguments: [
            // held, cash, tolerance, order
            (30, "700", "0.1", []),  // 10 % off: as far as it may
            (30, "700", "0.09999999", ["1 1 BUY 10"]),
            (29, "710", "0.1", ["1 1 BUY 11"]),
            (50, "500", "0.1", []),
            (50, "500", "0.09999999", ["1 1 SELL 10"]),
            (51, "490", "0.1", ["1 1 SELL 11"]),
            (40, "600", "0", []),
            (39, "610", "0", ["1 1 BUY 1"]),
        ] as [(Int64, String, String, [String])]) func `a drift is traded beyond the tolerance, not at it`(
            _ held: Int64, _ cash: String, _ tolerance: String, _ orders: [String]
        ) throws
    {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addAccount(cash: cash)
            try connection.addPosition(1, quantity: held)
            try connection.addGroup(tolerance: tolerance, targets: [1: "0.4"])
            let summary = try route(connection)
            #expect(try connection.orders() == orders)
            #expect(summary.requestCount == Int64(orders.count))
        }
    }

    /// Prices of 10; net asset value 1,000, of which 50 are tolerated. The second security always drifts by 100, so the account
    /// has a request whatever the first one does.
    @Test(
        arguments: [
            (35, "450", ["1 2 BUY 10"]),
            (34, "460", ["1 1 BUY 6", "1 2 BUY 10"]),
            (45, "350", ["1 2 BUY 10"]),
            (46, "340", ["1 1 SELL 6", "1 2 BUY 10"]),
        ] as [(Int64, String, [String])]) func `a request leaves alone what hasn't drifted beyond the tolerance itself`(
            _ held: Int64, _ cash: String, _ orders: [String]
        ) throws
    {
        try withStages { _, connection in
            for security in Int64(1)...2 { try connection.addPrice(security, open: "10") }
            try connection.addAccount(cash: cash)
            try connection.addPosition(1, quantity: held)
            try connection.addPosition(2, quantity: 20)
            try connection.addGroup(tolerance: "0.05", targets: [1: "0.4", 2: "0.3"])
            let summary = try route(connection)
            #expect(try connection.orders() == orders)
            #expect(summary.requestCount == 1)
        }
    }

    /// Lots of 10 at 10; net asset value 10,000. The target lots of 0.555 are 55, or 550 shares.
    @Test(
        arguments: [
            (555, "4450", []),  // less than a lot above
            (541, "4590", []),  // less than a lot below
            (540, "4600", ["1 1 BUY 10"]),
            (533, "4670", ["1 1 BUY 10"]),
            (559, "4410", []),
            (560, "4400", ["1 1 SELL 10"]),
            (577, "4230", ["1 1 SELL 20"]),
        ] as [(Int64, String, [String])]) func `whole lots are traded towards the target, and an odd lot stays odd`(
            _ held: Int64, _ cash: String, _ orders: [String]
        ) throws
    {
        try withStages { _, connection in
            try connection.addSecurity(1, lotSize: 10)
            try connection.addPrice(1, open: "10")
            try connection.addAccount(cash: cash)
            try connection.addPosition(1, quantity: held)
            try connection.addGroup(targets: [1: "0.555"])
            let summary = try route(connection)
            #expect(try connection.orders() == orders)
            #expect(summary.requestCount == Int64(orders.count))
        }
    }

    @Test func `what is held without a target is sold, beyond the tolerance and but for its odd lot`() throws {
        try withStages { _, connection in
            for security in Int64(1)...3 {
                try connection.addSecurity(security, lotSize: 10)
                try connection.addPrice(security, open: "10")
            }
            try connection.addAccount(cash: "900")
            try connection.addPosition(1, quantity: 57)
            // 3 % of the net asset value of 1,800 is 54; 3 shares are 30.
            try connection.addPosition(2, quantity: 3)
            try connection.addPosition(3, quantity: 30)
            try connection.addGroup(tolerance: "0.03", targets: [3: "0.17"])
            try route(connection)
            #expect(try connection.orders() == ["1 1 SELL 50"])
        }
    }

    @Test func `weights of zero sell everything`() throws {
        try withStages { _, connection in
            for security in Int64(1)...2 { try connection.addPrice(security, open: "10") }
            try connection.addAccount(cash: "0")
            try connection.addPosition(1, quantity: 40)
            try connection.addPosition(2, quantity: 40)
            try connection.addGroup(targets: [1: "0", 2: "1"])
            try connection.addAccount(2, cash: "5", sector: "S")
            try connection.addPosition(2, quantity: 7, account: 2)
            try connection.execute("UPDATE orders.rebalancing_groups SET sector_preference = ''")
            try connection.addGroup(2, targets: [1: "0", 2: "0"])
            try route(connection)
            #expect(try connection.orders() == ["1 1 SELL 40", "1 2 BUY 40", "2 2 SELL 7"])
            #expect(
                try connection.lines("SELECT block_order_code, quantity FROM orders.block_orders ORDER BY 1")
                    == ["B20241114-0000001 40", "B20241114-0000002 40", "B20241114-0000003 7"])
        }
    }

    // MARK: Cash

    @Test func `without any cash nothing is bought, and the request is routed all the same`() throws {
        try withStages { _, connection in
            for security in Int64(1)...3 { try connection.addPrice(security, open: "10") }
            try connection.addAccount(cash: "0")
            // All 300 are in security 1, within its tolerance; the others are missing.
            try connection.addPosition(1, quantity: 30)
            try connection.addGroup(tolerance: "0.25", targets: [1: "0.8", 2: "0.3", 3: "0.4"])
            let summary = try route(connection)
            #expect(try connection.orders() == [])
            #expect(try connection.outcomes() == ["1 2 no_cash", "1 3 no_cash"])
            #expect(summary.requestCount == 1 && summary.blockOrderCount == 0 && summary.outcomes == ["no_cash": 2])
            #expect(try connection.lines("SELECT status FROM orders.rebalancing_requests") == ["ROUTED"])
        }
    }

    @Test func `a purchase is cut to what is left, in whole lots, and those after it are dropped`() throws {
        try withStages { _, connection in
            for security in Int64(1)...4 {
                try connection.addSecurity(security, lotSize: 10)
                try connection.addPrice(security, open: security == 4 ? "0.01" : "10")
            }
            try connection.addAccount(cash: "1000")
            // 40, 60 and 50 shares are wanted, at 10 each; then very many that cost next to nothing.
            try connection.addGroup(targets: [1: "0.4", 2: "0.599", 3: "0.5", 4: "0.1"])
            try connection.addAccount(2, cash: "1005")
            try route(connection)
            // Account 2: 400 + 600 of 1,005 leave less than a lot of 100.
            #expect(try connection.orders() == ["1 1 BUY 40", "1 2 BUY 50", "1 3 BUY 10", "2 1 BUY 40", "2 2 BUY 60"])
            #expect(try connection.outcomes() == ["1 3 no_cash", "1 4 no_cash", "2 3 no_cash", "2 4 no_cash"])
            #expect(
                try connection.lines("SELECT customer_order_id FROM orders.customer_orders ORDER BY 1")
                    == ["100001", "100002", "100003", "200001", "200002"])
        }
    }

    @Test func `sales make room for purchases of securities before them`() throws {
        try withStages { _, connection in
            for security in Int64(1)...2 { try connection.addPrice(security, open: "10") }
            try connection.addAccount(cash: "0")
            try connection.addPosition(2, quantity: 100)
            try connection.addGroup(targets: [1: "0.7", 2: "0.3"])
            let summary = try route(connection)
            #expect(try connection.orders() == ["1 1 BUY 70", "1 2 SELL 70"])
            #expect(summary.outcomes == [:])
        }
    }

    // MARK: Groups

    @Test func `an account goes to the first group whose criteria it meets, or to none`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "1")
            func group(_ id: Int64, _ weight: Int64, _ change: (inout RebalancingGroup) -> Void) throws {
                var group = RebalancingGroup(
                    id: id, name: "g", tolerance: TargetWeight(units: 0),
                    targets: [.init(securityID: SecurityID(1), weight: TargetWeight(units: weight * 1_000_000))])
                change(&group)
                try connection.addGroup(group)
            }
            try group(1, 10) { $0.sectorPreference = "Energy" }
            try group(2, 20) { $0.riskClass = .high }
            try group(3, 30) { $0.managerGroup = 2 }
            try group(4, 40) { ($0.minimumTicks, $0.maximumTicks) = (10_000_000, 20_000_000) }
            try group(5, 50) { $0.minimumTicks = 20_000_000 }
            try connection.addAccount(1, cash: "1000", sector: "Energy", risk: .high)
            try connection.addAccount(2, cash: "1000", sector: "Oil", risk: .high)
            try connection.addAccount(3, cash: "1000", manager: 2)
            try connection.addAccount(4, cash: "1000")
            try connection.addAccount(5, cash: "1999.9999")
            try connection.addAccount(6, cash: "2000")
            try connection.addAccount(7, cash: "999.9999")
            let summary = try route(connection)
            #expect(
                try connection.lines(
                    "SELECT account_id, group_id FROM orders.rebalancing_requests ORDER BY request_id")
                    == ["1 1", "2 2", "3 3", "4 4", "5 4", "6 5"])
            #expect(try connection.outcomes() == ["7 0 no_group"])
            #expect(summary.groupCount == 5 && summary.requestCount == 6 && summary.outcomes == ["no_group": 1])
        }
    }

    @Test func `requests are numbered by group, then by account, behind those of other dates`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "1")
            try connection.execute(
                "INSERT INTO orders.rebalancing_requests VALUES (70, '2024-11-13', 1, 1, 'ROUTED')")
            for account in [Int64(3), 1, 2] {
                try connection.addAccount(account, cash: "10", sector: account == 2 ? "S" : "")
            }
            try connection.addGroup(targets: [1: "0.5"])
            try connection.execute("UPDATE orders.rebalancing_groups SET sector_preference = 'S'")
            try connection.addGroup(2, targets: [1: "0.5"])
            try route(connection)
            #expect(
                try connection.lines(
                    """
                    SELECT request_id, account_id FROM orders.rebalancing_requests WHERE trade_date = '2024-11-14'
                    ORDER BY request_id
                    """) == ["71 2", "72 1", "73 3"])
        }
    }

    @Test func `without groups every account is left alone`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addAccount(cash: "500")
            try connection.addPosition(1, quantity: 40)
            let summary = try route(connection)
            #expect(summary.groupCount == 0 && summary.requestCount == 0 && summary.quantity == 0)
            #expect(try connection.outcomes() == ["1 0 no_group"])
        }
    }

    @Test func `a security without a price that day is left alone and valued at its last close`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addPrice(2, on: tradingDay.advanced(by: -30), open: "99")
            try connection.addPrice(2, on: tradingDay.advanced(by: -2), open: "20")
            try connection.addPrice(2, on: tradingDay.advanced(by: 1), open: "77")
            try connection.addAccount(cash: "600")
            try connection.addPosition(2, quantity: 50)
            try connection.addPosition(3, quantity: 7)
            try connection.addPosition(5, quantity: 0)
            try connection.addGroup(targets: [1: "0.3", 2: "0.1", 4: "0.1"])
            let summary = try route(connection)
            // 50 × 20 and the cash are all there is. Securities 3 and 4 never had a price, and 3 counts nothing.
            #expect(try connection.orders() == ["1 1 BUY 48"])
            #expect(try connection.outcomes() == ["1 2 no_price", "1 3 no_price", "1 4 no_price"])
            #expect(summary.outcomes == ["no_price": 3])
        }
    }

    // MARK: Block orders

    @Test func `policies are dealt to the blocks in turn, with their reason, lots and brokers`() throws {
        try withStages { _, connection in
            for security in Int64(1)...4 {
                if security > 1 { try connection.addSecurity(security, lotSize: security) }
                try connection.addPrice(security, open: "1")
            }
            try connection.addAccount(cash: "1200", broker: "HARBOUR")
            try connection.addAccount(2, cash: "1200")
            try connection.addGroup(targets: [1: "0.2", 2: "0.2", 3: "0.2", 4: "0.2"])
            var plan = RoutingPlan(date: tradingDay)
            plan.policies = [.equal, .proRata, .proRataMinimumTicket]
            plan.policyReason = "a test"
            plan.minimumTicketLots = 5
            _ = try OrdersSource.route(plan, on: connection)
            #expect(
                try connection.lines(
                    """
                    SELECT block_order_id, lot_size, allocation_policy, '"' || policy_reason || '"', minimum_ticket_lots
                    FROM orders.block_orders ORDER BY block_order_id
                    """) == [
                        #"1 1 equal "a test" 5"#, #"2 2 pro_rata "" 5"#,
                        #"3 3 pro_rata_min_ticket "a test; may take shares back while the block fills" 5"#,
                        #"4 4 equal "a test" 5"#,
                    ])
            #expect(
                try connection.lines(
                    "SELECT DISTINCT account_id, target_broker FROM orders.block_order_accounts ORDER BY 1")
                    == ["1 HARBOUR", "2 "])
        }
    }

    @Test func `a block of more shares than blocks may have is refused, and nothing is closed`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "0.0001")
            for account in Int64(1)...3 { try connection.addAccount(account, cash: "100000") }
            try connection.addGroup(targets: [1: "0.9"])
            let text = errorText { try route(connection) }
            #expect(text.contains("2000000000"), "\(text)")
            #expect(try connection.number("SELECT count(*) FROM orders.block_orders") == 0)
            #expect(!connection.isInTransaction)
        }
    }

    // MARK: Dates

    @Test func `a holiday is refused with the trading days beside it, and nothing is written`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, on: tradingDay.advanced(by: -1), open: "10")
            try connection.addPrice(1, on: tradingDay.advanced(by: 4), open: "10")
            try connection.addAccount(cash: "500")
            try connection.addGroup(targets: [1: "1"])
            let text = errorText { try route(connection) }
            #expect(
                text.contains("2024-11-14") && text.contains("2024-11-13") && text.contains("2024-11-18"), "\(text)")
            #expect(try connection.number("SELECT count(*) FROM orders.routing_outcomes") == 0)
            #expect(try connection.number("SELECT count(*) FROM orders.rebalancing_requests") == 0)
            #expect(!connection.isInTransaction)
        }
    }

    @Test func `without any prices the remedy is to seed`() throws {
        try withStages { _, connection in
            let text = errorText { try route(connection) }
            #expect(text.contains("seed"))
        }
    }

    @Test func `a date is routed once, and again only when told to replace`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addPrice(1, on: tradingDay.advanced(by: 1), open: "10")
            try connection.addAccount(cash: "500")
            try connection.addPosition(1, quantity: 40)
            try connection.addGroup(targets: [1: "1"])
            let first = try route(connection)
            let sums = try OrdersSource.routingChecksums(of: tradingDay, on: connection)
            let text = errorText { try route(connection) }
            #expect(text.contains("--replace"))
            #expect(try OrdersSource.routingChecksums(of: tradingDay, on: connection) == sums)
            let next = tradingDay.advanced(by: 1)
            let other = try OrdersSource.route(RoutingPlan(date: next), on: connection)
            #expect(other.customerOrderCount == 1)
            let otherSums = try OrdersSource.routingChecksums(of: next, on: connection)

            try connection.execute("UPDATE holdings.positions SET quantity = 10")
            let second = try route(connection, replace: true)
            #expect(first.quantity == 50 && second.quantity == 50)
            #expect(second.blockOrderCount == 1)
            #expect(
                try connection.lines("SELECT trade_date, quantity FROM orders.block_orders ORDER BY trade_date")
                    == ["2024-11-14 50", "2024-11-15 50"])
            #expect(try connection.number("SELECT count(*) FROM orders.block_order_accounts") == 2)
            #expect(try connection.number("SELECT count(*) FROM orders.block_drafts") == 2)
            #expect(try OrdersSource.routingChecksums(of: next, on: connection) == otherSums)
        }
    }

    @Test func `what hangs on a replaced routing goes with it, or stays when it is refused`() throws {
        try withStages { _, connection in
            try connection.addPrice(1, open: "10")
            try connection.addAccount(cash: "500")
            try connection.addGroup(targets: [1: "1"])
            try route(connection)
            var plan = RoutingPlan(date: tradingDay)
            plan.replace = true
            struct Refused: Error {}
            #expect(throws: Refused.self) {
                try OrdersSource.route(plan, on: connection) { connection in
                    try connection.execute("DELETE FROM holdings.positions")
                    throw Refused()
                }
            }
            #expect(try connection.number("SELECT count(*) FROM orders.block_orders") == 1)
            plan.replace = false
            plan.date = tradingDay.advanced(by: 1)
            var count = 0
            #expect(throws: InputError.self) {
                try OrdersSource.route(plan, on: connection) { _ in count += 1 }
            }
            #expect(count == 0)
        }
    }
}
