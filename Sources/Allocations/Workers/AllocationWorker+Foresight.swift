// The foreseen transaction: a worker that has its blocks to itself knows where each stands, and so what its next trades lead to.
// It sends all of that at once, as plain statements that fail where the database knows better.

import Model
import Postgres

/// What is known of a unit of work before it is sent.
enum Foresight {
    /// Everything: these snapshots will be due, most often none. The worker's `foreseenMoves` say where its blocks go.
    case whole([DueSnapshot])
    /// That no snapshot will be due, though not where the blocks stand.
    case noSnapshot
    /// Too little: what will be due follows from what the fill answers.
    case open
}

/// What a foreseen transaction does to one block.
struct ForeseenMove {
    /// The block's position in the book.
    let block: Int
    let before: BlockState
    /// What is live then, whether or not a snapshot is taken of it.
    var filled: BlockState
    var isDue = false
}

extension AllocationWorker {
    /// Where the unit's trades lead. They, and the snapshots that they make due, are expected from here on, unless the worker
    /// foresees blocks and can't foresee these: then their outlooks are as before.
    func foresee(_ unit: UnitOfWork, in queue: Int) -> Foresight {
        if store.foreseesBlocks { return foreseeWhole(unit, in: queue) }
        var isKnown = true
        for index in unit.range {
            // Whatever takes shares back or changes the order may make a snapshot due.
            if queues[queue].change(at: index) != nil {
                isKnown = false
                continue
            }
            let block = queues[queue].bookPositions[index]
            outlooks[block].expect(
                trade: queues[queue].quantities[index], priceTicks: queues[queue].priceTicks[index])
            if outlooks[block].mayBeDue(plan.configuration.snapshots) { isKnown = false }
        }
        return isKnown ? .noSnapshot : .open
    }

    private func foreseeWhole(_ unit: UnitOfWork, in queue: Int) -> Foresight {
        if queues[queue].meetsDuplicates || queues[queue].holdsChange(in: unit.range) { return .open }
        foreseenMoves.removeAll(keepingCapacity: true)
        for index in unit.range {
            foresee(
                trade: queues[queue].quantities[index], priceTicks: queues[queue].priceTicks[index],
                ofBlockAt: queues[queue].bookPositions[index])
        }
        return foreseeSnapshots().map { .whole($0) } ?? .open
    }

    /// The same of everything staged: the snapshots that its cycle will make due; nil if too little is known.
    func foreseeStaged() -> [DueSnapshot]? {
        guard store.foreseesBlocks, !staged.isEmpty, !hasStagedLeftovers,
            queues.allSatisfy({ !$0.meetsDuplicates }), staged.allSatisfy({ $0.trade != nil })
        else { return nil }
        foreseenMoves.removeAll(keepingCapacity: true)
        for message in staged {
            guard let trade = message.trade else { continue }
            foresee(trade: trade.quantity, priceTicks: trade.priceTicks, ofBlockAt: message.block)
        }
        return foreseeSnapshots()
    }

    private func foresee(trade quantity: Int64, priceTicks: Int64, ofBlockAt block: Int) {
        let move = Int(moveIndexes[block])
        if !foreseenMoves.indices.contains(move) || foreseenMoves[move].block != block {
            moveIndexes[block] = Int32(foreseenMoves.count)
            let state = outlooks[block].state
            foreseenMoves.append(ForeseenMove(block: block, before: state, filled: state))
        }
        outlooks[block].expect(trade: quantity, priceTicks: priceTicks)
    }

    /// Which snapshots are due once the blocks have moved; nil if one of them can't be foreseen, and then nothing is.
    private func foreseeSnapshots() -> [DueSnapshot]? {
        guard foreseenMoves.allSatisfy({ outlooks[$0.block].isForeseeable }) else {
            takeBackForeseen()
            return nil
        }
        var due: [DueSnapshot] = []
        for index in foreseenMoves.indices {
            let block = foreseenMoves[index].block
            let state = outlooks[block].state
            foreseenMoves[index].filled = state
            guard state.isSnapshotDue(plan.configuration.snapshots, elapsedMs: 0) else { continue }
            foreseenMoves[index].isDue = true
            let move = BlockMove(block: block, state: state)
            due.append(DueSnapshot(move: move, snapshot: snapshot(of: move)))
            outlooks[block].expectSnapshot()
        }
        return due
    }

    /// The blocks are expected to stand where they stood before `foreseenMoves`.
    func takeBackForeseen() {
        for move in foreseenMoves { outlooks[move.block] = BlockOutlook(move.before) }
    }

    /// What was expected of a transaction that has failed. Of several the last one first.
    func takeBack(_ sent: InFlightUnit) {
        guard let due = sent.foreseen else { return }
        for snapshot in due { outlooks[snapshot.block] = BlockOutlook(snapshot.move.state) }
        let queue = queues[sent.queue]
        for index in sent.unit.range {
            outlooks[queue.bookPositions[index]].takeBack(
                trade: queue.quantities[index], priceTicks: queue.priceTicks[index])
        }
    }

