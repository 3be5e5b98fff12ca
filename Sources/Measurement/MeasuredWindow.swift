// Which messages count: a run warms up, is measured, and may go on after that. The plan is a pure value; the window itself
// is the one object that all workers of a run share, made of atomics, so that none of them ever waits for another.

import Synchronization

/// How a run is cut into a warm-up and a measured part.
public struct WindowPlan: Sendable, Hashable {
    /// How long a part lasts.
    public enum Extent: Sendable, Hashable {
        /// There is no such part.
        case none
        /// That many messages, committed with a backlog, due in an open run.
        case count(Int64)
        case nanoseconds(Int64)

        public static func seconds(_ seconds: Double) -> Extent { .nanoseconds(Int64((seconds * 1e9).rounded())) }
    }

    /// Begins with the run.
    public var warmUp: Extent
    /// Begins where the warm-up ends; nil goes on to the end of the run.
    public var measured: Extent?

    /// Everything counts.
    public static let everything = WindowPlan(warmUp: .none, measured: nil)

    public init(warmUp: Extent, measured: Extent?) {
        for case .count(let size)? in [warmUp, measured] { precondition(size > 0, "a part of a run holds a message") }
        for case .nanoseconds(let size)? in [warmUp, measured] { precondition(size > 0, "a part of a run lasts") }
        precondition(measured != Extent.none, "a run without a measured part measures nothing")
        self.warmUp = warmUp
        self.measured = measured
    }
}

/// The measured part of one run, shared by its workers.
///
/// In an open run a message belongs to the window by its intended arrival, however late it is committed: by its commit, the
/// window would lose the messages that waited longest. A count is then turned into times through the schedule. With a
/// backlog all messages are due at the start, so a message belongs to the window by its commit. A count is then of commits
/// over all workers: the transaction that reaches the warm-up's count opens the window and isn't part of it, the one
/// that reaches the measured count closes the window and is. So what counts is exactly what was committed between the two
/// times, and the throughput isn't off by a batch; the number of messages is what was asked for, give or take a transaction.
public final class MeasuredWindow: Sendable {
    /// Which messages of one transaction count. Ask for each message; it costs two comparisons.
    public struct Membership: Sendable, Hashable {
        let firstArrival: Int64
        let endArrival: Int64

        static let all = Membership(firstArrival: .min, endArrival: .max)
        static let nothing = Membership(firstArrival: .max, endArrival: .min)

        @inline(__always)
        public func contains(arrival: Int64) -> Bool { arrival >= firstArrival && arrival < endArrival }
    }

    public let plan: WindowPlan
    private let schedule: ArrivalSchedule
    private let isUnlimited: Bool
    private let isByArrival: Bool
    /// Commits before the opening and before the closing; only of a backlog. 0 and `max` where time decides.
    private let openingCount: Int64
    private let closingCount: Int64
    /// What the opening adds to its own time to get the closing; 0 where a count or nothing closes the window.
    private let measuredNs: Int64

    private let start = Atomic<Int64>(.max)
    private let opening = Atomic<Int64>(.max)
    private let closing = Atomic<Int64>(.max)
    /// Commits so far, where they count for something: all of them during a warm-up by count, else those in the window.
    private let committed = Atomic<Int64>(0)
    private let committedAtOpening = Atomic<Int64>(0)
    private let committedAtClosing = Atomic<Int64>(.max)

    public init(plan: WindowPlan, schedule: ArrivalSchedule) {
        self.plan = plan
        self.schedule = schedule
        isUnlimited = plan == .everything
        isByArrival = !schedule.isBacklog
        var warmUpCount: Int64 = 0
        if case .count(let count) = plan.warmUp, schedule.isBacklog { warmUpCount = count }
        openingCount = warmUpCount
        if case .count(let count)? = plan.measured, schedule.isBacklog {
            closingCount = warmUpCount + count
        } else {
            closingCount = .max
        }
        if case .nanoseconds(let length)? = plan.measured { measuredNs = length } else { measuredNs = 0 }
    }

