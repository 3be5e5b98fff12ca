// Where workers wait until all of them are connected, so that no connection set-up is measured.

import Glibc
import Measurement
import Synchronization
import Threads

/// A start that all workers of a run share.
public final class StartingLine: Sendable {
    private let workerCount: Int
    private let readyCount = Atomic<Int>(0)
    private let startTime = Atomic<Int64>(0)
    private let isAbandoned = Atomic<Bool>(false)
    private let isCalled: Bool

    /// - Parameter isCalled: whether the start comes from outside, by `call`: where workers of several hosts start together,
    ///   none of them knows when the last one is ready.
    public init(workerCount: Int, isCalled: Bool = false) {
        self.workerCount = workerCount
        self.isCalled = isCalled
    }

    /// Says that this worker is ready and waits for the others. The last one to arrive fires the start, unless it is called.
    /// - Returns: the start on the monotonic clock; nil if a worker failed before it got here.
    public func wait() -> Int64? {
        let count = readyCount.add(1, ordering: .acquiringAndReleasing).newValue
        if count == workerCount && !isCalled {
            startTime.store(monotonicNow(), ordering: .releasing)
        }
        while true {
            if isAbandoned.load(ordering: .acquiring) { return nil }
            let start = startTime.load(ordering: .acquiring)
            if start != 0 {
                // A start that was called may still be ahead.
                if isCalled { sleepUntil(monotonic: start) }
                return start
            }
            usleep(200)
        }
    }

    /// Whether nobody needs to come here any more.
    var isOver: Bool { isAbandoned.load(ordering: .acquiring) }

    /// Whether all are there.
    public var isReady: Bool { readyCount.load(ordering: .acquiring) >= workerCount }

    /// Says when everyone starts, on the monotonic clock; of a line whose start is called, once.
    public func call(at start: Int64) {
        precondition(isCalled && start > 0, "only a line whose start comes from outside is called")
        startTime.store(start, ordering: .releasing)
    }

    /// Lets everyone who waits go home: a worker failed before the start.
    public func abandon() { isAbandoned.store(true, ordering: .releasing) }

    /// The same, for a stop that comes from outside: once the workers run, they see it themselves.
    public func abandonUnlessStarted() {
        if start == 0 { abandon() }
    }

    /// The start on the monotonic clock; 0 before it.
    public var start: Int64 { startTime.load(ordering: .acquiring) }
}
