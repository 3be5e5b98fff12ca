-- The trades stage: what the market answers to block orders, in the words of a FIX ExecutionReport. The change feed publishes
-- the rows of trades.executions. Here the order of events is known, so whatever depends on it is decided here.

CREATE SCHEMA IF NOT EXISTS trades;

-- One execution report. The id is the order of events within the table, so it is also the order of arrival.
--   TRADE         a partial fill
--   TRADE_CANCEL  a bust: the execution exec_ref_id never happened; the order's other fills stand
--   CANCELED      what is left of the order is given up; a fill that was on its way may still follow
--   REPLACED      the order has another quantity from here on
CREATE TABLE IF NOT EXISTS trades.executions (
  execution_id     INT8 NOT NULL,
  exec_type        TEXT NOT NULL CHECK (exec_type IN ('TRADE', 'TRADE_CANCEL', 'CANCELED', 'REPLACED')),
  -- Of a bust the execution that it reverses, or a number from 2^62 on that no execution has: the market errs, too.
  exec_ref_id      INT8,
  block_order_id   INT8 NOT NULL,
  -- Repeated from the block order, because a change feed can only key a topic by a column of its own table.
  block_order_code TEXT NOT NULL,
  -- How often the order was canceled or replaced up to here, this report included, and its quantity since.
  order_version    INT8 NOT NULL CHECK (order_version >= 0),
  order_quantity   INT8 NOT NULL CHECK (order_quantity > 0),
  -- Shares and price of a trade; 0 in every other report.
  quantity         INT8 NOT NULL CHECK (quantity >= 0),
  price            NUMERIC(18,4) NOT NULL CHECK (price >= 0),
  executed_at      TIMESTAMPTZ NOT NULL,
  CHECK ((exec_type = 'TRADE') = (quantity > 0)),
  CHECK ((quantity > 0) = (price > 0)),
  CHECK ((exec_type = 'TRADE_CANCEL') = (exec_ref_id IS NOT NULL)),
-- only postgresql:
  PRIMARY KEY (execution_id)
-- only cockroachdb:
  -- Ids grow, so without buckets every insert would go to the last range, and to the one node that leads it.
  PRIMARY KEY (execution_id) USING HASH WITH (bucket_count = :hash_buckets)
-- both:
);

-- Requests to cancel or replace a block order, and what the market made of them.
CREATE TABLE IF NOT EXISTS trades.order_requests (
  -- The report that accepts it. A rejected request has a number of its own from the same sequence, which no report has.
  request_id         INT8 NOT NULL PRIMARY KEY,
  block_order_id     INT8 NOT NULL,
  request_type       TEXT NOT NULL CHECK (request_type IN ('CANCEL', 'REPLACE')),
  -- The quantity asked for; of a cancel the order's own.
  requested_quantity INT8 NOT NULL,
  -- What was filled when the request came.
  cum_quantity       INT8 NOT NULL,
  outcome            TEXT NOT NULL CHECK (outcome IN ('ACCEPTED', 'REJECTED')),
  -- Why it was rejected; empty otherwise.
  reason             TEXT NOT NULL,
  requested_at       TIMESTAMPTZ NOT NULL,
  CHECK ((outcome = 'REJECTED') = (reason <> ''))
);

-- The state in which each block order ended, as FIX names it.
CREATE TABLE IF NOT EXISTS trades.block_outcomes (
  block_order_id  INT8 NOT NULL PRIMARY KEY,
  ord_status      TEXT NOT NULL CHECK (ord_status IN ('FILLED', 'CANCELED')),
  order_version   INT8 NOT NULL,
  order_quantity  INT8 NOT NULL,
  cum_quantity    INT8 NOT NULL,
  leaves_quantity INT8 NOT NULL,
  -- Rounded to the tick; 0 without a live execution.
  average_price   NUMERIC(18,4) NOT NULL
);

-- How the executions of a trade date were drawn, so that an interrupted drawing goes on where it stopped.
CREATE TABLE IF NOT EXISTS trades.drawings (
  trade_date        DATE NOT NULL PRIMARY KEY,
  seed              INT8 NOT NULL,
  -- 0 when the number of executions was left to the drawing.
  executions_wanted INT8 NOT NULL,
  -- Chances in millionths: of a trade to be busted, and of a block order to be replaced and to be canceled.
  bust_ppm          INT8 NOT NULL,
  replace_ppm       INT8 NOT NULL,
  cancel_ppm        INT8 NOT NULL
);

-- Change feeds that publish executions, and whether their first scan of the table reached the broker.
CREATE TABLE IF NOT EXISTS trades.change_feeds (
  slot_name      TEXT NOT NULL PRIMARY KEY,
  topic          TEXT NOT NULL,
  scan_completed BOOL NOT NULL
);
