// What completed blocks have led to: bookings, audits, instructions, settlements, positions. Each is wrong in one way.

extension Mutation {
    static let bookings: [Mutation] = [
        Mutation(
            "a booking is requested and not made", ["bookings_left_behind"],
            "INSERT INTO allocations.booking_outbox VALUES (2, 1, now())"),
        Mutation(
            "a block is not booked", ["block_bookings_differ", bookingsOracle],
            "DELETE FROM allocations.block_bookings WHERE block_order_id = 4"),
        Mutation(
            "a block is booked that still fills",
            ["block_bookings_differ", bookingsOracle, "settled_cash_not_conserved"],
            """
            INSERT INTO allocations.block_bookings
            VALUES (7, 'FILLED', 'equal', 300, 300, 150, 1501.05, 10.0070, 0, 1, now())
            """),
        Mutation(
            "a block is booked as filled that was canceled", ["block_bookings_differ", bookingsOracle],
            "UPDATE allocations.block_bookings SET ord_status = 'FILLED' WHERE block_order_id = 4"),
        Mutation(
            "a block is booked by an earlier snapshot", ["block_bookings_differ"],
            "UPDATE allocations.block_bookings SET snapshot_number = snapshot_number - 1 WHERE block_order_id = 2"),
        Mutation(
            "a booked residual is a tick off", ["block_bookings_differ", bookingsOracle, "settled_cash_not_conserved"],
            "UPDATE allocations.block_bookings SET residual = residual + 0.0001 WHERE block_order_id = 2"),
        Mutation(
            "an audit is missing", ["account_audits_differ", bookingsOracle],
            "DELETE FROM allocations.account_audits WHERE block_order_id = 1 AND account_id = 1"),
        Mutation(
            "an audit says another intention", ["account_audits_differ", bookingsOracle],
            "UPDATE allocations.account_audits SET intended_quantity = 1 WHERE block_order_id = 1 AND account_id = 1"),
        Mutation(
            "an audit says another allocation", ["account_audits_differ", bookingsOracle],
            """
            UPDATE allocations.account_audits SET allocated_quantity = 1
            WHERE block_order_id = 1 AND account_id = 1
            """),
        Mutation(
            "an instruction is missing", [bookingsOracle, "instructions_differ"],
            "DELETE FROM allocations.allocation_instructions WHERE block_order_id = 4 AND account_id = 1"),
        Mutation(
            "an instruction is of another quantity", [bookingsOracle, "instructions_differ"],
            """
            UPDATE allocations.allocation_instructions SET quantity = quantity + 1
            WHERE block_order_id = 4 AND account_id = 1
            """),
        Mutation(
            "an instruction goes to another broker", ["instructions_differ"],
            """
            UPDATE allocations.allocation_instructions SET target_broker = ''
            WHERE block_order_id = 1 AND account_id = 2
            """),
        Mutation(
            "instructions have a gap", ["instruction_histories_broken"],
            """
            UPDATE allocations.allocation_instructions SET instruction_version = 2
            WHERE block_order_id = 4 AND account_id = 1
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
            "UPDATE allocations.settlement_instructions SET net_money = net_money + 0.0001 WHERE block_order_id = 2"),
        Mutation(
            "a buyer gets the money", [bookingsOracle, "settled_cash_not_conserved", "settlements_differ"],
            """
            UPDATE allocations.settlement_instructions SET net_money = -net_money
            WHERE block_order_id = 1 AND account_id = 4
            """),
        Mutation(
            "a settlement is a day late", [bookingsOracle, "settlements_differ"],
            """
            UPDATE allocations.settlement_instructions SET settlement_date = settlement_date + 1
            WHERE block_order_id = 2
            """),
        Mutation(
            "a settlement goes to another broker", ["settlements_differ"],
            """
            UPDATE allocations.settlement_instructions SET target_broker = ''
            WHERE block_order_id = 1 AND account_id = 2
            """),
        Mutation(
            "a position moved twice", [bookingsOracle, "movements_differ"],
            "UPDATE holdings.position_movements SET quantity = 2 * quantity WHERE block_order_id = 2"),
        Mutation(
            "a position moved the other way", [bookingsOracle, "movements_differ"],
            "UPDATE holdings.position_movements SET quantity = -quantity WHERE block_order_id = 4 AND account_id = 1"),
        Mutation(
            "a position did not move", [bookingsOracle, "movements_differ"],
            "DELETE FROM holdings.position_movements WHERE block_order_id = 4 AND account_id = 1"),
        Mutation(
            "a position moved in another security", [bookingsOracle, "movements_differ"],
            "UPDATE holdings.position_movements SET security_id = 99 WHERE block_order_id = 4 AND account_id = 1"),
        Mutation(
            "a position is below nothing", ["positions_negative"],
            """
            ALTER TABLE holdings.positions DROP CONSTRAINT positions_quantity_check;
            UPDATE holdings.positions SET quantity = -1 WHERE account_id = 1 AND security_id = 2
            """),
    ]
}
