-- The allocations stage: what the workers under test write. Every benchmark run makes these tables anew.

CREATE SCHEMA IF NOT EXISTS allocations;

-- The block orders to fill: as received from the orders stage, how far each one is, and what its last snapshot allocated.
-- Where a block stands follows from the set of its messages, not from their order: quantities add up, and of the changes of
-- an order the one with the highest version counts.
CREATE TABLE IF NOT EXISTS allocations.block_fills (
  block_order_id             INT8 NOT NULL PRIMARY KEY,
  block_order_code           TEXT NOT NULL,
  side                       TEXT NOT NULL,
  security_id                INT8 NOT NULL,
  trade_date                 DATE NOT NULL,
  -- How fills are divided among the accounts; chosen with the block, before its first execution.
  allocation_policy          TEXT NOT NULL,
  lot_size                   INT8 NOT NULL CHECK (lot_size > 0),
  minimum_ticket_lots        INT8 NOT NULL CHECK (minimum_ticket_lots > 0),
  -- What the accounts ordered together; order_quantity differs from it once the block is replaced.
  intended_quantity          INT8 NOT NULL CHECK (intended_quantity > 0),
  order_quantity             INT8 NOT NULL CHECK (order_quantity > 0),
  -- The highest version of a cancel or replace that has arrived, 0 before the first.
  order_version              INT8 NOT NULL DEFAULT 0,
  is_canceled                BOOL NOT NULL DEFAULT false,
  -- The live executions: those that no bust has reversed. Σ quantity × price is exact.
  -- No CHECK: PostgreSQL tests it on the row as the statement first saw it, before it waits for another worker's fill of the
  -- same block, so a bust right behind its execution would fail.
  cum_quantity               INT8 NOT NULL DEFAULT 0,
  notional                   NUMERIC(38,4) NOT NULL DEFAULT 0,
  execution_count            INT8 NOT NULL DEFAULT 0,
  -- The last snapshot, 0 before the first, and where the block stood when it was taken.
  snapshot_number            INT8 NOT NULL DEFAULT 0,
  allocated_quantity         INT8 NOT NULL DEFAULT 0,
  allocated_notional         NUMERIC(38,4) NOT NULL DEFAULT 0,
  allocated_execution_count  INT8 NOT NULL DEFAULT 0,
  allocated_is_final         BOOL NOT NULL DEFAULT false,
  allocated_is_canceled      BOOL NOT NULL DEFAULT false
) WITH (fillfactor = 70);

-- The accounts behind each block: the shares that each one wants of it, and whose order came first.
CREATE TABLE IF NOT EXISTS allocations.block_accounts (
  block_order_id    INT8 NOT NULL,
  account_id        INT8 NOT NULL,
  intended_quantity INT8 NOT NULL CHECK (intended_quantity > 0),
  customer_order_id INT8 NOT NULL,
  -- The broker that this leg is stepped out (given up) to; empty for none. It changes neither quantity nor price.
  target_broker     TEXT NOT NULL,
  PRIMARY KEY (block_order_id, account_id)
);

-- The inbox of executions: each once, however often the feed publishes it. A bust that comes before its execution leaves a
-- row without quantity and price, which waits for it.
CREATE TABLE IF NOT EXISTS allocations.captured_trades (
  execution_id    INT8 NOT NULL,
  block_order_id  INT8 NOT NULL,
  quantity        INT8 CHECK (quantity > 0),
  price           NUMERIC(18,4) CHECK (price > 0),
  is_busted       BOOL NOT NULL,
  -- Whether the execution was live before its bust came; only then had something to be taken back.
  was_reversed    BOOL NOT NULL DEFAULT false,
  topic_partition INT8,
  topic_offset    INT8,
  -- Only the row mode captures before it fills; for every other mode both are one transaction.
  filled          BOOL NOT NULL DEFAULT true,
-- only postgresql:
  PRIMARY KEY (execution_id)
-- only cockroachdb:
  -- Executions arrive about in the order of their ids, so without buckets all workers would write into one range.
  PRIMARY KEY (execution_id) USING HASH WITH (bucket_count = :hash_buckets)
-- both:
);

