// A small market with its accounts and groups, and an independent reading of what routing must make of them: account by
// account, in 128-bit integers, from the rules of wiki/Routing.md.

import Measurement
import Model
import Postgres

struct RoutingBook {
    struct Account {
        let id: Int64
        /// In ticks.
        let cash: Int64
        /// The manager's id too.
        let managerGroup: Int64
        let sector: String
        let risk: RiskClass
        let broker: String
        /// Shares by security.
        var positions: [Int64: Int64] = [:]
    }

    struct Order: Equatable {
        let request: Int64
        let line: Int64
        let account: Int64
        let security: Int64
        let side: Side
        let managerGroup: Int64
        let quantity: Int64
    }

    struct Routing {
        /// Account and group, in the order of request ids.
        var requests: [(account: Int64, group: Int64)] = []
        var orders: [Order] = []
        /// `account security outcome`.
        var outcomes: [String] = []
        /// What is left of each account's cash, in ticks.
        var cash: [Int64: Int128] = [:]
    }

    /// Ticks by security: the day before, and the trading day.
    var closes: [Int64: Int64] = [:]
    var opens: [Int64: Int64] = [:]
    var lotSizes: [Int64: Int64] = [:]
    var accounts: [Account] = []
    var groups: [RebalancingGroup] = []

    static func random(_ random: inout SeededRandom, accounts: Int64 = 12) -> RoutingBook {
        var book = RoutingBook()
        let magnitude: Int64 = [3, 1_000, 1_000_000][Int(random.integer(in: 0...2))]
        for security in 1...random.integer(in: 2...6) {
            let dice = random.integer(in: 0...9)
            if dice < 9 { book.closes[security] = random.integer(in: magnitude...4 * magnitude) }
            if dice < 8 { book.opens[security] = random.integer(in: magnitude...4 * magnitude) }
            book.lotSizes[security] = [1, 1, 10, 100][Int(random.integer(in: 0...3))]
        }
        // A day on which nothing has a price is no trading day.
        book.opens[1] = magnitude
        for id in 1...random.integer(in: 1...accounts) {
            let cash = random.integer(in: 0...2) == 0 ? 0 : random.integer(in: 0...magnitude * 1_000_000)
            var account = Account(
                id: id, cash: cash, managerGroup: random.integer(in: 1...2),
                sector: ["", "A", "B"][Int(random.integer(in: 0...2))],
                risk: RiskClass.allCases[Int(random.integer(in: 0...2))],
                broker: ["", "", "X"][Int(random.integer(in: 0...2))])
            for security in Int64(1)...6 where random.integer(in: 0...2) > 0 {
                account.positions[security] = random.integer(in: 0...100_000)
            }
            book.accounts.append(account)
        }
        for id in 1...random.integer(in: 1...4) { book.groups.append(randomGroup(id, magnitude, &random)) }
        return book
    }

    private static func randomGroup(
        _ id: Int64, _ magnitude: Int64, _ random: inout SeededRandom
    ) -> RebalancingGroup {
        let weights: [Int64] = [0, 1, 10_000_000, 33_333_333, 50_000_000, random.integer(in: 0...99_999_999)]
        let targets = (Int64(1)...6).filter { _ in random.integer(in: 0...2) > 0 }.map {
            RebalancingGroup.Target(
                securityID: SecurityID($0), weight: TargetWeight(units: weights[Int(random.integer(in: 0...5))]))
        }
        let tolerances: [Int64] = [0, 0, 1_000_000, 5_000_000]
        var group = RebalancingGroup(
            id: id, name: "g", tolerance: TargetWeight(units: tolerances[Int(random.integer(in: 0...3))]),
            targets: targets)
        func sometimes<Value>(_ value: Value) -> Value? { random.integer(in: 0...3) == 0 ? value : nil }
        group.managerGroup = sometimes(1)
        group.minimumTicks = sometimes(magnitude * 200_000)
        group.maximumTicks = sometimes(magnitude * 600_000)
        group.sectorPreference = sometimes("A")
        group.riskClass = sometimes(.high)
        return group
    }

