// The producing client. One thread: it enqueues, and polls for delivery reports, on its owner's thread.
// It keeps no message: librdkafka copies key and value into its own queue.

internal import CRDKafka

/// A topic that a producer has resolved once, so that no name is looked up per message.
@safe
public final class KafkaTopic {
    public let name: String
    let pointer: OpaquePointer
    private let client: RDKafkaClient

    init(_ name: String, client: RDKafkaClient) throws(KafkaError) {
        guard let pointer = unsafe rd_kafka_topic_new(client.pointer, name, nil) else {
            throw KafkaError(rd_kafka_last_error(), "topic \"\(name)\"")
        }
        self.name = name
        unsafe self.pointer = pointer
        self.client = client
        client.ledger?.adopted(.topic)
    }

    deinit {
        unsafe rd_kafka_topic_destroy(pointer)
        client.ledger?.freed(.topic)
    }
}

/// An idempotent producer with `acks=all` and lz4. Delivery reports are never waited for one by one.
public final class KafkaProducer {
    /// Where a delivered message lies.
    public typealias Delivery = Result<(partition: Int32, offset: Int64), KafkaError>

    private let client: RDKafkaClient
    var handle: OpaquePointer { unsafe client.pointer }
    /// Reports being handed over; swapped with the context's list, so that neither is allocated anew.
    private var handingOver: [DeliveryReport] = []
    private var isHandingOver = false

    /// Makes the client; no broker is asked yet (`requireReachable` does).
    /// - Throws: when a property is unknown or has an impossible value.
    public init(settings: KafkaClientSettings) throws(KafkaError) {
        client = try RDKafkaClient.make(
            RD_KAFKA_PRODUCER, settings,
            defaults: [
                ("enable.idempotence", "true"), ("acks", "all"), ("compression.codec", "lz4"),
                // Java's default, so that every producer of a key agrees on its partition.
                ("partitioner", "murmur2_random"),
                // The default of 1 GiB would let a slow broker eat the harness's memory.
                ("queue.buffering.max.kbytes", "65536"),
            ], deliveryReports: true)
    }

    /// Throws, naming the address, when no broker answers in time. Blocks its thread.
    public func requireReachable(timeoutMs: Int32 = 10_000) throws(KafkaError) {
        try client.requireReachable(timeoutMs: timeoutMs)
    }

    /// Resolves a topic's handle for `produce`; asks no broker.
    public func topic(_ name: String) throws(KafkaError) -> KafkaTopic {
        try KafkaTopic(name, client: client)
    }

    /// Enqueues a copy of one message. `tag` comes back with its delivery report.
    ///
    /// When the queue is full this blocks its thread: it serves delivery reports (they are kept for the next `poll`)
    /// until there is room; nothing is dropped. `partition` nil leaves the choice to the partitioner; one topic must
    /// use one of the two, or the idempotent producer's order is lost.
    /// - Throws: when the message is refused for good (too large, unknown partition, fatal client error).
    public func produce(
        topic: KafkaTopic, partition: Int32? = nil, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer,
        tag: UInt64
    ) throws(KafkaError) {
        // A nil payload would be a tombstone; an empty value isn't one.
        let payload = unsafe UnsafeMutableRawPointer(mutating: value.baseAddress ?? emptyPayload)
        while true {
            let status = unsafe rd_kafka_produce(
                topic.pointer, partition ?? RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, payload, value.count,
                key.baseAddress, key.count, UnsafeMutableRawPointer(bitPattern: UInt(tag)))
            if status == 0 { return }
            let code = rd_kafka_last_error()
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                if let fatal = client.context.fatalError { throw fatal }
                throw KafkaError(code, "a message of \(value.count) bytes to topic \"\(topic.name)\"")
            }
            unsafe _ = rd_kafka_poll(client.pointer, 100)
            try client.checkHealth()
        }
    }

    /// Waits up to `timeoutMs` for delivery reports and hands over all there are, in order of completion.
    /// `onDelivery` may produce, but not poll or flush. Blocks its thread.
    /// - Returns: how many reports were handed over.
    /// - Throws: a fatal error of the client, or that no broker was reachable for too long.
    @discardableResult
    public func poll(timeoutMs: Int32, onDelivery: (_ tag: UInt64, Delivery) -> Void) throws(KafkaError) -> Int {
        let waitMs = client.context.deliveries.isEmpty ? timeoutMs : 0
        unsafe _ = rd_kafka_poll(client.pointer, waitMs)
        let count = handOver(onDelivery)
        if count == 0 { try client.checkHealth() }
        return count
    }

    /// Sends everything now and hands over every report. Blocks its thread.
    /// - Throws: when `timeoutMs` passes with messages still unreported, and what `poll` throws.
    public func flush(timeoutMs: Int32, onDelivery: (_ tag: UInt64, Delivery) -> Void) throws(KafkaError) {
        let deadline = monotonicNowMs() + Int64(timeoutMs)
        while true {
            // rd_kafka_flush serves the callbacks itself; short slices keep the hand-over prompt.
            let slice = max(0, min(100, deadline - monotonicNowMs()))
            unsafe _ = rd_kafka_flush(client.pointer, Int32(slice))
            if handOver(onDelivery) == 0 { try client.checkHealth() }
            if outstandingCount == 0 { return }
            if monotonicNowMs() >= deadline {
                throw KafkaError(
                    code: .timedOut,
                    message: "\(outstandingCount) messages still undelivered to \(client.settings.bootstrapServers)"
                        + " after \(timeoutMs) ms")
            }
        }
    }

    /// Messages whose delivery report has not been handed over yet.
    public var outstandingCount: Int {
        unsafe Int(rd_kafka_outq_len(client.pointer)) + client.context.deliveries.count
    }

    /// The last lines that librdkafka logged for this client.
    public var lastLogLines: [String] { client.context.log.last }

    private func handOver(_ onDelivery: (UInt64, Delivery) -> Void) -> Int {
        precondition(!isHandingOver, "poll or flush was called inside onDelivery")
        isHandingOver = true
        defer { isHandingOver = false }
        swap(&handingOver, &client.context.deliveries)
        for report in handingOver {
            if report.error == RD_KAFKA_RESP_ERR_NO_ERROR {
                onDelivery(report.tag, .success((report.partition, report.offset)))
            } else {
                onDelivery(report.tag, .failure(KafkaError(report.error, "a message was not delivered")))
            }
        }
        let count = handingOver.count
        handingOver.removeAll(keepingCapacity: true)
        return count
    }
}

/// One byte whose address stands for "empty, but not null". Never freed: it lives as long as the process.
private nonisolated(unsafe) let emptyPayload: UnsafeRawPointer = UnsafeRawPointer(
    UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1))
