// One execution report of a block order, as every stage sees it: a fill, its reversal, or a change of the order.

/// What an execution report says: FIX's ExecType. The raw value stands in arrays that a statement takes.
public enum ExecType: Int64, Sendable, Hashable, CaseIterable {
    /// A partial fill.
    case trade = 1
    /// A bust: one named execution never happened.
    case tradeCancel = 2
    /// What is left of the block order is given up.
    case canceled = 3
    /// The block order has another quantity from here on.
    case replaced = 4

    /// The word that tables and messages hold.
    public var word: String {
        switch self {
        case .trade: "TRADE"
        case .tradeCancel: "TRADE_CANCEL"
        case .canceled: "CANCELED"
        case .replaced: "REPLACED"
        }
    }
}

/// A row of `trades.executions`. Everything but a trade has neither shares nor price of its own.
public struct Execution: Sendable, Equatable {
    public let id: ExecutionID
    public let type: ExecType
    /// Of a bust, the execution that it reverses.
    public let reference: ExecutionID?
    public let blockOrder: BlockOrderID
    /// How often the block order was canceled or replaced up to this report; what a consumer reads of a cancel or replace.
    public let orderVersion: Int64
    /// Shares of the block order since this report.
    public let orderQuantity: Int64
    /// Shares of a trade, above 0; else 0.
    public let quantity: Int64
    /// The price of a trade; else 0.
    public let price: Price

    public init(
        id: ExecutionID, type: ExecType = .trade, reference: ExecutionID? = nil, blockOrder: BlockOrderID,
        orderVersion: Int64 = 0, orderQuantity: Int64 = 1, quantity: Int64 = 0, price: Price = Price(ticks: 0)
    ) {
        self.id = id
        self.type = type
        self.reference = reference
        self.blockOrder = blockOrder
        self.orderVersion = orderVersion
        self.orderQuantity = orderQuantity
        self.quantity = quantity
        self.price = price
    }

    /// Quantity × price in ticks.
    public var notionalTicks: Int128 { Int128(quantity) * Int128(price.ticks) }
}
