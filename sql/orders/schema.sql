-- The orders stage: who is to hold what, what each account wants to trade to get there, and the block orders that aggregate
-- it. Accepted by PostgreSQL and CockroachDB alike: no DO, no DOMAIN, no DEFERRABLE, no division.

CREATE SCHEMA IF NOT EXISTS orders;

-- Groups of accounts that are rebalanced together. An account belongs to the first group, by id, whose criteria it meets;
-- NULL asks nothing.
CREATE TABLE IF NOT EXISTS orders.rebalancing_groups (
  group_id                INT8 NOT NULL PRIMARY KEY,
  name                    TEXT NOT NULL,
  manager_group           INT8,
  -- Net asset value at the day's open: at least the minimum, below the maximum.
  minimum_net_asset_value NUMERIC(18,4),
  maximum_net_asset_value NUMERIC(18,4),
  sector_preference       TEXT,
  risk_class              TEXT CHECK (risk_class IN ('LOW', 'MEDIUM', 'HIGH')),
  -- How far a position's weight may drift from its target before it is traded.
  tolerance               NUMERIC(9,8) NOT NULL CHECK (tolerance >= 0 AND tolerance < 1)
);

-- What the accounts of a group are to hold: shares of their net asset value. What is left is cash.
CREATE TABLE IF NOT EXISTS orders.group_targets (
  group_id      INT8 NOT NULL REFERENCES orders.rebalancing_groups (group_id),
  security_id   INT8 NOT NULL,
  target_weight NUMERIC(9,8) NOT NULL CHECK (target_weight >= 0 AND target_weight <= 1),
  PRIMARY KEY (group_id, security_id)
);

-- One per account that drifted beyond its group's tolerance on a trade date. It is also the outbox of event-driven routing:
-- the change feed publishes these rows, and a routing worker marks the row in the transaction that routes it.
CREATE TABLE IF NOT EXISTS orders.rebalancing_requests (
  -- In the order of groups within a trade date, and of accounts within a group.
  request_id INT8 NOT NULL,
  trade_date DATE NOT NULL,
  account_id INT8 NOT NULL,
  group_id   INT8 NOT NULL,
  status     TEXT NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'ROUTED')),
  UNIQUE (trade_date, account_id),
-- only postgresql:
  PRIMARY KEY (request_id)
-- only cockroachdb:
  -- Ids grow; see trades.executions.
  PRIMARY KEY (request_id) USING HASH WITH (bucket_count = :hash_buckets)
-- both:
);

-- One per account and security that a request trades.
CREATE TABLE IF NOT EXISTS orders.customer_orders (
  -- The request's id × 100,000 + the line within it: the same however requests are routed, and in their order of arrival.
  customer_order_id INT8 NOT NULL,
  request_id        INT8 NOT NULL,
  trade_date        DATE NOT NULL,
  account_id        INT8 NOT NULL,
  security_id       INT8 NOT NULL,
  side              TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
  manager_group     INT8 NOT NULL,
  quantity          INT8 NOT NULL CHECK (quantity > 0),
  UNIQUE (trade_date, account_id, security_id),
-- only postgresql:
  PRIMARY KEY (customer_order_id)
-- only cockroachdb:
  -- Ids grow; see trades.executions.
  PRIMARY KEY (customer_order_id) USING HASH WITH (bucket_count = :hash_buckets)
-- both:
);

-- Block orders while customer orders still join them: one per trade date, security, side and manager group.
CREATE TABLE IF NOT EXISTS orders.block_drafts (
  trade_date    DATE NOT NULL,
  security_id   INT8 NOT NULL,
  side          TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
  manager_group INT8 NOT NULL,
  quantity      INT8 NOT NULL CHECK (quantity > 0),
  account_count INT8 NOT NULL CHECK (account_count > 0),
  PRIMARY KEY (trade_date, security_id, side, manager_group)
);

-- The drafts of a trade date, numbered and closed once every request is routed. The code keys the Kafka topic.
CREATE TABLE IF NOT EXISTS orders.block_orders (
  block_order_id     INT8 NOT NULL PRIMARY KEY,
  block_order_code   TEXT NOT NULL UNIQUE,
  trade_date         DATE NOT NULL,
  security_id        INT8 NOT NULL,
  side               TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
  manager_group      INT8 NOT NULL,
  -- Products of two quantities must stay within 64 bits, hence the upper bound.
  quantity           INT8 NOT NULL CHECK (quantity BETWEEN 1 AND 2000000000),
  account_count      INT8 NOT NULL CHECK (account_count > 0),
  lot_size           INT8 NOT NULL DEFAULT 1 CHECK (lot_size > 0),
  -- How fills will be divided among the accounts, and why not pro rata.
  allocation_policy  TEXT NOT NULL DEFAULT 'pro_rata' CHECK (allocation_policy IN
    ('pro_rata', 'pro_rata_min_ticket', 'time_priority', 'equal', 'largest_remainder')),
  policy_reason      TEXT NOT NULL DEFAULT '',
  minimum_ticket_lots INT8 NOT NULL DEFAULT 1 CHECK (minimum_ticket_lots > 0),
  UNIQUE (trade_date, security_id, side, manager_group),
  CHECK (allocation_policy = 'pro_rata' OR policy_reason <> '')
);

-- The accounts behind each block order, with the shares each one wants of it.
CREATE TABLE IF NOT EXISTS orders.block_order_accounts (
  block_order_id    INT8 NOT NULL REFERENCES orders.block_orders (block_order_id),
  account_id        INT8 NOT NULL,
  customer_order_id INT8 NOT NULL,
  quantity          INT8 NOT NULL CHECK (quantity > 0),
  -- The broker that this leg is stepped out (given up) to; empty for none.
  target_broker     TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (block_order_id, account_id)
);

-- What routing left alone, and why. security_id 0 means the whole account.
--   no_price   the security has no price on the trade date: it keeps its shares, valued at its last close
--   no_group   the account meets no group's criteria: it has no mandate to rebalance to
--   no_cash    the account's cash and sales didn't pay for all of this purchase
CREATE TABLE IF NOT EXISTS orders.routing_outcomes (
  trade_date  DATE NOT NULL,
  account_id  INT8 NOT NULL,
  security_id INT8 NOT NULL,
  outcome     TEXT NOT NULL CHECK (outcome IN ('no_price', 'no_group', 'no_cash')),
  PRIMARY KEY (trade_date, account_id, security_id)
);
