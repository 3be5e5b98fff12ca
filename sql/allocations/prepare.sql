-- Fresh tables for a run: everything the last one wrote goes, and the blocks arrive from the orders stage.

-- name: truncate
TRUNCATE TABLE allocations.block_fills, allocations.block_accounts, allocations.captured_trades,
  allocations.captured_changes, allocations.snapshots, allocations.allocations, allocations.booking_outbox,
  allocations.block_bookings, allocations.account_audits, allocations.allocation_instructions,
  allocations.settlement_instructions, allocations.consumer_offsets, allocations.staged_trades, allocations.parked_blocks,
  allocations.parked_messages;

-- name: receive_blocks
INSERT INTO allocations.block_fills
  (block_order_id, block_order_code, side, security_id, trade_date, allocation_policy, lot_size, minimum_ticket_lots,
   intended_quantity, order_quantity)
SELECT block_order_id, block_order_code, side, security_id, trade_date, allocation_policy, lot_size, minimum_ticket_lots,
       quantity, quantity
FROM orders.block_orders
ON CONFLICT (block_order_id) DO NOTHING;

-- name: receive_block_accounts
INSERT INTO allocations.block_accounts (block_order_id, account_id, intended_quantity, customer_order_id, target_broker)
SELECT block_order_id, account_id, quantity, customer_order_id, target_broker FROM orders.block_order_accounts
ON CONFLICT (block_order_id, account_id) DO NOTHING;

-- name: receive_partition
-- The epoch begins at the server's clock, in microseconds since 1970: no epoch comes twice, not even with fresh tables, and a
-- worker that is left over from earlier ones finds a later epoch than its own.
INSERT INTO allocations.consumer_offsets (topic, topic_partition, epoch)
VALUES ($1::TEXT, $2::INT8, (extract(epoch FROM clock_timestamp()) * 1000000)::INT8)
ON CONFLICT (topic, topic_partition) DO NOTHING;

-- name: block_accounts
SELECT block_order_id, account_id, intended_quantity, customer_order_id FROM allocations.block_accounts
ORDER BY block_order_id, account_id;

-- name: blocks
SELECT block_order_id, block_order_code, intended_quantity, allocation_policy, lot_size, minimum_ticket_lots
FROM allocations.block_fills ORDER BY block_order_id;

-- name: block_states
-- Of the blocks that something has happened to.
SELECT m.block_order_id, m.cum_quantity, m.notional::TEXT, m.execution_count, m.order_quantity, m.is_canceled::INT4,
       m.snapshot_number, m.allocated_quantity, m.allocated_notional::TEXT, m.allocated_execution_count,
       m.allocated_is_final::INT4, m.allocated_is_canceled::INT4
FROM allocations.block_fills AS m
WHERE m.cum_quantity > 0 OR m.order_version > 0 OR m.snapshot_number > 0 ORDER BY m.block_order_id;

-- name: parked_blocks
SELECT block_order_code FROM allocations.parked_blocks;

-- name: claim_partition
-- By the clock, too: a claim that a promoted standby doesn't know must not be made a second time under the same number.
UPDATE allocations.consumer_offsets
SET epoch = greatest(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::INT8)
WHERE topic = $1::TEXT AND topic_partition = $2::INT8
RETURNING epoch, next_offset;

-- name: read_offset
SELECT epoch, next_offset FROM allocations.consumer_offsets WHERE topic = $1::TEXT AND topic_partition = $2::INT8;

-- name: read_offsets
SELECT topic_partition, next_offset FROM allocations.consumer_offsets WHERE topic = $1::TEXT;

-- name: partitions_of_blocks
SELECT DISTINCT block_order_id, topic_partition FROM allocations.captured_trades WHERE topic_partition = ANY ($1::INT8[]);

-- name: captured_count
-- Messages of these offsets that were captured, each for the first time.
SELECT (SELECT count(*) FROM allocations.captured_trades
        WHERE topic_partition = $1::INT8 AND topic_offset >= $2::INT8 AND topic_offset < $3::INT8)
     + (SELECT count(*) FROM allocations.captured_changes
        WHERE topic_partition = $1::INT8 AND topic_offset >= $2::INT8 AND topic_offset < $3::INT8);

-- name: unfilled_count
SELECT count(*) FROM allocations.captured_trades WHERE NOT filled;

-- name: half_written_count
-- Blocks of which a killed worker of mode row wrote part of a snapshot.
SELECT count(DISTINCT a.block_order_id) FROM allocations.allocations AS a
JOIN allocations.block_fills AS f ON f.block_order_id = a.block_order_id
WHERE a.snapshot_number > f.snapshot_number;

-- name: terminate_workers
-- What a planned fault does: ends the sessions of every worker in this database, whatever they are doing.
-- only postgresql:
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name IN ('allocbench worker', 'allocbench booking');
-- only cockroachdb:
-- Of the whole cluster only those in this database; `name_session` has told.
CANCEL SESSIONS IF EXISTS SELECT session_id FROM [SHOW CLUSTER SESSIONS]
WHERE application_name IN
  ('allocbench worker in ' || current_database(), 'allocbench booking in ' || current_database());
