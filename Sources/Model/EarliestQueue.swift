// A priority queue whose capacity is given at the start, so that nothing is allocated while it works. Pure.

/// Keys by size, the smallest first: a binary heap in one array. Keys that tie must be told apart by their own bits.
struct EarliestQueue<Key: FixedWidthInteger & Sendable>: Sendable {
    private var keys: [Key] = []

    init(capacity: Int) { keys.reserveCapacity(capacity) }

    var earliest: Key? { keys.first }
    var count: Int { keys.count }

    mutating func removeAll() { keys.removeAll(keepingCapacity: true) }

    /// Adds a key without restoring the order; `restoreOrder` must follow.
    mutating func appendUnordered(_ key: Key) { keys.append(key) }

    mutating func restoreOrder() {
        for root in stride(from: keys.count / 2 - 1, through: 0, by: -1) { sink(keys[root], from: root) }
    }

    mutating func insert(_ key: Key) {
        keys.append(key)
        rise(key, from: keys.count - 1)
    }

    mutating func removeEarliest() {
        let last = keys.removeLast()
        if !keys.isEmpty { sink(last, from: 0) }
    }

    /// The same as removing the earliest and inserting `key`, in one pass.
    mutating func replaceEarliest(by key: Key) { sink(key, from: 0) }

    /// The hole goes down to a leaf first and the key then rises from there: it came from a leaf and mostly belongs to one,
    /// so this saves one of two comparisons on each level.
    private mutating func sink(_ key: Key, from root: Int) {
        var hole = root
        var child = 2 * root + 1
        while child + 1 < keys.count {
            child += keys[child + 1] < keys[child] ? 1 : 0
            keys[hole] = keys[child]
            hole = child
            child = 2 * hole + 1
        }
        if child < keys.count {
            keys[hole] = keys[child]
            hole = child
        }
        rise(key, from: hole, notAbove: root)
    }

    private mutating func rise(_ key: Key, from leaf: Int, notAbove root: Int = 0) {
        var hole = leaf
        while hole > root {
            let parent = (hole - 1) / 2
            if keys[parent] < key { break }
            keys[hole] = keys[parent]
            hole = parent
        }
        keys[hole] = key
    }
}
