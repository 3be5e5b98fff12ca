-- How messages become fills, in the shape that the concurrent, adaptive, batch and cycle modes share: any number of messages,
-- in any order, any of them for the second time. The first statement alone is a whole transaction when no snapshot is due.
--
-- A part is a run of common table expressions that stands where a statement says `-- insert:`.

-- part: blocks
-- What moves each block.
summed AS (SELECT * FROM sums)

-- part: blocks_in_order
-- The same where several workers fill the same blocks. Who fills more than one would wait for a worker that waits for him,
-- until the server finds the deadlock a second later; so everyone locks his blocks first, from the lowest to the highest.
-- Where a block has one worker only, this would be a lock per block for nothing.
summed AS (
  SELECT s.* FROM sums AS s JOIN allocations.block_fills AS b ON b.block_order_id = s.block_order_id
  ORDER BY s.block_order_id FOR NO KEY UPDATE OF b
)

-- part: meet
-- A trade and its bust meet in one row of captured_trades, whichever comes first: so whoever comes second sees the other, even
-- when both are under way at once in two transactions.
  ON CONFLICT (execution_id) DO UPDATE
  SET block_order_id = CASE WHEN t.quantity IS NULL THEN EXCLUDED.block_order_id ELSE t.block_order_id END,
      quantity = coalesce(t.quantity, EXCLUDED.quantity), price = coalesce(t.price, EXCLUDED.price),
      topic_partition = coalesce(t.topic_partition, EXCLUDED.topic_partition),
      topic_offset = coalesce(t.topic_offset, EXCLUDED.topic_offset),
      is_busted = t.is_busted OR EXCLUDED.is_busted, was_reversed = t.quantity IS NOT NULL
  WHERE (t.quantity IS NULL AND EXCLUDED.quantity IS NOT NULL) OR (NOT t.is_busted AND EXCLUDED.is_busted)

