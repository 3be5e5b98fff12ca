-- What the oracle reads, and what a run leaves behind however it went: all of it streamed by COPY, so in a fixed order and
-- as whole numbers where the oracle reads it (money in ticks of 0.0001, days since 1970-01-01).

-- name: waiting_busts
-- Busts of executions that never came: recorded, without effect.
SELECT count(*) FROM allocations.bust_outcomes WHERE outcome = 'WAITING';

-- name: oracle_policies
SELECT block_order_id, allocation_policy FROM orders.block_orders ORDER BY block_order_id;

-- name: oracle_orders
SELECT block_order_id, CASE side WHEN 'BUY' THEN 1 ELSE 0 END, security_id, trade_date - '1970-01-01'::DATE, quantity,
       lot_size, minimum_ticket_lots
FROM orders.block_orders ORDER BY block_order_id;

-- name: oracle_legs
SELECT block_order_id, account_id, quantity, customer_order_id FROM orders.block_order_accounts
ORDER BY block_order_id, account_id;

-- name: oracle_changes
SELECT execution_id, block_order_id, CASE exec_type WHEN 'TRADE_CANCEL' THEN 2 WHEN 'CANCELED' THEN 3 ELSE 4 END,
       coalesce(exec_ref_id, 0), order_version, order_quantity
FROM trades.executions WHERE exec_type <> 'TRADE';

-- name: oracle_trades
SELECT execution_id, block_order_id, quantity, (price * 10000)::INT8 FROM trades.executions WHERE exec_type = 'TRADE';

-- name: oracle_fills
SELECT block_order_id, 0, order_version, order_quantity, CASE WHEN is_canceled THEN 1 ELSE 0 END, cum_quantity,
       (notional * 10000)::NUMERIC(38,0), execution_count
FROM allocations.block_fills ORDER BY block_order_id;

-- name: oracle_snapshots
SELECT s.block_order_id, 0, s.cum_quantity, (s.notional * 10000)::NUMERIC(38,0), (s.average_price * 10000)::INT8,
       (s.residual * 10000)::NUMERIC(38,0), CASE WHEN s.is_final THEN 1 ELSE 0 END
FROM allocations.snapshots AS s
JOIN (
  SELECT block_order_id, max(snapshot_number) AS snapshot_number FROM allocations.snapshots GROUP BY block_order_id
) AS l ON l.block_order_id = s.block_order_id AND l.snapshot_number = s.snapshot_number
ORDER BY s.block_order_id;

-- name: oracle_allocations
SELECT block_order_id, account_id, sum(quantity_delta)::INT8 FROM allocations.allocations
GROUP BY block_order_id, account_id HAVING sum(quantity_delta) <> 0
ORDER BY block_order_id, account_id;

-- name: oracle_block_bookings
SELECT block_order_id, 0, CASE ord_status WHEN 'FILLED' THEN 1 ELSE 2 END, intended_quantity, order_quantity,
       allocated_quantity, (notional * 10000)::NUMERIC(38,0), (average_price * 10000)::INT8,
       (residual * 10000)::NUMERIC(38,0)
FROM allocations.block_bookings ORDER BY block_order_id;

-- name: oracle_account_audits
SELECT block_order_id, account_id, security_id, intended_quantity, allocated_quantity, (average_price * 10000)::INT8
FROM allocations.account_audits ORDER BY block_order_id, account_id;

-- name: oracle_instructions
SELECT block_order_id, account_id, quantity, (average_price * 10000)::INT8
FROM (
  SELECT DISTINCT ON (block_order_id, account_id) block_order_id, account_id, alloc_trans_type, quantity, average_price
  FROM allocations.allocation_instructions
  ORDER BY block_order_id, account_id, instruction_version DESC
) AS latest
WHERE alloc_trans_type <> 'CANCEL'
ORDER BY block_order_id, account_id;

-- name: oracle_settlements
SELECT block_order_id, account_id, security_id, CASE side WHEN 'BUY' THEN 1 ELSE 0 END, quantity,
       (average_price * 10000)::INT8, (net_money * 10000)::NUMERIC(38,0), settlement_date - '1970-01-01'::DATE
FROM allocations.settlement_instructions ORDER BY block_order_id, account_id;

-- name: oracle_movements
SELECT block_order_id, account_id, security_id, quantity FROM holdings.position_movements WHERE quantity <> 0
ORDER BY block_order_id, account_id;

-- name: checksum_captured_trades
-- From here on: what must be the same however the messages were ordered, repeated and cut into transactions.
SELECT execution_id, block_order_id, quantity, price, is_busted FROM allocations.captured_trades ORDER BY execution_id;

-- name: checksum_captured_changes
SELECT execution_id, exec_type, block_order_id, exec_ref_id, order_version, order_quantity
FROM allocations.captured_changes ORDER BY execution_id;

-- name: checksum_bust_outcomes
SELECT execution_id, block_order_id, exec_ref_id, outcome FROM allocations.bust_outcomes ORDER BY execution_id;

-- name: checksum_block_fills
-- Without what the last snapshot left in it: of a block that has ended that is in checksum_snapshots.
SELECT block_order_id, block_order_code, side, security_id, trade_date, allocation_policy, lot_size, minimum_ticket_lots,
       intended_quantity, order_quantity, order_version, is_canceled, cum_quantity, notional, execution_count
FROM allocations.block_fills ORDER BY block_order_id;

-- part: ended
-- A block that ended without fills has a snapshot only if it was filled for a while.
SELECT f.block_order_id, f.snapshot_number FROM allocations.block_fills AS f
WHERE (f.is_canceled OR f.cum_quantity = f.order_quantity) AND f.cum_quantity > 0

-- name: checksum_snapshots
SELECT s.block_order_id, s.cum_quantity, s.notional, s.average_price, s.residual, s.is_final
FROM allocations.snapshots AS s
JOIN (
-- insert: ended
) AS e ON e.block_order_id = s.block_order_id AND e.snapshot_number = s.snapshot_number
ORDER BY s.block_order_id;

-- name: checksum_allocations
SELECT a.block_order_id, a.account_id, sum(a.quantity_delta) FROM allocations.allocations AS a
JOIN (
-- insert: ended
) AS e ON e.block_order_id = a.block_order_id
GROUP BY a.block_order_id, a.account_id HAVING sum(a.quantity_delta) <> 0
ORDER BY a.block_order_id, a.account_id;

-- name: checksum_block_bookings
SELECT block_order_id, ord_status, allocation_policy, intended_quantity, order_quantity, allocated_quantity, notional,
       average_price, residual
FROM allocations.block_bookings ORDER BY block_order_id;

-- name: checksum_account_audits
SELECT block_order_id, account_id, security_id, intended_quantity, allocated_quantity, average_price
FROM allocations.account_audits ORDER BY block_order_id, account_id;

-- name: checksum_settlement_instructions
SELECT block_order_id, account_id, security_id, side, quantity, average_price, net_money, settlement_date, target_broker
FROM allocations.settlement_instructions ORDER BY block_order_id, account_id;

-- name: checksum_position_movements
SELECT block_order_id, account_id, security_id, quantity FROM holdings.position_movements WHERE quantity <> 0
ORDER BY block_order_id, account_id;
