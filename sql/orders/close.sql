-- Closing a routed day: drafts become block orders, once every request is routed. One transaction. The drafts stay as they are.

-- name: progress
SELECT (SELECT count(*) FROM orders.rebalancing_requests WHERE trade_date = $1::DATE AND status = 'PENDING'),
       (SELECT count(*) FROM orders.block_orders WHERE trade_date = $1::DATE);

-- name: insert_no_group
-- Accounts that no group takes. Whoever has a request, or meets a group that asks nothing of its value, needn't be valued.
WITH candidate AS (
  SELECT a.account_id, a.cash, m.manager_group, a.sector_preference, a.risk_class
  FROM holdings.accounts AS a
  JOIN holdings.managers AS m ON m.manager_id = a.manager_id
  WHERE NOT EXISTS (
      SELECT 1 FROM orders.rebalancing_requests AS r WHERE r.trade_date = $1::DATE AND r.account_id = a.account_id)
    AND NOT EXISTS (
      SELECT 1 FROM orders.rebalancing_groups AS g
      WHERE g.minimum_net_asset_value IS NULL AND g.maximum_net_asset_value IS NULL
        AND (g.manager_group IS NULL OR m.manager_group = g.manager_group)
        AND (g.sector_preference IS NULL OR a.sector_preference = g.sector_preference)
        AND (g.risk_class IS NULL OR a.risk_class = g.risk_class))
), valued AS (
  SELECT c.account_id, c.manager_group, c.sector_preference, c.risk_class,
         c.cash + coalesce(sum(p.quantity * coalesce(d.open, (
           SELECT l.close FROM market.daily_prices AS l
           WHERE l.security_id = p.security_id AND l.price_date < $1::DATE
           ORDER BY l.price_date DESC LIMIT 1), 0)), 0) AS net_asset_value
  FROM candidate AS c
  LEFT JOIN holdings.positions AS p ON p.account_id = c.account_id
  LEFT JOIN market.daily_prices AS d ON d.security_id = p.security_id AND d.price_date = $1::DATE
  GROUP BY c.account_id, c.manager_group, c.sector_preference, c.risk_class, c.cash
)
INSERT INTO orders.routing_outcomes (trade_date, account_id, security_id, outcome)
SELECT $1::DATE, v.account_id, 0, 'no_group'
FROM valued AS v
WHERE NOT EXISTS (
  SELECT 1 FROM orders.rebalancing_groups AS g
  WHERE (g.manager_group IS NULL OR v.manager_group = g.manager_group)
    AND (g.sector_preference IS NULL OR v.sector_preference = g.sector_preference)
    AND (g.risk_class IS NULL OR v.risk_class = g.risk_class)
    AND (g.minimum_net_asset_value IS NULL OR v.net_asset_value >= g.minimum_net_asset_value)
    AND (g.maximum_net_asset_value IS NULL OR v.net_asset_value < g.maximum_net_asset_value))
ON CONFLICT (trade_date, account_id, security_id) DO NOTHING;

-- name: insert_block_orders
-- $2 is the date in digits, $3 the allocation policies, dealt in turn; $4 for each of them why it was chosen, nothing for pro_rata.
INSERT INTO orders.block_orders
  (block_order_id, block_order_code, trade_date, security_id, side, manager_group, quantity, account_count, lot_size,
   allocation_policy, policy_reason, minimum_ticket_lots)
SELECT n.block_order_id, 'B' || $2::TEXT || '-' || lpad(n.block_order_id::TEXT, 7, '0'),
       $1::DATE, n.security_id, n.side, n.manager_group, n.quantity, n.account_count, coalesce(s.lot_size, 1),
       n.allocation_policy, n.policy_reason, $5::INT8
FROM (
  SELECT m.block_order_id, m.security_id, m.side, m.manager_group, m.quantity, m.account_count,
         ($3::TEXT[])[(1 + (m.block_order_id - 1) % array_length($3::TEXT[], 1))::INT4] AS allocation_policy,
         ($4::TEXT[])[(1 + (m.block_order_id - 1) % array_length($3::TEXT[], 1))::INT4] AS policy_reason
  FROM (
    SELECT (SELECT coalesce(max(block_order_id), 0) FROM orders.block_orders)
             + row_number() OVER (ORDER BY security_id, side, manager_group) AS block_order_id,
           security_id, side, manager_group, quantity, account_count
    FROM orders.block_drafts
    WHERE trade_date = $1::DATE
  ) AS m
) AS n
LEFT JOIN reference.securities AS s ON s.security_id = n.security_id;

-- name: insert_block_order_accounts
INSERT INTO orders.block_order_accounts (block_order_id, account_id, customer_order_id, quantity, target_broker)
SELECT b.block_order_id, c.account_id, c.customer_order_id, c.quantity, a.target_broker
FROM orders.customer_orders AS c
JOIN orders.block_orders AS b
  ON b.trade_date = c.trade_date AND b.security_id = c.security_id AND b.side = c.side
 AND b.manager_group = c.manager_group
JOIN holdings.accounts AS a ON a.account_id = c.account_id
WHERE c.trade_date = $1::DATE;