-- part: effects
-- From `trades` and `changes` to the blocks that moved.
captured_changes AS (
  INSERT INTO allocations.captured_changes
    (execution_id, exec_type, block_order_id, exec_ref_id, order_version, order_quantity, topic_partition, topic_offset)
  SELECT DISTINCT ON (execution_id) execution_id,
         CASE exec_type WHEN 2 THEN 'TRADE_CANCEL' WHEN 3 THEN 'CANCELED' ELSE 'REPLACED' END, block_order_id,
         CASE WHEN exec_type = 2 THEN exec_ref_id END, CASE WHEN exec_type <> 2 THEN order_version END,
         CASE WHEN exec_type <> 2 THEN order_quantity END, topic_partition, topic_offset
  FROM changes ORDER BY execution_id, topic_partition, topic_offset
  ON CONFLICT (execution_id) DO NOTHING
  RETURNING exec_type, block_order_id, order_version, order_quantity
), incoming AS (
  SELECT execution_id, coalesce(max(block_order_id) FILTER (WHERE NOT is_bust), max(block_order_id)) AS block_order_id,
         max(quantity) AS quantity, max(price) AS price, bool_or(is_bust) AS is_busted,
         max(topic_partition) AS topic_partition, max(topic_offset) AS topic_offset
  FROM (
    SELECT execution_id, block_order_id, quantity, price, false AS is_bust, topic_partition, topic_offset FROM trades
    UNION ALL
    SELECT exec_ref_id, block_order_id, NULL, NULL, true, NULL, NULL FROM changes WHERE exec_type = 2
  ) AS m
  GROUP BY execution_id
), captured_trades AS (
  INSERT INTO allocations.captured_trades AS t
    (execution_id, block_order_id, quantity, price, is_busted, topic_partition, topic_offset)
  SELECT execution_id, block_order_id, quantity, price, is_busted, topic_partition, topic_offset
  FROM incoming ORDER BY execution_id
-- insert: meet
  RETURNING block_order_id, quantity, price, is_busted, was_reversed
), effects AS (
  SELECT block_order_id, quantity, price,
         CASE WHEN was_reversed THEN -1 WHEN is_busted THEN 0 ELSE 1 END AS sign,
         NULL::INT8 AS order_version, NULL::INT8 AS order_quantity, NULL::BOOL AS is_canceled
  FROM captured_trades
  UNION ALL
  SELECT block_order_id, NULL, NULL, 0, order_version, order_quantity, exec_type = 'CANCELED'
  FROM captured_changes WHERE order_version IS NOT NULL
), sums AS (
  SELECT block_order_id, coalesce(sum(sign * quantity), 0)::INT8 AS quantity,
         coalesce(sum(sign * quantity * price), 0) AS notional, sum(sign)::INT8 AS executions,
         max(order_version) AS order_version,
         (array_agg(order_quantity ORDER BY order_version DESC) FILTER (WHERE order_version IS NOT NULL))[1]
           AS order_quantity,
         (array_agg(is_canceled ORDER BY order_version DESC) FILTER (WHERE order_version IS NOT NULL))[1]
           AS is_canceled
  FROM effects GROUP BY block_order_id
),
-- insert: blocks
, moved AS (
  UPDATE allocations.block_fills AS f
  SET cum_quantity = f.cum_quantity + s.quantity, notional = f.notional + s.notional,
      execution_count = f.execution_count + s.executions,
      order_quantity = CASE WHEN s.order_version > f.order_version THEN s.order_quantity ELSE f.order_quantity END,
      is_canceled = CASE WHEN s.order_version > f.order_version THEN s.is_canceled ELSE f.is_canceled END,
      order_version = CASE WHEN s.order_version > f.order_version THEN s.order_version ELSE f.order_version END
  FROM summed AS s WHERE f.block_order_id = s.block_order_id
  RETURNING f.block_order_id, f.cum_quantity, f.notional, f.execution_count, f.order_quantity, f.is_canceled,
            f.snapshot_number, f.allocated_quantity, f.allocated_notional, f.allocated_execution_count,
            f.allocated_is_final, f.allocated_is_canceled
), counted AS (
  SELECT (SELECT count(*) FROM captured_trades WHERE quantity IS NOT NULL AND NOT was_reversed)
           + (SELECT count(*) FROM captured_changes) AS messages
)

-- name: fill_trades
-- The same for trades alone, their ids ascending, so that no execution is there twice.
-- $1 to $10 as in capture_and_fill.
WITH guard AS (
  UPDATE allocations.consumer_offsets SET next_offset = $5::INT8
  WHERE topic = $1::TEXT AND topic_partition = $2::INT8 AND epoch = $3::INT8 AND next_offset = $4::INT8
  RETURNING 1 AS held
), captured_trades AS (
  INSERT INTO allocations.captured_trades AS t
    (execution_id, block_order_id, quantity, price, is_busted, topic_partition, topic_offset)
  SELECT m.execution_id, m.block_order_id, m.quantity, (m.price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4), false,
         $2::INT8, m.topic_offset
  FROM unnest($6::INT8[], $7::INT8[], $8::INT8[], $9::INT8[], $10::INT8[])
    AS m (execution_id, block_order_id, quantity, price_ticks, topic_offset)
  WHERE EXISTS (SELECT 1 FROM guard)
-- insert: meet
  RETURNING block_order_id, quantity, price, is_busted
), sums AS (
  SELECT block_order_id, sum(quantity)::INT8 AS quantity, sum(quantity * price) AS notional, count(*) AS executions
  FROM captured_trades WHERE NOT is_busted GROUP BY block_order_id
),
-- insert: blocks
, moved AS (
  UPDATE allocations.block_fills AS f
  SET cum_quantity = f.cum_quantity + s.quantity, notional = f.notional + s.notional,
      execution_count = f.execution_count + s.executions
  FROM summed AS s WHERE f.block_order_id = s.block_order_id
  RETURNING f.block_order_id, f.cum_quantity, f.notional, f.execution_count, f.order_quantity, f.is_canceled,
            f.snapshot_number, f.allocated_quantity, f.allocated_notional, f.allocated_execution_count,
            f.allocated_is_final, f.allocated_is_canceled
)
SELECT (SELECT count(*) FROM guard) AS guarded, (SELECT count(*) FROM captured_trades) AS messages,
-- insert: state
FROM (SELECT 1 AS one) AS always LEFT JOIN moved AS m ON true;

