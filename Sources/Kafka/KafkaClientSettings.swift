// How a client reaches its brokers: plain data that any thread may copy.

internal import Diagnostics

/// Bootstrap servers and librdkafka properties.
public struct KafkaClientSettings: Sendable, Hashable {
    /// `host:port[,host:port…]`.
    public var bootstrapServers: String
    /// Any librdkafka property; these win over what the clients of this module set by themselves.
    public var properties: [String: String]
    /// How long all brokers may be unreachable before `poll` and `produce` throw instead of waiting on.
    public var unreachableTimeoutMs: Int32

    public init(
        bootstrapServers: String, properties: [String: String] = [:], unreachableTimeoutMs: Int32 = 30_000
    ) {
        self.bootstrapServers = bootstrapServers
        self.properties = properties
        self.unreachableTimeoutMs = unreachableTimeoutMs
    }

    /// A copy with one more property.
    public func with(_ property: String, _ value: String) -> KafkaClientSettings {
        var copy = self
        copy.properties[property] = value
        return copy
    }

    /// A copy with one more property, unless the user gave that one: what a client asks for its own good is no reason to overrule
    /// what a manifest will show.
    /// - Parameter alias: the property's other name.
    public func withDefault(_ property: String, _ value: String, alias: String? = nil) -> KafkaClientSettings {
        let isGiven = properties[property] != nil || alias.map { properties[$0] != nil } ?? false
        return isGiven ? self : with(property, value)
    }

    /// The properties a manifest may show: values of secrets are replaced.
    public var redactedProperties: [String: String] {
        Dictionary(
            uniqueKeysWithValues: properties.map { ($0.key, isSecretName($0.key) ? "***" : $0.value) })
    }
}

/// Where a consumer starts in one partition.
public struct TopicPartitionOffset: Sendable, Hashable {
    public var topic: String
    public var partition: Int32
    /// The offset of the first message to hand over, or `beginning` or `end`.
    public var offset: Int64

    /// The oldest message that the broker still has (`RD_KAFKA_OFFSET_BEGINNING`).
    public static let beginning: Int64 = -2
    /// Behind the newest message at the moment of the assignment (`RD_KAFKA_OFFSET_END`).
    public static let end: Int64 = -1

    public init(topic: String, partition: Int32, offset: Int64) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
    }
}
