// What a topic is made with beside its name, and how one that is there already differs from it. Plain values.

/// Partitions, copies and settings of a topic. What isn't stated is the broker's default.
public struct TopicSettings: Sendable, Hashable {
    /// Copies of each partition.
    public var replication: Int?
    /// By Kafka's names, such as `retention.ms`.
    public var config: [String: String]

    public init(replication: Int? = nil, config: [String: String] = [:]) {
        self.replication = replication
        self.config = config
    }

    public var isEmpty: Bool { replication == nil && config.isEmpty }

    /// How a topic differs from what is stated, in words; empty if it doesn't. What is taken for granted of every topic is that
    /// it keeps its messages: a compacted one drops them.
    public func differences(from topic: TopicDescription, partitions: Int?) -> [String] {
        var differences: [String] = []
        if let partitions, topic.partitions != partitions {
            differences.append("it has \(topic.partitions) partitions, not \(partitions)")
        }
        if let replication, topic.replication != replication {
            differences.append("it has \(topic.replication) copies of each partition, not \(replication)")
        }
        for (name, value) in config.sorted(by: { $0.key < $1.key }) where topic.config[name] != value {
            differences.append("its \(name) is \(topic.config[name] ?? "unknown"), not \(value)")
        }
        let cleanup = topic.config["cleanup.policy"] ?? "delete"
        if config["cleanup.policy"] == nil, cleanup != "delete" {
            differences.append("its cleanup.policy is \(cleanup), not delete: it drops messages")
        }
        return differences
    }
}

/// A topic as the brokers have it.
public struct TopicDescription: Sendable, Hashable {
    public let partitions: Int
    /// Of the partition that has the fewest.
    public let replication: Int
    /// Empty on a broker that doesn't tell, as librdkafka's mock.
    public let config: [String: String]

    public init(partitions: Int, replication: Int, config: [String: String]) {
        self.partitions = partitions
        self.replication = replication
        self.config = config
    }
}
