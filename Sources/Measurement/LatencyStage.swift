// Where the time of a message goes, in the words of the CSV files, and one histogram for each of these spans.
// The spans follow each other but don't add up to the time to visible at any percentile: only means add up.

/// A span of the pipeline that is measured. The raw values are words of `latency.csv`.
public enum LatencyStage: String, CaseIterable, Sendable {
    case timeToVisible = "time_to_visible"
    case dueToCommitted = "due_to_committed"
    case committedToPublished = "committed_to_published"
    case publishedToPolled = "published_to_polled"
    case polledToBegun = "polled_to_begun"
    case begunToCommitted = "begun_to_committed"
    case committedToAllocated = "committed_to_allocated"
    case allocatedToBooked = "allocated_to_booked"
    case transactionLatency = "txn_latency"
    case firstTryLatency = "txn_first_try"
    case scheduleLag = "schedule_lag"

    /// What one count of a stage stands for.
    public enum Unit: String, Sendable {
        case messages, transactions, blocks
    }

    public var unit: Unit {
        switch self {
        case .timeToVisible, .dueToCommitted, .committedToPublished, .publishedToPolled, .polledToBegun,
            .begunToCommitted,
            .committedToAllocated, .scheduleLag:
            .messages
        case .allocatedToBooked: .blocks
        case .transactionLatency, .firstTryLatency: .transactions
        }
    }

    /// From what to what, in a sentence.
    public var meaning: String {
        switch self {
        case .timeToVisible:
            "From the intended arrival of a message to the commit that made its effect visible, every wait included."
        case .dueToCommitted:
            "From the intended arrival of an execution to the answer of its commit in trades, the wait for the executor's "
                + "commit before included; of an open load through the feed."
        case .committedToPublished:
            "From the commit of an execution in trades, by the time that the server stamps on it before it flushes its log, "
                + "to the broker's acknowledgement of its message."
        case .publishedToPolled:
            "From the producer's timestamp of a message, which is of the millisecond in which the feed handed it over and "
                + "before the broker's acknowledgement, to the poll that gave it to a worker; through the feed."
        case .polledToBegun:
            "From the poll of a message, or its intended arrival if that is later, to the begin of the transaction that "
                + "holds it; the wait to fill a batch is here."
        case .begunToCommitted:
            "From the first begin of the transaction that holds a message to its commit, retries included."
        case .committedToAllocated:
            "From the commit that captured a message to the commit of the snapshot that allocated it; 0 where they are one. "
                + "Not measured where the topic is keyed by execution (topic_key), for workers share their blocks there."
        case .allocatedToBooked: "From the booking request of a block's snapshot to the commit that booked it."
        case .transactionLatency: "From the first begin of a transaction to its commit, retries included."
        case .firstTryLatency:
            "From begin to commit of the transactions that succeeded at their first attempt, and of no others."
        case .scheduleLag:
            "How late the harness offered a message that fell due while its worker was idle: the generator's own delay. "
                + "Through the feed: from the intended arrival of an execution, or the executor's commit before if that is "
                + "later, to the begin of the transaction that wrote it."
        }
    }

    /// A place in an array, without the search through `allCases`.
    var index: Int {
        switch self {
        case .timeToVisible: 0
        case .dueToCommitted: 1
        case .committedToPublished: 2
        case .publishedToPolled: 3
        case .polledToBegun: 4
        case .begunToCommitted: 5
        case .committedToAllocated: 6
        case .allocatedToBooked: 7
        case .transactionLatency: 8
        case .firstTryLatency: 9
        case .scheduleLag: 10
        }
    }
}

/// One histogram for each stage that a thread records. A value without locks, like `Histogram`: each worker owns one,
/// the runner merges them after the threads have ended.
public struct StageLatencies: Sendable, Equatable {
    private var histograms: ContiguousArray<Histogram>

    /// Allocates 264 KiB for each of `stages`; recording them allocates nothing. A worker names those that it records.
    public init(stages: some Sequence<LatencyStage> = LatencyStage.allCases) {
        histograms = ContiguousArray(repeating: Histogram.withoutRoom, count: LatencyStage.allCases.count)
        for stage in stages { histograms[stage.index] = Histogram() }
    }

    /// The stages that were named or merged, in the order of the pipeline.
    public var stages: [LatencyStage] { LatencyStage.allCases.filter { histograms[$0.index].hasRoom } }

    /// Counts `count` durations of `nanoseconds` each. The stage must be one of those named: a histogram made here would
    /// be an allocation on the measured path. It traps otherwise.
    @inline(__always)
    public mutating func record(_ stage: LatencyStage, _ nanoseconds: Int64, count: Int64 = 1) {
        histograms[stage.index].record(nanoseconds, count: count)
    }

    /// The counts of a stage; an empty histogram for one that wasn't named.
    public subscript(stage: LatencyStage) -> Histogram {
        histograms[stage.index].hasRoom ? histograms[stage.index] : Histogram()
    }

    /// Adds the counts of `other`, and with them its stages.
    public mutating func merge(_ other: StageLatencies) {
        for stage in other.stages { merge(other.histograms[stage.index], into: stage) }
    }

    /// Adds the counts of one histogram, such as one that was read from a journal, to a stage.
    public mutating func merge(_ histogram: Histogram, into stage: LatencyStage) {
        if histograms[stage.index].hasRoom {
            histograms[stage.index].merge(histogram)
        } else {
            histograms[stage.index] = histogram
        }
    }

    /// Forgets everything and keeps the memory and the stages.
    public mutating func reset() {
        for stage in stages { histograms[stage.index].reset() }
    }
}
