// The shares of the accounts, their prices and the sums of the snapshots. Each is wrong in one way.

extension Mutation {
    static let allocations: [Mutation] = [
        Mutation(
            "a snapshot claims a share too many", ["cash_not_conserved", "quota_broken", "snapshot_sums_differ"],
            """
            UPDATE allocations.snapshots SET cum_quantity = cum_quantity + 1
            WHERE block_order_id = 2 AND snapshot_number = 1
            """),
        Mutation(
            "allocations stand without a snapshot", [oracle, "average_prices_differ"],
            "INSERT INTO allocations.allocations VALUES (3, 1, 99, 1, 157, 10.0301), (3, 2, 99, -1, 103, 10.0301)"),
        Mutation(
            "an allocation's change is a share too high",
            [oracle, "deltas_differ_from_cumulative", "snapshot_sums_differ"],
            """
            UPDATE allocations.allocations SET quantity_delta = quantity_delta + 1
            WHERE block_order_id = 3 AND account_id = 1 AND snapshot_number = 1
            """),
        Mutation(
            "an account's sum is a share too high", ["deltas_differ_from_cumulative"],
            """
            UPDATE allocations.allocations SET quantity_cumulative = quantity_cumulative + 1
            WHERE block_order_id = 3 AND account_id = 1 AND snapshot_number = 1
            """),
        Mutation(
            "two accounts are two shares off their proportion", [oracle, "quota_broken"],
            """
            UPDATE allocations.allocations SET quantity_delta = quantity_delta + CASE account_id WHEN 1 THEN 2 ELSE -2 END, quantity_cumulative = quantity_cumulative + CASE account_id WHEN 1 THEN 2 ELSE -2 END
            WHERE block_order_id = 3
            """),
        Mutation(
            "two accounts are swapped within their proportion", [oracle],
            """
            UPDATE allocations.allocations SET quantity_delta = quantity_delta + CASE account_id WHEN 1 THEN 1 ELSE -1 END, quantity_cumulative = quantity_cumulative + CASE account_id WHEN 1 THEN 1 ELSE -1 END
            WHERE block_order_id = 3
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
            UPDATE allocations.allocations SET average_price = average_price + 0.0001
            WHERE block_order_id = 3 AND account_id = 1
            """),
        Mutation(
            "a residual is a tick off", ["cash_not_conserved"],
            """
            UPDATE allocations.snapshots SET residual = residual + 0.0001
            WHERE block_order_id = 2 AND snapshot_number = 1
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
}
