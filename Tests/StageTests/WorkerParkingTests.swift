// Goal: a message that can't be applied stops its block and nothing else, in every mode, and the verifier says so.

import Allocations
import Measurement
import Model
import Postgres
import Scenario
import Testing
import Threads

private func execution(_ id: Int64, _ block: Int64, _ quantity: Int64) -> Execution {
    Execution(id: ExecutionID(id), blockOrder: BlockOrderID(block), quantity: quantity, price: Price(ticks: 100_000))
}

/// Two blocks of 1,000 shares in one partition.
private func withTwoBlocks<R>(_ body: (inout WorkerBench) throws -> R) throws -> R {
    try withEmptyBench(blocks: [[700, 300], [1_000]], partitions: 1, body)
}

private let configurations =
    modes + [
        Configuration(mode: .concurrent, workers: 1, transactionSize: 3, pipelineDepth: 4),
        Configuration(mode: .concurrent, workers: 1, pipelineDepth: 8),
    ]

/// Why the second of two messages waits.
private let waits = "its block is parked"

extension WorkerBench {
    /// Executions in the trades stage and in the topic, with other messages at the places given.
    fileprivate func publish(_ executions: [Execution], with others: [Int: TopicMessage] = [:]) throws {
        var messages = executions.map { TopicMessage($0, partitions: 1) }
        for (place, message) in others.sorted(by: { $0.key < $1.key }) { messages.insert(message, at: place) }
        try connection.addExecutions(executions)
        try publish(messages)
    }

    fileprivate func expectEndOfTopic(_ comment: Comment? = nil) throws {
        #expect(
            try connection.number("SELECT next_offset FROM allocations.consumer_offsets") == broker.ends(topic)[0],
            comment)
    }
}

