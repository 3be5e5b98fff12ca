// Where managers, accounts and positions come from: a generator with natural drifts, or one that makes an exact
// workload (`HoldingsSource+Workload.swift`). Pure: whole numbers, no database, any thread.

public import Diagnostics
import Measurement
public import Model

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

    /// What the accounts are rebalanced to, in the order of ids.
    public func groups() -> [RebalancingGroup] {
        switch self {
        case .natural(let holdings): holdings.groups
        case .workload(let holdings): holdings.groups()
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
        static let groups: UInt64 = 0x4752_4F55_5053
        static let accounts: UInt64 = 0x4143_434F_554E
    }
}

/// What tells an account apart from others beside what it holds.
struct AccountTraits {
    let sectorPreference: String
    let riskClass: RiskClass
    let targetBroker: String

    private static let brokers = ["NORTHGATE", "HARBOUR", "MERIDIAN"]

    /// A third of the accounts prefer a sector, and one in twelve has its trades stepped out. From a stream of its own, so
    /// that what an account holds doesn't depend on it.
    init(ofAccountAt index: Int, seed: UInt64, sectors: [String]) {
        var random = SeededRandom(seed: seed, stream: HoldingsSource.Stream.accounts, UInt64(index))
        let prefers = random.integer(in: 1...3) == 1 && !sectors.isEmpty
        sectorPreference = prefers ? sectors[Int(random.integer(in: 0...Int64(sectors.count - 1)))] : ""
        riskClass =
            [.low, .low, .low, .medium, .medium, .medium, .medium, .medium, .high, .high][
                Int(random.integer(in: 0...9))]
        targetBroker =
            random.integer(in: 1...12) == 1 ? Self.brokers[Int(random.integer(in: 0...2))] : ""
    }
}

/// The sectors of some securities, each once, in the order of their names.
func sectors(of securities: [TradableSecurity]) -> [String] {
    Set(securities.map(\.sector)).subtracting([""]).sorted()
}

/// Holdings whose drifts against the targets of their groups are what months of trading leave.
public struct NaturalHoldings: Sendable {
    public let seed: UInt64
    public let securities: [TradableSecurity]
    public let managerCount: Int
    public let managerGroupCount: Int
    public let accountCount: Int
    public let positionsPerAccount: Int
    let groups: [RebalancingGroup]
    private let sectors: [String]

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
        sectors = Holdings.sectors(of: securities)
        groups = NaturalGroups(seed: seed, securities: securities, targetCount: positionsPerAccount).groups()
    }

    static let accountsPerUnit = 100

    var unitCount: Int { (accountCount + Self.accountsPerUnit - 1) / Self.accountsPerUnit }

    func portfolios(in unit: Int) -> [Portfolio] {
        let first = unit * Self.accountsPerUnit
        let byID = Dictionary(uniqueKeysWithValues: securities.map { ($0.id, $0) })
        return (first..<min(first + Self.accountsPerUnit, accountCount)).map { portfolio(at: $0, byID) }
    }

    private func portfolio(at index: Int, _ byID: [SecurityID: TradableSecurity]) -> Portfolio {
        var random = SeededRandom(seed: seed, stream: HoldingsSource.Stream.portfolio, UInt64(index))
        let traits = AccountTraits(ofAccountAt: index, seed: seed, sectors: sectors)
        let netAssetValue = (1 + random.integer(in: 0...99)) * 100_000 * Price.ticksPerUnit
        let group = groups.first {
            $0.admits(
                managerGroup: Int64(index % managerCount % managerGroupCount + 1), netAssetValueTicks: netAssetValue,
                sectorPreference: traits.sectorPreference, riskClass: traits.riskClass)
        }
        var ideals = (group?.targets ?? ownTargets(&random)).compactMap { target in
            byID[target.securityID].map { Ideal(security: $0, weight: target.weight, netAssetValue: netAssetValue) }
        }
        if group != nil, random.integer(in: 1...20) == 1 { replaceOne(of: &ideals, netAssetValue, &random) }
        var cashTicks = netAssetValue - ideals.reduce(0) { $0 + $1.quantity * $1.security.open.ticks }
        let accountID = AccountID(Int64(index + 1))
        let positions = ideals.map { ideal in
            let drift = drift(of: ideal, cashTicks: cashTicks, &random)
            cashTicks -= drift * ideal.security.open.ticks
            return Position(accountID: accountID, securityID: ideal.security.id, quantity: ideal.quantity + drift)
        }
        let account = Account(
            id: accountID, managerID: ManagerID(Int64(index % managerCount + 1)), name: "Account \(index + 1)",
            cashTicks: cashTicks, sectorPreference: traits.sectorPreference, riskClass: traits.riskClass,
            targetBroker: traits.targetBroker)
        return Portfolio(account: account, positions: positions)
    }

    /// A position before it drifts.
    private struct Ideal {
        let security: TradableSecurity
        let quantity: Int64

        init(security: TradableSecurity, weight: TargetWeight, netAssetValue: Int64) {
            self.security = security
            quantity = weight.targetQuantity(
                netAssetValueTicks: netAssetValue, open: security.open, lotSize: security.lotSize)
        }
    }

    /// Something that the group doesn't want any more, in place of something that it does.
    private func replaceOne(of ideals: inout [Ideal], _ netAssetValue: Int64, _ random: inout SeededRandom) {
        guard !ideals.isEmpty, ideals.count < securities.count else { return }
        let held = Set(ideals.map(\.security.id))
        let start = Int(random.integer(in: 0...Int64(securities.count - 1)))
        guard let other = (securities[start...] + securities[..<start]).first(where: { !held.contains($0.id) }) else {
            return
        }
        ideals.remove(at: Int(random.integer(in: 0...Int64(ideals.count - 1))))
        // As much as an average target, of 0.9 at most altogether.
        let weight = TargetWeight(units: TargetWeight.unitsPerWhole * 7 / 10 / Int64(ideals.count + 1))
        let place = ideals.firstIndex { $0.security.id > other.id } ?? ideals.count
        ideals.insert(Ideal(security: other, weight: weight, netAssetValue: netAssetValue), at: place)
    }

    /// A third of the positions are on target; the others are off by up to 40 % in whole lots, upwards as far as the cash
    /// goes. Where a lot is more than a share, some positions end on an odd lot.
    private func drift(of ideal: Ideal, cashTicks: Int64, _ random: inout SeededRandom) -> Int64 {
        let (open, lotSize) = (ideal.security.open.ticks, ideal.security.lotSize)
        let kind = random.integer(in: 0...2)
        let size = ideal.quantity / lotSize * random.integer(in: 1...400) / 1000 * lotSize
        let oddPart = lotSize > 1 && random.integer(in: 1...10) == 1 ? random.integer(in: 1...lotSize - 1) : 0
        let wanted = (kind == 0 ? 0 : kind == 1 ? size : -size) + oddPart
        return wanted <= 0 || wanted <= cashTicks / open ? wanted : 0
    }

    /// What an account without a group holds.
    private func ownTargets(_ random: inout SeededRandom) -> [RebalancingGroup.Target] {
        drawnSecurities(&random).map {
            RebalancingGroup.Target(
                securityID: $0.id, weight: randomWeight(positionCount: positionsPerAccount, &random))
        }
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
