// Goal: holdings route into what was asked for, to the share. Method: an independent reading of the routing formula,
// `target = floor(weight × (cash + Σ quantity × open) / open)`, over random shapes with a printed seed.

import Diagnostics
import Holdings
import Measurement
import Model
import Testing

/// A block order as routing makes it.
private struct BlockKey: Hashable {
    let group: Int64
    let securityID: SecurityID
    let side: Side
}

private struct BlockOrder: Equatable {
    var accounts = 0
    var shares: Int64 = 0
}

@Suite struct HoldingsTests {
    /// The opens of thirty real securities on one day, 14.25 to 24,600, and a cheap one.
    private static let realOpens = [
        "170", "371.38", "288.34", "45.95", "24600", "342.44", "159.84", "408", "153.18", "242.42", "63.11", "809.19",
        "520.62", "298", "99.18", "133.1", "1049", "106.83", "104.13", "188.66", "166.71", "65.88", "14.25", "173.27",
        "539.9", "603.48", "309.3", "72.85", "85.03", "0.02",
    ].enumerated().compactMap { index, text in
        Price(text).map { TradableSecurity(id: SecurityID(Int64(index * 3 + 1)), open: $0) }
    }

    private func route(_ source: HoldingsSource, _ securities: [TradableSecurity]) -> [BlockKey: BlockOrder] {
        let opens = Dictionary(uniqueKeysWithValues: securities.map { ($0.id, Int128($0.open.ticks)) })
        let groups = Dictionary(uniqueKeysWithValues: source.managers().map { ($0.id, $0.group) })
        var blocks: [BlockKey: BlockOrder] = [:]
        for portfolio in (0..<source.unitCount).flatMap({ source.portfolios(in: $0) }) {
            let netAssetValue = portfolio.positions.reduce(Int128(portfolio.account.cashTicks)) {
                $0 + Int128($1.quantity) * (opens[$1.securityID] ?? 0)
            }
            for position in portfolio.positions {
                let open = opens[position.securityID] ?? 0
                let target = Int128(position.targetWeight.units) * netAssetValue / (100_000_000 * open)
                let delta = Int64(target) - position.quantity
                guard delta != 0 else { continue }
                let key = BlockKey(
                    group: groups[portfolio.account.managerID] ?? 0, securityID: position.securityID,
                    side: delta > 0 ? .buy : .sell)
                blocks[key, default: BlockOrder()].accounts += 1
                blocks[key, default: BlockOrder()].shares += abs(delta)
            }
        }
        return blocks
    }

    /// What the tables of holdings check, and what routing relies on.
    private func expectSound(_ source: HoldingsSource, _ comment: Comment) {
        let managers = source.managers()
        let portfolios = (0..<source.unitCount).flatMap { source.portfolios(in: $0) }
        #expect(managers.count == source.managerCount, comment)
        #expect(portfolios.map(\.account.id.rawValue) == (0..<source.accountCount).map { Int64($0 + 1) }, comment)
        #expect(portfolios.reduce(0) { $0 + $1.positions.count } == source.positionCount, comment)
        #expect(Set(managers.map(\.id)).isSuperset(of: portfolios.map(\.account.managerID)), comment)
        for portfolio in portfolios {
            #expect(portfolio.account.cashTicks >= 0, comment)
            #expect(portfolio.account.cashTicks <= Price.maximum.ticks, comment)
            #expect(portfolio.positions.allSatisfy { $0.quantity >= 0 && $0.targetWeight.units >= 0 }, comment)
            #expect(portfolio.positions.allSatisfy { $0.accountID == portfolio.account.id }, comment)
            #expect(portfolio.positions.reduce(0) { $0 + $1.targetWeight.units } <= 100_000_000, comment)
            let keys = portfolio.positions.map(\.securityID)
            #expect(keys == keys.sorted() && Set(keys).count == keys.count, comment)
        }
    }

