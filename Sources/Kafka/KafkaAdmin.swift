// Topics, their partitions and their watermarks. Every call blocks its thread, up to its timeout.

internal import CRDKafka
import Glibc

/// Not for the mock broker of librdkafka 2.0.2 where topics are made or deleted: it has no such requests.
public final class KafkaAdmin {
    private let client: RDKafkaClient

    /// - Throws: when a property is unknown or has an impossible value. No broker is asked yet.
    public init(settings: KafkaClientSettings) throws(KafkaError) {
        client = try RDKafkaClient.make(RD_KAFKA_PRODUCER, settings)
    }

    var settings: KafkaClientSettings { client.settings }

    /// librdkafka's version, such as `2.0.2`.
    public static var libraryVersion: String { unsafe String(cString: rd_kafka_version_str()) }

    /// Whether this librdkafka can log in with SCRAM to every Kafka. Before 2.6.1 it answers a broker's challenge with its own nonce
    /// twice (its pull request 4895); Kafka 4 takes that for a wrong password, Kafka 3.9 let it pass.
    public static var speaksEveryBrokersSCRAM: Bool { rd_kafka_version() >= 0x0206_01ff }

    /// Throws, naming the address, when no broker answers in time.
    public func requireReachable(timeoutMs: Int32 = 10_000) throws(KafkaError) {
        try client.requireReachable(timeoutMs: timeoutMs)
    }

    /// Makes a topic and waits until its metadata names all partitions.
    /// - Throws: `topicAlreadyExists`, or what the broker says against the name, the counts or the settings.
    public func createTopic(
        _ name: String, partitions: Int, settings: TopicSettings = TopicSettings(), timeoutMs: Int32 = 30_000
    ) throws(KafkaError) {
        let context = "creating topic \"\(name)\""
        // "-1: use the broker's default" (RD_KAFKA_ADMIN_… of rdkafka.h: "default replication factor").
        let topic = try NewTopicHandle(name, partitions: partitions, replication: settings.replication ?? -1)
        for (property, value) in settings.config.sorted(by: { $0.key < $1.key }) { try topic.set(property, value) }
        let queue = QueueHandle(of: client)
        let options = AdminOptionsHandle(client, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeoutMs: timeoutMs)
        var pointers: [OpaquePointer?] = unsafe [topic.pointer]
        unsafe rd_kafka_CreateTopics(client.pointer, &pointers, 1, options.pointer, queue.pointer)
        let event = try answer(on: queue, RD_KAFKA_EVENT_CREATETOPICS_RESULT, context, timeoutMs: timeoutMs)
        var count = 0
        let results = unsafe rd_kafka_CreateTopics_result_topics(
            rd_kafka_event_CreateTopics_result(event.pointer), &count)
        try unsafe check(results, count, context)
        try waitForPartitions(of: name, count: partitions, timeoutMs: timeoutMs)
    }

    public func deleteTopic(_ name: String, timeoutMs: Int32 = 30_000) throws(KafkaError) {
        let context = "deleting topic \"\(name)\""
        let topic = try DeleteTopicHandle(name)
        let queue = QueueHandle(of: client)
        let options = AdminOptionsHandle(client, RD_KAFKA_ADMIN_OP_DELETETOPICS, timeoutMs: timeoutMs)
        var pointers: [OpaquePointer?] = unsafe [topic.pointer]
        unsafe rd_kafka_DeleteTopics(client.pointer, &pointers, 1, options.pointer, queue.pointer)
        let event = try answer(on: queue, RD_KAFKA_EVENT_DELETETOPICS_RESULT, context, timeoutMs: timeoutMs)
        var count = 0
        let results = unsafe rd_kafka_DeleteTopics_result_topics(
            rd_kafka_event_DeleteTopics_result(event.pointer), &count)
        try unsafe check(results, count, context)
    }

