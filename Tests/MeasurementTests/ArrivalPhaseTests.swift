// Steps, ramps and Poisson arrivals against exact arithmetic and against the laws they claim.

import Measurement
import Testing

private typealias Phase = ArrivalSchedule.Phase

@Suite struct ArrivalPhaseTests {
    /// The integral of the rate up to `time`, in 1/(2·10¹²·scale) of an arrival, where `scale` is the phase's duration: reckoned
    /// from the formula alone, phase by phase, for comparison with whole messages. Durations are kept small enough for 128 bits.
    private func compare(_ phases: [Phase], arrivalsBy time: Int64, with sequence: Int64) -> Int {
        var left = Int128(sequence) * 2_000_000_000_000
        var time = Int128(time)
        for phase in phases {
            let from = Int128((phase.ratePerSecondFrom * 1000).rounded())
            let to = Int128((phase.ratePerSecondTo * 1000).rounded())
            let duration = phase.durationMs.map { Int128($0) * 1_000_000 } ?? Int128(Int64.max)
            if time <= duration {
                let came = 2 * from * time * duration + (to - from) * time * time
                return came < left * duration ? -1 : came > left * duration ? 1 : 0
            }
            left -= (from + to) * duration
            time -= duration
        }
        let rate = Int128((phases.last?.ratePerSecondTo ?? 0) * 1000)
        return 2 * rate * time < left ? -1 : 2 * rate * time > left ? 1 : 0
    }

    private func randomPhases(_ random: inout SeededRandom) -> [Phase] {
        var phases = (0..<random.integer(in: 1...5)).map { _ in
            let from = Double(random.integer(in: 0...3)) * Double(random.integer(in: 0...1_000_000)) / 1000
            let to = Double(random.integer(in: 0...3)) * Double(random.integer(in: 0...1_000_000)) / 1000
            let duration = random.integer(in: 1...5000)
            return random.integer(in: 0...1) == 0
                ? Phase(ratePerSecond: from, durationMs: duration)
                : Phase(ratePerSecondFrom: from, to: to, durationMs: duration)
        }
        phases.append(Phase(ratePerSecond: 10, durationMs: 100))
        return phases
    }

