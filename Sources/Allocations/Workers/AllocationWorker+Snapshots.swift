// Snapshots: which blocks are due, what is written, and those that no message asks for: due by time, or left
// behind by a worker that was killed.

import Measurement
import Model
import Postgres

extension AllocationWorker {
    /// Notes what the database says of a block that nothing is in flight for.
    func note(_ state: BlockState, ofBlockAt block: Int) {
        outlooks[block] = BlockOutlook(state)
        trackUnallocated(state, ofBlockAt: block)
    }

    /// Under a policy by time, notes whether fills of the block wait for their snapshot.
    private func trackUnallocated(_ state: BlockState, ofBlockAt block: Int) {
        guard case .interval = plan.configuration.snapshots else { return }
        let isAllocated =
            state.cumQuantity == state.allocatedQuantity && state.notionalTicks == state.allocatedNotionalTicks
        if isAllocated || state.isOverfilled {
            unallocatedBlocks.remove(block)
        } else if unallocatedBlocks.insert(block).inserted, snapshotTimes[block] == nil {
            snapshotTimes[block] = monotonicNow()
        }
    }

    /// After a fill that wasn't expected to make a snapshot due. When messages of a block come to several workers, each of them
    /// knows too little, and the one whose fill reaches the limit finds out here.
    func noteFilled(_ moves: [BlockMove]) {
        for move in moves {
            trackUnallocated(move.state, ofBlockAt: move.block)
            if move.state.isSnapshotDue(plan.configuration.snapshots, elapsedMs: 0) {
                unexpectedBlocks.append(move.block)
            }
        }
    }

    // MARK: Due

    /// Takes the snapshots that were found due when they weren't expected to be. Only when nothing is in flight.
    func takeUnexpectedSnapshots() throws {
        guard !unexpectedBlocks.isEmpty else { return }
        try takeSnapshots(ofBlocksAt: Set(unexpectedBlocks).sorted())
        // Not before: a connection that is lost meanwhile must not make this worker forget them.
        unexpectedBlocks.removeAll()
    }

    /// The snapshots that are due among the blocks that moved.
    func dueSnapshots(_ moves: [BlockMove]) -> [DueSnapshot] {
        let now = monotonicNow()
        return moves.compactMap { move in
            let elapsedMs = (now - (snapshotTimes[move.block] ?? now)) / 1_000_000
            guard move.state.isSnapshotDue(plan.configuration.snapshots, elapsedMs: elapsedMs) else { return nil }
            return DueSnapshot(move: move, snapshot: snapshot(of: move))
        }
    }

    /// Follows the division of a block from one snapshot to the next until the block is final.
    func snapshot(of move: BlockMove) -> Snapshot {
        let block = plan.book.blocks[move.block]
        var cursor = divisions.removeValue(forKey: move.block) ?? DivisionCursor(block.division)
        let snapshot = block.snapshot(of: move.state, movingFrom: &cursor)
        if !move.state.isFinal { divisions[move.block] = cursor }
        return snapshot
    }

    /// Takes the snapshots into account once their transaction has committed.
    func noteTaken(_ due: [DueSnapshot]) {
        if isMeasuring(at: monotonicNow()) { figures.snapshotCount += Int64(due.count) }
        for snapshot in due { takenBlocks.append(snapshot.block) }
        guard case .interval = plan.configuration.snapshots else { return }
        let now = monotonicNow()
        for snapshot in due { snapshotTimes[snapshot.block] = now }
    }

    /// Under a policy by time, takes the snapshots whose time has come. Returns false if there are none.
    func takeOverdueSnapshots() throws -> Bool {
        guard case .interval(let milliseconds) = plan.configuration.snapshots, !unallocatedBlocks.isEmpty else {
            return false
        }
        let now = monotonicNow()
        guard now >= nextOverdueCheck else { return false }
        nextOverdueCheck = now + 5_000_000
        let overdue = unallocatedBlocks.filter { now - (snapshotTimes[$0] ?? now) >= milliseconds * 1_000_000 }
        guard !overdue.isEmpty else { return false }
        try takeSnapshots(ofBlocksAt: overdue.sorted())
        return true
    }

    /// Looks at these blocks under a lock and takes the snapshots that are due, a thousand blocks a transaction.
    func takeSnapshots(ofBlocksAt blocks: [Int]) throws {
        if mode == .row {
            for block in blocks {
                guard let queue = fencingQueue(forBlockAt: block) else { continue }
                try allocateByRow(blockAt: block, of: queue)
            }
            return tellAllocated(at: monotonicNow())
        }
        for start in stride(from: 0, to: blocks.count, by: 1000) {
            let part = blocks[start..<min(start + 1000, blocks.count)]
            try repeating(messageCount: 0) { _ in try takeSnapshotsOnce(ofBlocksAt: part) }
        }
    }

    /// Mode row: under whose fence the snapshot of a block is written. A member of a group needs the partition that the block's
    /// messages come by; nil if it has gone.
    private func fencingQueue(forBlockAt block: Int) -> PartitionQueue? {
        membership == nil ? queues.first : queueIndexes[blockPartitions[block]].map { queues[$0] }
    }

    private func takeSnapshotsOnce(ofBlocksAt blocks: ArraySlice<Int>) throws {
        _ = try inTransaction {
            parameters.reset()
            parameters.append(int64ArrayOf: blocks.count) {
                self.plan.book.blocks[blocks[blocks.startIndex + $0]].id.rawValue
            }
            return try fillThenSnapshot("lock_blocks")
        }
        countTransaction()
        tellAllocated(at: monotonicNow())
    }

    /// Binds what take_snapshots takes.
    func bind(_ due: [DueSnapshot]) {
        parameters.reset()
        parameters.append(int64ArrayOf: due.count) { due[$0].snapshot.block.rawValue }
        parameters.append(int64ArrayOf: due.count) { due[$0].snapshot.number }
        parameters.append(int64ArrayOf: due.count) { due[$0].snapshot.averagePrice.ticks }
        parameters.append(int64ArrayOf: due.count) { due[$0].snapshot.isFinal ? 1 : 0 }
        parameters.append(int64ArrayOf: due.count) { due[$0].snapshot.isBookingDue ? 1 : 0 }
        appendOfAllocations(due) { snapshot, _ in snapshot.block.rawValue }
        appendOfAllocations(due) { $1.account.rawValue }
        appendOfAllocations(due) { $1.quantityDelta }
        appendOfAllocations(due) { $1.quantityCumulative }
    }

    /// Appends one element per account whose quantity changes by one of these snapshots, without a list of them.
    func appendOfAllocations(_ due: [DueSnapshot], _ element: (Snapshot, AccountAllocation) -> Int64) {
        var (position, first) = (0, 0)
        parameters.append(int64ArrayOf: due.reduce(0) { $0 + $1.snapshot.allocations.count }) { index in
            while index - first == due[position].snapshot.allocations.count {
                first = index
                position += 1
            }
            let snapshot = due[position].snapshot
            return element(snapshot, snapshot.allocations[index - first])
        }
    }
}

/// Where a block stands after a transaction moved or locked it.
struct BlockMove {
    /// Its position in the book.
    let block: Int
    let state: BlockState
}

/// A snapshot that is to be written.
struct DueSnapshot {
    /// Where the block stands by then.
    let move: BlockMove
    let snapshot: Snapshot

    /// The block's position in the book.
    var block: Int { move.block }
}