-- part: state
-- Where a block stands, for BlockState.
m.block_order_id, m.cum_quantity, m.notional::TEXT, m.execution_count, m.order_quantity, m.is_canceled::INT4,
       m.snapshot_number, m.allocated_quantity, m.allocated_notional::TEXT, m.allocated_execution_count,
       m.allocated_is_final::INT4, m.allocated_is_canceled::INT4

-- name: capture_and_fill
-- $1 topic, $2 partition, $3 epoch, $4 expected offset, $5 next offset; then one array element per trade:
-- $6 execution, $7 block order, $8 quantity, $9 price in ticks, $10 offset; then one per other report:
-- $11 execution, $12 type (2 bust, 3 cancel, 4 replace), $13 busted execution, $14 block order, $15 order version,
-- $16 order quantity, $17 offset.
-- Answers one row per block that moved; `guarded` is 0 when the partition belongs to another worker now or when this
-- work was done before, and then nothing else happened either.
WITH guard AS (
  UPDATE allocations.consumer_offsets SET next_offset = $5::INT8
  WHERE topic = $1::TEXT AND topic_partition = $2::INT8 AND epoch = $3::INT8 AND next_offset = $4::INT8
  RETURNING 1 AS held
), trades AS (
  SELECT m.execution_id, m.block_order_id, m.quantity, (m.price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4) AS price,
         $2::INT8 AS topic_partition, m.topic_offset
  FROM unnest($6::INT8[], $7::INT8[], $8::INT8[], $9::INT8[], $10::INT8[])
    AS m (execution_id, block_order_id, quantity, price_ticks, topic_offset)
  WHERE EXISTS (SELECT 1 FROM guard)
), changes AS (
  SELECT m.execution_id, m.exec_type, m.exec_ref_id, m.block_order_id, m.order_version, m.order_quantity,
         $2::INT8 AS topic_partition, m.topic_offset
  FROM unnest($11::INT8[], $12::INT8[], $13::INT8[], $14::INT8[], $15::INT8[], $16::INT8[], $17::INT8[])
    AS m (execution_id, exec_type, exec_ref_id, block_order_id, order_version, order_quantity, topic_offset)
  WHERE EXISTS (SELECT 1 FROM guard)
),
-- insert: effects
SELECT (SELECT count(*) FROM guard) AS guarded, c.messages,
-- insert: state
FROM counted AS c LEFT JOIN moved AS m ON true;

