// Goal: the division of executions among blocks is exact, in proportion, and leaves none with too few.

import Measurement
import Model
import Testing

@Suite struct BlockSkewTests {
    @Test func `with theta 1 and a hundred blocks the first one has 19 per cent`() {
        let parts = BlockSkew.zipf(thetaPpm: 1_000_000).division(of: 100_000, among: 100, atLeast: 1)
        #expect(parts.reduce(0, +) == 100_000)
        // 1/H(100), with H(100) = 5.187378.
        #expect(parts[0] == 19_278 && parts[1] == 9_639 && parts[99] == 193)
    }

    @Test func `without skew all have the same, but for what can't be divided`() {
        #expect(BlockSkew.uniform.division(of: 11, among: 4, atLeast: 1) == [3, 3, 3, 2])
    }

    @Test func `the tail has the minimum, and the head shares the rest in proportion`() {
        let parts = BlockSkew.zipf(thetaPpm: 2_000_000).division(of: 1_000, among: 100, atLeast: 5)
        #expect(parts.reduce(0, +) == 1_000 && parts[99] == 5)
        #expect(abs(Double(parts[0]) / Double(parts[1]) - 4) < 0.1)
        #expect(
            BlockSkew.zipf(thetaPpm: 1).division(of: 500, among: 100, atLeast: 5) == Array(repeating: 5, count: 100))
    }

    @Test func `any division adds up, never falls below the minimum, and never rises from block to block`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<300 {
            let count = Int(random.integer(in: 1...300))
            let minimum = random.integer(in: 0...20)
            let total = minimum * Int64(count) + random.integer(in: 0...100_000)
            let skew = BlockSkew.zipf(thetaPpm: random.integer(in: BlockSkew.thetaPpmRange))
            let parts = skew.division(of: total, among: count, atLeast: minimum)
            let comment: Comment = "seed \(seed): \(total) among \(count), \(skew)"
            #expect(parts.count == count && parts.reduce(0, +) == total, comment)
            #expect(parts.allSatisfy { $0 >= minimum }, comment)
            #expect(zip(parts, parts.dropFirst()).allSatisfy { $0 >= $1 }, comment)
        }
    }
}
