// Short forms of what every test of a client does.

import Kafka
import Testing

/// Bytes of a text, for as long as `body` runs.
func withBytes<Value>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> Value) rethrows -> Value {
    var text = text
    return try text.withUTF8 { try body(UnsafeRawBufferPointer($0)) }
}

extension KafkaProducer {
    /// Produces `texts` as values with their index as key and tag, into one partition, and waits for all reports.
    /// - Returns: the offset of each tag.
    @discardableResult
    func produceAll(_ texts: some Sequence<String>, to topic: String, partition: Int32 = 0) throws -> [UInt64: Int64] {
        let handle = try self.topic(topic)
        var offsets: [UInt64: Int64] = [:]
        var failures: [KafkaError] = []
        let note = { (tag: UInt64, delivery: KafkaProducer.Delivery) in
            switch delivery {
            case .success(let place):
                #expect(place.partition == partition)
                #expect(offsets.updateValue(place.offset, forKey: tag) == nil, "tag \(tag) was reported twice")
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

    func assign(_ topic: String, partition: Int32 = 0, from offset: Int64) throws {
        try assign([TopicPartitionOffset(topic: topic, partition: partition, offset: offset)])
    }
}

/// The error that `body` throws, which it must. Call it outside `#expect`: Swift 6.3.1 gives a closure in a macro's
/// argument the name of the next closure beside it, and then runs the one for the other.
func kafkaError(_ body: () throws -> Void) throws -> KafkaError {
    try #require(throws: KafkaError.self) { try body() }
}
