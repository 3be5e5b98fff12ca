// Databases with the six schemas, and the few rows that a test of one stage needs from the stages before it.

import Model
import Postgres
import Scenario
import Synchronization
import TestSupport

/// Databases that have the six schemas and nobody's rows. Making one takes half a second, emptying one a tenth of that.
private let emptyDatabases = Mutex<[String]>([])
private let databaseCount = Atomic<Int>(0)

/// Calls `body` with a database that has all six schemas, empty, and a connection to it. Other tests get the same database
/// later: what isn't a row, such as a slot or a trigger, wants a database of its own.
func withStages<R>(isOwn: Bool = false, _ body: (ConnectionInfo, PostgresConnection) throws -> R) throws -> R {
    if isOwn {
        return try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            try Schemas.create(on: connection)
            return try body(info, connection)
        }
    }
    let name = try emptyDatabases.withLock { $0.popLast() } ?? makeDatabase()
    let info = try TemporaryPostgres.maintenanceInfo().with(database: name)
    let connection = try PostgresConnection.connect(to: info)
    defer { connection.close() }
    // After an error something may still be at work in the database: then nobody gets it again.
    let result = try body(info, connection)
    try connection.execute("TRUNCATE \(everyTable(on: connection).joined(separator: ", "))")
    emptyDatabases.withLock { $0.append(name) }
    return result
}

/// Asked of the database, so that no table is forgotten when a stage gets another one.
private func everyTable(on connection: PostgresConnection) throws -> [String] {
    try connection.lines(
        """
        SELECT schemaname || '.' || tablename FROM pg_tables
        WHERE schemaname IN ('reference', 'market', 'holdings', 'orders', 'trades', 'allocations')
        """)
}

private func makeDatabase() throws -> String {
    let name = "stages_\(databaseCount.add(1, ordering: .relaxed).newValue)"
    let info = try TemporaryPostgres.maintenanceInfo()
    let maintenance = try PostgresConnection.connect(to: info)
    defer { maintenance.close() }
    try maintenance.execute("CREATE DATABASE \(name) TEMPLATE template0")
    let connection = try PostgresConnection.connect(to: info.with(database: name))
    defer { connection.close() }
    try Schemas.create(on: connection)
    return name
}

let tradingDay = TradeDate(dayNumber: 20_041)

extension PostgresConnection {
    /// All rows of a query as one line each, columns joined by blanks.
    func lines(_ sql: String, _ parameters: PostgresValue...) throws -> [String] {
        let result = try query(sql, parameters: parameters)
        return (0..<result.rowCount).map { row in
            (0..<result.columnCount).map { result.text(row, $0) ?? "null" }.joined(separator: " ")
        }
    }

    /// The first column of the first row.
    func number(_ sql: String, _ parameters: PostgresValue...) throws -> Int64 {
        try query(sql, parameters: parameters).int64(0, 0)
    }

    func addPrice(
        _ security: Int64, on date: TradeDate = tradingDay, open: String, low: String? = nil, high: String? = nil
    )
        throws
    {
        try query(
            "INSERT INTO market.daily_prices VALUES ($1, $2, $3::NUMERIC, $4::NUMERIC, $5::NUMERIC, $3::NUMERIC, 0)",
            .int64(security), .text(date.description), .text(open), .text(high ?? open), .text(low ?? open))
    }

    /// A block order of the trading day with the shares that its accounts want: account 1 the first of them, and the
    /// first to order.
    func addBlock(
        _ id: Int64, accounts: [Int64], security: Int64? = nil, on date: TradeDate = tradingDay, side: Side = .buy,
        policy: AllocationPolicy = .proRata, lotSize: Int64 = 1, minimumTicketLots: Int64 = 1,
        targetBrokers: [Int: String] = [:]
    ) throws {
        try query(
            """
            INSERT INTO orders.block_orders
              (block_order_id, block_order_code, trade_date, security_id, side, manager_group, quantity, account_count,
               lot_size, allocation_policy, policy_reason, minimum_ticket_lots)
            VALUES ($1, $2, $3::DATE, $4, $5, 1, $6, $7, $8, $9, $10, $11)
            """,
            .int64(id), .text(blockCode(id)), .text(date.description), .int64(security ?? id), .text(side.rawValue),
            .int64(accounts.reduce(0, +)), .int64(Int64(accounts.count)), .int64(lotSize), .text(policy.rawValue),
            .text(policy == .proRata ? "" : "a test"), .int64(minimumTicketLots))
        for (index, shares) in accounts.enumerated() {
            try query(
                """
                INSERT INTO orders.block_order_accounts
                  (block_order_id, account_id, customer_order_id, quantity, target_broker)
                VALUES ($1, $2, $3, $4, $5)
                """,
                .int64(id), .int64(Int64(index + 1)), .int64(id * 1000 + Int64(index)), .int64(shares),
                .text(targetBrokers[index + 1] ?? ""))
        }
    }

    func addExecutions(_ executions: [Execution]) throws {
        _ = try copyIn(
            """
            COPY trades.executions
              (execution_id, exec_type, exec_ref_id, block_order_id, block_order_code, order_version, order_quantity,
               quantity, price, executed_at)
            FROM STDIN
            """
        ) { writer in
            for execution in executions {
                writer.int64(execution.id.rawValue)
                writer.text(execution.type.word)
                if let reference = execution.reference { writer.int64(reference.rawValue) } else { writer.null() }
                writer.int64(execution.blockOrder.rawValue)
                writer.text(blockCode(execution.blockOrder.rawValue))
                writer.int64(execution.orderVersion)
                writer.int64(execution.orderQuantity)
                writer.int64(execution.quantity)
                writer.decimal(ticks: execution.price.ticks)
                writer.text("2024-11-14 14:30:00+00")
                try writer.endRow()
            }
        }
    }
}

func blockCode(_ id: Int64) -> String { "B20241114-\(String(repeating: "0", count: 7 - String(id).count))\(id)" }

/// What `body` throws, in words; empty when it throws nothing.
func errorText(_ body: () throws -> Void) -> String {
    do {
        try body()
        return ""
    } catch { return "\(error)" }
}
