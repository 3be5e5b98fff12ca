// Every C object is freed once, whatever way its owner ends.

import Glibc
import Measurement
import TestSupport
import Testing

@testable import Kafka

@Suite struct HandleTests {
    @Test func `a whole round trip frees every handle`() throws {
        let ledger = HandleLedger()
        try HandleLedger.$current.withValue(ledger) {
            let cluster = try MockCluster()
            try cluster.createTopic("t", partitions: 1)
            let settings = KafkaClientSettings(bootstrapServers: cluster.bootstrapServers)
            try KafkaProducer(settings: settings).produceAll((0..<50).map { "v\($0)" }, to: "t")
            let consumer = try KafkaConsumer(settings: settings)
            try consumer.assign("t", from: 0)
            #expect(try consumer.values(count: 50).count == 50)
            #expect(try KafkaAdmin(settings: settings).partitionCount(of: "t") == 1)
        }
        for kind in [HandleKind.configuration, .client, .topic, .partitionList, .metadata, .mockCluster, .queue] {
            #expect(ledger.adoptedCount(kind) > 0, "\(kind)")
        }
        #expect(ledger.adoptedCount(.message) == 50)
        #expect(ledger.open.isEmpty, "\(ledger.open)")
    }

    @Test func `a failing path frees every handle`() throws {
        try withTopic { broker, topic in
            let ledger = HandleLedger()
            try HandleLedger.$current.withValue(ledger) {
                let consumer = try KafkaConsumer(settings: broker.settings)
                try consumer.assign(topic, from: 99)
                let reset = try kafkaError { _ = try consumer.values(count: 1) }
                #expect(reset.code == .autoOffsetReset)
                // Messages that nobody flushed.
                let producer = try KafkaProducer(settings: broker.settings)
                let handle = try producer.topic(topic)
                try withBytes("v") {
                    try producer.produce(topic: handle, partition: 0, key: $0, value: $0, tag: 1)
                }
                // The mock has no CreateTopics request.
                let admin = try KafkaAdmin(settings: broker.settings)
                let error = try kafkaError { try admin.createTopic("x", partitions: 1, timeoutMs: 2_000) }
                #expect(error.message.contains("\"x\""), "\(error)")
                // Nor these two.
                _ = try kafkaError { try admin.deleteTopic(topic, timeoutMs: 1_000) }
                _ = try kafkaError { _ = try admin.describeTopic(topic, timeoutMs: 1_000) }
            }
            for kind in [HandleKind.newTopic, .deleteTopic, .configResource] {
                #expect(ledger.adoptedCount(kind) == 1, "\(kind)")
            }
            #expect(ledger.adoptedCount(.adminOptions) == 3)
            #expect(ledger.open.isEmpty, "\(ledger.open)")
        }
    }

    @Test func `a consumer with thousands of fetched messages unread closes in time and frees everything`() throws {
        try withTopic(partitions: 4) { broker, topic in
            let producer = try KafkaProducer(settings: broker.settings)
            for partition in 0..<Int32(4) {
                try producer.produceAll((0..<5_000).map { "v\($0)" }, to: topic, partition: partition)
            }
            let ledger = HandleLedger()
            try HandleLedger.$current.withValue(ledger) {
                let consumer = try KafkaConsumer(settings: broker.settings)
                try consumer.assign(
                    (0..<4).map { TopicPartitionOffset(topic: topic, partition: $0, offset: 0) })
                #expect(try consumer.values(count: 1) == ["v0"])
                usleep(200_000)
                #expect(consumer.close(), "within its deadline")
            }
            #expect(ledger.open.isEmpty, "\(ledger.open)")
        }
    }

    /// rd_kafka_destroy waits for messages, so the client must outlive them.
    @Test func `a message may outlive its consumer`() throws {
        try withTopic { broker, topic in
            try KafkaProducer(settings: broker.settings).produceAll(["kept"], to: topic)
            let ledger = HandleLedger()
            try HandleLedger.$current.withValue(ledger) {
                var consumer: KafkaConsumer? = try KafkaConsumer(settings: broker.settings)
                try consumer?.assign(topic, from: 0)
                guard let message = try consumer?.poll(timeoutMs: 20_000) ?? nil else {
                    Issue.record("no message came")
                    return
                }
                #expect(consumer?.close() == true)
                consumer = nil
                #expect(ledger.open == [.client: 1, .message: 1])
                let value = message.withValue { String(decoding: $0, as: UTF8.self) }
                #expect(value == "kept")
            }
            #expect(ledger.open.isEmpty, "\(ledger.open)")
        }
    }

    @Test func `delivery reports may be answered with new messages`() throws {
        try withTopic { broker, topic in
            let producer = try KafkaProducer(settings: broker.settings)
            let handle = try producer.topic(topic)
            let send = { (tag: UInt64) in
                try withBytes("v\(tag)") {
                    try producer.produce(topic: handle, partition: 0, key: $0, value: $0, tag: tag)
                }
            }
            try send(0)
            var tags: [UInt64] = []
            try producer.flush(timeoutMs: 20_000) { tag, _ in
                tags.append(tag)
                do { if tag < 9 { try send(tag + 1) } } catch { Issue.record(error) }
            }
            #expect(tags == Array(0..<10))
        }
    }
}