-- name: stage
-- The cycle mode stages messages as they come. Parameters as in capture_and_fill.
WITH guard AS (
  UPDATE allocations.consumer_offsets SET next_offset = $5::INT8
  WHERE topic = $1::TEXT AND topic_partition = $2::INT8 AND epoch = $3::INT8 AND next_offset = $4::INT8
  RETURNING 1 AS held
), messages AS (
  SELECT execution_id, 1::INT8 AS exec_type, 0::INT8 AS exec_ref_id, block_order_id, 0::INT8 AS order_version,
         0::INT8 AS order_quantity, quantity, price_ticks, topic_offset
  FROM unnest($6::INT8[], $7::INT8[], $8::INT8[], $9::INT8[], $10::INT8[])
    AS m (execution_id, block_order_id, quantity, price_ticks, topic_offset)
  UNION ALL
  SELECT execution_id, exec_type, exec_ref_id, block_order_id, order_version, order_quantity, 0, 0, topic_offset
  FROM unnest($11::INT8[], $12::INT8[], $13::INT8[], $14::INT8[], $15::INT8[], $16::INT8[], $17::INT8[])
    AS m (execution_id, exec_type, exec_ref_id, block_order_id, order_version, order_quantity, topic_offset)
), staged AS (
  INSERT INTO allocations.staged_trades
    (topic_partition, topic_offset, execution_id, exec_type, exec_ref_id, block_order_id, order_version, order_quantity,
     quantity, price_ticks)
  SELECT $2::INT8, topic_offset, execution_id, exec_type, exec_ref_id, block_order_id, order_version, order_quantity,
         quantity, price_ticks
  FROM messages WHERE EXISTS (SELECT 1 FROM guard)
  RETURNING 1 AS one
)
SELECT (SELECT count(*) FROM guard) AS guarded, (SELECT count(*) FROM staged) AS messages;

-- name: copy_staged
-- The same for many trades at once, which COPY writes for less: behind an advance_offset, both as one transaction.
COPY allocations.staged_trades
  (topic_partition, topic_offset, execution_id, exec_type, exec_ref_id, block_order_id, order_version, order_quantity,
   quantity, price_ticks)
FROM STDIN;

-- name: capture_and_fill_staged
-- The cycle where it isn't foreseen (below): one set-based transaction processes everything staged. $1 topic, $2 the partitions of
-- this worker, $3 their epochs. Answers as capture_and_fill does: `guarded` is 0 when one of the partitions belongs to another
-- worker now. The epochs are written as they are, to lock them until the commit.
WITH guard AS (
  UPDATE allocations.consumer_offsets AS o SET epoch = o.epoch
  FROM unnest($2::INT8[], $3::INT8[]) AS mine (topic_partition, epoch)
  WHERE o.topic = $1::TEXT AND o.topic_partition = mine.topic_partition AND o.epoch = mine.epoch
  RETURNING 1 AS held
), held AS (
  SELECT 1 AS one WHERE (SELECT count(*) FROM guard) = (SELECT count(*) FROM unnest($2::INT8[]))
), taken AS (
  DELETE FROM allocations.staged_trades WHERE topic_partition = ANY ($2::INT8[]) AND EXISTS (SELECT 1 FROM held)
  RETURNING topic_partition, topic_offset, execution_id, exec_type, exec_ref_id, block_order_id, order_version,
            order_quantity, quantity, price_ticks
), trades AS (
  SELECT execution_id, block_order_id, quantity, (price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4) AS price,
         topic_partition, topic_offset
  FROM taken WHERE exec_type = 1
), changes AS (
  SELECT execution_id, exec_type, exec_ref_id, block_order_id, order_version, order_quantity, topic_partition, topic_offset
  FROM taken WHERE exec_type <> 1
),
-- insert: effects
SELECT (SELECT count(*) FROM held) AS guarded, c.messages,
-- insert: state
FROM counted AS c LEFT JOIN moved AS m ON true;

-- name: staged_count
SELECT count(*) FROM allocations.staged_trades WHERE topic_partition = ANY ($1::INT8[]);

-- name: lock_blocks
-- Where blocks stand, held until the commit: for snapshots that are due by time alone. Answers as capture_and_fill does.
SELECT 1::INT8 AS guarded, 0::INT8 AS messages,
-- insert: state
FROM allocations.block_fills AS m WHERE m.block_order_id = ANY ($1::INT8[])
ORDER BY m.block_order_id FOR UPDATE;

