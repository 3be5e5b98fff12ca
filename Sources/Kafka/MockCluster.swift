// librdkafka's mock cluster: a Kafka-protocol broker in this process, listening on 127.0.0.1.
// It runs on librdkafka's own thread; every function here sends that thread a request, so any thread may call it.

internal import CRDKafka

/// Keeps at most 5 MiB and 100,000 message sets per partition and drops the oldest silently: see `requireComplete`.
@safe
public final class MockCluster: Sendable {
    /// Clients of this host reach the brokers here.
    public let bootstrapServers: String
    /// Sound on any thread: librdkafka guards the cluster with its own request queue. Freed in deinit only.
    private nonisolated(unsafe) let pointer: OpaquePointer
    /// The client that hosts the cluster; only kept alive. It has no thread of ours.
    private nonisolated(unsafe) let host: RDKafkaClient

    public init(brokers: Int = 1) throws(KafkaError) {
        let host = try RDKafkaClient.make(RD_KAFKA_PRODUCER, KafkaClientSettings(bootstrapServers: ""))
        guard let pointer = unsafe rd_kafka_mock_cluster_new(host.pointer, Int32(brokers)) else {
            let reason = host.context.log.last.last ?? "librdkafka gave no reason"
            throw KafkaError(code: .fail, message: "the mock cluster didn't start: \(reason)")
        }
        unsafe self.host = host
        unsafe self.pointer = pointer
        unsafe bootstrapServers = String(cString: rd_kafka_mock_cluster_bootstraps(pointer))
        host.ledger?.adopted(.mockCluster)
    }

    deinit {
        unsafe rd_kafka_mock_cluster_destroy(pointer)
        unsafe host.ledger?.freed(.mockCluster)
    }

    /// - Throws: `topicAlreadyExists` among others.
    public func createTopic(_ name: String, partitions: Int) throws(KafkaError) {
        let code = unsafe rd_kafka_mock_topic_create(pointer, name, Int32(partitions), 1)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, "creating topic \"\(name)\"") }
    }

    /// Delays every answer of one broker (from 1): the way to make real duplicates and slow brokers.
    public func setRoundTripTime(ofBroker broker: Int32 = 1, ms: Int32) {
        unsafe _ = rd_kafka_mock_broker_set_rtt(pointer, broker, ms)
    }

    /// Cuts a broker's connections and refuses new ones, until `setBrokerUp`.
    public func setBrokerDown(_ broker: Int32 = 1) { unsafe _ = rd_kafka_mock_broker_set_down(pointer, broker) }
    public func setBrokerUp(_ broker: Int32 = 1) { unsafe _ = rd_kafka_mock_broker_set_up(pointer, broker) }
}
