// The fills and snapshots of blocks, and how the blocks were received, against orders, executions and outcomes. Each is wrong in one way.

extension Mutation {
    static let fills: [Mutation] = [
        Mutation(
            "a fill is counted twice", [blocksOracle, "fills_differ_from_executions"],
            "UPDATE allocations.block_fills SET execution_count = execution_count + 1 WHERE block_order_id = 1"),
        Mutation(
            "a share too many is filled", [blocksOracle, "fills_differ_from_executions"],
            "UPDATE allocations.block_fills SET cum_quantity = cum_quantity + 1 WHERE block_order_id = 3"),
        Mutation(
            "a notional is a tick too high", [blocksOracle, "fills_differ_from_executions"],
            "UPDATE allocations.block_fills SET notional = notional + 0.0001 WHERE block_order_id = 3"),
        Mutation(
            "a block is filled beyond its order",
            [blocksOracle, "order_states_differ_from_changes", "overfilled_blocks"],
            "UPDATE allocations.block_fills SET order_quantity = 359 WHERE block_order_id = 3"),
        Mutation(
            "a replace had no effect",
            [blocksOracle, "order_states_differ_from_changes", "outcomes_differ_from_fills"],
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
            "UPDATE trades.block_outcomes SET average_price = average_price + 0.0001 WHERE block_order_id = 2"),
        Mutation(
            "a block ended that still fills", ["outcomes_differ_from_fills"],
            "INSERT INTO trades.block_outcomes VALUES (3, 'FILLED', 0, 1000, 360, 640, 10.0301)"),
        Mutation(
            "a block was received with another quantity",
            ["block_bookings_differ", "blocks_differ_from_accounts", "blocks_differ_from_orders"],
            "UPDATE allocations.block_fills SET intended_quantity = intended_quantity + 1 WHERE block_order_id = 2"),
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
            UPDATE allocations.block_accounts SET intended_quantity = intended_quantity + 1
            WHERE block_order_id = 3 AND account_id = 1
            """),
        Mutation(
            "an account was received with another broker", ["accounts_differ_from_orders"],
            """
            UPDATE allocations.block_accounts SET target_broker = 'OTHER'
            WHERE block_order_id = 3 AND account_id = 1
            """),
        Mutation(
            "an account was not received",
            ["accounts_differ_from_orders", "blocks_differ_from_accounts", "quota_broken"],
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
            "UPDATE allocations.block_fills SET cum_quantity = 100, notional = 1003.01 WHERE block_order_id = 3"),
        Mutation(
            "a snapshot is counted that wasn't taken", ["snapshots_differ_from_fills"],
            "UPDATE allocations.block_fills SET snapshot_number = snapshot_number + 1 WHERE block_order_id = 3"),
        Mutation(
            "the last snapshot was of another quantity", ["snapshots_differ_from_fills"],
            "UPDATE allocations.block_fills SET allocated_quantity = allocated_quantity - 1 WHERE block_order_id = 3"),
        Mutation(
            "the last snapshot of a filled block was not final",
            [
                "account_audits_differ", "block_bookings_differ", blocksOracle, "instructions_differ",
                "movements_differ",
                "settlements_differ", "snapshots_differ_from_fills",
            ],
            "UPDATE allocations.snapshots SET is_final = false WHERE block_order_id = 2 AND cum_quantity = 5000"),
        Mutation(
            "a snapshot's row is gone",
            ["average_prices_differ", "snapshot_sums_differ", "snapshots_differ_from_fills"],
            "DELETE FROM allocations.snapshots WHERE block_order_id = 2 AND snapshot_number = 1"),
    ]
}
