// Goal: a member of a consumer group hears of its partitions, starts them where it says, and leaves the group in order.
// Method: members take turns polling on the test's thread. Against a real Kafka: the mock broker lets a second member wait for
// its whole session timeout, and knows no fence of members.

import Kafka
import TestSupport
import Testing

/// A member and what it was told so far.
private final class Member {
    let consumer: KafkaConsumer
    private let topic: String
    private(set) var partitions: Set<Int32> = []
    private(set) var events: [GroupEvent] = []
    private(set) var texts: [Int32: [String]] = [:]
    /// Where it starts in each partition.
    var offset: Int64 = 0

    init(_ broker: TemporaryBroker, _ topic: String, _ group: KafkaGroup) throws {
        self.topic = topic
        consumer = try KafkaConsumer(settings: broker.settings, group: group)
        try consumer.subscribe(to: topic)
    }

    /// Polls once, and answers what the group says.
    func poll() throws {
        if let message = try consumer.poll(timeoutMs: 20) {
            texts[message.partition, default: []].append(
                message.withValue { String(decoding: $0, as: UTF8.self) })
        }
        guard let event = consumer.groupEvent else { return }
        events.append(event)
        let positions = event.partitions.map { TopicPartitionOffset(topic: topic, partition: $0, offset: offset) }
        if case .assigned = event {
            try consumer.accept(positions)
            partitions.formUnion(event.partitions)
        } else {
            try consumer.release(positions)
            partitions.subtract(event.partitions)
        }
        #expect(consumer.groupEvent == nil, "an answered event is gone")
    }
}

/// Polls all of them in turn until the condition holds.
private func pollAll(_ members: Member..., until condition: () -> Bool) throws -> Bool {
    try eventually(seconds: 30, everyMs: 1) {
        for member in members { try member.poll() }
        return condition()
    }
}

@Suite(.enabled(if: BrokerKind.kafkaHome != nil, "KAFKA_HOME names no Kafka")) struct GroupTests {
    @Test(arguments: KafkaAssignor.allCases)
    func `members share the partitions, start where they say, and leave theirs to the others`(
        assignor: KafkaAssignor
    ) throws {
        try withTopic(partitions: 4, on: .kafka) { broker, topic in
            let producer = try KafkaProducer(settings: broker.settings)
            for partition in Int32(0)..<4 {
                try producer.produceAll((0..<3).map { "v\($0)" }, to: topic, partition: partition)
            }
            let group = KafkaGroup(name: "g-\(topic)", assignor: assignor)
            let first = try Member(broker, topic, group)
            first.offset = 1
            let isAlone = try pollAll(first) { first.texts.values.reduce(0) { $0 + $1.count } == 8 }
            #expect(isAlone, "\(first.events)")
            #expect(first.events == [.assigned([0, 1, 2, 3])])
            #expect(first.texts.values.allSatisfy { $0 == ["v1", "v2"] }, "\(first.texts)")

            let second = try Member(broker, topic, group)
            second.offset = 2
            let isShared = try pollAll(first, second) {
                first.partitions.count == 2 && second.texts.values.reduce(0) { $0 + $1.count } == 2
            }
            #expect(isShared, "\(first.events) \(second.events)")
            #expect(first.partitions.isDisjoint(with: second.partitions))
            #expect(first.events.contains { if case .revoked = $0 { true } else { false } })
            #expect(!(first.events + second.events).contains { if case .lost = $0 { true } else { false } })
            #expect(second.texts.values.allSatisfy { $0 == ["v2"] })

            // One partition from another offset, with the others as they are.
            let partition = try #require(second.partitions.first)
            let positions = second.partitions.map {
                TopicPartitionOffset(topic: topic, partition: $0, offset: $0 == partition ? 0 : 3)
            }
            try second.consumer.assign(positions)
            let isBack = try pollAll(first, second) { second.texts[partition]?.count == 4 }
            #expect(isBack)
            #expect(second.texts[partition] == ["v2", "v0", "v1", "v2"])

            // Whoever closes is not waited for.
            #expect(first.consumer.close())
            let isTaken = try pollAll(second) { second.partitions.count == 4 }
            #expect(isTaken, "\(second.events)")
            #expect(second.consumer.close())
        }
    }

    @Test func `a member that leaves with an answer outstanding, or before it was ever given anything, goes in order`()
        throws
    {
        try withTopic(partitions: 2, on: .kafka) { broker, topic in
            let group = KafkaGroup(name: "g-\(topic)")
            let consumer = try KafkaConsumer(settings: broker.settings, group: group)
            try consumer.subscribe(to: topic)
            let isTold = try eventually(everyMs: 1) {
                _ = try consumer.poll(timeoutMs: 20)
                return consumer.groupEvent != nil
            }
            #expect(isTold)
            #expect(consumer.close())
            let hasty = try KafkaConsumer(settings: broker.settings, group: group)
            try hasty.subscribe(to: topic)
            #expect(hasty.close())
            let last = try Member(broker, topic, group)
            let isAlone = try pollAll(last) { last.partitions == [0, 1] }
            #expect(isAlone, "\(last.events)")
            #expect(last.consumer.sessionTimeoutMs == 45_000)
            #expect(last.consumer.close())
        }
    }
}
