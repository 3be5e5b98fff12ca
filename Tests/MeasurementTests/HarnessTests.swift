// What the harness finds out about itself: the timer, the verdict, the two clocks.

import Testing

@testable import Measurement

@Suite struct HarnessTests {
    @Test func `the timer's error is what sleeps overshoot by`() {
        var now: Int64 = 100
        var overshoot: Int64 = 0
        let error = TimerError.measure(
            sleepCount: 200, sleepNs: 1000, now: { now },
            sleepUntil: { deadline in
                overshoot += 10
                now = deadline + overshoot
            })
        #expect(error.sleepCount == 200)
        #expect(error.p50Ns == 1000)
        #expect(error.p99Ns == 1980)
        #expect(error.maxNs == 2000)
    }

    @Test func `real sleeps never end early`() {
        let error = TimerError.measure(sleepCount: 5, sleepNs: 100_000)
        #expect(error.p50Ns >= 0 && error.p50Ns <= error.p99Ns && error.p99Ns <= error.maxNs)
    }

    @Test func `a run near the harness's own ceiling is invalid`() {
        func verdict(_ throughput: Double) -> HarnessValidity {
            .judge(HarnessFigures(throughputPerSecond: throughput, ceilingPerSecond: 10_000))
        }
        #expect(verdict(8000) == .valid)
        #expect(verdict(8001).reason?.contains("8001/s is above 80 % of the 10000/s") == true)
        #expect(HarnessValidity.judge(HarnessFigures(throughputPerSecond: 1e9)).isValid)
    }

    @Test func `a worker host without processor time to spare makes a run invalid, by its name`() {
        func verdict(_ share: Double) -> HarnessValidity {
            .judge(HarnessFigures(throughputPerSecond: 1, busiestHost: .init(name: "beta", cpuShare: share)))
        }
        #expect(verdict(0.9).isValid)
        #expect(
            verdict(0.97).reason
                == "The workers used 97 % of the processors of host beta, above 90 %, so that host may have been the limit: "
                + "give it more, or use more hosts.")
    }

    @Test func `a schedule lag above bound and timer error makes an open run invalid, and no other`() {
        func verdict(_ lag: Int64, bound: Int64? = nil, rate: Double? = 100) -> HarnessValidity {
            .judge(
                HarnessFigures(
                    scheduleLagP99Ns: lag, scheduleLagBoundNs: bound, timerErrorP99Ns: 120_000,
                    offeredRatePerSecond: rate, throughputPerSecond: 100))
        }
        #expect(verdict(5_120_000) == .valid)
        let reason = verdict(5_130_000).reason
        #expect(reason?.contains("5.13 ms is above the bound of 5.00 ms plus the timer error's p99 of 0.12 ms") == true)
        #expect(verdict(1_130_000, bound: 1_000_000).isValid == false)
        #expect(verdict(9_000_000, rate: nil).isValid)
    }

    @Test func `a schedule lag above a tenth of the time-to-visible is a large part of it`() {
        #expect(HarnessValidity.isLargePart(scheduleLagP99: 0.5, ofTimeToVisibleP99: 4.1))
        #expect(!HarnessValidity.isLargePart(scheduleLagP99: 0.4, ofTimeToVisibleP99: 4.1))
    }

    @Test func `a lag of the executor is told as the executor's, for no worker was idle`() {
        let reason = HarnessValidity.judge(
            HarnessFigures(
                scheduleLagP99Ns: 5_130_000, generator: .executor, offeredRatePerSecond: 100, throughputPerSecond: 100)
        ).reason
        #expect(reason?.contains("5.13 ms is above the bound of 5.00 ms") == true)
        #expect(reason?.contains("the executor began to write executions too late") == true)
        #expect(reason?.contains("idle workers") == false)
    }

    @Test func `an emulated network that is later than a tenth of its round trip makes a run invalid`() {
        func verdict(_ lateness: Int64?, roundTripTimeUs: Int64) -> HarnessValidity {
            .judge(
                HarnessFigures(
                    throughputPerSecond: 100, proxyLatenessP99Ns: lateness, roundTripTimeNs: roundTripTimeUs * 1000))
        }
        #expect(verdict(1_000_000, roundTripTimeUs: 10_000).isValid)
        let reason = verdict(1_010_000, roundTripTimeUs: 10_000).reason
        #expect(reason?.contains("its p99 of 1.01 ms above the bound of 1.00 ms for a round trip of 10.00 ms") == true)
        // Short ones may be late by what a busy machine takes to wake a thread, those of 0 behind the same proxy as well.
        for roundTrip in [0, 100, 2_000] as [Int64] {
            #expect(verdict(200_000, roundTripTimeUs: roundTrip).isValid)
            #expect(!verdict(200_001, roundTripTimeUs: roundTrip).isValid)
        }
        #expect(verdict(nil, roundTripTimeUs: 0).isValid)
    }

    @Test func `the tightest sample tells the offset, which lies within its uncertainty`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<100 {
            let truth = random.integer(in: -1_000_000_000_000...1_000_000_000_000)
            var now: Int64 = 0
            var narrowest = Int64.max
            var lastRead: Int64 = 0
            var readings = 0
            let offset = ClockOffset.sample(
                count: 10,
                monotonic: {
                    now += random.integer(in: 1...5000)
                    readings += 1
                    if readings % 2 == 0 { narrowest = min(narrowest, now - lastRead) }
                    lastRead = now
                    return now
                },
                realtime: {
                    now += random.integer(in: 1...5000)
                    return now + truth
                })
            #expect(offset.uncertaintyNs == (narrowest + 1) / 2, "seed \(seed)")
            #expect(abs(offset.realtimeLessMonotonicNs - truth) <= offset.uncertaintyNs, "seed \(seed)")
            #expect(offset.realtime(monotonic: offset.monotonic(realtime: 123)) == 123)
        }
    }

    @Test func `the clocks of this machine are sampled to a few microseconds, and drift is told`() {
        let offset = ClockOffset.sample()
        #expect(offset.uncertaintyNs < 50_000)
        #expect(abs(offset.monotonic(realtime: realtimeNow()) - monotonicNow()) < 1_000_000_000)
        let later = ClockOffset(realtimeLessMonotonicNs: offset.realtimeLessMonotonicNs - 70, uncertaintyNs: 1)
        #expect(later.driftNs(since: offset) == -70)
    }
}
