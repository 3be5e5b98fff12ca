// Runs a scenario of stage route: every configuration routes the same date on fresh tables of the orders stage, and all of
// them must end in the same tables. Runs on the main thread; feed and workers have theirs.

import Allocations
import Diagnostics
import Foundation
import Measurement
import Model
import Orders
import Postgres
import Report
import Routing
import Seeding
import Threads

extension ScenarioRunner {
    /// One configuration in one repetition.
    private struct RoutingCell {
        let configuration: RoutingConfiguration
        let repetition: Int
    }

    /// What a configuration did, whichever way it routes.
    private struct Routed {
        var summary: RoutingSummary
        var elapsedNanoseconds: Int64
        var requestToRouted: Histogram?
        var transactionLatency = Histogram()
        var transactions: Int64 = 0
        var retries: Int64 = 0
        var duplicates: Int64 = 0
    }

    /// The stage route of `run`, on a database that was prepared.
    func runRouting(runID: String, started: Date) throws -> RunOutcome {
        let folder = "\(resultsFolder)/\(runID)"
        // Eight groups, where there are enough block orders: set-based routing takes one transaction for each.
        let securities = min(500, max(1, scenario.workload.blocks / 16))
        let seed = try SeededOrders.seed(scenario, securities: securities, target: target, stop: stop)
        say("seeded \(seed.rowCount) rows in \(seconds(seed.duration)) s")
        let cells = Self.routingOrder(scenario)
        var manifest = try manifest(
            started: started, planned: cells.count,
            broker: [Manifest.Entry("partitions", String(scenario.workload.partitions))])
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let files = try ResultFiles(folder: folder, columns: RoutingRow.columnNames)
        var rows: [RoutingRow] = []
        do {
            // What the first run left is what all others must leave.
            var firstTables = FirstTables()
            for cell in cells {
                try requireNotStopped(stop)
                let topic = "allocbench.\(runID).requests.\(rows.count + 1)"
                defer { try? target.deleteTopic(topic) }
                let (row, checks) = try runCell(
                    cell, date: seed.routingDate, topic: topic, orderIndex: rows.count + 1, firstTables: &firstTables)
                try files.append(
                    row.fields, configuration: cell.configuration.name, repetition: cell.repetition, checks)
                rows.append(row)
                say(Self.line(row, of: cells.count, checks))
            }
            manifest.outcome = Manifest.Outcome(.complete, runsFinished: rows.count, runsPlanned: rows.count)
            try files.finish(manifest)
        } catch {
            manifest.outcome.ending = stop.isSet ? .interrupted : .failed
            manifest.outcome.runsFinished = rows.count
            if (try? files.finish(manifest)) != nil {
                say("\(rows.count) of \(manifest.outcome.runsPlanned) runs were finished; their rows are in \(folder)")
            }
            throw error
        }
        return RunOutcome(
            rows: [], folder: folder, isVerified: rows.allSatisfy(\.verified), ranking: .throughput, routingRows: rows)
    }

    /// Every other repetition the other way round, as for allocation.
    private static func routingOrder(_ scenario: ScenarioFile) -> [RoutingCell] {
        (1...scenario.repetitions).flatMap { repetition in
            let forward = scenario.routingConfigurations.map {
                RoutingCell(configuration: $0, repetition: repetition)
            }
            return repetition % 2 == 1 ? forward : forward.reversed()
        }
    }

    private func runCell(
        _ cell: RoutingCell, date: TradeDate, topic: String, orderIndex: Int, firstTables: inout FirstTables
    ) throws -> (RoutingRow, [CheckResult]) {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        try OrdersSource.truncate(on: connection)
        if target.services != nil { try connection.execute("CHECKPOINT") }
        ProcessUsage.resetOwnPeak()
        let before = (own: ProcessUsage.own(), database: databaseUsage())
        let routed = try route(cell, RoutingPlan(date: date), topic: topic, on: connection)
        let after = (own: ProcessUsage.own(), database: databaseUsage())
        try requireNotStopped(stop)
        let checks = try check(date, firstTables: &firstTables, on: connection)
        let row = RoutingRow(
            scenario: scenario.name, configuration: cell.configuration, repetition: cell.repetition,
            orderIndex: orderIndex, partitions: scenario.workload.partitions, requests: routed.summary.requestCount,
            customerOrders: routed.summary.customerOrderCount, elapsedNanoseconds: routed.elapsedNanoseconds,
            requestToRouted: routed.requestToRouted.flatMap { LatencySummary($0) },
            transactionLatency: LatencySummary(routed.transactionLatency), transactions: routed.transactions,
            retries: routed.retries, duplicates: routed.duplicates,
            harnessCPUSeconds: (after.own?.cpuSeconds ?? 0) - (before.own?.cpuSeconds ?? 0),
            databaseCPUSeconds: after.database.flatMap { end in before.database.map { end - $0 } },
            harnessPeakResidentBytes: after.own?.peakResidentBytes ?? 0, verified: checks.isClean)
        return (row, checks)
    }

    private func route(
        _ cell: RoutingCell, _ plan: RoutingPlan, topic: String, on connection: PostgresConnection
    ) throws -> Routed {
        guard cell.configuration.way == .eventDriven else { return try routeBySets(plan, on: connection) }
        var requests = EventRoutingPlan(
            plan, topic: topic, partitions: scenario.workload.partitions, workers: cell.configuration.workers,
            batchSize: cell.configuration.batchSize)
        requests.seed = scenario.seed &+ UInt64(cell.repetition)
        let result = try EventRouting.route(requests, target: target, on: connection, stop: stop)
        let figures = result.figures
        return Routed(
            summary: result.summary, elapsedNanoseconds: result.elapsedNanoseconds,
            requestToRouted: figures.requestToRouted, transactionLatency: figures.transactionLatency,
            transactions: figures.transactionCount, retries: figures.retryCount, duplicates: figures.duplicateCount)
    }

    private func routeBySets(_ plan: RoutingPlan, on connection: PostgresConnection) throws -> Routed {
        var latency = Histogram()
        let start = monotonicNow()
        var last = start
        let summary = try OrdersSource.route(
            plan, on: connection,
            onGroup: {
                let now = monotonicNow()
                latency.record(now - last)
                last = now
            })
        return Routed(
            summary: summary, elapsedNanoseconds: last - start, transactionLatency: latency,
            transactions: latency.count)
    }

    /// The date's own checks, and one sum per table against the first run's.
    private func check(
        _ date: TradeDate, firstTables: inout FirstTables, on connection: PostgresConnection
    ) throws -> [CheckResult] {
        let own = try OrdersVerification.run(date, on: connection).map { check in
            CheckResult(
                name: check.name, differenceCount: check.differenceCount,
                first: check.first.map {
                    CheckResult.Difference(subject: $0.subject, expected: $0.expected, actual: $0.actual)
                })
        }
        let sums = try OrdersSource.routingChecksums(of: date, on: connection)
        return own + [firstTables.check(sums, isTrusted: own.isClean)]
    }

    private static func line(_ row: RoutingRow, of cells: Int, _ checks: [CheckResult]) -> String {
        let head = "[\(row.orderIndex)/\(cells)] \(row.configuration.name), repetition \(row.repetition): "
        guard row.verified, let rate = row.requestsPerSecond else {
            return head + "FAILED verification\n" + checks.differenceLines.map { "    \($0)" }.joined(separator: "\n")
        }
        let took = seconds(.nanoseconds(row.elapsedNanoseconds))
        return head + "\(row.requests) requests in \(took) s, \(Int(rate))/s, verified"
    }
}
