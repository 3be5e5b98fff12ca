// Looks at the counters of the workers once a second and reports what they say. On a thread of its own, which only reads.

import Measurement
import Threads

final class ProgressClock: Sendable {
    private let stop = StopFlag()
    private let thread: WorkerThread<Void>

    private static let intervalNs: Int64 = 1_000_000_000

    private init(
        _ counters: WorkerProgress, _ unit: CellProgress.Unit, expected: Int64?, isWholeCell: Bool,
        due: (@Sendable (_ now: Int64) -> Int64)?, report: @escaping @Sendable (CellProgress) -> Void
    ) {
        let (stop, start) = (stop, monotonicNow())
        thread = WorkerThread(name: "progress") {
            var meter = ProgressMeter(unit, expected: expected, isWholeCell: isWholeCell, start: start)
            func look() -> CellProgress {
                let now = monotonicNow()
                var counts = counters.counts
                if let due { counts.lag = max(0, due(now) - counts.committed) }
                return meter.progress(counts, at: now)
            }
            var next = start + Self.intervalNs
            while !stop.isSet {
                sleepUntil(monotonic: min(next, monotonicNow() + 50_000_000))
                guard monotonicNow() >= next, !stop.isSet else { continue }
                report(look())
                next = monotonicNow() + Self.intervalNs
            }
            // However short the load was, its last word tells all of it.
            report(look())
        }
    }

    /// Waits until nothing is reported any more.
    private func end() {
        stop.set()
        try? thread.join()
    }

    /// Reports while `load` goes on, and once more when it is over. Nothing is reported after it has returned.
    /// - Parameters:
    ///   - expected: how much the load is; nil where that isn't known.
    ///   - isWholeCell: whether the cell ends with it.
    ///   - due: how much of it is due at a time; nil where the workers see for themselves what is due.
    static func during<R>(
        _ counters: WorkerProgress, _ unit: CellProgress.Unit, expected: Int64?, isWholeCell: Bool = true,
        due: (@Sendable (_ now: Int64) -> Int64)? = nil, report: @escaping @Sendable (CellProgress) -> Void,
        load: () throws -> R
    ) rethrows -> R {
        let clock = ProgressClock(
            counters, unit, expected: expected, isWholeCell: isWholeCell, due: due, report: report)
        defer { clock.end() }
        return try load()
    }
}
