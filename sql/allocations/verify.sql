-- Verification: every statement answers the differences it found, as (subject, expected, actual); no row means right.
-- It reads what other stages own, and writes nothing.

-- name: executions_not_captured
SELECT 'execution ' || e.execution_id::TEXT, 'captured once', 'not captured'
FROM trades.executions AS e
LEFT JOIN allocations.captured_trades AS c ON c.execution_id = e.execution_id
WHERE c.execution_id IS NULL
ORDER BY e.execution_id;

-- name: captured_without_execution
SELECT 'captured trade ' || c.execution_id::TEXT,
       coalesce(e.quantity::TEXT || ' at ' || e.price::TEXT || ' for block ' || e.block_order_id::TEXT, 'no such execution'),
       c.quantity::TEXT || ' at ' || c.price::TEXT || ' for block ' || c.block_order_id::TEXT
FROM allocations.captured_trades AS c
LEFT JOIN trades.executions AS e ON e.execution_id = c.execution_id
WHERE e.execution_id IS NULL OR e.quantity <> c.quantity OR e.price <> c.price
   OR e.block_order_id <> c.block_order_id OR NOT c.filled
ORDER BY c.execution_id;

-- name: fills_differ_from_executions
SELECT 'block ' || coalesce(f.block_order_id, x.block_order_id)::TEXT,
       coalesce(x.quantity, 0)::TEXT || ' shares for ' || coalesce(x.notional, 0)::NUMERIC(38,4)::TEXT || ' in '
         || coalesce(x.executions, 0)::TEXT,
       coalesce(f.filled_quantity, 0)::TEXT || ' shares for ' || coalesce(f.notional, 0)::TEXT || ' in '
         || coalesce(f.execution_count, 0)::TEXT
FROM allocations.block_fills AS f
FULL JOIN (
  SELECT block_order_id, sum(quantity)::INT8 AS quantity, sum(quantity * price) AS notional, count(*) AS executions
  FROM trades.executions GROUP BY block_order_id
) AS x ON x.block_order_id = f.block_order_id
WHERE coalesce(f.filled_quantity, 0) <> coalesce(x.quantity, 0) OR coalesce(f.notional, 0) <> coalesce(x.notional, 0)
   OR coalesce(f.execution_count, 0) <> coalesce(x.executions, 0)
ORDER BY 1;

-- name: blocks_differ_from_orders
SELECT 'block ' || coalesce(f.block_order_id, b.block_order_id)::TEXT,
       coalesce(b.quantity, 0)::TEXT || ' ordered', coalesce(f.ordered_quantity, 0)::TEXT || ' ordered'
FROM allocations.block_fills AS f
FULL JOIN orders.block_orders AS b ON b.block_order_id = f.block_order_id
WHERE coalesce(f.ordered_quantity, 0) <> coalesce(b.quantity, 0)
ORDER BY 1;

-- name: accounts_differ_from_orders
SELECT 'block ' || coalesce(a.block_order_id, o.block_order_id)::TEXT || ' account '
         || coalesce(a.account_id, o.account_id)::TEXT,
       coalesce(o.quantity, 0)::TEXT || ' ordered', coalesce(a.ordered_quantity, 0)::TEXT || ' ordered'
FROM allocations.block_accounts AS a
FULL JOIN orders.block_order_accounts AS o ON o.block_order_id = a.block_order_id AND o.account_id = a.account_id
WHERE coalesce(a.ordered_quantity, 0) <> coalesce(o.quantity, 0)
ORDER BY 1;

-- name: complete_blocks_not_allocated
SELECT 'block ' || block_order_id::TEXT, filled_quantity::TEXT || ' allocated', allocated_quantity::TEXT || ' allocated'
FROM allocations.block_fills
WHERE filled_quantity = ordered_quantity AND allocated_quantity <> filled_quantity
ORDER BY block_order_id;

