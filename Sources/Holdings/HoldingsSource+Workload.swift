// Holdings that route into an exact workload: so many block orders, so many accounts in each, so many shares.
// It works backwards: choose what every account must buy and sell, then the net asset value and the weights, then
// compute the target as routing will, and hold exactly that much less or more. Pure and exact: whole numbers only.

public import Diagnostics
import Measurement
import Model

/// What routing the seeded holdings must come to.
public struct WorkloadShape: Sendable, Hashable {
    /// How many block orders.
    public let blocks: Int
    /// How many accounts stand behind each block order.
    public let accountsPerBlock: Int
    /// How many shares a block order has; drawn anew for each block.
    public let sharesPerBlock: ClosedRange<Int64>

    /// Throws every impossible number in one error.
    public init(blocks: Int, accountsPerBlock: Int, sharesPerBlock: ClosedRange<Int64>) throws(InputError) {
        var faults: [InputFault] = []
        func expect(_ isGood: Bool, _ field: String, _ value: String, _ expected: String) {
            if !isGood { faults.append(InputFault(source: "workload", field: field, value: value, expected: expected)) }
        }
        expect((1...1_000_000).contains(blocks), "blocks", "\(blocks)", "1 to 1000000")
        expect((1...100_000).contains(accountsPerBlock), "accounts_per_block", "\(accountsPerBlock)", "1 to 100000")
        expect(
            sharesPerBlock.lowerBound >= max(1, accountsPerBlock) && sharesPerBlock.upperBound <= 1_000_000_000_000,
            "shares_per_block", WorkloadShape.text(sharesPerBlock),
            "\(max(1, accountsPerBlock)), one share per account, to 1000000000000")
        guard faults.isEmpty else { throw InputError(faults) }
        self.blocks = blocks
        self.accountsPerBlock = accountsPerBlock
        self.sharesPerBlock = sharesPerBlock
    }

    static func text(_ range: ClosedRange<Int64>) -> String {
        range.lowerBound == range.upperBound ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
    }
}

/// Holdings made for a shape. A manager group has twice as many accounts as a block, and one block per security and
/// side: for each security one half of the accounts buys and the other half sells, drawn anew per security.
public struct WorkloadHoldings: Sendable {
    public let seed: UInt64
    public let shape: WorkloadShape
    public let securities: [TradableSecurity]

    /// Throws when the shape can't be held in money of eighteen digits, or when nothing is tradable.
    public init(seed: UInt64, securities: [TradableSecurity], shape: WorkloadShape) throws(InputFault) {
        self.seed = seed
        self.shape = shape
        self.securities = securities
        guard !securities.isEmpty else {
            throw InputFault(
                source: "workload", field: "blocks", value: "\(shape.blocks)",
                expected: "a security with a price on the day of routing, found none")
        }
        // The bound depends on the draw, so a trial of every unit is the only exact answer; it takes milliseconds.
        for group in 0..<groupCount {
            guard makePortfolios(in: group) != nil else {
                throw InputFault(
                    source: "workload", field: "shares_per_block",
                    value: WorkloadShape.text(shape.sharesPerBlock),
                    expected: "accounts worth less than \(Price.maximum) each; ask for fewer shares")
            }
        }
    }

    static let managersPerGroup = 2

    var groupCount: Int { (shape.blocks + blocksPerGroup - 1) / blocksPerGroup }
    var managerCount: Int { groupCount * Self.managersPerGroup }
    var accountCount: Int { groupCount * accountsPerGroup }
    var positionCount: Int { shape.blocks * shape.accountsPerBlock }

    private var blocksPerGroup: Int { 2 * securities.count }
    private var accountsPerGroup: Int { 2 * shape.accountsPerBlock }

    func portfolios(in group: Int) -> [Portfolio] {
        guard let portfolios = makePortfolios(in: group) else {
            preconditionFailure("a workload was accepted that can't be made")
        }
        return portfolios
    }

    /// What an account must trade in one security: more than 0 to buy, less to sell.
    private struct Trade {
        let security: TradableSecurity
        let delta: Int64
    }

    /// Nil when an account would need more money than a column holds.
    private func makePortfolios(in group: Int) -> [Portfolio]? {
        var trades = [[Trade]](repeating: [], count: accountsPerGroup)
        for index in securities.indices { addTrades(inSecurityAt: index, group: group, to: &trades) }
        var portfolios: [Portfolio] = []
        portfolios.reserveCapacity(trades.count)
        for (index, own) in trades.enumerated() {
            guard let portfolio = makePortfolio(at: group * accountsPerGroup + index, group: group, trades: own)
            else { return nil }
            portfolios.append(portfolio)
        }
        return portfolios
    }

