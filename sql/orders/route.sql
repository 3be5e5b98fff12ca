-- Routing rebalancing requests: customer orders, what cash didn't pay for, and the drafts that orders are aggregated into.
-- Both ways of routing run this statement: set-based with all requests of a group, event-driven with those that arrived.
--
-- It is one statement, so it is one transaction wherever it runs. Whoever marks a request first routes it; for all others
-- it does nothing. Rows are locked in the order of their keys, requests before drafts, so that routing workers side by
-- side wait for each other but don't deadlock: at most one such statement belongs into a transaction.

-- name: route_requests
-- $2 are the requests. Returns how many were routed now, their customer orders and their purchases without cash.
WITH claimed AS (
  UPDATE orders.rebalancing_requests AS r SET status = 'ROUTED'
  FROM (
    SELECT request_id FROM orders.rebalancing_requests
    WHERE request_id = ANY ($2::INT8[]) AND trade_date = $1::DATE AND status = 'PENDING'
    ORDER BY request_id
    FOR UPDATE
  ) AS pending
  WHERE r.request_id = pending.request_id AND r.status = 'PENDING'
  RETURNING r.request_id, r.account_id, r.group_id
), held_or_targeted AS (
  SELECT c.request_id, c.account_id, c.group_id, p.security_id, p.quantity, 0::NUMERIC AS target_weight
  FROM claimed AS c
  JOIN holdings.positions AS p ON p.account_id = c.account_id
  WHERE p.quantity > 0
  UNION ALL
  SELECT c.request_id, c.account_id, c.group_id, t.security_id, 0, t.target_weight
  FROM claimed AS c
  JOIN orders.group_targets AS t ON t.group_id = c.group_id
  WHERE t.target_weight > 0
), line AS (
  SELECT h.request_id, h.account_id, h.group_id, h.security_id,
         sum(h.quantity)::INT8 AS quantity, sum(h.target_weight) AS target_weight
  FROM held_or_targeted AS h
  GROUP BY h.request_id, h.account_id, h.group_id, h.security_id
), priced AS (
  SELECT l.request_id, l.account_id, l.group_id, l.security_id, l.quantity, l.target_weight, d.open,
         coalesce(s.lot_size, 1) AS lot_size,
         coalesce(d.open, (
           SELECT e.close FROM market.daily_prices AS e
           WHERE e.security_id = l.security_id AND e.price_date < $1::DATE
           ORDER BY e.price_date DESC LIMIT 1), 0) AS price
  FROM line AS l
  LEFT JOIN market.daily_prices AS d ON d.security_id = l.security_id AND d.price_date = $1::DATE
  LEFT JOIN reference.securities AS s ON s.security_id = l.security_id
), valued AS (
  SELECT p.request_id, p.account_id, p.security_id, p.quantity, p.target_weight, p.open, p.lot_size, a.cash,
         m.manager_group, g.tolerance,
         a.cash + sum(p.quantity * p.price) OVER (PARTITION BY p.request_id) AS net_asset_value
  FROM priced AS p
  JOIN holdings.accounts AS a ON a.account_id = p.account_id
  JOIN holdings.managers AS m ON m.manager_id = a.manager_id
  JOIN orders.rebalancing_groups AS g ON g.group_id = p.group_id
), proposed AS MATERIALIZED (
  SELECT v.request_id, v.account_id, v.security_id, v.quantity, v.open, v.lot_size, v.cash, v.manager_group,
         v.target_weight * v.net_asset_value AS wanted,
         trunc(v.target_weight * v.net_asset_value / (v.open * v.lot_size))::INT8 AS lots
  FROM valued AS v
  WHERE v.open IS NOT NULL
    AND abs(v.quantity * v.open - v.target_weight * v.net_asset_value) > v.tolerance * v.net_asset_value
), targeted AS (
  SELECT p.request_id, p.account_id, p.security_id, p.open, p.lot_size, p.cash, p.manager_group,
         p.lot_size * CASE WHEN p.lots * p.lot_size * p.open > p.wanted THEN p.lots - 1
                           WHEN (p.lots + 1) * p.lot_size * p.open <= p.wanted THEN p.lots + 1
                           ELSE p.lots END - p.quantity AS missing
  FROM proposed AS p
), wished AS MATERIALIZED (
  -- Whole lots towards the target: above 0 to buy, below 0 to sell. The remainder has the sign of its dividend.
  SELECT t.request_id, t.account_id, t.security_id, t.open, t.lot_size, t.cash, t.manager_group,
         t.missing - t.missing % t.lot_size AS quantity
  FROM targeted AS t
  WHERE abs(t.missing) >= t.lot_size
), funded AS (
  SELECT w.request_id, w.account_id, w.security_id, w.open, w.lot_size, w.manager_group, w.quantity,
         -- All sales pay for the purchases; a purchase gets what those before it wanted to leave.
         w.cash
           + sum(CASE WHEN w.quantity < 0 THEN -w.quantity * w.open ELSE 0 END) OVER (PARTITION BY w.request_id)
           - coalesce(sum(CASE WHEN w.quantity > 0 THEN w.quantity * w.open ELSE 0 END) OVER (
               PARTITION BY w.request_id ORDER BY w.security_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
           AS money
  FROM wished AS w
), affordable AS MATERIALIZED (
  SELECT f.request_id, f.account_id, f.security_id, f.open, f.lot_size, f.manager_group, f.quantity, f.money,
         CASE WHEN f.quantity <= 0 OR f.quantity * f.open <= f.money OR f.money <= 0 THEN 0
              ELSE trunc(f.money / (f.open * f.lot_size))::INT8 END AS lots
  FROM funded AS f
), granted AS (
  SELECT a.request_id, a.account_id, a.security_id, a.manager_group, a.quantity AS wished,
         CASE WHEN a.quantity <= 0 OR a.quantity * a.open <= a.money THEN a.quantity
              WHEN a.money <= 0 THEN 0
              WHEN a.lots * a.lot_size * a.open > a.money THEN (a.lots - 1) * a.lot_size
              WHEN (a.lots + 1) * a.lot_size * a.open <= a.money THEN (a.lots + 1) * a.lot_size
              ELSE a.lots * a.lot_size END AS quantity
  FROM affordable AS a
), unpaid AS (
  INSERT INTO orders.routing_outcomes (trade_date, account_id, security_id, outcome)
  SELECT $1::DATE, g.account_id, g.security_id, 'no_cash'
  FROM granted AS g
  WHERE g.quantity < g.wished
  RETURNING account_id
), ordered AS (
  INSERT INTO orders.customer_orders
    (customer_order_id, request_id, trade_date, account_id, security_id, side, manager_group, quantity)
  SELECT g.request_id * 100000 + row_number() OVER (PARTITION BY g.request_id ORDER BY g.security_id),
         g.request_id, $1::DATE, g.account_id, g.security_id, CASE WHEN g.quantity > 0 THEN 'BUY' ELSE 'SELL' END,
         g.manager_group, abs(g.quantity)
  FROM granted AS g
  WHERE g.quantity <> 0
  RETURNING security_id, side, manager_group, quantity
), drafted AS (
  INSERT INTO orders.block_drafts (trade_date, security_id, side, manager_group, quantity, account_count)
  SELECT $1::DATE, o.security_id, o.side, o.manager_group, sum(o.quantity)::INT8, count(*)
  FROM ordered AS o
  GROUP BY o.security_id, o.side, o.manager_group
  ORDER BY o.security_id, o.side, o.manager_group
  ON CONFLICT (trade_date, security_id, side, manager_group) DO UPDATE
    SET quantity = block_drafts.quantity + excluded.quantity,
        account_count = block_drafts.account_count + excluded.account_count
  RETURNING security_id
)
SELECT (SELECT count(*) FROM claimed), (SELECT count(*) FROM ordered), (SELECT count(*) FROM unpaid),
       (SELECT count(*) FROM drafted);

-- name: unrouted_requests
-- Of the requests $2, those that a look at the table doesn't show as routed: still waiting, or not there (yet).
SELECT u.request_id, r.request_id IS NOT NULL
FROM unnest($2::INT8[]) AS u (request_id)
LEFT JOIN orders.rebalancing_requests AS r ON r.request_id = u.request_id AND r.trade_date = $1::DATE
WHERE r.request_id IS NULL OR r.status <> 'ROUTED';
