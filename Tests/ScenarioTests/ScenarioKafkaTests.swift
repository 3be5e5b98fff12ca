// What a scenario says about its Kafka, and what it may not say.

import Allocations
import Kafka
import Testing

@testable import Scenario

@Suite struct ScenarioKafkaTests {
    private func servers(_ text: String) throws -> ScenarioFile.Servers {
        try parsed(scenarioText("servers: \(text)")).servers
    }

    private func refused(_ text: String) -> String { refusal(of: scenarioText("servers: \(text)")) }

    @Test func `servers have brokers, properties and topics`() throws {
        let own = try servers(
            "{ brokers: \"a:9092,b:9092\", kafka: { properties: { fetch.wait.max.ms: 50 }, properties_file: k.properties, "
                + "topic: { replication: 3, min_insync_replicas: 2, retention_ms: -1 }, transactional_feed: true } }")
        #expect(own.brokers == "a:9092,b:9092" && own.kafka.propertiesFile == "k.properties")
        #expect(own.kafka.properties == ["fetch.wait.max.ms": "50"] && own.kafka.isFeedTransactional)
        let topic = TopicSettings(replication: 3, config: ["min.insync.replicas": "2", "retention.ms": "-1"])
        #expect(own.kafka.topic == topic)
        #expect(try servers("{ brokers: embedded, embedded_brokers: 3 }").embeddedBrokers == 3)
    }

    @Test func `workers fetch as the scenario says, and else as suits them`() throws {
        let none = KafkaClientSettings(bootstrapServers: "h:1")
        let own = none.with("fetch.wait.max.ms", "500").with("queued.min.messages", "1")
        let live = WorkerPlan.consumerSettings(none, isRecorded: false).properties
        let recorded = WorkerPlan.consumerSettings(none, isRecorded: true).properties
        #expect(live["fetch.wait.max.ms"] == "10" && recorded["fetch.wait.max.ms"] == "100")
        let expected = [
            "fetch.wait.max.ms": "500", "queued.min.messages": "1", "queued.max.messages.kbytes": "262144",
        ]
        // What is fetched ahead is shared by all.
        let shared = WorkerPlan.consumerSettings(none, isRecorded: true, consumers: 8).properties
        #expect(shared["queued.min.messages"] == "50000" && shared["queued.max.messages.kbytes"] == "32768")
        for isRecorded in [false, true] {
            let asked = WorkerPlan.consumerSettings(own, isRecorded: isRecorded).properties
            #expect(asked == expected)
        }
    }

    @Test func `a secret in a scenario is refused without its value`() {
        let told = refused("{ kafka: { properties: { sasl.password: geheim } } }")
        #expect(
            told
                == "s.yaml:1: sasl.password: expected no secret here, for the results keep the scenario's text, but in "
                + "a file (--kafka-properties FILE) or the environment (ALLOCBENCH_KAFKA_SASL_PASSWORD)")
    }

    @Test func `what a Kafka can't be is refused`() {
        #expect(refused("{ embedded_brokers: 6 }").hasSuffix("expected a whole number from 1 to 5"))
        #expect(refused("{ brokers: kafka }").hasSuffix("expected embedded, or HOST:PORT,... of a Kafka"))
        #expect(
            refused("{ brokers: \"a:1\", embedded_brokers: 3 }").contains(
                "no embedded brokers beside a Kafka of your own"))
        #expect(refused("{ kafka: { properties: { acks: 1 } } }").contains("left to the harness"))
        #expect(refused("{ kafka: { properties: { fetch.wait.max.ms: soon } } }").contains("\"soon\" was refused"))
        #expect(
            refused("{ embedded_brokers: 3, kafka: { topic: { replication: 2, min_insync_replicas: 3 } } }")
                .hasSuffix("at most 2, the topic's replication"))
    }

    @Test func `a broker is killed only where others go on`() throws {
        let fault = "faults: [{ at_seconds: 1, kind: kill_broker }]"
        let three = try parsed(scenarioText("servers: { embedded_brokers: 3 }\n\(fault)"))
        #expect(three.faults.map(\.kind) == [.killBroker])
        #expect(
            refusal(of: scenarioText(fault)).hasSuffix(
                "expected servers with embedded_brokers: 3 or more, of which the others go on"))
    }

    @Test func `the command line wins over the environment, and that over the scenario`() throws {
        let text = scenarioText(
            "servers: { kafka: { properties: { fetch.wait.max.ms: 1, fetch.min.bytes: 1, client.id: one } } }")
        var options = try KafkaOptions(
            file: nil, properties: ["client.id=three"],
            environment: ["ALLOCBENCH_KAFKA_CLIENT_ID": "two", "ALLOCBENCH_KAFKA_FETCH_MIN_BYTES": "2"])
        try options.add(try parsed(text))
        let expected = ["fetch.wait.max.ms": "1", "fetch.min.bytes": "2", "client.id": "three"]
        #expect(options.properties(isEmbedded: false) == expected)
    }

    @Test func `the embedded broker is asked for nothing that it can't do`() throws {
        var options = try KafkaOptions(file: nil, properties: ["security.protocol=ssl"], environment: [:])
        #expect(throws: (any Error).self) { try options.validateEmbedded(isMock: false) }
        options = try KafkaOptions(file: nil, properties: [], environment: ["ALLOCBENCH_KAFKA_SASL_PASSWORD": "x"])
        try options.validateEmbedded(isMock: true)
        #expect(options.properties(isEmbedded: true).isEmpty)
        options.topic = TopicSettings(replication: 1)
        try options.validateEmbedded(isMock: false)
        #expect(throws: (any Error).self) { try options.validateEmbedded(isMock: true) }
    }
}
