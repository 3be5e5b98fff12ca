// When effects become visible: never before a message is due, at once where a mode doesn't wait, after the window where
// it does.

import Allocations
import Measurement
import Model
import Postgres
import Scenario
import TestSupport
import Testing

private let lone = Execution(
    id: ExecutionID(1), blockOrder: BlockOrderID(1), quantity: 50, price: Price(ticks: 100_000))

private func ms(_ nanoseconds: Int64) -> Int64 { nanoseconds / 1_000_000 }

@Suite struct WorkerTimingTests {
    @Test(arguments: modes)
    func `no message is visible before it is due, and its time counts from then`(_ configuration: Configuration) throws
    {
        try withBench(blocks: [[9_000], [9_000], [9_000]]) { bench in
            let count = Int64(bench.executions.count)
            let result = try bench.drain(configuration) { $0.schedule = .uniform(ratePerSecond: 100) }
            let times = result.figures.timeToVisible
            #expect(times.count == count)
            #expect(times.min > 0, "\(times.min) ns")
            #expect(result.elapsedNanoseconds >= (count - 1) * 10_000_000)
            // The stream takes a second: counted from the start, half of the messages would be older than half of that.
            #expect(ms(times.percentile(50)) < 250, "\(ms(times.percentile(50))) ms")
            #expect(try bench.verify().isClean)
        }
    }

    @Test func `a schedule counts from the run's own first execution`() throws {
        try withBench(blocks: [[2_000]], partitions: 1, isPublished: false) { bench in
            let shifted = bench.executions.map {
                Execution(
                    id: ExecutionID($0.id.rawValue + 1_000_000), blockOrder: $0.blockOrder, quantity: $0.quantity,
                    price: $0.price)
            }
            try bench.publish(shifted.map { TopicMessage($0, partitions: 1) })
            let result = try bench.drain(modes[1]) {
                $0.schedule = .uniform(ratePerSecond: 100)
                $0.firstExecution = shifted[0].id
            }
            #expect(ms(result.elapsedNanoseconds) < 2_000)
            #expect(result.figures.messageCount == Int64(shifted.count))
        }
    }

    @Test func `batch waits for its window when its batch isn't full`() throws {
        try withEmptyBench { bench in
            try bench.publish([TopicMessage(lone, partitions: 3)])
            let result = try bench.drain(Configuration(mode: .batch, workers: 1, batchSize: 100, batchWindowMs: 400))
            #expect((400..<1_200).contains(ms(result.figures.timeToVisible.max)))
        }
    }

    @Test func `batch doesn't wait when its batch is full`() throws {
        try withEmptyBench { bench in
            try bench.publish([TopicMessage(lone, partitions: 3)])
            let result = try bench.drain(Configuration(mode: .batch, workers: 1, batchSize: 1, batchWindowMs: 5_000))
            #expect(ms(result.figures.timeToVisible.max) < 2_000)
        }
    }

    @Test(arguments: [
        Configuration(mode: .adaptive, workers: 1, batchSize: 100),
        Configuration(mode: .concurrent, workers: 1, transactionSize: 100),
        Configuration(mode: .row, workers: 1),
    ]) func `modes that don't fill up take a lone message at once`(_ configuration: Configuration) throws {
        try withEmptyBench { bench in
            try bench.publish([TopicMessage(lone, partitions: 3)])
            let result = try bench.drain(configuration)
            #expect(ms(result.figures.timeToVisible.max) < 300, "\(ms(result.figures.timeToVisible.max)) ms")
        }
    }

    @Test func `in mode cycle a message is visible when its cycle commits`() throws {
        try withEmptyBench { bench in
            try bench.publish([TopicMessage(lone, partitions: 3)])
            let result = try bench.drain(Configuration(mode: .cycle, workers: 1, cycleIntervalMs: 400))
            #expect((400..<1_200).contains(ms(result.figures.timeToVisible.max)))
            #expect(try bench.fills() == ["1 50 0"])
        }
    }

    @Test func `bigger transactions are fewer`() throws {
        try withBench { bench in
            let one = try bench.drain(Configuration(mode: .concurrent, workers: 1)).figures
            #expect(one.transactionCount == Int64(bench.executions.count))
            try bench.prepare()
            let batches = try bench.drain(Configuration(mode: .batch, workers: 1, batchSize: 16, batchWindowMs: 20))
                .figures
            #expect(batches.transactionCount < one.transactionCount / 4)
            try bench.prepare()
            let rows = try bench.drain(Configuration(mode: .row, workers: 1)).figures
            #expect(rows.transactionCount > 4 * one.transactionCount, "every statement of mode row is a transaction")
        }
    }
}
