// The histogram against the truth: a sorted array of the same values. Goal: every percentile within 0.1 %, nothing
// lost in a merge, nothing clipped in silence. Runs on the test's thread.

import Measurement
import Testing

@Suite struct HistogramTests {
    /// The least value at or below which `permille` ‰ of the values lie, in whole numbers.
    private func exact(_ sorted: [Int64], permille: Int) -> Int64 {
        let rank = max(1, (sorted.count * permille + 999) / 1000)
        return sorted[rank - 1]
    }

    /// Durations from nanoseconds to an hour, as many in each decade, with runs of equal values.
    private func durations(count: Int, random: inout SeededRandom) -> [Int64] {
        var values: [Int64] = []
        while values.count < count {
            let magnitude = random.integer(in: 0...40)
            let value = random.integer(in: 0...(Int64(1) << magnitude))
            for _ in 0..<random.integer(in: 1...3) where values.count < count { values.append(value) }
        }
        return values
    }

    @Test func `every percentile lies within 0.1 percent of the sorted values`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        for round in 0..<40 {
            let values = durations(count: Int(random.integer(in: 1...4000)), random: &random)
            var histogram = Histogram()
            for value in values { histogram.record(value) }
            let sorted = values.sorted()
            for permille in [0, 1, 10, 100, 250, 500, 750, 900, 950, 990, 999, 1000] {
                let truth = exact(sorted, permille: permille)
                let answer = histogram.percentile(Double(permille) / 10)
                #expect(answer >= truth, "seed \(seed) round \(round) \(permille) ‰ of \(values.count)")
                #expect(
                    (answer - truth) * 1000 <= truth,
                    "seed \(seed) round \(round) \(permille) ‰: \(answer) instead of \(truth)")
            }
            #expect(histogram.count == Int64(values.count), "seed \(seed)")
            #expect(histogram.min == sorted.first, "seed \(seed)")
            #expect(histogram.max == sorted.last, "seed \(seed)")
            let mean = Double(values.reduce(Int128(0)) { $0 + Int128($1) }) / Double(values.count)
            #expect(histogram.mean == mean, "seed \(seed)")
            #expect(histogram.clippedCount == 0, "seed \(seed)")
        }
    }

    @Test func `merged histograms equal one that recorded everything`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<10 {
            var whole = Histogram()
            var parts = [Histogram(), Histogram(), Histogram(), Histogram()]
            for value in durations(count: 2000, random: &random) {
                // The fourth stays empty: merging it must change nothing.
                let part = Int(random.integer(in: 0...2))
                whole.record(value)
                parts[part].record(value)
            }
            var merged = Histogram()
            for part in parts { merged.merge(part) }
            #expect(merged == whole, "seed \(seed)")
        }
    }

    @Test func `values up to 2047 ns are kept exactly`() {
        for value: Int64 in [0, 1, 2, 999, 1023, 1024, 2047] {
            var histogram = Histogram()
            histogram.record(value)
            // A second, greater value keeps the answer from being capped by the maximum.
            histogram.record(1_000_000)
            #expect(histogram.percentile(50) == value)
        }
    }

    @Test func `a percentile is the highest value of its bucket but never above the maximum`() {
        var histogram = Histogram()
        // 1,000,000 has 20 bits: slots of 2⁹ = 512 ns, this one from 999,936 to 1,000,447.
        histogram.record(1_000_000)
        #expect(histogram.percentile(50) == 1_000_000)
        histogram.record(2_000_000)
        #expect(histogram.percentile(50) == 1_000_447)
        #expect(histogram.percentile(100) == 2_000_000)
    }

    @Test func `the 99.9th percentile of a thousand values is the 999th`() {
        var histogram = Histogram()
        for value: Int64 in 1...1000 { histogram.record(value) }
        #expect(histogram.percentile(99.9) == 999)
        #expect(histogram.percentile(99.91) == 1000)
        #expect(histogram.percentile(0) == 1)
        #expect(histogram.percentile(0.1) == 1)
        #expect(histogram.percentile(0.11) == 2)
    }

    @Test func `an hour is within range`() {
        var histogram = Histogram()
        histogram.record(3_600_000_000_000)
        histogram.record(Histogram.highestTrackable)
        #expect(histogram.clippedCount == 0)
        #expect(histogram.percentile(50) >= 3_600_000_000_000)
        #expect(histogram.percentile(50) <= 3_603_600_000_000)
        #expect(histogram.percentile(100) == Histogram.highestTrackable)
    }

    @Test func `clipped values are counted and stay visible as minimum and maximum`() {
        var histogram = Histogram()
        histogram.record(-5)
        histogram.record(1000)
        histogram.record(Histogram.highestTrackable + 1)
        histogram.record(.max, count: 2)
        histogram.record(.min)
        #expect(histogram.clippedCount == 5)
        #expect(histogram.count == 6)
        #expect(histogram.min == .min)
        #expect(histogram.max == .max)
        #expect(histogram.percentile(30) == 0)
        #expect(histogram.percentile(50) == 1000)
        #expect(histogram.percentile(100) == Histogram.highestTrackable)
    }

    @Test func `rows that one commit made visible count one by one`() {
        var together = Histogram()
        together.record(70, count: 128)
        var single = Histogram()
        for _ in 0..<128 { single.record(70) }
        #expect(together == single)
    }

    @Test func `sums beyond 64 bits keep the mean exact`() {
        var histogram = Histogram()
        histogram.record(3_600_000_000_000, count: 100_000_000)
        #expect(histogram.mean == 3_600_000_000_000)
    }

    @Test func `an empty histogram answers zero and says that it is empty`() {
        let histogram = Histogram()
        #expect(histogram.count == 0)
        #expect(histogram.percentile(99) == 0)
        #expect(histogram.min == 0)
        #expect(histogram.max == 0)
        #expect(histogram.mean == 0)
    }

    @Test func `reset forgets everything`() {
        var histogram = Histogram()
        for value: Int64 in [-1, 5, .max] { histogram.record(value) }
        histogram.reset()
        #expect(histogram == Histogram())
    }
}
