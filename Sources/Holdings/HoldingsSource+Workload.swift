// Holdings that route into an exact workload: so many block orders, so many accounts in each, so many shares.
// It works backwards: choose the weights of each group and what every account must buy and sell, then the net asset value,
// then compute the target as routing will, and hold exactly that much less or more. Pure and exact: whole numbers only.

public import Diagnostics
import Measurement
public import Model

/// What routing the seeded holdings must come to.
public struct WorkloadShape: Sendable, Hashable {
    /// How many block orders.
    public let blocks: Int
    /// How many accounts stand behind each block order.
    public let accountsPerBlock: Int
    /// How many shares a block order has; drawn anew for each block unless `blockShares` says it, and rounded down to whole
    /// lots.
    public let sharesPerBlock: ClosedRange<Int64>
    /// The shares of each block, in the order in which blocks are made; nil draws them.
    let blockShares: [Int64]?

    /// What `orders.block_orders` takes.
    static let maximumShares: Int64 = 2_000_000_000

    /// Throws every impossible number in one error.
    public init(blocks: Int, accountsPerBlock: Int, sharesPerBlock: ClosedRange<Int64>) throws(InputError) {
        try self.init(
            blocks: blocks, accountsPerBlock: accountsPerBlock, sharesPerBlock: sharesPerBlock, blockShares: nil)
    }

    /// Blocks that can be filled by exactly so many executions, each block by its share of them: a block has 275 shares, the
    /// average of an execution, for each of its executions, in whole lots.
    ///
    /// Every block gets the executions that a lot for each of its accounts takes. The total differs from that of any other
    /// skew by less than a lot per block.
    public init(
        executions: Int64, blocks: Int, accountsPerBlock: Int, lotSize: Int64, skew: BlockSkew
    ) throws(InputError) {
        let average = Self.averageSharesPerExecution
        let sharesLeast = Int64(max(1, accountsPerBlock)) * lotSize
        let executionsLeast = (sharesLeast + average - 1) / average
        guard blocks > 0, lotSize > 0, executions >= Int64(blocks) * executionsLeast else {
            throw InputError(
                InputFault(
                    source: "workload", field: "executions", value: "\(executions)",
                    expected:
                        "at least \(Int64(blocks) * executionsLeast), \(executionsLeast) for each of \(blocks) blocks"))
        }
        // With equal sizes the total isn't rounded to executions, and the workload is what it always was.
        if skew == .uniform {
            let shares = executions * average / Int64(blocks) / lotSize * lotSize
            try self.init(blocks: blocks, accountsPerBlock: accountsPerBlock, sharesPerBlock: shares...shares)
            return
        }
        let shares = skew.division(of: executions, among: blocks, atLeast: executionsLeast).map {
            $0 * average / lotSize * lotSize
        }
        try self.init(
            blocks: blocks, accountsPerBlock: accountsPerBlock,
            sharesPerBlock: (shares.min() ?? 0)...(shares.max() ?? 0), blockShares: shares)
    }

    private static let averageSharesPerExecution: Int64 = 275

    private init(
        blocks: Int, accountsPerBlock: Int, sharesPerBlock: ClosedRange<Int64>, blockShares: [Int64]?
    ) throws(InputError) {
        var faults: [InputFault] = []
        func expect(_ isGood: Bool, _ field: String, _ value: String, _ expected: String) {
            if !isGood { faults.append(InputFault(source: "workload", field: field, value: value, expected: expected)) }
        }
        expect((1...1_000_000).contains(blocks), "blocks", "\(blocks)", "1 to 1000000")
        expect((1...100_000).contains(accountsPerBlock), "accounts_per_block", "\(accountsPerBlock)", "1 to 100000")
        expect(
            sharesPerBlock.lowerBound >= max(1, accountsPerBlock) && sharesPerBlock.upperBound <= Self.maximumShares,
            "shares_per_block", WorkloadShape.text(sharesPerBlock),
            "\(max(1, accountsPerBlock)), one share per account, to \(Self.maximumShares)")
        guard faults.isEmpty else { throw InputError(faults) }
        self.blocks = blocks
        self.accountsPerBlock = accountsPerBlock
        self.sharesPerBlock = sharesPerBlock
        self.blockShares = blockShares
    }

