// A broker for contract tests, one per test process and kind, and topics with names of their own on it.
// The mock cluster lives in this process; a real Kafka is started on first use when KAFKA_HOME is set.

public import Kafka
import Synchronization

/// What tests run against; `available` is what parameterised tests range over.
public enum BrokerKind: String, CaseIterable, Sendable {
    case mock

    public static var available: [BrokerKind] { [.mock] }
}

/// A running broker that test code may use from any thread.
public final class TemporaryBroker: Sendable {
    public let kind: BrokerKind
    public let bootstrapServers: String
    private let makeTopic: @Sendable (String, Int) throws -> Void

    init(kind: BrokerKind, bootstrapServers: String, makeTopic: @escaping @Sendable (String, Int) throws -> Void) {
        self.kind = kind
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
        try brokers.withLock { running in
            if let broker = running[kind] { return broker }
            let cluster = try MockCluster()
            let broker = TemporaryBroker(kind: .mock, bootstrapServers: cluster.bootstrapServers) {
                try cluster.createTopic($0, partitions: $1)
            }
            running[kind] = broker
            return broker
        }
    }

    private static let brokers = Mutex<[BrokerKind: TemporaryBroker]>([:])
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