-- name: take_snapshots
-- One array element per block: $1 block order, $2 snapshot number, $3 average price in ticks, $4 whether it is final,
-- $5 whether its bookings may have to change. One array element per account whose quantity changed: $6 block order,
-- $7 account, $8 delta, $9 cumulative.
WITH due AS (
  SELECT block_order_id, snapshot_number, (price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4) AS average_price,
         is_final <> 0 AS is_final, is_booking_due <> 0 AS is_booking_due
  FROM unnest($1::INT8[], $2::INT8[], $3::INT8[], $4::INT8[], $5::INT8[])
    AS d (block_order_id, snapshot_number, price_ticks, is_final, is_booking_due)
), moved AS (
  UPDATE allocations.block_fills AS f
  SET snapshot_number = d.snapshot_number, allocated_quantity = f.cum_quantity, allocated_notional = f.notional,
      allocated_execution_count = f.execution_count, allocated_is_final = d.is_final,
      allocated_is_canceled = f.is_canceled
  FROM due AS d WHERE f.block_order_id = d.block_order_id
  RETURNING f.block_order_id, f.snapshot_number, f.cum_quantity, f.notional, d.average_price, d.is_final,
            d.is_booking_due
), recorded AS (
  INSERT INTO allocations.snapshots
    (block_order_id, snapshot_number, cum_quantity, notional, average_price, residual, is_final)
  SELECT block_order_id, snapshot_number, cum_quantity, notional, average_price,
         notional - average_price * cum_quantity, is_final
  FROM moved
  RETURNING 1 AS one
), requested AS (
  INSERT INTO allocations.booking_outbox (block_order_id, snapshot_number, requested_at)
  SELECT block_order_id, snapshot_number, clock_timestamp() FROM moved WHERE is_booking_due
  RETURNING 1 AS one
)
INSERT INTO allocations.allocations
  (block_order_id, account_id, snapshot_number, quantity_delta, quantity_cumulative, average_price)
SELECT a.block_order_id, a.account_id, m.snapshot_number, a.quantity_delta, a.quantity_cumulative, m.average_price
FROM unnest($6::INT8[], $7::INT8[], $8::INT8[], $9::INT8[])
  AS a (block_order_id, account_id, quantity_delta, quantity_cumulative)
JOIN moved AS m ON m.block_order_id = a.block_order_id;

-- The foreseen transaction: the same effect where the worker knows beforehand where everything will stand. It begins with
-- `advance_offset` and `capture_trades`, that of a cycle with `hold_partitions` and `capture_staged`; then comes `move_blocks`, and
-- where a snapshot is due what stands behind that. All of it goes out together and is one transaction. Each statement writes what it is
-- told or fails, and with it all of them: an execution that is there already is a duplicate key, and an offset or a block that
-- stands elsewhere than expected ends as a text that is no number, which says what it was. Then the worker takes the
-- statements above, which look first. These plain statements cost the server less than two that look: every execution of a
-- statement sets up its whole plan, and of an INSERT with ON CONFLICT every row is looked for before it is written.
-- What a statement is sent comes as arrays, or, where it is of one row, as that row: `sent_trade` stands in the place of
-- `sent_trades` then, and so on. Setting up an unnest of a dozen arrays costs the server more than the row.

-- name: advance_offset
-- $1 topic, $2 partition, $3 epoch, $4 expected offset, $5 next offset.
WITH guard AS (
  UPDATE allocations.consumer_offsets SET next_offset = $5::INT8
  WHERE topic = $1::TEXT AND topic_partition = $2::INT8 AND epoch = $3::INT8 AND next_offset = $4::INT8
  RETURNING 1 AS held
)
SELECT CASE count(*) WHEN 1 THEN 1 ELSE ('offsets as foreseen: ' || count(*))::INT4 END AS as_foreseen FROM guard;

-- part: sent_trades
FROM unnest($2::INT8[], $3::INT8[], $4::INT8[], $5::INT8[], $6::INT8[])
  AS m (execution_id, block_order_id, quantity, price_ticks, topic_offset)

-- part: sent_trade
FROM (VALUES ($2::INT8, $3::INT8, $4::INT8, $5::INT8, $6::INT8))
  AS m (execution_id, block_order_id, quantity, price_ticks, topic_offset)

