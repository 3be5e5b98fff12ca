-- Verification: every statement answers the differences it found, as (subject, expected, actual); no row means right.
-- It reads what other stages own, and writes nothing.

-- name: executions_not_captured
SELECT 'execution ' || e.execution_id::TEXT, 'captured once', 'not captured'
FROM trades.executions AS e
LEFT JOIN allocations.captured_trades AS t ON t.execution_id = e.execution_id AND t.quantity IS NOT NULL
LEFT JOIN allocations.captured_changes AS c ON c.execution_id = e.execution_id
WHERE CASE WHEN e.exec_type = 'TRADE' THEN t.execution_id IS NULL ELSE c.execution_id IS NULL END
ORDER BY e.execution_id;

-- name: captured_without_execution
-- A row without a quantity waits for an execution that a bust has named; without such a bust it waits for nothing.
SELECT 'captured trade ' || c.execution_id::TEXT,
       CASE WHEN e.execution_id IS NULL THEN 'no such trade'
            ELSE e.quantity::TEXT || ' at ' || e.price::TEXT || ' for block ' || e.block_order_id::TEXT || ', filled' END,
       coalesce(c.quantity::TEXT || ' at ' || c.price::TEXT, 'nothing') || ' for block ' || c.block_order_id::TEXT
         || CASE WHEN c.filled THEN ', filled' ELSE ', not filled' END
FROM allocations.captured_trades AS c
LEFT JOIN trades.executions AS e ON e.execution_id = c.execution_id AND e.exec_type = 'TRADE'
WHERE CASE WHEN c.quantity IS NULL THEN NOT c.is_busted
           ELSE e.execution_id IS NULL OR e.quantity <> c.quantity OR e.price <> c.price
             OR e.block_order_id <> c.block_order_id OR NOT c.filled END
ORDER BY c.execution_id;

-- name: changes_without_execution
SELECT 'captured change ' || c.execution_id::TEXT,
       CASE WHEN e.execution_id IS NULL THEN 'no such report'
            ELSE e.exec_type || ' of ' || coalesce(e.exec_ref_id::TEXT, 'version ' || e.order_version::TEXT || ' to '
              || e.order_quantity::TEXT) || ' for block ' || e.block_order_id::TEXT END,
       c.exec_type || ' of ' || CASE WHEN c.exec_type = 'TRADE_CANCEL' THEN coalesce(c.exec_ref_id::TEXT, 'nothing')
           ELSE 'version ' || coalesce(c.order_version::TEXT, 'none') || ' to ' || coalesce(c.order_quantity::TEXT, 'none') END
         || ' for block ' || c.block_order_id::TEXT
FROM allocations.captured_changes AS c
LEFT JOIN trades.executions AS e ON e.execution_id = c.execution_id AND e.exec_type <> 'TRADE'
WHERE e.execution_id IS NULL OR e.exec_type <> c.exec_type OR e.block_order_id <> c.block_order_id
   OR CASE WHEN e.exec_type = 'TRADE_CANCEL' THEN coalesce(c.exec_ref_id, 0) <> e.exec_ref_id
           ELSE coalesce(c.order_version, 0) <> e.order_version OR coalesce(c.order_quantity, 0) <> e.order_quantity END
ORDER BY c.execution_id;

-- name: busted_differ_from_busts
-- An execution is busted if and only if there is a bust of it, and only what is busted was reversed.
SELECT 'captured trade ' || c.execution_id::TEXT,
       CASE WHEN b.exec_ref_id IS NULL THEN 'live' ELSE 'busted' END,
       CASE WHEN c.is_busted THEN 'busted' ELSE 'live' END || CASE WHEN c.was_reversed THEN ', reversed' ELSE '' END
FROM allocations.captured_trades AS c
LEFT JOIN (SELECT DISTINCT exec_ref_id FROM trades.executions WHERE exec_type = 'TRADE_CANCEL') AS b
  ON b.exec_ref_id = c.execution_id
WHERE c.is_busted <> (b.exec_ref_id IS NOT NULL) OR (c.was_reversed AND (c.quantity IS NULL OR NOT c.is_busted))
ORDER BY c.execution_id;

-- name: busts_wait_for_what_came
-- A bust of an execution that never comes is no difference; one of an execution that there is must have found it.
SELECT 'bust ' || b.execution_id::TEXT, 'applied to execution ' || b.exec_ref_id::TEXT, 'waiting for it'
FROM allocations.bust_outcomes AS b
JOIN trades.executions AS e ON e.execution_id = b.exec_ref_id AND e.exec_type = 'TRADE'
WHERE b.outcome = 'WAITING'
ORDER BY b.execution_id;

