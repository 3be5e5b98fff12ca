// Looks at the counters of the workers once a second and reports what they say. On a thread of its own, which only reads.

import Allocations
import Measurement
import Threads

final class ProgressClock: Sendable {
    private let stop = StopFlag()
    private let thread: WorkerThread<Void>

    /// - Parameters:
    ///   - expected: messages that the cell will process; nil where that isn't known.
    ///   - due: how many of them are due at a time; nil where the workers see for themselves what is due.
    init(
        _ counters: WorkerProgress, expected: Int64?, due: (@Sendable (_ now: Int64) -> Int64)? = nil,
        report: @escaping @Sendable (CellProgress) -> Void
    ) {
        let stop = stop
        thread = WorkerThread(name: "progress") {
            var last = counters.committedMessageCount
            var lastTime = monotonicNow()
            while !stop.isSet {
                sleepUntil(monotonic: monotonicNow() + 100_000_000)
                let now = monotonicNow()
                guard now - lastTime >= 1_000_000_000 else { continue }
                let count = counters.committedMessageCount
                report(
                    CellProgress(
                        messages: count, messagesExpected: expected,
                        ratePerSecond: Double(count - last) * 1e9 / Double(now - lastTime),
                        lagMessages: due.map { max(0, $0(now) - count) } ?? counters.lagMessageCount,
                        retries: counters.retryCount))
                (last, lastTime) = (count, now)
            }
        }
    }

    /// Waits until nothing is reported any more.
    func end() {
        stop.set()
        try? thread.join()
    }
}
