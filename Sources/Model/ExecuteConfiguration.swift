// What a scenario of stage execute compares: what the change feed costs those who write the executions.

/// What reads the log of the database while executions are written.
public enum FeedState: String, Sendable, Hashable, CaseIterable {
    /// Nothing: the control.
    case none
    /// A replication slot that nobody reads: the log is kept, nothing is decoded.
    case slot
    /// The feed runs and publishes.
    case running
}

/// One competitor of a scenario of stage execute.
public struct ExecuteConfiguration: Sendable, Hashable {
    public static let batchSizeDefault = 100

    /// Unique within a scenario; generated from the settings where the scenario gives none.
    public var name: String
    public var feed: FeedState
    /// Executions in one transaction.
    public var batchSize: Int

    /// A nil takes the default, a nil name the generated one: `feed-running-b100`.
    public init(name: String? = nil, feed: FeedState, batchSize: Int? = nil) {
        self.feed = feed
        self.batchSize = batchSize ?? Self.batchSizeDefault
        self.name = name ?? "feed-\(feed.rawValue)-b\(self.batchSize)"
    }
}
