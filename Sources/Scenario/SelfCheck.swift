// What the harness finds out about itself and its machine before the first cell: the bounds of everything measured later.

import Measurement
import Report

struct SelfCheck {
    let timerError: TimerError
    let clockOffset: ClockOffset

    /// Blocks for a quarter of a second.
    static func run() -> SelfCheck { SelfCheck(timerError: .measure(), clockOffset: .sample()) }

    var entries: [Manifest.Entry] {
        [
            Manifest.Entry("timer_error_p50_us", String(timerError.p50Ns / 1000)),
            Manifest.Entry("timer_error_p99_us", String(timerError.p99Ns / 1000)),
            Manifest.Entry("timer_error_max_us", String(timerError.maxNs / 1000)),
            Manifest.Entry("realtime_clock_uncertainty_ns", String(clockOffset.uncertaintyNs)),
        ]
    }
}
