// What a worker expects of a block before it asks the database: whether a unit of work may make a snapshot due.

import Model

/// One block as a worker knows it, in the few numbers that the decision takes.
struct BlockOutlook {
    /// Live shares and executions, those on their way included: never less than the truth while all messages of the block
    /// come to this worker. A snapshot that a wrong guess misses is taken in a transaction of its own.
    private var cumQuantity: Int64
    private var executionCount: Int64
    private let allocatedQuantity: Int64
    private let allocatedExecutionCount: Int64
    private let orderQuantity: Int64
    /// A block that is canceled, or was final at its last snapshot: whatever comes makes a snapshot due.
    private let isSensitive: Bool

    init(_ state: BlockState) {
        cumQuantity = state.cumQuantity
        executionCount = state.executionCount
        allocatedQuantity = state.allocatedQuantity
        allocatedExecutionCount = state.allocatedExecutionCount
        orderQuantity = state.orderQuantity
        isSensitive = state.isCanceled || state.allocatedIsFinal
    }

    mutating func expect(trade quantity: Int64) {
        cumQuantity += quantity
        executionCount += 1
    }

    /// Whether a snapshot may be due once everything expected has come. By time it is looked at elsewhere.
    func mayBeDue(_ policy: SnapshotPolicy) -> Bool {
        if isSensitive || cumQuantity >= orderQuantity { return true }
        switch policy {
        case .fraction(let parts):
            return cumQuantity * parts / orderQuantity > allocatedQuantity * parts / orderQuantity
        case .executions(let count): return executionCount / count > allocatedExecutionCount / count
        case .interval, .completion: return false
        }
    }
}