    /// Sends the unit as `foreseenMoves` have it.
    func sendForeseen(_ unit: UnitOfWork, of queue: Int, with due: [DueSnapshot]) throws {
        let connection = store.connection
        bindOffsetMove(unit, of: queue)
        try connection.sendPrepared("advance_offset", parameters: parameters, resultFormat: .binary)
        parameters.reset()
        parameters.append(int64: Int64(queues[queue].partition))
        if unit.range.count == 1 {
            bindTrade(at: unit.range.lowerBound, of: queue)
            try connection.sendPrepared("capture_trade", parameters: parameters)
        } else {
            bindTrades(unit, of: queue)
            try connection.sendPrepared("capture_trades", parameters: parameters)
        }
        try sendForeseenMoves(with: due)
    }

    /// Sends what `foreseenMoves` do to the blocks, and their snapshots.
    func sendForeseenMoves(with due: [DueSnapshot]) throws {
        let connection = store.connection
        bindForeseenMoves()
        try connection.sendPrepared(
            foreseenMoves.count == 1 ? "move_block" : "move_blocks", parameters: parameters, resultFormat: .binary)
        if due.isEmpty { return }
        bindSnapshots(due)
        try connection.sendPrepared(
            due.count == 1 ? "record_snapshot" : "record_snapshots", parameters: parameters)
        bindAllocations(due)
        try connection.sendPrepared(due.count == 1 ? "allocate_block" : "allocate", parameters: parameters)
        guard due.contains(where: \.snapshot.isBookingDue) else { return }
        let requested = due.filter(\.snapshot.isBookingDue)
        parameters.reset()
        parameters.append(int64ArrayOf: requested.count) { requested[$0].snapshot.block.rawValue }
        parameters.append(int64ArrayOf: requested.count) { requested[$0].snapshot.number }
        try connection.sendPrepared("request_bookings", parameters: parameters)
    }

    private func bindForeseenMoves() {
        parameters.reset()
        appendOfMoves { self.plan.book.blocks[$0.block].id.rawValue }
        appendOfMoves { $0.filled.cumQuantity - $0.before.cumQuantity }
        appendOfMoves { Int64($0.filled.notionalTicks - $0.before.notionalTicks) }
        appendOfMoves { $0.filled.executionCount - $0.before.executionCount }
        appendOfMoves { $0.before.cumQuantity }
        appendOfMoves { Int64($0.before.notionalTicks) }
        appendOfMoves { $0.before.executionCount }
        appendOfMoves { $0.before.orderQuantity }
        appendOfMoves { $0.before.snapshotNumber }
        appendOfMoves { $0.before.allocatedQuantity }
        appendOfMoves { Int64($0.before.allocatedNotionalTicks) }
        appendOfMoves { $0.isDue ? 1 : 0 }
        appendOfMoves { $0.isDue && $0.filled.isFinal ? 1 : 0 }
    }

    private func appendOfMoves(_ element: (ForeseenMove) -> Int64) {
        append(foreseenMoves.count) { element(foreseenMoves[$0]) }
    }

    /// One number as it is, more than one as an array: what the statements of one row and their like take.
    private func append(_ count: Int, _ element: (Int) -> Int64) {
        if count == 1 {
            parameters.append(int64: element(0))
        } else {
            parameters.append(int64ArrayOf: count, element: element)
        }
    }

    private func bindSnapshots(_ due: [DueSnapshot]) {
        parameters.reset()
        append(due.count) { due[$0].snapshot.block.rawValue }
        append(due.count) { due[$0].snapshot.number }
        append(due.count) { due[$0].move.state.cumQuantity }
        append(due.count) { Int64(due[$0].move.state.notionalTicks) }
        append(due.count) { due[$0].snapshot.averagePrice.ticks }
        append(due.count) { due[$0].snapshot.isFinal ? 1 : 0 }
    }

    private func bindAllocations(_ due: [DueSnapshot]) {
        parameters.reset()
        // What all rows of one block have in common is sent once.
        func appendOfBlocks(_ element: (Snapshot) -> Int64) {
            if due.count == 1 {
                parameters.append(int64: element(due[0].snapshot))
            } else {
                appendOfAllocations(due) { snapshot, _ in element(snapshot) }
            }
        }
        appendOfBlocks { $0.block.rawValue }
        appendOfAllocations(due) { $1.account.rawValue }
        appendOfBlocks { $0.number }
        appendOfAllocations(due) { $1.quantityDelta }
        appendOfAllocations(due) { $1.quantityCumulative }
        appendOfBlocks { $0.averagePrice.ticks }
    }
}
