// The rows of the holdings schema as values, and the one formula that turns a weight into shares.

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

/// A share of an account's net asset value in units of 0.00000001, the scale of NUMERIC(9,8).
public struct TargetWeight: Sendable, Hashable, Comparable, CustomStringConvertible {
    public static let scale = 8
    public static let unitsPerWhole: Int64 = 100_000_000
    public let units: Int64

    public init(units: Int64) { self.units = units }

    public static func < (a: Self, b: Self) -> Bool { a.units < b.units }

    /// Always with eight decimals, as the tables print it: `0.02500000`.
    public var description: String {
        let rest = String(units % Self.unitsPerWhole)
        return "\(units / Self.unitsPerWhole).\(String(repeating: "0", count: Self.scale - rest.count))\(rest)"
    }

    /// Whole shares that this weight of `netAssetValueTicks` buys at `open`, rounded down: the formula of routing.
    public func targetQuantity(netAssetValueTicks: Int64, open: Price) -> Int64 {
        // 10⁸ × 10¹⁸ needs 87 bits.
        Int64(Int128(units) * Int128(netAssetValueTicks) / (Int128(Self.unitsPerWhole) * Int128(open.ticks)))
    }
}
