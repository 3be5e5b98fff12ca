// The rows of the holdings schema as values.

public import Model

public struct Manager: Sendable, Hashable {
    public let id: ManagerID
    public let name: String
    /// Orders of one group are aggregated into common block orders.
    public let group: Int64
}

public struct Account: Sendable, Hashable {
    public let id: AccountID
    public let managerID: ManagerID
    public let name: String
    /// In ticks of 0.0001.
    public let cashTicks: Int64
    /// Empty for none.
    public let sectorPreference: String
    public let riskClass: RiskClass
    /// The broker that its trades are stepped out to; empty for none.
    public let targetBroker: String
}

public struct Position: Sendable, Hashable {
    public let accountID: AccountID
    public let securityID: SecurityID
    public let quantity: Int64
}

/// An account with everything it holds.
public struct Portfolio: Sendable, Hashable {
    public let account: Account
    public let positions: [Position]
}

/// A security that positions may be held in, with its open on the day of routing.
public struct TradableSecurity: Sendable, Hashable {
    public let id: SecurityID
    public let open: Price
    public let lotSize: Int64
    /// Empty for none.
    public let sector: String

    public init(id: SecurityID, open: Price, lotSize: Int64 = 1, sector: String = "") {
        self.id = id
        self.open = open
        self.lotSize = lotSize
        self.sector = sector
    }
}
