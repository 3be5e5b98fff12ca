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
-- $1 topic, $2 the partitions of this worker, $3 their epochs. Answers as capture_and_fill does: `guarded` is 0 when one of
-- the partitions belongs to another worker now. The epochs are written as they are, to lock them until the commit.
WITH guard AS (
  UPDATE allocations.consumer_offsets AS o SET epoch = o.epoch
  FROM unnest($2::INT8[], $3::INT8[]) AS mine (topic_partition, epoch)
  WHERE o.topic = $1::TEXT AND o.topic_partition = mine.topic_partition AND o.epoch = mine.epoch
  RETURNING 1 AS held
), held AS (
  SELECT 1 AS one WHERE (SELECT count(*) FROM guard) = (SELECT count(*) FROM unnest($2::INT8[]))
), taken AS (
  DELETE FROM allocations.staged_trades WHERE topic_partition = ANY ($2::INT8[]) AND EXISTS (SELECT 1 FROM held)
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
SELECT (SELECT count(*) FROM held) AS guarded, (SELECT count(*) FROM captured) AS captured,
       m.block_order_id, m.filled_quantity, m.notional::TEXT, m.snapshot_number, m.allocated_quantity
FROM (SELECT 1 AS one) AS always LEFT JOIN moved AS m ON true;

-- name: park_overfilling
-- $1 to $3 as above; $4 why the first message that a block can't hold is parked, $5 why those staged behind it are.
-- Answers whether the guard held, how many messages are parked, and their blocks' codes. What is staged holds the
-- message's fields, not its text, so the envelope is made again from them.
WITH guard AS (
  UPDATE allocations.consumer_offsets AS o SET epoch = o.epoch
  FROM unnest($2::INT8[], $3::INT8[]) AS mine (topic_partition, epoch)
  WHERE o.topic = $1::TEXT AND o.topic_partition = mine.topic_partition AND o.epoch = mine.epoch
  RETURNING 1 AS held
), held AS (
  SELECT 1 AS one WHERE (SELECT count(*) FROM guard) = (SELECT count(*) FROM unnest($2::INT8[]))
), fresh AS (
  SELECT DISTINCT ON (s.execution_id) s.execution_id, s.block_order_id, s.quantity, s.topic_partition, s.topic_offset
  FROM allocations.staged_trades AS s
  WHERE s.topic_partition = ANY ($2::INT8[]) AND EXISTS (SELECT 1 FROM held)
    AND NOT EXISTS (SELECT 1 FROM allocations.captured_trades AS c WHERE c.execution_id = s.execution_id)
  ORDER BY s.execution_id, s.topic_partition, s.topic_offset
), running AS (
  SELECT block_order_id, topic_partition, topic_offset,
         sum(quantity) OVER (PARTITION BY block_order_id ORDER BY topic_partition, topic_offset) AS quantity
  FROM fresh
), refused AS (
  SELECT DISTINCT ON (r.block_order_id) r.block_order_id, f.block_order_code, r.topic_partition, r.topic_offset
  FROM running AS r JOIN allocations.block_fills AS f ON f.block_order_id = r.block_order_id
  WHERE f.filled_quantity + r.quantity > f.ordered_quantity
  ORDER BY r.block_order_id, r.topic_partition, r.topic_offset
), taken AS (
  DELETE FROM allocations.staged_trades AS s USING refused AS r
  WHERE s.block_order_id = r.block_order_id AND (s.topic_partition, s.topic_offset) >= (r.topic_partition, r.topic_offset)
  RETURNING s.topic_partition, s.topic_offset, s.execution_id, s.block_order_id, s.quantity, s.price, r.block_order_code,
            s.topic_offset = r.topic_offset AS is_first
), blocks AS (
  INSERT INTO allocations.parked_blocks (block_order_code, reason)
  SELECT block_order_code, $4::TEXT FROM refused
  ON CONFLICT (block_order_code) DO NOTHING
), messages AS (
  INSERT INTO allocations.parked_messages
    (topic, topic_partition, topic_offset, block_order_code, reason, message_value)
  SELECT $1::TEXT, topic_partition, topic_offset, block_order_code, CASE WHEN is_first THEN $4::TEXT ELSE $5::TEXT END,
         convert_to('{"after": {"block_order_code": "' || block_order_code || '", "block_order_id": ' || block_order_id::TEXT
           || ', "execution_id": ' || execution_id::TEXT || ', "price": ' || price::TEXT || ', "quantity": '
           || quantity::TEXT || '}}', 'UTF8')
  FROM taken
  ON CONFLICT (topic, topic_partition, topic_offset) DO NOTHING
  RETURNING 1 AS parked
)
SELECT (SELECT count(*) FROM held) AS guarded, (SELECT count(*) FROM messages) AS parked, r.block_order_code
FROM (SELECT 1 AS one) AS always LEFT JOIN refused AS r ON true;

-- name: staged_count
SELECT count(*) FROM allocations.staged_trades WHERE topic_partition = ANY ($1::INT8[]);