    static func text(_ range: ClosedRange<Int64>) -> String {
        range.lowerBound == range.upperBound ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
    }
}

/// Holdings made for a shape. A manager group is a rebalancing group of its own, has twice as many accounts as a block, and
/// one block per security and side: for each security one half of the accounts buys and the other half sells, drawn anew per
/// security. Where a block is missing, its half of the accounts is on target.
public struct WorkloadHoldings: Sendable {
    public let seed: UInt64
    public let shape: WorkloadShape
    public let securities: [TradableSecurity]
    /// Shares of all block orders, once rounded down to whole lots.
    public let shareCount: Int64
    private let sectors: [String]

    /// Throws when the shape can't be held in money of eighteen digits or in whole lots, or when nothing is tradable.
    public init(seed: UInt64, securities: [TradableSecurity], shape: WorkloadShape) throws(InputFault) {
        self.seed = seed
        self.shape = shape
        self.securities = securities
        sectors = Holdings.sectors(of: securities)
        guard !securities.isEmpty else {
            throw InputFault(
                source: "workload", field: "blocks", value: "\(shape.blocks)",
                expected: "a security with a price on the day of routing, found none")
        }
        let lotSize = securities.prefix(shape.blocks).map(\.lotSize).max() ?? 1
        guard shape.sharesPerBlock.lowerBound >= Int64(shape.accountsPerBlock) * lotSize else {
            throw InputFault(
                source: "workload", field: "shares_per_block", value: WorkloadShape.text(shape.sharesPerBlock),
                expected:
                    "at least \(Int64(shape.accountsPerBlock) * lotSize), one lot of \(lotSize) shares per account")
        }
        // The bound depends on the draw, so a trial of every unit is the only exact answer; it takes milliseconds.
        var shareCount: Int64 = 0
        for group in 0..<Self.groupCount(shape, securities) {
            let draft = Draft(seed: seed, shape: shape, securities: securities, group: group)
            guard let accounts = draft.accounts(sectors: sectors) else {
                throw InputFault(
                    source: "workload", field: "shares_per_block",
                    value: WorkloadShape.text(shape.sharesPerBlock),
                    expected: "accounts worth less than \(Price.maximum) each; ask for fewer shares")
            }
            shareCount += accounts.shareCount
        }
        self.shareCount = shareCount
    }

    static let managersPerGroup = 2

    var groupCount: Int { Self.groupCount(shape, securities) }
    var managerCount: Int { groupCount * Self.managersPerGroup }
    var accountCount: Int { groupCount * 2 * shape.accountsPerBlock }
    /// Every account holds every security that its group trades.
    var positionCount: Int {
        (0..<groupCount).reduce(0) { $0 + draft(of: $1).securities.count * 2 * shape.accountsPerBlock }
    }

    func portfolios(in group: Int) -> [Portfolio] {
        guard let accounts = draft(of: group).accounts(sectors: sectors) else {
            preconditionFailure("a workload was accepted that can't be made")
        }
        return accounts.portfolios
    }

    func groups() -> [RebalancingGroup] {
        (0..<groupCount).map { index in
            let draft = draft(of: index)
            var group = RebalancingGroup(
                id: Int64(index + 1), name: "Group \(index + 1)", tolerance: TargetWeight(units: 0),
                targets: zip(draft.securities, draft.weights).map {
                    RebalancingGroup.Target(securityID: $0.id, weight: $1)
                })
            group.managerGroup = Int64(index + 1)
            return group
        }
    }

    private static func groupCount(_ shape: WorkloadShape, _ securities: [TradableSecurity]) -> Int {
        (shape.blocks + 2 * securities.count - 1) / (2 * securities.count)
    }

    private func draft(of group: Int) -> Draft {
        Draft(seed: seed, shape: shape, securities: securities, group: group)
    }
}
