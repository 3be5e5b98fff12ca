// The group side of the consumer: which partitions are its own comes from the group instead of by hand. The offsets to start
// from stay the caller's, and nothing is committed to Kafka. On the consumer's thread.

internal import CRDKafka

/// How a group deals its partitions out, in Kafka's own words (`partition.assignment.strategy`). All members must agree.
public enum KafkaAssignor: String, Sendable, Hashable, CaseIterable {
    /// Who keeps a partition goes on with it while the others move.
    case cooperativeSticky = "cooperative-sticky"
    /// Everyone gives up everything at each rebalance, and is dealt a range anew.
    case range
}

/// A group as its member names it.
public struct KafkaGroup: Sendable, Hashable {
    public var name: String
    public var assignor: KafkaAssignor

    public init(name: String, assignor: KafkaAssignor = .cooperativeSticky) {
        self.name = name
        self.assignor = assignor
    }

    var isCooperative: Bool { assignor == .cooperativeSticky }
}

/// What the group tells a member; each waits for its answer, `accept` or `release`.
public enum GroupEvent: Sendable, Equatable {
    /// These partitions are the member's from now on: in a cooperative group beside those that it has, else alone.
    case assigned([Int32])
    /// These are to be given up; until the answer nobody else has them.
    case revoked([Int32])
    /// These have been given up on the member's behalf, because it wasn't heard of: others may have them by now.
    case lost([Int32])

    public var partitions: [Int32] {
        switch self {
        case .assigned(let partitions), .revoked(let partitions), .lost(let partitions): partitions
        }
    }
}

extension KafkaConsumer {
    /// Joins the group that the consumer was made for. What comes of it is a `groupEvent` of a later poll.
    public func subscribe(to topic: String) throws(KafkaError) {
        topicOfGroup = topic
        try open().context.isIndestructible = group?.isCooperative == true
        let list = PartitionListHandle([TopicPartitionOffset(topic: topic, partition: -1, offset: 0)])
        let code = unsafe rd_kafka_subscribe(try open().pointer, list.pointer)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, "subscribing to topic \"\(topic)\"") }
    }

    /// What the group said and wasn't answered yet. A poll that brings one returns without waiting any longer.
    public var groupEvent: GroupEvent? { client?.context.groupEvents.first }

    /// Answers `assigned`: from now on `poll` hands these partitions over, from these offsets.
    public func accept(_ positions: [TopicPartitionOffset]) throws(KafkaError) {
        try changeAssignment(positions, isAddition: true)
        // librdkafka keeps what the application has paused when the partition was its own before.
        if !positions.isEmpty { try resume(positions) }
        answered()
    }

    /// Answers `revoked` and `lost`: `poll` hands these partitions over no more.
    public func release(_ partitions: [TopicPartitionOffset]) throws(KafkaError) {
        try changeAssignment(partitions, isAddition: false)
        answered()
    }

    /// How long the group waits for a word of a member before it takes its partitions (`session.timeout.ms`).
    public var sessionTimeoutMs: Int64 {
        guard let client else { return 0 }
        var value = [CChar](repeating: 0, count: 32)
        var size = value.count
        let configuration = unsafe rd_kafka_conf(client.pointer)
        guard unsafe rd_kafka_conf_get(configuration, "session.timeout.ms", &value, &size) == RD_KAFKA_CONF_OK else {
            return 45_000
        }
        return Int64(text(of: value)) ?? 45_000
    }

    /// Goes without a word, as a member does that dies: the group notices when its session has timed out.
    public func abandon() { forgetClient() }

    /// "For the cooperative assignors … the application must use rd_kafka_incremental_assign() … and
    /// rd_kafka_incremental_unassign()", even with an empty list; for the others "rd_kafka_assign() to set or clear the entire
    /// assignment" (rdkafka.h). The protocol is known from the assignor: rd_kafka_rebalance_protocol can hang while the
    /// consumer closes.
    private func changeAssignment(_ partitions: [TopicPartitionOffset], isAddition: Bool) throws(KafkaError) {
        let list = PartitionListHandle(partitions)
        if let error = unsafe change(try open(), list.pointer, isAddition: isAddition) { throw error }
    }

    private func change(
        _ client: RDKafkaClient, _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?, isAddition: Bool
    ) -> KafkaError? {
        let context = isAddition ? "taking partitions of a group" : "giving partitions of a group up"
        guard group?.isCooperative == true else {
            let code = unsafe rd_kafka_assign(client.pointer, isAddition ? list : nil)
            return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(code, context)
        }
        let error =
            isAddition
            ? unsafe rd_kafka_incremental_assign(client.pointer, list)
            : unsafe rd_kafka_incremental_unassign(client.pointer, list)
        return unsafe error.map { unsafe KafkaError(consuming: $0, context) }
    }

    /// Fetches partitions of the group from other offsets. Both calls "may also be used outside the context of a rebalance
    /// callback", and what was fetched before is dropped; rd_kafka_seek_partitions of 2.0.2 takes its timeout for a
    /// thousandth of what it says.
    func reposition(_ positions: [TopicPartitionOffset]) throws(KafkaError) {
        if group?.isCooperative == true { try changeAssignment(positions, isAddition: false) }
        try changeAssignment(positions, isAddition: true)
    }

    private func answered() {
        guard let context = client?.context, !context.groupEvents.isEmpty else { return }
        context.groupEvents.removeFirst()
    }

    // MARK: Leaving

    /// An event that is still to be answered would keep the group from being left.
    func answerBeforeClosing(_ client: RDKafkaClient) {
        for event in client.context.groupEvents {
            let list = PartitionListHandle(
                event.partitions.map { TopicPartitionOffset(topic: topicOfGroup, partition: $0, offset: 0) })
            if case .assigned = event {
                note(unsafe change(client, list.pointer, isAddition: true), client)
            } else {
                note(unsafe change(client, list.pointer, isAddition: false), client)
            }
        }
        client.context.groupEvents.removeAll()
    }

    /// An event of the queue that rd_kafka_consumer_close_queue forwards to: "the application must poll/serve this queue until
    /// rd_kafka_consumer_closed() returns true". By then librdkafka takes any answer for giving everything up.
    func answer(_ event: borrowing EventHandle, _ client: RDKafkaClient) {
        guard event.kind == RD_KAFKA_EVENT_REBALANCE else { return }
        // The list goes with the event.
        let list = unsafe rd_kafka_event_topic_partition_list(event.pointer)
        let isAddition = event.error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
        if isAddition { client.context.isIndestructible = false }
        note(unsafe change(client, list, isAddition: isAddition), client)
    }

    /// Whoever leaves can do nothing about an error but tell it.
    private func note(_ error: KafkaError?, _ client: RDKafkaClient) {
        if let error { client.context.log.append(error.description) }
    }
}

