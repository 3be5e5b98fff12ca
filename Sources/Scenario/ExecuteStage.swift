// Stage execute: every configuration writes the same executions as fast as it can, on fresh tables of the trades stage.
// Runs on the main thread; the feed has its own.

import Allocations
import ChangeFeed
import Diagnostics
import Measurement
import Model
import Postgres
import Report
import Threads
import Trades

struct ExecuteStage: StageRun {
    private let given: StageInput
    let orders: SeededOrders
    let fingerprint: String
    /// What every cell executes.
    private let executionCount: Int64

    /// Seeds and routes what the cells execute. Blocks.
    init(_ given: StageInput) throws {
        self.given = given
        let orders = try given.makeOrders()
        self.orders = orders
        (fingerprint, executionCount) = try given.withConnection {
            try orders.executedFingerprint(on: $0, stop: given.stop)
        }
    }

    var brokerEntries: [Manifest.Entry] { [Manifest.Entry("partitions", String(given.scenario.workload.partitions))] }

    func close() {}

    func run(
        _ cell: Cell, orderIndex: Int, progress: @escaping @Sendable (CellProgress) -> Void
    ) throws -> CellOutcome {
        guard case .execute(let configuration) = cell.competitor else {
            preconditionFailure("stage execute runs configurations of its own")
        }
        let counters = WorkerProgress()
        let result = try ProgressClock.during(
            counters, .executions, expected: executionCount, report: progress
        ) {
            try ExecuteRun.run(
                configuration, orders: orders, topic: given.topic("executions.\(orderIndex)"),
                partitions: given.scenario.workload.partitions, target: given.target, stop: given.stop,
                progress: counters)
        }
        let isFeeding = configuration.feed == .running
        var row = RunRow(
            scenario: given.scenario.name, competitor: cell.competitor, repetition: cell.repetition,
            orderIndex: orderIndex,
            partitions: isFeeding ? given.scenario.workload.partitions : nil,
            load: LoadSummary(model: "backlog", through: isFeeding ? "feed" : ""))
        row.resources = result.resources
        let figures = result.execution.figures
        row.executions = result.execution.writtenCount
        row.elapsedNanoseconds = figures.elapsedNanoseconds
        row.transactionLatency = LatencySummary(figures.transactionLatency)
        row.transactions.committed = figures.transactionCount
        row.duplicates = result.feed?.duplicateCount
        row.committedToPublished = result.feed.flatMap { LatencySummary($0.committedToPublished) }
        row.feedCatchUpNanoseconds = result.catchUpNanoseconds
        var outcome = CellOutcome(row: row)
        outcome.checks = result.checks
        outcome.finalTables = ["trades.executions": result.checksum]
        outcome.latencies = [(.transactionLatency, figures.transactionLatency)]
        if let feed = result.feed { outcome.latencies.append((.committedToPublished, feed.committedToPublished)) }
        return outcome
    }
}
