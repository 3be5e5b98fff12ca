// Tables as allocation workers leave them, made by hand; what must be booked of them, told by SQL of its own.

import Allocations
import Booking
import Holdings
import Postgres
import Synchronization
import TestSupport
import Testing
import Threads

/// A database with the two schemas that booking touches, two hundred accounts, and a connection of the test's own.
struct BookingBench {
    let info: ConnectionInfo
    let connection: PostgresConnection

    static let friday = "2024-11-15"

    var stop: StopFlag { StopFlag() }

    func plan(workers: Int = 1, blocksPerTransaction: Int = 32) -> BookingPlan {
        var plan = BookingPlan(connection: info, workers: workers)
        plan.blocksPerTransaction = blocksPerTransaction
        return plan
    }

    /// Books everything that the outbox holds.
    @discardableResult
    func book(workers: Int = 1, blocksPerTransaction: Int = 32) throws -> BookingFigures {
        try BookingPool.run(plan(workers: workers, blocksPerTransaction: blocksPerTransaction), stop: stop).figures
    }

    // MARK: What comes before

    /// A received block with nothing filled. Accounts are 1, 2, … unless `firstAccount` says otherwise.
    func addBlock(
        _ id: Int64, side: String = "BUY", intended: [Int64], firstAccount: Int64 = 1, security: Int64? = nil,
        date: String = friday, broker: String = ""
    ) throws {
        let quantity = intended.reduce(0, +)
        try connection.query(
            """
            INSERT INTO allocations.block_fills (block_order_id, block_order_code, side, security_id, trade_date,
              allocation_policy, lot_size, minimum_ticket_lots, intended_quantity, order_quantity)
            VALUES ($1, 'B' || $1::TEXT, $2, $3, $4, 'pro_rata', 1, 1, $5, $5)
            """, .int64(id), .text(side), .int64(security ?? id), .text(date), .int64(quantity))
        for (index, shares) in intended.enumerated() {
            try connection.query(
                "INSERT INTO allocations.block_accounts VALUES ($1, $2, $3, $4, $5)",
                .int64(id), .int64(firstAccount + Int64(index)), .int64(shares), .int64(id * 1000 + Int64(index)),
                .text(broker))
        }
    }

    /// What an account holds before anything is booked.
    func hold(_ account: Int64, _ security: Int64, _ quantity: Int64) throws {
        try connection.query(
            "INSERT INTO holdings.positions VALUES ($1, $2, $3)", .int64(account), .int64(security), .int64(quantity))
    }

    /// The next snapshot of a block, as an allocation worker takes it, with its request.
    /// - Parameters:
    ///   - cumulative: what each account has now, in the order of accounts.
    ///   - notional: what all of it cost; the average price follows.
    ///   - session: the connection to take it on; nil for the bench's own, in a transaction of its own.
    func snapshot(
        _ block: Int64, _ cumulative: [Int64], notional: String, isFinal: Bool = true, isCanceled: Bool = false,
        request: Bool = true, firstAccount: Int64 = 1, on session: PostgresConnection? = nil
    ) throws {
        let own = session == nil
        let session = session ?? connection
        if own { try session.begin() }
        let number = try session.query(
            """
            UPDATE allocations.block_fills SET snapshot_number = snapshot_number + 1, cum_quantity = $2::INT8,
              notional = $3::NUMERIC, is_canceled = $4::BOOL, allocated_quantity = $2::INT8, allocated_is_final = $5::BOOL,
              allocated_is_canceled = $4::BOOL
            WHERE block_order_id = $1 RETURNING snapshot_number
            """, .int64(block), .int64(cumulative.reduce(0, +)), .text(notional), .bool(isCanceled), .bool(isFinal)
        ).int64(0, 0)
        try session.query(
            """
            INSERT INTO allocations.snapshots
            SELECT b, n, q, total, price, total - price * q, is_final
            FROM (SELECT $1::INT8 AS b, $2::INT8 AS n, $3::INT8 AS q, $4::NUMERIC AS total, $5::BOOL AS is_final,
                         CASE WHEN $3::INT8 = 0 THEN 0 ELSE round($4::NUMERIC / $3::INT8, 4) END AS price) AS s
            """, .int64(block), .int64(number), .int64(cumulative.reduce(0, +)), .text(notional), .bool(isFinal))
        try session.query(
            """
            INSERT INTO allocations.allocations
            SELECT $1::INT8, a.account_id, $2::INT8, a.quantity - a.before, a.quantity, s.average_price
            FROM (
              SELECT c.ordinality + $4::INT8 - 1 AS account_id, c.quantity,
                     coalesce((SELECT sum(quantity_delta) FROM allocations.allocations AS d
                       WHERE d.block_order_id = $1::INT8 AND d.account_id = c.ordinality + $4::INT8 - 1), 0)::INT8 AS before
              FROM unnest($3::INT8[]) WITH ORDINALITY AS c (quantity, ordinality)
            ) AS a, allocations.snapshots AS s
            WHERE s.block_order_id = $1::INT8 AND s.snapshot_number = $2::INT8 AND a.quantity <> a.before
            """, .int64(block), .int64(number), .int64Array(cumulative), .int64(firstAccount))
        if request { try self.request(block, number, on: session) }
        if own { try session.commit() }
    }