    /// How many partitions the topic has; nil if there is no such topic.
    public func partitionCount(of topic: String, timeoutMs: Int32 = 10_000) throws(KafkaError) -> Int? {
        // Asking for one topic by name would make the mock broker create it; the list of all topics doesn't.
        let metadata = try MetadataHandle(of: client, timeoutMs: timeoutMs)
        return metadata.partitionCount(of: topic)
    }

    /// Partitions, copies and settings of a topic; nil if there is none of that name. For a Kafka: the mock tells no settings.
    public func describeTopic(_ name: String, timeoutMs: Int32 = 10_000) throws(KafkaError) -> TopicDescription? {
        let metadata = try MetadataHandle(of: client, timeoutMs: timeoutMs)
        guard let partitions = metadata.partitionCount(of: name) else { return nil }
        let context = "reading the settings of topic \"\(name)\""
        let resource = try TopicResourceHandle(name)
        let queue = QueueHandle(of: client)
        let options = AdminOptionsHandle(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeoutMs: timeoutMs)
        var pointers: [OpaquePointer?] = unsafe [resource.pointer]
        unsafe rd_kafka_DescribeConfigs(client.pointer, &pointers, 1, options.pointer, queue.pointer)
        let event = try answer(on: queue, RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT, context, timeoutMs: timeoutMs)
        var count = 0
        let results = unsafe rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event.pointer), &count)
        var config: [String: String] = [:]
        for index in 0..<count {
            guard let result = unsafe results?[index] else { continue }
            let code = unsafe rd_kafka_ConfigResource_error(result)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                let detail = unsafe rd_kafka_ConfigResource_error_string(result).map { unsafe String(cString: $0) }
                throw KafkaError(code, context, detail: detail)
            }
            var entryCount = 0
            let entries = unsafe rd_kafka_ConfigResource_configs(result, &entryCount)
            for entryIndex in 0..<entryCount {
                guard let entry = unsafe entries?[entryIndex], let key = unsafe rd_kafka_ConfigEntry_name(entry),
                    let value = unsafe rd_kafka_ConfigEntry_value(entry)
                else { continue }
                unsafe config[String(cString: key)] = unsafe String(cString: value)
            }
        }
        return TopicDescription(
            partitions: partitions, replication: metadata.replication(of: name), config: config)
    }

    /// The names of all topics that begin with `prefix`.
    public func topics(beginningWith prefix: String, timeoutMs: Int32 = 10_000) throws(KafkaError) -> [String] {
        try MetadataHandle(of: client, timeoutMs: timeoutMs).topicNames.filter { $0.hasPrefix(prefix) }
    }

    /// How many brokers are there, and of how many partitions not every copy is up to date.
    public func health(timeoutMs: Int32 = 10_000) throws(KafkaError) -> (brokers: Int, partitionsBehind: Int) {
        let metadata = try MetadataHandle(of: client, timeoutMs: timeoutMs)
        return (metadata.brokerCount, metadata.partitionsBehind)
    }

    /// The numbers of the brokers that lead the partitions of a topic, in partition order; -1 where none does.
    public func leaders(of topic: String, timeoutMs: Int32 = 10_000) throws(KafkaError) -> [Int32] {
        try MetadataHandle(of: client, timeoutMs: timeoutMs).leaders(of: topic)
    }

    /// Oldest offset and end offset of every partition, in partition order.
    public func watermarks(
        of topic: String, timeoutMs: Int32 = 10_000
    ) throws(KafkaError) -> [(low: Int64, high: Int64)] {
        guard let count = try partitionCount(of: topic, timeoutMs: timeoutMs) else {
            throw KafkaError(code: .unknownTopicOrPartition, message: "there is no topic \"\(topic)\"")
        }
        var marks: [(low: Int64, high: Int64)] = []
        for partition in 0..<Int32(count) {
            marks.append(try client.settledWatermarks(topic: topic, partition: partition, timeoutMs: timeoutMs))
        }
        return marks
    }

    // MARK: Answers of the admin API

    private func answer(
        on queue: borrowing QueueHandle, _ kind: Int32, _ context: String, timeoutMs: Int32
    ) throws(KafkaError) -> EventHandle {
        // The request itself times out in librdkafka; the second more is for its answer to arrive.
        guard let event = queue.poll(timeoutMs: timeoutMs + 1_000) else {
            throw KafkaError(code: .timedOut, message: "\(context): no answer in \(timeoutMs) ms")
        }
        guard event.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(event.error, context, detail: event.errorText)
        }
        precondition(event.kind == kind, "librdkafka answered \(event.kind) where \(kind) was due")
        return event
    }

    private func check(
        _ results: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int, _ context: String
    ) throws(KafkaError) {
        for index in 0..<count {
            guard let result = unsafe results?[index] else { continue }
            let code = unsafe rd_kafka_topic_result_error(result)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
            let detail = unsafe rd_kafka_topic_result_error_string(result).map { unsafe String(cString: $0) }
            throw KafkaError(code, context, detail: detail)
        }
    }

    private func waitForPartitions(of topic: String, count: Int, timeoutMs: Int32) throws(KafkaError) {
        let deadline = monotonicNowMs() + Int64(timeoutMs)
        while try MetadataHandle(of: client, timeoutMs: timeoutMs).partitionsWithLeader(of: topic) != count {
            if monotonicNowMs() >= deadline {
                throw KafkaError(
                    code: .timedOut,
                    message: "topic \"\(topic)\" was made, but not all its partitions had a leader in \(timeoutMs) ms")
            }
            usleep(20_000)
        }
    }
}

