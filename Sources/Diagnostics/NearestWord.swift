// Suggests the word a user probably meant.

/// The candidate closest to `word` by edit distance, if one is close enough to be a likely slip.
public func nearestWord(to word: String, among candidates: some Sequence<String>) -> String? {
    let limit = max(1, word.count / 3)
    return
        candidates
        .map { (word: $0, distance: editDistance(word.lowercased(), $0.lowercased())) }
        .filter { $0.distance <= limit }
        .min { ($0.distance, $0.word) < ($1.distance, $1.word) }?
        .word
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment).
/// A swap counts once, because swapped letters are the commonest slip of all.
func editDistance(_ a: String, _ b: String) -> Int {
    let from = Array(a.unicodeScalars)
    let to = Array(b.unicodeScalars)
    var beforeLast = [Int](repeating: 0, count: to.count + 1)
    var last = Array(0...to.count)
    for i in from.indices {
        var row = [i + 1]
        for j in to.indices {
            var distance = min(last[j + 1], row[j]) + 1
            distance = min(distance, last[j] + (from[i] == to[j] ? 0 : 1))
            if i > 0, j > 0, from[i] == to[j - 1], from[i - 1] == to[j] {
                distance = min(distance, beforeLast[j - 1] + 1)
            }
            row.append(distance)
        }
        (beforeLast, last) = (last, row)
    }
    return last[to.count]
}