-- part: sent_moves
  FROM unnest($1::INT8[], $2::INT8[], $3::INT8[], $4::INT8[], $5::INT8[], $6::INT8[], $7::INT8[], $8::INT8[],
              $9::INT8[], $10::INT8[], $11::INT8[], $12::INT8[], $13::INT8[])

-- part: sent_move
  FROM (VALUES ($1::INT8, $2::INT8, $3::INT8, $4::INT8, $5::INT8, $6::INT8, $7::INT8, $8::INT8, $9::INT8, $10::INT8,
                $11::INT8, $12::INT8, $13::INT8))

-- part: moves_expected
cardinality($1::INT8[])

-- part: move_expected
1

-- part: sent_snapshots
FROM unnest($1::INT8[], $2::INT8[], $3::INT8[], $4::INT8[], $5::INT8[], $6::INT8[])

-- part: sent_snapshot
FROM (VALUES ($1::INT8, $2::INT8, $3::INT8, $4::INT8, $5::INT8, $6::INT8))

-- part: sent_allocations
FROM unnest($1::INT8[], $2::INT8[], $3::INT8[], $4::INT8[], $5::INT8[], $6::INT8[])
  AS a (block_order_id, account_id, snapshot_number, quantity_delta, quantity_cumulative, price_ticks)

-- part: sent_allocations_of_block
FROM (VALUES ($1::INT8, $3::INT8, $6::INT8)) AS s (block_order_id, snapshot_number, price_ticks),
     unnest($2::INT8[], $4::INT8[], $5::INT8[]) AS a (account_id, quantity_delta, quantity_cumulative)

-- name: capture_trades
-- $1 partition; then one array element per trade: $2 execution, $3 block order, $4 quantity, $5 price in ticks, $6 offset.
INSERT INTO allocations.captured_trades
  (execution_id, block_order_id, quantity, price, is_busted, topic_partition, topic_offset)
SELECT execution_id, block_order_id, quantity, (price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4), false, $1::INT8,
       topic_offset
-- insert: sent_trades
;

-- name: hold_partitions
-- The cycle's guard: $1 topic, $2 the partitions of this worker, $3 their epochs, which are written as they are, to lock them
-- until the commit.
WITH guard AS (
  UPDATE allocations.consumer_offsets AS o SET epoch = o.epoch
  FROM unnest($2::INT8[], $3::INT8[]) AS mine (topic_partition, epoch)
  WHERE o.topic = $1::TEXT AND o.topic_partition = mine.topic_partition AND o.epoch = mine.epoch
  RETURNING 1 AS held
)
SELECT CASE count(*) WHEN cardinality($2::INT8[]) THEN 1
         ELSE ('partitions as foreseen: ' || count(*) || ' of ' || cardinality($2::INT8[]))::INT4 END AS as_foreseen
FROM guard;

-- name: capture_staged
-- Everything staged, trades alone: $1 the partitions of this worker, $2 how many trades.
WITH taken AS (
  DELETE FROM allocations.staged_trades WHERE topic_partition = ANY ($1::INT8[])
  RETURNING topic_partition, topic_offset, execution_id, block_order_id, quantity, price_ticks
), captured AS (
  INSERT INTO allocations.captured_trades
    (execution_id, block_order_id, quantity, price, is_busted, topic_partition, topic_offset)
  SELECT execution_id, block_order_id, quantity, (price_ticks * 0.0001::NUMERIC)::NUMERIC(18,4), false,
         topic_partition, topic_offset
  FROM taken
  RETURNING 1 AS one
)
SELECT CASE count(*) WHEN $2::INT8 THEN 1
         ELSE ('staged as foreseen: ' || count(*) || ' of ' || $2::INT8)::INT4 END AS as_foreseen
FROM captured;

