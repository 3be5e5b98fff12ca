// Goal: whatever the mode and however the stream is cut, repeated or mixed, every account ends with the same shares at the
// same price, and the verifier finds nothing.

import Allocations
import Measurement
import Model
import Postgres
import Scenario
import TestSupport
import Testing
import Threads

@Suite struct WorkerModeTests {
    @Test(arguments: BrokerKind.best)
    func `all modes drain the same stream to the same allocations`(_ kind: BrokerKind) throws {
        try withBench(on: kind) { bench in
            var reference: [String]?
            let more = [
                Configuration(mode: .concurrent, workers: 1, transactionSize: 7, pipelineDepth: 4),
                Configuration(mode: .concurrent, workers: 3, transactionSize: 1, pipelineDepth: 16),
                Configuration(mode: .batch, workers: 8, batchSize: 1024, batchWindowMs: 1),
                Configuration(mode: .adaptive, workers: 1, batchSize: 1),
                Configuration(mode: .cycle, workers: 1, batchSize: 5, cycleIntervalMs: 1),
            ]
            for configuration in modes + more {
                try bench.prepare()
                let result = try bench.drain(configuration)
                let checks = try bench.verify()
                #expect(checks.isClean, "\(configuration.name): \(checks.differenceLines)")
                let final = try bench.finalAllocations()
                #expect(final == reference ?? final, "\(configuration.name)")
                reference = final
                let count = Int64(bench.executions.count)
                let figures = result.figures
                #expect(figures.messageCount == count && figures.capturedCount == count, "\(configuration.name)")
                #expect(figures.duplicateCount == 0 && figures.retryCount == 0 && figures.parkedCount == 0)
                #expect(figures.timeToVisible.count == count, "\(configuration.name)")
                #expect(result.elapsedNanoseconds > 0 && figures.transactionCount > 0)
                let snapshots = try bench.connection.number("SELECT count(*) FROM allocations.snapshots")
                #expect(figures.snapshotCount == snapshots, "\(configuration.name)")
                try expectSnapshotsAddUp(bench, "\(configuration.name)")
            }
            #expect(reference?.count == WorkerBench.accounts.reduce(0) { $0 + $1.count })
        }
    }

    /// Deltas are never negative, add up to what they claim, and the last sum is what the account ordered.
    private func expectSnapshotsAddUp(_ bench: WorkerBench, _ comment: Comment) throws {
        let wrong = try bench.connection.lines(
            """
            SELECT a.block_order_id, a.account_id FROM allocations.allocations AS a
            JOIN allocations.block_accounts AS b USING (block_order_id, account_id)
            GROUP BY a.block_order_id, a.account_id, b.intended_quantity
            HAVING sum(quantity_delta) <> b.intended_quantity OR max(quantity_cumulative) <> b.intended_quantity
                OR min(quantity_delta) < 0
            """)
        #expect(wrong == [], comment)
        let gaps = try bench.connection.lines(
            """
            SELECT block_order_id FROM allocations.snapshots GROUP BY block_order_id
            HAVING max(snapshot_number) <> count(*) OR min(snapshot_number) <> 1 OR count(*) > 4
            """)
        #expect(gaps == [], comment)
    }

    @Test(arguments: [1, 4, 16], [1, 7])
    func `pipeline depth and transaction size change nothing`(_ depth: Int, _ size: Int) throws {
        try withBench { bench in
            try bench.drain(Configuration(mode: .concurrent, workers: 2, transactionSize: size, pipelineDepth: depth))
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
            try expectSnapshotsAddUp(bench, "t\(size) d\(depth)")
        }
    }

    // MARK: Repetition and order

    @Test(arguments: modes) func `what the topic holds twice is captured once`(_ configuration: Configuration) throws {
        try withBench(isPublished: false) { bench in
            var random = SeededRandom(seed: 99)
            // Every message twice, the second one up to twenty messages later; then the whole stream once more.
            var twice = bench.messages.enumerated().flatMap { index, message in
                [(Int64(index) * 2, message), (Int64(index) * 2 + random.integer(in: 0...40), message)]
            }
            twice.sort { $0.0 < $1.0 }
            try bench.publish(twice.map(\.1) + bench.messages)
            let figures = try bench.drain(configuration).figures
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
            let count = Int64(bench.executions.count)
            #expect(figures.messageCount == 3 * count && figures.capturedCount == count)
            #expect(figures.duplicateCount == 2 * count)
        }
    }

