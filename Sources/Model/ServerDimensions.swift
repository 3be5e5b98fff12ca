// Dimensions of a configuration that change what the servers do rather than how a worker groups its messages.
// Plain values; what applies them is the scenario runner's and the stores'.

/// What the records of the executions' topic are keyed by, and so which of them share a partition.
public enum TopicKey: String, Sendable, Hashable, CaseIterable {
    /// All of a block's executions go to one partition: one worker at a time touches a block.
    case blockOrder = "block_order"
    /// The executions of a block spread over the partitions: workers contend for its row.
    case execution

    public static let standard = TopicKey.blockOrder
}

/// Where workers have their partitions from.
public enum PartitionSource: String, Sendable, Hashable, CaseIterable {
    /// Dealt out by hand before the start, for the whole run.
    case assigned
    /// Dealt out by a consumer group, of which each worker is a member.
    case group

    public static let standard = PartitionSource.assigned
}

/// How a consumer group deals its partitions out, in Kafka's words.
public enum GroupAssignor: String, Sendable, Hashable, CaseIterable {
    case cooperativeSticky = "cooperative-sticky"
    case range

    public static let standard = GroupAssignor.cooperativeSticky
}

/// PostgreSQL's `synchronous_commit` of the workers' sessions, allocating and booking: what a commit waits for.
public enum SynchronousCommit: String, Sendable, Hashable, CaseIterable {
    /// Nothing: a crash may lose the last commits, but never tears one.
    case off
    /// The local disk, whatever standbys there are.
    case local
    /// The local disk, and a standby's operating system.
    case remoteWrite = "remote_write"
    /// The local disk, and a standby's disk where `synchronous_standby_names` asks for one.
    case on
    /// As `on`, and until the standby shows it to its readers.
    case remoteApply = "remote_apply"

    public static let standard = SynchronousCommit.on
}

/// What the rows that each captured execution leaves are indexed by, beside their natural key.
public enum KeyStrategy: String, Sendable, Hashable, CaseIterable {
    /// Nothing: the natural key is the only one.
    case natural
    /// A number from a sequence: new entries go to the end of the index.
    case sequence
    /// A random UUID: new entries go anywhere in the index.
    case uuid4
    /// A UUID that begins with the time: new entries go near the end of the index.
    case uuid7

    public static let standard = KeyStrategy.natural
}
