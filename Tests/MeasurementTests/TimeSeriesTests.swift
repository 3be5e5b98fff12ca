// Seconds against plain sums of the same events.

import Measurement
import Testing

private let second: Int64 = 1_000_000_000

@Suite struct TimeSeriesTests {
    private struct Event {
        var at: Int64
        var latency: Int64
        var count: Int64
    }

    private func series(_ events: [Event], start: Int64, capacity: Int = 3600) -> TimeSeries {
        var series = TimeSeries(capacity: capacity)
        series.begin(at: start)
        for event in events {
            series.record(latency: event.latency, count: event.count, at: event.at)
            series.recordCommit(retries: event.count % 3, at: event.at)
        }
        return series
    }

    private func events(_ random: inout SeededRandom, count: Int, seconds: Int64, start: Int64) -> [Event] {
        (0..<count).map { _ in
            Event(
                at: start + random.integer(in: 0...(seconds * second - 1)),
                latency: random.integer(in: 8192...(Int64(1) << random.integer(in: 14...36))),
                count: random.integer(in: 1...4))
        }
    }

    @Test func `every interval holds what happened in it, its percentiles within 1.6 percent`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let all = events(&random, count: 2000, seconds: 9, start: 555)
        let intervals = series(all, start: 555).intervals
        for (index, interval) in intervals.enumerated() {
            let mine = all.filter { ($0.at - 555) / second == Int64(index) }
            let latencies = mine.flatMap { [Int64](repeating: $0.latency, count: Int($0.count)) }.sorted()
            #expect(interval.startNs == Int64(index) * second && interval.lengthNs == second)
            #expect(interval.messageCount == Int64(latencies.count), "seed \(seed)")
            #expect(interval.commitCount == Int64(mine.count), "seed \(seed)")
            #expect(interval.retryCount == mine.reduce(0) { $0 + $1.count % 3 }, "seed \(seed)")
            #expect(interval.latencyMaxNs == latencies.last, "seed \(seed)")
            for (answer, percent) in [(interval.latencyP50Ns, 50), (interval.latencyP99Ns, 99)] {
                let truth = latencies[(latencies.count * percent + 99) / 100 - 1]
                #expect(abs(answer - truth) * 1000 <= truth * 16, "seed \(seed): \(answer) instead of \(truth)")
            }
        }
        #expect(intervals.count == 9)
    }

    @Test func `merged series equal one that recorded everything`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        // The parts differ in length, so that one has widened and the other hasn't.
        for seconds in [(3, 8), (8, 3), (30, 2), (2, 30), (8, 70)] as [(Int64, Int64)] {
            let one = events(&random, count: 200, seconds: seconds.0, start: 77)
            let other = events(&random, count: 200, seconds: seconds.1, start: 77)
            var merged = series(one, start: 77, capacity: 8)
            merged.merge(series(other, start: 77, capacity: 8))
            #expect(merged == series(one + other, start: 77, capacity: 8), "seed \(seed)")
            var empty = TimeSeries(capacity: 8)
            empty.merge(merged)
            empty.merge(TimeSeries(capacity: 8))
            #expect(empty == merged, "seed \(seed)")
        }
    }

    @Test func `a run longer than the capacity has longer intervals and loses nothing`() {
        let all = (0..<50 as Range<Int64>).map { Event(at: $0 * second, latency: $0 * 100_000, count: 2) }
        let intervals = series(all, start: 0, capacity: 8).intervals
        #expect(intervals.map(\.lengthNs) == [Int64](repeating: 8 * second, count: 7))
        #expect(intervals.map(\.messageCount) == [16, 16, 16, 16, 16, 16, 4])
        #expect(
            intervals.map(\.latencyMaxNs) == [
                700_000, 1_500_000, 2_300_000, 3_100_000, 3_900_000, 4_700_000, 4_900_000,
            ])
        #expect(intervals[0].startNs == 0 && intervals[6].startNs == 48 * second)
    }

    @Test func `seconds in which nothing happens are there, and what is earlier than the start counts in the first`() {
        var series = TimeSeries()
        series.begin(at: 10 * second)
        series.record(latency: 5, at: 9 * second)
        series.recordRetries(3, at: 14 * second)
        #expect(series.intervals.map(\.messageCount) == [1, 0, 0, 0, 0])
        #expect(series.intervals.map(\.retryCount) == [0, 0, 0, 0, 3])
        #expect(series.intervals[0].latencyP99Ns == 5)
        #expect(series.intervals[2].latencyP50Ns == 0)
    }

    @Test func `a latency out of range shows in the maximum`() {
        var series = TimeSeries()
        series.begin(at: 0)
        series.record(latency: -4, at: 1)
        series.record(latency: .max, count: .max, at: 1)
        #expect(series.intervals[0].latencyMaxNs == .max)
        #expect(series.intervals[0].latencyP99Ns >= 135 * second)
    }
}
