// One message as the consumer handed it over; frees itself. Stays on the consumer's thread.

internal import CRDKafka

/// Key and value are read where librdkafka keeps them, without a copy, while the message lives.
@safe
public struct KafkaMessage: ~Copyable {
    private let pointer: UnsafeMutablePointer<rd_kafka_message_t>
    /// Keeps the C client alive: rd_kafka_destroy must come after the last message was freed.
    private let client: RDKafkaClient

    init(adopting pointer: UnsafeMutablePointer<rd_kafka_message_t>, client: RDKafkaClient) {
        unsafe self.pointer = pointer
        self.client = client
        client.ledger?.adopted(.message)
    }

    deinit {
        unsafe rd_kafka_message_destroy(pointer)
        client.ledger?.freed(.message)
    }

    public var partition: Int32 { unsafe pointer.pointee.partition }
    public var offset: Int64 { unsafe pointer.pointee.offset }

    public var topic: String {
        unsafe pointer.pointee.rkt.map { unsafe String(cString: rd_kafka_topic_name($0)) } ?? ""
    }

    /// Milliseconds since 1970 as the producer or the broker set it; nil if the message carries none.
    public var timestampMs: Int64? {
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let timestamp = unsafe rd_kafka_message_timestamp(pointer, &kind)
        return kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? nil : timestamp
    }

    /// True when the message has no value at all: a deletion in a compacted topic.
    public var isTombstone: Bool { unsafe pointer.pointee.payload == nil }

    /// The key's bytes; valid inside `body` only. Empty when there is no key.
    public borrowing func withKey<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try unsafe body(UnsafeRawBufferPointer(start: pointer.pointee.key, count: pointer.pointee.key_len))
    }

    /// The value's bytes; valid inside `body` only. Empty when there is no value.
    public borrowing func withValue<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try unsafe body(UnsafeRawBufferPointer(start: pointer.pointee.payload, count: pointer.pointee.len))
    }

    var code: rd_kafka_resp_err_t { unsafe pointer.pointee.err }
    /// What an error event says; only meaningful when `code` isn't "no error".
    var errorText: String { unsafe String(cString: rd_kafka_message_errstr(pointer)) }
}
