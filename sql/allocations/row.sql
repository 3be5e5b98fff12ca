-- The row mode: one row per statement, each its own transaction. Naive, not wrong: every statement may be repeated after
-- a crash, in this order, because the offset moves last.

-- name: row_capture
-- Captured, but not yet part of the block's fills.
INSERT INTO allocations.captured_trades
  (execution_id, block_order_id, quantity, price, topic_partition, topic_offset, filled)
VALUES ($1::INT8, $2::INT8, $3::INT8, ($4::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4), $5::INT8, $6::INT8, false)
ON CONFLICT (execution_id) DO NOTHING;

-- name: row_captured_here
-- Whether the message at $2, $3 is the one that captured the execution.
SELECT count(*) FROM allocations.captured_trades
WHERE execution_id = $1::INT8 AND topic_partition = $2::INT8 AND topic_offset = $3::INT8;

-- name: row_uncapture
-- The block refused the execution, so its message is parked instead.
DELETE FROM allocations.captured_trades WHERE execution_id = $1::INT8 AND filled = false;

-- name: row_fill
-- Moves the block once per execution: the second time no captured row is unfilled any more.
WITH taken AS (
  UPDATE allocations.captured_trades SET filled = true
  WHERE execution_id = $1::INT8 AND filled = false
  RETURNING block_order_id, quantity, price
)
UPDATE allocations.block_fills AS f
SET filled_quantity = f.filled_quantity + t.quantity, notional = f.notional + t.quantity * t.price,
    execution_count = f.execution_count + 1
FROM taken AS t WHERE f.block_order_id = t.block_order_id;

-- name: row_state
SELECT filled_quantity, notional::TEXT, snapshot_number, allocated_quantity, ordered_quantity
FROM allocations.block_fills WHERE block_order_id = $1::INT8;

-- name: row_allocate
INSERT INTO allocations.allocations
  (block_order_id, account_id, snapshot_number, quantity_delta, quantity_cumulative, average_price)
VALUES ($1::INT8, $2::INT8, $3::INT8, $4::INT8, $5::INT8, ($6::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4))
ON CONFLICT (block_order_id, account_id, snapshot_number) DO NOTHING;

-- name: row_snapshot
INSERT INTO allocations.snapshots (block_order_id, snapshot_number, filled_quantity, notional, average_price, residual)
SELECT block_order_id, $2::INT8, filled_quantity, notional, ($3::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4),
       notional - ($3::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4) * filled_quantity
FROM allocations.block_fills WHERE block_order_id = $1::INT8
ON CONFLICT (block_order_id, snapshot_number) DO NOTHING;

-- name: row_snapshot_taken
UPDATE allocations.block_fills SET snapshot_number = $2::INT8, allocated_quantity = filled_quantity
WHERE block_order_id = $1::INT8 AND snapshot_number = $2::INT8 - 1;