-- name: fills_differ_from_executions
-- What is filled is the sum of the live executions: those that no bust names.
SELECT 'block ' || coalesce(f.block_order_id, x.block_order_id)::TEXT,
       coalesce(x.quantity, 0)::TEXT || ' shares for ' || coalesce(x.notional, 0)::NUMERIC(38,4)::TEXT || ' in '
         || coalesce(x.executions, 0)::TEXT,
       coalesce(f.cum_quantity, 0)::TEXT || ' shares for ' || coalesce(f.notional, 0)::TEXT || ' in '
         || coalesce(f.execution_count, 0)::TEXT
FROM allocations.block_fills AS f
FULL JOIN (
  SELECT e.block_order_id, sum(e.quantity)::INT8 AS quantity, sum(e.quantity * e.price) AS notional,
         count(*) AS executions
  FROM trades.executions AS e
  LEFT JOIN (SELECT DISTINCT exec_ref_id FROM trades.executions WHERE exec_type = 'TRADE_CANCEL') AS b
    ON b.exec_ref_id = e.execution_id
  WHERE e.exec_type = 'TRADE' AND b.exec_ref_id IS NULL
  GROUP BY e.block_order_id
) AS x ON x.block_order_id = f.block_order_id
WHERE coalesce(f.cum_quantity, 0) <> coalesce(x.quantity, 0) OR coalesce(f.notional, 0) <> coalesce(x.notional, 0)
   OR coalesce(f.execution_count, 0) <> coalesce(x.executions, 0)
ORDER BY coalesce(f.block_order_id, x.block_order_id);

-- name: order_states_differ_from_changes
-- Of the changes of an order the one with the highest version counts; without any the order is as it was routed.
SELECT 'block ' || f.block_order_id::TEXT,
       'version ' || coalesce(c.order_version, 0)::TEXT || ' of ' || coalesce(c.order_quantity, o.quantity)::TEXT
         || ' shares' || CASE WHEN c.exec_type = 'CANCELED' THEN ', canceled' ELSE '' END,
       'version ' || f.order_version::TEXT || ' of ' || f.order_quantity::TEXT || ' shares'
         || CASE WHEN f.is_canceled THEN ', canceled' ELSE '' END
FROM allocations.block_fills AS f
JOIN orders.block_orders AS o ON o.block_order_id = f.block_order_id
LEFT JOIN (
  SELECT DISTINCT ON (block_order_id) block_order_id, order_version, order_quantity, exec_type FROM trades.executions
  WHERE exec_type IN ('CANCELED', 'REPLACED')
  ORDER BY block_order_id, order_version DESC
) AS c ON c.block_order_id = f.block_order_id
WHERE f.order_version <> coalesce(c.order_version, 0) OR f.order_quantity <> coalesce(c.order_quantity, o.quantity)
   OR f.is_canceled <> coalesce(c.exec_type = 'CANCELED', false)
ORDER BY f.block_order_id;

-- name: outcomes_differ_from_fills
-- What the market says of a block that ended. The price is right if it leaves over between minus half a tick, included, and
-- half a tick, excluded, per share.
SELECT 'block ' || o.block_order_id::TEXT,
       o.ord_status || ' version ' || o.order_version::TEXT || ', ' || o.cum_quantity::TEXT || ' of ' || o.order_quantity::TEXT
         || ' at ' || o.average_price::TEXT || ', leaves ' || o.leaves_quantity::TEXT,
       CASE WHEN f.block_order_id IS NULL THEN 'no such block'
            ELSE CASE WHEN f.is_canceled THEN 'CANCELED' WHEN f.cum_quantity = f.order_quantity THEN 'FILLED' ELSE 'open' END
              || ' version ' || f.order_version::TEXT || ', ' || f.cum_quantity::TEXT || ' of ' || f.order_quantity::TEXT
              || ' for ' || f.notional::TEXT END
FROM trades.block_outcomes AS o
LEFT JOIN allocations.block_fills AS f ON f.block_order_id = o.block_order_id
WHERE f.block_order_id IS NULL
   OR o.ord_status <> CASE WHEN f.is_canceled THEN 'CANCELED' WHEN f.cum_quantity = f.order_quantity THEN 'FILLED' ELSE '' END
   OR o.order_version <> f.order_version OR o.order_quantity <> f.order_quantity OR o.cum_quantity <> f.cum_quantity
   OR o.leaves_quantity <> CASE WHEN f.is_canceled THEN 0 ELSE f.order_quantity - f.cum_quantity END
   OR (f.notional - o.average_price * f.cum_quantity) * 20000 < -f.cum_quantity
   OR (f.notional - o.average_price * f.cum_quantity) * 20000 >= greatest(f.cum_quantity, 1)
   OR (f.cum_quantity = 0 AND o.average_price <> 0)
ORDER BY o.block_order_id;

