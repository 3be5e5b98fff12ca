// Topics of the tests: what they hold, and how to fill them with messages as a feed sends them.

import Kafka
import Model
import TestSupport

/// A message as it lies in a topic.
struct TopicMessage: Equatable {
    var partition: Int32 = 0
    var offset: Int64 = 0
    var key: String
    /// Nil for a tombstone.
    var value: String?

    init(partition: Int32 = 0, offset: Int64 = 0, key: String, value: String?) {
        self.partition = partition
        self.offset = offset
        self.key = key
        self.value = value
    }

    /// The message of an execution, in the partition of its block.
    init(_ execution: Execution, partitions: Int) {
        let block = execution.blockOrder.rawValue
        self.init(
            partition: Int32(block % Int64(partitions)), key: "[\"\(blockCode(block))\"]",
            value: #"{"after": {"block_order_code": "\#(blockCode(block))", "block_order_id": \#(block), "#
                + #""exec_ref_id": \#(execution.reference?.description ?? "null"), "#
                + #""exec_type": "\#(execution.type.word)", "executed_at": "2024-11-14T14:30:00Z", "#
                + #""execution_id": \#(execution.id), "order_quantity": \#(execution.orderQuantity), "#
                + #""order_version": \#(execution.orderVersion), "price": \#(execution.price), "#
                + #""quantity": \#(execution.quantity)}, "updated": "1.0000000000"}"#)
    }

    static func resolved(partition: Int32) -> TopicMessage {
        TopicMessage(partition: partition, key: "", value: #"{"resolved": "1731594600000000000.0000000000"}"#)
    }

    var executionID: Int64? {
        guard let value, case .execution(let execution) = Array(value.utf8).withUnsafeBytes(EnvelopeDecoder().decode)
        else {
            return nil
        }
        return execution.id.rawValue
    }
}

extension TemporaryBroker {
    func watermarks(_ topic: String) throws -> [(low: Int64, high: Int64)] {
        try KafkaAdmin(settings: settings).watermarks(of: topic)
    }

    /// By partition the offset behind the last message.
    func ends(_ topic: String) throws -> [Int32: Int64] {
        Dictionary(uniqueKeysWithValues: try watermarks(topic).enumerated().map { (Int32($0), $1.high) })
    }

    /// Appends messages in their order; returns when the broker has them.
    func publish(_ messages: [TopicMessage], to topic: String) throws {
        let producer = try KafkaProducer(settings: settings)
        let handle = try producer.topic(topic)
        for (tag, message) in messages.enumerated() {
            try Array(message.key.utf8).withUnsafeBytes { key in
                try Array((message.value ?? "").utf8).withUnsafeBytes { value in
                    try producer.produce(
                        topic: handle, partition: message.partition, key: key, value: value, tag: UInt64(tag + 1))
                }
            }
        }
        var failure: KafkaError?
        try producer.flush(timeoutMs: 20_000) { _, delivery in
            if case .failure(let error) = delivery { failure = error }
        }
        if let failure { throw failure }
    }

    /// Everything that a topic holds, partition by partition.
    func messages(_ topic: String) throws -> [TopicMessage] {
        let marks = try watermarks(topic)
        let consumer = try KafkaConsumer(settings: settings)
        defer { consumer.close() }
        try consumer.assign(
            marks.indices.map { TopicPartitionOffset(topic: topic, partition: Int32($0), offset: marks[$0].low) })
        var messages: [TopicMessage] = []
        let count = marks.reduce(0) { $0 + Int($1.high - $1.low) }
        while messages.count < count {
            guard let message = try consumer.poll(timeoutMs: 10_000) else { break }
            messages.append(
                TopicMessage(
                    partition: message.partition, offset: message.offset,
                    key: message.withKey { String(decoding: $0, as: UTF8.self) },
                    value: message.withValue { $0.isEmpty ? nil : String(decoding: $0, as: UTF8.self) }))
        }
        return messages.sorted { ($0.partition, $0.offset) < ($1.partition, $1.offset) }
    }
}
