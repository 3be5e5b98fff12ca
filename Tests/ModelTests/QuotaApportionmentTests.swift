// The quota method against its definition, share by share.

import Measurement
import Model
import Testing

@Suite struct QuotaApportionmentTests {
    /// The definition, one share at a time: slow, and obviously right.
    private func shareByShare(_ ordered: [Int64], upTo last: Int64, visit: (Int64, [Int64]) -> Void) {
        let total = ordered.reduce(0, +)
        var allocated = [Int64](repeating: 0, count: ordered.count)
        visit(0, allocated)
        for house in stride(from: Int64(1), through: last, by: 1) {
            var chosen: Int?
            for account in ordered.indices where allocated[account] * total < house * ordered[account] {
                guard let best = chosen else {
                    chosen = account
                    continue
                }
                if ordered[account] * (allocated[best] + 1) > ordered[best] * (allocated[account] + 1) {
                    chosen = account
                }
            }
            allocated[chosen!] += 1
            visit(house, allocated)
        }
    }

    @Test func `every house size of random blocks equals the method's definition`() {
        let seed: UInt64 = 20_241_114
        var random = SeededRandom(seed: seed)
        for round in 0..<150 {
            let accounts = random.integer(in: 1...12)
            let largest = random.integer(in: 1...60)
            let ordered = (0..<accounts).map { _ in random.integer(in: 1...largest) }
            let quota = QuotaApportionment(ordered: ordered)
            shareByShare(ordered, upTo: quota.total) { house, expected in
                #expect(quota.allocate(house) == expected, "seed \(seed), round \(round), \(ordered), \(house) shares")
            }
        }
    }

    @Test func `skewed blocks with one tiny account equal the definition`() {
        for ordered: [Int64] in [
            [1, 999], [999, 1], [1, 1, 998], [5000, 1, 3, 777], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
        ] {
            let quota = QuotaApportionment(ordered: ordered)
            shareByShare(ordered, upTo: quota.total) { house, expected in
                #expect(quota.allocate(house) == expected, "\(ordered) at \(house)")
            }
        }
    }

    @Test func `an allocation never falls and stays within one share of its exact proportion`() {
        let seed: UInt64 = 7
        var random = SeededRandom(seed: seed)
        for _ in 0..<20 {
            let ordered = (0..<random.integer(in: 1...20)).map { _ in random.integer(in: 1...5000) }
            let quota = QuotaApportionment(ordered: ordered)
            var previous = [Int64](repeating: 0, count: ordered.count)
            var filled: Int64 = 0
            while filled < quota.total {
                filled = min(quota.total, filled + random.integer(in: 50...500))
                let allocated = quota.allocate(filled)
                #expect(allocated.reduce(0, +) == filled, "seed \(seed)")
                for account in ordered.indices {
                    #expect(allocated[account] >= previous[account], "seed \(seed)")
                    #expect(
                        abs(allocated[account] * quota.total - filled * ordered[account]) < quota.total, "seed \(seed)")
                }
                previous = allocated
            }
            #expect(previous == ordered)
        }
    }

    @Test func `equal accounts get the odd shares in order of account`() {
        let quota = QuotaApportionment(ordered: [10, 10, 10])
        #expect(quota.allocate(1) == [1, 0, 0])
        #expect(quota.allocate(2) == [1, 1, 0])
        #expect(quota.allocate(4) == [2, 1, 1])
    }
}
