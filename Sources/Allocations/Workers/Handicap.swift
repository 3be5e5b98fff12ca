// A deliberate slow-down, to see whether the harness finds it: with one worker, throughput falls by exactly its share.

import Glibc
import Measurement

/// After work of length d a worker with the handicap h waits d·h/(1−h), so that it works the share 1−h of its time. What
/// counts as work is all that a worker does but wait for messages: polling and decoding, too.
struct Handicap {
    /// Sleeping takes this much longer than asked for; so a wait up to here is spent looking at the clock.
    private static let sleepMin: Int64 = 50_000

    private let ppm: Int64
    private var workedSince: Int64 = 0
    /// What the last wait took more than it should; the next one is shorter.
    private var credit: Int64 = 0

    init(ppm: Int64) {
        precondition((0..<1_000_000).contains(ppm), "a handicap is a share below 1")
        self.ppm = ppm
    }

    /// Says that work begins: before this the worker had nothing to do.
    mutating func resume(at now: Int64) { workedSince = now }

    /// How long to wait for the work up to `now`.
    func wait(at now: Int64) -> Int64 {
        Int64(Int128(now - workedSince) * Int128(ppm) / Int128(1_000_000 - ppm)) - credit
    }

    /// Waits for the work since the last time. Returns for how long it did.
    mutating func pay() -> Int64 {
        if ppm == 0 { return 0 }
        let now = monotonicNow()
        let owed = wait(at: now)
        let deadline = now + owed
        if owed > Self.sleepMin { sleepUntil(monotonic: deadline - Self.sleepMin) }
        var end = monotonicNow()
        while end < deadline { end = monotonicNow() }
        note(waited: end - now, owed: owed, at: end)
        return end - now
    }

    mutating func note(waited: Int64, owed: Int64, at now: Int64) {
        credit = waited - owed
        workedSince = now
    }
}
