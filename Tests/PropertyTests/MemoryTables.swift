// The tables of one block in memory: what the statements of sql/allocations/fill.sql do with messages, and the engine's own
// values for everything that Swift decides. Slow, obvious, and without a database.

import Allocations
import Measurement
import Model
import Oracle
import TestSupport

/// One block's inbox, state, snapshots and booking.
struct MemoryTables: Equatable {
    /// A row of captured_trades; without quantity while only its bust has come.
    struct CapturedTrade: Equatable {
        var quantity: Int64?
        var priceTicks: Int64?
        var isBusted = false
    }

    /// A row of snapshots with the holdings of all accounts, not only of those that changed.
    struct TakenSnapshot: Equatable {
        let cumQuantity: Int64
        let notionalTicks: Int128
        let averagePrice: Price
        let isFinal: Bool
        let held: [Int64]
        /// Whether a bust came since the snapshot before.
        let followsBust: Bool
    }

    /// What a booking worker makes of the last snapshot that asks for it.
    struct Booking: Equatable {
        let ordStatus: OrdStatus
        let orderQuantity: Int64
        let cumQuantity: Int64
        let notionalTicks: Int128
        let averagePrice: Price
        let held: [Int64]
    }

    private let accounts: [AccountID]
    private(set) var state: BlockState
    private(set) var orderVersion: Int64 = 0
    private(set) var trades: [ExecutionID: CapturedTrade] = [:]
    private(set) var changes: [ExecutionID: ExecType] = [:]
    private(set) var snapshots: [TakenSnapshot] = []
    private(set) var booking: Booking?
    /// The first allocation whose delta doesn't lead from the last snapshot's quantity to its own.
    private(set) var historyFault: String?
    private var held: [Int64]
    private var isBustPending = false

    init(_ block: RandomBlock) {
        accounts = block.accounts
        state = BlockState(orderQuantity: block.quantity)
        held = block.accounts.map { _ in 0 }
    }

    /// What every account holds by the last snapshot.
    var allocated: [Int64] { held }

    static func == (a: MemoryTables, b: MemoryTables) -> Bool {
        a.state == b.state && a.orderVersion == b.orderVersion && a.trades == b.trades && a.changes == b.changes
            && a.snapshots == b.snapshots && a.booking == b.booking
    }

    /// One transaction: all its messages, then the snapshot that they may have made due.
    mutating func apply(_ messages: [Execution], to block: Block, _ policy: SnapshotPolicy, elapsedMs: Int64) {
        var isMoved = false
        for message in messages where capture(message) { isMoved = true }
        if isMoved, state.isSnapshotDue(policy, elapsedMs: elapsedMs) { take(block.snapshot(of: state)) }
    }

    /// Whether the message was new.
    private mutating func capture(_ message: Execution) -> Bool {
        switch message.type {
        case .trade:
            guard trades[message.id]?.quantity == nil else { return false }
            let isBusted = trades[message.id]?.isBusted ?? false
            trades[message.id] = CapturedTrade(
                quantity: message.quantity, priceTicks: message.price.ticks, isBusted: isBusted)
            if !isBusted { count(message.quantity, message.price.ticks, sign: 1) }
        case .tradeCancel:
            guard changes.updateValue(message.type, forKey: message.id) == nil else { return false }
            guard let reference = message.reference else { return true }
            var trade = trades[reference] ?? CapturedTrade()
            if !trade.isBusted, let quantity = trade.quantity, let priceTicks = trade.priceTicks {
                count(quantity, priceTicks, sign: -1)
                isBustPending = true
            }
            trade.isBusted = true
            trades[reference] = trade
        case .canceled, .replaced:
            guard changes.updateValue(message.type, forKey: message.id) == nil else { return false }
            if message.orderVersion > orderVersion {
                orderVersion = message.orderVersion
                state.orderQuantity = message.orderQuantity
                state.isCanceled = message.type == .canceled
            }
        }
        return true
    }

