// A drawing with chances that change: by which share of a block is left. Pure.

/// Counts by index with sums in logarithmic time, to draw an index with a chance proportional to its count.
struct FenwickTree: Sendable {
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

    /// Adds `amount`, which is below 0 to take away, never more than there is.
    mutating func add(_ amount: Int64, at index: Int) {
        counts[index] += amount
        total += amount
        var node = index + 1
        while node < sums.count {
            sums[node] += amount
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
