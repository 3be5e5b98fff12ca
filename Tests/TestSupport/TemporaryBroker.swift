// Brokers for contract tests, one per test process and kind, and topics with names of their own on them.
// The mock cluster lives in this process; a real Kafka is started on first use when KAFKA_HOME is set, stopped at exit,
// and cleared away by the next test process if this one is killed.

import Glibc
public import Kafka
import Services
import Synchronization

/// What tests run against; `available` is what parameterised tests range over.
public enum BrokerKind: String, CaseIterable, Sendable {
    case mock
    case kafka

    /// The distribution that KAFKA_HOME names.
    public static var kafkaHome: String? {
        getenv("KAFKA_HOME").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    public static var available: [BrokerKind] { kafkaHome == nil ? [.mock] : [.mock, .kafka] }

    /// For a test that takes long: the real one where there is one.
    public static var best: [BrokerKind] { kafkaHome == nil ? [.mock] : [.kafka] }
}

/// A running broker that test code may use from any thread.
public final class TemporaryBroker: Sendable {
    public let kind: BrokerKind
    public let bootstrapServers: String
    /// Of a real Kafka: the addresses of its listeners with TLS and users, beside the plain one.
    public let listeners: [SecureListener: String]
    private let makeTopic: @Sendable (String, Int) throws -> Void

    /// What else a real Kafka of the tests listens on.
    public enum SecureListener: String, CaseIterable, Sendable {
        /// TLS with a good certificate, and users.
        case users = "USERS"
        /// Users without TLS.
        case plainUsers = "PLAINUSERS"
        /// TLS with a certificate that has expired.
        case expired = "EXPIRED"
    }

    /// The user whom those listeners know, and a password that nothing else on this machine has in it.
    public static let user = "alice"
    public static let password = "open-sesame-\(ProcessIdentity.current.pid)-\(ProcessIdentity.current.startTicks)"

    /// By which that user can come in: SCRAM to Kafka 4, which the tests run, takes librdkafka 2.6.1.
    public static let mechanisms =
        KafkaAdmin.speaksEveryBrokersSCRAM ? ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] : ["PLAIN"]

    /// The strongest of them that is common.
    public static let mechanism = KafkaAdmin.speaksEveryBrokersSCRAM ? "SCRAM-SHA-256" : "PLAIN"

    private init(
        kind: BrokerKind, bootstrapServers: String, listeners: [SecureListener: String] = [:],
        makeTopic: @escaping @Sendable (String, Int) throws -> Void
    ) {
        self.kind = kind
        self.listeners = listeners
        self.bootstrapServers = bootstrapServers
        self.makeTopic = makeTopic
    }

    /// How a client reaches it; errors come early, because a test has no patience.
    public var settings: KafkaClientSettings {
        KafkaClientSettings(bootstrapServers: bootstrapServers, unreachableTimeoutMs: 5_000)
    }

    public func createTopic(_ name: String, partitions: Int) throws { try makeTopic(name, partitions) }

    /// The broker of this test process, started when first asked for.
    public static func shared(_ kind: BrokerKind = .mock) throws -> TemporaryBroker {
        switch kind {
        case .mock: try mock.get()
        case .kafka: try kafka.get()
        }
    }

    private static let mock = Result { () throws -> TemporaryBroker in
        let cluster = try MockCluster()
        return TemporaryBroker(kind: .mock, bootstrapServers: cluster.bootstrapServers) {
            try cluster.createTopic($0, partitions: $1)
        }
    }

    // MARK: The real Kafka

    private static let prefix = "allocbench-testbroker-"
    private static let running = Mutex<(broker: EmbeddedBroker, state: StateFolder)?>(nil)

    /// The folder's name says whose it is: the test process' id and the moment it started.
    private static let kafka = Result { () throws -> TemporaryBroker in
        removeLeftovers()
        let own = ProcessIdentity.current
        let state = try StateFolder("\(TestFolder.root)/\(prefix)\(own.pid)-\(own.startTicks)")
        let made = try Certificates.shared()
        let users = [user: password]
        let broker = try EmbeddedBroker.start(
            .kafka(home: BrokerKind.kafkaHome ?? ""), in: state,
            listeners: [
                BrokerListener(
                    name: SecureListener.users.rawValue, security: .saslSSL, keystore: made.server.keystore,
                    users: users),
                BrokerListener(name: SecureListener.plainUsers.rawValue, security: .saslPlaintext, users: users),
                BrokerListener(
                    name: SecureListener.expired.rawValue, security: .ssl, keystore: made.expiredServer.keystore),
            ])
        let addresses = SecureListener.allCases.map { ($0, broker.listenerAddresses[$0.rawValue] ?? "") }
        running.withLock { $0 = (broker, state) }
        atexit { TemporaryBroker.removeOwn() }
        return TemporaryBroker(
            kind: .kafka, bootstrapServers: broker.bootstrapServers,
            listeners: Dictionary(uniqueKeysWithValues: addresses)
        ) {
            try broker.createTopic(name: $0, partitions: $1)
        }
    }

    private static func removeOwn() {
        guard let (broker, state) = running.withLock({ $0.take() }) else { return }
        broker.stop(in: state)
        removeFolder(state.path)
    }

    private static func removeLeftovers() {
        guard let listing = try? ChildProcess.run(["ls", TestFolder.root]).output else { return }
        for name in listing.split(separator: "\n") where name.hasPrefix(prefix) {
            let numbers = name.dropFirst(prefix.count).split(separator: "-")
            guard numbers.count == 2, let pid = Int32(numbers[0]), let ticks = UInt64(numbers[1]),
                !ProcessIdentity(pid: pid, startTicks: ticks).isRunning,
                let state = try? StateFolder("\(TestFolder.root)/\(name)")
            else { continue }
            _ = try? ServicesControl.stop(in: state)
            removeFolder(state.path)
        }
    }
}

/// Calls `body` with a broker and a topic that nobody else uses.
public func withTopic<Value>(
    partitions: Int = 1, on kind: BrokerKind = .mock, _ body: (TemporaryBroker, String) throws -> Value
) throws -> Value {
    let broker = try TemporaryBroker.shared(kind)
    let name = "test-\(topicCount.add(1, ordering: .relaxed).newValue)"
    try broker.createTopic(name, partitions: partitions)
    return try body(broker, name)
}

private let topicCount = Atomic<Int>(0)

/// Deletes a folder of the tests with all it holds.
public func removeFolder(_ path: String) {
    let isOwn = path.hasPrefix("/tmp/") || path.hasPrefix("\(TestFolder.root)/")
    precondition(isOwn, "tests delete nothing outside their own folders")
    _ = try? ChildProcess.run(["rm", "-rf", "--one-file-system", "--", path])
}