    @Test(arguments: modes) func `the same offsets replayed from the start change nothing`(
        _ configuration: Configuration
    ) throws {
        try withBench { bench in
            try bench.drain(configuration)
            // The epochs alone are others each time.
            let forgetEpochs = "UPDATE allocations.consumer_offsets SET epoch = 0"
            try bench.connection.execute(forgetEpochs)
            let before = try bench.tables()
            try bench.connection.execute("UPDATE allocations.consumer_offsets SET next_offset = 0")
            let figures = try bench.drain(configuration).figures
            #expect(figures.capturedCount == 0 && figures.messageCount == Int64(bench.executions.count))
            try bench.connection.execute(forgetEpochs)
            #expect(try bench.tables() == before)
        }
    }

    @Test func `the order of blocks among each other makes no difference to the allocations`() throws {
        let expected = try withBench { bench in
            try bench.drain(modes[1])
            return try bench.finalAllocations()
        }
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for configuration in [modes[1], modes[3], modes[4]] {
            try withBench(isPublished: false) { bench in
                // Blocks keep their own order and are mixed anew.
                var rest = Dictionary(grouping: bench.messages, by: \.key).values.sorted { $0[0].key < $1[0].key }
                var mixed: [TopicMessage] = []
                while !rest.isEmpty {
                    let index = Int(random.integer(in: 0...Int64(rest.count - 1)))
                    mixed.append(rest[index].removeFirst())
                    rest.removeAll(where: \.isEmpty)
                }
                try bench.publish(mixed)
                try bench.drain(configuration)
                #expect(try bench.verify().isClean, "seed \(seed)")
                #expect(try bench.finalAllocations() == expected, "seed \(seed), \(configuration.name)")
            }
        }
    }

