-- The row mode: one row per statement, each its own transaction. Naive, not wrong: every statement may be repeated after
-- a crash, in this order, because the offset moves last. All messages of a block must come to one worker.

-- name: row_capture
-- A trade, captured but not yet part of the block's fills. One whose bust came first has nothing to fill.
INSERT INTO allocations.captured_trades AS t
  (execution_id, block_order_id, quantity, price, is_busted, topic_partition, topic_offset, filled)
VALUES ($1::INT8, $2::INT8, $3::INT8, ($4::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4), false, $5::INT8, $6::INT8, false)
ON CONFLICT (execution_id) DO UPDATE
SET block_order_id = EXCLUDED.block_order_id, quantity = EXCLUDED.quantity, price = EXCLUDED.price,
    topic_partition = EXCLUDED.topic_partition, topic_offset = EXCLUDED.topic_offset
WHERE t.quantity IS NULL;

-- name: row_captured_here
-- Whether the message at $2, $3 is the one that captured the execution.
SELECT (SELECT count(*) FROM allocations.captured_trades
        WHERE execution_id = $1::INT8 AND topic_partition = $2::INT8 AND topic_offset = $3::INT8)
     + (SELECT count(*) FROM allocations.captured_changes
        WHERE execution_id = $1::INT8 AND topic_partition = $2::INT8 AND topic_offset = $3::INT8);

-- name: row_uncapture
-- The database refused the execution, so its message is parked instead.
DELETE FROM allocations.captured_trades WHERE execution_id = $1::INT8 AND filled = false;

-- name: row_fill
-- Moves the block once per execution: the second time no captured row is unfilled any more.
WITH taken AS (
  UPDATE allocations.captured_trades SET filled = true
  WHERE execution_id = $1::INT8 AND filled = false
  RETURNING block_order_id, quantity, price
)
UPDATE allocations.block_fills AS f
SET cum_quantity = f.cum_quantity + t.quantity, notional = f.notional + t.quantity * t.price,
    execution_count = f.execution_count + 1
FROM taken AS t WHERE f.block_order_id = t.block_order_id;

-- name: row_change
-- A bust, cancel or replace: $2 its type (2, 3, 4).
INSERT INTO allocations.captured_changes
  (execution_id, exec_type, block_order_id, exec_ref_id, order_version, order_quantity, topic_partition, topic_offset)
VALUES ($1::INT8, CASE $2::INT8 WHEN 2 THEN 'TRADE_CANCEL' WHEN 3 THEN 'CANCELED' ELSE 'REPLACED' END, $3::INT8,
        CASE WHEN $2::INT8 = 2 THEN $4::INT8 END, CASE WHEN $2::INT8 <> 2 THEN $5::INT8 END,
        CASE WHEN $2::INT8 <> 2 THEN $6::INT8 END, $7::INT8, $8::INT8)
ON CONFLICT (execution_id) DO NOTHING;

-- name: row_bust
-- Takes back what the execution $1 of block $2 contributed; one that isn't here yet will find that it was busted. One that
-- is captured but not filled yet never will be.
WITH busted AS (
  INSERT INTO allocations.captured_trades AS t (execution_id, block_order_id, is_busted)
  VALUES ($1::INT8, $2::INT8, true)
  ON CONFLICT (execution_id) DO UPDATE SET is_busted = true, was_reversed = t.filled, filled = true
  WHERE NOT t.is_busted
  RETURNING block_order_id, quantity, price, was_reversed
)
UPDATE allocations.block_fills AS f
SET cum_quantity = f.cum_quantity - b.quantity, notional = f.notional - b.quantity * b.price,
    execution_count = f.execution_count - 1
FROM busted AS b WHERE b.was_reversed AND f.block_order_id = b.block_order_id;

-- name: row_order
-- A cancel or replace counts unless a later one has come before it.
UPDATE allocations.block_fills SET order_version = $2::INT8, order_quantity = $3::INT8, is_canceled = $4::INT8 = 3
WHERE block_order_id = $1::INT8 AND order_version < $2::INT8;

-- name: row_state
SELECT m.block_order_id, m.cum_quantity, m.notional::TEXT, m.execution_count, m.order_quantity, m.is_canceled::INT4,
       m.snapshot_number, m.allocated_quantity, m.allocated_notional::TEXT, m.allocated_execution_count,
       m.allocated_is_final::INT4, m.allocated_is_canceled::INT4
FROM allocations.block_fills AS m WHERE m.block_order_id = $1::INT8;

-- name: row_forget
-- What a crash left of a snapshot beyond $2, the last whole one.
WITH snapshot AS (
  DELETE FROM allocations.snapshots WHERE block_order_id = $1::INT8 AND snapshot_number > $2::INT8
)
DELETE FROM allocations.allocations WHERE block_order_id = $1::INT8 AND snapshot_number > $2::INT8;

-- name: row_allocate
INSERT INTO allocations.allocations
  (block_order_id, account_id, snapshot_number, quantity_delta, quantity_cumulative, average_price)
VALUES ($1::INT8, $2::INT8, $3::INT8, $4::INT8, $5::INT8, ($6::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4));

-- name: row_snapshot
INSERT INTO allocations.snapshots
  (block_order_id, snapshot_number, cum_quantity, notional, average_price, residual, is_final)
SELECT block_order_id, $2::INT8, cum_quantity, notional, ($3::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4),
       notional - ($3::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4) * cum_quantity, $4::INT8 <> 0
FROM allocations.block_fills WHERE block_order_id = $1::INT8;

-- name: row_snapshot_taken
-- The snapshot counts from here on, and its booking is asked for: $3 whether it is final, $4 whether bookings may change.
WITH taken AS (
  UPDATE allocations.block_fills
  SET snapshot_number = $2::INT8, allocated_quantity = cum_quantity, allocated_notional = notional,
      allocated_execution_count = execution_count, allocated_is_final = $3::INT8 <> 0,
      allocated_is_canceled = is_canceled
  WHERE block_order_id = $1::INT8 AND snapshot_number = $2::INT8 - 1
  RETURNING block_order_id, snapshot_number
)
INSERT INTO allocations.booking_outbox (block_order_id, snapshot_number, requested_at)
SELECT block_order_id, snapshot_number, clock_timestamp() FROM taken WHERE $4::INT8 <> 0;