-- name: overfilled_blocks
-- While a bust or replace is still to come, a block may have more fills than its order; at the end it may not.
SELECT 'block ' || block_order_id::TEXT, 'at most ' || order_quantity::TEXT || ' filled', cum_quantity::TEXT || ' filled'
FROM allocations.block_fills WHERE cum_quantity > order_quantity ORDER BY block_order_id;

-- name: blocks_differ_from_orders
SELECT 'block ' || coalesce(f.block_order_id, b.block_order_id)::TEXT,
       CASE WHEN b.block_order_id IS NULL THEN 'no such block order'
            ELSE b.block_order_code || ' ' || b.side || ' ' || b.quantity::TEXT || ' of security ' || b.security_id::TEXT
              || ' on ' || b.trade_date::TEXT || ' ' || b.allocation_policy || ' in lots of ' || b.lot_size::TEXT
              || ', tickets of ' || b.minimum_ticket_lots::TEXT END,
       CASE WHEN f.block_order_id IS NULL THEN 'not received'
            ELSE f.block_order_code || ' ' || f.side || ' ' || f.intended_quantity::TEXT || ' of security '
              || f.security_id::TEXT || ' on ' || f.trade_date::TEXT || ' ' || f.allocation_policy || ' in lots of '
              || f.lot_size::TEXT || ', tickets of ' || f.minimum_ticket_lots::TEXT END
FROM allocations.block_fills AS f
FULL JOIN orders.block_orders AS b ON b.block_order_id = f.block_order_id
WHERE f.block_order_id IS NULL OR b.block_order_id IS NULL OR f.block_order_code <> b.block_order_code
   OR f.side <> b.side OR f.security_id <> b.security_id OR f.trade_date <> b.trade_date
   OR f.intended_quantity <> b.quantity OR f.allocation_policy <> b.allocation_policy OR f.lot_size <> b.lot_size
   OR f.minimum_ticket_lots <> b.minimum_ticket_lots
ORDER BY coalesce(f.block_order_id, b.block_order_id);

-- name: accounts_differ_from_orders
SELECT 'block ' || coalesce(a.block_order_id, o.block_order_id)::TEXT || ' account '
         || coalesce(a.account_id, o.account_id)::TEXT,
       CASE WHEN o.account_id IS NULL THEN 'not behind the block'
            ELSE o.quantity::TEXT || ' by customer order ' || o.customer_order_id::TEXT || ' for "' || o.target_broker || '"' END,
       CASE WHEN a.account_id IS NULL THEN 'not received'
            ELSE a.intended_quantity::TEXT || ' by customer order ' || a.customer_order_id::TEXT || ' for "' || a.target_broker
              || '"' END
FROM allocations.block_accounts AS a
FULL JOIN orders.block_order_accounts AS o ON o.block_order_id = a.block_order_id AND o.account_id = a.account_id
WHERE a.account_id IS NULL OR o.account_id IS NULL OR a.intended_quantity <> o.quantity
   OR a.customer_order_id <> o.customer_order_id OR a.target_broker <> o.target_broker
ORDER BY coalesce(a.block_order_id, o.block_order_id), coalesce(a.account_id, o.account_id);

-- name: blocks_differ_from_accounts
SELECT 'block ' || f.block_order_id::TEXT, f.intended_quantity::TEXT || ' behind it', coalesce(a.quantity, 0)::TEXT || ' behind it'
FROM allocations.block_fills AS f
LEFT JOIN (
  SELECT block_order_id, sum(intended_quantity)::INT8 AS quantity FROM allocations.block_accounts GROUP BY block_order_id
) AS a ON a.block_order_id = f.block_order_id
WHERE f.intended_quantity <> coalesce(a.quantity, 0)
ORDER BY f.block_order_id;

-- name: snapshots_overdue
-- Whatever the snapshot policy is: when a block ended, when it goes on after all, and when a bust took back allocated shares.
SELECT 'block ' || block_order_id::TEXT,
       'a snapshot of ' || cum_quantity::TEXT || ' for ' || notional::TEXT
         || CASE WHEN is_canceled OR cum_quantity = order_quantity THEN ', final' ELSE ', not final' END,
       CASE WHEN snapshot_number = 0 THEN 'no snapshot'
            ELSE 'snapshot ' || snapshot_number::TEXT || ' of ' || allocated_quantity::TEXT || ' for ' || allocated_notional::TEXT
              || CASE WHEN allocated_is_final THEN ', final' ELSE ', not final' END END
FROM allocations.block_fills
WHERE cum_quantity <= order_quantity AND (cum_quantity > 0 OR snapshot_number > 0)
  AND (cum_quantity <> allocated_quantity OR notional <> allocated_notional
    OR (is_canceled OR cum_quantity = order_quantity) <> allocated_is_final OR is_canceled <> allocated_is_canceled)
  AND (is_canceled OR cum_quantity = order_quantity OR allocated_is_final OR cum_quantity < allocated_quantity)
