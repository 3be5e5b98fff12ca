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

/// Levenshtein distance: insertions, deletions and substitutions that turn `a` into `b`.
func editDistance(_ a: String, _ b: String) -> Int {
    let from = Array(a.unicodeScalars)
    let to = Array(b.unicodeScalars)
    var row = Array(0...to.count)
    for (i, left) in from.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, right) in to.enumerated() {
            let substituted = diagonal + (left == right ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[to.count]
}
