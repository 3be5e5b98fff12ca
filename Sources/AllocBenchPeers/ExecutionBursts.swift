// What the pairs beside Debezium have in common: executions that are committed in bursts while a side streams already.
// Used on the main thread.

import Diagnostics
import Kafka
import Measurement
import Postgres
import Scenario

/// Each burst is one transaction, so the clock starts with a commit and not with an insertion, which would be the same for both
/// sides; it stops when all of the burst is where it goes. Only the last one counts: code that is compiled as it runs wants to
/// have run.
final class ExecutionBursts {
    let database: PeerDatabase
    let kafka: KafkaClientSettings
    let partitions = 8
    /// How many executions there are behind each burst.
    let totals: [Int]
    private let orders: OrderedExecutions
    private var runCount = 0

    /// - Parameter count: executions that would fill the blocks.
    init(_ totals: [Int], of count: Int, blocks: Int, on bench: PeerBench) throws {
        guard let kafka = bench.target.kafka else { throw PeerFault.notPrepared }
        self.kafka = kafka
        self.totals = totals
        orders = try OrderedExecutions(count: count, blocks: blocks, on: bench)
        database = try PeerDatabase(bench)
    }

    /// Executions of the burst that counts.
    var measured: Int { zip(totals, [0] + totals).map { $0 - $1 }.last ?? 0 }

    /// A name that no run before has had.
    func nextName(_ prefix: String) -> String {
        runCount += 1
        return "\(prefix)\(runCount)"
    }

    /// Runs a side on empty tables and a new topic.
    /// - Parameters:
    ///   - clear: empties what isn't the executions' own.
    ///   - side: returns how long the measured burst took.
    ///   - work: what has been done.
    func run(
        _ bench: PeerBench, topic: String, clear: (PostgresConnection) throws -> Void = { _ in },
        side: () throws -> Int64, work: () throws -> [String: String]
    ) throws -> PeerRun {
        try bench.withConnection { connection in
            try clear(connection)
            try orders.forget(on: connection)
            try connection.execute("CHECKPOINT")
        }
        try bench.target.createTopic(topic, partitions: partitions)
        defer { try? bench.target.deleteTopic(topic) }
        let elapsed = try side()
        return PeerRun(figure: Double(measured) * 1e9 / Double(elapsed), work: try work())
    }

    /// Commits one burst after the other.
    /// - Parameters:
    ///   - what: is waited for.
    ///   - check: throws where the side has ended.
    ///   - isThere: whether so many executions are where they go.
    ///   - rest: what is done between two bursts, beside the clock.
    /// - Returns: how long the last one took.
    func time(
        _ bench: PeerBench, waitingFor what: String, everyMs: Int64 = 5, check: () throws -> Void,
        isThere: (Int, PostgresConnection) throws -> Bool, rest: (PostgresConnection) throws -> Void = { _ in }
    ) throws -> Int64 {
        try bench.withConnection { connection in
            var (elapsed, before) = (Int64(0), 0)
            for total in totals {
                let committed = try orders.write(
                    total, transactionSize: total - before, on: connection, stop: bench.stop)
                try bench.wait(for: "\(total) \(what)", everyMs: everyMs, check: check) {
                    try isThere(total, connection)
                }
                elapsed = monotonicNow() - committed
                before = total
                try rest(connection)
            }
            return elapsed
        }
    }
}
