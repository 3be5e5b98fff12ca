// Latencies in constant memory. A value without locks: every worker owns one on its own thread, the runner merges
// them after the threads have ended. Percentiles are never averaged, always read from merged counts.

/// Counts of durations in nanoseconds, laid out as HdrHistogram does with 3 significant digits: 1 ns is the lowest
/// unit, and every value up to `highestTrackable` lies within 0.1 % of what its bucket reports.
public struct Histogram: Sendable, Equatable {
    /// 2048 slots a bucket are the least power of two that keeps 3 digits (2 × 10³); each further bucket doubles
    /// the width of a slot and needs only the upper half, because the lower half is the bucket below.
    private static let subBucketMagnitude = 11
    private static let subBucketHalfCount = 1 << (subBucketMagnitude - 1)
    private static let subBucketMask: UInt64 = (1 << UInt64(subBucketMagnitude)) - 1
    private static let bucketCount = 32
    private static let slotCount = (bucketCount + 1) * subBucketHalfCount

    /// 2⁴² - 1 ns, 73 minutes: what lies above counts as this value, and is counted in `clippedCount`.
    public static let highestTrackable: Int64 = (1 << Int64(subBucketMagnitude + bucketCount - 1)) - 1

    private var counts: ContiguousArray<UInt64>
    private var sum: Int128 = 0
    private var smallest = Int64.max
    private var largest = Int64.min
    private var total: Int64 = 0
    private var clipped: Int64 = 0

    /// Allocates the 264 KiB of its counts; nothing afterwards allocates.
    public init() { counts = ContiguousArray(repeating: 0, count: Histogram.slotCount) }

    /// A place for a histogram that nobody has asked for: it takes no memory, and recording to it traps.
    static let withoutRoom = Histogram(counts: [])

    private init(counts: ContiguousArray<UInt64>) { self.counts = counts }

    var hasRoom: Bool { !counts.isEmpty }

    /// Counts one duration. A duration outside 0...`highestTrackable` counts at the nearer end and in `clippedCount`.
    @inline(__always)
    public mutating func record(_ nanoseconds: Int64) {
        record(nanoseconds, count: 1)
    }

    /// Counts `count` equal durations, such as the rows that one commit made visible together.
    @inline(__always)
    public mutating func record(_ nanoseconds: Int64, count: Int64) {
        let tracked = Swift.min(Swift.max(nanoseconds, 0), Histogram.highestTrackable)
        counts[Histogram.slot(of: UInt64(bitPattern: tracked))] &+= UInt64(bitPattern: count)
        total &+= count
        sum &+= Int128(tracked) &* Int128(count)
        smallest = Swift.min(smallest, nanoseconds)
        largest = Swift.max(largest, nanoseconds)
        clipped &+= tracked == nanoseconds ? 0 : count
    }

    /// Adds the counts of `other`; the result is the same as if every value had been recorded here.
    public mutating func merge(_ other: Histogram) {
        for slot in 0..<Histogram.slotCount { counts[slot] &+= other.counts[slot] }
        total += other.total
        sum += other.sum
        smallest = Swift.min(smallest, other.smallest)
        largest = Swift.max(largest, other.largest)
        clipped += other.clipped
    }

    /// Forgets everything and keeps the memory.
    public mutating func reset() {
        for slot in 0..<Histogram.slotCount { counts[slot] = 0 }
        (sum, smallest, largest, total, clipped) = (0, .max, .min, 0, 0)
    }

    /// How many values were recorded.
    public var count: Int64 { total }
    /// How many of them lay outside 0...`highestTrackable`. Not 0 means that percentiles near that end are bounds.
    public var clippedCount: Int64 { clipped }
    /// The least value as it was recorded, exact and unclipped; 0 when there is none.
    public var min: Int64 { total == 0 ? 0 : smallest }
    /// The greatest value as it was recorded, exact and unclipped; 0 when there is none.
    public var max: Int64 { total == 0 ? 0 : largest }
    /// The exact mean of the recorded values, clipped ones at the end they were clipped to; 0 when there is none.
    public var mean: Double { total == 0 ? 0 : Double(sum) / Double(total) }

