-- Where a runner and its worker hosts meet: who is there, what each host is to do in a cell, and what came of it. A few small
-- rows, changed a few times a second; nothing here is on the path that is measured. All times are the server's.

CREATE SCHEMA IF NOT EXISTS harness;

-- Runs that want worker hosts, and when their runner was last heard of.
CREATE TABLE IF NOT EXISTS harness.runners (
  -- Drawn at random by each process, so that nobody is taken for who was there before.
  session      TEXT NOT NULL PRIMARY KEY,
  run_name     TEXT NOT NULL,
  version      TEXT NOT NULL,
  -- Empty where the program doesn't know what it was built from.
  git_commit   TEXT NOT NULL,
  heartbeat_at TIMESTAMPTZ NOT NULL
);

-- Worker hosts that have joined.
CREATE TABLE IF NOT EXISTS harness.hosts (
  name         TEXT NOT NULL PRIMARY KEY,
  session      TEXT NOT NULL,
  -- As the server sees it; the host's own name where it comes through a local socket.
  address      TEXT NOT NULL,
  process_id   INT8 NOT NULL,
  version      TEXT NOT NULL,
  git_commit   TEXT NOT NULL,
  cores        INT8 NOT NULL,
  -- Why a runner sends the host away; empty otherwise.
  refusal      TEXT NOT NULL,
  joined_at    TIMESTAMPTZ NOT NULL,
  heartbeat_at TIMESTAMPTZ NOT NULL
);

-- The cell that is being run.
--   gathering  hosts connect their workers
--   started    the start is said; it may still be ahead
--   closing    every worker has ended; what is still to be booked is booked
--   ended      whatever a host is still doing, it stops
CREATE TABLE IF NOT EXISTS harness.cells (
  cell           TEXT NOT NULL PRIMARY KEY,
  runner_session TEXT NOT NULL,
  phase          TEXT NOT NULL CHECK (phase IN ('gathering', 'started', 'closing', 'ended')),
  -- When the workers start, in microseconds of the server's clock since 1970; nobody knows before.
  start_us       INT8
);

-- What each host does in a cell.
CREATE TABLE IF NOT EXISTS harness.shares (
  cell         TEXT NOT NULL,
  host_session TEXT NOT NULL,
  host_name    TEXT NOT NULL,
  -- In JSON: the plan that the host makes its workers from.
  share        TEXT NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('assigned', 'taken', 'ready', 'drained', 'done', 'failed')),
  -- So far, for whoever prints progress.
  committed    INT8 NOT NULL,
  lag          INT8 NOT NULL,
  retries      INT8 NOT NULL,
  errors       INT8 NOT NULL,
  -- In JSON what the host measured, once it is done; what went wrong, in words, where it failed.
  report       TEXT,
  PRIMARY KEY (cell, host_session)
);
