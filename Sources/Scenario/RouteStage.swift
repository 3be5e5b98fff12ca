// Stage route: every configuration routes the same date on fresh tables of the orders stage, and all of them must end in
// the same tables. Runs on the main thread; feed and workers have theirs.

import Allocations
import Measurement
import Model
import Orders
import Postgres
import Report
import Routing
import Seeding
import Threads

final class RouteStage: StageRun {
    /// What a configuration did, whichever way it routes.
    private struct Routed {
        var summary: RoutingSummary
        var elapsedNanoseconds: Int64
        var requestToRouted: Histogram?
        var transactionLatency = Histogram()
        var transactions = TransactionCounts()
        var duplicates: Int64?
    }

    private let given: StageInput
    private let date: TradeDate
    /// What every cell routes, once one has.
    private var requestCount: Int64?
    let fingerprint: String

    /// Seeds what the cells route. Blocks.
    init(_ given: StageInput) throws {
        self.given = given
        // Eight groups, where there are enough block orders: set-based routing takes one transaction for each.
        let securities = min(500, max(1, given.scenario.workload.blocks / 16))
        let seed = try SeededOrders.seed(
            given.scenario, securities: securities, target: given.target, stop: given.stop)
        given.say("seeded \(seed.rowCount) rows in \(readableSeconds(seed.duration)) s")
        date = seed.routingDate
        fingerprint = try given.withConnection {
            AllocationsVerification.digest(of: try SeedLoader.tableChecksums(on: $0))
        }
    }

    var brokerEntries: [Manifest.Entry] { [Manifest.Entry("partitions", String(given.scenario.workload.partitions))] }

    func close() {}

    func run(
        _ cell: Cell, orderIndex: Int, progress: @escaping @Sendable (CellProgress) -> Void
    ) throws -> CellOutcome {
        guard case .route(let configuration) = cell.competitor else {
            preconditionFailure("stage route runs configurations of its own")
        }
        let topic = given.topic("requests.\(orderIndex)")
        defer { try? given.target.deleteTopic(topic) }
        let connection = try PostgresConnection.connect(to: given.target.connection)
        defer { connection.close() }
        try OrdersSource.truncate(on: connection)
        if given.target.services != nil { try connection.execute("CHECKPOINT") }
        let counters = WorkerProgress()
        let usage = try UsageMeter(given.target, on: connection)
        let start = monotonicNow()
        let routed: Routed
        do {
            routed = try ProgressClock.during(counters, .requests, expected: requestCount, report: progress) {
                try route(configuration, repetition: cell.repetition, topic: topic, on: connection, counters)
            }
        } catch {
            usage.abandon()
            throw error
        }
        var row = RunRow(
            scenario: given.scenario.name, competitor: cell.competitor, repetition: cell.repetition,
            orderIndex: orderIndex,
            partitions: configuration.way == .eventDriven ? given.scenario.workload.partitions : nil,
            load: LoadSummary(model: "backlog", through: configuration.way == .eventDriven ? "feed" : ""))
        row.resources = try usage.finish(on: connection, start: start).summary
        try requireNotStopped(given.stop)
        row.requests = routed.summary.requestCount
        requestCount = routed.summary.requestCount
        row.customerOrders = routed.summary.customerOrderCount
        row.elapsedNanoseconds = routed.elapsedNanoseconds
        row.timeToVisible = routed.requestToRouted.flatMap { LatencySummary($0) }
        row.transactionLatency = LatencySummary(routed.transactionLatency)
        row.transactions = routed.transactions
        row.duplicates = routed.duplicates
        var outcome = CellOutcome(row: row)
        outcome.checks = try checks(on: connection)
        outcome.finalTables = try OrdersSource.routingChecksums(of: date, on: connection)
        outcome.latencies = [(.transactionLatency, routed.transactionLatency)]
        if let requestToRouted = routed.requestToRouted { outcome.latencies.append((.timeToVisible, requestToRouted)) }
        return outcome
    }

    private func route(
        _ configuration: RoutingConfiguration, repetition: Int, topic: String, on connection: PostgresConnection,
        _ counters: WorkerProgress
    ) throws -> Routed {
        let plan = RoutingPlan(date: date)
        guard configuration.way == .eventDriven else { return try routeBySets(plan, on: connection, counters) }
        var requests = EventRoutingPlan(
            plan, topic: topic, partitions: given.scenario.workload.partitions, workers: configuration.workers,
            batchSize: configuration.batchSize)
        requests.seed = given.scenario.seed &+ UInt64(repetition)
        requests.progress = counters
        let result = try EventRouting.route(requests, target: given.target, on: connection, stop: given.stop)
        let figures = result.figures
        var transactions = TransactionCounts()
        transactions.committed = figures.transactionCount
        transactions.retries = figures.retryCount
        return Routed(
            summary: result.summary, elapsedNanoseconds: result.elapsedNanoseconds,
            requestToRouted: figures.requestToRouted, transactionLatency: figures.transactionLatency,
            transactions: transactions, duplicates: figures.duplicateCount)
    }

    private func routeBySets(
        _ plan: RoutingPlan, on connection: PostgresConnection, _ counters: WorkerProgress
    ) throws -> Routed {
        var latency = Histogram()
        let start = monotonicNow()
        var last = start
        let summary = try OrdersSource.route(
            plan, on: connection,
            onGroup: { requests in
                let now = monotonicNow()
                latency.record(now - last)
                last = now
                counters.addCommitted(Int64(requests))
            })
        var transactions = TransactionCounts()
        transactions.committed = latency.count
        return Routed(
            summary: summary, elapsedNanoseconds: last - start, transactionLatency: latency,
            transactions: transactions)
    }

    private func checks(on connection: PostgresConnection) throws -> [CheckResult] {
        try OrdersVerification.run(date, on: connection).map { check in
            CheckResult(
                name: check.name, differenceCount: check.differenceCount,
                first: check.first.map {
                    CheckResult.Difference(subject: $0.subject, expected: $0.expected, actual: $0.actual)
                })
        }
    }
}
