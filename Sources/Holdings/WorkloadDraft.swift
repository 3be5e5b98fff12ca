// One manager group of an exact workload, from the draw of its blocks to its accounts.

import Measurement
import Model

extension WorkloadHoldings {
    /// What the accounts of one group are to hold, and what each must trade to get there.
    struct Draft {
        private let seed: UInt64
        private let shape: WorkloadShape
        private let group: Int
        /// Those that the group trades: all of them, but for the last group.
        let securities: [TradableSecurity]
        private let securityCount: Int

        init(seed: UInt64, shape: WorkloadShape, securities: [TradableSecurity], group: Int) {
            self.seed = seed
            self.shape = shape
            self.group = group
            securityCount = securities.count
            self.securities = Array(securities.prefix(max(0, shape.blocks - group * 2 * securities.count)))
        }

        /// In the order of the securities.
        var weights: [TargetWeight] {
            var random = SeededRandom(seed: seed, stream: HoldingsSource.Stream.groups, UInt64(group))
            return securities.map { _ in randomWeight(positionCount: securities.count, &random) }
        }

        private var accountCount: Int { 2 * shape.accountsPerBlock }

        /// By account and security what must be traded: more than 0 to buy, less to sell.
        private func trades() -> [[Int64]] {
            var trades = [[Int64]](
                repeating: [Int64](repeating: 0, count: securities.count), count: accountCount)
            for index in securities.indices { addTrades(inSecurityAt: index, to: &trades) }
            return trades
        }

        /// Draws the blocks of one security: who buys, who sells, and how much each.
        private func addTrades(inSecurityAt index: Int, to trades: inout [[Int64]]) {
            var random = SeededRandom(
                seed: seed, stream: HoldingsSource.Stream.blocks, UInt64(group), UInt64(index))
            var order = Array(0..<accountCount)
            for last in stride(from: order.count - 1, to: 0, by: -1) {
                order.swapAt(last, Int(random.integer(in: 0...Int64(last))))
            }
            let lotSize = securities[index].lotSize
            for (block, side) in blocks(ofSecurityAt: index) {
                let accounts =
                    side == .buy ? order.prefix(shape.accountsPerBlock) : order.suffix(shape.accountsPerBlock)
                let shares = shape.blockShares?[block] ?? random.integer(in: shape.sharesPerBlock)
                let lots = shares / lotSize
                let parts = randomParts(of: lots, count: accounts.count, &random)
                for (account, part) in zip(accounts, parts) {
                    trades[account][index] = (side == .buy ? part : -part) * lotSize
                }
            }
        }

        /// The first pass over the securities of a group takes one side of each, in turn, the second pass the other:
        /// a group that isn't full has about as many blocks to buy as to sell.
        private func blocks(ofSecurityAt index: Int) -> [(number: Int, side: Side)] {
            let firstBlock = group * 2 * securityCount
            return [0, 1].map {
                (firstBlock + $0 * securityCount + index, ($0 + index) % 2 == 0 ? Side.buy : Side.sell)
            }
            .filter { $0.0 < shape.blocks }
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

        /// The accounts, and the shares of all their trades. Nil when an account would need more money than a column holds.
        func accounts(sectors: [String]) -> (portfolios: [Portfolio], shareCount: Int64)? {
            let weights = weights
            var shareCount: Int64 = 0
            var portfolios: [Portfolio] = []
            portfolios.reserveCapacity(accountCount)
            for (index, trades) in trades().enumerated() {
                guard
                    let portfolio = portfolio(
                        at: group * accountCount + index, trades: trades, weights: weights, sectors: sectors)
                else { return nil }
                portfolios.append(portfolio)
                shareCount += trades.reduce(0) { $0 + abs($1) }
            }
            return (portfolios, shareCount)
        }

        /// Chooses a net asset value that leaves room for every trade, then holds target minus trade.
        private func portfolio(at index: Int, trades: [Int64], weights: [TargetWeight], sectors: [String]) -> Portfolio?
        {
            var random = SeededRandom(seed: seed, stream: HoldingsSource.Stream.portfolio, UInt64(index))
            guard
                let netAssetValue = netAssetValueTicks(
                    trades: trades, weights: weights, slackPerMille: random.integer(in: 1_050...3_000))
            else { return nil }
            let accountID = AccountID(Int64(index + 1))
            var investedTicks: Int64 = 0
            var positions: [Position] = []
            positions.reserveCapacity(trades.count)
            for (security, (trade, weight)) in zip(securities, zip(trades, weights)) {
                let target = weight.targetQuantity(
                    netAssetValueTicks: netAssetValue, open: security.open, lotSize: security.lotSize)
                let quantity = target - trade
                precondition(quantity >= 0, "the net asset value leaves no room to buy")
                investedTicks += quantity * security.open.ticks
                positions.append(Position(accountID: accountID, securityID: security.id, quantity: quantity))
            }
            precondition(investedTicks <= netAssetValue, "the net asset value leaves no cash")
            // Manager `m` is in group `m % groupCount`, so a group's managers are `groupCount` apart.
            let groupCount = (shape.blocks + 2 * securityCount - 1) / (2 * securityCount)
            let manager = group + index % WorkloadHoldings.managersPerGroup * groupCount
            let traits = AccountTraits(ofAccountAt: index, seed: seed, sectors: sectors)
            let account = Account(
                id: accountID, managerID: ManagerID(Int64(manager + 1)), name: "Account \(index + 1)",
                cashTicks: netAssetValue - investedTicks, sectorPreference: traits.sectorPreference,
                riskClass: traits.riskClass, targetBroker: traits.targetBroker)
            return Portfolio(account: account, positions: positions)
        }

        /// The least net asset value at which every purchase is at most its target and every sale is covered by cash,
        /// times some slack; nil beyond what NUMERIC(18,4) holds. What targets leave, a tenth at least, is cash when all
        /// is traded: no purchase is cut.
        private func netAssetValueTicks(
            trades: [Int64], weights: [TargetWeight], slackPerMille: Int64
        ) -> Int64? {
            let whole = Int128(TargetWeight.unitsPerWhole)
            let limit = Int128(Price.maximum.ticks)
            var least = Int128(1_000 * Price.ticksPerUnit)
            var soldTicks: Int128 = 0
            var weightSum: Int128 = 0
            for (security, (trade, weight)) in zip(securities, zip(trades, weights)) {
                let valueTicks = Int128(trade) * Int128(security.open.ticks)
                weightSum += Int128(weight.units)
                guard valueTicks.magnitude <= limit.magnitude, soldTicks <= limit else { return nil }
                if trade > 0 {
                    // Whole lots of floor(weight × value / open) ≥ trade, as soon as weight × value ≥ trade × open.
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
}
