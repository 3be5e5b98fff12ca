// Distinct types for the keys that stages share, so that an account's key never stands where a security's belongs.

/// A key of one kind of row. `Row` only tells the kinds apart; nothing of it is stored.
@frozen
public struct Identifier<Row>: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: Int64
    @inlinable public init(_ rawValue: Int64) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { String(rawValue) }
}

public enum SecurityRow {}
public enum ManagerRow {}
public enum AccountRow {}
public enum BlockOrderRow {}
public enum ExecutionRow {}

public typealias SecurityID = Identifier<SecurityRow>
public typealias ManagerID = Identifier<ManagerRow>
public typealias AccountID = Identifier<AccountRow>
public typealias BlockOrderID = Identifier<BlockOrderRow>
public typealias ExecutionID = Identifier<ExecutionRow>

/// The side of an order, in the words the tables hold.
public enum Side: String, Sendable, CaseIterable {
    case buy = "BUY"
    case sell = "SELL"
}
