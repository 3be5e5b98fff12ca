// The contract of producer and consumer, against every kind of broker there is.

import Kafka
import TestSupport
import Testing

/// Bytes of a text, for as long as `body` runs.
func withBytes<Value>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> Value) rethrows -> Value {
    var text = text
    return try text.withUTF8 { try body(UnsafeRawBufferPointer($0)) }
}

extension KafkaProducer {
    /// Produces `texts` as values with their index as key and tag, into one partition, and waits for all reports.
    func produceAll(_ texts: some Sequence<String>, to topic: String, partition: Int32 = 0) throws -> [UInt64: Int64] {
        let handle = try self.topic(topic)
        var offsets: [UInt64: Int64] = [:]
        var failures: [KafkaError] = []
        let note = { (tag: UInt64, delivery: KafkaProducer.Delivery) in
            switch delivery {
            case .success(let place): offsets[tag] = place.offset
            case .failure(let error): failures.append(error)
            }
        }
        for (index, text) in texts.enumerated() {
            try withBytes("k\(index)") { key in
                try withBytes(text) { value in
                    try produce(topic: handle, partition: partition, key: key, value: value, tag: UInt64(index))
                }
            }
            try poll(timeoutMs: 0, onDelivery: note)
        }
        try flush(timeoutMs: 30_000, onDelivery: note)
        if let first = failures.first { throw first }
        return offsets
    }
}

extension KafkaConsumer {
    /// The values of the next `count` messages; fewer after 20 s without a new one.
    func values(count: Int) throws -> [String] {
        var texts: [String] = []
        while texts.count < count {
            guard let message = try poll(timeoutMs: 20_000) else { break }
            texts.append(message.withValue { String(decoding: $0, as: UTF8.self) })
        }
        return texts
    }
}

@Suite struct RoundTripTests {
    @Test(arguments: BrokerKind.available)
    func `what is produced is consumed from an explicit offset`(kind: BrokerKind) throws {
        try withTopic(partitions: 2, on: kind) { broker, topic in
            let producer = try KafkaProducer(settings: broker.settings)
            let offsets = try producer.produceAll((0..<100).map { "v\($0)" }, to: topic, partition: 1)
            #expect(offsets.count == 100)
            #expect(offsets[99] == 99)
            #expect(producer.outstandingCount == 0)

            let consumer = try KafkaConsumer(settings: broker.settings)
            try consumer.assign([
                TopicPartitionOffset(topic: topic, partition: 0, offset: 0),
                TopicPartitionOffset(topic: topic, partition: 1, offset: 0),
            ])
            guard let first = try consumer.poll(timeoutMs: 20_000) else {
                Issue.record("no message came")
                return
            }
            #expect(first.partition == 1)
            #expect(first.offset == 0)
            #expect(first.topic == topic)
            #expect(first.withKey { String(decoding: $0, as: UTF8.self) } == "k0")
            #expect(first.withValue { String(decoding: $0, as: UTF8.self) } == "v0")
            #expect(try consumer.values(count: 99) == (1..<100).map { "v\($0)" })
            let marks = try consumer.watermarks(topic: topic, partition: 1)
            #expect(marks == (0, 100))
            #expect(consumer.close())
        }
    }
}
