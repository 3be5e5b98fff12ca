// Transactions of Kafka against a real one: what is committed is read, what is aborted isn't, and offsets don't count messages.

import Kafka
import TestSupport
import Testing

@Suite(.enabled(if: BrokerKind.available.contains(.kafka), "needs KAFKA_HOME"))
struct TransactionTests {
    private func producer(_ broker: TemporaryBroker, _ id: String) throws -> KafkaProducer {
        let producer = try KafkaProducer(settings: broker.settings.with("transactional.id", id))
        try producer.initTransactions()
        return producer
    }

    @Test func `what is committed is read, and counted by reading`() throws {
        try withTopic(partitions: 2, on: .kafka) { broker, topic in
            let admin = try KafkaAdmin(settings: broker.settings)
            let nothing = try admin.content(of: topic)
            #expect(nothing == TopicContent(ends: [0: 0, 1: 0], messageCount: 0))
            let producer = try producer(broker, "committed-\(topic)")
            try producer.beginTransaction()
            try producer.produceAll(["one", "two", "three"], to: topic)
            try producer.commitTransaction()
            try producer.beginTransaction()
            try producer.produceAll(["aborted", "as well"], to: topic)
            try producer.abortTransaction()
            try producer.beginTransaction()
            try producer.produceAll(["four"], to: topic)
            try producer.commitTransaction()

            // Three messages, a mark, two messages, a mark, one message, a mark.
            let content = try admin.content(of: topic)
            #expect(content == TopicContent(ends: [0: 8, 1: 0], messageCount: 4))
            let high = try admin.watermarks(of: topic)[0].high
            #expect(high == 9)
            let consumer = try KafkaConsumer(settings: broker.settings)
            defer { consumer.close() }
            try consumer.assign(topic, from: 0)
            let values = try consumer.values(count: 4)
            #expect(values == ["one", "two", "three", "four"])
        }
    }

    @Test func `messages without transactions are counted by their offsets`() throws {
        try withTopic(on: .kafka) { broker, topic in
            try KafkaProducer(settings: broker.settings).produceAll(["a", "b"], to: topic)
            let content = try KafkaAdmin(settings: broker.settings).content(of: topic)
            #expect(content == TopicContent(ends: [0: 2], messageCount: 2))
        }
    }

    @Test func `the newest producer of an id ends what an earlier one left open, and fences it off`() throws {
        try withTopic(on: .kafka) { broker, topic in
            let dead = try producer(broker, "fenced-\(topic)")
            try dead.beginTransaction()
            try dead.produceAll(["never seen"], to: topic)
            let next = try producer(broker, "fenced-\(topic)")
            try next.beginTransaction()
            try next.produceAll(["seen"], to: topic)
            try next.commitTransaction()
            let error = try kafkaError { try dead.commitTransaction() }
            #expect(!error.isRetriable, "\(error)")
            let content = try KafkaAdmin(settings: broker.settings).content(of: topic)
            #expect(content.messageCount == 1)
        }
    }
}