    @Test func `every arrival of steps and ramps lies less than a nanosecond from the exact integral`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<60 {
            let phases = randomPhases(&random)
            let schedule = ArrivalSchedule(phases: phases)
            let total = schedule.messageCount ?? 0
            for _ in 0..<20 {
                let sequence = random.integer(in: 0...(total + 20))
                let arrival = schedule.intendedArrival(sequence: sequence, start: 0)
                let (atArrival, after) = (
                    compare(phases, arrivalsBy: arrival, with: sequence),
                    compare(phases, arrivalsBy: arrival + 1, with: sequence)
                )
                #expect(atArrival <= 0, "seed \(seed): \(schedule), message \(sequence)")
                #expect(after > 0, "seed \(seed): \(schedule), message \(sequence)")
                #expect(schedule.intendedArrival(sequence: sequence + 1, start: 0) >= arrival, "seed \(seed)")
            }
        }
    }

    @Test func `phases have room for the integral of their rates, and the messages behind them come at the final rate`()
    {
        // 1000 in the step, 10 s x 550/s = 5500 in the ramp, nothing in the pause, 200 in the last step.
        let schedule = ArrivalSchedule(phases: [
            Phase(ratePerSecond: 500, durationMs: 2000), Phase(ratePerSecondFrom: 100, to: 1000, durationMs: 10_000),
            Phase(ratePerSecond: 0, durationMs: 3000), Phase(ratePerSecond: 200, durationMs: 1000),
        ])
        #expect(schedule.messageCount == 6700)
        #expect(schedule.durationNs == 16_000_000_000)
        #expect(schedule.ratePerSecond == 1000)
        #expect(schedule.intendedArrival(sequence: 999, start: 7) == 7 + 1_998_000_000)
        #expect(schedule.intendedArrival(sequence: 1000, start: 7) == 7 + 2_000_000_000)
        // The message that would come with the pause comes at its end.
        #expect(schedule.intendedArrival(sequence: 6499, start: 0) < 12_000_000_000)
        #expect(schedule.intendedArrival(sequence: 6500, start: 0) == 15_000_000_000)
        #expect(schedule.intendedArrival(sequence: 6701, start: 0) == 16_005_000_000)
    }

    @Test func `a ramp to nothing is exact to its last message`() {
        // 1000/s to 0 in 2 s: t = 2 - 2 √(1 - n/1000) seconds; the root is 1/√1000 for n = 999.
        let phases = [
            Phase(ratePerSecondFrom: 1000, to: 0, durationMs: 2000), Phase(ratePerSecond: 1, durationMs: 1000),
        ]
        let schedule = ArrivalSchedule(phases: phases)
        #expect(schedule.intendedArrival(sequence: 750, start: 0) == 1_000_000_000)
        #expect(schedule.intendedArrival(sequence: 999, start: 0) == 1_936_754_446)
        #expect(schedule.intendedArrival(sequence: 1000, start: 0) == 2_000_000_000)
    }

    @Test func `neither a long ramp nor Poisson arrivals drift after a hundred million messages`() {
        // 0 to 2,315/s in a day, then on; the day holds 100,008,000 messages.
        let ramp = ArrivalSchedule(phases: [
            Phase(ratePerSecondFrom: 0, to: 2315, durationMs: 86_400_000), Phase(ratePerSecond: 2315),
        ])
        #expect(ramp.intendedArrival(sequence: 100_008_000, start: 0) == 86_400_000_000_000)
        #expect(ramp.intendedArrival(sequence: 25_002_000, start: 0) == 43_200_000_000_000)
        #expect(ramp.intendedArrival(sequence: 100_008_000 + 2315, start: 0) == 86_401_000_000_000)

        // The sum of n exponential gaps has the standard deviation √n: 10⁴ of 10⁸. Six of them are never reached.
        for seed in 0..<5 as Range<UInt64> {
            let poisson = ArrivalSchedule.poisson(ratePerSecond: 1000, seed: seed)
            let arrival = poisson.intendedArrival(sequence: 100_000_000, start: 0)
            #expect(abs(arrival - 100_000_000_000_000) < 60_000_000_000, "seed \(seed)")
        }
    }

    @Test func `Poisson arrivals never go back and have exponential gaps`() {
        let schedule = ArrivalSchedule.poisson(ratePerSecond: 1_000_000, seed: 42)
        let count = 40_000
        // Across the border of two spans, and many of blocks.
        let first: Int64 = 1_048_576 - 20_000
        let arrivals = (0...Int64(count)).map { schedule.intendedArrival(sequence: first + $0, start: 0) }
        let gaps = zip(arrivals, arrivals.dropFirst()).map { Double($1 - $0) }
        #expect(!gaps.contains { $0 < 0 })
        // Of an exponential with mean 1000 ns: 1/e lie above the mean, 1/e³ above three means; mean and deviation are equal.
        let mean = gaps.reduce(0, +) / Double(count)
        let deviation = (gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)).squareRoot()
        #expect(abs(mean - 1000) < 30, "\(mean)")
        #expect(abs(deviation - 1000) < 40, "\(deviation)")
        #expect(abs(Double(gaps.count { $0 > 1000 }) / Double(count) - 0.3679) < 0.015)
        #expect(abs(Double(gaps.count { $0 > 3000 }) / Double(count) - 0.0498) < 0.007)
    }

    @Test
    func `the number of Poisson arrivals in an interval varies as much as its mean, in short and in long intervals`() {
        let schedule = ArrivalSchedule.poisson(ratePerSecond: 1_000_000, seed: 7)
        for (interval, count) in [(10_000, 4000), (100_000, 1000), (20_000_000, 300)] as [(Int64, Int)] {
            // The number by a time is found by bisection.
            var bounds: [Int64] = []
            for index in 0...Int64(count) {
                var (low, high): (Int64, Int64) = (0, 50_000_000)
                while low < high {
                    let middle = (low + high) / 2
                    if schedule.intendedArrival(sequence: middle, start: 0) < index * interval {
                        low = middle + 1
                    } else {
                        high = middle
                    }
                }
                bounds.append(low)
            }
            let numbers = zip(bounds, bounds.dropFirst()).map { Double($1 - $0) }
            let mean = numbers.reduce(0, +) / Double(count)
            let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1)
            // The variance of n samples has a relative standard error of √(2/n), a little more for small means.
            let tolerance = 5 * (2 / Double(count)).squareRoot() + 5 / (mean * Double(count)).squareRoot()
            #expect(abs(variance / mean - 1) < tolerance, "\(interval) ns: variance \(variance), mean \(mean)")
        }
    }

    @Test func `two schedules with one seed agree, with another seed they don't, and spreads don't mix`() {
        let (one, other) = (
            ArrivalSchedule.poisson(ratePerSecond: 50, seed: 3), ArrivalSchedule.poisson(ratePerSecond: 50, seed: 3)
        )
        #expect(one == other && one.hashValue == other.hashValue)
        for sequence: Int64 in [0, 1, 1023, 1024, 1_048_576, 5_000_000_000] {
            #expect(
                one.intendedArrival(sequence: sequence, start: 9) == other.intendedArrival(sequence: sequence, start: 9)
            )
        }
        let different = ArrivalSchedule.poisson(ratePerSecond: 50, seed: 4)
        #expect(one != different)
        #expect(one.intendedArrival(sequence: 9, start: 0) != different.intendedArrival(sequence: 9, start: 0))
        #expect(one != ArrivalSchedule.uniform(ratePerSecond: 50))
    }

    @Test func `Poisson arrivals follow a ramp`() {
        let ramp = [
            Phase(ratePerSecondFrom: 1000, to: 9000, durationMs: 20_000), Phase(ratePerSecond: 9000, durationMs: 1000),
        ]
        let even = ArrivalSchedule(phases: ramp)
        let poisson = ArrivalSchedule(phases: ramp, spread: .poisson(seed: 11))
        // Message n is due where the integral of the rate reaches a sum of n gaps, so it is off by about √n messages.
        for sequence: Int64 in [10_000, 50_000, 99_000] {
            let slack = Int64(6 * Double(sequence).squareRoot())
            let arrival = poisson.intendedArrival(sequence: sequence, start: 0)
            #expect(arrival > even.intendedArrival(sequence: sequence - slack, start: 0))
            #expect(arrival < even.intendedArrival(sequence: sequence + slack, start: 0))
        }
    }

    @Test func `phases that make no schedule are refused in a sentence`() {
        #expect(ArrivalSchedule.fault(in: [])?.contains("at least one") == true)
        #expect(ArrivalSchedule.fault(in: [Phase(ratePerSecond: 0)])?.contains("rate 0") == true)
        #expect(ArrivalSchedule.fault(in: [Phase(ratePerSecond: -1)])?.contains("0.001") == true)
        #expect(ArrivalSchedule.fault(in: [Phase(ratePerSecond: .nan)])?.contains("0.001") == true)
        #expect(ArrivalSchedule.fault(in: [Phase(ratePerSecond: 5, durationMs: 0)])?.contains("1 ms") == true)
        #expect(
            ArrivalSchedule.fault(in: [Phase(ratePerSecond: 5), Phase(ratePerSecond: 5)])?.contains("only the last")
                == true)
        #expect(ArrivalSchedule.fault(in: [Phase(ratePerSecond: 5)]) == nil)
    }

    @Test func `a message that is never due within the clock's range is due at its end`() {
        let slow = ArrivalSchedule.uniform(ratePerSecond: 0.001)
        #expect(slow.intendedArrival(sequence: .max, start: 5) == .max)
    }

    @Test func `a schedule of phases describes itself`() {
        let schedule = ArrivalSchedule(phases: [
            Phase(ratePerSecond: 100, durationMs: 2000), Phase(ratePerSecondFrom: 100, to: 900.5, durationMs: 60_000),
            Phase(ratePerSecond: 50),
        ])
        #expect(schedule.description == "paced at 100/s for 2000 ms, 100 to 900.5/s in 60000 ms, 50/s")
        #expect(ArrivalSchedule.poisson(ratePerSecond: 5, seed: 7).description == "Poisson at 5/s (seed 7)")
    }
}
