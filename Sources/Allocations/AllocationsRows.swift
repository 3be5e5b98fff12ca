// The rows of the allocations stage as Swift sees them: the blocks to fill with their accounts, and what a snapshot writes.

public import Model

/// A block order as the workers receive it: its accounts and how to divide fills among them.
public struct Block: Sendable {
    public let id: BlockOrderID
    /// The key of its messages.
    public let code: String
    /// In ascending order, as the division breaks ties.
    public let accounts: [AccountID]
    public let division: BlockDivision

    public init(id: BlockOrderID, code: String, accounts: [AccountID], division: BlockDivision) {
        self.id = id
        self.code = code
        self.accounts = accounts
        self.division = division
    }

    /// Shares that the accounts ordered together; a replaced block's order quantity differs.
    public var intendedQuantity: Int64 { division.total }
}

/// Every block of a run, shared by all workers of a process; nothing of it changes.
public struct BlockBook: Sendable {
    public let blocks: [Block]
    /// By the block's id less the lowest one, its position; -1 for an id between them that is no block's. Routing numbers blocks
    /// one after the other, so this is as long as `blocks` or little longer; empty where it would be much longer.
    private let positionsByNumber: [Int32]
    private let lowestNumber: Int64
    /// The same where ids lie far apart. A look-up takes twenty times as long, and there are two for each message.
    private let positions: [BlockOrderID: Int]

    public init(blocks: [Block]) {
        self.blocks = blocks
        let numbers = blocks.map(\.id.rawValue)
        lowestNumber = numbers.min() ?? 0
        let span = UInt64(bitPattern: (numbers.max() ?? 0) &- lowestNumber)
        guard span <= 4 * UInt64(blocks.count) + 1024 else {
            positionsByNumber = []
            positions = Dictionary(uniqueKeysWithValues: blocks.enumerated().map { ($1.id, $0) })
            return
        }
        var byNumber = [Int32](repeating: -1, count: Int(span) + 1)
        for (position, number) in numbers.enumerated() {
            let place = Int(number - lowestNumber)
            precondition(byNumber[place] < 0, "a block is there once")
            byNumber[place] = Int32(position)
        }
        positionsByNumber = byNumber
        positions = [:]
    }

    /// The block's position in `blocks`; nil for a block that was never routed.
    public func position(of id: BlockOrderID) -> Int? {
        if positionsByNumber.isEmpty { return positions[id] }
        let place = UInt64(bitPattern: id.rawValue &- lowestNumber)
        guard place < UInt64(positionsByNumber.count) else { return nil }
        let position = positionsByNumber[Int(place)]
        return position < 0 ? nil : Int(position)
    }
}

/// One account's share of a snapshot.
public struct AccountAllocation: Sendable, Equatable {
    public let account: AccountID
    /// Below 0 when a bust, or a policy that may take back, lowers what the account has.
    public let quantityDelta: Int64
    public let quantityCumulative: Int64
}

/// What one snapshot of one block writes.
public struct Snapshot: Sendable, Equatable {
    public let block: BlockOrderID
    public let number: Int64
    /// 0 when a bust has left nothing.
    public let averagePrice: Price
    public let isFinal: Bool
    /// Whether the bookings of the block may have to change: it is final now, or was at the last snapshot.
    public let isBookingDue: Bool
    /// The accounts whose quantity changed, in ascending order.
    public let allocations: [AccountAllocation]
}

extension Block {
    /// The snapshot that follows from where the block stands: a pure function, so that repeating it changes nothing.
    public func snapshot(of state: BlockState) -> Snapshot {
        var cursor = DivisionCursor(division)
        return snapshot(of: state, movingFrom: &cursor)
    }

    /// The same at the cost of what changed, if the cursor stands where the last snapshot left it.
    func snapshot(of state: BlockState, movingFrom cursor: inout DivisionCursor) -> Snapshot {
        cursor.move(to: state.allocatedQuantity) { _, _, _ in }
        var allocations: [AccountAllocation] = []
        cursor.move(to: state.cumQuantity) { index, delta, cumulative in
            allocations.append(
                AccountAllocation(account: accounts[index], quantityDelta: delta, quantityCumulative: cumulative))
        }
        let price =
            state.cumQuantity == 0
            ? Price(ticks: 0)
            : AveragePrice(notionalTicks: state.notionalTicks, quantity: state.cumQuantity).price
        return Snapshot(
            block: id, number: state.snapshotNumber + 1, averagePrice: price, isFinal: state.isFinal,
            isBookingDue: state.isFinal || state.allocatedIsFinal, allocations: allocations)
    }
}
