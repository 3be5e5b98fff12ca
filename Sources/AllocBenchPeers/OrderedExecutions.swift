// Executions for the pairs that are about how rows travel: drawn against orders like a scenario's, so that a feed carries what
// it carries in a run, and a worker finds the blocks that they fill.

import Holdings
import Measurement
import Model
import Orders
import Postgres
import Scenario
import Seeding
import Threads
import Trades

/// Routed orders in the bench's database, and the executions that fill them.
struct OrderedExecutions {
    private let plan: ExecutionPlan

    /// Seeds and routes in an empty database.
    /// - Parameter count: executions that would fill the blocks. Whoever writes only a part of them leaves blocks unfilled.
    init(count: Int, blocks: Int, accountsPerBlock: Int = 5, on bench: PeerBench) throws {
        let shape = try WorkloadShape(
            executions: Int64(count), blocks: blocks, accountsPerBlock: accountsPerBlock, lotSize: 1, skew: .uniform)
        let seed = try SeedPlan(
            seed: PeerStream.seed, market: .generated(securities: min(500, (blocks + 1) / 2), days: 20),
            holdings: .workload(shape)
        ).prepare()
        let date = try SeedLoader(connectionInfo: bench.target.connection).load(seed, stop: bench.stop).routingDate
        try bench.withConnection { connection in
            try Schemas.create(on: connection)
            _ = try OrdersSource.route(RoutingPlan(date: date), on: connection)
        }
        var plan = ExecutionPlan(date: date, seed: PeerStream.seed)
        plan.count = Int64(count)
        self.plan = plan
    }

    /// Forgets what was written.
    func forget(on connection: PostgresConnection) throws { try TradesStore.truncate(on: connection) }

    /// Writes until there are `total` executions, the first of the drawing; what is there already is gone on with.
    /// - Returns: when the last commit was answered, on the monotonic clock.
    @discardableResult
    func write(_ total: Int, transactionSize: Int, on connection: PostgresConnection, stop: StopFlag) throws -> Int64 {
        var plan = plan
        plan.limit = Int64(total)
        plan.transactionSize = transactionSize
        // Else a long transaction would wait for the drawing.
        plan.drawsAhead = true
        return try TradesStore.execute(plan, on: connection, stop: stop) { _ in }.figures.lastCommitTime
    }

    /// What a copy of the executions must have in common with them; `table` may have them under other names.
    static func digest(of table: String, on connection: PostgresConnection) throws -> [String: String] {
        let sums = try connection.query(
            "SELECT count(*), sum(execution_id)::TEXT, sum(quantity)::TEXT, sum(quantity * price)::TEXT FROM \(table)")
        return [
            "rows": sums.text(0, 0) ?? "", "sum of ids": sums.text(0, 1) ?? "", "shares": sums.text(0, 2) ?? "",
            "notional": sums.text(0, 3) ?? "",
        ]
    }
}