-- name: move_blocks
-- One array element per block. What is added: $1 block order, $2 quantity, $3 notional in ticks, $4 executions. Where it stands
-- before: $5 cumulative quantity, $6 notional in ticks, $7 executions, $8 order quantity, and of its last snapshot $9 the number,
-- $10 the quantity and $11 the notional in ticks. $12 whether a snapshot is taken of what it has then, $13 whether that is final.
-- A block that is canceled or was final is none that is foreseen.
WITH moved AS (
  UPDATE allocations.block_fills AS f
  SET cum_quantity = f.cum_quantity + d.quantity, notional = f.notional + d.notional_ticks * 0.0001::NUMERIC,
      execution_count = f.execution_count + d.executions, snapshot_number = f.snapshot_number + d.is_due,
      allocated_quantity = CASE d.is_due WHEN 0 THEN f.allocated_quantity ELSE f.cum_quantity + d.quantity END,
      allocated_notional = CASE d.is_due WHEN 0 THEN f.allocated_notional
                                         ELSE f.notional + d.notional_ticks * 0.0001::NUMERIC END,
      allocated_execution_count = CASE d.is_due WHEN 0 THEN f.allocated_execution_count
                                                ELSE f.execution_count + d.executions END,
      allocated_is_final = d.is_final <> 0
-- insert: sent_moves
    AS d (block_order_id, quantity, notional_ticks, executions, cum_quantity, cum_notional_ticks, execution_count,
          order_quantity, snapshot_number, allocated_quantity, allocated_notional_ticks, is_due, is_final)
  WHERE f.block_order_id = d.block_order_id AND f.cum_quantity = d.cum_quantity
    AND f.notional = d.cum_notional_ticks * 0.0001::NUMERIC AND f.execution_count = d.execution_count
    AND f.order_quantity = d.order_quantity AND f.snapshot_number = d.snapshot_number
    AND f.allocated_quantity = d.allocated_quantity
    AND f.allocated_notional = d.allocated_notional_ticks * 0.0001::NUMERIC
    AND NOT f.is_canceled AND NOT f.allocated_is_final
  RETURNING 1 AS one
)
SELECT CASE count(*) WHEN
-- insert: moves_expected
       THEN 1 ELSE ('blocks as foreseen: ' || count(*) || ' of ' ||
-- insert: moves_expected
       )::INT4 END AS as_foreseen
FROM moved;

-- name: record_snapshots
-- One array element per block: $1 block order, $2 snapshot number, $3 cumulative quantity, $4 notional in ticks, $5 average price
-- in ticks, $6 whether it is final.
INSERT INTO allocations.snapshots
  (block_order_id, snapshot_number, cum_quantity, notional, average_price, residual, is_final)
SELECT block_order_id, snapshot_number, cum_quantity, notional_ticks * 0.0001::NUMERIC, price_ticks * 0.0001::NUMERIC,
       (notional_ticks - price_ticks * cum_quantity) * 0.0001::NUMERIC, is_final <> 0
-- insert: sent_snapshots
  AS d (block_order_id, snapshot_number, cum_quantity, notional_ticks, price_ticks, is_final);

-- name: allocate
-- One array element per account whose quantity changed: $1 block order, $2 account, $3 snapshot number, $4 delta, $5 cumulative,
-- $6 average price in ticks.
INSERT INTO allocations.allocations
  (block_order_id, account_id, snapshot_number, quantity_delta, quantity_cumulative, average_price)
SELECT block_order_id, account_id, snapshot_number, quantity_delta, quantity_cumulative, price_ticks * 0.0001::NUMERIC
-- insert: sent_allocations
;

-- name: request_bookings
-- One array element per block whose bookings may have to change: $1 block order, $2 snapshot number.
INSERT INTO allocations.booking_outbox (block_order_id, snapshot_number, requested_at)
SELECT block_order_id, snapshot_number, clock_timestamp()
FROM unnest($1::INT8[], $2::INT8[]) AS d (block_order_id, snapshot_number);

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
