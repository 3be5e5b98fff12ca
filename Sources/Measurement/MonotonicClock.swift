// The one clock of every measurement on a machine.

import Glibc

/// Nanoseconds of CLOCK_MONOTONIC: the same for every process of this machine, never set back.
@inline(__always)
public func monotonicNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
}

/// Sleeps until `deadline` on the monotonic clock, through signals.
public func sleepUntil(monotonic deadline: Int64) {
    var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
}