    private func expectExact(_ shape: WorkloadShape, _ securities: [TradableSecurity], seed: UInt64) throws {
        let comment: Comment = "seed \(seed), \(shape)"
        let source = HoldingsSource.workload(
            try WorkloadHoldings(seed: seed, securities: securities, shape: shape))
        expectSound(source, comment)
        let blocks = route(source, securities)
        #expect(blocks.count == shape.blocks, comment)
        #expect(blocks.values.allSatisfy { $0.accounts == shape.accountsPerBlock }, comment)
        #expect(blocks.values.allSatisfy { shape.sharesPerBlock.contains($0.shares) }, comment)
        let groupCount = (shape.blocks + 2 * securities.count - 1) / (2 * securities.count)
        #expect(Set(blocks.keys.map(\.group)).count == groupCount, comment)
        #expect(source.accountCount == groupCount * 2 * shape.accountsPerBlock, comment)
        let purchases = blocks.keys.filter { $0.side == .buy }.count
        #expect(abs(2 * purchases - shape.blocks) <= 1 + groupCount, comment)
    }

    @Test(arguments: [
        (500, 20, Int64(110_000)...110_000), (1, 1, 50...50), (60, 20, 110_000...110_000), (61, 3, 3...1_000),
        (7, 5, 5...5), (59, 100, 1_000...100_000),
    ]) func `a workload routes into exactly its blocks on real prices`(
        _ blocks: Int, _ accounts: Int, _ shares: ClosedRange<Int64>
    ) throws {
        let shape = try WorkloadShape(blocks: blocks, accountsPerBlock: accounts, sharesPerBlock: shares)
        try expectExact(shape, Self.realOpens, seed: 42)
    }

