// A consumer that decodes every envelope beside one that throws them away.

import Allocations
import Foundation
import Kafka
import Measurement
import Model
import Scenario
import Threads

/// Both read all partitions of one topic to its end, from their start as programs or clients on to their end, and fetch as much
/// ahead.
final class ConsumePair: PeerPair {
    let name = "consume"
    let path = "consume and decode"
    private(set) var peer = "kcat -C > /dev/null"
    let unit = "messages/s"
    let target: Double? = 0.8
    let warmUps = 2

    private let messages: Int
    private let topic = PeerStream.topic
    private let partitions = 8
    private var ends: [Int32: Int64] = [:]

    init(_ size: PeerSize) { messages = size.pick(tiny: 2_000, full: 1_500_000) }

    func obstacle(_ surroundings: PeerSurroundings) -> String? {
        if surroundings.size == .full, surroundings.kafkaHome == nil { return "no real Kafka (KAFKA_HOME)" }
        return surroundings.missing("kcat")
    }

    func prepare(_ bench: PeerBench) throws {
        // "Version 1.7.1 (JSON, …)", behind its copyright's years.
        let told = try PeerBench.child(["kcat", "-V"])
        let version = told.range(of: "Version ").map { told[$0.upperBound...].prefix { !$0.isWhitespace } } ?? ""
        peer = "kcat \(version) -C > /dev/null"
        var stream = try PeerStream.make(
            PeerStream.Shape(
                executions: messages, blocks: max(1, messages / 500), accountsPerBlock: 5, partitions: partitions),
            on: bench)
        try stream.publish(on: bench)
        ends = stream.ends
    }

    func runOurs(_ bench: PeerBench) throws -> PeerRun {
        guard let kafka = bench.target.kafka else { throw PeerFault.notPrepared }
        let start = monotonicNow()
        let consumer = try KafkaConsumer(settings: WorkerPlan.consumerSettings(kafka, isRecorded: true))
        let decoder = EnvelopeDecoder()
        var left = ends.values.count { $0 > 0 }
        var count: Int64 = 0
        try consumer.assign(
            ends.keys.sorted().map { TopicPartitionOffset(topic: topic, partition: $0, offset: 0) })
        while left > 0, !bench.stop.isSet {
            _ = try consumer.pollBatch(max: 4096, timeoutMs: 20) { message throws(KafkaError) in
                if case .execution = message.withValue({ decoder.decode($0) }) { count += 1 }
                if message.offset + 1 == ends[message.partition] { left -= 1 }
            }
        }
        consumer.close(timeoutMs: 5_000)
        let elapsed = monotonicNow() - start
        return PeerRun(figure: Double(count) * 1e9 / Double(elapsed), work: ["messages": "\(count)"])
    }

    func runPeer(_ bench: PeerBench) throws -> PeerRun {
        guard let servers = bench.target.kafka?.bootstrapServers else { throw PeerFault.notPrepared }
        let start = monotonicNow()
        // What it says of its partitions' ends comes as an error; its messages don't come here.
        let told = try PeerBench.child(
            [
                "sh", "-c", #"exec kcat -C -e -b "$1" -t "$2" -X "$3" -X "$4" >/dev/null"#, "sh", servers, topic,
                "queued.min.messages=\(WorkerPlan.messagesFetchedAhead)",
                "queued.max.messages.kbytes=\(WorkerPlan.kilobytesFetchedAhead)",
            ])
        let elapsed = monotonicNow() - start
        // "% Reached end of topic executions [3] at offset 187500: exiting"
        let count = told.split(separator: "\n").compactMap { line in
            line.range(of: " at offset ").flatMap { Int64(line[$0.upperBound...].prefix { $0.isNumber }) }
        }.reduce(0, +)
        return PeerRun(figure: Double(count) * 1e9 / Double(elapsed), work: ["messages": "\(count)"])
    }
}
