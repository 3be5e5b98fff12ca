// The schedule against exact arithmetic: the millionth arrival is as punctual as the first.

import Measurement
import Testing

@Suite struct ArrivalScheduleTests {
    @Test func `a backlog is due at the start`() {
        #expect(ArrivalSchedule.backlog.intendedArrival(sequence: 0, start: 17) == 17)
        #expect(ArrivalSchedule.backlog.intendedArrival(sequence: 99_999_999, start: 17) == 17)
        #expect(ArrivalSchedule.backlog.ratePerSecond == nil)
    }

    @Test func `a uniform schedule doesn't drift`() {
        // 1/3000 s is no whole number of nanoseconds; an interval rounded once would be 33 ms off after 10⁸ arrivals.
        let schedule = ArrivalSchedule.uniform(ratePerSecond: 3000)
        #expect(schedule.intendedArrival(sequence: 0, start: 5) == 5)
        #expect(schedule.intendedArrival(sequence: 1, start: 5) == 5 + 333_333)
        #expect(schedule.intendedArrival(sequence: 3, start: 5) == 5 + 1_000_000)
        #expect(schedule.intendedArrival(sequence: 99_999_000, start: 5) == 5 + 33_333_000_000_000)
    }

    @Test func `every arrival lies less than a nanosecond from its exact time and never before the one before`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<200 {
            let thousandths = random.integer(in: 1...1_000_000_000)
            let schedule = ArrivalSchedule.uniform(ratePerSecond: Double(thousandths) / 1000)
            let sequence = random.integer(in: 0...1_000_000)
            let arrival = Int128(schedule.intendedArrival(sequence: sequence, start: 0))
            let exact = Int128(sequence) * 1_000_000_000_000
            #expect(arrival * Int128(thousandths) <= exact, "seed \(seed)")
            #expect((arrival + 1) * Int128(thousandths) > exact, "seed \(seed)")
            #expect(schedule.intendedArrival(sequence: sequence + 1, start: 0) >= Int64(arrival), "seed \(seed)")
        }
    }

    @Test func `a rate below one per second is exact`() {
        let schedule = ArrivalSchedule.uniform(ratePerSecond: 0.5)
        #expect(schedule.intendedArrival(sequence: 3, start: 0) == 6_000_000_000)
        #expect(schedule.ratePerSecond == 0.5)
    }

    @Test func `what is due by a time are the messages whose arrival isn't later`() {
        let ramp = ArrivalSchedule.Phase(ratePerSecondFrom: 10, to: 1000, durationMs: 3_000)
        for schedule in [
            .uniform(ratePerSecond: 700), .poisson(ratePerSecond: 700, seed: 3), ArrivalSchedule(phases: [ramp]),
        ] {
            let arrivals = (0..<2_000).map { schedule.intendedArrival(sequence: $0, start: 50) }
            for time in [0, 49, 50, 51, 1_000_000_050, arrivals[77], arrivals[77] - 1, arrivals[1_500]] {
                let due = Int64(arrivals.count(where: { $0 <= time }))
                #expect(schedule.dueCount(at: time, start: 50) == due, "\(schedule) at \(time)")
            }
        }
        #expect(ArrivalSchedule.backlog.dueCount(at: 50, start: 50) == .max)
    }

    @Test func `a schedule describes itself`() {
        #expect(ArrivalSchedule.backlog.description == "backlog")
        #expect(ArrivalSchedule.uniform(ratePerSecond: 5000).description == "paced at 5000/s")
        #expect(ArrivalSchedule.uniform(ratePerSecond: 0.25).description == "paced at 0.25/s")
    }
}
