// Where executions come from: they are drawn against block orders until every block is complete. Pure: the same blocks and
// seed give the same executions in the same order, so an interrupted drawing goes on by drawing again from the start.

public import Diagnostics
import Measurement
import Model

/// Draws executions of 50 to 500 shares at prices within the day's range, blocks mixed by what is left of them.
/// Memory is proportional to the blocks, not to the executions.
public struct ExecutionDraw: IteratorProtocol, Sequence, Sendable {
    public static let sharesPerExecution: ClosedRange<Int64> = 50...500
    /// From 14:30 to 21:00 UTC, the regular session in New York.
    public static let sessionLengthUs: Int64 = 23_400_000_000
    public static let sessionOpenTime = "14:30:00"

    private let blocks: [FillableBlock]
    private var random: SeededRandom
    /// Shares left, by block; a block is drawn with a chance proportional to them.
    private var remaining: FenwickTree
    /// Executions left, by block; nil when their number is free.
    private var executionsLeft: [Int64]?
    private let total: Int64

    /// - Parameter count: the wanted number of executions over all blocks; nil leaves it to the drawing.
    /// - Throws: when `count` executions of 50 to 500 shares can't fill these blocks.
    public init(blocks: [FillableBlock], seed: UInt64, count: Int64? = nil) throws(InputFault) {
        self.blocks = blocks
        random = SeededRandom(seed: seed, stream: 0x7472_6164_6573)
        remaining = FenwickTree(blocks.map(\.quantity))
        total = remaining.total
        if let count { executionsLeft = try Self.shareOut(count, among: blocks) }
    }

    public mutating func next() -> DrawnExecution? {
        guard remaining.total > 0 else { return nil }
        let block = remaining.index(of: random.integer(in: 0...remaining.total - 1))
        let left = remaining[block]
        let quantity: Int64
        if let executions = executionsLeft?[block] {
            quantity = random.integer(in: Self.feasible(left: left, executions: executions))
            executionsLeft?[block] = executions - 1
        } else {
            quantity = Self.free(random.integer(in: Self.sharesPerExecution), left: left)
        }
        let price = random.integer(in: blocks[block].low.ticks...blocks[block].high.ticks)
        let done = Int128(total - remaining.total)
        remaining.subtract(quantity, at: block)
        return DrawnExecution(
            block: block, quantity: quantity, price: Price(ticks: price),
            sessionTimeUs: Int64(done * Int128(Self.sessionLengthUs) / Int128(total)))
    }

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

    /// How many executions each block gets: in proportion to its shares, within what 50 to 500 shares each allow.
    private static func shareOut(_ count: Int64, among blocks: [FillableBlock]) throws(InputFault) -> [Int64] {
        let least = blocks.map { ($0.quantity + sharesPerExecution.upperBound - 1) / sharesPerExecution.upperBound }
        let most = blocks.map { Swift.max(1, $0.quantity / sharesPerExecution.lowerBound) }
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

/// Counts by index with sums in logarithmic time, to draw an index with a chance proportional to its count.
private struct FenwickTree: Sendable {
    private var sums: [Int64]
    private var counts: [Int64]
    private(set) var total: Int64

    init(_ counts: [Int64]) {
        self.counts = counts
        total = counts.reduce(0, +)
        sums = [0] + counts
        for index in sums.indices.dropFirst() {
            let parent = index + (index & -index)
            if parent < sums.count { sums[parent] += sums[index] }
        }
    }

    subscript(index: Int) -> Int64 { counts[index] }

    mutating func subtract(_ amount: Int64, at index: Int) {
        counts[index] -= amount
        total -= amount
        var node = index + 1
        while node < sums.count {
            sums[node] -= amount
            node += node & -node
        }
    }

    /// The index whose share of 0..<total holds `point`.
    func index(of point: Int64) -> Int {
        var rest = point
        var node = 0
        var step = 1 << (Int.bitWidth - 1 - (sums.count - 1).leadingZeroBitCount)
        while step > 0 {
            if node + step < sums.count, sums[node + step] <= rest {
                node += step
                rest -= sums[node]
            }
            step /= 2
        }
        return node
    }
}
