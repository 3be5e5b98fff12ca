-- Drawing executions: the blocks to fill, with the day's range of their security.

-- name: blocks
SELECT b.block_order_id, b.block_order_code, b.quantity,
       (d.low * 10000)::INT8 AS low_ticks, (d.high * 10000)::INT8 AS high_ticks
FROM orders.block_orders AS b
JOIN market.daily_prices AS d ON d.security_id = b.security_id AND d.price_date = b.trade_date
WHERE b.trade_date = $1::DATE
ORDER BY b.block_order_id;

-- name: drawing
SELECT seed, executions_wanted FROM trades.drawings WHERE trade_date = $1::DATE;

-- name: insert_drawing
INSERT INTO trades.drawings (trade_date, seed, executions_wanted) VALUES ($1::DATE, $2::INT8, $3::INT8);

-- name: drawn
-- The date's first execution, the next one to write, and how many of the date are written.
SELECT coalesce(min(e.execution_id), max(n.next_id)), max(n.next_id), count(e.execution_id)
FROM (SELECT coalesce(max(execution_id), 0) + 1 AS next_id FROM trades.executions) AS n
LEFT JOIN (
  trades.executions AS e
  JOIN orders.block_orders AS b ON b.block_order_id = e.block_order_id AND b.trade_date = $1::DATE
) ON true;

-- name: delete_executions
DELETE FROM trades.executions
WHERE block_order_id IN (SELECT block_order_id FROM orders.block_orders WHERE trade_date = $1::DATE);

-- name: delete_drawing
DELETE FROM trades.drawings WHERE trade_date = $1::DATE;

-- name: copy_executions
COPY trades.executions (execution_id, block_order_id, block_order_code, quantity, price, executed_at) FROM STDIN;

-- name: truncate
TRUNCATE TABLE trades.executions, trades.drawings;
