-- Opening a day's rebalancing: which accounts of a group have drifted beyond its tolerance.
--
-- Net asset value of an account = cash + Σ shares × open (for a security without a price that day: its last close before it).
-- Target = the largest whole number of lots whose shares at the open are worth at most target_weight × net asset value.
-- A quotient is rounded differently by PostgreSQL and CockroachDB, so it only proposes a number of lots; exact products
-- correct it by one. Drift is compared by products alone.
-- The rules are written out for users in wiki/Routing.md; route.sql applies the same ones to the requests opened here.

-- name: priced_security_count
SELECT count(*) FROM market.daily_prices WHERE price_date = $1::DATE;

-- name: nearest_trading_days
SELECT (SELECT max(price_date)::TEXT FROM market.daily_prices WHERE price_date < $1::DATE),
       (SELECT min(price_date)::TEXT FROM market.daily_prices WHERE price_date > $1::DATE);

-- name: groups
-- With the number of requests that each has on the date: a group that has any was opened before.
SELECT g.group_id, count(r.request_id)
FROM orders.rebalancing_groups AS g
LEFT JOIN orders.rebalancing_requests AS r ON r.group_id = g.group_id AND r.trade_date = $1::DATE
GROUP BY g.group_id
ORDER BY g.group_id;

-- name: open_requests
-- $2 is the group. Writes its requests, and what its accounts can't trade for want of a price.
WITH candidate AS (
  SELECT a.account_id, a.cash, m.manager_group, a.sector_preference, a.risk_class
  FROM orders.rebalancing_groups AS g
  JOIN holdings.managers AS m ON g.manager_group IS NULL OR m.manager_group = g.manager_group
  JOIN holdings.accounts AS a ON a.manager_id = m.manager_id
  WHERE g.group_id = $2::INT8
    AND (g.sector_preference IS NULL OR a.sector_preference = g.sector_preference)
    AND (g.risk_class IS NULL OR a.risk_class = g.risk_class)
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
), member AS (
  SELECT v.account_id, v.net_asset_value, g.tolerance
  FROM valued AS v
  JOIN orders.rebalancing_groups AS g ON g.group_id = $2::INT8
  WHERE (g.minimum_net_asset_value IS NULL OR v.net_asset_value >= g.minimum_net_asset_value)
    AND (g.maximum_net_asset_value IS NULL OR v.net_asset_value < g.maximum_net_asset_value)
    AND NOT EXISTS (
      SELECT 1 FROM orders.rebalancing_groups AS e
      WHERE e.group_id < $2::INT8
        AND (e.manager_group IS NULL OR v.manager_group = e.manager_group)
        AND (e.sector_preference IS NULL OR v.sector_preference = e.sector_preference)
        AND (e.risk_class IS NULL OR v.risk_class = e.risk_class)
        AND (e.minimum_net_asset_value IS NULL OR v.net_asset_value >= e.minimum_net_asset_value)
        AND (e.maximum_net_asset_value IS NULL OR v.net_asset_value < e.maximum_net_asset_value))
), held_or_targeted AS (
  SELECT m.account_id, m.net_asset_value, m.tolerance, p.security_id, p.quantity, 0::NUMERIC AS target_weight
  FROM member AS m
  JOIN holdings.positions AS p ON p.account_id = m.account_id
  WHERE p.quantity > 0
  UNION ALL
  SELECT m.account_id, m.net_asset_value, m.tolerance, t.security_id, 0, t.target_weight
  FROM member AS m
  JOIN orders.group_targets AS t ON t.group_id = $2::INT8
  WHERE t.target_weight > 0
), line AS (
  SELECT h.account_id, h.net_asset_value, h.tolerance, h.security_id,
         sum(h.quantity)::INT8 AS quantity, sum(h.target_weight) AS target_weight
  FROM held_or_targeted AS h
  GROUP BY h.account_id, h.net_asset_value, h.tolerance, h.security_id
), priced AS (
  SELECT l.account_id, l.security_id, l.quantity, d.open, coalesce(s.lot_size, 1) AS lot_size,
         l.target_weight * l.net_asset_value AS wanted, l.tolerance * l.net_asset_value AS tolerated
  FROM line AS l
  LEFT JOIN market.daily_prices AS d ON d.security_id = l.security_id AND d.price_date = $1::DATE
  LEFT JOIN reference.securities AS s ON s.security_id = l.security_id
), proposed AS MATERIALIZED (
  SELECT p.account_id, p.quantity, p.open, p.lot_size, p.wanted,
         trunc(p.wanted / (p.open * p.lot_size))::INT8 AS lots
  FROM priced AS p
  WHERE p.open IS NOT NULL AND abs(p.quantity * p.open - p.wanted) > p.tolerated
), drifted AS (
  SELECT p.account_id
  FROM proposed AS p
  WHERE abs(p.lot_size * CASE WHEN p.lots * p.lot_size * p.open > p.wanted THEN p.lots - 1
                              WHEN (p.lots + 1) * p.lot_size * p.open <= p.wanted THEN p.lots + 1
                              ELSE p.lots END - p.quantity) >= p.lot_size
  GROUP BY p.account_id
), unpriced AS (
  INSERT INTO orders.routing_outcomes (trade_date, account_id, security_id, outcome)
  SELECT $1::DATE, p.account_id, p.security_id, 'no_price'
  FROM priced AS p
  WHERE p.open IS NULL
  -- Opening may be repeated after an interruption.
  ON CONFLICT (trade_date, account_id, security_id) DO NOTHING
  RETURNING account_id
), opened AS (
  INSERT INTO orders.rebalancing_requests (request_id, trade_date, account_id, group_id, status)
  SELECT (SELECT coalesce(max(request_id), 0) FROM orders.rebalancing_requests)
           + row_number() OVER (ORDER BY d.account_id),
         $1::DATE, d.account_id, $2::INT8, 'PENDING'
  FROM drifted AS d
  RETURNING request_id
)
SELECT (SELECT count(*) FROM opened), (SELECT count(*) FROM unpriced);

-- name: pending_requests
-- Of one group.
SELECT request_id FROM orders.rebalancing_requests
WHERE trade_date = $1::DATE AND group_id = $2::INT8 AND status = 'PENDING'
ORDER BY request_id;
