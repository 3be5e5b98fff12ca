// Which share of the executions each block order gets: all the same, or a few hot ones and a long tail. Pure.

import Glibc

/// How the executions of a workload are spread over its blocks.
public enum BlockSkew: Sendable, Hashable {
    /// Every block has as many.
    case uniform
    /// The i-th block has a share in proportion to 1/i^θ, θ in millionths: with 990,000 and 100 blocks about 19 % belong to
    /// the first one.
    case zipf(thetaPpm: Int64)

    /// 0 < θ ≤ 2.
    public static let thetaPpmRange: ClosedRange<Int64> = 1...2_000_000

    /// Divides `total` among `count` blocks in proportion, by largest remainder; every block gets `minimum` at least, and those
    /// that have no more by their proportion don't count in the others'. The largest comes first.
    public func division(of total: Int64, among count: Int, atLeast minimum: Int64) -> [Int64] {
        precondition(count > 0 && minimum >= 0 && total >= minimum * Int64(count), "\(total) among \(count)")
        let weights = weights(count)
        // The tail has the least; it is cut off from its end until the last one left has enough by its proportion.
        var head = count
        var weightSum = weights.reduce(0, +)
        var spread: Int128 { Int128(total) - Int128(minimum) * Int128(count - head) }
        while head > 0, spread * weights[head - 1] < Int128(minimum) * weightSum {
            head -= 1
            weightSum -= weights[head]
        }
        guard head > 0 else { return [Int64](repeating: minimum, count: count) }
        let whole = weights[..<head].map { spread * $0 / weightSum }
        var parts = whole.map { Int64($0) } + [Int64](repeating: minimum, count: count - head)
        let remainders = (0..<head).map { spread * weights[$0] % weightSum }
        // Fewer are left over than there are blocks; of equal remainders the first one counts.
        let order = (0..<head).sorted { (remainders[$1], $0) < (remainders[$0], $1) }
        for index in order.prefix(Int(total - parts.reduce(0, +))) { parts[index] += 1 }
        return parts
    }

    /// Whole numbers, so that everything behind them is exact.
    private func weights(_ count: Int) -> [Int128] {
        switch self {
        case .uniform: return [Int128](repeating: 1, count: count)
        case .zipf(let thetaPpm):
            let theta = Double(thetaPpm) / 1e6
            return (1...count).map { max(1, Int128((pow(Double($0), -theta) * 0x1p50).rounded())) }
        }
    }
}
