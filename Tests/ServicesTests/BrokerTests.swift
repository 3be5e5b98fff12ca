// The two kinds of embedded broker by themselves: topics, round trip, end.

import Diagnostics
import Glibc
import Kafka
import Services
import TestSupport
import Testing

extension BrokerKind {
    /// What to ask `Services` for.
    var choice: BrokerChoice {
        switch self {
        case .mock: .mock
        case .kafka: .kafka(home: Self.kafkaHome ?? "")
        }
    }
}

@Suite struct BrokerTests {
    @Test(arguments: BrokerKind.available)
    func `a broker starts, has topics, and leaves no process when it stops`(kind: BrokerKind) throws {
        try withStateFolder { state in
            let broker = try EmbeddedBroker.start(kind.choice, in: state)
            try broker.createTopic(name: "one", partitions: 3)
            try broker.createTopic(name: "two", partitions: 5)
            let admin = try KafkaAdmin(settings: broker.clientSettings)
            let counts = [try admin.partitionCount(of: "one"), try admin.partitionCount(of: "two")]
            #expect(counts == [3, 5])
            do {
                try broker.createTopic(name: "one", partitions: 3)
                Issue.record("a topic was made twice")
            } catch let error as KafkaError {
                #expect(error.code == .topicAlreadyExists)
                #expect(error.message.contains("\"one\""))
            }
            #expect(!processes(naming: state.path).isEmpty)
            broker.stop(in: state)
            #expect(processes(naming: state.path) == [])
        }
    }

    @Test func `the mock's control socket refuses nonsense and serves on`() throws {
        try withStateFolder { state in
            let broker = try EmbeddedBroker.start(.mock, in: state)
            defer { broker.stop(in: state) }
            for (name, partitions) in [("two words", 1), ("none", 0), ("", 1)] {
                let error = try operatingError { try broker.createTopic(name: name, partitions: partitions) }
                #expect(!error.message.isEmpty)
            }
            try broker.createTopic(name: "good", partitions: 1)
        }
    }

    @Test func `a state folder with a long path has a short socket`() throws {
        let long = "/tmp/allocbench-teststate-\(getpid())-" + String(repeating: "x", count: 120)
        try withStateFolder(path: long) { state in
            let broker = try EmbeddedBroker.start(.mock, in: state)
            try broker.createTopic(name: "good", partitions: 1)
            let links = try ChildProcess.run(["sh", "-c", "ls -d /tmp/allocbench-*/control.sock"]).output
            #expect(links.contains("/control.sock"))
            broker.stop(in: state)
            #expect(processes(naming: state.path) == [])
            let socket = links.split(separator: "\n").first.map(String.init) ?? ""
            #expect(access(socket, F_OK) != 0)
        }
    }

    @Test func `a folder that is no Kafka distribution is refused with what it lacks`() throws {
        try withStateFolder { state in
            let error = try operatingError { _ = try EmbeddedBroker.start(.kafka(home: "/nowhere"), in: state) }
            #expect(error.description.contains("/nowhere is not a Kafka distribution: it has no bin/kafka-storage.sh"))
            #expect(error.remedy?.contains("KAFKA_HOME") == true)
        }
    }

    /// A distribution whose scripts fail: the message quotes what they said.
    @Test func `a Kafka that doesn't start is an error with the end of its log`() throws {
        try withStateFolder { state in
            let home = state.path + "/home"
            let setUp = """
                mkdir -p '\(home)/bin'
                printf '#!/bin/sh\\nexit 0\\n' > '\(home)/bin/kafka-storage.sh'
                printf '#!/bin/sh\\necho no such listener; exit 3\\n' > '\(home)/bin/kafka-server-start.sh'
                printf '#!/bin/sh\\nexit 0\\n' > '\(home)/bin/java'
                chmod +x '\(home)'/bin/*
                """
            #expect(try ChildProcess.run(["sh", "-c", setUp]).status == 0)
            let error = try operatingError { _ = try EmbeddedBroker.start(.kafka(home: home), in: state) }
            // Without Java the test sees the other message, which has a test of its own only where there is Java.
            if error.message.hasPrefix("Kafka needs Java") {
                #expect(error.remedy == "install the Debian package default-jre-headless")
            } else {
                #expect(error.message.contains("Kafka didn't start (it ended)"), "\(error)")
                #expect(error.message.hasSuffix("no such listener"), "\(error)")
            }
        }
    }

    @Test(.enabled(if: BrokerKind.available.contains(.kafka), "needs KAFKA_HOME"))
    func `a real Kafka that is started again still has its topics`() throws {
        try withStateFolder { state in
            let home = BrokerChoice.kafka(home: BrokerKind.kafkaHome ?? "")
            let first = try EmbeddedBroker.start(home, in: state)
            try first.createTopic(name: "kept", partitions: 4)
            first.stop(in: state)
            let second = try EmbeddedBroker.start(home, in: state)
            defer { second.stop(in: state) }
            let count = try KafkaAdmin(settings: second.clientSettings).partitionCount(of: "kept")
            #expect(count == 4)
        }
    }
}
