// Settings that are refused, brokers that can't be reached, and the mock's own ways to lose and to repeat messages.

import Diagnostics
import Measurement
import TestSupport
import Testing

@testable import Kafka

@Suite struct FailureTests {
    /// Nothing listens on port 1.
    private let nowhere = KafkaClientSettings(bootstrapServers: "127.0.0.1:1", unreachableTimeoutMs: 500)

    @Test func `an unknown property is refused by its name and leaves nothing behind`() throws {
        let ledger = HandleLedger()
        try HandleLedger.$current.withValue(ledger) {
            let settings = nowhere.with("linger.msec", "5")
            for make: () throws -> Void in [
                { _ = try KafkaProducer(settings: settings) }, { _ = try KafkaConsumer(settings: settings) },
                { _ = try KafkaAdmin(settings: settings) },
            ] {
                let error = try kafkaError(make)
                #expect(error.code == .invalidArgument)
                #expect(error.message == "librdkafka has no property \"linger.msec\"; did you mean \"linger.ms\"?")
            }
        }
        #expect(ledger.adoptedCount(.configuration) == 3)
        #expect(ledger.open.isEmpty)
    }

    @Test func `an impossible value is refused with the property's name, and a secret isn't repeated`() throws {
        let ledger = HandleLedger()
        try HandleLedger.$current.withValue(ledger) {
            let error = try kafkaError { _ = try KafkaProducer(settings: nowhere.with("acks", "many")) }
            #expect(error.message.contains("acks") && error.message.contains("many"), "\(error)")
            let secret = try kafkaError {
                _ = try KafkaProducer(
                    settings: nowhere.with("security.protocol", "ssl").with("ssl.key.pem", "hunter2"))
            }
            #expect(secret.message.contains("ssl.key.pem") && !secret.description.contains("hunter2"), "\(secret)")
            // Each value is possible by itself: only rd_kafka_new finds that they don't fit together.
            let together = try kafkaError { _ = try KafkaProducer(settings: nowhere.with("acks", "1")) }
            #expect(together.message.contains("acks"), "\(together)")
        }
        #expect(ledger.open.isEmpty)
    }

    @Test func `secrets are hidden in what a manifest may show`() {
        let settings = nowhere.with("sasl.password", "hunter2").with("linger.ms", "1")
        #expect(settings.redactedProperties == ["sasl.password": "***", "linger.ms": "1"])
    }

    @Test func `a broker that can't be reached is an error with its address, in bounded time`() throws {
        let start = monotonicNow()
        for check: () throws -> Void in [
            { try KafkaProducer(settings: nowhere).requireReachable(timeoutMs: 300) },
            { try KafkaConsumer(settings: nowhere).requireReachable(timeoutMs: 300) },
            { try KafkaAdmin(settings: nowhere).requireReachable(timeoutMs: 300) },
        ] {
            let error = try kafkaError(check)
            #expect(error.code == .allBrokersDown)
            #expect(error.message.contains("127.0.0.1:1"), "\(error)")
            #expect(error.message.contains("Connection refused"), "\(error)")
        }
        #expect(monotonicNow() - start < 30_000_000_000)
    }

    @Test func `polling a consumer whose brokers stay away throws instead of waiting for ever`() throws {
        let consumer = try KafkaConsumer(settings: nowhere)
        try consumer.assign("anything", from: 0)
        let start = monotonicNow()
        let error = try kafkaError {
            while monotonicNow() - start < 120_000_000_000 { _ = try consumer.poll(timeoutMs: 100) }
        }
        #expect(error.code == .allBrokersDown)
        #expect(error.message.contains("127.0.0.1:1"), "\(error)")
    }

    @Test func `a producer whose brokers stay away throws from a full queue and from flush`() throws {
        let producer = try KafkaProducer(settings: nowhere.with("queue.buffering.max.messages", "10"))
        let topic = try producer.topic("anything")
        let error = try kafkaError {
            for index in 0..<11 {
                try withBytes("v\(index)") {
                    try producer.produce(topic: topic, partition: 0, key: $0, value: $0, tag: 0)
                }
            }
        }
        #expect(error.code == .allBrokersDown)
        let flushError = try kafkaError { try producer.flush(timeoutMs: 20_000) { _, _ in } }
        #expect(flushError.code == .allBrokersDown)
    }

    @Test func `flush says how many messages are left when its time is up`() throws {
        var patient = nowhere
        patient.unreachableTimeoutMs = 60_000
        let producer = try KafkaProducer(settings: patient)
        let topic = try producer.topic("anything")
        try withBytes("v") { try producer.produce(topic: topic, partition: 0, key: $0, value: $0, tag: 0) }
        let error = try kafkaError { try producer.flush(timeoutMs: 200) { _, _ in } }
        #expect(error.code == .timedOut)
        #expect(error.message.hasPrefix("1 messages still undelivered to 127.0.0.1:1"), "\(error)")
    }

