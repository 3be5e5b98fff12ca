// TLS and users against a real Kafka, with certificates made for the test: who comes in, and what is said to who doesn't.

import Kafka
import TestSupport
import Testing

@Suite(.enabled(if: BrokerKind.available.contains(.kafka), "needs KAFKA_HOME"))
struct SecurityTests {
    private func settings(
        _ listener: TemporaryBroker.SecureListener?, _ properties: [String: String]
    ) throws -> KafkaClientSettings {
        let broker = try TemporaryBroker.shared(.kafka)
        let address = listener.flatMap { broker.listeners[$0] } ?? broker.bootstrapServers
        return KafkaClientSettings(bootstrapServers: address, properties: properties, unreachableTimeoutMs: 5_000)
    }

    /// What a user would write to come in over TLS.
    private func good(_ mechanism: String = TemporaryBroker.mechanism) throws -> [String: String] {
        [
            "security.protocol": "SASL_SSL", "ssl.ca.location": try Certificates.shared().authority,
            "sasl.mechanism": mechanism, "sasl.username": TemporaryBroker.user,
            "sasl.password": TemporaryBroker.password,
        ]
    }

    @Test(arguments: TemporaryBroker.mechanisms)
    func `a user comes in over TLS by every mechanism, writes and reads`(mechanism: String) throws {
        try withTopic(on: .kafka) { _, topic in
            let settings = try settings(.users, good(mechanism))
            let producer = try KafkaProducer(settings: settings)
            try producer.requireReachable()
            try producer.produceAll(["one", "two"], to: topic)
            let consumer = try KafkaConsumer(settings: settings)
            defer { consumer.close() }
            try consumer.assign(topic, from: 0)
            let values = try consumer.values(count: 2)
            #expect(values == ["one", "two"])
        }
    }

    /// A refusal is one line with what to look at, and comes long before the time that an absent broker is given.
    private func refusal(
        _ listener: TemporaryBroker.SecureListener?, _ properties: [String: String]
    ) throws -> KafkaError {
        let settings = try settings(listener, properties)
        let began = ContinuousClock.now
        let error = try kafkaError { try KafkaAdmin(settings: settings).requireReachable(timeoutMs: 300_000) }
        #expect(ContinuousClock.now - began < .seconds(150))
        #expect(error.message.hasPrefix("no connection to \(settings.bootstrapServers): "), "\(error)")
        #expect(!error.description.contains("\n"))
        #expect(!error.description.contains(TemporaryBroker.password))
        return error
    }

    /// The right password, and yet refused: by Kafka 4, for what KafkaAdmin.speaksEveryBrokersSCRAM says.
    @Test(.enabled(if: !KafkaAdmin.speaksEveryBrokersSCRAM, "this librdkafka speaks SCRAM as Kafka 4 wants it"))
    func `a SCRAM user whom librdkafka can't speak for is told the remedy`() throws {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let error = try refusal(.users, good(mechanism))
            #expect(error.code == .authentication && error.message.contains("that takes librdkafka 2.6.1"), "\(error)")
        }
    }

    @Test func `a wrong password is told as one`() throws {
        for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
            let wrong = try good(mechanism).merging(["sasl.password": "wrong"]) { $1 }
            let error = try refusal(.users, wrong)
            #expect(error.code == .authentication && error.message.contains("the broker refused the user"), "\(error)")
        }
    }

    @Test func `a certificate of another authority is told as one`() throws {
        let other = try Certificates.shared().otherAuthority
        let error = try refusal(.users, try good().merging(["ssl.ca.location": other]) { $1 })
        #expect(
            error.code == .ssl && error.message.contains("isn't signed by an authority in ssl.ca.location"), "\(error)")
    }

    @Test func `an expired certificate is told as one`() throws {
        let authority = try Certificates.shared().authority
        let error = try refusal(.expired, ["security.protocol": "SSL", "ssl.ca.location": authority])
        #expect(error.code == .ssl && error.message.contains("has expired"), "\(error)")
    }

    @Test func `plain text to a port that wants TLS, and TLS to one that doesn't, are told`() throws {
        let plain = try refusal(.expired, [:])
        #expect(plain.message.contains("wants TLS"), "\(plain)")
        let authority = try Certificates.shared().authority
        let encrypted = try refusal(nil, ["security.protocol": "SSL", "ssl.ca.location": authority])
        #expect(encrypted.code == .ssl && encrypted.message.contains("speaks no TLS"), "\(encrypted)")
    }

    @Test func `a topic is made as stated, and told as it is`() throws {
        let broker = try TemporaryBroker.shared(.kafka)
        let admin = try KafkaAdmin(settings: broker.settings)
        let settings = TopicSettings(replication: 1, config: ["retention.ms": "3600000", "flush.messages": "7"])
        try admin.createTopic("described", partitions: 3, settings: settings)
        let topic = try #require(try admin.describeTopic("described"))
        #expect(topic.partitions == 3 && topic.replication == 1 && topic.config["flush.messages"] == "7")
        #expect(settings.differences(from: topic, partitions: 3).isEmpty)
        let other = TopicSettings(config: ["retention.ms": "1"])
        #expect(other.differences(from: topic, partitions: nil) == ["its retention.ms is 3600000, not 1"])
        let none = try admin.describeTopic("no-such-topic")
        #expect(none == nil)
    }
}
