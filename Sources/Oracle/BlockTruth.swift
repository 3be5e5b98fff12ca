// Where a block order stands according to its messages, and every row that follows from it.

/// What of a block doesn't change with its messages.
public struct BlockOrder: Sendable {
    /// The share that one account wants of the block.
    public struct Leg: Sendable, Equatable {
        public var account: Int64
        public var quantity: Int64
        /// The customer order's id: the smaller came first.
        public var arrival: Int64

        public init(account: Int64, quantity: Int64, arrival: Int64) {
            self.account = account
            self.quantity = quantity
            self.arrival = arrival
        }
    }

    public var id: Int64
    public var isBuy: Bool
    public var security: Int64
    /// Days since 1970-01-01.
    public var tradeDay: Int64
    public var orderQuantity: Int64
    /// The policy's name.
    public var policy: String
    public var lotSize: Int64
    public var minimumTicketLots: Int64
    /// In ascending order of account.
    public var legs: [Leg]

    public init(
        id: Int64, isBuy: Bool = true, security: Int64 = 1, tradeDay: Int64 = 0, orderQuantity: Int64,
        policy: String = "pro_rata", lotSize: Int64 = 1, minimumTicketLots: Int64 = 1, legs: [Leg] = []
    ) {
        self.id = id
        self.isBuy = isBuy
        self.security = security
        self.tradeDay = tradeDay
        self.orderQuantity = orderQuantity
        self.policy = policy
        self.lotSize = lotSize
        self.minimumTicketLots = minimumTicketLots
        self.legs = legs
    }
}

/// A block order and the sums over the messages that concern it.
public struct BlockTruth: Sendable {
    public internal(set) var order: BlockOrder
    /// CumQty, Σ quantity × price in ticks, and number of the executions that no bust reverses.
    public private(set) var cumQuantity: Int64 = 0
    public private(set) var notionalTicks: Int128 = 0
    public private(set) var executionCount: Int64 = 0
    /// The highest version of a cancel or replace, and what it says.
    public private(set) var orderVersion: Int64 = 0
    public private(set) var orderQuantity: Int64
    public private(set) var isCanceled = false

    public init(_ order: BlockOrder) {
        self.order = order
        orderQuantity = order.orderQuantity
    }

    /// A later change stands on the earlier ones: a replace of a canceled order doesn't exist, so a cancel stays.
    mutating func note(version: Int64, orderQuantity quantity: Int64, isCancel: Bool) {
        guard version > orderVersion else { return }
        orderVersion = version
        orderQuantity = quantity
        isCanceled = isCancel
    }

    mutating func count(quantity: Int64, priceTicks: Int64) {
        cumQuantity += quantity
        notionalTicks += Int128(quantity) * Int128(priceTicks)
        executionCount += 1
    }

    /// Nothing is left to fill.
    public var isFinal: Bool { isCanceled || cumQuantity == orderQuantity }
    public var isOverfilled: Bool { cumQuantity > orderQuantity }

    /// OrdStatus, by its FIX name.
    public var ordStatus: String {
        if isCanceled { return "CANCELED" }
        if cumQuantity == 0 { return "NEW" }
        return cumQuantity == orderQuantity ? "FILLED" : "PARTIALLY_FILLED"
    }

    /// Whether the last snapshot must stand exactly here, whatever the snapshot policy is. A block that ended without ever
    /// having been filled may or may not have a snapshot of nothing.
    public var isSettled: Bool { isFinal && !isOverfilled }

    /// Whether the block is booked: it ended, with fills.
    public var isBooked: Bool { isSettled && cumQuantity > 0 }

    /// What every account holds when so many of the block's shares are allocated, in order of account.
    public func allocation(of quantity: Int64) -> [Int64] { allocations(at: [quantity])[0] }

    /// The same for several quantities at once, for little more than the largest of them costs.
    public func allocations(at quantities: [Int64]) -> [[Int64]] {
        PolicyDivision(order).allocate(quantities)
    }

    /// The price of every account's shares, and what it leaves over of the notional.
    public var averagePrice: RoundedPrice { RoundedPrice(notionalTicks: notionalTicks, quantity: cumQuantity) }
}

/// Notional ÷ quantity to the nearest tick, halves up; nothing costs nothing.
public struct RoundedPrice: Sendable, Equatable {
    public let ticks: Int64
    public let residualTicks: Int128

    public init(notionalTicks: Int128, quantity: Int64) {
        guard quantity > 0 else {
            ticks = 0
            residualTicks = notionalTicks
            return
        }
        let (whole, rest) = notionalTicks.quotientAndRemainder(dividingBy: Int128(quantity))
        let isUp = rest * 2 >= Int128(quantity)
        ticks = Int64(isUp ? whole + 1 : whole)
        residualTicks = isUp ? rest - Int128(quantity) : rest
    }
}

// MARK: Bookings

/// What the booking of one account says.
public struct AccountBooking: Sendable, Equatable {
    public let account: Int64
    public let intendedQuantity: Int64
    public let allocatedQuantity: Int64
    public let averagePriceTicks: Int64
    /// What the account gets, below 0 what it pays, in ticks.
    public let netMoneyTicks: Int128
    /// What its position moves by.
    public let positionDelta: Int64
}

extension BlockTruth {
    /// One row per account behind the block, also for those that got nothing; none unless the block is booked.
    public var bookings: [AccountBooking] {
        guard isBooked else { return [] }
        let price = averagePrice.ticks
        return zip(order.legs, allocation(of: cumQuantity)).map { leg, quantity in
            let money = Int128(quantity) * Int128(price)
            return AccountBooking(
                account: leg.account, intendedQuantity: leg.quantity, allocatedQuantity: quantity,
                averagePriceTicks: price, netMoneyTicks: order.isBuy ? -money : money,
                positionDelta: order.isBuy ? quantity : -quantity)
        }
    }

    /// Trade date + 1 business day: the next day that is neither Saturday nor Sunday. 1970-01-01 was a Thursday.
    public var settlementDay: Int64 {
        var day = order.tradeDay + 1
        // 0 is Thursday, so 2 and 3 are the weekend.
        while [2, 3].contains((day % 7 + 7) % 7) { day += 1 }
        return day
    }
}