    /// Draws the blocks of one security in one group: who buys, who sells, and how much each.
    private func addTrades(inSecurityAt index: Int, group: Int, to trades: inout [[Trade]]) {
        var random = SeededRandom(
            seed: seed, stream: HoldingsSource.Stream.blocks, UInt64(group), UInt64(index))
        var order = Array(0..<accountsPerGroup)
        for last in stride(from: order.count - 1, to: 0, by: -1) {
            order.swapAt(last, Int(random.integer(in: 0...Int64(last))))
        }
        for side in sides(ofSecurityAt: index, group: group) {
            let accounts = side == .buy ? order.prefix(shape.accountsPerBlock) : order.suffix(shape.accountsPerBlock)
            let parts = randomParts(of: random.integer(in: shape.sharesPerBlock), count: accounts.count, &random)
            for (account, part) in zip(accounts, parts) {
                trades[account].append(Trade(security: securities[index], delta: side == .buy ? part : -part))
            }
        }
    }

    /// The first pass over the securities of a group takes one side of each, in turn, the second pass the other:
    /// a group that isn't full has about as many blocks to buy as to sell.
    private func sides(ofSecurityAt index: Int, group: Int) -> [Side] {
        let firstBlock = group * blocksPerGroup
        return [0, 1].filter { firstBlock + $0 * securities.count + index < shape.blocks }
            .map { ($0 + index) % 2 == 0 ? Side.buy : Side.sell }
    }

    /// `count` parts of at least 1 that add up to `total` exactly.
    private func randomParts(of total: Int64, count: Int, _ random: inout SeededRandom) -> [Int64] {
        let weights = (0..<count).map { _ in Int128(random.integer(in: 500...1500)) }
        let weightSum = weights.reduce(0, +)
        let spread = Int128(total) - Int128(count)
        var weightBefore: Int128 = 0
        var spreadBefore: Int128 = 0
        return weights.map { weight in
            weightBefore += weight
            let spreadNow = spread * weightBefore / weightSum
            defer { spreadBefore = spreadNow }
            return Int64(1 + spreadNow - spreadBefore)
        }
    }

    /// Chooses weights and a net asset value that leave room for every trade, then holds target minus delta.
    private func makePortfolio(at index: Int, group: Int, trades: [Trade]) -> Portfolio? {
        var random = SeededRandom(seed: seed, stream: HoldingsSource.Stream.portfolio, UInt64(index))
        let accountID = AccountID(Int64(index + 1))
        let weights = trades.map { _ in randomWeight(positionCount: trades.count, &random) }
        guard
            let netAssetValue = netAssetValueTicks(
                trades: trades, weights: weights, slackPerMille: random.integer(in: 1_050...3_000))
        else { return nil }
        var investedTicks: Int64 = 0
        var positions: [Position] = []
        positions.reserveCapacity(trades.count)
        for (trade, weight) in zip(trades, weights) {
            let target = weight.targetQuantity(netAssetValueTicks: netAssetValue, open: trade.security.open)
            let quantity = target - trade.delta
            precondition(quantity >= 0, "the net asset value leaves no room to buy")
            investedTicks += quantity * trade.security.open.ticks
            positions.append(
                Position(accountID: accountID, securityID: trade.security.id, quantity: quantity, targetWeight: weight))
        }
        precondition(investedTicks <= netAssetValue, "the net asset value leaves no cash")
        // Manager `m` is in group `m % groupCount`, so a group's managers are `groupCount` apart.
        let manager = group + index % Self.managersPerGroup * groupCount
        let account = Account(
            id: accountID, managerID: ManagerID(Int64(manager + 1)), name: "Account \(index + 1)",
            cashTicks: netAssetValue - investedTicks)
        return Portfolio(account: account, positions: positions)
    }

    /// The least net asset value at which every purchase is at most its target and every sale is covered by cash,
    /// times some slack; nil beyond what NUMERIC(18,4) holds.
    private func netAssetValueTicks(trades: [Trade], weights: [TargetWeight], slackPerMille: Int64) -> Int64? {
        let whole = Int128(TargetWeight.unitsPerWhole)
        let limit = Int128(Price.maximum.ticks)
        var least = Int128(1_000 * Price.ticksPerUnit)
        var soldTicks: Int128 = 0
        var weightSum: Int128 = 0
        for (trade, weight) in zip(trades, weights) {
            let valueTicks = Int128(trade.delta) * Int128(trade.security.open.ticks)
            weightSum += Int128(weight.units)
            guard valueTicks.magnitude <= limit.magnitude, soldTicks <= limit else { return nil }
            if trade.delta > 0 {
                // floor(weight × value / open) ≥ delta, as soon as weight × value ≥ delta × open.
                least = max(least, (valueTicks * whole + Int128(weight.units) - 1) / Int128(weight.units))
            } else {
                soldTicks -= valueTicks
            }
        }
        // What isn't invested on target must pay for what is held beyond it.
        guard weightSum < whole, soldTicks <= limit else { return nil }
        least = max(least, (soldTicks * whole + whole - weightSum - 1) / (whole - weightSum))
        guard least <= limit else { return nil }
        return Int64(min(least * Int128(slackPerMille) / 1000, limit))
    }
}