    func insert(on connection: PostgresConnection) throws {
        let dayBefore = tradingDay.advanced(by: -3)
        for (security, ticks) in closes {
            try connection.addPrice(security, on: dayBefore, open: Price(ticks: ticks).description)
        }
        for (security, ticks) in opens { try connection.addPrice(security, open: Price(ticks: ticks).description) }
        for (security, lotSize) in lotSizes { try connection.addSecurity(security, lotSize: lotSize) }
        try connection.execute("INSERT INTO holdings.managers VALUES (1, 'a', 1), (2, 'b', 2)")
        for account in accounts {
            try connection.addAccount(
                account.id, cash: Price(ticks: account.cash).description, manager: account.managerGroup,
                sector: account.sector, risk: account.risk, broker: account.broker)
            for (security, quantity) in account.positions {
                try connection.addPosition(security, quantity: quantity, account: account.id)
            }
        }
        for group in groups { try connection.addGroup(group) }
    }

    func routed() -> Routing {
        var routing = Routing()
        var groupOf: [Int64: RebalancingGroup] = [:]
        for account in accounts {
            let value = netAssetValue(account)
            let group = groups.first { group in
                (group.managerGroup == nil || group.managerGroup == account.managerGroup)
                    && (group.sectorPreference == nil || group.sectorPreference == account.sector)
                    && (group.riskClass == nil || group.riskClass == account.risk)
                    && (group.minimumTicks.map { Int128($0) <= value } ?? true)
                    && (group.maximumTicks.map { value < Int128($0) } ?? true)
            }
            groupOf[account.id] = group
            if group == nil { routing.outcomes.append("\(account.id) 0 no_group") }
        }
        for group in groups {
            for account in accounts where groupOf[account.id]?.id == group.id {
                route(account, in: group, &routing)
            }
        }
        routing.outcomes.sort()
        return routing
    }

    private func netAssetValue(_ account: Account) -> Int128 {
        account.positions.reduce(Int128(account.cash)) {
            $0 + Int128($1.value) * Int128(opens[$1.key] ?? closes[$1.key] ?? 0)
        }
    }

    private func route(_ account: Account, in group: RebalancingGroup, _ routing: inout Routing) {
        let value = netAssetValue(account)
        var trades: [(security: Int64, shares: Int64)] = []
        for security in Int64(1)...6 {
            let held = account.positions[security] ?? 0
            let weight = group.targets.first { $0.securityID.rawValue == security }?.weight.units ?? 0
            if held == 0, weight == 0 { continue }
            guard let open = opens[security] else {
                routing.outcomes.append("\(account.id) \(security) no_price")
                continue
            }
            let wanted = Int128(weight) * value
            let off = Int128(held) * Int128(open) * 100_000_000 - wanted
            guard off.magnitude > (Int128(group.tolerance.units) * value).magnitude else { continue }
            let lot = lotSizes[security] ?? 1
            let target = Int64(wanted / (Int128(open) * Int128(lot) * 100_000_000)) * lot
            // Swift's division cuts towards zero.
            let shares = (target - held) / lot * lot
            if shares != 0 { trades.append((security, shares)) }
        }
        guard !trades.isEmpty else { return }
        routing.requests.append((account.id, group.id))
        var money = trades.reduce(Int128(account.cash)) { $1.shares < 0 ? $0 + cost(-$1.shares, $1.security) : $0 }
        var left = money
        var line: Int64 = 0
        for (security, wanted) in trades {
            var shares = wanted
            if wanted > 0 {
                let lot = lotSizes[security] ?? 1
                let affordable = left > 0 ? Int64(left / cost(lot, security)) * lot : 0
                left -= cost(wanted, security)
                shares = min(wanted, affordable)
                money -= cost(shares, security)
                if shares < wanted { routing.outcomes.append("\(account.id) \(security) no_cash") }
            }
            if shares == 0 { continue }
            line += 1
            routing.orders.append(
                Order(
                    request: Int64(routing.requests.count), line: line, account: account.id, security: security,
                    side: shares > 0 ? .buy : .sell, managerGroup: account.managerGroup, quantity: abs(shares)))
        }
        routing.cash[account.id] = money
    }

