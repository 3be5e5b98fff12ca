// How long runner and worker hosts wait for each other. Plain values.

/// The rhythm that a runner and its hosts share.
public struct HostTiming: Sendable, Hashable {
    /// From one sign of life to the next.
    public var heartbeatMs: Int64 = 500
    /// Who hasn't been heard of for so long is lost.
    public var lostAfterMs: Int64 = 10_000
    /// From the moment at which the start is said to the start itself: long enough for every host to hear of it.
    public var startLeadMs: Int64 = 500
    /// How often the state of a cell is looked at before its start, and afterwards.
    public var lookBeforeStartMs: Int64 = 20
    public var lookMs: Int64 = 100

    public init() {}

    public static let waitDefault: Duration = .seconds(60)
}
