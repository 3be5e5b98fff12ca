-- The allocation transaction, in the shape that the concurrent, adaptive and batch modes share: any number of messages of
-- one partition. The first statement alone is a whole transaction when no snapshot is due.

-- name: capture_and_fill
-- $1 topic, $2 partition, $3 epoch, $4 expected offset, $5 next offset; then one array element per message:
-- $6 execution, $7 block order, $8 quantity, $9 price in ticks, $10 offset.
-- Answers one row per block that moved; `guarded` is 0 when the partition belongs to another worker now or when this
-- work was done before, and then nothing else happened either.
WITH guard AS (
  UPDATE allocations.consumer_offsets SET next_offset = $5::INT8
  WHERE topic = $1::TEXT AND topic_partition = $2::INT8 AND epoch = $3::INT8 AND next_offset = $4::INT8
  RETURNING 1 AS moved
), captured AS (
  INSERT INTO allocations.captured_trades
    (execution_id, block_order_id, quantity, price, topic_partition, topic_offset)
  SELECT m.execution_id, m.block_order_id, m.quantity, (m.price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4),
         $2::INT8, m.topic_offset
  FROM unnest($6::INT8[], $7::INT8[], $8::INT8[], $9::INT8[], $10::INT8[])
    AS m (execution_id, block_order_id, quantity, price_ticks, topic_offset)
  WHERE EXISTS (SELECT 1 FROM guard)
  ON CONFLICT (execution_id) DO NOTHING
  RETURNING block_order_id, quantity, price
), summed AS (
  SELECT block_order_id, sum(quantity)::INT8 AS quantity, sum(quantity * price) AS notional, count(*) AS executions
  FROM captured GROUP BY block_order_id
), moved AS (
  UPDATE allocations.block_fills AS f
  SET filled_quantity = f.filled_quantity + s.quantity, notional = f.notional + s.notional,
      execution_count = f.execution_count + s.executions
  FROM summed AS s WHERE f.block_order_id = s.block_order_id
  RETURNING f.block_order_id, f.filled_quantity, f.notional, f.snapshot_number, f.allocated_quantity
)
SELECT (SELECT count(*) FROM guard) AS guarded, (SELECT count(*) FROM captured) AS captured,
       m.block_order_id, m.filled_quantity, m.notional::TEXT, m.snapshot_number, m.allocated_quantity
FROM (SELECT 1 AS one) AS always LEFT JOIN moved AS m ON true;

-- name: take_snapshots
-- One array element per block: $1 block order, $2 snapshot number, $3 average price in ticks.
-- One array element per block and account: $4 block order, $5 account, $6 snapshot number, $7 delta, $8 cumulative,
-- $9 average price in ticks.
WITH moved AS (
  UPDATE allocations.block_fills AS f
  SET snapshot_number = d.snapshot_number, allocated_quantity = f.filled_quantity
  FROM unnest($1::INT8[], $2::INT8[], $3::INT8[]) AS d (block_order_id, snapshot_number, price_ticks)
  WHERE f.block_order_id = d.block_order_id
  RETURNING f.block_order_id, f.snapshot_number, f.filled_quantity, f.notional,
            (d.price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4) AS average_price
), recorded AS (
  INSERT INTO allocations.snapshots
    (block_order_id, snapshot_number, filled_quantity, notional, average_price, residual)
  SELECT block_order_id, snapshot_number, filled_quantity, notional, average_price,
         notional - average_price * filled_quantity
  FROM moved
  RETURNING 1
)
INSERT INTO allocations.allocations
  (block_order_id, account_id, snapshot_number, quantity_delta, quantity_cumulative, average_price)
SELECT a.block_order_id, a.account_id, a.snapshot_number, a.quantity_delta, a.quantity_cumulative,
       (a.price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4)
FROM unnest($4::INT8[], $5::INT8[], $6::INT8[], $7::INT8[], $8::INT8[], $9::INT8[])
  AS a (block_order_id, account_id, snapshot_number, quantity_delta, quantity_cumulative, price_ticks);

-- name: park_block
INSERT INTO allocations.parked_blocks (block_order_code, reason) VALUES ($1::TEXT, $2::TEXT)
ON CONFLICT (block_order_code) DO NOTHING;

-- name: park_message
INSERT INTO allocations.parked_messages (topic, topic_partition, topic_offset, block_order_code, reason, message_value)
VALUES ($1::TEXT, $2::INT8, $3::INT8, $4::TEXT, $5::TEXT, $6::BYTEA)
ON CONFLICT (topic, topic_partition, topic_offset) DO NOTHING;

-- name: move_offset
UPDATE allocations.consumer_offsets SET next_offset = $5::INT8
WHERE topic = $1::TEXT AND topic_partition = $2::INT8 AND epoch = $3::INT8 AND next_offset = $4::INT8
RETURNING next_offset;
