// Goal: what a run tells of itself while it goes on is right. Method: the values behind it, told times that nobody waits for.

import Measurement
import Testing

@testable import Scenario

private let second: Int64 = 1_000_000_000

@Suite struct RunEstimateTests {
    private func seconds(_ estimate: RunEstimate, at now: Int64) -> Double? {
        estimate.remaining(at: now * second).map { $0 / .seconds(1) }
    }

    @Test func `before anything is done nobody knows`() {
        var estimate = RunEstimate(cells: ["a", "b"])
        #expect(seconds(estimate, at: 0) == nil)
        estimate.begin(at: 0)
        #expect(seconds(estimate, at: 5) == nil)
        estimate.note(share: 0, loadNanoseconds: 4 * second, at: 5 * second)
        estimate.note(share: nil, loadNanoseconds: 4 * second, at: 5 * second)
        #expect(seconds(estimate, at: 5) == nil)
    }

    @Test func `the first cell's own progress tells how long it and the others take, and moves with it`() {
        var estimate = RunEstimate(cells: ["a", "b", "a"])
        estimate.begin(at: 0)
        // Two seconds of making tables ready, two of load, of which that is a fifth: 2 + 10 in all.
        estimate.note(share: 0.2, loadNanoseconds: 2 * second, at: 4 * second)
        #expect(seconds(estimate, at: 4) == 32, "8 of its own, and twice 12")
        #expect(seconds(estimate, at: 5) == 31, "time goes on without news")
        // It has become faster: half in 4 seconds, 2 + 8 in all.
        estimate.note(share: 0.5, loadNanoseconds: 4 * second, at: 6 * second)
        #expect(seconds(estimate, at: 6) == 24, "4 of its own, and twice 10")
        // A cell that takes longer than it should is about to end, and no time is negative.
        #expect(seconds(estimate, at: 60) == 20, "the others alone")
    }

    @Test func `a configuration that has run takes as long again, one that hasn't as the others in the mean`() {
        var estimate = RunEstimate(cells: ["slow", "quick", "new", "quick", "slow"])
        for (began, ended) in [(0, 30), (30, 32)] as [(Int64, Int64)] {
            estimate.begin(at: began * second)
            estimate.end(at: ended * second)
        }
        #expect(seconds(estimate, at: 32) == 48, "the mean of 30 and 2, 2 again, and 30 again")
    }

    @Test func `the further a cell gets the more counts what it shows itself`() {
        var estimate = RunEstimate(cells: ["a", "a"])
        estimate.begin(at: 0)
        estimate.end(at: 10 * second)
        estimate.begin(at: 10 * second)
        #expect(seconds(estimate, at: 11) == 9, "as long as the first")
        // By its own pace it takes 20: a quarter of that and three quarters of 10.
        estimate.note(share: 0.25, loadNanoseconds: 5 * second, at: 15 * second)
        #expect(seconds(estimate, at: 15) == 7.5, "12.5 in all, of which 5 are over")
        estimate.note(share: 1, loadNanoseconds: 20 * second, at: 30 * second)
        #expect(seconds(estimate, at: 30) == 0)
        estimate.end(at: 30 * second)
        #expect(seconds(estimate, at: 30) == 0, "no cell is left")
    }

    @Test func `an equal cell ahead takes as long as the first one that is under way`() {
        var estimate = RunEstimate(cells: ["x", "a", "a"])
        estimate.begin(at: 0)
        estimate.end(at: 2 * second)
        estimate.begin(at: 2 * second)
        estimate.note(share: 0.5, loadNanoseconds: 10 * second, at: 12 * second)
        #expect(seconds(estimate, at: 12) == 30, "10 of its own, and 20")
    }
}

@Suite struct RunTallyTests {
    private func progress(
        done: Int64 = 0, retries: Int64 = 0, errors: Int64 = 0, elapsed: Int64, isWholeCell: Bool = true
    ) -> CellProgress {
        CellProgress(
            unit: .messages, done: done, expected: 100, ratePerSecond: 1, lag: 0, retries: retries, errors: errors,
            elapsed: .seconds(elapsed), isWholeCell: isWholeCell)
    }

    private func summary(isVerified: Bool = true, invalid: String? = nil) -> CellSummary {
        CellSummary(isVerified: isVerified, invalidReason: invalid, sentence: "", differences: [])
    }