    private func cost(_ shares: Int64, _ security: Int64) -> Int128 { Int128(shares) * Int128(opens[security] ?? 0) }
}

extension RoutingBook.Routing {
    /// `security side group quantity accounts`, in the order of the blocks' ids.
    var blockOrders: [String] {
        var blocks: [String: (order: RoutingBook.Order, quantity: Int64, accounts: Int64)] = [:]
        for order in orders {
            let key = "\(order.security) \(order.side.rawValue) \(order.managerGroup)"
            blocks[key, default: (order, 0, 0)].quantity += order.quantity
            blocks[key, default: (order, 0, 0)].accounts += 1
        }
        // Securities have one digit here, so the text sorts as the key does.
        return blocks.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.quantity) \($0.value.accounts)" }
    }
}

extension PostgresConnection {
    func addSecurity(_ id: Int64, lotSize: Int64) throws {
        try query(
            "INSERT INTO reference.securities VALUES ($1, 'S' || $2::TEXT, 'x', 'x', 'x', 'x', 'x', $3)", .int64(id),
            .text("\(id)"), .int64(lotSize))
    }

    func addAccount(
        _ id: Int64 = 1, cash: String, manager: Int64 = 1, sector: String = "", risk: RiskClass = .medium,
        broker: String = ""
    ) throws {
        try query(
            "INSERT INTO holdings.managers VALUES ($1, 'm', $1) ON CONFLICT DO NOTHING", .int64(manager))
        try query(
            "INSERT INTO holdings.accounts VALUES ($1, $2, 'x', $3::NUMERIC, $4, $5, $6)", .int64(id), .int64(manager),
            .text(cash), .text(sector), .text(risk.rawValue), .text(broker))
    }

    func addPosition(_ security: Int64, quantity: Int64, account: Int64 = 1) throws {
        try query(
            "INSERT INTO holdings.positions VALUES ($1, $2, $3)", .int64(account), .int64(security), .int64(quantity))
    }

    func addGroup(_ group: RebalancingGroup) throws {
        func amount(_ ticks: Int64?) -> PostgresValue { ticks.map { .text(Price(ticks: $0).description) } ?? .null }
        try query(
            "INSERT INTO orders.rebalancing_groups VALUES ($1, 'g', $2, $3::NUMERIC, $4::NUMERIC, $5, $6, $7::NUMERIC)",
            .int64(group.id), group.managerGroup.map { .int64($0) } ?? .null, amount(group.minimumTicks),
            amount(group.maximumTicks), group.sectorPreference.map { .text($0) } ?? .null,
            group.riskClass.map { .text($0.rawValue) } ?? .null, .text(group.tolerance.description))
        for target in group.targets {
            try query(
                "INSERT INTO orders.group_targets VALUES ($1, $2, $3::NUMERIC)", .int64(group.id),
                .int64(target.securityID.rawValue), .text(target.weight.description))
        }
    }

    /// A group that takes every account, with weights by security as tables print them.
    func addGroup(_ id: Int64 = 1, tolerance: String = "0", targets: [Int64: String]) throws {
        try query(
            "INSERT INTO orders.rebalancing_groups (group_id, name, tolerance) VALUES ($1, 'g', $2::NUMERIC)",
            .int64(id), .text(tolerance))
        for (security, weight) in targets {
            try query(
                "INSERT INTO orders.group_targets VALUES ($1, $2, $3::NUMERIC)", .int64(id), .int64(security),
                .text(weight))
        }
    }
}
