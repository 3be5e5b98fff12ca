// Which searches found a limit and which only a lower bound, from the probes that they wrote.

import Measurement
import Statistics
import Testing

@testable import Report

@Suite struct RateBoundsTests {
    private let key = RunKey(configuration: "c8", repetition: 1)

    private func bounds(_ probes: [(purpose: String, rate: Double, outcome: String)]) -> RateBounds {
        RateBounds(
            probes.map { probe in
                RunFields(
                    columns: ["configuration", "repetition", "purpose", "rate_per_s", "outcome"],
                    fields: ["c8", "1", probe.purpose, decimal(probe.rate, decimals: 1), probe.outcome])
            })
    }

    @Test func `the search's own conclusion and its probes say the same`() {
        var random = SeededRandom(seed: 46)
        var counts: [Bool: Int] = [:]
        for _ in 0..<300 {
            // A threshold, within or beyond what is allowed, and noise that now and then fails a rate that would hold.
            let threshold = 100 * Double(random.integer(in: 1...30))
            var search = RateSearch(lowRate: 200, highRateLimit: 2000)
            while let probe = search.nextProbe {
                let isNoise = random.integer(in: 0...9) == 0
                search.record(probe.rate <= threshold && !isNoise ? .held : .failed(reason: ""))
            }
            let probes = search.history.map { step in
                let purpose =
                    switch step.probe.purpose {
                    case .bracketing: "bracket"
                    case .bisecting: "bisect"
                    case .confirming: "confirm"
                    case .above: "above"
                    }
                return (purpose: purpose, rate: step.probe.rate, outcome: step.outcome == .held ? "held" : "failed")
            }
            let isLowerBound = search.conclusion?.isLowerBound == true
            counts[isLowerBound, default: 0] += 1
            #expect(
                bounds(probes).isLowerBound(key) == isLowerBound, "\(String(describing: search.conclusion)), seed 46")
        }
        #expect(counts[true, default: 0] > 30 && counts[false, default: 0] > 30, "\(counts)")
    }

    @Test func `without probes, or without a rate, nothing is a bound`() {
        #expect(!bounds([]).isLowerBound(key) && !RateBounds().isLowerBound(key))
        #expect(!bounds([("bracket", 100, "failed"), ("bracket", 50, "failed")]).isLowerBound(key))
        let held = bounds([("bracket", 100, "held"), ("confirm", 100, "held"), ("confirm", 100, "held")])
        #expect(held.isLowerBound(key) && !held.isLowerBound(RunKey(configuration: "c8", repetition: 2)))
    }
}
