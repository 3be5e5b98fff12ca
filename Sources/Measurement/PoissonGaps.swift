// The random part of Poisson arrivals: how much of the mean gap has gone by before message n, for any n at once.

import Glibc

/// The sums of exponential gaps, answered in constant time from tables of 400 KB, whatever the number of messages.
///
/// A sum of n gaps cut into parts has a known law: the whole is Gamma(n), and the shares of its parts are Dirichlet and
/// independent of the whole. So the sums are drawn from above. The messages are cut into spans of 2²⁰, each span into 1,024
/// blocks, each block into 1,024 gaps.
///
/// - The sums of the spans are drawn independently from Gamma(2²⁰): a table for the first 1,024 spans, a thousand million
///   messages; behind them the table repeats.
/// - The shares of the blocks in a span come from one of 16 rows of 1,024 numbers from Gamma(1024), divided by the row's sum.
///   Which row, and at which of its 1,024 places it begins (it wraps around), is hashed from the seed and the span's number.
/// - The shares of the gaps in a block come in the same way from one of 16 rows of 1,024 numbers from Gamma(1), the exponential,
///   hashed from the seed and the block's number.
///
/// Since the numbers of a row are exchangeable, beginning elsewhere changes nothing in their law: each span, and each block in
/// it, by itself is exactly Poisson. What isn't is that one block in 16 has the gaps of a given earlier one, from another
/// place on and scaled anew.
///
/// Everything behind the drawing of the tables is in whole numbers, rounded down, so that no arrival comes before the one
/// before. The tables need `log`, whose last bit may differ between C libraries: arrivals are the same for every process of a
/// machine, and within a nanosecond or two on another.
final class PoissonGaps: Sendable {
    private static let rowLength = 1024
    private static let rowCount = 16
    private static let spanCount = 1024
    /// Parts of a mean gap. A span is then about 2⁴⁰ of them, and all spans together 2⁵⁰.
    private static let partsPerGap: Double = 1_048_576

    private let seed: UInt64
    /// What has gone by before each span; one number more than there are spans.
    private let spans: [Int64]
    /// Rows of sums of what comes before each place, twice around, so that a row can be read from any place on.
    private let blocks: [Int64]
    private let gaps: [Int64]

    init(seed: UInt64) {
        self.seed = seed
        var random = SeededRandom(seed: seed, stream: 0x506F_6973_736F_6E)
        spans = PoissonGaps.sums(count: PoissonGaps.spanCount, shape: 1_048_576, rounds: 1, from: &random)
        blocks = (0..<PoissonGaps.rowCount).flatMap { _ in
            PoissonGaps.sums(count: PoissonGaps.rowLength, shape: 1024, rounds: 2, from: &random)
        }
        gaps = (0..<PoissonGaps.rowCount).flatMap { _ in
            PoissonGaps.sums(count: PoissonGaps.rowLength, shape: 1, rounds: 2, from: &random)
        }
    }

    /// The sum of the gaps before message `sequence`, in units of `Piece`: 2·10¹² to the mean gap.
    func units(before sequence: Int64) -> Int128 {
        let sequence = max(0, sequence)
        let place = Int(sequence & 1023)
        let blockNumber = sequence >> 10
        let span = blockNumber >> 10
        let round = span / Int64(PoissonGaps.spanCount)
        let spanIndex = Int(span % Int64(PoissonGaps.spanCount))
        let spanTotal = spans[spanIndex + 1] - spans[spanIndex]

        let block = Int(blockNumber & 1023)
        let (blockRow, blockFirst) = choice(level: 1, number: span)
        let blockStart = share(blocks, row: blockRow, first: blockFirst, before: block, of: spanTotal)
        let blockEnd = share(blocks, row: blockRow, first: blockFirst, before: block + 1, of: spanTotal)

        let (gapRow, gapFirst) = choice(level: 2, number: blockNumber)
        let inBlock = share(gaps, row: gapRow, first: gapFirst, before: place, of: blockEnd - blockStart)
        let parts =
            Int128(round) * Int128(spans[PoissonGaps.spanCount]) + Int128(spans[spanIndex] + blockStart + inBlock)
        return (parts * 2_000_000_000_000) >> 20
    }

    /// `total`, shared out in the proportions of a row: what falls to the `count` places from `first` on.
    private func share(_ rows: [Int64], row: Int, first: Int, before count: Int, of total: Int64) -> Int64 {
        let base = row * (2 * PoissonGaps.rowLength + 1)
        let part = UInt64(rows[base + first + count] - rows[base + first])
        let whole = UInt64(rows[base + PoissonGaps.rowLength])
        // The part is at most the whole, so that the quotient fits.
        guard part < whole else { return total }
        let product = part.multipliedFullWidth(by: UInt64(total))
        return Int64(whole.dividingFullWidth(product).quotient)
    }

    private func choice(level: UInt64, number: Int64) -> (row: Int, first: Int) {
        // SplitMix64's finish over a counter: neighbouring numbers give independent choices.
        var z = seed &+ (UInt64(bitPattern: number) &* 2 &+ level) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        return (Int(z >> 60), Int(z & 1023))
    }

    /// Running sums of `count` numbers from Gamma(shape), once or twice around, from 0 on.
    private static func sums(
        count: Int, shape: Double, rounds: Int, from random: inout SeededRandom
    ) -> [Int64] {
        let numbers = (0..<count).map { _ in Int64(gamma(shape, from: &random) * partsPerGap) }
        var sums: [Int64] = [0]
        sums.reserveCapacity(rounds * count + 1)
        var sum: Int64 = 0
        for _ in 0..<rounds {
            for number in numbers {
                sum += number
                sums.append(sum)
            }
        }
        return sums
    }

    /// Marsaglia and Tsang's method (ACM TOMS 26, 2000), for a shape of 1 or more.
    private static func gamma(_ shape: Double, from random: inout SeededRandom) -> Double {
        if shape == 1 { return -log(unit(from: &random)) }
        let d = shape - 1.0 / 3
        let c = 1 / (9 * d).squareRoot()
        while true {
            let x = normal(from: &random)
            let root = 1 + c * x
            guard root > 0 else { continue }
            let v = root * root * root
            if log(unit(from: &random)) < 0.5 * x * x + d - d * v + d * log(v) { return d * v }
        }
    }

    /// Marsaglia's polar method; its second number is thrown away.
    private static func normal(from random: inout SeededRandom) -> Double {
        while true {
            let (x, y) = (2 * unit(from: &random) - 1, 2 * unit(from: &random) - 1)
            let square = x * x + y * y
            if square > 0 && square < 1 { return x * (-2 * log(square) / square).squareRoot() }
        }
    }

    /// Above 0 and up to 1.
    private static func unit(from random: inout SeededRandom) -> Double {
        (Double(random.next() >> 11) + 1) / 9_007_199_254_740_992
    }
}