    @Test func `retries and errors add up over cells, and the one under way counts`() {
        var tally = RunTally(finished: 2, ahead: ["a", "b", "a"])
        #expect(tally.standing(at: 0).cellsDone == 2)
        #expect(tally.standing(at: 0).cellsLeft == 3)
        tally.begin(at: 0)
        tally.note(progress(retries: 3, errors: 1, elapsed: 1), at: second)
        tally.note(progress(retries: 5, errors: 1, elapsed: 2), at: 2 * second)
        #expect(tally.standing(at: 2 * second).retries == 5)
        tally.end(summary(), at: 3 * second)
        tally.begin(at: 3 * second)
        tally.note(progress(retries: 1, errors: 2, elapsed: 1), at: 4 * second)
        let standing = tally.standing(at: 4 * second)
        #expect([standing.retries, standing.errors] == [6, 3])
        #expect([standing.cellsDone, standing.cellsLeft, standing.badCells] == [3, 2, 0])
    }

    @Test func `a search's probes follow each other in one cell, and none says how much of it is done`() {
        var tally = RunTally(finished: 0, ahead: ["a"])
        tally.begin(at: 0)
        tally.note(progress(done: 100, retries: 2, elapsed: 5, isWholeCell: false), at: 5 * second)
        tally.note(progress(done: 50, retries: 7, elapsed: 1, isWholeCell: false), at: 7 * second)
        #expect(tally.standing(at: 7 * second).retries == 9)
        #expect(tally.standing(at: 7 * second).remaining == nil)
    }

    @Test func `a cell that failed verification or is invalid is counted`() {
        var tally = RunTally(finished: 0, ahead: ["a", "a", "a"])
        for end in [summary(), summary(isVerified: false), summary(invalid: "the generator was the limit")] {
            tally.begin(at: 0)
            tally.end(end, at: second)
        }
        #expect(tally.standing(at: second).badCells == 2)
        #expect(tally.standing(at: second).remaining == .zero)
    }
}

@Suite struct ProgressMeterTests {
    private func counts(_ committed: Int64, lag: Int64 = 0) -> ProgressCounts {
        var counts = ProgressCounts()
        counts.committed = committed
        counts.lag = lag
        return counts
    }

    @Test func `the rate is that of the last interval, and a short one behind it leaves it as it is`() {
        var meter = ProgressMeter(.messages, expected: 5000, start: 10 * second)
        #expect(meter.progress(counts(1000, lag: 7), at: 11 * second).ratePerSecond == 1000)
        let next = meter.progress(counts(1500), at: 13 * second)
        #expect(next.ratePerSecond == 250)
        #expect(next.elapsed == .seconds(3))
        #expect(meter.progress(counts(1600), at: 13 * second + 100_000_000).ratePerSecond == 250)
        #expect(meter.progress(counts(2500), at: 15 * second).ratePerSecond == 500)
    }

    @Test func `a load that is over in a moment has a rate, and one that waits behind its end keeps it`() {
        var meter = ProgressMeter(.executions, expected: 100, start: 0)
        let all = meter.progress(counts(100), at: 50_000_000)
        #expect(all.ratePerSecond == 2000)
        #expect(all.share == 1)
        #expect(meter.progress(counts(100), at: 5 * second).ratePerSecond == 2000)
    }

    @Test func `what is told names its unit, and a lag only where something falls due`() {
        var meter = ProgressMeter(.messages, expected: 1500, start: 0)
        #expect(
            meter.progress(counts(838, lag: 4), at: 2 * second).sentence
                == "838 of 1500 messages, 419/s, lag 4, 0 retries, 0 errors")
        var requests = ProgressMeter(.requests, expected: nil, start: 0)
        let routed = requests.progress(counts(20), at: second)
        #expect(routed.sentence == "20 requests, 20/s, 0 retries, 0 errors")
        #expect(routed.lag == nil && routed.share == nil)
    }

    @Test func `the time left is told in seconds, then in minutes, and not at all when there is none`() {
        var standing = RunStanding()
        #expect(standing.remainingWords == "")
        for (seconds, words) in [(0, ""), (99, "; about 99 s left"), (100, "; about 2 min left")] {
            standing.remaining = .seconds(seconds)
            #expect(standing.remainingWords == words)
        }
    }
}