-- The inbox of everything else: busts, and the cancels and replaces of block orders, each once.
CREATE TABLE IF NOT EXISTS allocations.captured_changes (
  execution_id    INT8 NOT NULL,
  exec_type       TEXT NOT NULL CHECK (exec_type IN ('TRADE_CANCEL', 'CANCELED', 'REPLACED')),
  block_order_id  INT8 NOT NULL,
  -- Of a bust: the execution that it reverses.
  exec_ref_id     INT8,
  -- Of a cancel or replace: the version that it makes of the order, and the quantity that the order has from then on.
  order_version   INT8,
  order_quantity  INT8,
  topic_partition INT8 NOT NULL,
  topic_offset    INT8 NOT NULL,
-- only postgresql:
  PRIMARY KEY (execution_id)
-- only cockroachdb:
  PRIMARY KEY (execution_id) USING HASH WITH (bucket_count = :hash_buckets)
-- both:
);

-- What became of each bust. Of several busts of one execution the first by id counts; the others change nothing.
CREATE OR REPLACE VIEW allocations.bust_outcomes AS
SELECT c.execution_id, c.block_order_id, c.exec_ref_id,
       CASE WHEN t.quantity IS NULL THEN 'WAITING'
            WHEN EXISTS (
              SELECT 1 FROM allocations.captured_changes AS o
              WHERE o.exec_ref_id = c.exec_ref_id AND o.execution_id < c.execution_id) THEN 'ALREADY_BUSTED'
            ELSE 'APPLIED' END AS outcome
FROM allocations.captured_changes AS c
LEFT JOIN allocations.captured_trades AS t ON t.execution_id = c.exec_ref_id
WHERE c.exec_type = 'TRADE_CANCEL';

CREATE INDEX IF NOT EXISTS captured_changes_by_reference ON allocations.captured_changes (exec_ref_id);

-- Each time a block's fills were allocated: one average price for all its accounts, and what rounding left over.
CREATE TABLE IF NOT EXISTS allocations.snapshots (
  block_order_id  INT8 NOT NULL,
  snapshot_number INT8 NOT NULL,
  cum_quantity    INT8 NOT NULL CHECK (cum_quantity >= 0),
  notional        NUMERIC(38,4) NOT NULL,
  -- 0 when a bust has left nothing to allocate.
  average_price   NUMERIC(18,4) NOT NULL,
  -- notional − average_price × cum_quantity: at most half a tick per share.
  residual        NUMERIC(38,4) NOT NULL,
  -- Whether the block was filled or canceled.
  is_final        BOOL NOT NULL,
  PRIMARY KEY (block_order_id, snapshot_number)
);

-- What each account got by a snapshot: the change since the last one, the sum, and the price of all of it. Only accounts
-- whose quantity changed have a row; a bust makes a delta below 0.
CREATE TABLE IF NOT EXISTS allocations.allocations (
  block_order_id      INT8 NOT NULL,
  account_id          INT8 NOT NULL,
  snapshot_number     INT8 NOT NULL,
  quantity_delta      INT8 NOT NULL CHECK (quantity_delta <> 0),
  quantity_cumulative INT8 NOT NULL CHECK (quantity_cumulative >= 0),
  average_price       NUMERIC(18,4) NOT NULL,
  PRIMARY KEY (block_order_id, account_id, snapshot_number)
);

-- Blocks whose bookings may have to change, put here in the transaction of the snapshot that says so. The booking workers
-- take them out in the transaction that books. A row per snapshot, so that a fill never waits for a booking of its block.
CREATE TABLE IF NOT EXISTS allocations.booking_outbox (
  block_order_id  INT8 NOT NULL,
  snapshot_number INT8 NOT NULL,
  requested_at    TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (block_order_id, snapshot_number)
);

-- The longest waiting first.
-- only postgresql:
CREATE INDEX IF NOT EXISTS booking_outbox_by_time ON allocations.booking_outbox (requested_at, block_order_id);
-- only cockroachdb:
-- Times grow; see captured_trades.
CREATE INDEX IF NOT EXISTS booking_outbox_by_time ON allocations.booking_outbox (requested_at, block_order_id)
  USING HASH WITH (bucket_count = :hash_buckets);
-- both:

