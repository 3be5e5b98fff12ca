// The contract of producer, consumer and admin, against every kind of broker there is.

import Kafka
import TestSupport
import Testing

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
            let place = (first.topic, first.partition, first.offset)
            #expect(place == (topic, 1, 0))
            let key = first.withKey { String(decoding: $0, as: UTF8.self) }
            let value = first.withValue { String(decoding: $0, as: UTF8.self) }
            #expect(key == "k0" && value == "v0")
            let others = (1..<100).map { "v\($0)" }
            #expect(try consumer.values(count: 99) == others)
            let marks = try consumer.watermarks(topic: topic, partition: 1)
            #expect(marks == (0, 100))
            #expect(consumer.close())
        }
    }

    @Test(arguments: BrokerKind.available)
    func `a second consumer resumes where the first one stopped`(kind: BrokerKind) throws {
        try withTopic(on: kind) { broker, topic in
            try KafkaProducer(settings: broker.settings).produceAll((0..<10).map { "v\($0)" }, to: topic)
            let first = try KafkaConsumer(settings: broker.settings)
            try first.assign(topic, from: 0)
            #expect(try first.values(count: 4) == ["v0", "v1", "v2", "v3"])
            first.close()
            let second = try KafkaConsumer(settings: broker.settings)
            try second.assign(topic, from: 4)
            #expect(try second.values(count: 6) == ["v4", "v5", "v6", "v7", "v8", "v9"])
        }
    }

    @Test(arguments: BrokerKind.available)
    func `a new assignment replaces the old one`(kind: BrokerKind) throws {
        try withTopic(on: kind) { broker, topic in
            try KafkaProducer(settings: broker.settings).produceAll((0..<10).map { "v\($0)" }, to: topic)
            let consumer = try KafkaConsumer(settings: broker.settings)
            try consumer.assign(topic, from: 8)
            #expect(try consumer.values(count: 1) == ["v8"])
            try consumer.assign(topic, from: 2)
            #expect(try consumer.values(count: 2) == ["v2", "v3"])
            try consumer.assign(topic, from: TopicPartitionOffset.beginning)
            #expect(try consumer.values(count: 1) == ["v0"])
        }
    }

    @Test(arguments: BrokerKind.available)
    func `a start offset that the broker doesn't have is an error, never a reset`(kind: BrokerKind) throws {
        try withTopic(on: kind) { broker, topic in
            try KafkaProducer(settings: broker.settings).produceAll((0..<10).map { "v\($0)" }, to: topic)
            let consumer = try KafkaConsumer(settings: broker.settings)
            try consumer.assign(topic, from: 1_000)
            let error = try kafkaError { _ = try consumer.values(count: 1) }
            #expect(error.code == .autoOffsetReset)
            #expect(error.message.contains(topic) && error.message.contains("partition 0"), "\(error)")
        }
    }

    @Test(arguments: BrokerKind.available)
    func `a batch waits for its first message only and hands over no more than it may`(kind: BrokerKind) throws {
        try withTopic(on: kind) { broker, topic in
            try KafkaProducer(settings: broker.settings).produceAll((0..<10).map { "v\($0)" }, to: topic)
            let consumer = try KafkaConsumer(settings: broker.settings)
            try consumer.assign(topic, from: 0)
            var offsets: [Int64] = []
            var largest = 0
            while offsets.count < 10 {
                let count = try consumer.pollBatch(max: 4, timeoutMs: 20_000) { offsets.append($0.offset) }
                largest = max(largest, count)
            }
            #expect(offsets == Array(0..<10))
            #expect(largest == 4)
            let more = try consumer.pollBatch(max: 4, timeoutMs: 50) { _ in }
            #expect(more == 0)
        }
    }

    /// 20,000 messages through a queue of 100: `produce` must wait, serve reports itself and lose neither message nor
    /// report.
    @Test(arguments: BrokerKind.available)
    func `a full queue slows the producer down and loses nothing`(kind: BrokerKind) throws {
        try withTopic(on: kind) { broker, topic in
            let settings = broker.settings.with("queue.buffering.max.messages", "100").with("linger.ms", "1")
            let producer = try KafkaProducer(settings: settings)
            let handle = try producer.topic(topic)
            var reported = Set<UInt64>()
            let note = { (tag: UInt64, delivery: KafkaProducer.Delivery) in
                if case .success = delivery { #expect(reported.insert(tag).inserted) }
            }
            for index in 0..<UInt64(20_000) {
                try withBytes("value \(index)") {
                    try producer.produce(topic: handle, partition: 0, key: $0, value: $0, tag: index)
                }
            }
            try producer.flush(timeoutMs: 60_000, onDelivery: note)
            #expect(reported.count == 20_000)
            let consumer = try KafkaConsumer(settings: broker.settings)
            try consumer.assign(topic, from: 0)
            let expected = (0..<20_000).map { "value \($0)" }
            #expect(try consumer.values(count: 20_000) == expected)
        }
    }

    @Test(arguments: BrokerKind.available)
    func `an empty value is no tombstone, and no key is an empty key`(kind: BrokerKind) throws {
        try withTopic(on: kind) { broker, topic in
            let producer = try KafkaProducer(settings: broker.settings)
            let handle = try producer.topic(topic)
            let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
            try producer.produce(topic: handle, partition: 0, key: nothing, value: nothing, tag: .max)
            var tags: [UInt64] = []
            try producer.flush(timeoutMs: 20_000) { tag, _ in tags.append(tag) }
            #expect(tags == [.max])
            let consumer = try KafkaConsumer(settings: broker.settings)
            try consumer.assign(topic, from: 0)
            guard let message = try consumer.poll(timeoutMs: 20_000) else {
                Issue.record("no message came")
                return
            }
            let isTombstone = message.isTombstone
            #expect(!isTombstone)
            let sizes = [message.withKey { $0.count }, message.withValue { $0.count }]
            #expect(sizes == [0, 0])
            let timestampMs = message.timestampMs
            #expect(timestampMs != nil)
        }
    }

    @Test(arguments: BrokerKind.available)
    func `one key always goes to one partition`(kind: BrokerKind) throws {
        try withTopic(partitions: 8, on: kind) { broker, topic in
            var partitions: [UInt64: Set<Int32>] = [:]
            for _ in 0..<2 {
                let producer = try KafkaProducer(settings: broker.settings)
                let handle = try producer.topic(topic)
                for tag in 0..<UInt64(50) {
                    try withBytes("block \(tag)") {
                        try producer.produce(topic: handle, key: $0, value: $0, tag: tag)
                    }
                }
                try producer.flush(timeoutMs: 20_000) { tag, delivery in
                    if case .success(let place) = delivery { partitions[tag, default: []].insert(place.partition) }
                }
            }
            #expect(partitions.count == 50)
            let isStable = partitions.values.allSatisfy { $0.count == 1 }
            #expect(isStable)
            let used = Set(partitions.values.flatMap { $0 })
            #expect(used.count > 4, "50 keys met only few of 8 partitions")
        }
    }

    @Test(arguments: BrokerKind.available)
    func `a topic that exists can't be made again, and one that doesn't has no partitions`(kind: BrokerKind) throws {
        try withTopic(partitions: 3, on: kind) { broker, topic in
            let error = try kafkaError { try broker.createTopic(topic, partitions: 1) }
            #expect(error.code == .topicAlreadyExists)
            #expect(error.message.contains(topic), "\(error)")
            let admin = try KafkaAdmin(settings: broker.settings)
            #expect(try admin.partitionCount(of: topic) == 3)
            #expect(try admin.partitionCount(of: "no-such-topic") == nil)
            // Asking must not have made it.
            #expect(try admin.partitionCount(of: "no-such-topic") == nil)
            let marks = try admin.watermarks(of: topic)
            let isEmpty = marks.allSatisfy { $0 == (0, 0) }
            #expect(marks.count == 3 && isEmpty)
        }
    }

    @Test(.enabled(if: BrokerKind.available.contains(.kafka), "needs KAFKA_HOME"))
    func `a real Kafka deletes topics and refuses what it can't do`() throws {
        try withTopic(on: .kafka) { broker, topic in
            let admin = try KafkaAdmin(settings: broker.settings)
            try admin.deleteTopic(topic)
            let missing = try kafkaError { try admin.deleteTopic("no-such-topic") }
            #expect(missing.code == .unknownTopicOrPartition)
            let factor = try kafkaError {
                try admin.createTopic("three-replicas", partitions: 1, settings: TopicSettings(replication: 3))
            }
            #expect(factor.message.contains("three-replicas"), "\(factor)")
            let setting = try kafkaError {
                try admin.createTopic(
                    "bad-setting", partitions: 1, settings: TopicSettings(config: ["no.such.setting": "1"]))
            }
            #expect(setting.message.contains("no.such.setting"), "\(setting)")
        }
    }

    @Test(arguments: BrokerKind.available)
    func `a message that is too large is refused with its size`(kind: BrokerKind) throws {
        try withTopic(on: kind) { broker, topic in
            let producer = try KafkaProducer(settings: broker.settings)
            let handle = try producer.topic(topic)
            let large = [UInt8](repeating: 7, count: 2_000_000)
            let error = try kafkaError {
                try large.withUnsafeBytes {
                    try producer.produce(
                        topic: handle, partition: 0, key: UnsafeRawBufferPointer(start: nil, count: 0), value: $0,
                        tag: 1)
                }
            }
            #expect(error.code == .messageTooLarge)
            #expect(error.message.contains("2000000"), "\(error)")
        }
    }
}
