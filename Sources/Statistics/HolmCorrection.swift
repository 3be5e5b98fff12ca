// How much a small p-value is worth that was one of many: Holm's step-down correction.

/// Keeps the probability that any of a family of comparisons finds a difference between equals at the level of one.
///
/// Holm (1979): the smallest of m p-values is multiplied by m, the next one by m - 1, and so on; none ends up below one
/// that was smaller before. It asks for nothing of how the comparisons hang together, which matters here: all of them
/// share a baseline. Bonferroni's multiplies each by m and finds less.
public enum HolmCorrection {
    /// In the order in which they were given. A nil is a comparison that could show nothing: it takes no part.
    public static func adjusted(_ pValues: [Double?]) -> [Double?] {
        let order = pValues.indices.filter { pValues[$0] != nil }.sorted {
            (pValues[$0] ?? 1, $0) < (pValues[$1] ?? 1, $1)
        }
        var adjusted = [Double?](repeating: nil, count: pValues.count)
        var highest = 0.0
        for (rank, index) in order.enumerated() {
            highest = max(highest, min(1, (pValues[index] ?? 1) * Double(order.count - rank)))
            adjusted[index] = highest
        }
        return adjusted
    }
}