    func request(_ block: Int64, _ snapshot: Int64, on session: PostgresConnection? = nil) throws {
        try (session ?? connection).query(
            "INSERT INTO allocations.booking_outbox VALUES ($1, $2, clock_timestamp())", .int64(block), .int64(snapshot)
        )
    }

    // MARK: What comes after

    func lines(_ sql: String) throws -> [String] { try connection.lines(sql) }

    func number(_ sql: String) throws -> Int64 { try connection.query(sql).int64(0, 0) }

    var instructions: [String] {
        get throws {
            try lines(
                """
                SELECT alloc_id, coalesce(ref_alloc_id, '-'), alloc_trans_type, quantity, average_price
                FROM allocations.allocation_instructions ORDER BY block_order_id, account_id, instruction_version
                """)
        }
    }

    var positions: [String] {
        get throws { try lines("SELECT * FROM holdings.positions ORDER BY account_id, security_id") }
    }

    /// Everything that booking has written, times included where `withTimes`.
    func booked(withTimes: Bool = false) throws -> [String] {
        let at = withTimes ? "*" : ""
        return try lines(
            withTimes
                ? "SELECT \(at) FROM allocations.block_bookings ORDER BY 1"
                : """
                SELECT block_order_id, ord_status, intended_quantity, order_quantity, allocated_quantity, notional,
                       average_price, residual FROM allocations.block_bookings ORDER BY 1
                """)
            + lines(
                withTimes
                    ? "SELECT \(at) FROM allocations.account_audits ORDER BY 1, 2"
                    : """
                    SELECT block_order_id, account_id, security_id, intended_quantity, allocated_quantity, average_price
                    FROM allocations.account_audits ORDER BY 1, 2
                    """)
            + lines("SELECT * FROM allocations.settlement_instructions ORDER BY 1, 2")
            + lines("SELECT * FROM holdings.position_movements ORDER BY 1, 2") + positions
            + (withTimes ? instructions : [])
    }

