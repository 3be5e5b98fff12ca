// The rate search without a system: a threshold, real or noisy, answers its probes.

import Measurement
import Statistics
import Testing

/// Answers every probe until the search ends.
private func finish(
    _ search: inout RateSearch, _ answer: (RateSearch.Probe) -> RateSearch.ProbeOutcome
) -> RateSearch.Conclusion? {
    while let probe = search.nextProbe {
        search.record(answer(probe))
        if search.history.count > 1000 { return nil }
    }
    return search.conclusion
}

@Suite struct RateSearchTests {
    private static let slow = RateSearch.ProbeOutcome.failed(reason: "p99 over the SLO")
    private static let starved = RateSearch.ProbeOutcome.invalid(reason: "schedule lag")

    @Test func `it doubles, bisects, confirms twice and looks 20 % above`() {
        var search = RateSearch(lowRate: 100, highRateLimit: 10_000)
        let conclusion = finish(&search) { $0.rate <= 500 ? .held : Self.slow }
        let purposes = search.history.map(\.probe.purpose)
        #expect(purposes.prefix(4) == [.bracketing, .bracketing, .bracketing, .bracketing])
        #expect(search.history.prefix(4).map(\.probe.rate) == [100, 200, 400, 800])
        // From 400 to 800 is a factor of 2; four halvings of its logarithm bring it to 2^(1/16) = 1.044.
        #expect(purposes.dropFirst(4).prefix(4) == [.bisecting, .bisecting, .bisecting, .bisecting])
        #expect(purposes.suffix(3) == [.confirming(1), .confirming(2), .above])
        #expect(search.history.count == 11)
        guard case .found(let rate, aboveFails: true) = conclusion else {
            Issue.record("\(String(describing: conclusion))")
            return
        }
        // 400 × 2^(5/16): the highest of the probed rates up to 500.
        #expect(abs(rate - 496.74) < 0.01)
        #expect(search.confirmedRate == rate && search.history.last?.probe.rate == rate * 1.2)
        #expect("\(conclusion!)" == "496.7/s holds the SLO, confirmed; 20 % above it fails.")
    }

    @Test func `a first rate that fails is halved until one holds`() {
        var search = RateSearch(lowRate: 1000, highRateLimit: 10_000)
        _ = finish(&search) { $0.rate <= 200 ? .held : Self.slow }
        #expect(search.history.prefix(4).map(\.probe.rate) == [1000, 500, 250, 125])
        #expect(search.confirmedRate.map { $0 > 200 / 1.05 && $0 <= 200 } == true)
    }

    @Test func `where nothing holds it ends at the lowest rate`() {
        var search = RateSearch(lowRate: 1024, highRateLimit: 10_000)
        #expect(finish(&search) { _ in Self.slow } == .notFound(lowestFailedRate: 1))
        #expect(search.history.count == 11 && search.confirmedRate == nil)
        #expect(search.conclusion?.description == "No rate was found: not even 1.0/s holds the SLO.")
    }

    @Test func `where everything holds it ends at the highest rate allowed`() {
        var search = RateSearch(lowRate: 100, highRateLimit: 700, confirmations: 3)
        #expect(finish(&search) { _ in .held } == .heldAtHighRateLimit(rate: 700))
        #expect(search.history.map(\.probe.rate) == [100, 200, 400, 700, 700, 700, 700])
        #expect(search.history.last?.probe.purpose == .confirming(3))
    }

