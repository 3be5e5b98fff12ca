// Where a block order stands, and whether its fills are due to be allocated. Pure.

/// FIX's OrdStatus of a block order, in the words that tables hold.
public enum OrdStatus: String, Sendable, Hashable, CaseIterable {
    case new = "NEW"
    case partiallyFilled = "PARTIALLY_FILLED"
    case filled = "FILLED"
    case canceled = "CANCELED"
}

/// The live executions of a block order, its latest change, and what its last snapshot allocated.
public struct BlockState: Sendable, Equatable {
    /// CumQty: shares of the executions that no bust has reversed.
    public var cumQuantity: Int64
    /// Σ quantity × price of these executions, in ticks.
    public var notionalTicks: Int128
    public var executionCount: Int64
    /// OrderQty since the latest replace.
    public var orderQuantity: Int64
    public var isCanceled: Bool

    /// The last snapshot, 0 before the first, and where the block stood when it was taken.
    public var snapshotNumber: Int64
    public var allocatedQuantity: Int64
    public var allocatedNotionalTicks: Int128
    public var allocatedExecutionCount: Int64
    public var allocatedIsFinal: Bool
    public var allocatedIsCanceled: Bool

    /// A block order that nothing has happened to.
    public init(orderQuantity: Int64) {
        self.orderQuantity = orderQuantity
        cumQuantity = 0
        notionalTicks = 0
        executionCount = 0
        isCanceled = false
        snapshotNumber = 0
        allocatedQuantity = 0
        allocatedNotionalTicks = 0
        allocatedExecutionCount = 0
        allocatedIsFinal = false
        allocatedIsCanceled = false
    }

    /// Whether nothing is left to fill; a bust, a replace or a late fill may still change that.
    public var isFinal: Bool { isCanceled || cumQuantity == orderQuantity }

    public var ordStatus: OrdStatus {
        if isCanceled { return .canceled }
        if cumQuantity == 0 { return .new }
        return cumQuantity == orderQuantity ? .filled : .partiallyFilled
    }

    /// LeavesQty: shares that may still be filled.
    public var leavesQuantity: Int64 { isCanceled ? 0 : orderQuantity - cumQuantity }

    /// Whether more is filled than ordered. Only while a bust or a replace is still to come: nothing is allocated then.
    public var isOverfilled: Bool { cumQuantity > orderQuantity }

    /// The state once a snapshot has been taken.
    public func allocated() -> BlockState {
        var state = self
        state.snapshotNumber += 1
        state.allocatedQuantity = cumQuantity
        state.allocatedNotionalTicks = notionalTicks
        state.allocatedExecutionCount = executionCount
        state.allocatedIsFinal = isFinal
        state.allocatedIsCanceled = isCanceled
        return state
    }

    /// Whether a snapshot must be taken now.
    /// - Parameter elapsedMs: time since the last snapshot, or since the first fill; only the interval policy asks for it.
    public func isSnapshotDue(_ policy: SnapshotPolicy, elapsedMs: Int64) -> Bool {
        if isOverfilled || isAsAllocated { return false }
        if isFinal || allocatedIsFinal || cumQuantity < allocatedQuantity { return true }
        switch policy {
        case .fraction(let parts):
            return cumQuantity * parts / orderQuantity > allocatedQuantity * parts / orderQuantity
        case .executions(let count): return executionCount / count > allocatedExecutionCount / count
        case .interval(let milliseconds): return elapsedMs >= milliseconds
        case .completion: return false
        }
    }

    /// Whether another snapshot would say what the last one said.
    private var isAsAllocated: Bool {
        if snapshotNumber == 0 { return cumQuantity == 0 }
        return cumQuantity == allocatedQuantity && notionalTicks == allocatedNotionalTicks
            && isFinal == allocatedIsFinal && isCanceled == allocatedIsCanceled
    }
}
