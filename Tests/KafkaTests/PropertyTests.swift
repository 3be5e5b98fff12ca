// Properties as users hand them over, and what is told of those that are refused. No broker.

import Diagnostics
import Testing

@testable import Kafka

@Suite struct PropertyTests {
    private func faults(_ body: () throws(InputError) -> Void) -> [String] {
        do { try body() } catch { return error.faults.map(\.description) }
        return []
    }

    @Test func `a file is read as kcat reads it`() throws {
        let text = "# a comment\n\n security.protocol = SASL_SSL \r\nsasl.password=a=b#c\n\tfetch.wait.max.ms=50"
        let properties = try KafkaClientSettings.properties(ofFile: "k.properties", text: text)
        let expected = ["security.protocol": "SASL_SSL", "sasl.password": "a=b#c", "fetch.wait.max.ms": "50"]
        #expect(properties == expected)
    }

    @Test func `every fault of a file is told with its line, and no value of a secret`() {
        let text = """
            sasl.passwort=geheim
            geheim
            acks=1
            fetch.wait.max.ms=soon
            linger.ms=5
            linger.ms=6
            ssl.key.password
            """
        let told = faults { () throws(InputError) in
            _ = try KafkaClientSettings.properties(ofFile: "k", text: text)
        }
        #expect(told.count == 6, "\(told)")
        #expect(told[0].hasPrefix("k:1: sasl.passwort: expected a property of librdkafka"), "\(told)")
        #expect(told[0].contains("did you mean \"sasl.password\"?"), "\(told)")
        #expect(told[1] == "k:2: expected a line key=value, or # and a comment")
        #expect(told[2].hasPrefix("k:3: acks: expected it to be left to the harness"), "\(told)")
        #expect(told[3].hasPrefix("k:4: fetch.wait.max.ms: expected a property of librdkafka"), "\(told)")
        #expect(told[4] == "k:6: linger.ms: expected to be given once")
        #expect(told[5] == "k:7: expected a line key=value, or # and a comment")
        #expect(!told.joined().contains("geheim"))
    }

