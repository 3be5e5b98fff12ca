// How far the server's log is safe in the broker. Pure: told of what was sent and acknowledged, it answers the position.

import Postgres

/// Transactions in commit order, each with its messages that the broker has not acknowledged yet.
struct FeedProgress {
    private struct Transaction {
        var pendingCount = 0
        /// When it was committed, in nanoseconds since 1970 by the server's clock.
        let committedNs: Int64
        /// Where the transaction ends; nil until its commit came by.
        var endLSN: LSN?
    }

    /// The oldest transaction that isn't wholly acknowledged has this number; `open` starts with it.
    private var firstNumber: UInt64 = 1
    private var open: [Transaction] = []
    /// Transactions of `open` before this index are done; they are dropped together.
    private var doneCount = 0

    /// Everything before this position is acknowledged by the broker.
    private(set) var flushedLSN: LSN

    init(from position: LSN) { flushedLSN = position }

    /// Whether nothing is waiting for the broker or for a commit.
    var isIdle: Bool { doneCount == open.count }

    /// - Parameter committedNs: when the transaction was committed, by the server's clock.
    mutating func begin(committedNs: Int64 = 0) { open.append(Transaction(committedNs: committedNs)) }

    /// Counts a message of the transaction that began last.
    /// - Returns: the number that its delivery report must bring back.
    mutating func send() -> UInt64 {
        open[open.count - 1].pendingCount += 1
        return firstNumber + UInt64(open.count - 1)
    }

    mutating func commit(endLSN: LSN) {
        open[open.count - 1].endLSN = endLSN
        advance()
    }

    /// The broker has a message of this transaction.
    /// - Returns: when the transaction was committed.
    @discardableResult
    mutating func acknowledge(_ number: UInt64) -> Int64 {
        let index = Int(number - firstNumber)
        let committedNs = open[index].committedNs
        open[index].pendingCount -= 1
        advance()
        return committedNs
    }

    /// The server's log holds nothing for us before this position.
    mutating func skip(to position: LSN) {
        if isIdle { flushedLSN = max(flushedLSN, position) }
    }

    private mutating func advance() {
        while doneCount < open.count, let end = open[doneCount].endLSN, open[doneCount].pendingCount == 0 {
            flushedLSN = max(flushedLSN, end)
            doneCount += 1
        }
        guard doneCount == open.count || doneCount >= 1024 else { return }
        open.removeFirst(doneCount)
        firstNumber += UInt64(doneCount)
        doneCount = 0
    }
}
