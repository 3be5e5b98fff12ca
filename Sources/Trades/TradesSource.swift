// Where executions come from: they are drawn against block orders until every block is filled or canceled. Pure: the same
// blocks, seed and rates give the same events in the same order, so an interrupted drawing goes on by drawing again.

public import Diagnostics
import Measurement
import Model

/// Draws executions of 50 to 500 shares at prices within the day's range, blocks mixed by what is left of them; and busts,
/// replaces and cancels at given rates. Memory is proportional to the blocks, not to the executions.
///
/// Fills come from one stream of randomness and everything else from another. So without busts, replaces and cancels the
/// fills are the same whatever this type learns to draw besides.
public struct ExecutionDraw: IteratorProtocol, Sequence, Sendable {
    public static let sharesPerExecution: ClosedRange<Int64> = 50...500
    /// From 14:30 to 21:00 UTC, the regular session in New York.
    public static let sessionLengthUs: Int64 = 23_400_000_000
    public static let sessionOpenTime = "14:30:00"

    let blocks: [FillableBlock]
    let rates: EventRates
    private var random: SeededRandom
    var eventRandom: SeededRandom
    /// Shares left, by block; a block is drawn with a chance proportional to them. 0 once it is canceled.
    var remaining: FenwickTree
    /// Executions left, by block; nil when their number is free.
    var executionsLeft: [Int64]?
    var orders: [Order]
    /// What is still to be requested of a block, the next one last; only of blocks that have something.
    var requests: [Int: [PlannedRequest]] = [:]
    var pending = PendingReports()
    /// Events drawn so far.
    private var ordinal: Int64 = 0
    private var clock: SessionClock

    /// Where the order of a block stands.
    struct Order: Sendable {
        var version: Int64 = 0
        var quantity: Int64
        var cumQuantity: Int64 = 0
        var notionalTicks: Int128 = 0
        var isCanceled = false
        /// The next request comes before more than this is filled.
        var nextRequestAt = Int64.max
        /// Shares that busts took back, over all the day.
        var bustedQuantity: Int64 = 0
    }

    /// - Parameter count: the wanted number of executions over all blocks; nil leaves it to the drawing. It is the number
    ///   that fills the blocks as they were ordered: fills that come again after a bust are on top of it, and a replace or
    ///   cancel changes it in proportion to the shares.
    /// - Throws: when `count` executions of 50 to 500 shares can't fill these blocks.
    public init(
        blocks: [FillableBlock], seed: UInt64, count: Int64? = nil, rates: EventRates = .none
    ) throws(InputFault) {
        self.blocks = blocks
        self.rates = rates
        random = SeededRandom(seed: seed, stream: 0x7472_6164_6573)
        eventRandom = SeededRandom(seed: seed, stream: 0x7472_6164_6573, 0x6576_656E_7473)
        remaining = FenwickTree(blocks.map(\.quantity))
        orders = blocks.map { Order(quantity: $0.quantity) }
        clock = SessionClock(shares: remaining.total)
        if let count { executionsLeft = try Self.shareOut(count, among: blocks) }
        planRequests()
    }

    public mutating func next() -> DrawnEvent? {
        // With nothing left to fill, whatever is pending has no reason to wait.
        if let report = pending.next, report.dueOrdinal <= ordinal || remaining.total == 0 {
            pending.removeNext()
            return arrive(report)
        }
        guard remaining.total > 0 else { return nil }
        let block = remaining.index(of: random.integer(in: 0...remaining.total - 1))
        let left = remaining[block]
        let executions = executionsLeft?[block]
        let quantity: Int64
        if let executions {
            quantity = random.integer(in: Self.feasible(left: left, executions: executions))
        } else {
            quantity = Self.free(random.integer(in: Self.sharesPerExecution), left: left)
        }
        // Asked before the fill that would be too much: so every planned request finds its order open.
        if isRequestDue(block, before: quantity) { return request(block) }
        if let executions { executionsLeft?[block] = executions - 1 }
        let price = random.integer(in: blocks[block].low.ticks...blocks[block].high.ticks)
        let time = clock.time(remaining: remaining.total)
        remaining.add(-quantity, at: block)
        return fill(block, quantity, Price(ticks: price), at: time)
    }

    /// Whether every block is filled or canceled, and nothing is pending.
    public var isFinished: Bool { remaining.total == 0 && pending.isEmpty }

    /// How the blocks stand, in their order; how they ended, once the drawing is finished.
    public var outcomes: [BlockOutcome] {
        orders.map { order in
            let price =
                order.cumQuantity == 0
                ? Price(ticks: 0)
                : AveragePrice(notionalTicks: order.notionalTicks, quantity: order.cumQuantity).price
            var state = BlockState(orderQuantity: order.quantity)
            state.cumQuantity = order.cumQuantity
            state.isCanceled = order.isCanceled
            return BlockOutcome(
                ordStatus: state.ordStatus, orderVersion: order.version, orderQuantity: order.quantity,
                cumQuantity: order.cumQuantity, leavesQuantity: state.leavesQuantity, averagePrice: price)
        }
    }

    // MARK: What every event does

