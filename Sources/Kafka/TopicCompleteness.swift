// What a topic holds, and the check that it still has every message ever written to it. Blocks its thread.

internal import Diagnostics

/// What readers of committed messages find in a topic.
public struct TopicContent: Sendable, Equatable {
    /// By partition the offset behind its last message.
    public let ends: [Int32: Int64]
    public let messageCount: Int64

    public init(ends: [Int32: Int64], messageCount: Int64) {
        self.ends = ends
        self.messageCount = messageCount
    }
}

extension KafkaAdmin {
    /// The content of a topic that may have been written in transactions: their ends, and what was aborted, take offsets as well,
    /// so that the last message isn't next to the end of its partition, and offsets don't count messages. Such a topic is read
    /// from its beginning; of another the last message of each partition shows that it needn't be.
    public func content(of topic: String, timeoutMs: Int32 = 30_000) throws(KafkaError) -> TopicContent {
        let marks = try watermarks(of: topic).enumerated().map { (partition: Int32($0), low: $1.low, high: $1.high) }
        let filled = marks.filter { $0.high > $0.low }
        let empty = Dictionary(uniqueKeysWithValues: marks.map { ($0.partition, $0.low) })
        if filled.isEmpty { return TopicContent(ends: empty, messageCount: 0) }
        let last = try read(topic, from: filled.map { ($0.partition, $0.high - 1) }, timeoutMs: timeoutMs)
        if filled.allSatisfy({ last.ends[$0.partition] == $0.high }) {
            return TopicContent(
                ends: empty.merging(last.ends) { $1 }, messageCount: filled.reduce(0) { $0 + $1.high - $1.low })
        }
        let all = try read(topic, from: filled.map { ($0.partition, $0.low) }, timeoutMs: timeoutMs)
        return TopicContent(ends: empty.merging(all.ends) { $1 }, messageCount: all.messageCount)
    }

    /// Reads partitions to their ends.
    /// - Parameter timeoutMs: how long nothing may come.
    private func read(
        _ topic: String, from starts: [(partition: Int32, offset: Int64)], timeoutMs: Int32
    ) throws(KafkaError) -> TopicContent {
        let consumer = try KafkaConsumer(settings: settings.with("enable.partition.eof", "true"))
        defer { consumer.close() }
        try consumer.assign(
            starts.map { TopicPartitionOffset(topic: topic, partition: $0.partition, offset: $0.offset) })
        var ends: [Int32: Int64] = [:]
        var count: Int64 = 0
        var deadline = monotonicNowMs() + Int64(timeoutMs)
        while consumer.partitionsAtEnd.count < starts.count {
            let polled = try consumer.pollBatch(max: 4096, timeoutMs: 100) { message throws(KafkaError) in
                ends[message.partition] = message.offset + 1
                count += 1
            }
            if polled > 0 { deadline = monotonicNowMs() + Int64(timeoutMs) }
            guard monotonicNowMs() < deadline else {
                throw KafkaError(
                    code: .timedOut,
                    message: "topic \"\(topic)\" couldn't be read to its end: nothing came for \(timeoutMs) ms")
            }
        }
        return TopicContent(ends: ends, messageCount: count)
    }

    /// Throws when a partition has lost its oldest messages, as the mock broker does past its limits and a Kafka past
    /// its retention: a figure measured on what is left would be wrong.
    /// - Throws: `OperatingError` that says what was lost, and `KafkaError` when the broker can't be asked.
    public func requireComplete(topic: String) throws {
        let lost = try watermarks(of: topic).enumerated().filter { $0.element.low > 0 }
        guard !lost.isEmpty else { return }
        let parts = lost.map { partition, marks in
            "partition \(partition) lost its oldest \(marks.low) of \(marks.high) messages"
        }
        throw OperatingError(
            "topic \"\(topic)\" is incomplete: " + parts.joined(separator: ", "),
            remedy: "the embedded mock broker keeps 5 MiB and 100,000 message sets per partition: use more partitions,"
                + " fewer executions, or a real Kafka (--kafka-home DIR or KAFKA_HOME)")
    }
}
