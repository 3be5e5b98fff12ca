// The rows of the orders stage as Swift sees them.

public import Model

/// What routing one trade date made.
public struct RoutingSummary: Sendable, Equatable {
    public let date: TradeDate
    public let customerOrderCount: Int64
    public let blockOrderCount: Int64
    /// Shares of all block orders.
    public let quantity: Int64
    /// Accounts or positions that were left alone, by reason.
    public let outcomes: [String: Int64]
}
