// When the fills were committed that wait for a snapshot of their block: what the stage committed_to_allocated needs.

/// Fills by block, oldest first, in memory that grows with the blocks that wait and not with the fills that do.
///
/// A block keeps up to 32 times. When there are more, the two that lie closest together become one, at their mean: they are
/// the 32nd part of the block's wait apart at most, and each of them is off by less than that.
///
/// Each worker has its own and no lock. Workers that share their blocks have none: one takes the snapshot of another's fills, and
/// what it takes to hear of them would be paid by that competitor alone.
final class UnallocatedFills {
    private static let timesKept = 32

    private struct Fill {
        var time: Int64
        var count: Int64
    }

    private struct Waiting {
        /// By position in the book: the place in `fills` where the block's begin, divided by 32; -1 for a block without any.
        var slots: [Int32]
        var counts: [Int32] = []
        var fills: ContiguousArray<Fill> = []
        var freeSlots: [Int32] = []
    }

    private var waiting: Waiting

    init(blockCount: Int) {
        waiting = Waiting(slots: Array(repeating: -1, count: blockCount))
    }

    /// Notes fills that one transaction has committed.
    /// - Parameter blocks: positions in the book, one for each fill; negative ones are none.
    func note(_ blocks: some Sequence<Int>, at time: Int64) {
        for block in blocks where block >= 0 { Self.add(Fill(time: time, count: 1), of: block, to: &waiting) }
    }

    /// A snapshot of these blocks is committed: hands over how long their fills have waited, and forgets them.
    func take(_ blocks: some Sequence<Int>, at time: Int64, record: (_ nanoseconds: Int64, _ count: Int64) -> Void) {
        for block in blocks {
            let slot = waiting.slots[block]
            guard slot >= 0 else { continue }
            let start = Int(slot) * Self.timesKept
            for index in start..<start + Int(waiting.counts[Int(slot)]) {
                record(max(0, time - waiting.fills[index].time), waiting.fills[index].count)
            }
            waiting.slots[block] = -1
            waiting.counts[Int(slot)] = 0
            waiting.freeSlots.append(slot)
        }
    }

    /// Forgets the fills of a block: others take its snapshots from now on.
    func forget(_ block: Int) {
        take(CollectionOfOne(block), at: 0) { _, _ in }
    }

    private static func add(_ fill: Fill, of block: Int, to waiting: inout Waiting) {
        var slot = Int(waiting.slots[block])
        if slot < 0 {
            if let free = waiting.freeSlots.popLast() {
                slot = Int(free)
            } else {
                slot = waiting.counts.count
                waiting.counts.append(0)
                waiting.fills.append(contentsOf: repeatElement(Fill(time: 0, count: 0), count: timesKept))
            }
            waiting.slots[block] = Int32(slot)
        }
        let start = slot * timesKept
        var count = Int(waiting.counts[slot])
        // Fills of one transaction, which is what a batch brings.
        if count > 0, waiting.fills[start + count - 1].time == fill.time {
            waiting.fills[start + count - 1].count += fill.count
            return
        }
        if count == timesKept {
            mergeClosest(in: start..<start + count, of: &waiting.fills)
            count -= 1
        }
        waiting.fills[start + count] = fill
        waiting.counts[slot] = Int32(count + 1)
    }

    /// Makes one of the two neighbours that lie closest together.
    private static func mergeClosest(in range: Range<Int>, of fills: inout ContiguousArray<Fill>) {
        var closest = range.lowerBound
        var gap = Int64.max
        for index in range.dropLast() where fills[index + 1].time - fills[index].time < gap {
            gap = fills[index + 1].time - fills[index].time
            closest = index
        }
        let later = fills[closest + 1]
        let count = fills[closest].count + later.count
        // From the earlier time on, so that the product stays small.
        fills[closest].time += gap * later.count / count
        fills[closest].count = count
        for index in closest + 1..<range.upperBound - 1 { fills[index] = fills[index + 1] }
    }
}
