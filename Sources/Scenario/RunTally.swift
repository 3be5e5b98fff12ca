// Where a run stands, from what its cells tell. The tally is a value that is told the time; `RunWatch` keeps one for the
// threads that tell it.

import Measurement
import Synchronization

struct RunTally {
    private var standing = RunStanding()
    private var estimate: RunEstimate
    /// Of the load under way. A cell of a search has many, which follow each other.
    private var current = (retries: Int64(0), errors: Int64(0), elapsed: Duration.zero)

    /// - Parameters:
    ///   - finished: cells that a resumed run needn't run.
    ///   - ahead: configurations of the others, in their order.
    init(finished: Int, ahead: [String]) {
        standing.cellsDone = finished
        standing.cellsLeft = ahead.count
        estimate = RunEstimate(cells: ahead)
    }

    mutating func begin(at now: Int64) {
        estimate.begin(at: now)
    }

    mutating func note(_ progress: CellProgress, at now: Int64) {
        if progress.elapsed < current.elapsed { keepCurrent() }
        current = (progress.retries, progress.errors, progress.elapsed)
        estimate.note(
            share: progress.share, loadNanoseconds: Int64(progress.elapsed / .nanoseconds(1)), at: now)
    }

    mutating func end(_ summary: CellSummary, at now: Int64) {
        keepCurrent()
        standing.cellsDone += 1
        standing.cellsLeft -= 1
        if !summary.isGood { standing.badCells += 1 }
        estimate.end(at: now)
    }

    func standing(at now: Int64) -> RunStanding {
        var standing = standing
        standing.retries += current.retries
        standing.errors += current.errors
        standing.remaining = estimate.remaining(at: now)
        return standing
    }

    private mutating func keepCurrent() {
        standing.retries += current.retries
        standing.errors += current.errors
        current = (0, 0, .zero)
    }
}

/// The tally of a run under way. Told by the runner's thread and by that of the progress.
final class RunWatch: Sendable {
    private let tally: Mutex<RunTally>

    init(_ tally: RunTally) { self.tally = Mutex(tally) }

    /// Changes the tally by what has happened now, and says where the run stands then.
    @discardableResult
    func tell(_ change: (inout RunTally, _ now: Int64) -> Void) -> RunStanding {
        let now = monotonicNow()
        return tally.withLock { tally in
            change(&tally, now)
            return tally.standing(at: now)
        }
    }
}