    private mutating func count(_ quantity: Int64, _ priceTicks: Int64, sign: Int64) {
        state.cumQuantity += sign * quantity
        state.notionalTicks += Int128(sign * quantity) * Int128(priceTicks)
        state.executionCount += sign
    }

    private mutating func take(_ snapshot: Snapshot) {
        for allocation in snapshot.allocations {
            guard let index = accounts.firstIndex(of: allocation.account) else {
                preconditionFailure("no such account")
            }
            held[index] += allocation.quantityDelta
            // Whoever reads the history relies on both numbers.
            if held[index] != allocation.quantityCumulative || allocation.quantityDelta == 0 {
                historyFault = historyFault ?? "snapshot \(snapshot.number): \(allocation) leads to \(held[index])"
            }
        }
        snapshots.append(
            TakenSnapshot(
                cumQuantity: state.cumQuantity, notionalTicks: state.notionalTicks, averagePrice: snapshot.averagePrice,
                isFinal: snapshot.isFinal, held: held, followsBust: isBustPending))
        isBustPending = false
        if snapshot.isBookingDue {
            booking =
                snapshot.isFinal && state.cumQuantity > 0
                ? Booking(
                    ordStatus: state.ordStatus, orderQuantity: state.orderQuantity, cumQuantity: state.cumQuantity,
                    notionalTicks: state.notionalTicks, averagePrice: snapshot.averagePrice, held: held) : nil
        }
        state = state.allocated()
    }

    /// What must not depend on how the messages came.
    struct Final: Equatable {
        let trades: [ExecutionID: CapturedTrade]
        let changes: [ExecutionID: ExecType]
        let cumQuantity: Int64
        let notionalTicks: Int128
        let executionCount: Int64
        let orderVersion: Int64
        let orderQuantity: Int64
        let ordStatus: OrdStatus
        /// Of a block that ended with fills.
        let lastSnapshot: TakenSnapshot.Content?
        let booking: Booking?

        var stateText: String {
            "\(cumQuantity) for \(notionalTicks) in \(executionCount), version \(orderVersion) of \(orderQuantity) "
                + ordStatus.rawValue
        }
    }

    /// Which of them differ, in words; nil if none does.
    static func difference(_ a: Final, _ b: Final) -> String? {
        if a == b { return nil }
        let fields: [(String, String, String)] = [
            ("captured trades", "\(a.trades.count)", "\(b.trades.count)"),
            ("captured changes", "\(a.changes.count)", "\(b.changes.count)"),
            ("state", a.stateText, b.stateText),
            ("last snapshot", "\(String(describing: a.lastSnapshot))", "\(String(describing: b.lastSnapshot))"),
            ("booking", "\(String(describing: a.booking))", "\(String(describing: b.booking))"),
        ]
        let differing = fields.filter { $0.1 != $0.2 }
        return differing.isEmpty
            ? "captured trades differ" : differing.map { "\($0.0) \($0.1) or \($0.2)" }.joined(separator: "; ")
    }

    var final: Final {
        Final(
            trades: trades, changes: changes, cumQuantity: state.cumQuantity, notionalTicks: state.notionalTicks,
            executionCount: state.executionCount, orderVersion: orderVersion, orderQuantity: state.orderQuantity,
            ordStatus: state.ordStatus,
            lastSnapshot: state.isFinal && state.cumQuantity > 0 ? snapshots.last?.content : nil, booking: booking)
    }
}

extension MemoryTables.TakenSnapshot {
    struct Content: Equatable {
        let cumQuantity: Int64
        let notionalTicks: Int128
        let averagePrice: Price
        let isFinal: Bool
        let held: [Int64]
    }

    var content: Content {
        Content(
            cumQuantity: cumQuantity, notionalTicks: notionalTicks, averagePrice: averagePrice, isFinal: isFinal,
            held: held)
    }
}

