// What a pipeline has sent and not been answered yet. Pure.

/// The statements and syncs on their way, in the order of sending.
struct PendingAnswers {
    /// Statements and syncs together.
    private(set) var count = 0
    /// Statements behind the last sync.
    private var unsyncedCount = 0
    /// For each sync, oldest first, the statements before it that weren't answered. Begins at `head`: what is removed stays
    /// until everything is answered, so that a removal moves nothing.
    private var statementCounts: [Int] = []
    private var head = 0

    var hasUnsynced: Bool { unsyncedCount > 0 }
    /// Whether everything sent before the oldest sync has been answered.
    var isSyncNext: Bool { head < statementCounts.count && statementCounts[head] == 0 }

    mutating func appendStatement() {
        count += 1
        unsyncedCount += 1
    }

    mutating func appendSync() {
        count += 1
        statementCounts.append(unsyncedCount)
        unsyncedCount = 0
    }

    /// The oldest statement was answered, or the oldest sync if no statement before it is left.
    mutating func removeFirst() {
        count -= 1
        if head == statementCounts.count {
            unsyncedCount -= 1
        } else if statementCounts[head] > 0 {
            statementCounts[head] -= 1
        } else {
            head += 1
            if head == statementCounts.count || head >= 1024 {
                statementCounts.removeFirst(head)
                head = 0
            }
        }
    }
}