-- name: snapshots_differ_from_fills
SELECT 'block ' || f.block_order_id::TEXT,
       f.snapshot_number::TEXT || ' snapshots, last at ' || f.allocated_quantity::TEXT,
       coalesce(s.snapshots, 0)::TEXT || ' snapshots, last at ' || coalesce(s.filled_quantity, 0)::TEXT
FROM allocations.block_fills AS f
LEFT JOIN (
  SELECT block_order_id, count(*) AS snapshots, max(filled_quantity) AS filled_quantity
  FROM allocations.snapshots GROUP BY block_order_id
) AS s ON s.block_order_id = f.block_order_id
WHERE f.snapshot_number <> coalesce(s.snapshots, 0) OR f.allocated_quantity <> coalesce(s.filled_quantity, 0)
ORDER BY f.block_order_id;

-- name: allocated_differs_from_filled
SELECT 'block ' || f.block_order_id::TEXT, f.allocated_quantity::TEXT || ' shares in sum',
       coalesce(a.quantity, 0)::TEXT || ' shares in sum'
FROM allocations.block_fills AS f
LEFT JOIN (
  SELECT block_order_id, sum(quantity_delta)::INT8 AS quantity FROM allocations.allocations GROUP BY block_order_id
) AS a ON a.block_order_id = f.block_order_id
WHERE f.allocated_quantity <> coalesce(a.quantity, 0)
ORDER BY f.block_order_id;

-- name: snapshot_sums_differ
SELECT 'block ' || s.block_order_id::TEXT || ' snapshot ' || s.snapshot_number::TEXT,
       s.filled_quantity::TEXT || ' shares in sum', coalesce(sum(a.quantity_cumulative), 0)::TEXT || ' shares in sum'
FROM allocations.snapshots AS s
LEFT JOIN allocations.allocations AS a
  ON a.block_order_id = s.block_order_id AND a.snapshot_number = s.snapshot_number
GROUP BY s.block_order_id, s.snapshot_number, s.filled_quantity
HAVING coalesce(sum(a.quantity_cumulative), 0) <> s.filled_quantity
ORDER BY s.block_order_id, s.snapshot_number;

-- name: deltas_differ_from_cumulative
SELECT 'block ' || block_order_id::TEXT || ' account ' || account_id::TEXT || ' snapshot ' || snapshot_number::TEXT,
       summed::TEXT || ' cumulative', quantity_cumulative::TEXT || ' cumulative'
FROM (
  SELECT block_order_id, account_id, snapshot_number, quantity_cumulative,
         sum(quantity_delta) OVER (PARTITION BY block_order_id, account_id ORDER BY snapshot_number) AS summed
  FROM allocations.allocations
) AS a
WHERE summed <> quantity_cumulative
ORDER BY 1;

-- name: allocations_beyond_orders
SELECT 'block ' || a.block_order_id::TEXT || ' account ' || a.account_id::TEXT,
       'at most ' || coalesce(o.quantity, 0)::TEXT, a.quantity_cumulative::TEXT
FROM allocations.allocations AS a
LEFT JOIN orders.block_order_accounts AS o ON o.block_order_id = a.block_order_id AND o.account_id = a.account_id
WHERE o.account_id IS NULL OR a.quantity_cumulative > o.quantity
ORDER BY a.block_order_id, a.account_id;

-- name: quota_broken
SELECT 'block ' || a.block_order_id::TEXT || ' account ' || a.account_id::TEXT || ' snapshot ' || a.snapshot_number::TEXT,
       'within one share of ' || s.filled_quantity::TEXT || ' x ' || o.quantity::TEXT || ' / ' || b.quantity::TEXT,
       a.quantity_cumulative::TEXT