    @Test func `a variable is a property in capitals`() throws {
        let found = try KafkaClientSettings.properties(ofEnvironment: [
            "ALLOCBENCH_KAFKA_SASL_PASSWORD": "x", "ALLOCBENCH_KAFKA_SECURITY_PROTOCOL": "ssl", "KAFKA_HOME": "/k",
        ])
        let expected = ["sasl.password": "x", "security.protocol": "ssl"]
        #expect(found == expected)
        let told = faults { () throws(InputError) in
            _ = try KafkaClientSettings.properties(ofEnvironment: ["ALLOCBENCH_KAFKA_SASL_PASWORD": "geheim"])
        }
        #expect(
            told == [
                "ALLOCBENCH_KAFKA_SASL_PASWORD: expected the name of a property of librdkafka in capitals; "
                    + "did you mean ALLOCBENCH_KAFKA_SASL_PASSWORD?"
            ])
    }

    @Test(arguments: ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"])
    func `a secret is refused where others can read it, with the place that it belongs to`(name: String) throws {
        let variable = "ALLOCBENCH_KAFKA_" + name.uppercased().split(separator: ".").joined(separator: "_")
        let remedy = "but in a file (--kafka-properties FILE) or the environment (\(variable))"
        let onCommandLine = try #require(KafkaPropertySource.commandLine.refusal(of: name, value: "geheim"))
        #expect(onCommandLine == "no secret here, where every process list shows it, \(remedy)")
        let inScenario = try #require(KafkaPropertySource.scenario.refusal(of: name, value: "geheim"))
        #expect(inScenario == "no secret here, for the results keep the scenario's text, \(remedy)")
        let settings = KafkaClientSettings(
            bootstrapServers: "h:1", properties: [name: "geheim", "ssl.ca.location": "/ca"])
        let redacted = settings.redactedProperties
        #expect(redacted == [name: "***", "ssl.ca.location": "/ca"])
    }

    @Test func `what the harness lives by is refused wherever it stands`() throws {
        for source in [KafkaPropertySource.file, .environment, .commandLine, .scenario] {
            for name in [
                "enable.auto.commit", "isolation.level", "auto.offset.reset", "acks", "enable.idempotence",
                "partitioner",
                "group.id", "bootstrap.servers", "transactional.id", "delivery.report.only.error", "enabled_events",
            ] {
                let expected = try #require(source.refusal(of: name, value: "x"), "\(name)")
                #expect(expected.contains("harness") || expected.contains("--brokers"), "\(name): \(expected)")
            }
            #expect(source.refusal(of: "fetch.wait.max.ms", value: "5") == nil)
            #expect(source.refusal(of: "ssl.ca.location", value: "/ca.pem") == nil)
        }
    }

    @Test func `what a client asks for its own good is left to the user who gave it, under either name`() {
        let none = KafkaClientSettings(bootstrapServers: "h:1")
        let short = none.with("linger.ms", "9")
        let long = none.with("queue.buffering.max.ms", "9")
        func asked(_ settings: KafkaClientSettings) -> [String: String] {
            settings.withDefault("linger.ms", "2", alias: "queue.buffering.max.ms").properties
        }
        #expect(asked(none) == ["linger.ms": "2"] && asked(short) == ["linger.ms": "9"])
        #expect(asked(long) == ["queue.buffering.max.ms": "9"])
    }

    @Test func `a topic differs in what was stated, and in losing messages`() {
        let topic = TopicDescription(
            partitions: 4, replication: 1, config: ["retention.ms": "604800000", "cleanup.policy": "compact"])
        #expect(TopicSettings().differences(from: topic, partitions: 4).count == 1)
        let wanted = TopicSettings(replication: 3, config: ["retention.ms": "-1"])
        #expect(
            wanted.differences(from: topic, partitions: 8) == [
                "it has 4 partitions, not 8", "it has 1 copies of each partition, not 3",
                "its retention.ms is 604800000, not -1", "its cleanup.policy is compact, not delete: it drops messages",
            ])
        // The mock tells no settings.
        #expect(
            TopicSettings().differences(
                from: TopicDescription(partitions: 1, replication: 1, config: [:]), partitions: nil
            )
            .isEmpty)
    }

    @Test func `a fault of long ago isn't told as the cause of brokers that are gone now`() {
        let faults = ConnectionFaults()
        let line = "x: SASL authentication error: Authentication failed during authentication"
        faults.note(line: line, at: 1_000)
        let down = 1_000 + ConnectionFaults.leadMs
        #expect(faults.current(downSinceMs: nil) != nil && faults.current(downSinceMs: down) != nil)
        #expect(faults.current(downSinceMs: down + 1) == nil)
        // Since when it has been waited for is another matter.
        faults.note(line: line, at: 2_000)
        #expect(faults.current(downSinceMs: down + 1)?.sinceMs == 1_000)
        faults.clear()
        #expect(faults.current(downSinceMs: down) == nil)
    }

    @Test(arguments: [
        (
            "FAIL: [thrd:x]: x/bootstrap: SASL authentication error: Authentication failed during authentication",
            KafkaError.Code.authentication
        ),
        ("x: Unsupported SASL mechanism: broker's supported mechanisms: PLAIN", KafkaError.Code.authentication),
        (
            "x: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 5ms)",
            KafkaError.Code.ssl
        ),
        (
            "x: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate",
            KafkaError.Code.ssl
        ),
        (
            "x: SSL handshake failed: error:0A000126:SSL routines::unexpected eof while reading (after 1ms in state SSL_HANDSHAKE)",
            KafkaError.Code.ssl
        ),
        (
            "x: Disconnected while requesting ApiVersion: might be caused by incorrect security.protocol",
            KafkaError.Code.transport
        ),
        (
            "x: Disconnected: connection closed by peer: receive 0 after POLLIN (after 1ms in state APIVERSION_QUERY)",
            KafkaError.Code.transport
        ),
    ])
    func `librdkafka's words for a failed connection are understood`(line: String, code: KafkaError.Code) {
        #expect(ConnectionFaults.reading(of: line)?.0 == code)
        let ordinary = ConnectionFaults.reading(of: "x: Connect to ipv4#127.0.0.1:9 failed: Connection refused")
        #expect(ordinary == nil)
        // A broker that dies hangs up, too, but not in the handshake.
        let hungUp = ConnectionFaults.reading(of: "x: unexpected eof while reading (after 9ms in state UP)")
        #expect(hungUp == nil)
        let closed = ConnectionFaults.reading(of: "x: Disconnected: connection closed by peer (after 9ms in state UP)")
        #expect(closed == nil)
    }

    @Test func `a SCRAM user who is refused is told when librdkafka may be why`() throws {
        let line =
            "x: SASL authentication error: Authentication failed during authentication due to invalid credentials with "
        func words(_ mechanism: String, speaks: Bool) -> String? {
            ConnectionFaults.reading(
                of: "\(line)SASL mechanism \(mechanism) (after 3ms)", speaksEveryBrokersSCRAM: speaks)?.1
        }
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let old = try #require(words(mechanism, speaks: false))
            #expect(old.contains("librdkafka 2.6.1"), "\(old)")
            #expect(words(mechanism, speaks: true)?.contains("2.6.1") == false)
        }
        #expect(words("PLAIN", speaks: false)?.contains("2.6.1") == false)
    }
}