/// Notes what the group says, for its consumer to answer.
///
/// Called by rd_kafka_consumer_poll, so on the consumer's thread, and never while the consumer closes: those events go to a
/// queue. `opaque` is the context that the client retains from before rd_kafka_new until after rd_kafka_destroy, and the
/// list is librdkafka's: "must not be freed or saved", so its numbers are copied.
///
/// The manual makes the callback "responsible for updating librdkafka's assignment set". Here that happens right behind the
/// poll, which rd_kafka_yield makes return: the offsets to start from are in the database, what is under way has to be
/// finished there, and an error of the database can't be thrown through C. librdkafka waits for the call as long as it
/// takes; only the next poll must come within max.poll.interval.ms.
func receiveRebalance(
    _ client: OpaquePointer?, _ code: rd_kafka_resp_err_t,
    _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?, _ opaque: UnsafeMutableRawPointer?
) {
    guard let client = unsafe client, let opaque = unsafe opaque else { return }
    let context = unsafe Unmanaged<ClientContext>.fromOpaque(opaque).takeUnretainedValue()
    switch code {
    case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
        context.isIndestructible = false
        unsafe context.groupEvents.append(.assigned(numbers(in: list)))
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
        let isLost = unsafe rd_kafka_assignment_lost(client) != 0
        unsafe context.groupEvents.append(isLost ? .lost(numbers(in: list)) : .revoked(numbers(in: list)))
    default:
        // "Arbitrary rebalancing failures": everything is given up, "to synchronize state".
        unsafe context.log.append("rebalance: \(String(cString: rd_kafka_err2str(code)))")
        var all: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
        unsafe _ = rd_kafka_assignment(client, &all)
        unsafe context.groupEvents.append(.lost(numbers(in: all)))
        if let all = unsafe all { unsafe rd_kafka_topic_partition_list_destroy(all) }
    }
    unsafe rd_kafka_yield(client)
}

private func numbers(in list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?) -> [Int32] {
    guard let list = unsafe list else { return [] }
    return unsafe (0..<Int(list.pointee.cnt)).compactMap { unsafe list.pointee.elems?[$0].partition }
}