FROM allocations.allocations AS a
JOIN allocations.snapshots AS s ON s.block_order_id = a.block_order_id AND s.snapshot_number = a.snapshot_number
JOIN orders.block_orders AS b ON b.block_order_id = a.block_order_id
JOIN orders.block_order_accounts AS o ON o.block_order_id = a.block_order_id AND o.account_id = a.account_id
WHERE abs(a.quantity_cumulative * b.quantity - s.filled_quantity * o.quantity) >= b.quantity
ORDER BY 1;

-- name: average_prices_differ
-- Also finds allocations whose snapshot there isn't.
SELECT 'block ' || a.block_order_id::TEXT || ' account ' || a.account_id::TEXT || ' snapshot ' || a.snapshot_number::TEXT,
       coalesce(s.average_price::TEXT, 'no such snapshot'), a.average_price::TEXT
FROM allocations.allocations AS a
LEFT JOIN allocations.snapshots AS s ON s.block_order_id = a.block_order_id AND s.snapshot_number = a.snapshot_number
WHERE s.average_price IS NULL OR a.average_price <> s.average_price
ORDER BY 1;

-- name: cash_not_conserved
-- Accounts' amounts plus the booked residual are the notional, and the residual is at most half a tick per share.
SELECT 'block ' || s.block_order_id::TEXT || ' snapshot ' || s.snapshot_number::TEXT,
       s.notional::TEXT, (s.average_price * s.filled_quantity + s.residual)::TEXT || ' with residual ' || s.residual::TEXT
FROM allocations.snapshots AS s
WHERE s.average_price * s.filled_quantity + s.residual <> s.notional
   OR abs(s.residual) * 20000 > s.filled_quantity
ORDER BY s.block_order_id, s.snapshot_number;

-- name: last_snapshot_differs_from_fills
SELECT 'block ' || f.block_order_id::TEXT, f.notional::TEXT, s.notional::TEXT
FROM allocations.block_fills AS f
JOIN allocations.snapshots AS s ON s.block_order_id = f.block_order_id AND s.snapshot_number = f.snapshot_number
WHERE f.filled_quantity = f.allocated_quantity AND f.notional <> s.notional
ORDER BY f.block_order_id;

-- name: offsets_differ_from_topic
-- $1 topic, $2 partitions, $3 the offset after each partition's last message.
SELECT 'partition ' || t.topic_partition::TEXT, t.end_offset::TEXT, coalesce(o.next_offset::TEXT, 'never consumed')
FROM unnest($2::INT8[], $3::INT8[]) AS t (topic_partition, end_offset)
LEFT JOIN allocations.consumer_offsets AS o ON o.topic = $1::TEXT AND o.topic_partition = t.topic_partition
WHERE o.next_offset IS NULL OR o.next_offset <> t.end_offset
ORDER BY t.topic_partition;

-- name: staged_left_behind
SELECT 'partition ' || topic_partition::TEXT, 'no staged message', count(*)::TEXT || ' staged messages'
FROM allocations.staged_trades GROUP BY topic_partition ORDER BY topic_partition;

-- name: parked_messages
SELECT 'block ' || block_order_code || ' at partition ' || topic_partition::TEXT || ' offset ' || topic_offset::TEXT,
       'no parked message', reason
FROM allocations.parked_messages ORDER BY topic_partition, topic_offset;

-- name: oracle_orders
SELECT o.block_order_id, o.account_id, o.quantity FROM orders.block_order_accounts AS o ORDER BY o.block_order_id, o.account_id;

-- name: oracle_executions
SELECT block_order_id, quantity, (price * 10000)::INT8 FROM trades.executions;

-- name: oracle_allocations
-- The last allocation of every account, with what was filled when it was made.
SELECT DISTINCT ON (a.block_order_id, a.account_id)
       a.block_order_id, a.account_id, a.quantity_cumulative, (a.average_price * 10000)::INT8
FROM allocations.allocations AS a
ORDER BY a.block_order_id, a.account_id, a.snapshot_number DESC;

-- name: oracle_fills
SELECT block_order_id, allocated_quantity FROM allocations.block_fills ORDER BY block_order_id;