    /// Where the booked tables aren't what the last snapshots say, worked out from the snapshots alone.
    func differences() throws -> [String] {
        let last = """
            WITH last AS (
              SELECT DISTINCT ON (s.block_order_id) s.*, f.side, f.security_id, f.is_canceled, f.order_quantity
              FROM allocations.snapshots AS s JOIN allocations.block_fills AS f ON f.block_order_id = s.block_order_id
              ORDER BY s.block_order_id, s.snapshot_number DESC
            ), shares AS (
              SELECT a.block_order_id, a.account_id, l.security_id, l.side, l.average_price, a.intended_quantity,
                     coalesce(sum(d.quantity_delta), 0)::INT8 AS quantity
              FROM last AS l JOIN allocations.block_accounts AS a ON a.block_order_id = l.block_order_id
              LEFT JOIN allocations.allocations AS d
                ON d.block_order_id = a.block_order_id AND d.account_id = a.account_id
              WHERE l.is_final AND l.cum_quantity > 0
              GROUP BY a.block_order_id, a.account_id, l.security_id, l.side, l.average_price, a.intended_quantity
            )
            """
        func compare(_ name: String, _ wanted: String, _ got: String) throws -> [String] {
            try connection.lines(
                """
                \(last), wanted AS (\(wanted)), got AS (\(got))
                (SELECT 'missing', * FROM (SELECT * FROM wanted EXCEPT ALL SELECT * FROM got) AS m)
                UNION ALL (SELECT 'unexpected', * FROM (SELECT * FROM got EXCEPT ALL SELECT * FROM wanted) AS u)
                """
            ).map { "\(name): \($0)" }
        }
        let checks: [(String, String, String)] = [
            (
                "bookings",
                """
                SELECT block_order_id, CASE WHEN is_canceled THEN 'CANCELED' ELSE 'FILLED' END, order_quantity,
                       cum_quantity, notional, average_price, residual FROM last WHERE is_final AND cum_quantity > 0
                """,
                """
                SELECT block_order_id, ord_status, order_quantity, allocated_quantity, notional, average_price, residual
                FROM allocations.block_bookings
                """
            ),
            (
                "audits",
                "SELECT block_order_id, account_id, security_id, intended_quantity, quantity, average_price FROM shares",
                """
                SELECT block_order_id, account_id, security_id, intended_quantity, allocated_quantity, average_price
                FROM allocations.account_audits
                """
            ),
            (
                "settlements",
                """
                SELECT block_order_id, account_id, side, quantity, average_price,
                       CASE side WHEN 'BUY' THEN -(quantity * average_price) ELSE quantity * average_price END
                FROM shares WHERE quantity > 0
                """,
                """
                SELECT block_order_id, account_id, side, quantity, average_price, net_money
                FROM allocations.settlement_instructions
                """
            ),
            (
                "movements",
                """
                SELECT block_order_id, account_id, security_id, CASE side WHEN 'BUY' THEN quantity ELSE -quantity END
                FROM shares WHERE quantity > 0
                """, "SELECT block_order_id, account_id, security_id, quantity FROM holdings.position_movements"
            ),
            (
                "valid instructions",
                "SELECT block_order_id, account_id, quantity, average_price FROM shares WHERE quantity > 0",
                """
                SELECT block_order_id, account_id, quantity, average_price FROM (
                  SELECT DISTINCT ON (block_order_id, account_id) * FROM allocations.allocation_instructions
                  ORDER BY block_order_id, account_id, instruction_version DESC) AS i WHERE alloc_trans_type <> 'CANCEL'
                """
            ),
            (
                "chain of instructions",
                """
                SELECT alloc_id, CASE WHEN alloc_trans_type <> 'NEW' THEN before END, row_number FROM (
                  SELECT *, lag(alloc_id) OVER w AS before, row_number() OVER w AS row_number
                  FROM allocations.allocation_instructions
                  WINDOW w AS (PARTITION BY block_order_id, account_id ORDER BY instruction_version)) AS i
                """,
                """
                SELECT block_order_id || '-' || account_id || '-' || instruction_version, ref_alloc_id,
                       instruction_version FROM allocations.allocation_instructions
                """
            ),
            (
                "cash", "SELECT block_order_id, notional FROM last WHERE is_final AND cum_quantity > 0",
                """
                SELECT k.block_order_id, abs(sum(s.net_money)) + k.residual FROM allocations.block_bookings AS k
                JOIN allocations.settlement_instructions AS s ON s.block_order_id = k.block_order_id
                GROUP BY k.block_order_id, k.residual
                """
            ),
        ]
        return try checks.flatMap(compare)
    }
}

extension PostgresConnection {
    /// All rows of a query as one line each, columns joined by blanks.
    func lines(_ sql: String) throws -> [String] {
        let result = try query(sql)
        return (0..<result.rowCount).map { row in
            (0..<result.columnCount).map { result.text(row, $0) ?? "null" }.joined(separator: " ")
        }
    }
}

func withBookingBench<R>(_ body: (BookingBench) throws -> R) throws -> R {
    try withTemporaryDatabase { info in
        let connection = try PostgresConnection.connect(to: info)
        defer { connection.close() }
        try HoldingsSchema.create(on: connection)
        try AllocationsSchema.create(on: connection)
        try connection.execute(
            """
            INSERT INTO holdings.managers (manager_id, name, manager_group) VALUES (1, 'm', 1);
            INSERT INTO holdings.accounts (account_id, manager_id, name, cash)
            SELECT i, 1, 'a' || i, 0 FROM generate_series(1, 200) AS i
            """)
        return try body(BookingBench(info: info, connection: connection))
    }
}

/// What `body` throws, in words; empty when it throws nothing.
func errorText(_ body: () throws -> Void) -> String {
    do {
        try body()
        return ""
    } catch { return "\(error)" }
}