ORDER BY block_order_id;

-- name: snapshots_differ_from_fills
-- Snapshots are numbered from 1 without a gap, and the block knows what the last one said.
SELECT 'block ' || coalesce(f.block_order_id, s.block_order_id)::TEXT,
       CASE WHEN f.block_order_id IS NULL THEN 'no snapshot of a block that was never received'
            ELSE f.snapshot_number::TEXT || ' snapshots, the last of ' || f.allocated_quantity::TEXT || ' for '
              || f.allocated_notional::TEXT || CASE WHEN f.allocated_is_final THEN ', final' ELSE '' END END,
       coalesce(s.snapshots, 0)::TEXT || ' snapshots, the last numbered ' || coalesce(s.snapshot_number, 0)::TEXT || ' of '
         || coalesce(s.cum_quantity, 0)::TEXT || ' for ' || coalesce(s.notional, 0)::TEXT
         || CASE WHEN s.is_final THEN ', final' ELSE '' END
FROM allocations.block_fills AS f
FULL JOIN (
  SELECT n.block_order_id, n.snapshots, n.snapshot_number, l.cum_quantity, l.notional, l.is_final
  FROM (
    SELECT block_order_id, count(*) AS snapshots, max(snapshot_number) AS snapshot_number
    FROM allocations.snapshots GROUP BY block_order_id
  ) AS n
  JOIN allocations.snapshots AS l ON l.block_order_id = n.block_order_id AND l.snapshot_number = n.snapshot_number
) AS s ON s.block_order_id = f.block_order_id
WHERE f.block_order_id IS NULL OR f.snapshot_number <> coalesce(s.snapshots, 0)
   OR f.snapshot_number <> coalesce(s.snapshot_number, 0) OR f.allocated_quantity <> coalesce(s.cum_quantity, 0)
   OR f.allocated_notional <> coalesce(s.notional, 0) OR f.allocated_is_final <> coalesce(s.is_final, false)
ORDER BY coalesce(f.block_order_id, s.block_order_id);

-- name: snapshot_sums_differ
-- A snapshot writes only the accounts that changed, so its sum is that of all deltas up to it.
SELECT 'block ' || block_order_id::TEXT || ' snapshot ' || snapshot_number::TEXT, cum_quantity::TEXT || ' shares in sum',
       summed::TEXT || ' shares in sum'
FROM (
  SELECT s.block_order_id, s.snapshot_number, s.cum_quantity,
         sum(coalesce(a.quantity, 0)) OVER (PARTITION BY s.block_order_id ORDER BY s.snapshot_number) AS summed
  FROM allocations.snapshots AS s
  LEFT JOIN (
    SELECT block_order_id, snapshot_number, sum(quantity_delta) AS quantity
    FROM allocations.allocations GROUP BY block_order_id, snapshot_number
  ) AS a ON a.block_order_id = s.block_order_id AND a.snapshot_number = s.snapshot_number
) AS r
WHERE summed <> cum_quantity
ORDER BY block_order_id, snapshot_number;

-- name: deltas_differ_from_cumulative
SELECT 'block ' || block_order_id::TEXT || ' account ' || account_id::TEXT || ' snapshot ' || snapshot_number::TEXT,
       summed::TEXT || ' cumulative', quantity_cumulative::TEXT || ' cumulative'
FROM (
  SELECT block_order_id, account_id, snapshot_number, quantity_cumulative,
         sum(quantity_delta) OVER (PARTITION BY block_order_id, account_id ORDER BY snapshot_number) AS summed
  FROM allocations.allocations
) AS a
WHERE summed <> quantity_cumulative
ORDER BY block_order_id, account_id, snapshot_number;

-- name: allocations_without_account
SELECT 'block ' || a.block_order_id::TEXT || ' account ' || a.account_id::TEXT || ' snapshot ' || a.snapshot_number::TEXT,
       'nothing: the account is not behind the block', a.quantity_cumulative::TEXT
FROM allocations.allocations AS a
LEFT JOIN orders.block_order_accounts AS o ON o.block_order_id = a.block_order_id AND o.account_id = a.account_id
WHERE o.account_id IS NULL
ORDER BY a.block_order_id, a.account_id, a.snapshot_number;