@Suite struct WorkerParkingTests {
    @Test(arguments: configurations)
    func `a malformed message parks its block and only it`(_ configuration: Configuration) throws {
        try withTwoBlocks { bench in
            let broken = TopicMessage(key: "[\"\(blockCode(1))\"]", value: #"{"after": {"execution_id": 1.5}}"#)
            try bench.publish(
                [
                    execution(1, 1, 250), execution(2, 2, 500), execution(3, 1, 100), execution(4, 2, 250),
                    execution(5, 1, 100), execution(6, 2, 250),
                ], with: [3: broken])
            let figures = try bench.drain(configuration).figures
            // Where the quarter of block 1 was taken depends on what came together.
            let fills = try bench.fills()
            #expect(["1 350 250", "1 350 350"].contains(fills[0]), "what came before is applied: \(fills)")
            #expect(fills[1] == "2 1000 1000", "other blocks go on")
            #expect(
                try bench.parked() == [
                    "\(blockCode(1)) 3 malformed message: after.execution_id", "\(blockCode(1)) 5 \(waits)",
                ])
            #expect(
                try bench.connection.lines(
                    "SELECT convert_from(message_value, 'UTF8') FROM allocations.parked_messages"
                )
                .first == broken.value, "the message is kept as it was")
            #expect(figures.parkedCount == 2)
            try bench.expectEndOfTopic()
            let findings = try bench.verify().findings
            #expect(
                findings == [
                    "parked_messages": 2, "executions_not_captured": 1, "fills_differ_from_executions": 1,
                    "blocks_differ_from_oracle": 1,
                ], "\(findings)")
        }
    }

    @Test(arguments: modes) func `a parked block stays parked for the workers that come after`(
        _ configuration: Configuration
    ) throws {
        try withTwoBlocks { bench in
            let broken = TopicMessage(key: "[\"\(blockCode(1))\"]", value: "{")
            try bench.publish([execution(1, 1, 250), execution(2, 2, 500)], with: [1: broken])
            try bench.drain(configuration)
            try bench.publish([execution(3, 1, 250), execution(4, 2, 500)])
            try bench.drain(configuration)
            #expect(try bench.fills() == ["1 250 250", "2 1000 1000"])
            #expect(try bench.parked().map { $0.dropFirst(18).first } == ["1", "3"])
            #expect(try bench.parked()[1].hasSuffix(waits))
        }
    }

    @Test(arguments: modes) func `a block that was never routed is parked`(_ configuration: Configuration) throws {
        try withTwoBlocks { bench in
            let stranger = TopicMessage(execution(9, 77, 100), partitions: 1)
            try bench.publish([execution(1, 1, 1_000), execution(2, 2, 1_000)], with: [0: stranger, 2: stranger])
            try bench.drain(configuration)
            #expect(try bench.fills() == ["1 1000 1000", "2 1000 1000"])
            #expect(
                try bench.parked() == [
                    "\(blockCode(77)) 0 unknown block order 77", "\(blockCode(77)) 2 unknown block order 77",
                ])
            #expect(
                try bench.connection.lines("SELECT * FROM allocations.parked_blocks") == [
                    "\(blockCode(77)) unknown block order 77"
                ])
            #expect(try bench.verify().findings == ["parked_messages": 2])
        }
    }

    @Test(arguments: modes) func `a malformed message without a key parks no block of ours`(
        _ configuration: Configuration
    ) throws {
        try withTwoBlocks { bench in
            try bench.publish(
                [execution(1, 1, 1_000), execution(2, 2, 1_000)], with: [0: TopicMessage(key: "", value: "[]")])
            try bench.drain(configuration)
            #expect(try bench.fills() == ["1 1000 1000", "2 1000 1000"])
            #expect(try bench.parked() == [" 0 malformed message: JSON object"])
        }
    }

    // MARK: More executions than ordered

    @Test(arguments: configurations)
    func `a block with more fills than ordered waits, and is allocated when a bust makes it right`(
        _ configuration: Configuration
    ) throws {
        try withTwoBlocks { bench in
            try bench.publish([
                execution(1, 1, 400), execution(2, 2, 500), execution(3, 1, 400), execution(4, 1, 300),
                execution(5, 2, 500), execution(6, 1, 200),
            ])
            try bench.drain(configuration)
            #expect(try bench.fills()[0].hasPrefix("1 1300 "), "nothing is refused for coming before its bust")
            #expect(try bench.fills()[1] == "2 1000 1000", "other blocks go on")
            #expect(try bench.parked().isEmpty)
            #expect(try bench.connection.number("SELECT max(cum_quantity) FROM allocations.snapshots") <= 1_000)
            #expect(try !bench.verify().isClean)
            try bench.publish([
                Execution(
                    id: ExecutionID(7), type: .tradeCancel, reference: ExecutionID(4), blockOrder: BlockOrderID(1))
            ])
            try bench.drain(configuration)
            #expect(try bench.fills() == ["1 1000 1000", "2 1000 1000"])
            #expect(try bench.finalAllocations() == ["1 1 700 10.0000", "1 2 300 10.0000", "2 1 1000 10.0000"])
            try bench.expectEndOfTopic()
        }
    }

    @Test(arguments: configurations)
    func `a fill as large as can be leaves its block waiting`(_ configuration: Configuration) throws {
        try withTwoBlocks { bench in
            try bench.publish(
                [execution(1, 1, 2_000_000_000), execution(2, 2, 600), execution(3, 2, 600)],
                with: [0: .resolved(partition: 0), 3: .resolved(partition: 0), 5: .resolved(partition: 0)])
            try bench.drain(configuration)
            #expect(try bench.fills()[0] == "1 2000000000 0")
            try bench.expectEndOfTopic()
        }
    }

    // MARK: What the database refuses

    /// Two blocks, and a table that refuses an execution of 777 shares.
    private func withRefusingTables(
        _ table: String = "captured_trades", _ body: (inout WorkerBench) throws -> Void
    ) throws {
        try withEmptyBench(blocks: [[700, 300], [1_000]], partitions: 1, isOwnDatabase: true) { bench in
            try bench.connection.execute(
                "ALTER TABLE allocations.\(table) ADD CONSTRAINT refused CHECK (quantity <> 777)")
            try body(&bench)
        }
    }

    @Test(arguments: configurations.filter { $0.mode != .cycle })
    func `a message that the database refuses is parked with what follows, the rest is applied`(
        _ configuration: Configuration
    ) throws {
        try withRefusingTables { bench in
            let broken = TopicMessage(key: "[\"\(blockCode(2))\"]", value: "[]")
            try bench.publish(
                [
                    execution(1, 1, 100), execution(2, 2, 500), execution(3, 1, 777), execution(4, 1, 100),
                    execution(5, 2, 500), execution(6, 1, 200),
                ], with: [6: broken])
            let figures = try bench.drain(configuration).figures
            #expect(try bench.fills().map { $0.split(separator: " ")[1] } == ["100", "1000"])
            let reason = "new row for relation \"captured_trades\" violates check constraint \"refused\""
            #expect(
                try bench.parked() == [
                    "\(blockCode(1)) 2 \(reason)", "\(blockCode(1)) 3 \(waits)", "\(blockCode(1)) 5 \(waits)",
                    "\(blockCode(2)) 6 malformed message: JSON object",
                ])
            #expect(
                try bench.connection.lines(
                    "SELECT convert_from(message_value, 'UTF8') FROM allocations.parked_messages ORDER BY topic_offset LIMIT 3"
                ).map { TopicMessage(key: "", value: $0).executionID } == [3, 4, 6])
            #expect(figures.parkedCount == 4 && figures.capturedCount == 3)
            try bench.expectEndOfTopic()
        }
    }

    @Test func `a message that can't be staged is parked with what follows, the rest is applied`() throws {
        try withRefusingTables("staged_trades") { bench in
            try bench.publish([
                execution(1, 1, 100), execution(2, 2, 500), execution(3, 1, 777), execution(4, 1, 100),
                execution(5, 2, 500),
            ])
            let figures = try bench.drain(modes[4]).figures
            let fills = try bench.fills().map { $0.split(separator: " ")[1] }
            #expect(fills == ["100", "1000"])
            let reason = "new row for relation \"staged_trades\" violates check constraint \"refused\""
            let parked = try bench.parked()
            #expect(parked == ["\(blockCode(1)) 2 \(reason)", "\(blockCode(1)) 3 \(waits)"])
            #expect(figures.parkedCount == 2 && figures.capturedCount == 3)
            try bench.expectEndOfTopic()
        }
    }

    @Test func `mode cycle stops at what the database refuses, and nothing is lost`() throws {
        try withRefusingTables { bench in
            try bench.publish([execution(1, 1, 100), execution(2, 1, 777), execution(3, 2, 1_000)])
            let text = errorText { try bench.drain(modes[4]) }
            #expect(text.contains("violates check constraint \"refused\""), "\(text)")
            try bench.connection.execute("ALTER TABLE allocations.captured_trades DROP CONSTRAINT refused")
            try bench.drain(modes[4])
            #expect(try bench.fills().map { $0.split(separator: " ")[1] } == ["877", "1000"])
        }
    }

    @Test(arguments: modes) func `duplicates of applied executions are no overfill`(_ configuration: Configuration)
        throws
    {
        try withTwoBlocks { bench in
            let all = [execution(1, 1, 600), execution(2, 1, 400), execution(3, 2, 1_000)]
            try bench.publish(all)
            try bench.publish((all + all.reversed()).map { TopicMessage($0, partitions: 1) })
            try bench.drain(configuration)
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }

    @Test(arguments: [modes[1], modes[3]])
    func `an execution id beyond the schedule is parked, not waited for`(_ configuration: Configuration) throws {
        try withTwoBlocks { bench in
            try bench.publish([execution(1, 1, 1_000), execution(Int64.max, 2, 500), execution(2, 2, 100)])
            try bench.drain(configuration) { $0.schedule = .uniform(ratePerSecond: 0.5) }
            #expect(try bench.parked().first == "\(blockCode(2)) 1 execution \(Int64.max) is not due in this run")
            #expect(try bench.fills() == ["1 1000 1000"])
        }
    }
}
