// The rows of the orders stage as Swift sees them.

public import Model

/// What to route, and how the blocks that come of it are to be allocated.
public struct RoutingPlan: Sendable {
    public var date: TradeDate
    /// Whether to forget an earlier routing of the date first.
    public var replace = false
    /// Dealt to the block orders in turn, by their ids; at least one.
    public var policies: [AllocationPolicy] = [.proRata]
    /// Stands in the table beside every policy other than `proRata`, which needs no reason.
    public var policyReason = "chosen for the workload"
    public var minimumTicketLots: Int64 = 1

    public init(date: TradeDate) { self.date = date }

    /// Why a block isn't divided pro rata, and what its accounts must know of the policy.
    func reason(for policy: AllocationPolicy) -> String {
        if policy == .proRata { return "" }
        return policy.mayTakeBack ? policyReason + "; may take shares back while the block fills" : policyReason
    }
}

/// What routing one trade date made.
public struct RoutingSummary: Sendable, Equatable {
    public let date: TradeDate
    /// Rebalancing groups, whether or not any of their accounts had drifted.
    public let groupCount: Int64
    /// Accounts that had drifted.
    public let requestCount: Int64
    public let customerOrderCount: Int64
    public let blockOrderCount: Int64
    /// Shares of all block orders.
    public let quantity: Int64
    /// Accounts or positions that were left alone, by reason.
    public let outcomes: [String: Int64]
}

/// What routing some requests made.
public struct RoutedRequests: Sendable, Equatable {
    /// Less than were asked for when somebody had routed some before.
    public let requestCount: Int64
    public let customerOrderCount: Int64
    /// Purchases that were cut or dropped.
    public let withoutCashCount: Int64
}