    @Test func `a broker that comes back in time is no error`() throws {
        let cluster = try MockCluster()
        try cluster.createTopic("t", partitions: 1)
        let settings = KafkaClientSettings(
            bootstrapServers: cluster.bootstrapServers, properties: ["reconnect.backoff.max.ms": "200"],
            unreachableTimeoutMs: 10_000)
        let producer = try KafkaProducer(settings: settings)
        try producer.produceAll(["before"], to: "t")
        let consumer = try KafkaConsumer(settings: settings)
        try consumer.assign("t", from: 0)
        #expect(try consumer.values(count: 1) == ["before"])
        cluster.setBrokerDown()
        let start = monotonicNow()
        while monotonicNow() - start < 1_000_000_000 { #expect(try consumer.values(count: 0) == []) }
        cluster.setBrokerUp()
        try producer.produceAll(["after"], to: "t")
        #expect(try consumer.values(count: 1) == ["after"])
    }

    @Test func `a closed consumer says so`() throws {
        let consumer = try KafkaConsumer(settings: nowhere)
        #expect(consumer.close(timeoutMs: 5_000))
        #expect(consumer.close())
        let error = try kafkaError { _ = try consumer.poll(timeoutMs: 0) }
        #expect(error.code == .state)
    }

    /// The broker stores the batch, its answer comes after the client gave up on the connection, the client sends again.
    /// The mock doesn't deduplicate an idempotent producer, so this is how tests get true duplicates.
    @Test func `a late answer to a Produce request leaves the batch in the mock's topic twice`() throws {
        let cluster = try MockCluster()
        try cluster.createTopic("t", partitions: 1)
        let settings = KafkaClientSettings(
            bootstrapServers: cluster.bootstrapServers,
            properties: ["socket.timeout.ms": "1000", "linger.ms": "50"])
        let producer = try KafkaProducer(settings: settings)
        try producer.produceAll(["warm-up"], to: "t")
        cluster.setRoundTripTime(ms: 3_000)
        let topic = try producer.topic("t")
        for index in 0..<5 {
            try withBytes("v\(index)") { try producer.produce(topic: topic, partition: 0, key: $0, value: $0, tag: 0) }
        }
        // librdkafka looks for requests that timed out once a second.
        sleepUntil(monotonic: monotonicNow() + 2_600_000_000)
        cluster.setRoundTripTime(ms: 0)
        var reported = 0
        try producer.flush(timeoutMs: 30_000) { _, delivery in
            if case .success = delivery { reported += 1 }
        }
        #expect(reported == 5)
        let marks = try KafkaAdmin(settings: settings).watermarks(of: "t")
        #expect(marks[0].high == 11)
        let consumer = try KafkaConsumer(settings: settings)
        try consumer.assign("t", from: 1)
        let once = (0..<5).map { "v\($0)" }
        #expect(try consumer.values(count: 10) == once + once)
    }

    /// 6 MiB that no codec can shrink, into one partition that keeps 5.
    @Test func `a topic that lost its oldest messages fails the completeness check`() throws {
        try withTopic(partitions: 2) { broker, topic in
            let admin = try KafkaAdmin(settings: broker.settings)
            let producer = try KafkaProducer(settings: broker.settings)
            try producer.produceAll(["one"], to: topic, partition: 0)
            try admin.requireComplete(topic: topic)

            let handle = try producer.topic(topic)
            var random = SeededRandom(seed: 6)
            for index in 0..<UInt64(600) {
                var bytes: [UInt64] = []
                while bytes.count < 10_240 / 8 { bytes.append(random.next()) }
                try bytes.withUnsafeBytes {
                    try producer.produce(
                        topic: handle, partition: 1, key: UnsafeRawBufferPointer(start: nil, count: 0), value: $0,
                        tag: index)
                }
            }
            try producer.flush(timeoutMs: 30_000) { _, delivery in
                if case .failure(let error) = delivery { Issue.record(error) }
            }
            var error = OperatingError("nothing was thrown")
            do { try admin.requireComplete(topic: topic) } catch let thrown as OperatingError { error = thrown }
            let lost = try admin.watermarks(of: topic)[1].low
            #expect(lost > 0)
            #expect(error.message.contains("partition 1 lost its oldest \(lost) of 600 messages"), "\(error)")
            #expect(!error.message.contains("partition 0"), "\(error)")
            #expect(error.remedy?.contains("KAFKA_HOME") == true)
        }
    }
}