-- part: held
-- What every account holds at every snapshot: what its last row up to there says, in the lots that the block is divided in.
-- Beyond the sum of the orders everyone has whole rounds first; `rest` and `part` are what is left of the block's and of the
-- account's shares.
held AS (
  SELECT s.block_order_id, s.snapshot_number, s.cum_quantity, b.allocation_policy, b.lot, b.intended_total,
         b.minimum_ticket_lots * b.lot AS minimum_ticket, o.account_id, o.intended_quantity, o.customer_order_id,
         coalesce(a.quantity_cumulative, 0) AS quantity,
         s.cum_quantity - (div(s.cum_quantity, b.intended_total)::INT8) * b.intended_total AS rest,
         coalesce(a.quantity_cumulative, 0) - (div(s.cum_quantity, b.intended_total)::INT8) * o.intended_quantity AS part
  FROM allocations.snapshots AS s
  JOIN (
    SELECT f.block_order_id, f.allocation_policy, f.minimum_ticket_lots, sum(l.intended_quantity)::INT8 AS intended_total,
           CASE WHEN bool_and(l.intended_quantity % f.lot_size = 0) THEN f.lot_size ELSE 1 END AS lot
    FROM allocations.block_fills AS f
    JOIN allocations.block_accounts AS l ON l.block_order_id = f.block_order_id
    GROUP BY f.block_order_id, f.allocation_policy, f.minimum_ticket_lots, f.lot_size
  ) AS b ON b.block_order_id = s.block_order_id
  JOIN allocations.block_accounts AS o ON o.block_order_id = s.block_order_id
  LEFT JOIN (
    SELECT block_order_id, account_id, snapshot_number, quantity_cumulative,
           lead(snapshot_number) OVER (PARTITION BY block_order_id, account_id ORDER BY snapshot_number) AS next_number
    FROM allocations.allocations
  ) AS a ON a.block_order_id = s.block_order_id AND a.account_id = o.account_id
    AND a.snapshot_number <= s.snapshot_number AND (a.next_number IS NULL OR a.next_number > s.snapshot_number)
)

-- name: allocations_beyond_orders
WITH
-- insert: held
SELECT 'block ' || block_order_id::TEXT || ' account ' || account_id::TEXT || ' snapshot ' || snapshot_number::TEXT,
       (quantity - part)::TEXT || ' to ' || (quantity - part + intended_quantity)::TEXT, quantity::TEXT
FROM held WHERE part < 0 OR part > intended_quantity
ORDER BY block_order_id, account_id, snapshot_number;

-- name: quota_broken
-- Nobody is ever a lot away from the exact proportion. By largest remainder this holds at whole lots; shares beyond them go to
-- one account only, so there the bound is two lots.
WITH
-- insert: held
SELECT 'block ' || block_order_id::TEXT || ' account ' || account_id::TEXT || ' snapshot ' || snapshot_number::TEXT,
       'within one lot of ' || cum_quantity::TEXT || ' x ' || intended_quantity::TEXT || ' / ' || intended_total::TEXT,
       quantity::TEXT
FROM held
WHERE allocation_policy IN ('pro_rata', 'largest_remainder')
  AND abs(quantity * intended_total - cum_quantity * intended_quantity) >= intended_total * lot
    * CASE WHEN allocation_policy = 'largest_remainder' AND rest % lot <> 0 THEN 2 ELSE 1 END
ORDER BY block_order_id, account_id, snapshot_number;

-- name: arrival_order_broken
-- By time priority an account gets what those before it left over.
WITH
-- insert: held
SELECT 'block ' || block_order_id::TEXT || ' account ' || account_id::TEXT || ' snapshot ' || snapshot_number::TEXT,
       (quantity - part + least(intended_quantity, greatest(0, rest - earlier)))::TEXT, quantity::TEXT
FROM (
  SELECT h.*, sum(intended_quantity) OVER (PARTITION BY block_order_id, snapshot_number
           ORDER BY customer_order_id, account_id)::INT8 - intended_quantity AS earlier
  FROM held AS h WHERE allocation_policy = 'time_priority'
) AS t
WHERE part <> least(intended_quantity, greatest(0, rest - earlier))
ORDER BY block_order_id, account_id, snapshot_number;

-- name: equality_broken
-- Nobody has more than a lot above anyone who still wants some.
WITH
-- insert: held
SELECT 'block ' || block_order_id::TEXT || ' snapshot ' || snapshot_number::TEXT,
       'at most a lot above ' || min(CASE WHEN part < intended_quantity THEN part END)::TEXT, max(part)::TEXT
FROM held WHERE allocation_policy = 'equal'
GROUP BY block_order_id, snapshot_number, lot
HAVING max(part) > min(CASE WHEN part < intended_quantity THEN part END) + lot
ORDER BY block_order_id, snapshot_number;

-- name: minimum_tickets_broken
-- Only one account may hold less than its minimum ticket, and perhaps one more the shares beyond whole lots.
WITH
-- insert: held
SELECT 'block ' || block_order_id::TEXT || ' snapshot ' || snapshot_number::TEXT,
       'at most ' || CASE WHEN rest % lot = 0 THEN '1' ELSE '2' END || ' below their minimum ticket',
       count(*)::TEXT
