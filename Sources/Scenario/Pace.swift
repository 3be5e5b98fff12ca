// How long the rest of a run may take.

/// What the cells so far say about those to come.
struct Pace {
    private var cellsLeft: Int
    private var doneCount = 0
    private var doneNanoseconds: Int64 = 0

    init(cellCount: Int) { cellsLeft = cellCount }

    mutating func add(_ nanoseconds: Int64) {
        doneCount += 1
        cellsLeft -= 1
        doneNanoseconds += nanoseconds
    }

    var remaining: Duration {
        doneCount == 0 ? .zero : .nanoseconds(doneNanoseconds / Int64(doneCount) * Int64(max(0, cellsLeft)))
    }
}
