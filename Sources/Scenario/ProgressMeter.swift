// What the counters of a cell's load say about it. A value: whoever asks brings the time.

import Measurement

struct ProgressMeter {
    private let unit: CellProgress.Unit
    private let expected: Int64?
    /// Whether the cell ends with what is expected; a search's probe is only a part of one.
    private let isWholeCell: Bool
    private let start: Int64
    private var lastCount: Int64 = 0
    private var lastTime: Int64
    private var ratePerSecond = 0.0

    /// A rate over less than this is noise.
    private static let rateIntervalMinNs: Int64 = 500_000_000

    /// - Parameters:
    ///   - expected: how much the load is; nil where that isn't known.
    ///   - start: when the load began.
    init(_ unit: CellProgress.Unit, expected: Int64?, isWholeCell: Bool = true, start: Int64) {
        self.unit = unit
        self.expected = expected
        self.isWholeCell = isWholeCell
        self.start = start
        lastTime = start
    }

    mutating func progress(_ counts: ProgressCounts, at now: Int64) -> CellProgress {
        let isFirst = lastTime == start
        // What comes behind the load's last message, such as its verification, isn't part of its rate.
        let isOver = expected.map { lastCount >= $0 } ?? false
        if isFirst || (now - lastTime >= Self.rateIntervalMinNs && !isOver) {
            if now > lastTime { ratePerSecond = Double(counts.committed - lastCount) * 1e9 / Double(now - lastTime) }
            (lastCount, lastTime) = (counts.committed, now)
        }
        return CellProgress(
            unit: unit, done: counts.committed, expected: expected, ratePerSecond: ratePerSecond,
            lag: unit == .messages ? counts.lag : nil, retries: counts.retries, errors: counts.errors,
            elapsed: .nanoseconds(now - start), isWholeCell: isWholeCell)
    }
}
