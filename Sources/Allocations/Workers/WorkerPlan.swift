// What one pool of workers is told: plain data, which the runner, the verbs and worker hosts fill in.

public import Kafka
public import Measurement
public import Model
public import Postgres

/// Everything a worker is told before it starts.
public struct WorkerPlan: Sendable {
    public var connection: ConnectionInfo
    public var kafka: KafkaClientSettings
    public var topic: String
    /// Of a member of a group all of the topic, else those that it works on.
    public var partitions: [Int32]
    /// The consumer group that deals the partitions out; nil where they are dealt out by hand.
    public var group: KafkaGroup?
    /// Whether the members of a run are all that its group has, and start once it has dealt its partitions out evenly.
    public var startsTogether = false
    /// Where the members of a run wait until the group has dealt all partitions out evenly; nil lets each start by itself.
    public var groupStart: GroupStart?
    /// Is told a line whenever a member's partitions come or go; nil tells nobody.
    public var groupNews: (@Sendable (String) -> Void)?
    /// Which of the run's workers this is, from 0.
    public var memberIndex = 0
    /// How many workers of this process share what is fetched ahead.
    public var consumers = 1
    /// Per partition the offset behind the last message of the run; nil to go on until stopped.
    public var endOffsets: [Int32: Int64]?
    /// Whether the topic may have been written in transactions of Kafka, whose ends take offsets: only then may one be missing.
    public var mayHaveTransactions = false
    /// Tells the same later, where the stream is still being made when the workers start; nil where `endOffsets` says it.
    public var streamEnd: StreamEnd?
    public var configuration: Configuration
    public var book: BlockBook
    public var schedule = ArrivalSchedule.backlog
    /// The execution whose intended arrival is the start.
    public var firstExecution = ExecutionID(1)
    public var retry = RetryPolicy(maxAttempts: 50)
    /// How a lost connection is sought again.
    public var reconnect = ReconnectPolicy()
    /// What a worker repeats on a CockroachDB, and whether the server is to make it repeat.
    public var cockroach = CockroachSettings()
    /// Seeds the jitter of back-off.
    public var seed: UInt64 = 0
    /// Hears what all workers have done so far; nil tells nobody.
    public var progress: WorkerProgress?
    /// Whether messages come into the topic while the workers run, so that the time from a message's publication to its poll
    /// says something. Of a topic that was recorded before it would only tell when that was.
    public var measuresPublishing = false
    /// Which messages count, shared by all workers of the run; nil counts everything.
    public var window: MeasuredWindow?
    /// Where faults are asked for and their ends are told; nil where none is planned.
    public var fault: WorkerFault?

    public init(
        connection: ConnectionInfo, kafka: KafkaClientSettings, topic: String, partitions: [Int32],
        configuration: Configuration, book: BlockBook
    ) {
        self.connection = connection
        self.kafka = kafka
        self.topic = topic
        self.partitions = partitions
        self.configuration = configuration
        self.book = book
    }

    /// Of a worker's consumer.
    var consumerSettings: KafkaClientSettings {
        Self.consumerSettings(kafka, isRecorded: endOffsets != nil, consumers: consumers)
    }

    /// Messages that all consumers of a pool together fetch ahead, and the most that their values may take.
    ///
    /// The number is what they can work off in a second: a broker's thread that has found the queue full doesn't look again for
    /// so long (librdkafka before 2.2; later ones by the default of `fetch.queue.backoff.ms`), so that a shorter queue runs dry.
    /// With 20,000 for each, eight partitions came to one consumer at 135,000 messages a second; with these, at over a million.
    /// 400,000 messages of the feed take some 170 MB.
    public static let messagesFetchedAhead = 400_000
    public static let kilobytesFetchedAhead = 262_144

    /// Of a consumer like a worker's.
    /// - Parameters:
    ///   - isRecorded: whether the topic is complete. What has fetched the end of it goes on asking until its worker has polled
    ///     as far and pauses it; with a wait that is short enough for a stream, eight workers took a third of the harness's
    ///     processor time for answers that there is nothing more.
    ///   - consumers: how many share what is fetched ahead. librdkafka documents its limits as those of a partition, but a
    ///     consumer's partitions share one queue, and its length is what counts.
    public static func consumerSettings(
        _ kafka: KafkaClientSettings, isRecorded: Bool, consumers: Int = 1
    ) -> KafkaClientSettings {
        let (messages, kilobytes) = (messagesFetchedAhead / consumers, kilobytesFetchedAhead / consumers)
        return kafka.withDefault("queued.min.messages", "\(max(20_000, messages))")
            .withDefault("queued.max.messages.kbytes", "\(max(16_384, kilobytes))")
            .withDefault("fetch.wait.max.ms", isRecorded ? "100" : "10")
    }
}