FROM held
WHERE allocation_policy = 'pro_rata_min_ticket' AND part > 0 AND part < least(minimum_ticket, intended_quantity)
GROUP BY block_order_id, snapshot_number, rest, lot
HAVING count(*) > CASE WHEN rest % lot = 0 THEN 1 ELSE 2 END
ORDER BY block_order_id, snapshot_number;

-- name: average_prices_differ
-- Also finds allocations whose snapshot there isn't.
SELECT 'block ' || a.block_order_id::TEXT || ' account ' || a.account_id::TEXT || ' snapshot ' || a.snapshot_number::TEXT,
       coalesce(s.average_price::TEXT, 'no such snapshot'), a.average_price::TEXT
FROM allocations.allocations AS a
LEFT JOIN allocations.snapshots AS s ON s.block_order_id = a.block_order_id AND s.snapshot_number = a.snapshot_number
WHERE s.average_price IS NULL OR a.average_price <> s.average_price
ORDER BY a.block_order_id, a.account_id, a.snapshot_number;

-- name: cash_not_conserved
-- Accounts' amounts plus the booked residual are the notional, and the residual is at most half a tick per share; exactly half
-- a tick is rounded up, so it is never left over.
SELECT 'block ' || block_order_id::TEXT || ' snapshot ' || snapshot_number::TEXT,
       notional::TEXT, (average_price * cum_quantity + residual)::TEXT || ' with residual ' || residual::TEXT
FROM allocations.snapshots
WHERE average_price * cum_quantity + residual <> notional
   OR residual * 20000 < -cum_quantity OR residual * 20000 >= greatest(cum_quantity, 1)
   OR (cum_quantity = 0 AND average_price <> 0)
ORDER BY block_order_id, snapshot_number;

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

-- name: parked_but_applied
SELECT 'partition ' || p.topic_partition::TEXT || ' offset ' || p.topic_offset::TEXT, 'parked only',
       'captured as execution ' || c.execution_id::TEXT
FROM allocations.parked_messages AS p
JOIN (
  SELECT topic_partition, topic_offset, execution_id FROM allocations.captured_trades
  UNION ALL
  SELECT topic_partition, topic_offset, execution_id FROM allocations.captured_changes
) AS c ON c.topic_partition = p.topic_partition AND c.topic_offset = p.topic_offset
ORDER BY p.topic_partition, p.topic_offset;

-- name: bookings_left_behind
SELECT 'block ' || block_order_id::TEXT || ' snapshot ' || snapshot_number::TEXT, 'booked', 'waiting in the outbox'
FROM allocations.booking_outbox ORDER BY block_order_id, snapshot_number;

-- part: booked
-- The blocks that must be booked, from their last snapshot: those that ended with fills. And what their accounts have.
booked AS (
  SELECT f.block_order_id, f.side, f.security_id, f.trade_date, f.allocation_policy, f.intended_quantity, f.order_quantity,
         CASE WHEN f.is_canceled THEN 'CANCELED' ELSE 'FILLED' END AS ord_status, f.snapshot_number,
         s.cum_quantity, s.notional, s.average_price, s.residual
  FROM allocations.block_fills AS f
  JOIN allocations.snapshots AS s ON s.block_order_id = f.block_order_id AND s.snapshot_number = f.snapshot_number
  WHERE s.is_final AND s.cum_quantity > 0
), legs AS (
  SELECT b.block_order_id, b.side, b.security_id, b.trade_date, b.average_price, o.account_id, o.intended_quantity,
         o.target_broker, coalesce(a.quantity, 0) AS quantity
  FROM booked AS b
  JOIN allocations.block_accounts AS o ON o.block_order_id = b.block_order_id
  LEFT JOIN (
    SELECT block_order_id, account_id, sum(quantity_delta)::INT8 AS quantity
    FROM allocations.allocations GROUP BY block_order_id, account_id
  ) AS a ON a.block_order_id = o.block_order_id AND a.account_id = o.account_id
)

-- name: block_bookings_differ
WITH
-- insert: booked
SELECT 'block ' || coalesce(b.block_order_id, k.block_order_id)::TEXT,
       CASE WHEN b.block_order_id IS NULL THEN 'no booking'
            ELSE b.ord_status || ' ' || b.allocation_policy || ' ' || b.cum_quantity::TEXT || ' of ' || b.order_quantity::TEXT
              || ', intended ' || b.intended_quantity::TEXT || ', for ' || b.notional::TEXT || ' at ' || b.average_price::TEXT
              || ' with residual ' || b.residual::TEXT || ', snapshot ' || b.snapshot_number::TEXT END,
       CASE WHEN k.block_order_id IS NULL THEN 'no booking'
            ELSE k.ord_status || ' ' || k.allocation_policy || ' ' || k.allocated_quantity::TEXT || ' of '
              || k.order_quantity::TEXT || ', intended ' || k.intended_quantity::TEXT || ', for ' || k.notional::TEXT || ' at '
              || k.average_price::TEXT || ' with residual ' || k.residual::TEXT || ', snapshot ' || k.snapshot_number::TEXT END
