-- The cycle mode: messages are staged as they come, and every cycle one set-based transaction processes all of them.

-- name: stage
-- Parameters as in capture_and_fill.
WITH guard AS (
  UPDATE allocations.consumer_offsets SET next_offset = $5::INT8
  WHERE topic = $1::TEXT AND topic_partition = $2::INT8 AND epoch = $3::INT8 AND next_offset = $4::INT8
  RETURNING 1 AS moved
), staged AS (
  INSERT INTO allocations.staged_trades (topic_partition, topic_offset, execution_id, block_order_id, quantity, price)
  SELECT $2::INT8, m.topic_offset, m.execution_id, m.block_order_id, m.quantity,
         (m.price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4)
  FROM unnest($6::INT8[], $7::INT8[], $8::INT8[], $9::INT8[], $10::INT8[])
    AS m (execution_id, block_order_id, quantity, price_ticks, topic_offset)
  WHERE EXISTS (SELECT 1 FROM guard)
  RETURNING 1
)
SELECT (SELECT count(*) FROM guard) AS guarded, (SELECT count(*) FROM staged) AS staged;

-- name: capture_and_fill_staged
-- $1 the partitions of this worker. Answers as capture_and_fill does; a staged row is taken exactly once, whoever takes it.
WITH taken AS (
  DELETE FROM allocations.staged_trades WHERE topic_partition = ANY ($1::INT8[])
  RETURNING topic_partition, topic_offset, execution_id, block_order_id, quantity, price
), captured AS (
  INSERT INTO allocations.captured_trades
    (execution_id, block_order_id, quantity, price, topic_partition, topic_offset)
  SELECT execution_id, block_order_id, quantity, price, topic_partition, topic_offset FROM taken
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
SELECT (SELECT count(*) FROM taken) AS guarded, (SELECT count(*) FROM captured) AS captured,
       m.block_order_id, m.filled_quantity, m.notional::TEXT, m.snapshot_number, m.allocated_quantity
FROM (SELECT 1 AS one) AS always LEFT JOIN moved AS m ON true;

-- name: staged_count
SELECT count(*) FROM allocations.staged_trades WHERE topic_partition = ANY ($1::INT8[]);
