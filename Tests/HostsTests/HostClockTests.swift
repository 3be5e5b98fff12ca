// The database's clock on a host's own: an estimate, and a bound of its error that holds.

import Hosts
import Measurement
import Testing

@Suite struct HostClockTests {
    @Test func `the truth lies within the uncertainty, however unevenly a round trip is divided`() {
        let seed: UInt64 = 20_241_114
        var random = SeededRandom(seed: seed)
        for _ in 0..<2_000 {
            // The server's clock less ours, in microseconds as PostgreSQL counts: from days behind to days ahead.
            let truthUs = random.integer(in: -200_000_000_000...200_000_000_000)
            var asked = random.integer(in: 0...1_000_000_000_000)
            let trips = (0..<16).map { _ in
                let (there, back) = (random.integer(in: 0...3_000_000), random.integer(in: 0...3_000_000))
                let read = asked + there
                // What is below a microsecond is cut off.
                let serverUs = (read + truthUs * 1000 - (read % 1000 + 1000) % 1000) / 1000
                let trip = ClockRoundTrip(askedNs: asked, serverNs: serverUs * 1000, answeredNs: read + back)
                asked = read + back + random.integer(in: 0...1_000_000)
                return trip
            }
            let clock = HostClock(.shortest(trips))
            let error = clock.serverLessMonotonicNs - truthUs * 1000
            #expect(abs(error) <= clock.uncertaintyNs, "seed \(seed): off by \(error), said \(clock.uncertaintyNs)")
            let shortest = trips.map { $0.answeredNs - $0.askedNs }.min() ?? 0
            #expect(clock.uncertaintyNs == (shortest + 1) / 2 + HostClock.resolutionNs)
        }
    }

    @Test func `a start that is said by the server's clock is found on the host's`() {
        let clock = HostClock(ClockRoundTrip(askedNs: 1_000_000, serverNs: 5_001_100_000, answeredNs: 1_200_000))
        // The server read 5.001100 s when this clock stood at 1.1 ms, give or take the round trip's half.
        #expect(clock.monotonic(serverUs: 5_001_100) == 1_100_000)
        #expect(clock.monotonic(serverUs: 5_501_100) == 501_100_000)
        #expect(clock.uncertaintyNs == 101_000)
        let wall = ClockOffset(realtimeLessMonotonicNs: 5_000_000_000, uncertaintyNs: 50)
        #expect(clock.offsetNs(wall) == 0)
    }

    @Test func `drift is told only beyond what both estimates may be off`() {
        func clock(_ offsetUs: Int64) -> HostClock {
            HostClock(ClockRoundTrip(askedNs: 0, serverNs: offsetUs * 1000, answeredNs: 20_000))
        }
        #expect(clock(1_000).driftNs(since: clock(1_000)) == 0)
        #expect(clock(1_020).driftNs(since: clock(1_000)) == 0)
        #expect(clock(1_023).driftNs(since: clock(1_000)) == 23_000)
        #expect(clock(900).driftNs(since: clock(1_000)) == -100_000)
    }
}