FROM booked AS b
FULL JOIN allocations.block_bookings AS k ON k.block_order_id = b.block_order_id
WHERE b.block_order_id IS NULL OR k.block_order_id IS NULL OR k.ord_status <> b.ord_status
   OR k.allocation_policy <> b.allocation_policy OR k.intended_quantity <> b.intended_quantity
   OR k.order_quantity <> b.order_quantity OR k.allocated_quantity <> b.cum_quantity OR k.notional <> b.notional
   OR k.average_price <> b.average_price OR k.residual <> b.residual OR k.snapshot_number <> b.snapshot_number
ORDER BY coalesce(b.block_order_id, k.block_order_id);

-- name: account_audits_differ
-- Every account behind a booked block is audited, also the one that got nothing.
WITH
-- insert: booked
SELECT 'block ' || coalesce(l.block_order_id, d.block_order_id)::TEXT || ' account '
         || coalesce(l.account_id, d.account_id)::TEXT,
       CASE WHEN l.account_id IS NULL THEN 'no audit'
            ELSE l.quantity::TEXT || ' of ' || l.intended_quantity::TEXT || ' of security ' || l.security_id::TEXT || ' at '
              || l.average_price::TEXT END,
       CASE WHEN d.account_id IS NULL THEN 'no audit'
            ELSE d.allocated_quantity::TEXT || ' of ' || d.intended_quantity::TEXT || ' of security ' || d.security_id::TEXT
              || ' at ' || d.average_price::TEXT END
FROM legs AS l
FULL JOIN allocations.account_audits AS d ON d.block_order_id = l.block_order_id AND d.account_id = l.account_id
WHERE l.account_id IS NULL OR d.account_id IS NULL OR d.allocated_quantity <> l.quantity
   OR d.intended_quantity <> l.intended_quantity OR d.security_id <> l.security_id OR d.average_price <> l.average_price
ORDER BY coalesce(l.block_order_id, d.block_order_id), coalesce(l.account_id, d.account_id);

-- name: instructions_differ
-- The last instruction of an account says what it has; whoever has nothing has none, or a cancel.
WITH
-- insert: booked
SELECT 'block ' || coalesce(l.block_order_id, i.block_order_id)::TEXT || ' account '
         || coalesce(l.account_id, i.account_id)::TEXT,
       CASE WHEN l.account_id IS NULL THEN 'no instruction'
            ELSE l.quantity::TEXT || ' at ' || l.average_price::TEXT || ' for "' || l.target_broker || '"' END,
       CASE WHEN i.account_id IS NULL THEN 'no instruction'
            ELSE i.quantity::TEXT || ' at ' || i.average_price::TEXT || ' for "' || i.target_broker || '"' END
FROM (SELECT * FROM legs WHERE quantity > 0) AS l
FULL JOIN (
  SELECT * FROM (
    SELECT DISTINCT ON (block_order_id, account_id) block_order_id, account_id, alloc_trans_type, quantity, average_price,
           target_broker
    FROM allocations.allocation_instructions
    ORDER BY block_order_id, account_id, instruction_version DESC
  ) AS latest WHERE alloc_trans_type <> 'CANCEL'
) AS i ON i.block_order_id = l.block_order_id AND i.account_id = l.account_id
WHERE l.account_id IS NULL OR i.account_id IS NULL OR i.quantity <> l.quantity OR i.average_price <> l.average_price
   OR i.target_broker <> l.target_broker
ORDER BY coalesce(l.block_order_id, i.block_order_id), coalesce(l.account_id, i.account_id);

-- name: instruction_histories_broken
-- Versions count from 1 without a gap. The first, and whatever follows a cancel, is new and refers to nothing; a replace or a
-- cancel refers to the instruction before it; a cancel is of nothing, everything else of something.
SELECT alloc_id,
       CASE WHEN previous_type IS NULL OR previous_type = 'CANCEL' THEN 'NEW' ELSE 'REPLACE or CANCEL of ' || previous_id END
         || ' in version ' || (coalesce(previous_version, 0) + 1)::TEXT,
       alloc_trans_type || coalesce(' of ' || ref_alloc_id, '') || ' in version ' || instruction_version::TEXT || ' with '
         || quantity::TEXT || ' shares'
