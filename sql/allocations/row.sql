-- The row mode: one row per statement, each its own transaction. Naive, not wrong: every statement may be repeated after
-- a crash, in this order, because the offset moves last. All messages of a block must come to one worker.
--
-- $1 to $3 of each statement are topic, partition and epoch. A part stands where a statement says `-- insert:`.

-- part: fence
-- A worker whose partitions were assigned by hand is alone with them: only the move of its offset is guarded.
fence AS (SELECT $1::TEXT AS topic, $2::INT8 AS topic_partition, $3::INT8 AS epoch)

-- part: fence_held
-- A member of a group may lose a partition between any two statements, and what it then wrote of a snapshot would stand beside
-- its successor's. So each statement holds the partition's row, and does nothing once that has a later epoch.
fence AS (
  SELECT 1 AS held FROM allocations.consumer_offsets
  WHERE topic = $1::TEXT AND topic_partition = $2::INT8 AND epoch = $3::INT8 FOR UPDATE
)

-- name: row_capture
-- A trade, captured but not yet part of the block's fills. One whose bust came first has nothing to fill.
WITH
-- insert: fence
INSERT INTO allocations.captured_trades AS t
  (execution_id, block_order_id, quantity, price, is_busted, topic_partition, topic_offset, filled)
SELECT $4::INT8, $5::INT8, $6::INT8, ($7::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4), false, $2::INT8, $8::INT8, false
WHERE EXISTS (SELECT 1 FROM fence)
ON CONFLICT (execution_id) DO UPDATE
SET block_order_id = EXCLUDED.block_order_id, quantity = EXCLUDED.quantity, price = EXCLUDED.price,
    topic_partition = EXCLUDED.topic_partition, topic_offset = EXCLUDED.topic_offset
WHERE t.quantity IS NULL;

-- name: row_captured_here
-- Whether the message at $2, $5 is the one that captured the execution.
WITH
-- insert: fence
SELECT (SELECT count(*) FROM allocations.captured_trades
        WHERE execution_id = $4::INT8 AND topic_partition = $2::INT8 AND topic_offset = $5::INT8)
     + (SELECT count(*) FROM allocations.captured_changes
        WHERE execution_id = $4::INT8 AND topic_partition = $2::INT8 AND topic_offset = $5::INT8);

-- name: row_uncapture
-- The database refused the execution, so its message is parked instead.
WITH
-- insert: fence
DELETE FROM allocations.captured_trades
WHERE execution_id = $4::INT8 AND filled = false AND EXISTS (SELECT 1 FROM fence);

-- name: row_fill
-- Moves the block once per execution: the second time no captured row is unfilled any more.
WITH
-- insert: fence
, taken AS (
  UPDATE allocations.captured_trades SET filled = true
  WHERE execution_id = $4::INT8 AND filled = false AND EXISTS (SELECT 1 FROM fence)
  RETURNING block_order_id, quantity, price
)
UPDATE allocations.block_fills AS f
SET cum_quantity = f.cum_quantity + t.quantity, notional = f.notional + t.quantity * t.price,
    execution_count = f.execution_count + 1
FROM taken AS t WHERE f.block_order_id = t.block_order_id;

-- name: row_change
-- A bust, cancel or replace: $5 its type (2, 3, 4).
WITH
-- insert: fence
INSERT INTO allocations.captured_changes
  (execution_id, exec_type, block_order_id, exec_ref_id, order_version, order_quantity, topic_partition, topic_offset)
SELECT $4::INT8, CASE $5::INT8 WHEN 2 THEN 'TRADE_CANCEL' WHEN 3 THEN 'CANCELED' ELSE 'REPLACED' END, $6::INT8,
       CASE WHEN $5::INT8 = 2 THEN $7::INT8 END, CASE WHEN $5::INT8 <> 2 THEN $8::INT8 END,
       CASE WHEN $5::INT8 <> 2 THEN $9::INT8 END, $2::INT8, $10::INT8
WHERE EXISTS (SELECT 1 FROM fence)
ON CONFLICT (execution_id) DO NOTHING;

-- name: row_bust
-- Takes back what the execution $4 of block $5 contributed; one that isn't here yet will find that it was busted. One that
-- is captured but not filled yet never will be.
WITH
-- insert: fence
, busted AS (
  INSERT INTO allocations.captured_trades AS t (execution_id, block_order_id, is_busted)
  SELECT $4::INT8, $5::INT8, true WHERE EXISTS (SELECT 1 FROM fence)
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
WITH
-- insert: fence
UPDATE allocations.block_fills SET order_version = $5::INT8, order_quantity = $6::INT8, is_canceled = $7::INT8 = 3
WHERE block_order_id = $4::INT8 AND order_version < $5::INT8 AND EXISTS (SELECT 1 FROM fence);

-- name: row_state
WITH
-- insert: fence
SELECT m.block_order_id, m.cum_quantity, m.notional::TEXT, m.execution_count, m.order_quantity, m.is_canceled::INT4,
       m.snapshot_number, m.allocated_quantity, m.allocated_notional::TEXT, m.allocated_execution_count,
       m.allocated_is_final::INT4, m.allocated_is_canceled::INT4
FROM allocations.block_fills AS m WHERE m.block_order_id = $4::INT8 AND EXISTS (SELECT 1 FROM fence);

-- name: row_forget
-- What a crash left of a snapshot beyond $5, the last whole one.
WITH
-- insert: fence
, snapshot AS (
  DELETE FROM allocations.snapshots
  WHERE block_order_id = $4::INT8 AND snapshot_number > $5::INT8 AND EXISTS (SELECT 1 FROM fence)
)
DELETE FROM allocations.allocations
WHERE block_order_id = $4::INT8 AND snapshot_number > $5::INT8 AND EXISTS (SELECT 1 FROM fence);

-- name: row_allocate
WITH
-- insert: fence
INSERT INTO allocations.allocations
  (block_order_id, account_id, snapshot_number, quantity_delta, quantity_cumulative, average_price)
SELECT $4::INT8, $5::INT8, $6::INT8, $7::INT8, $8::INT8, ($9::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4)
WHERE EXISTS (SELECT 1 FROM fence);

-- name: row_snapshot
WITH
-- insert: fence
INSERT INTO allocations.snapshots
  (block_order_id, snapshot_number, cum_quantity, notional, average_price, residual, is_final)
SELECT block_order_id, $5::INT8, cum_quantity, notional, ($6::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4),
       notional - ($6::INT8 * 0.0001::NUMERIC)::NUMERIC(18,4) * cum_quantity, $7::INT8 <> 0
FROM allocations.block_fills WHERE block_order_id = $4::INT8 AND EXISTS (SELECT 1 FROM fence);

-- name: row_snapshot_taken
-- The snapshot counts from here on, and its booking is asked for: $6 whether it is final, $7 whether bookings may change.
WITH
-- insert: fence
, taken AS (
  UPDATE allocations.block_fills
  SET snapshot_number = $5::INT8, allocated_quantity = cum_quantity, allocated_notional = notional,
      allocated_execution_count = execution_count, allocated_is_final = $6::INT8 <> 0,
      allocated_is_canceled = is_canceled
  WHERE block_order_id = $4::INT8 AND snapshot_number = $5::INT8 - 1 AND EXISTS (SELECT 1 FROM fence)
  RETURNING block_order_id, snapshot_number
)
INSERT INTO allocations.booking_outbox (block_order_id, snapshot_number, requested_at)
SELECT block_order_id, snapshot_number, clock_timestamp() FROM taken WHERE $7::INT8 <> 0;
