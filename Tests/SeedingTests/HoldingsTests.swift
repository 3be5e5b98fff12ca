// Goal: holdings route into what was asked for, to the share. Method: an independent reading of the routing formula,
// `target = lot × floor(weight × (cash + Σ quantity × open) / (open × lot))`, over random shapes with a printed seed.

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

    /// Routes every account to the targets of the first group that takes it; also checks that it can pay for them.
    private func route(
        _ source: HoldingsSource, _ securities: [TradableSecurity], _ comment: Comment
    ) -> [BlockKey: BlockOrder] {
        let byID = Dictionary(uniqueKeysWithValues: securities.map { ($0.id, $0) })
        let managerGroups = Dictionary(uniqueKeysWithValues: source.managers().map { ($0.id, $0.group) })
        let groups = source.groups()
        var blocks: [BlockKey: BlockOrder] = [:]
        for portfolio in (0..<source.unitCount).flatMap({ source.portfolios(in: $0) }) {
            let netAssetValue = portfolio.positions.reduce(Int128(portfolio.account.cashTicks)) {
                $0 + Int128($1.quantity) * Int128(byID[$1.securityID]?.open.ticks ?? 0)
            }
            let managerGroup = managerGroups[portfolio.account.managerID] ?? 0
            guard
                let group = groups.first(where: {
                    $0.admits(
                        managerGroup: managerGroup, netAssetValueTicks: Int64(netAssetValue),
                        sectorPreference: portfolio.account.sectorPreference, riskClass: portfolio.account.riskClass)
                })
            else { continue }
            var weights = Dictionary(uniqueKeysWithValues: group.targets.map { ($0.securityID, $0.weight.units) })
            var held = Dictionary(uniqueKeysWithValues: portfolio.positions.map { ($0.securityID, $0.quantity) })
            var cash = Int128(portfolio.account.cashTicks)
            for id in Set(weights.keys).union(held.keys).sorted() {
                guard let security = byID[id] else { continue }
                let quantity = held.removeValue(forKey: id) ?? 0
                let wanted = Int128(weights.removeValue(forKey: id) ?? 0) * netAssetValue
                let value = Int128(quantity) * Int128(security.open.ticks) * 100_000_000
                guard abs(value - wanted) > Int128(group.tolerance.units) * netAssetValue else { continue }
                let lot = Int128(security.open.ticks) * Int128(security.lotSize) * 100_000_000
                let missing = Int64(wanted / lot) * security.lotSize - quantity
                let delta = missing / security.lotSize * security.lotSize
                guard delta != 0 else { continue }
                cash -= Int128(delta) * Int128(security.open.ticks)
                let key = BlockKey(group: managerGroup, securityID: id, side: delta > 0 ? .buy : .sell)
                blocks[key, default: BlockOrder()].accounts += 1
                blocks[key, default: BlockOrder()].shares += abs(delta)
            }
            if case .workload = source { #expect(cash >= 0, comment) }
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
            #expect(portfolio.positions.allSatisfy { $0.quantity >= 0 }, comment)
            #expect(portfolio.positions.allSatisfy { $0.accountID == portfolio.account.id }, comment)
            let keys = portfolio.positions.map(\.securityID)
            #expect(keys == keys.sorted() && Set(keys).count == keys.count, comment)
        }
        let groups = source.groups()
        #expect(groups.map(\.id) == groups.indices.map { Int64($0 + 1) }, comment)
        for group in groups {
            #expect(group.targets.reduce(0) { $0 + $1.weight.units } <= 90_000_000, comment)
            #expect(group.targets.allSatisfy { $0.weight.units > 0 }, comment)
            let keys = group.targets.map(\.securityID)
            #expect(keys == keys.sorted() && Set(keys).count == keys.count, comment)
            #expect((0..<100_000_000).contains(group.tolerance.units), comment)
        }
    }

    private func expectExact(_ shape: WorkloadShape, _ securities: [TradableSecurity], seed: UInt64) throws {
        let comment: Comment = "seed \(seed), \(shape)"
        let holdings = try WorkloadHoldings(seed: seed, securities: securities, shape: shape)
        let source = HoldingsSource.workload(holdings)
        expectSound(source, comment)
        let blocks = route(source, securities, comment)
        #expect(blocks.count == shape.blocks, comment)
        #expect(blocks.values.allSatisfy { $0.accounts == shape.accountsPerBlock }, comment)
        let lotSizes = Dictionary(uniqueKeysWithValues: securities.map { ($0.id, $0.lotSize) })
        for (key, block) in blocks {
            // Rounded down to whole lots, and no further.
            let lotSize = lotSizes[key.securityID] ?? 1
            #expect(block.shares % lotSize == 0, comment)
            #expect(
                block.shares > shape.sharesPerBlock.lowerBound - lotSize
                    && block.shares <= shape.sharesPerBlock.upperBound, comment)
        }
        #expect(holdings.shareCount == blocks.values.reduce(0) { $0 + $1.shares }, comment)
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
                    open: Price(ticks: random.integer(in: 1...([9, 10_000, 19_500_000][Int(index % 3)]))),
                    lotSize: [1, 1, 7, 10, 100][Int(random.integer(in: 0...4))], sector: ["", "A", "B"][Int(index % 3)])
            }
            let accounts = random.integer(in: 1...30)
            let least = random.integer(in: accounts * 100...accounts * 10_000)
            let shape = try WorkloadShape(
                blocks: Int(random.integer(in: 1...200)), accountsPerBlock: Int(accounts),
                sharesPerBlock: least...least + random.integer(in: 0...5_000))
            try expectExact(shape, securities, seed: seed)
        }
    }

    @Test(arguments: [Int64(1), 10, 100, 1_000]) func `a workload comes in whole lots, and says how many shares it has`(
        _ lotSize: Int64
    ) throws {
        let securities = Self.realOpens.map { TradableSecurity(id: $0.id, open: $0.open, lotSize: lotSize) }
        let shape = try WorkloadShape(blocks: 70, accountsPerBlock: 4, sharesPerBlock: 4_567...4_567)
        try expectExact(shape, securities, seed: 8)
        let holdings = try WorkloadHoldings(seed: 8, securities: securities, shape: shape)
        #expect(holdings.shareCount == 70 * (4_567 / lotSize * lotSize))
        for portfolio in HoldingsSource.workload(holdings).portfoliosOfAllUnits {
            #expect(portfolio.positions.allSatisfy { $0.quantity % lotSize == 0 })
        }
    }

    @Test func `a block of less than a lot per account is refused`() throws {
        let securities = Self.realOpens.map { TradableSecurity(id: $0.id, open: $0.open, lotSize: 100) }
        let shape = try WorkloadShape(blocks: 10, accountsPerBlock: 4, sharesPerBlock: 399...5_000)
        let fault = #expect(throws: InputFault.self) {
            try WorkloadHoldings(seed: 1, securities: securities, shape: shape)
        }
        #expect(
            fault?.description
                == "workload: shares_per_block: \"399 to 5000\": expected at least 400, one lot of 100 shares per account"
        )
    }

    @Test func `accounts of a full group buy some securities and sell others`() throws {
        let shape = try WorkloadShape(blocks: 60, accountsPerBlock: 10, sharesPerBlock: 1_000...1_000)
        let source = HoldingsSource.workload(
            try WorkloadHoldings(seed: 3, securities: Self.realOpens, shape: shape))
        let targets = source.groups()[0].targets
        for portfolio in source.portfolios(in: 0) {
            let netAssetValue = portfolio.positions.reduce(portfolio.account.cashTicks) { sum, position in
                sum + position.quantity * (Self.realOpens.first { $0.id == position.securityID }?.open.ticks ?? 0)
            }
            let purchases = zip(portfolio.positions, zip(targets, Self.realOpens)).filter { position, wanted in
                wanted.0.weight.targetQuantity(netAssetValueTicks: netAssetValue, open: wanted.1.open)
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
                "workload: shares_per_block: \"0 to 5\": expected 1, one share per account, to 2000000000",
            ])
        let few = #expect(throws: InputError.self) {
            try WorkloadShape(blocks: 1, accountsPerBlock: 20, sharesPerBlock: 19...19)
        }
        #expect(
            few?.description
                == "workload: shares_per_block: \"19\": expected 20, one share per account, to 2000000000")
    }

    @Test func `a shape beyond what money columns hold, or without securities, is refused`() throws {
        let shape = try WorkloadShape(
            blocks: 60, accountsPerBlock: 1, sharesPerBlock: 2_000_000_000...2_000_000_000)
        let huge = #expect(throws: InputFault.self) {
            try WorkloadHoldings(seed: 1, securities: Self.realOpens, shape: shape)
        }
        #expect(
            huge?.description
                == "workload: shares_per_block: \"2000000000\": expected accounts worth less than "
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
        let blocks = route(source, Self.realOpens, "seed \(seed)")
        #expect(blocks.keys.contains { $0.side == .buy } && blocks.keys.contains { $0.side == .sell }, "seed \(seed)")
        #expect(blocks.count > 100, "seed \(seed)")
    }

    @Test func `natural accounts differ, a few are in no group, and a few hold what their group doesn't want`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let securities = Self.realOpens.enumerated().map {
            TradableSecurity(id: $1.id, open: $1.open, sector: ["Energy", "Finance", ""][$0 % 3])
        }
        let source = HoldingsSource.natural(
            try NaturalHoldings(
                seed: seed, securities: securities, managerCount: 7, managerGroupCount: 3, accountCount: 2_000,
                positionsPerAccount: 12))
        let comment: Comment = "seed \(seed)"
        expectSound(source, comment)
        let groups = source.groups()
        #expect(groups.map(\.sectorPreference).prefix(2) == ["Energy", "Finance"], comment)
        #expect(groups.count == 2 + 6, comment)
        var (without, foreign) = (0, 0)
        let portfolios = source.portfoliosOfAllUnits
        for portfolio in portfolios {
            let netAssetValue = portfolio.positions.reduce(portfolio.account.cashTicks) { sum, position in
                sum + position.quantity * (securities.first { $0.id == position.securityID }?.open.ticks ?? 0)
            }
            let group = groups.first {
                $0.admits(
                    managerGroup: 1, netAssetValueTicks: netAssetValue,
                    sectorPreference: portfolio.account.sectorPreference, riskClass: portfolio.account.riskClass)
            }
            guard let group else {
                without += 1
                continue
            }
            if !Set(portfolio.positions.map(\.securityID)).isSubset(of: group.targets.map(\.securityID)) {
                foreign += 1
            }
        }
        #expect((10...200).contains(without), comment)
        #expect((30...200).contains(foreign), comment)
        #expect(Set(portfolios.map(\.account.riskClass)) == Set(RiskClass.allCases), comment)
        #expect(Set(portfolios.map(\.account.sectorPreference)) == ["", "Energy", "Finance"], comment)
        #expect((60...300).contains(portfolios.filter { !$0.account.targetBroker.isEmpty }.count), comment)
    }

    @Test func `natural positions are whole lots, but for a few odd ones`() throws {
        let securities = Self.realOpens.map { TradableSecurity(id: $0.id, open: $0.open, lotSize: 10) }
        let source = HoldingsSource.natural(
            try NaturalHoldings(
                seed: 4, securities: securities, managerCount: 7, managerGroupCount: 3, accountCount: 300,
                positionsPerAccount: 12))
        expectSound(source, "lots of 10")
        let odd = source.portfoliosOfAllUnits.flatMap(\.positions).filter { $0.quantity % 10 != 0 }.count
        #expect((150...600).contains(odd))
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
        #expect(third.targetQuantity(netAssetValueTicks: 3_000_000, open: Price(ticks: 10_000), lotSize: 10) == 90)
        #expect(third.targetQuantity(netAssetValueTicks: 3_000_000, open: Price(ticks: 10_000), lotSize: 100) == 0)
    }
}

extension HoldingsSource {
    var portfoliosOfAllUnits: [Portfolio] { (0..<unitCount).flatMap { portfolios(in: $0) } }
}
