// What one worker measured. Each worker has its own, written by its thread alone; the runner merges them afterwards.

public import Measurement
public import Postgres

/// Everything here is of the measured window alone, unless its comment says otherwise.
public struct WorkerFigures: Sendable {
    /// The stages that an allocation worker records.
    public static let stages: [LatencyStage] = [
        .timeToVisible, .publishedToPolled, .polledToBegun, .begunToCommitted, .committedToAllocated,
        .transactionLatency, .firstTryLatency, .scheduleLag,
    ]

    public var latencies = StageLatencies(stages: WorkerFigures.stages)
    /// By second of the run, messages where they were committed. Of the whole run.
    public var series = TimeSeries()
    /// By second of the run, all partitions together. Of the whole run.
    public var lag = LagSeries()
    /// Committed transactions; in mode row every statement is one.
    public var transactionCount: Int64 = 0
    /// Messages whose effect is committed, duplicates included.
    public var messageCount: Int64 = 0
    /// Executions captured for the first time. Of a transaction on the edge of the window, as many as it has messages inside.
    public var capturedCount: Int64 = 0
    /// Executions captured for the first time by what was committed during the measured part. In an open run with a window
    /// these aren't `capturedCount`, which goes by the messages' intended arrivals.
    public var committedCapturedCount: Int64 = 0
    public var snapshotCount: Int64 = 0
    public var parkedCount: Int64 = 0
    /// Attempts that failed inside the window and were repeated, by SQLSTATE; lost connections that left no doubt are among
    /// them. Units that went behind a failed one in the pipeline and had to go again add their messages, not their time.
    public var retries: [SQLState: RetryFigures] = [:]
    /// Commits whose outcome had to be looked up. Of the whole run.
    public var ambiguousCommits = AmbiguousCommits()
    /// Of the whole run.
    public var reconnectCount: Int64 = 0
    /// Messages that were in a transaction when their worker or its connection was lost, and weren't committed. Of the whole run.
    public var replayedMessageCount: Int64 = 0
    /// Messages whose commit was answered, that the database had no more when their worker found it again, as a promoted standby
    /// may, and that were processed again. They count twice in all other figures. Of the whole run.
    public var lostMessageCount: Int64 = 0
    /// Time that a handicap made this worker wait, which the harness has injected and no database is to blame for. It lies
    /// between transactions: it is in `polledToBegun` and `timeToVisible`, not in the latency of transactions. Of the whole run.
    public var handicapNanoseconds: Int64 = 0
    /// What became of this worker's partitions as a member of a group. Of the whole run.
    public var group = GroupFigures()
    /// By partition. Lag is of the whole run.
    public var partitions: [Int32: PartitionFigures] = [:]
    /// When the last commit was answered, on the monotonic clock. Of the whole run.
    public var lastCommitTime: Int64 = 0

    public init() {}

    public var timeToVisible: Histogram { latencies[.timeToVisible] }
    public var transactionLatency: Histogram { latencies[.transactionLatency] }

    /// Messages that were captured before.
    public var duplicateCount: Int64 { messageCount - capturedCount - parkedCount }
    /// Commits whose outcome had to be looked up.
    public var ambiguousCount: Int64 { ambiguousCommits.count }
    public var retryCount: Int64 { retries.retryCount }
    /// Messages in the attempts that failed.
    public var retriedMessageCount: Int64 { retries.values.reduce(0) { $0 + $1.messages } }

    public mutating func merge(_ other: WorkerFigures) {
        latencies.merge(other.latencies)
        series.merge(other.series)
        lag.merge(other.lag)
        transactionCount += other.transactionCount
        messageCount += other.messageCount
        capturedCount += other.capturedCount
        committedCapturedCount += other.committedCapturedCount
        snapshotCount += other.snapshotCount
        parkedCount += other.parkedCount
        retries.merge(other.retries)
        ambiguousCommits.merge(other.ambiguousCommits)
        reconnectCount += other.reconnectCount
        replayedMessageCount += other.replayedMessageCount
        lostMessageCount += other.lostMessageCount
        handicapNanoseconds += other.handicapNanoseconds
        group.merge(other.group)
        partitions.merge(other.partitions) { mine, theirs in
            var sum = mine
            sum.merge(theirs)
            return sum
        }
        lastCommitTime = max(lastCommitTime, other.lastCommitTime)
    }
}

