-- Fresh tables for a run: everything the last one wrote goes, and the blocks arrive from the orders stage.

-- name: truncate
TRUNCATE TABLE allocations.block_fills, allocations.block_accounts, allocations.captured_trades, allocations.snapshots,
  allocations.allocations, allocations.consumer_offsets, allocations.staged_trades, allocations.parked_blocks,
  allocations.parked_messages;

-- name: receive_blocks
INSERT INTO allocations.block_fills (block_order_id, block_order_code, ordered_quantity)
SELECT block_order_id, block_order_code, quantity FROM orders.block_orders
ON CONFLICT (block_order_id) DO NOTHING;

-- name: receive_block_accounts
INSERT INTO allocations.block_accounts (block_order_id, account_id, ordered_quantity)
SELECT block_order_id, account_id, quantity FROM orders.block_order_accounts
ON CONFLICT (block_order_id, account_id) DO NOTHING;

-- name: receive_partition
INSERT INTO allocations.consumer_offsets (topic, topic_partition) VALUES ($1::TEXT, $2::INT8)
ON CONFLICT (topic, topic_partition) DO NOTHING;

-- name: block_accounts
SELECT block_order_id, account_id, ordered_quantity FROM allocations.block_accounts ORDER BY block_order_id, account_id;

-- name: blocks
SELECT block_order_id, block_order_code, ordered_quantity FROM allocations.block_fills ORDER BY block_order_id;

-- name: block_states
SELECT block_order_id, filled_quantity, allocated_quantity FROM allocations.block_fills
WHERE filled_quantity > 0 ORDER BY block_order_id;

-- name: parked_blocks
SELECT block_order_code FROM allocations.parked_blocks;

-- name: claim_partition
UPDATE allocations.consumer_offsets SET epoch = epoch + 1
WHERE topic = $1::TEXT AND topic_partition = $2::INT8
RETURNING epoch, next_offset;

-- name: read_offset
SELECT epoch, next_offset FROM allocations.consumer_offsets WHERE topic = $1::TEXT AND topic_partition = $2::INT8;

-- name: captured_count
SELECT count(*) FROM allocations.captured_trades
WHERE topic_partition = $1::INT8 AND topic_offset >= $2::INT8 AND topic_offset < $3::INT8;

-- name: unfilled_count
SELECT count(*) FROM allocations.captured_trades WHERE NOT filled;
