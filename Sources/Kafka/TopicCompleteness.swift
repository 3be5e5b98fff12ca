// The check that a topic still has every message ever written to it. Blocks its thread.

internal import Diagnostics

extension KafkaAdmin {
    /// Throws when a partition has lost its oldest messages, as the mock broker does past its limits and a Kafka past
    /// its retention: a figure measured on what is left would be wrong.
    /// - Throws: `OperatingError` that says what was lost, and `KafkaError` when the broker can't be asked.
    public func requireComplete(topic: String) throws {
        let lost = try watermarks(of: topic).enumerated().filter { $0.element.low > 0 }
        guard !lost.isEmpty else { return }
        let parts = lost.map { partition, marks in
            "partition \(partition) lost its oldest \(marks.low) of \(marks.high) messages"
        }
        throw OperatingError(
            "topic \"\(topic)\" is incomplete: " + parts.joined(separator: ", "),
            remedy: "the embedded mock broker keeps 5 MiB and 100,000 message sets per partition: use more partitions,"
                + " fewer executions, or a real Kafka (--kafka-home DIR or KAFKA_HOME)")
    }
}