    /// Fills an order; of a canceled one, too. The bust that may follow is decided now.
    mutating func fill(_ block: Int, _ quantity: Int64, _ price: Price, at time: Int64) -> DrawnEvent {
        orders[block].cumQuantity += quantity
        orders[block].notionalTicks += Int128(quantity) * Int128(price.ticks)
        if rates.bustPpm > 0 { decideBust(of: ordinal, block, quantity, price) }
        return event(block, .trade(quantity: quantity, price: price), at: time)
    }

    mutating func event(_ block: Int, _ kind: DrawnEvent.Kind, at time: Int64) -> DrawnEvent {
        defer { ordinal += 1 }
        return DrawnEvent(
            ordinal: ordinal, block: block, kind: kind, orderVersion: orders[block].version,
            orderQuantity: orders[block].quantity, cumQuantity: orders[block].cumQuantity, sessionTimeUs: time)
    }

    /// Puts a report off by up to `events` events.
    mutating func postpone(_ kind: PendingReport.Kind, of block: Int, upTo events: Int64) {
        let due = ordinal + eventRandom.integer(in: 1...events)
        pending.insert(PendingReport(dueOrdinal: due, block: block, kind: kind))
    }

    /// The time of an event that changes what is left of a block otherwise than by a fill.
    mutating func setRemaining(_ left: Int64, executions: Int64?, of block: Int) -> Int64 {
        let time = clock.time(remaining: remaining.total)
        remaining.add(left - remaining[block], at: block)
        clock.restart(remaining: remaining.total)
        if let executions { executionsLeft?[block] = Self.possible(executions, left: left) }
        return time
    }

    /// The time of an event that changes nothing of what is left.
    mutating func timeNow() -> Int64 { clock.time(remaining: remaining.total) }

    // MARK: Shares of an execution

    /// Shortens a drawn quantity to what is left, and never leaves less than one execution's worth behind.
    private static func free(_ drawn: Int64, left: Int64) -> Int64 {
        let quantity = Swift.min(drawn, left)
        guard left - quantity > 0, left - quantity < sharesPerExecution.lowerBound else { return quantity }
        return left <= sharesPerExecution.upperBound ? left : left - sharesPerExecution.lowerBound
    }

    /// The quantities after which the other executions can still fill the block exactly.
    private static func feasible(left: Int64, executions: Int64) -> ClosedRange<Int64> {
        if executions == 1 { return left...left }
        let others = executions - 1
        return Swift.max(
            sharesPerExecution.lowerBound, left - sharesPerExecution.upperBound * others)...Swift.min(
                sharesPerExecution.upperBound, left - sharesPerExecution.lowerBound * others)
    }

    /// The number next to `wanted` of executions that can fill `left` shares.
    private static func possible(_ wanted: Int64, left: Int64) -> Int64 {
        left == 0 ? 0 : Swift.min(Swift.max(wanted, least(left)), most(left))
    }

    private static func least(_ shares: Int64) -> Int64 {
        (shares + sharesPerExecution.upperBound - 1) / sharesPerExecution.upperBound
    }

    private static func most(_ shares: Int64) -> Int64 { Swift.max(1, shares / sharesPerExecution.lowerBound) }

    /// How many executions each block gets: in proportion to its shares, within what 50 to 500 shares each allow.
    private static func shareOut(_ count: Int64, among blocks: [FillableBlock]) throws(InputFault) -> [Int64] {
        let least = blocks.map { Self.least($0.quantity) }
        let most = blocks.map { Self.most($0.quantity) }
        let bounds = (least.reduce(0, +), most.reduce(0, +))
        guard bounds.0 <= count, count <= bounds.1 else {
            throw InputFault(
                source: "executions", value: String(count),
                expected:
                    "\(bounds.0) to \(bounds.1), so that \(blocks.count) blocks are filled by 50 to 500 shares each")
        }
        let shares = blocks.reduce(Int128(0)) { $0 + Int128($1.quantity) }
        var counts = blocks.indices.map { index in
            let wanted = Int64(Int128(count) * Int128(blocks[index].quantity) / shares)
            return Swift.min(Swift.max(wanted, least[index]), most[index])
        }
        // Rounding and the bounds left a few over or short: they go round the blocks that can still take or give one.
        var rest = count - counts.reduce(0, +)
        while rest != 0 {
            let step: Int64 = rest > 0 ? 1 : -1
            for index in blocks.indices where rest != 0 {
                let changed = counts[index] + step
                if changed >= least[index], changed <= most[index] {
                    counts[index] = changed
                    rest -= step
                }
            }
        }
        return counts
    }
}

/// Spreads events over the session by the shares that are filled, whatever becomes of the shares still to fill: time never
/// goes back, and never reaches the close.
private struct SessionClock: Sendable {
    private var startUs: Int64 = 0
    private var shares: Int64
    private var lastUs: Int64 = 0

    init(shares: Int64) { self.shares = shares }

    /// The time of an event before which `remaining` shares are left.
    mutating func time(remaining: Int64) -> Int64 {
        guard remaining > 0 else { return lastUs }
        let rest = Int128(ExecutionDraw.sessionLengthUs - startUs)
        lastUs = startUs + Int64(Int128(shares - remaining) * rest / Int128(shares))
        return lastUs
    }

    /// From the last event on, `remaining` shares take the rest of the session.
    mutating func restart(remaining: Int64) {
        startUs = lastUs
        shares = remaining
    }
}
