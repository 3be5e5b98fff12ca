// Owners of librdkafka's small objects: partition lists, queues and events. Each frees its pointer once.

internal import CRDKafka

@safe
struct PartitionListHandle: ~Copyable {
    let pointer: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
    private let ledger = HandleLedger.current

    init(_ entries: [TopicPartitionOffset]) {
        unsafe pointer = rd_kafka_topic_partition_list_new(Int32(entries.count))
        ledger?.adopted(.partitionList)
        for entry in entries {
            let added = unsafe rd_kafka_topic_partition_list_add(pointer, entry.topic, entry.partition)
            unsafe added?.pointee.offset = entry.offset
        }
    }

    deinit {
        unsafe rd_kafka_topic_partition_list_destroy(pointer)
        ledger?.freed(.partitionList)
    }
}

@safe
struct QueueHandle: ~Copyable {
    let pointer: OpaquePointer?
    /// rd_kafka_destroy waits for what lies in a queue, so the client must outlive it.
    private let client: RDKafkaClient
    private let ledger = HandleLedger.current

    init(of client: RDKafkaClient) {
        self.client = client
        unsafe pointer = rd_kafka_queue_new(client.pointer)
        ledger?.adopted(.queue)
    }

    deinit {
        if let pointer = unsafe pointer { unsafe rd_kafka_queue_destroy(pointer) }
        ledger?.freed(.queue)
    }

    /// The next event, or nil after `timeoutMs`. Blocks its thread.
    func poll(timeoutMs: Int32) -> EventHandle? {
        guard let event = unsafe rd_kafka_queue_poll(pointer, timeoutMs) else { return nil }
        return unsafe EventHandle(adopting: event)
    }
}

@safe
struct EventHandle: ~Copyable {
    let pointer: OpaquePointer
    private let ledger = HandleLedger.current

    init(adopting pointer: OpaquePointer) {
        unsafe self.pointer = pointer
        ledger?.adopted(.event)
    }

    deinit {
        unsafe rd_kafka_event_destroy(pointer)
        ledger?.freed(.event)
    }

    var kind: rd_kafka_event_type_t { unsafe rd_kafka_event_type(pointer) }
    var error: rd_kafka_resp_err_t { unsafe rd_kafka_event_error(pointer) }
    var errorText: String { unsafe String(cString: rd_kafka_event_error_string(pointer)) }
}
