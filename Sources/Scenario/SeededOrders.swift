// What a scenario's executions are drawn against: seeded stages and routed block orders, made once for all its cells.
// Runs on the main thread.

import Diagnostics
import Holdings
import Kafka
import Measurement
import Model
import Orders
import Postgres
import Reference
import Report
import Seeding
import Threads
import Trades

/// The orders of a scenario, in the database. Made again from the same scenario they are the same.
struct SeededOrders: Sendable {
    let seed: SeedSummary
    let routing: RoutingSummary
    /// How the scenario's executions are drawn: by every run and cell of it the same.
    let executionPlan: ExecutionPlan

    var date: TradeDate { routing.date }

    /// Seeds the empty database and routes. Blocks.
    /// - Parameter topic: names the topic of requests, if they are routed by events; it is gone again at the end.
    static func make(
        _ scenario: ScenarioFile, topic: String, target: Target, stop: StopFlag, say: (String) -> Void
    ) throws -> SeededOrders {
        let seed = try seed(scenario, target: target, stop: stop)
        say("seeded \(seed.rowCount) rows in \(readableSeconds(seed.duration)) s")
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        let routing = try route(scenario, seed.routingDate, topic: topic, target: target, on: connection, stop: stop)
        say(
            "routed \(routing.date): \(routing.customerOrderCount) customer orders in \(routing.blockOrderCount) block orders, "
                + "\(routing.quantity) shares")
        var plan = ExecutionPlan(date: routing.date, seed: scenario.seed)
        plan.count = Int64(scenario.workload.executions)
        plan.bustPpm = scenario.workload.bustPpm
        plan.replacePpm = scenario.workload.replacePpm
        plan.cancelPpm = scenario.workload.cancelPpm
        return SeededOrders(seed: seed, routing: routing, executionPlan: plan)
    }

    /// A digest of the orders and of all executions in the tables.
    func fingerprint(on connection: PostgresConnection) throws -> String {
        var digest = RowDigest()
        let orders = try OrdersSource.routingChecksums(of: date, on: connection)
        for (table, sum) in orders.sorted(by: { $0.key < $1.key }) { digest.add(row: "\(table)=\(sum)\n".utf8) }
        digest.add(row: "trades.executions=\(try TradesStore.checksum(on: connection))\n".utf8)
        return digest.description
    }

    /// Executes everything once, unmeasured, for a fingerprint that has the executions in it. What the trades tables hold is
    /// forgotten before. Blocks.
    /// - Returns: with it how many executions there are.
    func executedFingerprint(
        on connection: PostgresConnection, stop: StopFlag
    ) throws -> (fingerprint: String, executions: Int64) {
        try TradesStore.truncate(on: connection)
        let execution = try TradesStore.execute(executionPlan, on: connection, stop: stop) { _ in }
        try requireNotStopped(stop)
        return (try fingerprint(on: connection), execution.writtenCount)
    }

    /// Makes the block orders in the way that the workload asks for.
    private static func route(
        _ scenario: ScenarioFile, _ date: TradeDate, topic: String, target: Target, on connection: PostgresConnection,
        stop: StopFlag
    ) throws -> RoutingSummary {
        let workload = scenario.workload
        var plan = RoutingPlan(date: date)
        plan.policies = workload.allocationPolicies
        plan.minimumTicketLots = workload.minimumTicketLots
        guard workload.routing == .eventDriven else { return try OrdersSource.route(plan, on: connection) }
        let requests = EventRoutingPlan(
            plan, topic: topic + ".requests", partitions: workload.partitions,
            workers: min(RoutingConfiguration.workersDefault, workload.partitions))
        defer { try? target.deleteTopic(requests.topic) }
        return try EventRouting.route(requests, target: target, on: connection, stop: stop).summary
    }

    /// - Parameter securities: how many are generated; nil leaves two block orders to each.
    static func seed(
        _ scenario: ScenarioFile, securities count: Int? = nil, target: Target, stop: StopFlag
    ) throws -> SeedSummary {
        let workload = scenario.workload
        let shape = try WorkloadShape(
            executions: Int64(workload.executions), blocks: workload.blocks,
            accountsPerBlock: workload.accountsPerBlock, lotSize: workload.lotSize, skew: workload.skew)
        let market: SeedPlan.Market =
            if let securities = workload.securitiesFile, let prices = workload.pricesFolder {
                .files(securities: securities, prices: prices)
            } else {
                .generated(securities: count ?? min(500, (workload.blocks + 1) / 2), days: 20)
            }
        let plan = SeedPlan(
            seed: scenario.seed, market: market, holdings: .workload(shape), routingDate: workload.routeDate,
            lotSizes: .fixed(workload.lotSize))
        return try SeedLoader(connectionInfo: target.connection, cockroach: target.cockroach).load(
            plan.prepare(), stop: stop)
    }
}