    @Test(arguments: modes) func `resolved marks and tombstones only move the offset`(_ configuration: Configuration)
        throws
    {
        try withBench(isPublished: false) { bench in
            var messages: [TopicMessage] = []
            for (index, message) in bench.messages.enumerated() {
                if index % 3 == 0 { messages.append(.resolved(partition: message.partition)) }
                messages.append(message)
                if index % 5 == 0 {
                    messages.append(TopicMessage(partition: message.partition, key: message.key, value: nil))
                }
                if index % 7 == 0 {
                    messages.append(
                        TopicMessage(partition: message.partition, key: message.key, value: #"{"after":null}"#))
                }
            }
            messages += [0, 1, 2].map { TopicMessage.resolved(partition: $0) }
            try bench.publish(messages)
            let figures = try bench.drain(configuration).figures
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
            #expect(figures.messageCount == Int64(bench.executions.count) && figures.parkedCount == 0)
        }
    }

    @Test(arguments: modes) func `a topic of nothing but marks is drained`(_ configuration: Configuration) throws {
        try withEmptyBench { bench in
            try bench.publish((0..<30).map { TopicMessage.resolved(partition: Int32($0 % 3)) })
            let result = try bench.drain(configuration)
            #expect(result.figures.messageCount == 0)
            #expect(
                try bench.connection.lines("SELECT next_offset FROM allocations.consumer_offsets") == [
                    "10", "10", "10",
                ])
        }
    }

    // MARK: Stopping and going on

    @Test(arguments: modes) func `a worker that was stopped in the middle goes on`(_ configuration: Configuration)
        throws
    {
        try withBench { bench in
            let stop = StopFlag()
            let stopper = WorkerThread(name: "stopper") {
                sleepUntil(monotonic: monotonicNow() + 300_000_000)
                stop.set()
            }
            let result = try bench.drain(configuration, stop: stop) { $0.schedule = .uniform(ratePerSecond: 200) }
            try stopper.join()
            let captured = try bench.connection.number("SELECT count(*) FROM allocations.captured_trades")
            #expect(captured < Int64(bench.executions.count), "it was stopped in the middle")
            #expect(result.figures.capturedCount == captured)
            #expect(try !bench.verify().isClean, "what isn't finished isn't verified")
            try bench.drain(configuration)
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }

    @Test func `every mode goes on where every other one ended`() throws {
        try withBench(isPublished: false) { bench in
            let half = bench.messages.count / 2
            for first in modes {
                for second in modes where second.mode != first.mode {
                    // Fresh offsets for each pair: the topic grows, so each pair has its own part of it.
                    let start = try bench.broker.ends(bench.topic)
                    try bench.prepare()
                    for (partition, offset) in start {
                        try bench.connection.query(
                            "UPDATE allocations.consumer_offsets SET next_offset = $1 WHERE topic_partition = $2",
                            .int64(offset), .int64(Int64(partition)))
                    }
                    try bench.publish(Array(bench.messages.prefix(half)))
                    try bench.drain(first)
                    try bench.publish(Array(bench.messages.dropFirst(half)))
                    try bench.drain(second)
                    let checks = try bench.verify()
                    #expect(checks.isClean, "\(first.name) then \(second.name): \(checks.differenceLines)")
                }
            }
        }
    }

    @Test func `what mode row left unfilled only mode row finishes`() throws {
        try withBench { bench in
            let first = bench.executions[0]
            try bench.connection.query(
                """
                INSERT INTO allocations.captured_trades
                  (execution_id, block_order_id, quantity, price, is_busted, topic_partition, topic_offset, filled)
                VALUES ($1, $2, $3, $4::NUMERIC, false, $5, 0, false)
                """,
                .int64(first.id.rawValue), .int64(first.blockOrder.rawValue), .int64(first.quantity),
                .text(first.price.description), .int64(first.blockOrder.rawValue % 3))
            for configuration in modes.dropFirst() {
                let text = errorText { try bench.drain(configuration) }
                #expect(
                    text
                        == "mode row left 1 captured trades unfilled and 0 snapshots half written; go on with mode row",
                    "\(text)")
            }
            try bench.drain(modes[0])
            #expect(try bench.verify().isClean)
        }
    }

    /// One execution fills the block of two accounts; the row worker was killed after the fill.
    private func withKilledRowWorker(_ body: (WorkerBench, PostgresValue) throws -> Void) throws {
        try withBench(blocks: [[30, 10]], partitions: 1) { bench in
            let price = PostgresValue.text(bench.executions[0].price.description)
            try bench.connection.query(
                "INSERT INTO allocations.captured_trades VALUES (1, 1, 40, $1::NUMERIC, false, false, 0, 0)", price)
            try bench.connection.query(
                "UPDATE allocations.block_fills SET cum_quantity = 40, notional = 40 * $1::NUMERIC, execution_count = 1",
                price)
            try body(bench, price)
        }
    }

    @Test func `a snapshot that mode row left half written only mode row writes`() throws {
        try withKilledRowWorker { bench, price in
            try bench.connection.query(
                "INSERT INTO allocations.allocations VALUES (1, 1, 1, 30, 30, $1::NUMERIC)", price)
            for configuration in modes.dropFirst() {
                let text = errorText { try bench.drain(configuration) }
                #expect(
                    text
                        == "mode row left 0 captured trades unfilled and 1 snapshots half written; go on with mode row",
                    "\(text)")
            }
            try bench.drain(modes[0])
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }

    @Test(arguments: modes) func `a snapshot that mode row left untaken every mode takes`(
        _ configuration: Configuration
    ) throws {
        try withKilledRowWorker { bench, _ in
            try bench.drain(configuration)
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }

    @Test func `what mode cycle left staged only mode cycle finishes`() throws {
        try withBench { bench in
            let stop = StopFlag()
            let slow = Configuration(mode: .cycle, workers: 2, cycleIntervalMs: 60_000)
            let info = bench.info
            let stopper = WorkerThread(name: "stopper") {
                let connection = try PostgresConnection.connect(to: info)
                let deadline = monotonicNow() + 10_000_000_000
                while try connection.number("SELECT count(*) FROM allocations.staged_trades") == 0,
                    monotonicNow() < deadline
                {
                    sleepUntil(monotonic: monotonicNow() + 10_000_000)
                }
                stop.set()
            }
            try bench.drain(slow, stop: stop)
            try stopper.join()
            let staged = try bench.connection.number("SELECT count(*) FROM allocations.staged_trades")
            #expect(staged > 0)
            #expect(try bench.verify().findings["staged_left_behind"] != nil)
            for configuration in modes.dropLast() {
                let text = errorText { try bench.drain(configuration) }
                #expect(text.hasPrefix("mode cycle left ") && text.hasSuffix("; go on with mode cycle"), "\(text)")
            }
            try bench.drain(modes[4])
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }
}
