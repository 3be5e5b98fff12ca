// Goal: the invariants in SQL. Method: random blocks with busts, replaces, cancels and late fills go through the real workers
// and bookings in every mode, each time in another order, with other duplicates and in other partitions; verifier and oracle
// find nothing, and the final tables are the same to the byte. I12's second database is not to be had here.
//
//   ALLOCBENCH_PROPERTY_STREAMS=50   streams of twelve blocks instead of 2
//   ALLOCBENCH_PROPERTY_SEED=123     the seed of the first stream

import Allocations
import Glibc
import Measurement
import Model
import Scenario
import TestSupport
import Testing

private func number(_ variable: String) -> UInt64? { getenv(variable).flatMap { UInt64(String(cString: $0)) } }

@Suite struct WorkerPropertyTests {
    private static let blockCount: Int64 = 12
    private static let partitions = 4

    /// Row wants all messages of a block to come to one worker; the other modes don't care.
    private static func configuration(_ mode: Mode, _ random: inout SeededRandom) -> Configuration {
        let snapshots: SnapshotPolicy =
            switch random.integer(in: 0...3) {
            case 0: .fraction(parts: random.magnitude(20))
            case 1: .executions(random.magnitude(30))
            case 2: .interval(milliseconds: random.magnitude(20))
            default: .completion
            }
        var configuration = Configuration(mode: mode, workers: mode == .row ? 1 : 3, snapshots: snapshots)
        switch mode {
        case .row: break
        case .concurrent:
            configuration.transactionSize = Int(random.magnitude(16))
            configuration.pipelineDepth = Int(random.magnitude(8))
        case .adaptive, .batch: configuration.batchSize = Int(random.magnitude(256))
        case .cycle: configuration.cycleIntervalMs = Int(random.magnitude(60))
        }
        return configuration
    }

    /// All blocks' deliveries, mixed, in partitions that have nothing to do with their blocks.
    private static func messages(_ blocks: [RandomBlock], _ random: inout SeededRandom) -> [TopicMessage] {
        var messages = blocks.flatMap { Array($0.delivery(&random).joined()) }
        messages.shuffle(using: &random)
        return messages.map { execution in
            var message = TopicMessage(execution, partitions: partitions)
            message.partition = Int32(random.integer(in: 0...Int64(partitions - 1)))
            return message
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func `I1 to I10 and I12 in SQL: every mode, any order, cut and partition, ends in the oracle's tables`() throws {
        let first = number("ALLOCBENCH_PROPERTY_SEED") ?? 1
        for seed in first..<first + (number("ALLOCBENCH_PROPERTY_STREAMS") ?? 2) {
            try withJudgedRun { run in
                var random = SeededRandom(seed: seed)
                var limits = RandomBlock.Limits()
                (limits.accounts, limits.reports) = (40, 150)
                let blocks = (1...Self.blockCount).map {
                    RandomBlock(id: BlockOrderID($0), random: &random, limits: limits)
                }
                for block in blocks { try run.add(block) }
                try run.addHoldings()
                var checksums: [String: String] = [:]
                for mode in Mode.allCases {
                    let configuration = Self.configuration(mode, &random)
                    let what = "ALLOCBENCH_PROPERTY_SEED=\(seed), \(configuration.name)"
                    let messages = Self.messages(blocks, &random)
                    let outcome: JudgedRun.Outcome
                    do {
                        outcome = try run.drain(messages, partitions: Self.partitions, configuration)
                    } catch {
                        Issue.record("\(what): \(error)")
                        throw error
                    }
                    let lines = outcome.checks.differenceLines
                    #expect(lines.isEmpty, "\(what): \(lines)")
                    if checksums.isEmpty { checksums = outcome.checksums }
                    #expect(outcome.checksums == checksums, "\(what)")
                }
            }
        }
    }
}