// MARK: Handles

@safe
private struct NewTopicHandle: ~Copyable {
    let pointer: OpaquePointer
    private let ledger = HandleLedger.current

    init(_ name: String, partitions: Int, replication: Int) throws(KafkaError) {
        var reason = [CChar](repeating: 0, count: 512)
        guard
            let pointer = unsafe rd_kafka_NewTopic_new(
                name, Int32(partitions), Int32(replication), &reason, reason.count)
        else {
            throw KafkaError(code: .invalidArgument, message: "topic \"\(name)\": \(text(of: reason))")
        }
        unsafe self.pointer = pointer
        ledger?.adopted(.newTopic)
    }

    deinit {
        unsafe rd_kafka_NewTopic_destroy(pointer)
        ledger?.freed(.newTopic)
    }

    /// Whether the brokers know the setting is theirs to say.
    func set(_ property: String, _ value: String) throws(KafkaError) {
        let code = unsafe rd_kafka_NewTopic_set_config(pointer, property, value)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(code, "the topic's setting \"\(property)\"")
        }
    }
}

@safe
private struct DeleteTopicHandle: ~Copyable {
    let pointer: OpaquePointer
    private let ledger = HandleLedger.current

    init(_ name: String) throws(KafkaError) {
        guard let pointer = unsafe rd_kafka_DeleteTopic_new(name) else {
            throw KafkaError(code: .invalidArgument, message: "topic \"\(name)\"")
        }
        unsafe self.pointer = pointer
        ledger?.adopted(.deleteTopic)
    }

    deinit {
        unsafe rd_kafka_DeleteTopic_destroy(pointer)
        ledger?.freed(.deleteTopic)
    }
}

/// A topic as something that has settings.
@safe
private struct TopicResourceHandle: ~Copyable {
    let pointer: OpaquePointer
    private let ledger = HandleLedger.current

    init(_ name: String) throws(KafkaError) {
        guard let pointer = unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name) else {
            throw KafkaError(code: .invalidArgument, message: "topic \"\(name)\"")
        }
        unsafe self.pointer = pointer
        ledger?.adopted(.configResource)
    }

    deinit {
        unsafe rd_kafka_ConfigResource_destroy(pointer)
        ledger?.freed(.configResource)
    }
}

