// The consuming client: partitions are assigned by hand, or by a group (KafkaConsumer+Group.swift), each with an explicit
// start offset, because offsets live in the database beside their effect. One thread: everything here runs on its owner's.

internal import CRDKafka
import Glibc

/// Close it when done (`deinit` does, with the same deadline).
public final class KafkaConsumer {
    /// nil after `close`.
    private(set) var client: RDKafkaClient?
    /// The group whose member this is; nil where partitions are assigned by hand.
    let group: KafkaGroup?
    /// What a member has subscribed to.
    var topicOfGroup = ""
    /// An error that came behind good messages of a batch; the next poll throws it.
    private var pendingError: KafkaError?
    /// Partitions at whose end the client was, of one that asks to be told (`enable.partition.eof`).
    private(set) var partitionsAtEnd: Set<Int32> = []

    /// librdkafka decompresses each batch of messages into a block of its own, of up to some MB, and malloc soon gives such blocks
    /// back to the kernel, which clears their pages when the next one is asked for: that was most of what fetching cost the client.
    /// "Setting any of M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, or M_MMAP_MAX" (mallopt(3)) ends what glibc guesses of it.
    /// It is the whole process's setting; one that glibc refuses leaves things as they were.
    private static let keepsLargeBlocks: Bool =
        mallopt(M_MMAP_THRESHOLD, 32 << 20) == 1 && mallopt(M_TRIM_THRESHOLD, 64 << 20) == 1

    /// Makes the client; no broker is asked yet (`requireReachable` does).
    /// - Parameter group: whose member to become by `subscribe`; nil where partitions are assigned by hand.
    /// - Throws: when a property is unknown or has an impossible value.
    public init(settings: KafkaClientSettings, group: KafkaGroup? = nil) throws(KafkaError) {
        self.group = group
        _ = Self.keepsLargeBlocks
        var settings = settings
        if let group {
            settings = settings.with("group.id", group.name)
                .with("partition.assignment.strategy", group.assignor.rawValue)
        }
        let client = try RDKafkaClient.make(
            RD_KAFKA_CONSUMER, settings,
            defaults: [
                // librdkafka wants a group id even for manual assignment; nothing joins that group. Only routing workers
                // commit to one, under a name of their own.
                ("group.id", "allocbench"), ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"),
                // The default, "largest", would silently skip everything when an offset is gone.
                ("auto.offset.reset", "error"), ("enable.partition.eof", "false"),
                ("isolation.level", "read_committed"), ("allow.auto.create.topics", "false"),
                // A Kafka answers a waiting fetch as soon as there is data; the mock broker always waits this long.
                ("fetch.wait.max.ms", "10"),
                // Per consumer; the default of 64 MiB times many workers would be the harness's memory.
                ("queued.max.messages.kbytes", "16384"),
            ], rebalances: group != nil)
        // "will not be redirected automatically" (rdkafka.h): errors and statistics then come through consumer_poll.
        unsafe _ = rd_kafka_poll_set_consumer(client.pointer)
        self.client = client
    }

    deinit { close() }

    /// Throws, naming the address, when no broker answers in time. Blocks its thread.
    public func requireReachable(timeoutMs: Int32 = 10_000) throws(KafkaError) {
        try open().requireReachable(timeoutMs: timeoutMs)
    }