    /// Tells the window when the run starts. Every worker may do so; the first one decides.
    public func begin(at now: Int64) {
        guard start.compareExchange(expected: .max, desired: now, ordering: .acquiringAndReleasing).exchanged else {
            return
        }
        switch plan.warmUp {
        case .none: open(at: now)
        case .nanoseconds(let length): open(at: now + length)
        case .count(let count): if isByArrival { open(at: schedule.intendedArrival(sequence: count, start: now)) }
        }
    }

    /// The closing first, so that nobody sees a window that is open and never closes.
    private func open(at time: Int64) {
        if measuredNs > 0 { closing.store(time + measuredNs, ordering: .releasing) }
        if isByArrival, case .count(let count)? = plan.measured {
            // A warm-up by time ends between two messages; the count is of those that follow it.
            let begin = start.load(ordering: .relaxed)
            let first = schedule.firstSequence(dueAtOrAfter: time - begin)
            closing.store(schedule.intendedArrival(sequence: first + count, start: begin), ordering: .releasing)
        }
        opening.store(time, ordering: .releasing)
    }

    /// Tells the window that `count` messages were committed at `now`, and asks which of them count. Never waits and allocates
    /// nothing; call it once for each transaction.
    public func commit(count: Int64, at now: Int64) -> Membership {
        if isUnlimited { return .all }
        // During a warm-up by count every commit has its number, so that each is on one side of the opening.
        let opening = openingCount == 0 ? opening.load(ordering: .acquiring) : 0
        let closing = closing.load(ordering: .acquiring)
        if isByArrival {
            if now > opening && now <= closing { committed.wrappingAdd(count, ordering: .relaxed) }
            return Membership(firstArrival: opening, endArrival: closing)
        }
        guard now > opening, now <= closing else { return .nothing }
        let before = committed.wrappingAdd(count, ordering: .acquiringAndReleasing).oldValue
        let after = before &+ count
        if before < openingCount {
            if after >= openingCount {
                committedAtOpening.store(after, ordering: .relaxed)
                open(at: now)
            }
            return .nothing
        }
        guard before < closingCount else { return .nothing }
        if after >= closingCount {
            committedAtClosing.store(after, ordering: .relaxed)
            self.closing.store(now, ordering: .releasing)
        }
        return .all
    }

    /// Which messages count of what happens at `now`, without telling the window of it: nothing is counted and nothing opens or
    /// closes. Never waits and allocates nothing.
    public func membership(at now: Int64) -> Membership {
        if isUnlimited { return .all }
        let opening = opening.load(ordering: .acquiring)
        let closing = closing.load(ordering: .acquiring)
        if isByArrival { return Membership(firstArrival: opening, endArrival: closing) }
        return now > opening && now <= closing ? .all : .nothing
    }

    /// When the run started; nil before.
    public var startTime: Int64? { known(start) }
    /// When the measured part began, or will; nil while that isn't known, as during a warm-up by count.
    public var openingTime: Int64? { known(opening) }
    /// When the measured part ended, or will; nil while that isn't known, and where nothing closes it.
    public var closingTime: Int64? { known(closing) }

    private func known(_ time: borrowing Atomic<Int64>) -> Int64? {
        let time = time.load(ordering: .acquiring)
        return time == .max ? nil : time
    }

    /// How long the measured part has lasted at `end`, the time of the run's last commit; nil if it hasn't begun by then.
    public func elapsedNs(atEnd end: Int64) -> Int64? {
        guard let opening = openingTime, opening <= end else { return nil }
        return min(end, closing.load(ordering: .acquiring)) - opening
    }

    /// Messages committed during the measured part. Over `elapsedNs` this is the throughput, of an open run, too: there it
    /// isn't the number of messages that count, which a system that falls behind commits after the closing.
    /// Nil without limits, where the workers' own figures hold the number.
    public var committedCount: Int64? {
        guard !isUnlimited else { return nil }
        let total = committed.load(ordering: .acquiring)
        guard openingTime != nil else { return 0 }
        return min(total, committedAtClosing.load(ordering: .relaxed)) - committedAtOpening.load(ordering: .relaxed)
    }
}