-- The end-of-block audit: what was allocated of what was ordered, at which price, and what rounding left over. A block has
-- a row while it is filled, or canceled with fills.
CREATE TABLE IF NOT EXISTS allocations.block_bookings (
  block_order_id     INT8 NOT NULL PRIMARY KEY,
  ord_status         TEXT NOT NULL CHECK (ord_status IN ('FILLED', 'CANCELED')),
  allocation_policy  TEXT NOT NULL,
  intended_quantity  INT8 NOT NULL,
  order_quantity     INT8 NOT NULL,
  allocated_quantity INT8 NOT NULL CHECK (allocated_quantity > 0),
  notional           NUMERIC(38,4) NOT NULL,
  average_price      NUMERIC(18,4) NOT NULL,
  residual           NUMERIC(38,4) NOT NULL,
  snapshot_number    INT8 NOT NULL,
  booked_at          TIMESTAMPTZ NOT NULL
);

-- The same per account, as the regulators ask: when, which investment, which client, allocated against intended.
CREATE TABLE IF NOT EXISTS allocations.account_audits (
  block_order_id     INT8 NOT NULL,
  account_id         INT8 NOT NULL,
  security_id        INT8 NOT NULL,
  intended_quantity  INT8 NOT NULL,
  allocated_quantity INT8 NOT NULL CHECK (allocated_quantity >= 0),
  average_price      NUMERIC(18,4) NOT NULL,
  allocated_at       TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (block_order_id, account_id)
);

-- Allocation instructions (FIX message J), one per account and change of its booking. The id is block, account and version;
-- a replace or cancel names the instruction that it takes the place of.
CREATE TABLE IF NOT EXISTS allocations.allocation_instructions (
  alloc_id            TEXT NOT NULL PRIMARY KEY,
  ref_alloc_id        TEXT,
  alloc_trans_type    TEXT NOT NULL CHECK (alloc_trans_type IN ('NEW', 'REPLACE', 'CANCEL')),
  block_order_id      INT8 NOT NULL,
  account_id          INT8 NOT NULL,
  instruction_version INT8 NOT NULL CHECK (instruction_version > 0),
  -- AllocQty; 0 in a cancel.
  quantity            INT8 NOT NULL CHECK (quantity >= 0),
  average_price       NUMERIC(18,4) NOT NULL,
  target_broker       TEXT NOT NULL,
-- only postgresql:
  UNIQUE (block_order_id, account_id, instruction_version)
-- only cockroachdb:
  -- Booking asks for the last version; with these columns beside the key it needn't fetch the row from another range.
  UNIQUE (block_order_id, account_id, instruction_version)
    STORING (alloc_trans_type, quantity, average_price, target_broker)
-- both:
);

-- Settlement instructions: what each account receives or delivers and pays or gets, one business day after the trade date.
CREATE TABLE IF NOT EXISTS allocations.settlement_instructions (
  block_order_id  INT8 NOT NULL,
  account_id      INT8 NOT NULL,
  security_id     INT8 NOT NULL,
  side            TEXT NOT NULL,
  quantity        INT8 NOT NULL CHECK (quantity > 0),
  average_price   NUMERIC(18,4) NOT NULL,
  -- What the account gets; below 0 what it pays.
  net_money       NUMERIC(38,4) NOT NULL,
  settlement_date DATE NOT NULL,
  target_broker   TEXT NOT NULL,
  PRIMARY KEY (block_order_id, account_id)
);

-- How far each partition is consumed, moved in the transaction of the effect. Whoever takes a partition over raises its
-- epoch; a worker that lost it then moves no row, and its transaction has no effect. (Mode row has no transaction around its
-- statements: there only the offset itself is guarded.) An epoch is a time by the server's clock in microseconds, so that none
-- comes twice: a row with a later epoch than a worker's has been taken over, one with an earlier epoch has gone back.
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
  exec_type       INT8 NOT NULL,
  exec_ref_id     INT8 NOT NULL,
  block_order_id  INT8 NOT NULL,
  order_version   INT8 NOT NULL,
  order_quantity  INT8 NOT NULL,
  quantity        INT8 NOT NULL,
  price_ticks     INT8 NOT NULL,
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
