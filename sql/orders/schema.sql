-- The orders stage: what each account wants to trade, and the block orders that aggregate it.
-- Accepted by PostgreSQL and CockroachDB alike: no DO, no DOMAIN, no DEFERRABLE, no division.

CREATE SCHEMA IF NOT EXISTS orders;

-- One per security, side and manager group on a trade date. The code keys the Kafka topic.
CREATE TABLE IF NOT EXISTS orders.block_orders (
  block_order_id   INT8 NOT NULL PRIMARY KEY,
  block_order_code TEXT NOT NULL UNIQUE,
  trade_date       DATE NOT NULL,
  security_id      INT8 NOT NULL,
  side             TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
  manager_group    INT8 NOT NULL,
  -- Products of two quantities must stay within 64 bits, hence the upper bound.
  quantity         INT8 NOT NULL CHECK (quantity BETWEEN 1 AND 2000000000),
  account_count    INT8 NOT NULL CHECK (account_count > 0),
  UNIQUE (trade_date, security_id, side, manager_group)
);

-- One per account and security that is off its target weight on a trade date.
CREATE TABLE IF NOT EXISTS orders.customer_orders (
  customer_order_id INT8 NOT NULL PRIMARY KEY,
  trade_date        DATE NOT NULL,
  account_id        INT8 NOT NULL,
  security_id       INT8 NOT NULL,
  side              TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
  manager_group     INT8 NOT NULL,
  quantity          INT8 NOT NULL CHECK (quantity > 0),
  UNIQUE (trade_date, account_id, security_id)
);

-- The accounts behind each block order, with the shares each one wants of it.
CREATE TABLE IF NOT EXISTS orders.block_order_accounts (
  block_order_id    INT8 NOT NULL REFERENCES orders.block_orders (block_order_id),
  account_id        INT8 NOT NULL,
  customer_order_id INT8 NOT NULL,
  quantity          INT8 NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (block_order_id, account_id)
);

-- What routing left alone, and why. security_id 0 means the whole account.
--   no_price     the security has no price on the trade date: it keeps its shares, valued at its last close
--   zero_weight  all target weights of the account are zero: it has no mandate to rebalance to
CREATE TABLE IF NOT EXISTS orders.routing_outcomes (
  trade_date  DATE NOT NULL,
  account_id  INT8 NOT NULL,
  security_id INT8 NOT NULL,
  outcome     TEXT NOT NULL CHECK (outcome IN ('no_price', 'zero_weight')),
  PRIMARY KEY (trade_date, account_id, security_id)
);
