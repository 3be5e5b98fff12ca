// The rows of the trades stage as Swift sees them.

public import Model

/// A block order to be filled, with the day's price range of its security.
public struct FillableBlock: Sendable, Equatable {
    public let id: BlockOrderID
    public let code: String
    /// Shares, above 0.
    public let quantity: Int64
    public let low: Price
    public let high: Price

    public init(id: BlockOrderID, code: String, quantity: Int64, low: Price, high: Price) {
        self.id = id
        self.code = code
        self.quantity = quantity
        self.low = low
        self.high = high
    }
}

/// An execution as it is drawn: the row without its key.
public struct DrawnExecution: Sendable, Equatable {
    /// Position of its block in the list that was drawn from.
    public let block: Int
    public let quantity: Int64
    public let price: Price
    /// Microseconds since the session opened.
    public let sessionTimeUs: Int64
}

/// What drawing executions did.
public struct ExecutionSummary: Sendable, Equatable {
    /// Executions written now.
    public let writtenCount: Int64
    /// Executions of the date that stood there before.
    public let resumedCount: Int64
    public let firstExecution: ExecutionID
    /// Whether every block order is complete.
    public let isComplete: Bool
}
