// A run without a fault, whose tables the tests of the verifier break.

import Allocations
import Model
import Postgres
import Scenario
import TestSupport

/// Seven blocks: 1 and 2 are filled after several snapshots, 3 and 5 to 7 are half filled, 4 was replaced and then canceled.
///
/// | block | side | policy | accounts ordered | filled |
/// | 1 | BUY | pro_rata | 4,000 3,000 2,000 1 | all, one execution busted and filled again, one replaced down and up |
/// | 2 | SELL | pro_rata | 5,000 | all |
/// | 3 | BUY | pro_rata | 601 399 | 360, of which 260 are allocated; a bust waits for an execution that never comes |
/// | 4 | BUY | equal | 100 50 200 in lots of 10 | 170 of 300, canceled |
/// | 5 | SELL | time_priority | 100 50 200 | 120 |
/// | 6 | BUY | pro_rata_min_ticket | 100 200 700 in lots of 10, tickets of 50 | 300 |
/// | 7 | BUY | equal | 100 100 100 | 150 |
struct CleanRun {
    let run: JudgedRun
    let outcome: JudgedRun.Outcome
    var connection: PostgresConnection { run.connection }

    func verify() throws -> [CheckResult] {
        try Verifier.verify(on: connection, topic: outcome.topic, topicEnds: outcome.ends)
    }

    /// Changes the tables, looks at them, and takes the change back.
    func changed<R>(by sql: String, _ body: () throws -> R) throws -> R {
        try connection.begin()
        defer { try? connection.rollback() }
        try connection.execute(sql)
        return try body()
    }

    /// What the verifier says of changed tables.
    func verify(changedBy sql: String) throws -> [CheckResult] { try changed(by: sql) { try verify() } }
}

func withCleanRun<R>(_ body: (CleanRun) throws -> R) throws -> R {
    try withJudgedRun { run in
        let connection = run.connection
        try connection.addBlock(1, accounts: [4_000, 3_000, 2_000, 1], targetBrokers: [2: "BROKER"])
        try connection.addBlock(2, accounts: [5_000], side: .sell)
        try connection.addBlock(3, accounts: [601, 399])
        try connection.addBlock(4, accounts: [100, 50, 200], policy: .equal, lotSize: 10)
        try connection.addBlock(5, accounts: [100, 50, 200], side: .sell, policy: .timePriority)
        try connection.addBlock(
            6, accounts: [100, 200, 700], policy: .proRataMinimumTicket, lotSize: 10, minimumTicketLots: 5)
        try connection.addBlock(7, accounts: [100, 100, 100], policy: .equal)
        try run.addHoldings()
        let executions = cleanExecutions()
        try connection.addExecutions(executions)
        try connection.execute(
            """
            INSERT INTO trades.block_outcomes VALUES
              (1, 'FILLED', 2, 9001, 9001, 0, 10.0105), (2, 'FILLED', 0, 5000, 5000, 0, 10.0203),
              (4, 'CANCELED', 2, 300, 170, 0, 10.0402)
            """)
        let messages = executions.map { TopicMessage($0, partitions: 2) }
        let outcome = try run.drain(messages, partitions: 2, Configuration(mode: .concurrent, workers: 2))
        return try body(CleanRun(run: run, outcome: outcome))
    }
}

/// Ids are block × 100 + the place within the block's reports; the price of a trade is its id in ticks above 10.
func cleanExecutions() -> [Execution] {
    var executions: [Execution] = []
    func report(
        _ block: Int64, _ type: ExecType = .trade, of reference: Int64? = nil, version: Int64 = 0, order: Int64,
        quantity: Int64 = 0
    ) {
        let id = block * 100 + Int64(executions.count { $0.blockOrder == BlockOrderID(block) }) + 1
        executions.append(
            Execution(
                id: ExecutionID(id), type: type, reference: reference.map { ExecutionID($0) },
                blockOrder: BlockOrderID(block), orderVersion: version, orderQuantity: order, quantity: quantity,
                price: Price(ticks: quantity == 0 ? 0 : 100_000 + id)))
    }
    for quantity: Int64 in [2_000, 1_000, 2_500] { report(1, order: 9_001, quantity: quantity) }
    report(1, .tradeCancel, of: 102, order: 9_001)
    report(1, .replaced, version: 1, order: 8_000)
    report(1, .replaced, version: 2, order: 9_001)
    report(1, .tradeCancel, of: 102, version: 2, order: 9_001)
    for quantity: Int64 in [3_000, 1_501] { report(1, version: 2, order: 9_001, quantity: quantity) }
    for _ in 1...5 { report(2, order: 5_000, quantity: 1_000) }
    report(3, order: 1_000, quantity: 260)
    report(3, order: 1_000, quantity: 100)
    report(3, .tradeCancel, of: 999_999, order: 1_000)
    report(4, order: 350, quantity: 90)
    report(4, .replaced, version: 1, order: 300)
    report(4, version: 1, order: 300, quantity: 80)
    report(4, .canceled, version: 2, order: 300)
    report(5, order: 350, quantity: 120)
    report(6, order: 1_000, quantity: 300)
    report(7, order: 300, quantity: 150)
    return executions
}