/// One partition of the topic, in constant memory. Its lag is sampled once a second.
public struct PartitionFigures: Codable, Sendable, Equatable {
    public var messages: Int64 = 0
    /// Messages that were due and not committed, wherever they were: behind the committed offset; with a backlog, up to the
    /// topic's end. Those that reached the worker only later count from their intended arrival.
    public var lagMaxMessages: Int64 = 0
    public var lagLastMessages: Int64 = 0
    /// How long the oldest of these was due.
    public var lagMaxNs: Int64 = 0
    public var lagLastNs: Int64 = 0
    /// How often the lag was sampled.
    public var samples: Int64 = 0
    /// When it was sampled last, on the monotonic clock: a partition of a group has several workers one after another.
    var lastSampleTime: Int64 = .min

    public init() {}

    mutating func take(_ lag: PartitionLag) {
        (lagMaxMessages, lagMaxNs, samples) = (lag.maxMessages, lag.maxNs, lag.sampleCount)
        lastSampleTime = lag.lastTime
        if let last = lag.series.samples.last { (lagLastMessages, lagLastNs) = (last.messages, last.nanoseconds) }
    }

    /// Adds what another worker did with the same partition before or after; of those who had it as long, the later.
    public mutating func merge(_ other: PartitionFigures) {
        messages += other.messages
        lagMaxMessages = max(lagMaxMessages, other.lagMaxMessages)
        lagMaxNs = max(lagMaxNs, other.lagMaxNs)
        if other.samples > 0, other.lastSampleTime >= lastSampleTime {
            (lagLastMessages, lagLastNs) = (other.lagLastMessages, other.lagLastNs)
            lastSampleTime = other.lastSampleTime
        }
        samples += other.samples
    }
}

/// How far behind the workers were, once a second, in constant memory: a run that is longer than an hour keeps every second
/// sample from then on, and so forth.
public struct LagSeries: Sendable, Equatable {
    public struct Sample: Codable, Sendable, Equatable {
        /// Of all partitions together.
        public var messages: Int64
        /// How long the oldest of them was due.
        public var nanoseconds: Int64
    }

    private static let capacity = 3600

    /// The first sample is of this long after the start, and each of this long after the one before.
    public private(set) var intervalNs: Int64 = 1_000_000_000
    public private(set) var samples: [Sample] = []

    init() { samples.reserveCapacity(Self.capacity) }

    /// A series that was written down.
    /// - Returns: nil for an interval or a number of samples that no series has.
    public init?(intervalNs: Int64, samples: [Sample]) {
        self.init()
        while self.intervalNs < intervalNs { self.intervalNs *= 2 }
        guard self.intervalNs == intervalNs, samples.count < Self.capacity else { return nil }
        self.samples = samples
        self.samples.reserveCapacity(Self.capacity)
    }

    /// Adds the sample of the next interval.
    mutating func append(messages: Int64, nanoseconds: Int64) {
        samples.append(Sample(messages: messages, nanoseconds: nanoseconds))
        if samples.count == Self.capacity { thin() }
    }

    /// Adds a message that was due `dueNs` after the start to the samples of `fromNs` and later, which were taken without it.
    /// - Returns: the most of these samples; zeros without any.
    mutating func add(dueNs: Int64, fromNs: Int64) -> Sample {
        var most = Sample(messages: 0, nanoseconds: 0)
        // The sample with index i is of (i + 1) intervals after the start.
        var index = Int(max(0, (max(fromNs, dueNs) + intervalNs - 1) / intervalNs - 1))
        while index < samples.count {
            samples[index].messages += 1
            samples[index].nanoseconds = max(samples[index].nanoseconds, Int64(index + 1) * intervalNs - dueNs)
            most.messages = max(most.messages, samples[index].messages)
            most.nanoseconds = max(most.nanoseconds, samples[index].nanoseconds)
            index += 1
        }
        return most
    }

    /// Keeps every second sample.
    private mutating func thin() {
        for index in 0..<samples.count / 2 { samples[index] = samples[2 * index + 1] }
        samples.removeSubrange((samples.count / 2)...)
        intervalNs *= 2
    }

    /// The sample at the time that is this long after the start; nil if there is none.
    public func sample(atNs time: Int64) -> Sample? {
        let index = Int(time / intervalNs) - 1
        return time % intervalNs == 0 && samples.indices.contains(index) ? samples[index] : nil
    }

    /// Adds what other workers were behind at the same times.
    mutating func merge(_ other: LagSeries) {
        var other = other
        while other.intervalNs < intervalNs { other.thin() }
        while intervalNs < other.intervalNs { thin() }
        for (index, sample) in other.samples.enumerated() {
            guard index < samples.count else {
                samples.append(sample)
                continue
            }
            samples[index].messages += sample.messages
            samples[index].nanoseconds = max(samples[index].nanoseconds, sample.nanoseconds)
        }
    }
}
