// What the harness itself can do at most: the consumers and decoders of a configuration on a recorded topic, without a
// database. A configuration whose throughput comes near was limited by the harness, not by what it was meant to measure.

import Allocations
import Diagnostics
import Kafka
import Measurement
import Model
import Threads

/// What consumers without a database did with a topic.
struct SinkFigures: Sendable, Equatable {
    var messageCount: Int64 = 0
    /// Messages that aren't executions; a recorded topic has none.
    var otherCount: Int64 = 0
    /// From the common start to the last message, in nanoseconds. As for allocation workers, what was fetched before the
    /// start is there at once.
    var elapsedNanoseconds: Int64 = 0

    /// Nil for an empty topic.
    var messagesPerSecond: Double? {
        elapsedNanoseconds == 0 ? nil : Double(messageCount) * 1e9 / Double(elapsedNanoseconds)
    }
}

enum SinkCeiling {
    private static let prefetchNs: Int64 = 100_000_000

    /// Consumes the whole topic with `workers` consumers on threads of their own. Blocks.
    static func measure(
        _ topic: RecordedTopic, workers: Int, kafka: KafkaClientSettings, stop: StopFlag
    ) throws -> SinkFigures {
        let shares = WorkerPool.deal(topic.partitions, among: workers)
        let line = StartingLine(workerCount: shares.count)
        let settings = WorkerPlan.consumerSettings(kafka, isRecorded: true, consumers: shares.count)
        let failed = StopFlag()
        let threads = shares.enumerated().map { index, partitions in
            WorkerThread(name: "sink-\(index)") {
                do {
                    return try consume(topic, partitions, settings, line) { stop.isSet || failed.isSet }
                } catch {
                    line.abandon()
                    failed.set()
                    throw error
                }
            }
        }
        var figures = SinkFigures()
        var lastTime: Int64 = 0
        var failure: (any Error)?
        for thread in threads {
            do {
                let share = try thread.join()
                figures.messageCount += share.messageCount
                figures.otherCount += share.otherCount
                lastTime = max(lastTime, share.lastTime)
            } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
        try requireNotStopped(stop)
        figures.elapsedNanoseconds = lastTime == 0 ? 0 : max(1, lastTime - line.start)
        return figures
    }

    private struct Share: Sendable {
        var messageCount: Int64 = 0
        var otherCount: Int64 = 0
        var lastTime: Int64 = 0
    }

    /// Polls and decodes as an allocation worker does.
    private static func consume(
        _ topic: RecordedTopic, _ partitions: [Int32], _ settings: KafkaClientSettings, _ line: StartingLine,
        isStopped: () -> Bool
    ) throws -> Share {
        let consumer = try KafkaConsumer(settings: settings)
        defer { consumer.close(timeoutMs: 5_000) }
        let decoder = EnvelopeDecoder()
        // By offset, not by count: the ends of transactions take offsets, too.
        var left = partitions.count { (topic.ends[$0] ?? 0) > 0 }
        try consumer.assign(partitions.map { TopicPartitionOffset(topic: topic.topic, partition: $0, offset: 0) })
        var share = Share()
        // Allocation workers wait for each other to connect, and meanwhile the first messages come; so do these.
        sleepUntil(monotonic: monotonicNow() + prefetchNs)
        guard line.wait() != nil else { return share }
        while left > 0 && !isStopped() {
            let polled = try consumer.pollBatch(max: 4096, timeoutMs: 20) { message throws(KafkaError) in
                if case .execution = message.withValue({ decoder.decode($0) }) {} else { share.otherCount += 1 }
                share.messageCount += 1
                if message.offset + 1 == topic.ends[message.partition] { left -= 1 }
            }
            if polled > 0 { share.lastTime = monotonicNow() }
        }
        return share
    }
}
