// Goal: a topic as a CockroachDB changefeed may leave it ends in the same tables as ours: every envelope beside every other,
// marks, deletions and tombstones in between, duplicates in any order, and messages of a block in any partition.

import Allocations
import Measurement
import Model
import Scenario
import Testing
import Trades

extension TopicMessage {
    /// The same row in another envelope; `shape` is any number.
    fileprivate func enveloped(_ shape: Int64) -> TopicMessage {
        guard let value, let start = value.firstIndex(of: "{").map(value.index(after:)),
            let open = value[start...].firstIndex(of: "{"), let close = value[open...].firstIndex(of: "}")
        else { return self }
        let row = value[open...close]
        let columns = row.dropFirst().dropLast()
        let time = #""1731594600000000000.0000000001""#
        let source = #"{"origin": "cockroachdb", "primary_keys": ["execution_id"], "ts_hlc": \#(time), "ts_ns": 1}"#
        var copy = self
        copy.value =
            switch shape % 7 {
            case 0: value
            case 1: #"{"after": \#(row), "before": null, "key": [1], "mvcc_timestamp": \#(time), "updated": \#(time)}"#
            case 2: #"{"after": \#(row), "op": "c", "source": \#(source), "ts_ns": 1743792394409866000}"#
            case 3:
                #"{"payload": {"after": \#(row), "op": "c", "ts_ns": 5}, "schema": {"fields": [{"field": "after"}]}}"#
            case 4: #"{"__crdb__": {"updated": \#(time)}, \#(columns)}"#
            case 5: String(row)
            default: #"{"after":\#(row.filter { $0 != " " }),"updated":\#(time)}"#
            }
        return copy
    }
}

/// What carries no row, in every envelope.
private let bystanders: [String?] = [
    #"{"resolved": "1731594600000000000.0000000000"}"#,
    #"{"__crdb__": {"resolved": "1731594600000000000.0000000000"}}"#,
    #"{"after": null}"#, #"{"after": null, "op": "d", "ts_ns": 1}"#, #"{"__crdb__": {"updated": "1.0"}}"#, "null", nil,
]

/// The executions as a changefeed may publish them: shuffled over the partitions, some of them several times.
private func stream(
    of executions: [Execution], partitions: Int, random: inout SeededRandom
) -> (messages: [TopicMessage], duplicates: Int) {
    var messages: [TopicMessage] = []
    var duplicates = 0
    func anyPartition() -> Int32 { Int32(random.integer(in: 0...Int64(partitions - 1))) }
    for execution in executions {
        let copies = random.integer(in: 0...3) == 0 ? random.integer(in: 2...3) : 1
        duplicates += Int(copies) - 1
        for _ in 0..<copies {
            var message = TopicMessage(execution, partitions: partitions).enveloped(random.integer(in: 0...1000))
            message.partition = anyPartition()
            messages.append(message)
        }
        if random.integer(in: 0...4) == 0 {
            let value = bystanders[Int(random.integer(in: 0...Int64(bystanders.count - 1)))]
            messages.append(TopicMessage(partition: anyPartition(), key: "", value: value))
        }
    }
    for index in messages.indices.dropLast() {
        messages.swapAt(index, Int(random.integer(in: Int64(index)...Int64(messages.count - 1))))
    }
    // At the end of a partition as well: offsets must reach behind them.
    for partition in 0..<Int32(partitions) {
        messages.append(
            TopicMessage(partition: partition, key: "", value: bystanders[Int(partition) % bystanders.count]))
    }
    return (messages, duplicates)
}

/// Several workers of every mode but row, which by its rules has a block's messages in one worker.
private let configurations = [Configuration(mode: .row, workers: 1)] + modes.filter { $0.mode != .row }

@Suite struct ChangefeedTopicTests {
    @Test(arguments: configurations)
    func `whatever a changefeed makes of the topic, the tables end as the executions say`(
        _ configuration: Configuration
    ) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("a changefeed's topic with seed \(seed)")
        var random = SeededRandom(seed: seed)
        try withBench(
            rates: EventRates(bustPpm: 60_000, replacePpm: 500_000, cancelPpm: 300_000), isPublished: false
        ) { bench in
            let (messages, duplicates) = stream(of: bench.executions, partitions: bench.partitions, random: &random)
            try bench.publish(messages)
            let figures = try bench.drain(configuration).figures
            #expect(figures.capturedCount == bench.executions.count, "seed \(seed)")
            #expect(figures.duplicateCount == duplicates, "seed \(seed)")
            #expect(figures.parkedCount == 0, "seed \(seed)")
            let findings = try bench.verify().findings
            #expect(findings.isEmpty, "seed \(seed): \(findings)")
            for (partition, end) in try bench.broker.ends(bench.topic) {
                let offset = try bench.connection.number(
                    "SELECT next_offset FROM allocations.consumer_offsets WHERE topic_partition = \(partition)")
                #expect(offset == end, "seed \(seed), partition \(partition)")
            }
        }
    }

    @Test func `a worker that comes after finds nothing left to do`() throws {
        try withBench(isPublished: false) { bench in
            var random = SeededRandom(seed: 5)
            try bench.publish(stream(of: bench.executions, partitions: bench.partitions, random: &random).messages)
            try bench.drain(Configuration(mode: .concurrent, workers: 3))
            let tables = try bench.tables()
            // The job was resumed at its last checkpoint: everything comes again, elsewhere and in another envelope.
            try bench.publish(stream(of: bench.executions, partitions: bench.partitions, random: &random).messages)
            let again = try bench.drain(Configuration(mode: .adaptive, workers: 2, batchSize: 32)).figures
            #expect(again.capturedCount == 0 && again.duplicateCount >= Int64(bench.executions.count))
            let after = try bench.tables()
            for (before, now) in zip(tables, after) where before != now {
                // The offsets alone have moved.
                #expect(now.count == bench.partitions)
            }
            #expect(try bench.verify().findings.isEmpty)
        }
    }
}
