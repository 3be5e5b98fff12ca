-- Verification of a routed date: every statement answers the differences it found, as (subject, expected, actual); no row
-- means right. It reads what other stages own, and writes nothing. $1 is the trade date.

-- name: requests_left
SELECT 'request ' || r.request_id::TEXT, 'ROUTED', r.status
FROM orders.rebalancing_requests AS r
WHERE r.trade_date = $1::DATE AND r.status <> 'ROUTED'
ORDER BY r.request_id;

-- name: orders_without_request
SELECT 'customer order ' || c.customer_order_id::TEXT, 'a request of account ' || c.account_id::TEXT || ' on that date',
       coalesce('one of account ' || r.account_id::TEXT, 'none')
FROM orders.customer_orders AS c
LEFT JOIN orders.rebalancing_requests AS r ON r.request_id = c.request_id AND r.trade_date = c.trade_date
WHERE c.trade_date = $1::DATE AND (r.request_id IS NULL OR r.account_id <> c.account_id)
ORDER BY c.customer_order_id;

-- name: cash_overdrawn
-- At the open price: cash and all sales pay for all purchases.
SELECT 'account ' || m.account_id::TEXT, 'cash of 0 or more', m.cash::TEXT
FROM (
  SELECT a.account_id,
         a.cash + sum(CASE WHEN c.side = 'SELL' THEN c.quantity * d.open ELSE -c.quantity * d.open END) AS cash
  FROM orders.customer_orders AS c
  JOIN holdings.accounts AS a ON a.account_id = c.account_id
  JOIN market.daily_prices AS d ON d.security_id = c.security_id AND d.price_date = c.trade_date
  WHERE c.trade_date = $1::DATE
  GROUP BY a.account_id, a.cash
) AS m
WHERE m.cash < 0
ORDER BY m.account_id;

-- name: orders_without_price
SELECT 'customer order ' || c.customer_order_id::TEXT, 'a price that day', 'none'
FROM orders.customer_orders AS c
LEFT JOIN market.daily_prices AS d ON d.security_id = c.security_id AND d.price_date = c.trade_date
WHERE c.trade_date = $1::DATE AND d.security_id IS NULL
ORDER BY c.customer_order_id;

-- name: odd_lots
SELECT 'customer order ' || c.customer_order_id::TEXT, 'lots of ' || s.lot_size::TEXT, c.quantity::TEXT
FROM orders.customer_orders AS c
JOIN reference.securities AS s ON s.security_id = c.security_id
WHERE c.trade_date = $1::DATE AND c.quantity % s.lot_size <> 0
ORDER BY c.customer_order_id;

-- name: sold_beyond_position
SELECT 'customer order ' || c.customer_order_id::TEXT, 'at most ' || coalesce(p.quantity, 0)::TEXT, c.quantity::TEXT
FROM orders.customer_orders AS c
LEFT JOIN holdings.positions AS p ON p.account_id = c.account_id AND p.security_id = c.security_id
WHERE c.trade_date = $1::DATE AND c.side = 'SELL' AND c.quantity > coalesce(p.quantity, 0)
ORDER BY c.customer_order_id;

-- name: drafts_differ_from_orders
SELECT 'draft of security ' || b.security_id::TEXT || ', ' || b.side || ', group ' || b.manager_group::TEXT,
       max(b.ordered)::TEXT || ' shares of ' || max(b.orders)::TEXT || ' accounts',
       max(b.drafted)::TEXT || ' shares of ' || max(b.accounts)::TEXT || ' accounts'
FROM (
  SELECT c.security_id, c.side, c.manager_group, sum(c.quantity)::INT8 AS ordered, count(*) AS orders, 0 AS drafted,
         0 AS accounts
  FROM orders.customer_orders AS c
  WHERE c.trade_date = $1::DATE
  GROUP BY c.security_id, c.side, c.manager_group
  UNION ALL
  SELECT d.security_id, d.side, d.manager_group, 0, 0, d.quantity, d.account_count
  FROM orders.block_drafts AS d
  WHERE d.trade_date = $1::DATE
) AS b
GROUP BY b.security_id, b.side, b.manager_group
HAVING max(b.ordered) <> max(b.drafted) OR max(b.orders) <> max(b.accounts)
ORDER BY b.security_id, b.side, b.manager_group;

-- name: blocks_differ_from_drafts
SELECT 'block of security ' || b.security_id::TEXT || ', ' || b.side || ', group ' || b.manager_group::TEXT,
       max(b.drafted)::TEXT || ' shares of ' || max(b.accounts)::TEXT || ' accounts',
       max(b.ordered)::TEXT || ' shares of ' || max(b.members)::TEXT || ' accounts'
FROM (
  SELECT d.security_id, d.side, d.manager_group, d.quantity AS drafted, d.account_count AS accounts, 0 AS ordered,
         0 AS members
  FROM orders.block_drafts AS d
  WHERE d.trade_date = $1::DATE
  UNION ALL
  SELECT o.security_id, o.side, o.manager_group, 0, 0, o.quantity, o.account_count
  FROM orders.block_orders AS o
  WHERE o.trade_date = $1::DATE
) AS b
GROUP BY b.security_id, b.side, b.manager_group
HAVING max(b.drafted) <> max(b.ordered) OR max(b.accounts) <> max(b.members)
ORDER BY b.security_id, b.side, b.manager_group;

-- name: members_differ_from_orders
SELECT 'customer order ' || c.customer_order_id::TEXT, c.quantity::TEXT || ' shares in a block',
       coalesce(m.quantity::TEXT, 'none')
FROM orders.customer_orders AS c
LEFT JOIN orders.block_orders AS o
  ON o.trade_date = c.trade_date AND o.security_id = c.security_id AND o.side = c.side
 AND o.manager_group = c.manager_group
LEFT JOIN orders.block_order_accounts AS m
  ON m.block_order_id = o.block_order_id AND m.customer_order_id = c.customer_order_id AND m.account_id = c.account_id
WHERE c.trade_date = $1::DATE AND (m.quantity IS NULL OR m.quantity <> c.quantity)
ORDER BY c.customer_order_id;
