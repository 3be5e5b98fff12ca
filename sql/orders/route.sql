-- Routing, set-based: positions against target weights at the day's open price become customer orders,
-- and customer orders become block orders. All statements run in one transaction.
--
-- Net asset value of an account = cash + Σ shares × open (for a security without a price that day: its last close before it).
-- Target shares = the largest whole number q with q × open ≤ target_weight × net asset value.
-- A quotient is rounded differently by PostgreSQL and CockroachDB, so it only proposes q; exact products correct it by one.

-- name: priced_security_count
SELECT count(*) FROM market.daily_prices WHERE price_date = $1::DATE;

-- name: nearest_trading_days
SELECT (SELECT max(price_date)::TEXT FROM market.daily_prices WHERE price_date < $1::DATE),
       (SELECT min(price_date)::TEXT FROM market.daily_prices WHERE price_date > $1::DATE);

-- name: routed_block_count
SELECT count(*) FROM orders.block_orders WHERE trade_date = $1::DATE;

-- name: insert_outcomes
INSERT INTO orders.routing_outcomes (trade_date, account_id, security_id, outcome)
SELECT $1::DATE, p.account_id, 0, 'zero_weight'
FROM holdings.positions AS p
GROUP BY p.account_id
HAVING max(p.target_weight) = 0
UNION ALL
SELECT $1::DATE, p.account_id, p.security_id, 'no_price'
FROM holdings.positions AS p
WHERE NOT EXISTS (
  SELECT 1 FROM market.daily_prices AS d WHERE d.security_id = p.security_id AND d.price_date = $1::DATE);

-- name: insert_customer_orders
WITH opening AS (
  SELECT security_id, open FROM market.daily_prices WHERE price_date = $1::DATE
), last_day AS (
  SELECT d.security_id, max(d.price_date) AS price_date
  FROM market.daily_prices AS d
  WHERE d.price_date < $1::DATE AND NOT EXISTS (SELECT 1 FROM opening AS o WHERE o.security_id = d.security_id)
  GROUP BY d.security_id
), valuation AS (
  SELECT security_id, open AS price FROM opening
  UNION ALL
  SELECT d.security_id, d.close FROM last_day AS l
  JOIN market.daily_prices AS d ON d.security_id = l.security_id AND d.price_date = l.price_date
), net_asset_value AS (
  SELECT a.account_id, m.manager_group, a.cash + coalesce(sum(p.quantity * v.price), 0) AS amount
  FROM holdings.accounts AS a
  JOIN holdings.managers AS m ON m.manager_id = a.manager_id
  JOIN holdings.positions AS p ON p.account_id = a.account_id
  LEFT JOIN valuation AS v ON v.security_id = p.security_id
  GROUP BY a.account_id, m.manager_group, a.cash
  HAVING max(p.target_weight) > 0
), proposed AS (
  SELECT p.account_id, p.security_id, n.manager_group, p.quantity, o.open, p.target_weight * n.amount AS wanted,
         trunc(p.target_weight * n.amount / o.open)::INT8 AS shares
  FROM net_asset_value AS n
  JOIN holdings.positions AS p ON p.account_id = n.account_id
  JOIN opening AS o ON o.security_id = p.security_id
), target AS (
  SELECT account_id, security_id, manager_group, quantity,
         CASE WHEN shares * open > wanted THEN shares - 1
              WHEN (shares + 1) * open <= wanted THEN shares + 1
              ELSE shares END AS shares
  FROM proposed
)
INSERT INTO orders.customer_orders (customer_order_id, trade_date, account_id, security_id, side, manager_group, quantity)
SELECT (SELECT coalesce(max(customer_order_id), 0) FROM orders.customer_orders)
         + row_number() OVER (ORDER BY account_id, security_id),
       $1::DATE, account_id, security_id, CASE WHEN shares > quantity THEN 'BUY' ELSE 'SELL' END, manager_group,
       abs(shares - quantity)
FROM target
WHERE shares <> quantity;

-- name: insert_block_orders
INSERT INTO orders.block_orders
  (block_order_id, block_order_code, trade_date, security_id, side, manager_group, quantity, account_count)
SELECT n.block_order_id, 'B' || $2::TEXT || '-' || lpad(n.block_order_id::TEXT, 7, '0'),
       $1::DATE, n.security_id, n.side, n.manager_group, n.quantity, n.account_count
FROM (
  SELECT (SELECT coalesce(max(block_order_id), 0) FROM orders.block_orders)
           + row_number() OVER (ORDER BY security_id, side, manager_group) AS block_order_id,
         security_id, side, manager_group, sum(quantity)::INT8 AS quantity, count(*) AS account_count
  FROM orders.customer_orders
  WHERE trade_date = $1::DATE
  GROUP BY security_id, side, manager_group
) AS n;

-- name: insert_block_order_accounts
INSERT INTO orders.block_order_accounts (block_order_id, account_id, customer_order_id, quantity)
SELECT b.block_order_id, c.account_id, c.customer_order_id, c.quantity
FROM orders.customer_orders AS c
JOIN orders.block_orders AS b
  ON b.trade_date = c.trade_date AND b.security_id = c.security_id AND b.side = c.side
 AND b.manager_group = c.manager_group
WHERE c.trade_date = $1::DATE;

-- name: outcome_counts
SELECT outcome, count(*) FROM orders.routing_outcomes WHERE trade_date = $1::DATE GROUP BY outcome ORDER BY outcome;

-- name: delete_block_order_accounts
DELETE FROM orders.block_order_accounts
WHERE block_order_id IN (SELECT block_order_id FROM orders.block_orders WHERE trade_date = $1::DATE);

-- name: delete_block_orders
DELETE FROM orders.block_orders WHERE trade_date = $1::DATE;

-- name: delete_customer_orders
DELETE FROM orders.customer_orders WHERE trade_date = $1::DATE;

-- name: delete_outcomes
DELETE FROM orders.routing_outcomes WHERE trade_date = $1::DATE;

-- name: totals
SELECT (SELECT count(*) FROM orders.customer_orders WHERE trade_date = $1::DATE),
       count(*), coalesce(sum(quantity), 0)::INT8
FROM orders.block_orders WHERE trade_date = $1::DATE;

-- name: truncate
TRUNCATE TABLE orders.block_order_accounts, orders.block_orders, orders.customer_orders, orders.routing_outcomes;
