// What a worker expects of a block before it asks the database: where it will stand, and whether a snapshot will be due.

import Model

/// One block as a worker knows it, with everything that is on its way.
struct BlockOutlook {
    /// Where the block will stand. Exact where the worker's transactions are foreseen ones; elsewhere a message that came before, or
    /// is sent again, counts here once more, so that there are never fewer live shares and executions than the truth.
    private(set) var state: BlockState

    init(_ state: BlockState) { self.state = state }

    mutating func expect(trade quantity: Int64, priceTicks: Int64) {
        state.cumQuantity += quantity
        state.notionalTicks += Int128(quantity) * Int128(priceTicks)
        state.executionCount += 1
    }

    /// A snapshot of what is expected is on its way.
    mutating func expectSnapshot() { state = state.allocated() }

    /// The opposite of `expect`, for a transaction that has failed. What came last is taken back first.
    mutating func takeBack(trade quantity: Int64, priceTicks: Int64) {
        state.cumQuantity -= quantity
        state.notionalTicks -= Int128(quantity) * Int128(priceTicks)
        state.executionCount -= 1
    }

    /// Whether a snapshot may be due once everything expected has come. By time it is looked at elsewhere.
    func mayBeDue(_ policy: SnapshotPolicy) -> Bool {
        if isSensitive || state.cumQuantity >= state.orderQuantity { return true }
        switch policy {
        case .fraction(let parts):
            return state.cumQuantity * parts / state.orderQuantity
                > state.allocatedQuantity * parts / state.orderQuantity
        case .executions(let count): return state.executionCount / count > state.allocatedExecutionCount / count
        case .interval, .completion: return false
        }
    }

    /// Whether trades may be foreseen to lead here: of a block that is being filled for the first time. An amount must fit an INT8
    /// of the database, and so must one that rounding makes of it.
    var isForeseeable: Bool {
        let amounts = 0...Int128(Int64.max / 2)
        return !isSensitive && !state.isOverfilled && state.cumQuantity >= state.allocatedQuantity
            && amounts.contains(state.notionalTicks) && amounts.contains(state.allocatedNotionalTicks)
    }

    /// A block that is canceled, or was final at its last snapshot: whatever comes makes a snapshot due.
    private var isSensitive: Bool { state.isCanceled || state.allocatedIsFinal }
}
