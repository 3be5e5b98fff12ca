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
}

public struct Position: Sendable, Hashable {
    public let accountID: AccountID
    public let securityID: SecurityID
    public let quantity: Int64
    public let targetWeight: TargetWeight
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

    public init(id: SecurityID, open: Price) {
        self.id = id
        self.open = open
    }
}
