// What a worker expects of a block before it asks the database: where it will stand, and whether a snapshot will be due.

import Model

/// One block as a worker knows it, with everything that is on its way.
struct BlockOutlook {
    /// While all messages of the block come to this worker, never fewer live shares and executions than the truth. A snapshot
    /// that a wrong guess misses is taken in a transaction of its own.
    private(set) var state: BlockState
    /// Whether nothing is known to have gone otherwise than expected since the database last told the state.
    private(set) var isTrusted = true

    init(_ state: BlockState) { self.state = state }

    mutating func expect(trade quantity: Int64, priceTicks: Int64) {
        state.cumQuantity += quantity
        state.notionalTicks += Int128(quantity) * Int128(priceTicks)
        state.executionCount += 1
    }

    /// A snapshot of what is expected is on its way.
    mutating func expectSnapshot() { state = state.allocated() }

    /// The database has told something else than what was expected. What is on its way may be wrong, too; the next state that
    /// it tells while nothing is begins a new outlook.
    mutating func distrust() { isTrusted = false }

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

    /// Whether a snapshot of the expected state may go along with the trades that lead to it: of a block that is being filled
    /// for the first time.
    var mayBeSnapshot: Bool { isTrusted && !isSensitive && !state.isOverfilled && state.notionalTicks <= Int64.max }

    /// A block that is canceled, or was final at its last snapshot: whatever comes makes a snapshot due.
    private var isSensitive: Bool { state.isCanceled || state.allocatedIsFinal }
}
