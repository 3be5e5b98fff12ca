// What workers have captured, against the executions. Each is wrong in one way.

extension Mutation {
    static let captures: [Mutation] = [
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
            INSERT INTO allocations.captured_trades (execution_id, block_order_id, is_busted)
            VALUES (99999, 1, false)
            """),
        Mutation(
            "a captured change is gone", ["executions_not_captured"],
            "DELETE FROM allocations.captured_changes WHERE execution_id = 402"),
        Mutation(
            "a captured change was never reported", ["changes_without_execution"],
            "INSERT INTO allocations.captured_changes VALUES (99999, 'REPLACED', 1, NULL, 9, 50, 0, 0)"),
        Mutation(
            "a captured replace has another quantity", ["changes_without_execution"],
            "UPDATE allocations.captured_changes SET order_quantity = order_quantity + 1 WHERE execution_id = 402"),
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
            "UPDATE allocations.captured_trades SET is_busted = false, was_reversed = false WHERE execution_id = 102"),
        Mutation(
            "a live execution counts as busted", ["busted_differ_from_busts"],
            "UPDATE allocations.captured_trades SET is_busted = true WHERE execution_id = 201"),
        Mutation(
            "an execution was reversed without a bust", ["busted_differ_from_busts"],
            "UPDATE allocations.captured_trades SET was_reversed = true WHERE execution_id = 201"),
        Mutation(
            "a bust did not find its execution", ["busts_wait_for_what_came", "executions_not_captured"],
            """
            UPDATE allocations.captured_trades SET quantity = NULL, price = NULL, was_reversed = false
            WHERE execution_id = 102
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
}
