// Goal: the verifier can fail. Method: a clean run's tables, changed in one way at a time inside a transaction that is
// rolled back; each change must be reported by exactly the checks that it breaks.

import Allocations
import Model
import Postgres
import Scenario
import TestSupport
import Testing

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
private struct CleanRun {
    let run: JudgedRun
    let outcome: JudgedRun.Outcome
    var connection: PostgresConnection { run.connection }

    func verify() throws -> [CheckResult] {
        try Verifier.verify(on: connection, topic: outcome.topic, topicEnds: outcome.ends)
    }
}

private func withCleanRun<R>(_ body: (CleanRun) throws -> R) throws -> R {
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
private func cleanExecutions() -> [Execution] {
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

/// One way to break the tables, and who must notice.
private struct Mutation {
    let what: String
    let sql: String
    let findings: Set<String>

    init(_ what: String, _ findings: Set<String>, _ sql: String) {
        self.what = what
        self.sql = sql
        self.findings = findings
    }
}

private let blocksOracle = "blocks_differ_from_oracle"
private let oracle = "allocations_differ_from_oracle"
private let bookingsOracle = "bookings_differ_from_oracle"

private let mutations = captureMutations + blockMutations + allocationMutations + bookingMutations + messageMutations

private let captureMutations = [
    Mutation(
        "a captured trade is gone", ["executions_not_captured"],
        "DELETE FROM allocations.captured_trades WHERE execution_id = 201"),
    Mutation(
        "a captured trade has another quantity", ["captured_without_execution"],
        "UPDATE allocations.captured_trades SET quantity = quantity + 1 WHERE execution_id = 201"),
    Mutation(
        "a captured trade has another price", ["captured_without_execution"],
        "UPDATE allocations.captured_trades SET price = price + 0.0001 WHERE execution_id = 201"),
    Mutation(
        "a captured trade has another block", ["captured_without_execution"],
        "UPDATE allocations.captured_trades SET block_order_id = 3 WHERE execution_id = 201"),
    Mutation(
        "a captured trade was not filled", ["captured_without_execution"],
        "UPDATE allocations.captured_trades SET filled = false WHERE execution_id = 201"),
    Mutation(
        "a captured trade was never executed", ["captured_without_execution"],
        """
        INSERT INTO allocations.captured_trades (execution_id, block_order_id, quantity, price, is_busted)
        VALUES (99999, 1, 50, 10, false)
        """),
    Mutation(
        "a row waits for an execution that no bust names", ["captured_without_execution"],
        """
        INSERT INTO allocations.captured_trades (execution_id, block_order_id, is_busted) VALUES (99999, 1,
        false)
        """),
    Mutation(
        "a captured change is gone", ["executions_not_captured"],
        "DELETE FROM allocations.captured_changes WHERE execution_id = 402"),
    Mutation(
        "a captured change was never reported", ["changes_without_execution"],
        "INSERT INTO allocations.captured_changes VALUES (99999, 'REPLACED', 1, NULL, 9, 50, 0, 0)"),
    Mutation(
        "a captured replace has another quantity", ["changes_without_execution"],
        """
        UPDATE allocations.captured_changes SET order_quantity = order_quantity + 1 WHERE execution_id = 402
        """),
    Mutation(
        "a captured replace is of another version", ["changes_without_execution"],
        "UPDATE allocations.captured_changes SET order_version = 7 WHERE execution_id = 402"),
    Mutation(
        "a captured bust names another execution", ["changes_without_execution"],
        "UPDATE allocations.captured_changes SET exec_ref_id = 101 WHERE execution_id = 107"),
    Mutation(
        "a captured cancel was a replace", ["changes_without_execution"],
        "UPDATE allocations.captured_changes SET exec_type = 'REPLACED' WHERE execution_id = 404"),
    Mutation(
        "a busted execution counts as live", ["busted_differ_from_busts"],
        """
        UPDATE allocations.captured_trades SET is_busted = false, was_reversed = false WHERE execution_id =
        102
        """),
    Mutation(
        "a live execution counts as busted", ["busted_differ_from_busts"],
        "UPDATE allocations.captured_trades SET is_busted = true WHERE execution_id = 201"),
    Mutation(
        "an execution was reversed without a bust", ["busted_differ_from_busts"],
        "UPDATE allocations.captured_trades SET was_reversed = true WHERE execution_id = 201"),
    Mutation(
        "a bust did not find its execution", ["busts_wait_for_what_came", "executions_not_captured"],
        """
        UPDATE allocations.captured_trades SET quantity = NULL, price = NULL, was_reversed = false WHERE
        execution_id = 102
        """),
    Mutation(
        "an execution never arrived", [blocksOracle, "executions_not_captured", "fills_differ_from_executions"],
        "INSERT INTO trades.executions VALUES (99999, 'TRADE', NULL, 3, 'x', 0, 1000, 50, 10, now())"),
    Mutation(
        "an execution belongs to no block", ["executions_not_captured", "fills_differ_from_executions"],
        "INSERT INTO trades.executions VALUES (99999, 'TRADE', NULL, 77, 'x', 0, 1000, 50, 10, now())"),
    Mutation(
        "a bust never arrived",
        [
            blocksOracle, bookingsOracle, "busted_differ_from_busts", "executions_not_captured",
            "fills_differ_from_executions",
        ],
        "INSERT INTO trades.executions VALUES (99999, 'TRADE_CANCEL', 201, 2, 'x', 0, 5000, 0, 0, now())"),
    Mutation(
        "a replace never arrived", [blocksOracle, "executions_not_captured", "order_states_differ_from_changes"],
        "INSERT INTO trades.executions VALUES (99999, 'REPLACED', NULL, 3, 'x', 1, 900, 0, 0, now())"),
    Mutation(
        "an execution has another price than what was filled",
        [blocksOracle, bookingsOracle, "captured_without_execution", "fills_differ_from_executions"],
        "UPDATE trades.executions SET price = price + 5 WHERE execution_id = 201"),
]

private let blockMutations = [
    Mutation(
        "a fill is counted twice", [blocksOracle, "fills_differ_from_executions"],
        """
        UPDATE allocations.block_fills SET execution_count = execution_count + 1 WHERE block_order_id = 1
        """),
    Mutation(
        "a share too many is filled", [blocksOracle, "fills_differ_from_executions"],
        "UPDATE allocations.block_fills SET cum_quantity = cum_quantity + 1 WHERE block_order_id = 3"),
    Mutation(
        "a notional is a tick too high", [blocksOracle, "fills_differ_from_executions"],
        "UPDATE allocations.block_fills SET notional = notional + 0.0001 WHERE block_order_id = 3"),
    Mutation(
        "a block is filled beyond its order", [blocksOracle, "order_states_differ_from_changes", "overfilled_blocks"],
        "UPDATE allocations.block_fills SET order_quantity = 359 WHERE block_order_id = 3"),
    Mutation(
        "a replace had no effect", [blocksOracle, "order_states_differ_from_changes", "outcomes_differ_from_fills"],
        "UPDATE allocations.block_fills SET order_version = 0 WHERE block_order_id = 1"),
    Mutation(
        "a cancel had no effect",
        [
            "block_bookings_differ", blocksOracle, "order_states_differ_from_changes", "outcomes_differ_from_fills",
            "snapshots_overdue",
        ],
        "UPDATE allocations.block_fills SET is_canceled = false WHERE block_order_id = 4"),
    Mutation(
        "the market says another state", ["outcomes_differ_from_fills"],
        "UPDATE trades.block_outcomes SET ord_status = 'CANCELED' WHERE block_order_id = 1"),
    Mutation(
        "the market says another quantity", ["outcomes_differ_from_fills"],
        "UPDATE trades.block_outcomes SET leaves_quantity = 1 WHERE block_order_id = 2"),
    Mutation(
        "the market says another price", ["outcomes_differ_from_fills"],
        """
        UPDATE trades.block_outcomes SET average_price = average_price + 0.0001 WHERE block_order_id = 2
        """),
    Mutation(
        "a block ended that still fills", ["outcomes_differ_from_fills"],
        "INSERT INTO trades.block_outcomes VALUES (3, 'FILLED', 0, 1000, 360, 640, 10.0301)"),
    Mutation(
        "a block was received with another quantity",
        ["block_bookings_differ", "blocks_differ_from_accounts", "blocks_differ_from_orders"],
        """
        UPDATE allocations.block_fills SET intended_quantity = intended_quantity + 1 WHERE block_order_id =
        2
        """),
    Mutation(
        "a block was received with another policy", ["block_bookings_differ", "blocks_differ_from_orders"],
        "UPDATE allocations.block_fills SET allocation_policy = 'equal' WHERE block_order_id = 2"),
    Mutation(
        "a block was received with another side", ["blocks_differ_from_orders"],
        "UPDATE allocations.block_fills SET side = 'BUY' WHERE block_order_id = 5"),
    Mutation(
        "a block was never received",
        [
            "account_audits_differ", "block_bookings_differ", blocksOracle, "blocks_differ_from_orders",
            "fills_differ_from_executions", "instructions_differ", "movements_differ", "outcomes_differ_from_fills",
            "settlements_differ", "snapshots_differ_from_fills",
        ],
        "DELETE FROM allocations.block_fills WHERE block_order_id = 2"),
    Mutation(
        "an account was received with another quantity",
        ["accounts_differ_from_orders", "blocks_differ_from_accounts"],
        """
        UPDATE allocations.block_accounts SET intended_quantity = intended_quantity + 1 WHERE block_order_id
        = 3 AND account_id = 1
        """),
    Mutation(
        "an account was received with another broker", ["accounts_differ_from_orders"],
        """
        UPDATE allocations.block_accounts SET target_broker = 'OTHER' WHERE block_order_id = 3 AND
        account_id = 1
        """),
    Mutation(
        "an account was not received", ["accounts_differ_from_orders", "blocks_differ_from_accounts", "quota_broken"],
        "DELETE FROM allocations.block_accounts WHERE block_order_id = 3 AND account_id = 2"),
    Mutation(
        "an ended block lacks its last snapshot",
        [blocksOracle, "order_states_differ_from_changes", "snapshots_overdue"],
        """
        DELETE FROM allocations.snapshots WHERE block_order_id = 7;
        DELETE FROM allocations.allocations WHERE block_order_id = 7;
        UPDATE allocations.block_fills SET snapshot_number = 0, allocated_quantity = 0, allocated_notional = 0, is_canceled = true
        WHERE block_order_id = 7
        """),
    Mutation(
        "a bust was not taken back", [blocksOracle, "fills_differ_from_executions", "snapshots_overdue"],
        """
        UPDATE allocations.block_fills SET cum_quantity = 100, notional = 1003.01 WHERE block_order_id = 3
        """),
    Mutation(
        "a snapshot is counted that wasn't taken", ["snapshots_differ_from_fills"],
        """
        UPDATE allocations.block_fills SET snapshot_number = snapshot_number + 1 WHERE block_order_id = 3
        """),
    Mutation(
        "the last snapshot was of another quantity", ["snapshots_differ_from_fills"],
        """
        UPDATE allocations.block_fills SET allocated_quantity = allocated_quantity - 1 WHERE block_order_id
        = 3
        """),
    Mutation(
        "the last snapshot of a filled block was not final",
        [
            "account_audits_differ", "block_bookings_differ", blocksOracle, "instructions_differ", "movements_differ",
            "settlements_differ", "snapshots_differ_from_fills",
        ],
        """
        UPDATE allocations.snapshots SET is_final = false WHERE block_order_id = 2 AND cum_quantity = 5000
        """),
    Mutation(
        "a snapshot's row is gone", ["average_prices_differ", "snapshot_sums_differ", "snapshots_differ_from_fills"],
        "DELETE FROM allocations.snapshots WHERE block_order_id = 2 AND snapshot_number = 1"),
]

private let allocationMutations = [
    Mutation(
        "a snapshot claims a share too many", ["cash_not_conserved", "quota_broken", "snapshot_sums_differ"],
        """
        UPDATE allocations.snapshots SET cum_quantity = cum_quantity + 1 WHERE block_order_id = 2 AND
        snapshot_number = 1
        """),
    Mutation(
        "allocations stand without a snapshot", [oracle, "average_prices_differ"],
        """
        INSERT INTO allocations.allocations VALUES (3, 1, 99, 1, 157, 10.0301), (3, 2, 99, -1, 103, 10.0301)
        """),
    Mutation(
        "an allocation's change is a share too high",
        [oracle, "deltas_differ_from_cumulative", "snapshot_sums_differ"],
        """
        UPDATE allocations.allocations SET quantity_delta = quantity_delta + 1 WHERE block_order_id = 3 AND
        account_id = 1 AND snapshot_number = 1
        """),
    Mutation(
        "an account's sum is a share too high", ["deltas_differ_from_cumulative"],
        """
        UPDATE allocations.allocations SET quantity_cumulative = quantity_cumulative + 1 WHERE
        block_order_id = 3 AND account_id = 1 AND snapshot_number = 1
        """),
    Mutation(
        "two accounts are two shares off their proportion", [oracle, "quota_broken"],
        """
        UPDATE allocations.allocations SET quantity_delta = quantity_delta + CASE account_id WHEN 1 THEN 2 ELSE -2 END,
          quantity_cumulative = quantity_cumulative + CASE account_id WHEN 1 THEN 2 ELSE -2 END WHERE block_order_id = 3
        """),
    Mutation(
        "two accounts are swapped within their proportion", [oracle],
        """
        UPDATE allocations.allocations SET quantity_delta = quantity_delta + CASE account_id WHEN 1 THEN 1 ELSE -1 END,
          quantity_cumulative = quantity_cumulative + CASE account_id WHEN 1 THEN 1 ELSE -1 END WHERE block_order_id = 3
        """),
    Mutation(
        "an account got more than it ordered", ["allocations_beyond_orders", oracle, "arrival_order_broken"],
        """
        UPDATE allocations.allocations SET quantity_delta = 101, quantity_cumulative = 101
        WHERE block_order_id = 5 AND account_id = 1;
        UPDATE allocations.allocations SET quantity_delta = 19, quantity_cumulative = 19 WHERE block_order_id = 5 AND account_id = 2
        """),
    Mutation(
        "who came later got shares before who came first", [oracle, "arrival_order_broken"],
        """
        UPDATE allocations.allocations SET quantity_delta = 90, quantity_cumulative = 90
        WHERE block_order_id = 5 AND account_id = 1;
        UPDATE allocations.allocations SET quantity_delta = 30, quantity_cumulative = 30 WHERE block_order_id = 5 AND account_id = 2
        """),
    Mutation(
        "one of equals got more than another", [oracle, "equality_broken"],
        """
        UPDATE allocations.allocations SET quantity_delta = 60, quantity_cumulative = 60
        WHERE block_order_id = 7 AND account_id = 1;
        UPDATE allocations.allocations SET quantity_delta = 40, quantity_cumulative = 40 WHERE block_order_id = 7 AND account_id = 2
        """),
    Mutation(
        "two accounts have less than their minimum ticket", [oracle, "minimum_tickets_broken"],
        """
        DELETE FROM allocations.allocations WHERE block_order_id = 6;
        INSERT INTO allocations.allocations VALUES (6, 1, 1, 30, 30, 10.0601), (6, 2, 1, 40, 40, 10.0601), (6, 3, 1, 230, 230, 10.0601)
        """),
    Mutation(
        "an account got nothing", [oracle, "quota_broken", "snapshot_sums_differ"],
        "DELETE FROM allocations.allocations WHERE block_order_id = 3 AND account_id = 2"),
    Mutation(
        "an account got shares that ordered none", [oracle, "allocations_without_account", "snapshot_sums_differ"],
        "INSERT INTO allocations.allocations VALUES (3, 99, 1, 1, 1, 10.0301)"),
    Mutation(
        "an account paid another price", ["average_prices_differ"],
        """
        UPDATE allocations.allocations SET average_price = average_price + 0.0001 WHERE block_order_id = 3
        AND account_id = 1
        """),
    Mutation(
        "a residual is a tick off", ["cash_not_conserved"],
        """
        UPDATE allocations.snapshots SET residual = residual + 0.0001 WHERE block_order_id = 2 AND
        snapshot_number = 1
        """),
    Mutation(
        "a price is not the nearest tick", ["cash_not_conserved"],
        """
        UPDATE allocations.snapshots SET average_price = average_price + 0.0001, residual = residual - 0.0001 * cum_quantity
        WHERE block_order_id = 2 AND snapshot_number = 1;
        UPDATE allocations.allocations SET average_price = average_price + 0.0001 WHERE block_order_id = 2 AND snapshot_number = 1
        """),
    Mutation(
        "a half was rounded down", [blocksOracle, "cash_not_conserved"],
        """
        UPDATE allocations.snapshots SET cum_quantity = 2, average_price = 10, notional = 20.0001, residual = 0.0001
        WHERE block_order_id = 7;
        UPDATE allocations.block_fills SET allocated_quantity = 2, allocated_notional = 20.0001 WHERE block_order_id = 7;
        DELETE FROM allocations.allocations WHERE block_order_id = 7;
        INSERT INTO allocations.allocations VALUES (7, 1, 1, 1, 1, 10), (7, 2, 1, 1, 1, 10)
        """),
]

private let bookingMutations = [
    Mutation(
        "a booking is requested and not made", ["bookings_left_behind"],
        "INSERT INTO allocations.booking_outbox VALUES (2, 1, now())"),
    Mutation(
        "a block is not booked", ["block_bookings_differ", bookingsOracle],
        "DELETE FROM allocations.block_bookings WHERE block_order_id = 4"),
    Mutation(
        "a block is booked that still fills", ["block_bookings_differ", bookingsOracle, "settled_cash_not_conserved"],
        """
        INSERT INTO allocations.block_bookings VALUES (7, 'FILLED', 'equal', 300, 300, 150, 1501.05,
        10.0070, 0, 1, now())
        """),
    Mutation(
        "a block is booked as filled that was canceled", ["block_bookings_differ", bookingsOracle],
        "UPDATE allocations.block_bookings SET ord_status = 'FILLED' WHERE block_order_id = 4"),
    Mutation(
        "a block is booked by an earlier snapshot", ["block_bookings_differ"],
        """
        UPDATE allocations.block_bookings SET snapshot_number = snapshot_number - 1 WHERE block_order_id = 2
        """),
    Mutation(
        "a booked residual is a tick off", ["block_bookings_differ", bookingsOracle, "settled_cash_not_conserved"],
        "UPDATE allocations.block_bookings SET residual = residual + 0.0001 WHERE block_order_id = 2"),
    Mutation(
        "an audit is missing", ["account_audits_differ", bookingsOracle],
        "DELETE FROM allocations.account_audits WHERE block_order_id = 1 AND account_id = 1"),
    Mutation(
        "an audit says another intention", ["account_audits_differ", bookingsOracle],
        """
        UPDATE allocations.account_audits SET intended_quantity = 1 WHERE block_order_id = 1 AND account_id
        = 1
        """),
    Mutation(
        "an audit says another allocation", ["account_audits_differ", bookingsOracle],
        """
        UPDATE allocations.account_audits SET allocated_quantity = 1 WHERE block_order_id = 1 AND account_id
        = 1
        """),
    Mutation(
        "an instruction is missing", [bookingsOracle, "instructions_differ"],
        "DELETE FROM allocations.allocation_instructions WHERE block_order_id = 4 AND account_id = 1"),
    Mutation(
        "an instruction is of another quantity", [bookingsOracle, "instructions_differ"],
        """
        UPDATE allocations.allocation_instructions SET quantity = quantity + 1 WHERE block_order_id = 4 AND
        account_id = 1
        """),
    Mutation(
        "an instruction goes to another broker", ["instructions_differ"],
        """
        UPDATE allocations.allocation_instructions SET target_broker = '' WHERE block_order_id = 1 AND
        account_id = 2
        """),
    Mutation(
        "instructions have a gap", ["instruction_histories_broken"],
        """
        UPDATE allocations.allocation_instructions SET instruction_version = 2 WHERE block_order_id = 4 AND
        account_id = 1
        """),
    Mutation(
        "the first instruction replaces another", ["instruction_histories_broken"],
        """
        UPDATE allocations.allocation_instructions SET alloc_trans_type = 'REPLACE', ref_alloc_id = 'x'
        WHERE block_order_id = 4 AND account_id = 1
        """),
    Mutation(
        "an instruction replaces one that it doesn't name", ["instruction_histories_broken"],
        """
        INSERT INTO allocations.allocation_instructions
        SELECT 'other', 'unknown', 'REPLACE', block_order_id, account_id, 2, quantity, average_price, target_broker
        FROM allocations.allocation_instructions WHERE block_order_id = 4 AND account_id = 1
        """),
    Mutation(
        "a second instruction is new", ["instruction_histories_broken"],
        """
        INSERT INTO allocations.allocation_instructions
        SELECT 'other', NULL, 'NEW', block_order_id, account_id, 2, quantity, average_price, target_broker
        FROM allocations.allocation_instructions WHERE block_order_id = 4 AND account_id = 1
        """),
    Mutation(
        "a settlement is missing", [bookingsOracle, "settled_cash_not_conserved", "settlements_differ"],
        "DELETE FROM allocations.settlement_instructions WHERE block_order_id = 4 AND account_id = 1"),
    Mutation(
        "a settlement is a tick off", [bookingsOracle, "settled_cash_not_conserved", "settlements_differ"],
        """
        UPDATE allocations.settlement_instructions SET net_money = net_money + 0.0001 WHERE block_order_id =
        2
        """),
    Mutation(
        "a buyer gets the money", [bookingsOracle, "settled_cash_not_conserved", "settlements_differ"],
        """
        UPDATE allocations.settlement_instructions SET net_money = -net_money WHERE block_order_id = 1 AND
        account_id = 4
        """),
    Mutation(
        "a settlement is a day late", [bookingsOracle, "settlements_differ"],
        """
        UPDATE allocations.settlement_instructions SET settlement_date = settlement_date + 1 WHERE
        block_order_id = 2
        """),
    Mutation(
        "a settlement goes to another broker", ["settlements_differ"],
        """
        UPDATE allocations.settlement_instructions SET target_broker = '' WHERE block_order_id = 1 AND
        account_id = 2
        """),
    Mutation(
        "a position moved twice", [bookingsOracle, "movements_differ"],
        "UPDATE holdings.position_movements SET quantity = 2 * quantity WHERE block_order_id = 2"),
    Mutation(
        "a position moved the other way", [bookingsOracle, "movements_differ"],
        """
        UPDATE holdings.position_movements SET quantity = -quantity WHERE block_order_id = 4 AND account_id
        = 1
        """),
    Mutation(
        "a position did not move", [bookingsOracle, "movements_differ"],
        "DELETE FROM holdings.position_movements WHERE block_order_id = 4 AND account_id = 1"),
    Mutation(
        "a position moved in another security", [bookingsOracle, "movements_differ"],
        """
        UPDATE holdings.position_movements SET security_id = 99 WHERE block_order_id = 4 AND account_id = 1
        """),
    Mutation(
        "a position is below nothing", ["positions_negative"],
        """
        ALTER TABLE holdings.positions DROP CONSTRAINT positions_quantity_check;
        UPDATE holdings.positions SET quantity = -1 WHERE account_id = 1 AND security_id = 2
        """),
]

private let messageMutations = [
    Mutation(
        "an offset stands before the end", ["offsets_differ_from_topic"],
        "UPDATE allocations.consumer_offsets SET next_offset = next_offset - 1 WHERE topic_partition = 1"),
    Mutation(
        "an offset stands behind the end", ["offsets_differ_from_topic"],
        "UPDATE allocations.consumer_offsets SET next_offset = next_offset + 1 WHERE topic_partition = 1"),
    Mutation(
        "a partition was never consumed", ["offsets_differ_from_topic"],
        "DELETE FROM allocations.consumer_offsets WHERE topic_partition = 1"),
    Mutation(
        "a message is staged", ["staged_left_behind"],
        "INSERT INTO allocations.staged_trades VALUES (0, 5, 5, 1, 0, 1, 0, 0, 50, 10)"),
    Mutation(
        "a message is parked", ["parked_messages"],
        """
        INSERT INTO allocations.parked_messages VALUES ('t', 0, 500, 'B', 'malformed message: JSON', NULL)
        """),
    Mutation(
        "a message is parked and applied", ["parked_but_applied", "parked_messages"],
        """
        INSERT INTO allocations.parked_messages VALUES ('t', 0, 0, 'B', 'malformed message: JSON', NULL)
        """),
    Mutation(
        "more is allocated than there is",
        [
            blocksOracle, "fills_differ_from_executions", "order_states_differ_from_changes",
            "snapshots_differ_from_fills",
        ],
        """
        UPDATE allocations.block_fills SET order_quantity = 2000, cum_quantity = 1500, allocated_quantity = 1500
        WHERE block_order_id = 3
        """),
    Mutation(
        "a block that was never ordered is allocated",
        [
            oracle, "allocations_without_account", "average_prices_differ", "blocks_differ_from_accounts", blocksOracle,
            "blocks_differ_from_orders",
        ],
        """
        INSERT INTO allocations.block_fills
        SELECT 77, 'x', side, security_id, trade_date, allocation_policy, lot_size, minimum_ticket_lots, intended_quantity,
          order_quantity, 0, false, 0, 0, 0, 0, 0, 0, 0, false FROM allocations.block_fills WHERE block_order_id = 3;
        INSERT INTO allocations.allocations VALUES (77, 1, 1, 1, 1, 10)
        """),
]
@Suite struct VerifierTests {
    @Test func `every way to break the tables is reported by exactly the checks that it breaks`() throws {
        try withCleanRun { run in
            let clean = run.outcome.checks
            #expect(clean.isClean, "\(clean.differenceLines)")
            for mutation in mutations {
                try run.connection.begin()
                try run.connection.execute(mutation.sql)
                let checks = try run.verify()
                #expect(Set(checks.findings.keys) == mutation.findings, "\(mutation.what): \(checks.differenceLines)")
                #expect(!checks.isClean)
                try run.connection.rollback()
            }
            let isCleanAgain = try run.verify().isClean
            #expect(isCleanAgain, "the mutations are undone")
            let covered = mutations.reduce(into: Set<String>()) { $0.formUnion($1.findings) }
            #expect(covered == Set(clean.map(\.name)), "every check of verify.sql, and the oracle, has its mutation")
        }
    }

    @Test func `a final table that differs has another checksum, and history has none`() throws {
        try withCleanRun { run in
            let sums = run.outcome.checksums
            func changed(_ sql: String) throws -> [String] {
                try run.connection.begin()
                defer { try? run.connection.rollback() }
                try run.connection.execute(sql)
                let after = try AllocationsVerification.checksums(on: run.connection)
                return sums.keys.filter { sums[$0] != after[$0] }.sorted()
            }
            let history = """
                UPDATE allocations.snapshots SET cum_quantity = 1 WHERE block_order_id = 2 AND snapshot_number = 1;
                UPDATE allocations.captured_trades SET was_reversed = false, topic_offset = 0;
                UPDATE allocations.block_bookings SET booked_at = now(), snapshot_number = 9;
                UPDATE allocations.account_audits SET allocated_at = now();
                DELETE FROM allocations.allocation_instructions
                """
            let byHistory = try changed(history)
            #expect(byHistory == [])
            let tables = [
                "block_bookings": "average_price = 1", "account_audits": "average_price = 1",
                "block_fills": "notional = 1",
                "settlement_instructions": "settlement_date = settlement_date + 1", "snapshots": "residual = 1",
                "captured_changes": "order_version = 9", "captured_trades": "price = 1",
            ]
            for (table, change) in tables {
                let differing = try changed("UPDATE allocations.\(table) SET \(change)")
                #expect(differing == [table])
            }
            let byMovements = try changed("UPDATE holdings.position_movements SET quantity = 1")
            #expect(byMovements == ["position_movements"])
            let byAllocations = try changed(
                "UPDATE allocations.allocations SET quantity_delta = 1 WHERE block_order_id = 2")
            #expect(byAllocations == ["allocations"])
        }
    }

    @Test func `a bust of an execution that never comes is told, and is no difference`() throws {
        try withCleanRun { run in
            #expect(run.outcome.checks.isClean)
            let waiting = try AllocationsVerification.waitingBustCount(on: run.connection)
            #expect(waiting == 1)
        }
    }

    @Test func `what is changed is what is shown, and only the first few of many`() throws {
        try withCleanRun { run in
            try run.connection.begin()
            try run.connection.execute(
                "UPDATE allocations.consumer_offsets SET next_offset = 3 WHERE topic_partition = 0")
            let end = try #require(run.outcome.ends[0])
            let offsetLines = try run.verify().differenceLines
            #expect(
                offsetLines
                    == ["offsets_differ_from_topic: 1 differences", "  partition 0: expected \(end), found 3"])
            try run.connection.execute("DELETE FROM allocations.captured_trades WHERE quantity > 0")
            let lines = try run.verify().differenceLines
            let trades = cleanExecutions().count { $0.type == .trade }
            #expect(lines[0] == "executions_not_captured: \(trades) differences")
            #expect(lines[1] == "  execution 101: expected captured once, found not captured")
            #expect(lines.filter { $0.hasPrefix("  execution") }.count == AllocationsVerification.shownCount)
            try run.connection.rollback()
        }
    }

    @Test func `the oracle tells which column of which row differs`() throws {
        try withCleanRun { run in
            try run.connection.begin()
            try run.connection.execute(
                "UPDATE allocations.settlement_instructions SET net_money = net_money + 1 WHERE block_order_id = 2")
            let last = try run.verify().differenceLines.last
            #expect(
                last
                    == "  block 2 account 1: expected settlement instruction with net money 50101.5000, "
                    + "found settlement instruction with net money 50102.5000")
            try run.connection.rollback()
        }
    }

    @Test func `without the topic's ends the offsets are not checked, without bookings these`() throws {
        try withCleanRun { run in
            try run.connection.execute(
                "UPDATE allocations.consumer_offsets SET next_offset = 0; DELETE FROM allocations.block_bookings")
            let checks = try Verifier.verify(
                on: run.connection, topic: run.outcome.topic, topicEnds: nil, includesBookings: false)
            #expect(checks.isClean && !checks.map(\.name).contains("offsets_differ_from_topic"))
            #expect(!checks.map(\.name).contains("block_bookings_differ"))
        }
    }

    @Test func `a run in which nothing happened fails for every execution`() throws {
        try withCleanRun { run in
            try AllocationsSource.truncate(on: run.connection)
            try AllocationsSource.receive(on: run.connection, topic: run.outcome.topic, partitions: 2)
            let findings = try run.verify().findings
            #expect(findings["executions_not_captured"] == Int64(cleanExecutions().count))
            #expect(findings["fills_differ_from_executions"] == 7)
            #expect(findings["offsets_differ_from_topic"] == 2)
            #expect(findings[blocksOracle] != nil && findings[bookingsOracle] != nil)
        }
    }
}