@safe
private struct AdminOptionsHandle: ~Copyable {
    let pointer: OpaquePointer?
    private let ledger = HandleLedger.current

    init(_ client: RDKafkaClient, _ operation: rd_kafka_admin_op_t, timeoutMs: Int32) {
        unsafe pointer = rd_kafka_AdminOptions_new(client.pointer, operation)
        ledger?.adopted(.adminOptions)
        var reason = [CChar](repeating: 0, count: 512)
        unsafe _ = rd_kafka_AdminOptions_set_request_timeout(pointer, timeoutMs, &reason, reason.count)
        unsafe _ = rd_kafka_AdminOptions_set_operation_timeout(pointer, timeoutMs, &reason, reason.count)
    }

    deinit {
        unsafe rd_kafka_AdminOptions_destroy(pointer)
        ledger?.freed(.adminOptions)
    }
}

/// The cluster's topics at one moment.
@safe
private struct MetadataHandle: ~Copyable {
    private let pointer: UnsafePointer<rd_kafka_metadata>
    private let ledger = HandleLedger.current

    init(of client: RDKafkaClient, timeoutMs: Int32) throws(KafkaError) {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(client.pointer, 1, nil, &metadata, timeoutMs)
        guard let metadata = unsafe metadata else {
            throw KafkaError(code, "the topics of \(client.settings.bootstrapServers)")
        }
        unsafe pointer = metadata
        ledger?.adopted(.metadata)
    }

    deinit {
        unsafe rd_kafka_metadata_destroy(pointer)
        ledger?.freed(.metadata)
    }

    func partitionCount(of topic: String) -> Int? { unsafe find(topic).map { unsafe Int($0.partition_cnt) } }

    func partitionsWithLeader(of topic: String) -> Int {
        guard let found = unsafe find(topic) else { return 0 }
        return unsafe (0..<Int(found.partition_cnt)).count { unsafe found.partitions[$0].leader >= 0 }
    }

    var topicNames: [String] {
        unsafe (0..<Int(pointer.pointee.topic_cnt)).compactMap {
            unsafe pointer.pointee.topics[$0].topic.map { unsafe String(cString: $0) }
        }
    }

    var brokerCount: Int { unsafe Int(pointer.pointee.broker_cnt) }

    var partitionsBehind: Int {
        var count = 0
        for index in unsafe 0..<Int(pointer.pointee.topic_cnt) {
            let topic = unsafe pointer.pointee.topics[index]
            count += unsafe (0..<Int(topic.partition_cnt)).count {
                unsafe topic.partitions[$0].isr_cnt < topic.partitions[$0].replica_cnt
            }
        }
        return count
    }

    func replication(of topic: String) -> Int {
        guard let found = unsafe find(topic) else { return 0 }
        return unsafe (0..<Int(found.partition_cnt)).map { unsafe Int(found.partitions[$0].replica_cnt) }.min() ?? 0
    }

    func leaders(of topic: String) -> [Int32] {
        guard let found = unsafe find(topic) else { return [] }
        // A broker lists partitions in an order of its own.
        var leaders = [Int32](repeating: -1, count: unsafe Int(found.partition_cnt))
        for index in leaders.indices {
            let (number, leader) = unsafe (Int(found.partitions[index].id), found.partitions[index].leader)
            if leaders.indices.contains(number) { leaders[number] = leader }
        }
        return leaders
    }

    private func find(_ topic: String) -> rd_kafka_metadata_topic? {
        for index in unsafe 0..<Int(pointer.pointee.topic_cnt) {
            let candidate = unsafe pointer.pointee.topics[index]
            guard let name = unsafe candidate.topic, unsafe String(cString: name) == topic else { continue }
            return unsafe candidate.err == RD_KAFKA_RESP_ERR_NO_ERROR ? candidate : nil
        }
        return nil
    }
}
