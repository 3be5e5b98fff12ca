-- Drawing executions: the blocks to fill, with the day's range of their security.

-- name: blocks
SELECT b.block_order_id, b.block_order_code, b.side, b.quantity,
       (d.low * 10000)::INT8 AS low_ticks, (d.high * 10000)::INT8 AS high_ticks
FROM orders.block_orders AS b
JOIN market.daily_prices AS d ON d.security_id = b.security_id AND d.price_date = b.trade_date
WHERE b.trade_date = $1::DATE
ORDER BY b.block_order_id;

-- name: drawing
SELECT seed, executions_wanted, bust_ppm, replace_ppm, cancel_ppm FROM trades.drawings WHERE trade_date = $1::DATE;

-- name: insert_drawing
INSERT INTO trades.drawings (trade_date, seed, executions_wanted, bust_ppm, replace_ppm, cancel_ppm)
VALUES ($1::DATE, $2::INT8, $3::INT8, $4::INT8, $5::INT8, $6::INT8);

-- name: drawn_runs
-- The keys that the date's events have, as runs of one after the other: the first of each, and how many there are. A
-- rejected request has a key of its own, so that the count is the number of events drawn.
SELECT min(k.id), count(*)
FROM (
  SELECT e.id, e.id - row_number() OVER (ORDER BY e.id) AS run
  FROM (
    SELECT x.execution_id AS id
    FROM trades.executions AS x JOIN orders.block_orders AS b ON b.block_order_id = x.block_order_id
    WHERE b.trade_date = $1::DATE
    UNION ALL
    SELECT r.request_id
    FROM trades.order_requests AS r JOIN orders.block_orders AS b ON b.block_order_id = r.block_order_id
    WHERE b.trade_date = $1::DATE AND r.outcome = 'REJECTED'
  ) AS e
) AS k
GROUP BY k.run
ORDER BY 1;

-- name: next_id
SELECT greatest((SELECT coalesce(max(execution_id), 0) FROM trades.executions),
                (SELECT coalesce(max(request_id), 0) FROM trades.order_requests)) + 1;

-- name: delete_executions
DELETE FROM trades.executions
WHERE block_order_id IN (SELECT block_order_id FROM orders.block_orders WHERE trade_date = $1::DATE);

-- name: delete_order_requests
DELETE FROM trades.order_requests
WHERE block_order_id IN (SELECT block_order_id FROM orders.block_orders WHERE trade_date = $1::DATE);

-- name: delete_outcomes
DELETE FROM trades.block_outcomes
WHERE block_order_id IN (SELECT block_order_id FROM orders.block_orders WHERE trade_date = $1::DATE);

-- name: delete_drawing
DELETE FROM trades.drawings WHERE trade_date = $1::DATE;

-- name: copy_executions
COPY trades.executions
  (execution_id, exec_type, exec_ref_id, block_order_id, block_order_code, order_version, order_quantity, quantity, price,
   executed_at)
FROM STDIN;

-- name: copy_order_requests
COPY trades.order_requests
  (request_id, block_order_id, request_type, requested_quantity, cum_quantity, outcome, reason, requested_at)
FROM STDIN;

-- name: copy_block_outcomes
COPY trades.block_outcomes
  (block_order_id, ord_status, order_version, order_quantity, cum_quantity, leaves_quantity, average_price)
FROM STDIN;

-- name: all_executions
-- Without a cell whose text depends on the session.
SELECT execution_id, exec_type, exec_ref_id, block_order_id, block_order_code, order_version, order_quantity, quantity, price,
       (extract(epoch FROM executed_at) * 1000000)::INT8
FROM trades.executions
ORDER BY execution_id;

-- name: truncate
TRUNCATE TABLE trades.executions, trades.order_requests, trades.block_outcomes, trades.drawings;
