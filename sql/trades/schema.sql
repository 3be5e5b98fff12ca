-- The trades stage: executions drawn against block orders. The change feed publishes this table's rows.

CREATE SCHEMA IF NOT EXISTS trades;

-- One partial fill. The id is the order of execution within the table, so it is also the order of arrival.
CREATE TABLE IF NOT EXISTS trades.executions (
  execution_id     INT8 NOT NULL PRIMARY KEY,
  block_order_id   INT8 NOT NULL,
  -- Repeated from the block order, because a change feed can only key a topic by a column of its own table.
  block_order_code TEXT NOT NULL,
  quantity         INT8 NOT NULL CHECK (quantity > 0),
  price            NUMERIC(18,4) NOT NULL CHECK (price > 0),
  executed_at      TIMESTAMPTZ NOT NULL
);

-- How the executions of a trade date were drawn, so that an interrupted drawing goes on where it stopped.
CREATE TABLE IF NOT EXISTS trades.drawings (
  trade_date        DATE NOT NULL PRIMARY KEY,
  seed              INT8 NOT NULL,
  -- 0 when the number of executions was left to the drawing.
  executions_wanted INT8 NOT NULL
);

-- Change feeds that publish executions, and whether their first scan of the table reached the broker.
CREATE TABLE IF NOT EXISTS trades.change_feeds (
  slot_name      TEXT NOT NULL PRIMARY KEY,
  topic          TEXT NOT NULL,
  scan_completed BOOL NOT NULL
);
