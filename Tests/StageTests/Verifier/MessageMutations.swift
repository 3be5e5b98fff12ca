// Offsets, messages that were left over, and blocks that nobody ordered. Each is wrong in one way.

extension Mutation {
    static let messages: [Mutation] = [
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
            "INSERT INTO allocations.parked_messages VALUES ('t', 0, 500, 'B', 'malformed message: JSON', NULL)"),
        Mutation(
            "a message is parked and applied", ["parked_but_applied", "parked_messages"],
            "INSERT INTO allocations.parked_messages VALUES ('t', 0, 0, 'B', 'malformed message: JSON', NULL)"),
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
                oracle, "allocations_without_account", "average_prices_differ", "blocks_differ_from_accounts",
                blocksOracle,
                "blocks_differ_from_orders",
            ],
            """
            INSERT INTO allocations.block_fills
            SELECT 77, 'x', side, security_id, trade_date, allocation_policy, lot_size, minimum_ticket_lots, intended_quantity,
              order_quantity, 0, false, 0, 0, 0, 0, 0, 0, 0, false FROM allocations.block_fills WHERE block_order_id = 3;
            INSERT INTO allocations.allocations VALUES (77, 1, 1, 1, 1, 10)
            """),
    ]
}
