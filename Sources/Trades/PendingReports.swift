// What the market has decided but not reported yet. Pure.

import Model

/// A report that waits for its turn.
struct PendingReport: Sendable {
    enum Kind: Sendable {
        /// A bust that reverses a live execution.
        case bust(of: Int64, quantity: Int64, price: Price)
        /// Another bust of an execution that is busted already.
        case secondBust(of: Int64)
        /// A bust of an execution that never was.
        case unknownBust
        /// A fill that was on its way when its order was canceled.
        case lateFill(quantity: Int64)
    }

    /// The event before which it isn't reported.
    let dueOrdinal: Int64
    let block: Int
    let kind: Kind
    /// Of two that are due at once, the one that was decided first comes first.
    fileprivate var decision: Int64 = 0

    init(dueOrdinal: Int64, block: Int, kind: Kind) {
        self.dueOrdinal = dueOrdinal
        self.block = block
        self.kind = kind
    }

    fileprivate func isBefore(_ other: Self) -> Bool {
        (dueOrdinal, decision) < (other.dueOrdinal, other.decision)
    }
}

/// Pending reports, the next one first: a binary heap. Reports wait for at most so many events, so their number has a bound
/// that doesn't depend on the length of the drawing.
struct PendingReports: Sendable {
    private var heap: [PendingReport] = []
    private var decisionCount: Int64 = 0

    var next: PendingReport? { heap.first }
    var isEmpty: Bool { heap.isEmpty }
    var count: Int { heap.count }

    mutating func insert(_ report: PendingReport) {
        var report = report
        report.decision = decisionCount
        decisionCount += 1
        heap.append(report)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeNext() {
        guard let last = heap.popLast(), !heap.isEmpty else { return }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
