-- What the program asks of the orders schema beside routing, one named statement after the other.

-- name: copy_rebalancing_groups
COPY orders.rebalancing_groups
  (group_id, name, manager_group, minimum_net_asset_value, maximum_net_asset_value, sector_preference, risk_class,
   tolerance) FROM STDIN;

-- name: copy_group_targets
COPY orders.group_targets (group_id, security_id, target_weight) FROM STDIN;

-- name: truncate_groups
TRUNCATE TABLE orders.group_targets, orders.rebalancing_groups;

-- name: truncate_routing
TRUNCATE TABLE orders.block_order_accounts, orders.block_orders, orders.block_drafts, orders.customer_orders,
  orders.rebalancing_requests, orders.routing_outcomes;

-- name: is_empty
-- Of what is seeded: groups and targets.
SELECT NOT EXISTS (SELECT 1 FROM orders.rebalancing_groups)
   AND NOT EXISTS (SELECT 1 FROM orders.group_targets) AS is_empty;

-- name: count_rebalancing_groups
SELECT count(*)::INT8 FROM orders.rebalancing_groups;

-- name: count_group_targets
SELECT count(*)::INT8 FROM orders.group_targets;

-- name: checksum_rebalancing_groups
SELECT md5(coalesce(string_agg(
    group_id::TEXT || '|' || name || '|' || coalesce(manager_group::TEXT, '') || '|'
        || coalesce(minimum_net_asset_value::TEXT, '') || '|' || coalesce(maximum_net_asset_value::TEXT, '') || '|'
        || coalesce(sector_preference, '') || '|' || coalesce(risk_class, '') || '|' || tolerance::TEXT,
    chr(10) ORDER BY group_id), '')) AS checksum
FROM orders.rebalancing_groups;

-- name: checksum_group_targets
SELECT md5(coalesce(string_agg(
    group_id::TEXT || '|' || security_id::TEXT || '|' || target_weight::TEXT,
    chr(10) ORDER BY group_id, security_id), '')) AS checksum
FROM orders.group_targets;

-- name: totals
SELECT (SELECT count(*) FROM orders.rebalancing_groups),
       (SELECT count(*) FROM orders.rebalancing_requests WHERE trade_date = $1::DATE),
       (SELECT count(*) FROM orders.customer_orders WHERE trade_date = $1::DATE),
       count(*), coalesce(sum(quantity), 0)::INT8
FROM orders.block_orders WHERE trade_date = $1::DATE;

-- name: outcome_counts
SELECT outcome, count(*) FROM orders.routing_outcomes WHERE trade_date = $1::DATE GROUP BY outcome ORDER BY outcome;

-- name: delete_block_order_accounts
DELETE FROM orders.block_order_accounts
WHERE block_order_id IN (SELECT block_order_id FROM orders.block_orders WHERE trade_date = $1::DATE);

-- name: delete_block_orders
DELETE FROM orders.block_orders WHERE trade_date = $1::DATE;

-- name: delete_block_drafts
DELETE FROM orders.block_drafts WHERE trade_date = $1::DATE;

-- name: delete_customer_orders
DELETE FROM orders.customer_orders WHERE trade_date = $1::DATE;

-- name: delete_rebalancing_requests
DELETE FROM orders.rebalancing_requests WHERE trade_date = $1::DATE;

-- name: delete_routing_outcomes
DELETE FROM orders.routing_outcomes WHERE trade_date = $1::DATE;

-- The sums of one date's routing: two ways that routed alike have equal sums. Each in two steps, so that no text grows
-- with the whole table: a sum per request, security or block, then the sum of the sums.

-- name: routed_rebalancing_requests
SELECT md5(coalesce(string_agg(
    request_id::TEXT || '|' || account_id::TEXT || '|' || group_id::TEXT || '|' || status,
    chr(10) ORDER BY request_id), '')) AS checksum
FROM orders.rebalancing_requests WHERE trade_date = $1::DATE;

-- name: routed_customer_orders
SELECT md5(coalesce(string_agg(r.checksum, chr(10) ORDER BY r.request_id), '')) AS checksum
FROM (
  SELECT request_id, md5(string_agg(
      customer_order_id::TEXT || '|' || request_id::TEXT || '|' || account_id::TEXT || '|' || security_id::TEXT || '|'
          || side || '|' || manager_group::TEXT || '|' || quantity::TEXT,
      chr(10) ORDER BY customer_order_id)) AS checksum
  FROM orders.customer_orders WHERE trade_date = $1::DATE
  GROUP BY request_id
) AS r;

-- name: routed_block_drafts
SELECT md5(coalesce(string_agg(
    security_id::TEXT || '|' || side || '|' || manager_group::TEXT || '|' || quantity::TEXT || '|'
        || account_count::TEXT,
    chr(10) ORDER BY security_id, side, manager_group), '')) AS checksum
FROM orders.block_drafts WHERE trade_date = $1::DATE;

-- name: routed_block_orders
SELECT md5(coalesce(string_agg(
    block_order_id::TEXT || '|' || block_order_code || '|' || security_id::TEXT || '|' || side || '|'
        || manager_group::TEXT || '|' || quantity::TEXT || '|' || account_count::TEXT || '|' || lot_size::TEXT || '|'
        || allocation_policy || '|' || policy_reason || '|' || minimum_ticket_lots::TEXT,
    chr(10) ORDER BY block_order_id), '')) AS checksum
FROM orders.block_orders WHERE trade_date = $1::DATE;

-- name: routed_block_order_accounts
SELECT md5(coalesce(string_agg(b.checksum, chr(10) ORDER BY b.block_order_id), '')) AS checksum
FROM (
  SELECT a.block_order_id, md5(string_agg(
      a.account_id::TEXT || '|' || a.customer_order_id::TEXT || '|' || a.quantity::TEXT || '|' || a.target_broker,
      chr(10) ORDER BY a.account_id)) AS checksum
  FROM orders.block_order_accounts AS a
  JOIN orders.block_orders AS o ON o.block_order_id = a.block_order_id
  WHERE o.trade_date = $1::DATE
  GROUP BY a.block_order_id
) AS b;

-- name: routed_routing_outcomes
SELECT md5(coalesce(string_agg(o.checksum, chr(10) ORDER BY o.account_id), '')) AS checksum
FROM (
  SELECT account_id, md5(string_agg(security_id::TEXT || '|' || outcome, chr(10) ORDER BY security_id)) AS checksum
  FROM orders.routing_outcomes WHERE trade_date = $1::DATE
  GROUP BY account_id
) AS o;
