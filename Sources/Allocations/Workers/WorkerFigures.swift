// What one worker measured. Each worker has its own, written by its thread alone; the runner merges them afterwards.

public import Measurement
public import Postgres

public struct WorkerFigures: Sendable {
    /// Per message: from its intended arrival to the commit that made its effect visible, in nanoseconds.
    public var timeToVisible = Histogram()
    /// Per transaction: from its first statement to the answer of its commit, retries included, in nanoseconds.
    public var transactionLatency = Histogram()
    /// Committed transactions; in mode row every statement is one.
    public var transactionCount: Int64 = 0
    /// Messages whose effect is committed, duplicates included.
    public var messageCount: Int64 = 0
    /// Executions captured for the first time.
    public var capturedCount: Int64 = 0
    public var snapshotCount: Int64 = 0
    public var parkedCount: Int64 = 0
    /// Attempts that failed and were repeated, by SQLSTATE.
    public var retries: [SQLState: Int64] = [:]
    /// Messages in the attempts that failed.
    public var retriedMessageCount: Int64 = 0
    /// Commits whose outcome had to be looked up, and how many of them had happened.
    public var ambiguousCount: Int64 = 0
    public var ambiguousCommittedCount: Int64 = 0
    public var reconnectCount: Int64 = 0
    /// When the last commit was answered, on the monotonic clock.
    public var lastCommitTime: Int64 = 0

    public init() {}

    /// Messages that were captured before.
    public var duplicateCount: Int64 { messageCount - capturedCount - parkedCount }
    public var retryCount: Int64 { retries.values.reduce(0, +) }

    public mutating func merge(_ other: WorkerFigures) {
        timeToVisible.merge(other.timeToVisible)
        transactionLatency.merge(other.transactionLatency)
        transactionCount += other.transactionCount
        messageCount += other.messageCount
        capturedCount += other.capturedCount
        snapshotCount += other.snapshotCount
        parkedCount += other.parkedCount
        retries.merge(other.retries, uniquingKeysWith: +)
        retriedMessageCount += other.retriedMessageCount
        ambiguousCount += other.ambiguousCount
        ambiguousCommittedCount += other.ambiguousCommittedCount
        reconnectCount += other.reconnectCount
        lastCommitTime = max(lastCommitTime, other.lastCommitTime)
    }
}
