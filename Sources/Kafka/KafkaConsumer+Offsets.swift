// Offsets that the broker keeps, for consumers whose effect may safely happen twice: nobody joins a group for it, the
// group's id (`group.id`) is only the name under which they stand. On the consumer's thread.

internal import CRDKafka

extension KafkaConsumer {
    /// Notes how far partitions are done: each offset is that of the next message. `waits` blocks until the broker has it;
    /// else a failure stays unknown, and a later commit makes up for it.
    public func commit(_ positions: [TopicPartitionOffset], waits: Bool) throws(KafkaError) {
        if positions.isEmpty { return }
        let list = PartitionListHandle(positions)
        let code = unsafe rd_kafka_commit(try open().pointer, list.pointer, waits ? 0 : 1)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, "committing offsets") }
    }

    /// The offsets that were committed under this group's name, by partition; those without one are left out. Blocks its
    /// thread.
    public func committed(
        topic: String, partitions: [Int32], timeoutMs: Int32 = 10_000
    ) throws(KafkaError) -> [Int32: Int64] {
        let list = PartitionListHandle(
            partitions.map { TopicPartitionOffset(topic: topic, partition: $0, offset: TopicPartitionOffset.beginning) }
        )
        let code = unsafe rd_kafka_committed(try open().pointer, list.pointer, timeoutMs)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(code, "reading the committed offsets of topic \"\(topic)\"")
        }
        var offsets: [Int32: Int64] = [:]
        for index in 0..<Int(unsafe list.pointer.pointee.cnt) {
            guard let element = unsafe list.pointer.pointee.elems?[index] else { continue }
            guard unsafe element.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw KafkaError(unsafe element.err, "reading the committed offset of a partition of \"\(topic)\"")
            }
            // Without a commit the offset is one of librdkafka's negative marks.
            if unsafe element.offset >= 0 { offsets[unsafe element.partition] = unsafe element.offset }
        }
        return offsets
    }
}
