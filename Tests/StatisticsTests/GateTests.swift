// Gates: what passes, what fails, and what is left undecided.

import Statistics
import Testing

@Suite struct GateTests {
    private let p99 = Gate(configuration: "c8", bound: .maxP99Ms(50))
    private let rate = Gate(configuration: "c8", bound: .minExecutionsPerSecond(1000))

    @Test func `a bound on a figure passes where every repetition keeps to it`() {
        let result = p99.evaluate([30, 50, 41.25])
        #expect(result.outcome == .pass && result.gate.name == "max_p99_ms")
        #expect(result.sentence == "c8: median p99 41.3 ms, at most 50 ms was kept in 3 repetitions.")
        #expect(rate.evaluate([1000]).outcome == .pass)
        #expect(
            rate.evaluate([1000]).sentence
                == "c8: median throughput 1000 executions/s, at least 1000 executions/s was kept in the only repetition."
        )
    }

    @Test func `it fails where the median doesn't, and one noisy repetition leaves it undecided`() {
        #expect(p99.evaluate([30, 51, 52]).outcome == .fail)
        #expect(p99.evaluate([51]).outcome == .fail)
        #expect(
            p99.evaluate([60, 70]).sentence == "c8: median p99 70 ms, at most 50 ms was broken in 2 repetitions.")
        let noisy = p99.evaluate([30, 31, 52])
        #expect(noisy.outcome == .undecided)
        #expect(noisy.sentence == "c8: median p99 31 ms, at most 50 ms was broken in 1 of 3 repetitions.")
        // Of two middle latencies the worse counts, as in the table; of two rates the mean.
        #expect(p99.evaluate([30, 51]).outcome == .fail)
        #expect(rate.evaluate([999, 1001]).outcome == .undecided)
        #expect(rate.evaluate([990, 1001]).outcome == .fail)
    }

    @Test func `without a valid run nothing is decided`() {
        #expect(p99.evaluate([]).outcome == .undecided)
        #expect(rate.evaluate([]).sentence == "c8: undecided, no valid run has a throughput.")
    }

    @Test func `a bound on a ratio is decided by the whole interval`() {
        // Ratio 1.2, from 1.181 to 1.219.
        let comparison = RatioComparison(
            baseline: [100, 104, 98, 101, 97], candidate: [120, 126, 117, 119, 118], isHigherBetter: true)
        func gate(_ least: Double) -> GateResult {
            Gate(configuration: "c8", bound: .minRatio(least, to: "row")).evaluate(comparison)
        }
        #expect(gate(1.15).outcome == .pass && gate(1.15).gate.name == "min_ratio_to")
        #expect(
            gate(1.15).sentence
                == "c8 is 1.2 times as good as row, 95 % interval 1.181 to 1.219: all of it at least 1.15.")
        #expect(gate(1.25).outcome == .fail)
        #expect(
            gate(1.25).sentence == "c8 is 1.2 times as good as row, 95 % interval 1.181 to 1.219: all of it below 1.25."
        )
        #expect(gate(1.2).outcome == .undecided)
        #expect(
            gate(1.2).sentence
                == "c8 is 1.2 times as good as row, 95 % interval 1.181 to 1.219: on both sides of 1.2; more repetitions would narrow it."
        )
    }

    @Test func `of a latency the inverse ratio counts, because less is better`() {
        let comparison = RatioComparison(
            baseline: [120, 126, 117, 119, 118], candidate: [100, 104, 98, 101, 97], isHigherBetter: false)
        func gate(_ least: Double) -> GateResult {
            Gate(configuration: "c8", bound: .minRatio(least, to: "row")).evaluate(comparison)
        }
        #expect(gate(1.15).outcome == .pass && gate(1.25).outcome == .fail && gate(1.2).outcome == .undecided)
        #expect(
            gate(1.15).sentence
                == "c8 is 1.2 times as good as row, 95 % interval 1.181 to 1.219: all of it at least 1.15.")
    }

    @Test func `a ratio without an interval is undecided, however large`() {
        let one = RatioComparison(baseline: [100], candidate: [900], isHigherBetter: true)
        let result = Gate(configuration: "c8", bound: .minRatio(1, to: "row")).evaluate(one)
        #expect(result.outcome == .undecided)
        #expect(
            result.sentence == "c8 by row: undecided, no interval: one pair of repetitions shows no spread.")
    }

    @Test func `a lower bound can pass a gate and not fail it`() {
        func judge(_ candidate: [Int: Double]) -> GateResult {
            Gate(configuration: "c8", bound: .minRatio(1, to: "row")).evaluate(
                RatioComparison(
                    baseline: [1: 100, 2: 104, 3: 98], candidate: candidate, isHigherBetter: true,
                    candidateLowerBounds: [1, 2, 3]))
        }
        let passed = judge([1: 200, 2: 208, 3: 199])
        #expect(passed.outcome == .pass, "\(passed.sentence)")
        #expect(
            passed.sentence.hasPrefix("c8 is at least 2.01 times as good as row, 95 % bound "), "\(passed.sentence)")
        let open = judge([1: 50, 2: 52, 3: 49])
        #expect(open.outcome == .undecided)
        #expect(
            open.sentence.hasSuffix(
                ": that decides nothing about 1; the candidate's figure is a lower bound in repetition 1, 2, 3, so the ratio is "
                    + "at least this."), "\(open.sentence)")
    }
}
