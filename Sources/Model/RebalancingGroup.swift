// A group of accounts that are rebalanced together, as a value: seeding makes it, the orders stage keeps it.

/// How much risk an account takes, in the words the tables hold.
public enum RiskClass: String, Sendable, Hashable, CaseIterable {
    case low = "LOW"
    case medium = "MEDIUM"
    case high = "HIGH"
}

/// Who belongs to a group, and what its accounts are to hold. An account belongs to the first group, by id, whose criteria
/// it meets.
public struct RebalancingGroup: Sendable, Hashable {
    public struct Target: Sendable, Hashable {
        public let securityID: SecurityID
        public let weight: TargetWeight

        public init(securityID: SecurityID, weight: TargetWeight) {
            self.securityID = securityID
            self.weight = weight
        }
    }

    public let id: Int64
    public let name: String
    // What is nil asks nothing.
    public var managerGroup: Int64?
    /// The least net asset value at the day's open, in ticks.
    public var minimumTicks: Int64?
    /// What the net asset value must stay below, in ticks.
    public var maximumTicks: Int64?
    public var sectorPreference: String?
    public var riskClass: RiskClass?
    /// How far the weight of a position may be off its target before it is traded.
    public let tolerance: TargetWeight
    /// In the order of securities.
    public let targets: [Target]

    public init(id: Int64, name: String, tolerance: TargetWeight, targets: [Target]) {
        self.id = id
        self.name = name
        self.tolerance = tolerance
        self.targets = targets
    }

    /// Whether an account meets the criteria.
    public func admits(
        managerGroup: Int64, netAssetValueTicks: Int64, sectorPreference: String, riskClass: RiskClass
    ) -> Bool {
        (self.managerGroup ?? managerGroup) == managerGroup
            && netAssetValueTicks >= minimumTicks ?? .min && (maximumTicks.map { netAssetValueTicks < $0 } ?? true)
            && (self.sectorPreference ?? sectorPreference) == sectorPreference
            && (self.riskClass ?? riskClass) == riskClass
    }
}