    /// Replaces the assignment: from now on `poll` hands over these partitions from these offsets.
    /// Of a member of a group these must be partitions that it has accepted: they go on from other offsets.
    public func assign(_ partitions: [TopicPartitionOffset]) throws(KafkaError) {
        if group != nil { return try reposition(partitions) }
        let list = PartitionListHandle(partitions)
        let code = unsafe rd_kafka_assign(try open().pointer, list.pointer)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let names = partitions.map { "\($0.topic)[\($0.partition)]" }.joined(separator: ", ")
            throw KafkaError(code, "assigning \(names)")
        }
    }

    /// Stops fetching until `resume`: for partitions whose end was reached, so that the client doesn't go on asking.
    /// ("Pause consumption for the provided list of partitions. Success or error is returned per-partition."; a partition
    /// that can't be paused goes on, which costs nothing but the asking.)
    public func pause(_ partitions: [TopicPartitionOffset]) throws(KafkaError) {
        let list = PartitionListHandle(partitions)
        _ = unsafe rd_kafka_pause_partitions(try open().pointer, list.pointer)
    }

    /// Fetches again. An `assign` alone doesn't: librdkafka keeps what the application has paused.
    public func resume(_ partitions: [TopicPartitionOffset]) throws(KafkaError) {
        let list = PartitionListHandle(partitions)
        _ = unsafe rd_kafka_resume_partitions(try open().pointer, list.pointer)
    }

    /// The next message, or nil when none came within `timeoutMs`. Blocks its thread.
    /// - Throws: whatever stops a partition: a start offset that the broker doesn't have, an unknown topic, a refused
    ///   authorization, a fatal client error, all brokers unreachable for too long.
    public func poll(timeoutMs: Int32) throws(KafkaError) -> KafkaMessage? {
        if let error = pendingError {
            pendingError = nil
            throw error
        }
        return try next(try open(), timeoutMs: timeoutMs)
    }

    /// Hands over up to `max` messages one after another: waits up to `timeoutMs` for the first, never for the others.
    /// Blocks its thread.
    /// - Returns: how many messages `handler` got.
    /// - Throws: as `poll`; an error behind good messages is thrown by the next call, so that these are not lost.
    public func pollBatch(
        max: Int, timeoutMs: Int32, into handler: (borrowing KafkaMessage) throws(KafkaError) -> Void
    ) throws(KafkaError) -> Int {
        guard let first = try poll(timeoutMs: timeoutMs) else { return 0 }
        try handler(first)
        let client = try open()
        var count = 1
        while count < max {
            // rd_kafka_consume_batch_queue would save calls, but in 2.0.2 it mis-stores offsets after a seek.
            let message: KafkaMessage?
            do throws(KafkaError) {
                message = try next(client, timeoutMs: 0)
            } catch {
                pendingError = error
                break
            }
            guard let message else { break }
            try handler(message)
            count += 1
        }
        return count
    }

    /// The offset of the oldest message the broker has, and the one behind the newest. Blocks its thread.
    public func watermarks(
        topic: String, partition: Int32, timeoutMs: Int32 = 10_000
    ) throws(KafkaError) -> (low: Int64, high: Int64) {
        try open().settledWatermarks(topic: topic, partition: partition, timeoutMs: timeoutMs)
    }

    /// The last lines that librdkafka logged for this client.
    public var lastLogLines: [String] { client?.context.log.last ?? [] }

    /// Leaves the brokers and frees the client. Blocks its thread for up to `timeoutMs`.
    ///
    /// librdkafka 2.0.2 can hang in rd_kafka_consumer_close, so the close runs in librdkafka's background thread and is
    /// given up after the deadline.
    /// - Returns: false if the deadline passed.
    @discardableResult
    public func close(timeoutMs: Int32 = 10_000) -> Bool {
        guard let client else { return true }
        forgetClient()
        if group != nil { answerBeforeClosing(client) }
        let deadline = monotonicNowMs() + Int64(timeoutMs)
        let queue = QueueHandle(of: client)
        if let error = unsafe rd_kafka_consumer_close_queue(client.pointer, queue.pointer) {
            let failure = unsafe KafkaError(consuming: error, "closing a consumer")
            client.context.log.append(failure.description)
            return false
        }
        while unsafe rd_kafka_consumer_closed(client.pointer) == 0 {
            if monotonicNowMs() >= deadline { return false }
            if let event = queue.poll(timeoutMs: 10) { answer(event, client) }
        }
        return true
    }

    func forgetClient() {
        client = nil
        pendingError = nil
    }

    func open() throws(KafkaError) -> RDKafkaClient {
        guard let client else { throw KafkaError(code: .state, message: "the consumer is closed") }
        return client
    }

    private func next(_ client: RDKafkaClient, timeoutMs: Int32) throws(KafkaError) -> KafkaMessage? {
        guard let raw = unsafe rd_kafka_consumer_poll(client.pointer, timeoutMs) else {
            try client.checkHealth()
            return nil
        }
        let message = unsafe KafkaMessage(adopting: raw, client: client)
        if message.code == RD_KAFKA_RESP_ERR_NO_ERROR { return message }
        // The group has taken the partitions of a member that came back too late; what is lost comes as its event.
        if group != nil, message.code == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED { return nil }
        if message.code == RD_KAFKA_RESP_ERR__PARTITION_EOF {
            partitionsAtEnd.insert(message.partition)
            return nil
        }
        throw KafkaError(
            message.code, "topic \"\(message.topic)\" partition \(message.partition)", detail: message.errorText)
    }
}

extension RDKafkaClient {
    /// Waits for a leader, up to `timeoutMs`: of a topic that was made a moment ago, or whose leader has just died, the brokers
    /// may not know yet who leads.
    func settledWatermarks(
        topic: String, partition: Int32, timeoutMs: Int32
    ) throws(KafkaError) -> (low: Int64, high: Int64) {
        let passing: Set<KafkaError.Code> = [.notLeaderForPartition, .leaderNotAvailable, .transport, .timedOut]
        let deadline = monotonicNowMs() + Int64(timeoutMs)
        while true {
            do throws(KafkaError) {
                return try watermarks(topic: topic, partition: partition, timeoutMs: timeoutMs)
            } catch {
                guard passing.contains(error.code), monotonicNowMs() < deadline else { throw error }
                usleep(10_000)
            }
        }
    }

    func watermarks(
        topic: String, partition: Int32, timeoutMs: Int32
    ) throws(KafkaError) -> (low: Int64, high: Int64) {
        var low: Int64 = 0
        var high: Int64 = 0
        let code = unsafe rd_kafka_query_watermark_offsets(pointer, topic, partition, &low, &high, timeoutMs)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(code, "watermarks of topic \"\(topic)\" partition \(partition)")
        }
        return (low, high)
    }
}