    @Test func `a failed confirmation lowers the rate by a step and begins to confirm anew`() {
        var search = RateSearch(lowRate: 100, highRateLimit: 100_000)
        var confirmations = 0
        let conclusion = finish(&search) { probe in
            if case .confirming = probe.purpose {
                confirmations += 1
                // The second confirmation fails once.
                return confirmations == 2 ? Self.slow : .held
            }
            return probe.rate <= 500 ? .held : Self.slow
        }
        let confirmed = search.history.filter { step in
            if case .confirming = step.probe.purpose { return true }
            return false
        }
        #expect(confirmed.map(\.probe.purpose) == [.confirming(1), .confirming(2), .confirming(1), .confirming(2)])
        #expect(
            confirmed[0].probe.rate == confirmed[1].probe.rate && confirmed[2].probe.rate == confirmed[3].probe.rate)
        #expect(confirmed[2].probe.rate == confirmed[1].probe.rate / 1.05)
        #expect(search.confirmedRate == confirmed[2].probe.rate)
        guard case .found(_, aboveFails: true) = conclusion else {
            Issue.record("\(String(describing: conclusion))")
            return
        }
    }

    @Test func `a probe above that holds makes the search go on from there, and noise that stays is told`() {
        // Fails once below its limit, at the first bisection.
        var failures = 1
        var search = RateSearch(lowRate: 100, highRateLimit: 1_000_000)
        let recovered = finish(&search) { probe in
            if case .bisecting = probe.purpose, failures > 0 {
                failures -= 1
                return Self.slow
            }
            return probe.rate <= 1500 ? .held : Self.slow
        }
        guard case .found(let rate, aboveFails: true) = recovered else {
            Issue.record("\(String(describing: recovered))")
            return
        }
        #expect((1500 / 1.06...1500).contains(rate))

        var misled = RateSearch(lowRate: 100, highRateLimit: 1_000_000)
        let conclusion = finish(&misled) { probe in
            if case .above = probe.purpose { return .held }
            return probe.rate <= 1000 ? .held : Self.slow
        }
        guard case .found(_, aboveFails: false) = conclusion else {
            Issue.record("\(String(describing: conclusion))")
            return
        }
    }

    @Test func `a probe above that would exceed the highest rate allowed isn't made`() {
        var search = RateSearch(lowRate: 100, highRateLimit: 550)
        guard case .found(_, aboveFails: nil) = finish(&search, { $0.rate <= 500 ? .held : Self.slow }) else {
            Issue.record("\(String(describing: search.conclusion))")
            return
        }
        #expect(search.history.allSatisfy { $0.probe.rate <= 550 })
    }

    @Test func `a generator at its limit bounds the search and is named`() {
        var search = RateSearch(lowRate: 100, highRateLimit: 100_000)
        let conclusion = finish(&search) { $0.rate <= 3000 ? .held : Self.starved }
        guard case .limitedByGenerator(let limit, let rate?) = conclusion else {
            Issue.record("\(String(describing: conclusion))")
            return
        }
        #expect(limit > 3000 && rate <= 3000 && limit <= rate * 1.05)
        #expect(search.history.allSatisfy { $0.probe.purpose != .above })
        #expect(conclusion?.description.hasPrefix("Limited by the generator at \(Int(limit.rounded()))/s: ") == true)

        // Where the system fails below the generator's limit, the system is what was found.
        var other = RateSearch(lowRate: 100, highRateLimit: 100_000)
        let found = finish(&other) { $0.rate <= 3000 ? .held : $0.rate <= 4000 ? Self.slow : Self.starved }
        guard case .found(_, aboveFails: true) = found else {
            Issue.record("\(String(describing: found))")
            return
        }

        var none = RateSearch(lowRate: 100, highRateLimit: 1000)
        let lowest = none.lowestRate
        #expect(finish(&none) { _ in Self.starved } == .limitedByGenerator(at: lowest, confirmedRate: nil))
        var above = RateSearch(lowRate: 100, highRateLimit: 100_000)
        let undecided = finish(&above) { $0.purpose == .above ? Self.starved : $0.rate <= 500 ? .held : Self.slow }
        guard case .found(_, aboveFails: nil) = undecided else {
            Issue.record("\(String(describing: undecided))")
            return
        }
    }

    @Test func `a probe that was invalid is made once more, and only a second time bounds the search`() {
        var search = RateSearch(lowRate: 100, highRateLimit: 10_000)
        var tries: [RateSearch.Probe: Int] = [:]
        // Every probe is disturbed once.
        let conclusion = finish(&search) { probe in
            tries[probe, default: 0] += 1
            return tries[probe] == 1 ? Self.starved : probe.rate <= 500 ? .held : Self.slow
        }
        guard case .found(let rate, aboveFails: true) = conclusion else {
            Issue.record("\(String(describing: conclusion))")
            return
        }
        #expect(rate <= 500 && rate > 475)
        #expect(tries.values.allSatisfy { $0 == 2 })
    }

    @Test func `without noise it finds every threshold to the precision, in few probes`() {
        var random = SeededRandom(seed: 5)
        for round in 0..<2000 {
            let low = Double(random.integer(in: 1...10_000))
            let limit = low * Double(random.integer(in: 2...1000))
            let precision = Double(random.integer(in: 1...20)) / 100
            // Between an eighth of the low rate and the limit, evenly by logarithm.
            let threshold = low / 8 * power(8 * limit / low, unit(&random))
            var search = RateSearch(lowRate: low, highRateLimit: limit, precision: precision)
            _ = finish(&search) { $0.rate <= threshold ? .held : Self.slow }
            let found = search.confirmedRate ?? 0
            #expect(found <= threshold && found * (1 + precision) >= threshold * (1 - 1e-12), "round \(round), seed 5")
            #expect(search.history.count <= 26, "round \(round), seed 5")
        }
    }

    @Test func `whatever the noise, it ends, and what it found was confirmed in a row`() {
        var random = SeededRandom(seed: 6)
        for round in 0..<2000 {
            let threshold = 100 * power(1000, unit(&random))
            let noise = unit(&random) * 0.2
            let invalidShare = round % 3 == 0 ? 0.1 : 0
            var search = RateSearch(lowRate: 50, highRateLimit: 200_000, confirmations: 1 + round % 3)
            let conclusion = finish(&search) { probe in
                if unit(&random) < invalidShare { return Self.starved }
                // The threshold of the moment is up to `noise` away on either side.
                return probe.rate <= threshold * (1 + noise * (2 * unit(&random) - 1)) ? .held : Self.slow
            }
            #expect(conclusion != nil && search.nextProbe == nil, "round \(round), seed 6")
            guard let rate = search.confirmedRate else { continue }
            let decided = search.history.filter { $0.probe.purpose != .above && $0.outcome != Self.starved }
            let tail = decided.suffix(search.confirmations)
            #expect(tail.allSatisfy { $0.probe.rate == rate && $0.outcome == .held }, "round \(round), seed 6")
            #expect(rate <= threshold * (1 + noise), "round \(round), seed 6")
            // With noise of up to 5 % no failure lies below 0.95 of the threshold, so nothing below 0.95 / 1.05 is found;
            // 20 % above that is 1.086 of it, where nothing holds.
            guard noise <= 0.05, invalidShare == 0 else { continue }
            if case .found(_, let aboveFails) = conclusion { #expect(aboveFails == true, "round \(round), seed 6") }
        }
    }

}
