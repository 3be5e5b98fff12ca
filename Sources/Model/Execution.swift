// One partial fill of a block order, as every stage sees it.

/// An execution: `quantity` shares of a block order at `price`.
public struct Execution: Sendable, Equatable {
    public let id: ExecutionID
    public let blockOrder: BlockOrderID
    /// Shares, above 0.
    public let quantity: Int64
    public let price: Price

    public init(id: ExecutionID, blockOrder: BlockOrderID, quantity: Int64, price: Price) {
        self.id = id
        self.blockOrder = blockOrder
        self.quantity = quantity
        self.price = price
    }

    /// Quantity × price in ticks.
    public var notionalTicks: Int128 { Int128(quantity) * Int128(price.ticks) }
}