    /// The value at or below which `percent` % of the counts lie: HdrHistogram's definition, which answers with the
    /// highest value that shares the bucket, but never with more than `max`. 0 when nothing was recorded.
    public func percentile(_ percent: Double) -> Int64 {
        precondition((0...100).contains(percent), "a percentile lies between 0 and 100")
        guard total > 0 else { return 0 }
        // The next lower double keeps 99.9 % of 1000 at rank 999: the product would round up to 999.0000000000001.
        let rank = Swift.max(1, (percent.nextDown * Double(total) / 100).rounded(.up))
        var seen: UInt64 = 0
        for slot in 0..<Histogram.slotCount {
            seen &+= counts[slot]
            if Double(seen) >= rank { return Swift.min(Histogram.highestEquivalent(slot: slot), largest) }
        }
        return largest
    }

    /// The counts up to the last that isn't 0, in the order of their values: what HdrHistogram's encoding holds.
    var countsInUse: ArraySlice<UInt64> {
        guard let last = counts.lastIndex(where: { $0 > 0 }) else { return [] }
        return ArraySlice(counts[...last])
    }

    /// What counts alone don't tell.
    struct Exact: Equatable {
        var sum: Int128
        var min: Int64
        var max: Int64
        var clippedCount: Int64
    }

    var exact: Exact { Exact(sum: sum, min: min, max: max, clippedCount: clipped) }

    /// How many counts there are room for.
    static var slots: Int { slotCount }

    /// A histogram that was written down. Without `exact`, a count stands for the middle of its values in the mean, and for the
    /// farther end in minimum and maximum, as HdrHistogram reads it.
    /// - Returns: nil where the counts don't fit, or `exact` contradicts them.
    init?(counts written: [UInt64], exact: Exact?) {
        self.init()
        guard written.count <= Histogram.slotCount else { return nil }
        for (slot, count) in written.enumerated() where count > 0 {
            let (sum, overflow) = total.addingReportingOverflow(Int64(clamping: count))
            guard !overflow, count <= UInt64(Int64.max) else { return nil }
            counts[slot] = count
            total = sum
            let high = Histogram.highestEquivalent(slot: slot)
            let low = slot == 0 ? 0 : Histogram.highestEquivalent(slot: slot - 1) + 1
            self.sum += (Int128(low) + Int128(high)) / 2 * Int128(count)
            smallest = Swift.min(smallest, low)
            largest = high
        }
        guard let exact else { return }
        guard total > 0 else {
            guard exact == self.exact else { return nil }
            return
        }
        func slot(of value: Int64) -> Int {
            Histogram.slot(of: UInt64(Swift.min(Swift.max(value, 0), Histogram.highestTrackable)))
        }
        guard slot(of: exact.min) == slot(of: smallest), slot(of: exact.max) == slot(of: largest),
            (0...total).contains(exact.clippedCount), exact.sum >= 0,
            exact.sum <= Int128(total) * Int128(Histogram.highestTrackable)
        else { return nil }
        (sum, smallest, largest, clipped) = (exact.sum, exact.min, exact.max, exact.clippedCount)
    }

    /// Where a value counts: its bucket is the position of its highest bit, its slot the 11 bits from there on.
    @inline(__always)
    private static func slot(of value: UInt64) -> Int {
        let bucket = 64 - subBucketMagnitude - (value | subBucketMask).leadingZeroBitCount
        return (bucket &<< (subBucketMagnitude - 1)) &+ Int(truncatingIfNeeded: value &>> UInt64(bucket))
    }

    /// The greatest value that counts in `slot`.
    private static func highestEquivalent(slot: Int) -> Int64 {
        let bucket = Swift.max(0, slot / subBucketHalfCount - 1)
        let subSlot = slot - bucket * subBucketHalfCount
        return (Int64(subSlot + 1) << Int64(bucket)) - 1
    }
}