/// A block with everything that happened to it, one delivery of it, and what the engine made of that.
struct PropertyCase {
    let random: RandomBlock
    let block: Block
    let snapshots: SnapshotPolicy
    let delivery: [[Execution]]
    let tables: MemoryTables

    init(_ random: inout SeededRandom, limits: RandomBlock.Limits = RandomBlock.Limits()) {
        let drawn = RandomBlock(id: BlockOrderID(random.magnitude(1_000)), random: &random, limits: limits)
        self.random = drawn
        block = drawn.block
        snapshots = SnapshotPolicy.random(&random)
        delivery = drawn.delivery(&random)
        tables = Self.process(drawn, block, snapshots, delivery, &random)
    }

    static func process(
        _ drawn: RandomBlock, _ block: Block, _ snapshots: SnapshotPolicy, _ delivery: [[Execution]],
        _ random: inout SeededRandom
    ) -> MemoryTables {
        var tables = MemoryTables(drawn)
        for transaction in delivery {
            tables.apply(transaction, to: block, snapshots, elapsedMs: random.integer(in: 0...200))
        }
        return tables
    }

    /// The same reports delivered anew, in another way.
    func redelivered(_ random: inout SeededRandom) -> MemoryTables {
        Self.process(self.random, block, SnapshotPolicy.random(&random), self.random.delivery(&random), &random)
    }

    /// The reports one after the other, as the market made them.
    func inOrder(_ reports: [Execution]?, _ random: inout SeededRandom) -> MemoryTables {
        Self.process(self.random, block, snapshots, (reports ?? self.random.reports).map { [$0] }, &random)
    }

    var oracle: BlockTruth {
        AllocationOracle(blocks: [random.blockOrder], reports: random.reports.map(\.report)).blocks[block.id.rawValue]
            ?? BlockTruth(random.blockOrder)
    }

    /// The live trades, as a reader of the reports would find them.
    var liveTrades: [Execution] {
        let busted = Set(random.reports.compactMap(\.reference))
        return random.reports.filter { $0.type == .trade && !busted.contains($0.id) }
    }

    /// Which block it is, for a failure's message.
    var summary: String {
        "\(random.policy.rawValue), lots of \(random.lotSize), ticket \(random.minimumTicketLots), "
            + "ordered \(random.ordered), \(random.reports.count) reports, \(snapshots)"
    }
}

extension RandomBlock {
    /// As the engine knows it.
    var block: Block {
        Block(
            id: id, code: "B", accounts: accounts,
            division: BlockDivision(
                policy: policy, lotSize: lotSize, minimumTicketLots: minimumTicketLots, ordered: ordered,
                arrivals: arrivals))
    }

    /// As the oracle knows it.
    var blockOrder: BlockOrder {
        BlockOrder(
            id: id.rawValue, isBuy: side == .buy, orderQuantity: quantity, policy: policy.rawValue, lotSize: lotSize,
            minimumTicketLots: minimumTicketLots,
            legs: accounts.indices.map {
                BlockOrder.Leg(account: accounts[$0].rawValue, quantity: ordered[$0], arrival: arrivals[$0])
            })
    }
}

extension Execution {
    var report: ExecutionReport {
        let kind: ExecutionReport.Kind =
            switch type {
            case .trade: .trade(quantity: quantity, priceTicks: price.ticks)
            case .tradeCancel: .bust(of: reference?.rawValue ?? 0)
            case .canceled: .cancel(version: orderVersion, orderQuantity: orderQuantity)
            case .replaced: .replace(version: orderVersion, orderQuantity: orderQuantity)
            }
        return ExecutionReport(id: id.rawValue, block: blockOrder.rawValue, kind: kind)
    }
}

extension SnapshotPolicy {
    static func random(_ random: inout SeededRandom) -> SnapshotPolicy {
        switch random.integer(in: 0...3) {
        case 0: .fraction(parts: random.magnitude(20))
        case 1: .executions(random.magnitude(50))
        case 2: .interval(milliseconds: random.magnitude(150))
        default: .completion
        }
    }
}
