// Where managers, accounts and positions come from: a generator with natural drifts, or one that makes an exact
// workload (`HoldingsSource+Workload.swift`). Pure: whole numbers, no database, any thread.

public import Diagnostics
import Measurement
import Model

/// Generated holdings. Rows come in units that don't depend on each other, so that any thread may make any unit.
public enum HoldingsSource: Sendable {
    case natural(NaturalHoldings)
    case workload(WorkloadHoldings)

    public var managerCount: Int {
        switch self {
        case .natural(let holdings): holdings.managerCount
        case .workload(let holdings): holdings.managerCount
        }
    }

    public var accountCount: Int {
        switch self {
        case .natural(let holdings): holdings.accountCount
        case .workload(let holdings): holdings.accountCount
        }
    }

    public var positionCount: Int {
        switch self {
        case .natural(let holdings): holdings.accountCount * holdings.positionsPerAccount
        case .workload(let holdings): holdings.positionCount
        }
    }

    public var unitCount: Int {
        switch self {
        case .natural(let holdings): holdings.unitCount
        case .workload(let holdings): holdings.groupCount
        }
    }

    /// Managers are dealt over their groups in turn.
    public func managers() -> [Manager] {
        let groupCount =
            switch self {
            case .natural(let holdings): holdings.managerGroupCount
            case .workload(let holdings): holdings.groupCount
            }
        return (0..<managerCount).map { index in
            Manager(
                id: ManagerID(Int64(index + 1)), name: "Manager \(index + 1)", group: Int64(index % groupCount + 1))
        }
    }

    /// The accounts of one unit in the order of their keys, each with its positions in the order of theirs.
    public func portfolios(in unit: Int) -> [Portfolio] {
        switch self {
        case .natural(let holdings): holdings.portfolios(in: unit)
        case .workload(let holdings): holdings.portfolios(in: unit)
        }
    }

    /// Names the tables in the streams of a seed, so that no two draw the same numbers.
    enum Stream {
        static let portfolio: UInt64 = 0x504F_5254_464F
        static let blocks: UInt64 = 0x424C_4F43_4B53
    }
}

/// Holdings whose drifts against their targets are what a month of trading leaves: a few per cent either way.
public struct NaturalHoldings: Sendable {
    public let seed: UInt64
    public let securities: [TradableSecurity]
    public let managerCount: Int
    public let managerGroupCount: Int
    public let accountCount: Int
    public let positionsPerAccount: Int

    /// Throws when there are fewer tradable securities than positions.
    public init(
        seed: UInt64, securities: [TradableSecurity], managerCount: Int, managerGroupCount: Int, accountCount: Int,
        positionsPerAccount: Int
    ) throws(InputFault) {
        precondition(managerCount > 0 && managerGroupCount > 0 && accountCount >= 0 && positionsPerAccount >= 0)
        guard positionsPerAccount <= securities.count else {
            throw InputFault(
                source: "--positions-per-account", value: String(positionsPerAccount),
                expected: "at most \(securities.count), the securities that have a price on the day of routing")
        }
        self.seed = seed
        self.securities = securities
        self.managerCount = managerCount
        self.managerGroupCount = managerGroupCount
        self.accountCount = accountCount
        self.positionsPerAccount = positionsPerAccount
    }

    static let accountsPerUnit = 100

    var unitCount: Int { (accountCount + Self.accountsPerUnit - 1) / Self.accountsPerUnit }

    func portfolios(in unit: Int) -> [Portfolio] {
        let first = unit * Self.accountsPerUnit
        return (first..<min(first + Self.accountsPerUnit, accountCount)).map { portfolio(at: $0) }
    }

    private func portfolio(at index: Int) -> Portfolio {
        var random = SeededRandom(seed: seed, stream: HoldingsSource.Stream.portfolio, UInt64(index))
        let accountID = AccountID(Int64(index + 1))
        let netAssetValue = (1 + random.integer(in: 0...99)) * 100_000 * Price.ticksPerUnit
        // One account in fifty is being closed: all its targets are zero.
        let isClosing = random.integer(in: 1...50) == 1
        var positions: [Position] = []
        positions.reserveCapacity(positionsPerAccount)
        var investedTicks: Int64 = 0
        for security in drawnSecurities(&random) {
            let weight = randomWeight(positionCount: positionsPerAccount, &random)
            let target = weight.targetQuantity(netAssetValueTicks: netAssetValue, open: security.open)
            let quantity = target + drift(from: target, &random)
            // At most 0.9 × 1.05 of the net asset value is invested, so that cash is never negative.
            investedTicks += quantity * security.open.ticks
            positions.append(
                Position(
                    accountID: accountID, securityID: security.id, quantity: quantity,
                    targetWeight: isClosing ? TargetWeight(units: 0) : weight))
        }
        let account = Account(
            id: accountID, managerID: ManagerID(Int64(index % managerCount + 1)), name: "Account \(index + 1)",
            cashTicks: netAssetValue - investedTicks)
        return Portfolio(account: account, positions: positions)
    }

    /// A third of the positions are on target; the others are off by up to 5 %, at least one share when they can be.
    private func drift(from target: Int64, _ random: inout SeededRandom) -> Int64 {
        let kind = random.integer(in: 0...2)
        let size = target * random.integer(in: 1...50) / 1000
        return kind == 0 ? 0 : kind == 1 ? size : -size
    }

    /// As many securities as positions, each equally likely, in the order of their keys (Knuth's algorithm S).
    private func drawnSecurities(_ random: inout SeededRandom) -> [TradableSecurity] {
        var drawn: [TradableSecurity] = []
        drawn.reserveCapacity(positionsPerAccount)
        for (index, security) in securities.enumerated() {
            let missing = positionsPerAccount - drawn.count
            if missing == 0 { break }
            if random.integer(in: 1...Int64(securities.count - index)) <= Int64(missing) { drawn.append(security) }
        }
        return drawn
    }
}

/// A weight between a half and three halves of the mean, such that all weights of an account add up to 0.9 at most.
func randomWeight(positionCount: Int, _ random: inout SeededRandom) -> TargetWeight {
    let mean = max(TargetWeight.unitsPerWhole * 6 / 10 / Int64(max(positionCount, 1)), 2)
    return TargetWeight(units: random.integer(in: mean / 2...mean * 3 / 2))
}