    @Test func `random workloads route into exactly their blocks on random prices`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<60 {
            let securities = (0..<random.integer(in: 1...40)).map { index in
                TradableSecurity(
                    id: SecurityID(index * 7 + 5),
                    open: Price(ticks: random.integer(in: 1...([9, 10_000, 19_500_000][Int(index % 3)]))))
            }
            let accounts = random.integer(in: 1...30)
            let least = random.integer(in: accounts...accounts * 10_000)
            let shape = try WorkloadShape(
                blocks: Int(random.integer(in: 1...200)), accountsPerBlock: Int(accounts),
                sharesPerBlock: least...least + random.integer(in: 0...5_000))
            try expectExact(shape, securities, seed: seed)
        }
    }

    @Test func `accounts of a group buy some securities and sell others`() throws {
        let shape = try WorkloadShape(blocks: 60, accountsPerBlock: 10, sharesPerBlock: 1_000...1_000)
        let holdings = HoldingsSource.workload(
            try WorkloadHoldings(seed: 3, securities: Self.realOpens, shape: shape))
        for portfolio in holdings.portfolios(in: 0) {
            let netAssetValue = portfolio.positions.reduce(portfolio.account.cashTicks) { sum, position in
                sum + position.quantity * (Self.realOpens.first { $0.id == position.securityID }?.open.ticks ?? 0)
            }
            let purchases = portfolio.positions.filter { position in
                let open = Self.realOpens.first { $0.id == position.securityID }?.open ?? Price(ticks: 1)
                return position.targetWeight.targetQuantity(netAssetValueTicks: netAssetValue, open: open)
                    > position.quantity
            }
            #expect(portfolio.positions.count == 30)
            #expect(purchases.count > 0 && purchases.count < 30)
        }
    }

    @Test func `a seed gives one workload and another seed another`() throws {
        let shape = try WorkloadShape(blocks: 20, accountsPerBlock: 5, sharesPerBlock: 100...900)
        func make(_ seed: UInt64) throws -> [Portfolio] {
            let source = HoldingsSource.workload(
                try WorkloadHoldings(seed: seed, securities: Self.realOpens, shape: shape))
            return source.portfolios(in: 0)
        }
        #expect(try make(1) == make(1))
        #expect(try make(1) != make(2))
    }

    @Test func `an impossible shape is refused with every reason`() throws {
        let error = #expect(throws: InputError.self) {
            try WorkloadShape(blocks: 0, accountsPerBlock: -1, sharesPerBlock: 0...5)
        }
        #expect(
            error?.faults.map(\.description) == [
                "workload: blocks: \"0\": expected 1 to 1000000",
                "workload: accounts_per_block: \"-1\": expected 1 to 100000",
                "workload: shares_per_block: \"0 to 5\": expected 1, one share per account, to 1000000000000",
            ])
        let few = #expect(throws: InputError.self) {
            try WorkloadShape(blocks: 1, accountsPerBlock: 20, sharesPerBlock: 19...19)
        }
        #expect(
            few?.description
                == "workload: shares_per_block: \"19\": expected 20, one share per account, to 1000000000000")
    }

    @Test func `a shape beyond what money columns hold, or without securities, is refused`() throws {
        let shape = try WorkloadShape(
            blocks: 60, accountsPerBlock: 1, sharesPerBlock: 1_000_000_000_000...1_000_000_000_000)
        let huge = #expect(throws: InputFault.self) {
            try WorkloadHoldings(seed: 1, securities: Self.realOpens, shape: shape)
        }
        #expect(
            huge?.description
                == "workload: shares_per_block: \"1000000000000\": expected accounts worth less than "
                + "99999999999999.9999 each; ask for fewer shares")
        let none = #expect(throws: InputFault.self) { try WorkloadHoldings(seed: 1, securities: [], shape: shape) }
        #expect(
            none?.description
                == "workload: blocks: \"60\": expected a security with a price on the day of routing, found none")
    }

    // MARK: Natural holdings

    private func natural(_ seed: UInt64, accounts: Int = 300, positions: Int = 12) throws -> HoldingsSource {
        .natural(
            try NaturalHoldings(
                seed: seed, securities: Self.realOpens, managerCount: 7, managerGroupCount: 3, accountCount: accounts,
                positionsPerAccount: positions))
    }

    @Test func `natural holdings are sound and drift both ways`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let source = try natural(seed)
        expectSound(source, "seed \(seed)")
        #expect(source.positionCount == 3_600)
        #expect(source.managers().map(\.group) == [1, 2, 3, 1, 2, 3, 1])
        let blocks = route(source, Self.realOpens)
        #expect(blocks.keys.contains { $0.side == .buy } && blocks.keys.contains { $0.side == .sell }, "seed \(seed)")
        #expect(blocks.count > 100, "seed \(seed)")
    }

    @Test func `some accounts have no target and sell what they hold`() throws {
        let portfolios = try natural(9, accounts: 1_000).portfoliosOfAllUnits
        let closing = portfolios.filter { $0.positions.allSatisfy { $0.targetWeight.units == 0 } }
        #expect(closing.count > 5 && closing.count < 50)
        #expect(closing.allSatisfy { $0.positions.contains { $0.quantity > 0 } })
    }

    @Test func `holding every security is possible, one more is refused`() throws {
        expectSound(try natural(1, accounts: 10, positions: 30), "all securities")
        let fault = #expect(throws: InputFault.self) { try natural(1, positions: 31) }
        #expect(
            fault?.description
                == "--positions-per-account: \"31\": expected at most 30, the securities that have a price on the "
                + "day of routing")
    }

    @Test func `a weight prints as its column does and rounds shares down`() {
        #expect(TargetWeight(units: 2_500_000).description == "0.02500000")
        #expect(TargetWeight(units: 100_000_000).description == "1.00000000")
        let third = TargetWeight(units: 33_333_333)
        #expect(third.targetQuantity(netAssetValueTicks: 3_000_000, open: Price(ticks: 10_000)) == 99)
        #expect(
            TargetWeight(units: 100_000_000).targetQuantity(
                netAssetValueTicks: Price.maximum.ticks, open: Price(ticks: 1)) == Price.maximum.ticks)
    }
}

extension HoldingsSource {
    var portfoliosOfAllUnits: [Portfolio] { (0..<unitCount).flatMap { portfolios(in: $0) } }
}
