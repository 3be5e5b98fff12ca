// Balinski and Young's quota method, lot by lot as it is defined.

/// Gives out one lot after the other. At house size h the next lot goes to the largest weight ÷ (held + 1) among the accounts
/// that hold less than their upper quota ⌈h × weight ÷ total⌉; of equals, to the first. Two heaps find it in logarithmic
/// time: who may have a lot now, and from which house size on the others may.
struct QuotaMethod {
    private let weights: [Int64]
    private let total: Int64
    private(set) var house: Int64 = 0
    private(set) var held: [Int64]
    /// Accounts below their upper quota, by (held + 1) ÷ weight.
    private var eligible = Heap()
    /// The others, by the house size that lifts their upper quota above what they hold.
    private var waiting = Heap()

    init(weights: [Int64]) {
        self.weights = weights
        total = weights.reduce(0, +)
        held = [Int64](repeating: 0, count: weights.count)
        for account in weights.indices { waiting.push(Heap.Entry(above: 1, below: 1, account: account)) }
    }

    /// Gives out the next lot.
    mutating func giveNext() {
        house += 1
        while let first = waiting.first, first.above <= house {
            waiting.removeFirst()
            eligible.push(
                Heap.Entry(above: held[first.account] + 1, below: weights[first.account], account: first.account))
        }
        // There is always one: the upper quotas add up to at least the house size.
        guard let winner = eligible.first?.account else { preconditionFailure("nobody may have lot \(house)") }
        eligible.removeFirst()
        held[winner] += 1
        // The smallest h with h × weight > held × total.
        let release = held[winner] * total / weights[winner] + 1
        waiting.push(Heap.Entry(above: release, below: 1, account: winner))
    }
}

/// A binary heap of accounts by a fraction, of equal fractions by account.
struct Heap {
    struct Entry {
        var above: Int64
        var below: Int64
        var account: Int

        func comes(before other: Entry) -> Bool {
            let (left, right) = (above.multipliedFullWidth(by: other.below), other.above.multipliedFullWidth(by: below))
            if left.high != right.high { return left.high < right.high }
            if left.low != right.low { return left.low < right.low }
            return account < other.account
        }
    }

    private var entries: [Entry] = []

    var first: Entry? { entries.first }

    mutating func push(_ entry: Entry) {
        entries.append(entry)
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].comes(before: entries[parent]) else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            var best = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < entries.count && entries[child].comes(before: entries[best]) {
                best = child
            }
            guard best != parent else { return }
            entries.swapAt(parent, best)
            parent = best
        }
    }
}
