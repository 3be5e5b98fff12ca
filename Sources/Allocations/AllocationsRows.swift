// The rows of the allocations stage as Swift sees them: the blocks to fill with their accounts, and where blocks stand.

public import Model

/// A block order as the workers receive it: its accounts and how to divide fills among them.
public struct Block: Sendable {
    public let id: BlockOrderID
    /// The key of its messages.
    public let code: String
    /// In ascending order, as the apportionment breaks ties.
    public let accounts: [AccountID]
    public let quota: QuotaApportionment

    public init(id: BlockOrderID, code: String, accounts: [AccountID], quota: QuotaApportionment) {
        self.id = id
        self.code = code
        self.accounts = accounts
        self.quota = quota
    }

    /// Shares of the whole block.
    public var orderedQuantity: Int64 { quota.total }
}

/// Every block of a run, shared by all workers of a process; nothing of it changes.
public struct BlockBook: Sendable {
    public let blocks: [Block]
    private let positions: [BlockOrderID: Int]

    public init(blocks: [Block]) {
        self.blocks = blocks
        positions = Dictionary(uniqueKeysWithValues: blocks.enumerated().map { ($1.id, $0) })
    }

    /// The block's position in `blocks`; nil for a block that was never routed.
    public func position(of id: BlockOrderID) -> Int? { positions[id] }
}

/// Where a block stands after a transaction moved it, as `capture_and_fill` answers.
struct BlockMove {
    /// Its position in the book.
    let block: Int
    let filledQuantity: Int64
    let notionalTicks: Int128
    let snapshotNumber: Int64
    let allocatedQuantity: Int64
}

/// One account's share of a snapshot.
struct AccountAllocation: Equatable {
    let account: AccountID
    let quantityDelta: Int64
    let quantityCumulative: Int64
}

/// What one snapshot of one block writes.
struct Snapshot: Equatable {
    let block: BlockOrderID
    let number: Int64
    let averagePrice: Price
    let allocations: [AccountAllocation]
}

extension Block {
    /// The snapshot that follows from where the block stands: a pure function, so that repeating it changes nothing.
    /// An account appears once it holds shares, also when this snapshot only moved its price.
    func snapshot(after move: BlockMove) -> Snapshot {
        let cumulative = quota.allocate(move.filledQuantity)
        let previous = move.allocatedQuantity == 0 ? nil : quota.allocate(move.allocatedQuantity)
        let average = AveragePrice(notionalTicks: move.notionalTicks, quantity: move.filledQuantity)
        return Snapshot(
            block: id, number: move.snapshotNumber + 1, averagePrice: average.price,
            allocations: accounts.indices.compactMap { index in
                guard cumulative[index] > 0 else { return nil }
                return AccountAllocation(
                    account: accounts[index], quantityDelta: cumulative[index] - (previous?[index] ?? 0),
                    quantityCumulative: cumulative[index])
            })
    }
}
