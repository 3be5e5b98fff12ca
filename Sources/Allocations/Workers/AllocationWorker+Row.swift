// The mode row: every statement by itself, each its own transaction, as a naive program would do it.
// The order of the statements makes it right nevertheless: each may be repeated, and the offset moves last. Of a member of a
// group each is fenced as well.

import Measurement
import Model
import Postgres

extension AllocationWorker {
    /// Processes every message that is ready, one by one. Returns false if there was none.
    func workByRow() throws -> Bool {
        var worked = false
        while let (queue, unit) = nextReadyUnit() {
            worked = true
            queues[queue].markSent(unit)
            if queues[queue].isParked(unit) {
                try parkUnit(unit, of: queue)
                continue
            }
            let began = beginAttempt()
            do {
                try processByRow(unit, of: queue, began: began, isFirstTry: true)
            } catch let error as PostgresError where !error.isConnectionLost {
                try retry(unit, of: queue, began: began, after: error)
            }
            payHandicap()
        }
        return try moveSkippedOffsets() || worked
    }

    /// One message from capture to offset.
    func processByRow(_ unit: UnitOfWork, of index: Int, began: Int64, isFirstTry: Bool) throws {
        let queue = queues[index]
        let message = unit.range.lowerBound
        let captured =
            if let change = queue.change(at: message) {
                try apply(change, from: queue, at: message)
            } else {
                try fill(from: queue, at: message)
            }
        let isRepeated =
            captured == 0
            && (repeatedExecutions.contains(queue.executions[message])
                || membership != nil && queue.offsets[message] == queue.firstOffset)
        let capturedCount = isRepeated ? try capturedHereCount(queue, message) : captured
        try allocateByRow(blockAt: queue.bookPositions[message], of: queue)
        try plan.fault?.dieIfAsked()
        bindOffsetMove(unit, of: index)
        let moved = try store.connection.executePrepared("move_offset", parameters: parameters, resultFormat: .binary)
        // The offset's move is counted with the unit, like any mode's transaction.
        guard moved.rowCount == 1 else { throw GuardMissed() }
        repeatedExecutions.remove(queue.executions[message])
        recordCommit(of: unit, in: index, began: began, captured: capturedCount, isFirstTry: isFirstTry)
        markCommitted(unit, in: index)
    }

    /// A trade: captured, then filled. Returns 1 if it wasn't captured before.
    private func fill(from queue: PartitionQueue, at message: Int) throws -> Int64 {
        let captured = try statement("row_capture", of: queue) {
            $0.append(int64: queue.executions[message])
            $0.append(int64: queue.blocks[message])
            $0.append(int64: queue.quantities[message])
            $0.append(int64: queue.priceTicks[message])
            $0.append(int64: queue.offsets[message])
        }
        try statement("row_fill", of: queue) { $0.append(int64: queue.executions[message]) }
        return Int64(captured.affectedRowCount)
    }

    /// A bust, cancel or replace. Returns 1 if it wasn't captured before.
    private func apply(_ change: Execution, from queue: PartitionQueue, at message: Int) throws -> Int64 {
        let captured = try statement("row_change", of: queue) {
            $0.append(int64: change.id.rawValue)
            $0.append(int64: change.type.rawValue)
            $0.append(int64: change.blockOrder.rawValue)
            $0.append(int64: change.reference?.rawValue ?? 0)
            $0.append(int64: change.orderVersion)
            $0.append(int64: change.orderQuantity)
            $0.append(int64: queue.offsets[message])
        }
        if let reference = change.reference {
            try statement("row_bust", of: queue) {
                $0.append(int64: reference.rawValue)
                $0.append(int64: change.blockOrder.rawValue)
            }
        } else {
            try statement("row_order", of: queue) {
                $0.append(int64: change.blockOrder.rawValue)
                $0.append(int64: change.orderVersion)
                $0.append(int64: change.orderQuantity)
                $0.append(int64: change.type.rawValue)
            }
        }
        return Int64(captured.affectedRowCount)
    }

    /// 1 if it was this very message that captured the execution, in an attempt that failed later on.
    private func capturedHereCount(_ queue: PartitionQueue, _ message: Int) throws -> Int64 {
        try statement("row_captured_here", of: queue) {
            $0.append(int64: queue.executions[message])
            $0.append(int64: queue.offsets[message])
        }.int64(0, 0)
    }

    /// Forgets a capture whose execution the database refused: what is parked must not look half applied.
    func uncaptureByRow(_ unit: UnitOfWork, of index: Int) throws {
        try statement("row_uncapture", of: queues[index]) {
            $0.append(int64: queues[index].executions[unit.range.lowerBound])
        }
    }

    /// Looks where the block stands and writes the snapshot if one is due, row by row.
    func allocateByRow(blockAt position: Int, of queue: PartitionQueue) throws {
        let block = plan.book.blocks[position]
        let result = try statement("row_state", of: queue) { $0.append(int64: block.id.rawValue) }
        guard result.rowCount == 1 else { return }
        let state = try BlockState(result.rows, row: 0, column: 0)
        let due = dueSnapshots([BlockMove(block: position, state: state)])
        guard let snapshot = due.first?.snapshot else { return note(state, ofBlockAt: position) }
        try statement("row_forget", of: queue) {
            $0.append(int64: block.id.rawValue)
            $0.append(int64: state.snapshotNumber)
        }
        for allocation in snapshot.allocations {
            try statement("row_allocate", of: queue) {
                $0.append(int64: block.id.rawValue)
                $0.append(int64: allocation.account.rawValue)
                $0.append(int64: snapshot.number)
                $0.append(int64: allocation.quantityDelta)
                $0.append(int64: allocation.quantityCumulative)
                $0.append(int64: snapshot.averagePrice.ticks)
            }
        }
        let written = try statement("row_snapshot", of: queue) {
            $0.append(int64: block.id.rawValue)
            $0.append(int64: snapshot.number)
            $0.append(int64: snapshot.averagePrice.ticks)
            $0.append(int64: snapshot.isFinal ? 1 : 0)
        }
        guard written.affectedRowCount == 1 else { throw GuardMissed() }
        try statement("row_snapshot_taken", of: queue) {
            $0.append(int64: block.id.rawValue)
            $0.append(int64: snapshot.number)
            $0.append(int64: snapshot.isFinal ? 1 : 0)
            $0.append(int64: snapshot.isBookingDue ? 1 : 0)
        }
        note(state.allocated(), ofBlockAt: position)
        noteTaken(due)
    }

    @discardableResult
    private func statement(
        _ name: String, of queue: PartitionQueue, _ bind: (ParameterBuffer) -> Void
    ) throws -> QueryResult {
        try plan.fault?.dieIfAsked()
        parameters.reset()
        parameters.append(text: plan.topic)
        parameters.append(int64: Int64(queue.partition))
        parameters.append(int64: queue.epoch)
        bind(parameters)
        let result = try store.connection.executePrepared(name, parameters: parameters, resultFormat: .binary)
        countTransaction()
        return result
    }
}
