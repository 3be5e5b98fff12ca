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

    public init(workerCount: Int) { self.workerCount = workerCount }

    /// Says that this worker is ready and waits for the others. The last one to arrive fires the start.
    /// - Returns: the start on the monotonic clock; nil if a worker failed before it got here.
    public func wait() -> Int64? {
        if readyCount.add(1, ordering: .acquiringAndReleasing).newValue == workerCount {
            startTime.store(monotonicNow(), ordering: .releasing)
        }
        while true {
            if isAbandoned.load(ordering: .acquiring) { return nil }
            let start = startTime.load(ordering: .acquiring)
            if start != 0 { return start }
            usleep(200)
        }
    }

    /// Whether nobody needs to come here any more.
    var isOver: Bool { isAbandoned.load(ordering: .acquiring) }

    /// Lets everyone who waits go home: a worker failed before the start.
    public func abandon() { isAbandoned.store(true, ordering: .releasing) }

    /// The same, for a stop that comes from outside: once the workers run, they see it themselves.
    public func abandonUnlessStarted() {
        if start == 0 { abandon() }
    }

    /// The start on the monotonic clock; 0 before it.
    public var start: Int64 { startTime.load(ordering: .acquiring) }
}