FROM (
  SELECT i.*,
         lag(alloc_id) OVER w AS previous_id, lag(alloc_trans_type) OVER w AS previous_type,
         lag(instruction_version) OVER w AS previous_version
  FROM allocations.allocation_instructions AS i
  WINDOW w AS (PARTITION BY block_order_id, account_id ORDER BY instruction_version)
) AS h
WHERE instruction_version <> coalesce(previous_version, 0) + 1
   OR (alloc_trans_type = 'NEW') <> (previous_type IS NULL OR previous_type = 'CANCEL')
   OR coalesce(ref_alloc_id, '') <> CASE WHEN alloc_trans_type = 'NEW' THEN '' ELSE coalesce(previous_id, '') END
   OR (alloc_trans_type = 'CANCEL') <> (quantity = 0)
ORDER BY block_order_id, account_id, instruction_version;

-- name: settlements_differ
-- Quantity × price, paid by a buyer, got by a seller, one business day after the trade date.
WITH
-- insert: booked
SELECT 'block ' || coalesce(l.block_order_id, i.block_order_id)::TEXT || ' account '
         || coalesce(l.account_id, i.account_id)::TEXT,
       CASE WHEN l.account_id IS NULL THEN 'no instruction'
            ELSE l.side || ' ' || l.quantity::TEXT || ' of security ' || l.security_id::TEXT || ' at ' || l.average_price::TEXT
              || ' for ' || l.net_money::TEXT || ' on ' || l.settlement_date::TEXT || ' by "' || l.target_broker || '"' END,
       CASE WHEN i.account_id IS NULL THEN 'no instruction'
            ELSE i.side || ' ' || i.quantity::TEXT || ' of security ' || i.security_id::TEXT || ' at ' || i.average_price::TEXT
              || ' for ' || i.net_money::TEXT || ' on ' || i.settlement_date::TEXT || ' by "' || i.target_broker || '"' END
FROM (
  SELECT block_order_id, account_id, side, security_id, quantity, average_price, target_broker,
         (quantity * average_price * CASE WHEN side = 'BUY' THEN -1 ELSE 1 END)::NUMERIC(38,4) AS net_money,
         trade_date + CASE WHEN extract(dow FROM trade_date) = 5 THEN 3 WHEN extract(dow FROM trade_date) = 6 THEN 2 ELSE 1 END
           AS settlement_date
  FROM legs WHERE quantity > 0
) AS l
FULL JOIN allocations.settlement_instructions AS i ON i.block_order_id = l.block_order_id AND i.account_id = l.account_id
WHERE l.account_id IS NULL OR i.account_id IS NULL OR i.side <> l.side OR i.quantity <> l.quantity
   OR i.security_id <> l.security_id OR i.average_price <> l.average_price OR i.net_money <> l.net_money
   OR i.settlement_date <> l.settlement_date OR i.target_broker <> l.target_broker
ORDER BY coalesce(l.block_order_id, i.block_order_id), coalesce(l.account_id, i.account_id);

-- name: settled_cash_not_conserved
-- What the accounts of a booked block pay or get together, and the residual, is what its executions cost.
SELECT 'block ' || k.block_order_id::TEXT, k.notional::TEXT,
       coalesce(m.money, 0)::TEXT || ' with residual ' || k.residual::TEXT
FROM allocations.block_bookings AS k
LEFT JOIN (
  SELECT block_order_id, sum(CASE WHEN side = 'BUY' THEN -net_money ELSE net_money END) AS money
  FROM allocations.settlement_instructions GROUP BY block_order_id
) AS m ON m.block_order_id = k.block_order_id
WHERE coalesce(m.money, 0) + k.residual <> k.notional
ORDER BY k.block_order_id;

-- name: movements_differ
WITH
-- insert: booked
SELECT 'block ' || coalesce(l.block_order_id, m.block_order_id)::TEXT || ' account '
         || coalesce(l.account_id, m.account_id)::TEXT,
       coalesce(l.quantity, 0)::TEXT || ' of security ' || coalesce(l.security_id, m.security_id)::TEXT,
       coalesce(m.quantity, 0)::TEXT || ' of security ' || coalesce(m.security_id, l.security_id)::TEXT
FROM (
  SELECT block_order_id, account_id, security_id, CASE WHEN side = 'BUY' THEN quantity ELSE -quantity END AS quantity
  FROM legs
) AS l
FULL JOIN holdings.position_movements AS m ON m.block_order_id = l.block_order_id AND m.account_id = l.account_id
WHERE coalesce(l.quantity, 0) <> coalesce(m.quantity, 0)
   OR (coalesce(m.quantity, 0) <> 0 AND coalesce(m.security_id, 0) <> l.security_id)
ORDER BY coalesce(l.block_order_id, m.block_order_id), coalesce(l.account_id, m.account_id);

-- name: positions_negative
SELECT 'account ' || account_id::TEXT || ' security ' || security_id::TEXT, '0 or more', quantity::TEXT
FROM holdings.positions WHERE quantity < 0 ORDER BY account_id, security_id;
