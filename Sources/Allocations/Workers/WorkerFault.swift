// Between the pool that breaks something and the worker that it happens to. Only atomics: a worker that nothing is done to
// pays one load per transaction.

import Measurement
import Synchronization

/// One worker's side of planned faults, one after the other.
public final class WorkerFault: Sendable {
    private let faultTime = Atomic<Int64>(0)
    private let isDeathAsked = Atomic<Bool>(false)
    private let isStallTold = Atomic<Bool>(false)
    private let recovery = Atomic<Int64>(0)
    private let replayed = Atomic<Int64>(0)
    private let duplicated = Atomic<Int64>(0)
    private let lost = Atomic<Int64>(0)
    private let isOver = Atomic<Bool>(false)

    public init() {}

    /// Says that something is about to break.
    /// - Parameter killing: asks the worker to die, too: with its transaction on the way, as in a crash.
    public func begin(at time: Int64, killing: Bool) {
        recovery.store(0, ordering: .relaxed)
        replayed.store(0, ordering: .relaxed)
        duplicated.store(0, ordering: .relaxed)
        lost.store(0, ordering: .relaxed)
        faultTime.store(time, ordering: .releasing)
        if killing { isDeathAsked.store(true, ordering: .releasing) }
    }

    /// Says that what the worker reads from stood still. It keeps its connection and its life, so it can't notice by itself.
    /// - Parameter time: since when there is something to read again; what was due by then has to be caught up.
    public func beginStall(until time: Int64) {
        begin(at: time, killing: false)
        isStallTold.store(true, ordering: .releasing)
    }

    /// When all partitions of the worker were past what was due at the fault; nil as long as they aren't.
    public var recoveryTime: Int64? {
        let time = recovery.load(ordering: .acquiring)
        return time == 0 ? nil : time
    }
    /// Messages that were in a transaction at the fault and had to be processed again.
    public var replayedMessageCount: Int64 { replayed.load(ordering: .acquiring) }
    /// Messages between fault and recovery that had been captured before.
    public var duplicateCount: Int64 { duplicated.load(ordering: .acquiring) }
    /// Messages whose commit was answered, and that the database has no more.
    public var lostMessageCount: Int64 { lost.load(ordering: .acquiring) }
    /// Whether the worker has ended; nothing happens to it any more.
    public var hasWorkerEnded: Bool { isOver.load(ordering: .acquiring) }

    // MARK: The worker's side

    /// The fault that is under way; nil before the first.
    var pendingTime: Int64? {
        let time = faultTime.load(ordering: .acquiring)
        return time == 0 || recoveryTime != nil ? nil : time
    }

    func dieIfAsked() throws {
        guard isDeathAsked.load(ordering: .relaxed) else { return }
        isDeathAsked.store(false, ordering: .relaxed)
        throw WorkerKilled()
    }

    /// Whether there was a stall that the worker hasn't taken note of.
    func takeStall() -> Bool {
        // The load alone in all but one case: an exchange would take the cache line each time.
        isStallTold.load(ordering: .relaxed) && isStallTold.exchange(false, ordering: .acquiring)
    }

    func addReplayed(_ count: Int64) { replayed.add(count, ordering: .relaxed) }

    func addLost(_ count: Int64) { lost.add(count, ordering: .relaxed) }

    func recovered(at time: Int64, duplicates: Int64) {
        duplicated.add(duplicates, ordering: .relaxed)
        recovery.store(time, ordering: .releasing)
    }

    func end() { isOver.store(true, ordering: .releasing) }
}

/// The worker was asked to die where it stood.
struct WorkerKilled: Error {}

/// The database stands where it stood before: a standby was promoted that hadn't everything. What the worker holds in memory
/// is of a past that never was, so it goes on as after its own death, from the tables alone.
struct DatabaseWentBack: Error {}
