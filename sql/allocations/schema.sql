-- The allocations stage: what the workers under test write. Every benchmark run makes these tables anew.

CREATE SCHEMA IF NOT EXISTS allocations;

-- The block orders to fill: received with the block, and how far each one is.
CREATE TABLE IF NOT EXISTS allocations.block_fills (
  block_order_id     INT8 NOT NULL PRIMARY KEY,
  block_order_code   TEXT NOT NULL,
  ordered_quantity   INT8 NOT NULL CHECK (ordered_quantity > 0),
  filled_quantity    INT8 NOT NULL DEFAULT 0,
  -- Σ quantity × price of the captured executions, exact.
  notional           NUMERIC(38,4) NOT NULL DEFAULT 0,
  execution_count    INT8 NOT NULL DEFAULT 0,
  -- The last snapshot, 0 before the first, and what was filled when it was taken.
  snapshot_number    INT8 NOT NULL DEFAULT 0,
  allocated_quantity INT8 NOT NULL DEFAULT 0,
  CONSTRAINT never_overfilled CHECK (filled_quantity <= ordered_quantity),
  CONSTRAINT never_overallocated CHECK (allocated_quantity <= filled_quantity)
) WITH (fillfactor = 70);

-- The accounts behind each block, with the shares each one wants of it.
CREATE TABLE IF NOT EXISTS allocations.block_accounts (
  block_order_id   INT8 NOT NULL,
  account_id       INT8 NOT NULL,
  ordered_quantity INT8 NOT NULL CHECK (ordered_quantity > 0),
  PRIMARY KEY (block_order_id, account_id)
);

-- The inbox: each execution once, however often the feed publishes it.
CREATE TABLE IF NOT EXISTS allocations.captured_trades (
  execution_id    INT8 NOT NULL PRIMARY KEY,
  block_order_id  INT8 NOT NULL,
  quantity        INT8 NOT NULL CHECK (quantity > 0),
  price           NUMERIC(18,4) NOT NULL CHECK (price > 0),
  topic_partition INT8 NOT NULL,
  topic_offset    INT8 NOT NULL,
  -- Only the row mode captures before it fills; for every other mode both are one transaction.
  filled          BOOL NOT NULL DEFAULT true
);

-- Each time a block's fills were allocated: one average price for all its accounts, and what rounding left over.
CREATE TABLE IF NOT EXISTS allocations.snapshots (
  block_order_id  INT8 NOT NULL,
  snapshot_number INT8 NOT NULL,
  filled_quantity INT8 NOT NULL,
  notional        NUMERIC(38,4) NOT NULL,
  average_price   NUMERIC(18,4) NOT NULL,
  -- notional − average_price × filled_quantity: at most half a tick per share.
  residual        NUMERIC(38,4) NOT NULL,
  PRIMARY KEY (block_order_id, snapshot_number)
);

-- What each account got by a snapshot: the change since the last one, the sum, and the price of all of it.
CREATE TABLE IF NOT EXISTS allocations.allocations (
  block_order_id      INT8 NOT NULL,
  account_id          INT8 NOT NULL,
  snapshot_number     INT8 NOT NULL,
  quantity_delta      INT8 NOT NULL CHECK (quantity_delta >= 0),
  quantity_cumulative INT8 NOT NULL CHECK (quantity_cumulative > 0),
  average_price       NUMERIC(18,4) NOT NULL,
  PRIMARY KEY (block_order_id, account_id, snapshot_number)
);

-- How far each partition is consumed, moved in the transaction of the effect. Whoever takes a partition over raises its
-- epoch; a worker that lost it then moves no row, and its transaction has no effect. (Mode row has no transaction around its
-- statements: there only the offset itself is guarded.)
CREATE TABLE IF NOT EXISTS allocations.consumer_offsets (
  topic           TEXT NOT NULL,
  topic_partition INT8 NOT NULL,
  epoch           INT8 NOT NULL DEFAULT 0,
  next_offset     INT8 NOT NULL DEFAULT 0,
  PRIMARY KEY (topic, topic_partition)
) WITH (fillfactor = 50);

-- The cycle mode's waiting room: messages staged for the next set-based cycle.
CREATE TABLE IF NOT EXISTS allocations.staged_trades (
  topic_partition INT8 NOT NULL,
  topic_offset    INT8 NOT NULL,
  execution_id    INT8 NOT NULL,
  block_order_id  INT8 NOT NULL,
  quantity        INT8 NOT NULL,
  price           NUMERIC(18,4) NOT NULL,
  PRIMARY KEY (topic_partition, topic_offset)
);

-- Blocks that a message stopped: its later messages wait beside it, so that nothing of a block is skipped over.
CREATE TABLE IF NOT EXISTS allocations.parked_blocks (
  block_order_code TEXT NOT NULL PRIMARY KEY,
  reason           TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS allocations.parked_messages (
  topic            TEXT NOT NULL,
  topic_partition  INT8 NOT NULL,
  topic_offset     INT8 NOT NULL,
  block_order_code TEXT NOT NULL,
  reason           TEXT NOT NULL,
  message_value    BYTEA,
  PRIMARY KEY (topic, topic_partition, topic_offset)
);
