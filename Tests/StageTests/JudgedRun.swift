// A stream of reports through real workers and real bookings, judged by the verifier: what the proofs of whole runs share.

import Allocations
import Booking
import Holdings
import Kafka
import Model
import Postgres
import Scenario
import TestSupport
import Threads

/// A database with blocks and their executions, through which streams are driven one after the other.
struct JudgedRun {
    let info: ConnectionInfo
    let connection: PostgresConnection

    struct Outcome {
        let topic: String
        let ends: [Int32: Int64]
        let checks: [CheckResult]
        let checksums: [String: String]
    }

    /// Empties the tables behind the trades stage, fills a new topic and lets workers and bookers drain it.
    /// - Parameter messages: with the partition that each is sent to.
    func drain(
        _ messages: [TopicMessage], partitions: Int, _ configuration: Configuration
    ) throws -> Outcome {
        try withTopic(partitions: partitions) { broker, topic in
            try connection.transaction { try HoldingsBooking.restorePositions(on: $0) }
            try AllocationsSource.truncate(on: connection)
            try AllocationsSource.receive(on: connection, topic: topic, partitions: partitions)
            try broker.publish(messages, to: topic)
            let ends = try broker.ends(topic)
            var plan = WorkerPlan(
                connection: info, kafka: broker.settings, topic: topic, partitions: (0..<partitions).map { Int32($0) },
                configuration: configuration, book: try AllocationsSource.book(on: connection))
            plan.endOffsets = ends
            let bookers = try BookingPool(BookingPlan(connection: info, workers: 1), stop: StopFlag())
            do {
                _ = try WorkerPool.run(plan, stop: StopFlag())
            } catch {
                bookers.abandon()
                _ = try? bookers.join()
                throw error
            }
            bookers.finish()
            _ = try bookers.join()
            return Outcome(
                topic: topic, ends: ends,
                checks: try Verifier.verify(on: connection, topic: topic, topicEnds: ends),
                checksums: try AllocationsVerification.checksums(on: connection))
        }
    }

    /// Everyone behind a block has an account, and enough of the block's security to sell.
    func addHoldings() throws {
        try connection.execute(
            """
            INSERT INTO holdings.managers (manager_id, name, manager_group) VALUES (1, 'manager', 1);
            INSERT INTO holdings.accounts (account_id, manager_id, name, cash)
              SELECT DISTINCT account_id, 1, 'account', 0 FROM orders.block_order_accounts;
            INSERT INTO holdings.positions (account_id, security_id, quantity)
              SELECT a.account_id, b.security_id, 1000000000 FROM orders.block_order_accounts AS a
              JOIN orders.block_orders AS b ON b.block_order_id = a.block_order_id WHERE b.side = 'SELL';
            """)
    }

    /// The block of a property test, with its reports.
    func add(_ block: RandomBlock) throws {
        let count = block.accounts.count
        try connection.query(
            """
            INSERT INTO orders.block_orders
              (block_order_id, block_order_code, trade_date, security_id, side, manager_group, quantity, account_count,
               lot_size, allocation_policy, policy_reason, minimum_ticket_lots)
            VALUES ($1, $2, $3::DATE, $1, $4, 1, $5, $6, $7, $8, 'a test', $9)
            """,
            .int64(block.id.rawValue), .text(blockCode(block.id.rawValue)), .text(tradingDay.description),
            .text(block.side.rawValue), .int64(block.quantity), .int64(Int64(count)), .int64(block.lotSize),
            .text(block.policy.rawValue), .int64(block.minimumTicketLots))
        try connection.query(
            """
            INSERT INTO orders.block_order_accounts (block_order_id, account_id, customer_order_id, quantity, target_broker)
            SELECT $1::INT8, account_id, arrival, quantity, CASE WHEN account_id % 3 = 0 THEN 'BROKER' ELSE '' END
            FROM unnest($2::INT8[], $3::INT8[], $4::INT8[]) AS t (account_id, arrival, quantity)
            """,
            .int64(block.id.rawValue), .int64Array(block.accounts.map(\.rawValue)), .int64Array(block.arrivals),
            .int64Array(block.ordered))
        try connection.addExecutions(block.reports)
    }
}

func withJudgedRun<R>(_ body: (JudgedRun) throws -> R) throws -> R {
    try withStages { info, connection in try body(JudgedRun(info: info, connection: connection)) }
}
