-- What the program asks of a server as such: its settings, figures, catalogue and clock. No stage owns any of it, and most of it
-- differs between PostgreSQL and CockroachDB.
--
-- How to read the files below sql/: what follows `-- only postgresql:` or `-- only cockroachdb:` is said to that server alone, up
-- to the next such line, to `-- both:`, or to the end of the statement. Everything else is the same for both. A word with one
-- colon, such as `:mark`, is a place that the program fills in. wiki/Dialects.md lists what differs, and why.

-- name: settings
-- What says how something was measured, not where things lie.
-- only postgresql:
SELECT name, setting || coalesce(' ' || unit, '') FROM pg_settings
WHERE (source NOT IN ('default', 'client') AND name NOT IN ('config_file', 'data_directory', 'hba_file', 'ident_file',
        'external_pid_file', 'unix_socket_directories', 'cluster_name', 'port'))
   OR name IN ('fsync', 'synchronous_commit', 'wal_level', 'shared_buffers', 'full_page_writes')
ORDER BY name;
-- only cockroachdb:
-- pg_settings has names there that mean nothing to the server; what the cluster does stands among its own settings.
SELECT variable, value FROM [SHOW CLUSTER SETTINGS]
WHERE variable IN ('version', 'kv.rangefeed.enabled', 'kv.closed_timestamp.target_duration',
  'kv.transaction.write_pipelining.enabled', 'kv.transaction.write_buffering.enabled', 'sql.defaults.results_buffer.size',
  'sql.txn.read_committed_isolation.enabled', 'sql.txn.repeatable_read_isolation.enabled')
ORDER BY variable;

-- name: mark_run
-- Says whose tables these are, so that a run can be resumed on a database that isn't the program's own.
-- only postgresql:
COMMENT ON SCHEMA trades IS ':mark';
-- only cockroachdb:
-- Comments on tables are what every version answers obj_description with.
COMMENT ON TABLE trades.drawings IS ':mark';

-- name: run_mark
-- only postgresql:
SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'trades';
-- only cockroachdb:
SELECT obj_description(c.oid, 'pg_class') FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'trades' AND c.relname = 'drawings';

-- name: name_session
-- only cockroachdb:
-- Sessions are listed there for the whole cluster, without their databases: the name says which one a session is in.
SELECT set_config('application_name', current_setting('application_name') || ' in ' || current_database(), false)
WHERE current_setting('application_name') LIKE 'allocbench %';

-- name: planner
-- Of sessions that find every row by its key. New tables have no statistics, and a plan made while they were empty must not
-- read all of them once they aren't; compiling a plan costs more than any of these statements.
-- only postgresql:
SET enable_seqscan = off;
SET enable_mergejoin = off;
SET jit = off;
-- What is looked up was written a moment ago and is in memory. Without these, a small table is read whole along its index and
-- hashed to find a single block in it, and a single row of an index is fetched by way of a bitmap.
SET random_page_cost = 0.1;
SET enable_bitmapscan = off;
-- One plan for good: of an array in a parameter the server expects ten elements, of a given one it sees that there is one, finds
-- that cheaper, and so would plan every small transaction anew, which takes longer than to execute it.
SET plan_cache_mode = force_generic_plan;

-- name: load
-- Of a session that fills empty tables. Its commits needn't wait for the disk: a load counts as none until another session says
-- that it is complete, and that commit waits, for everything that stands before it in the log.
-- only postgresql:
SET synchronous_commit = off;

-- name: isolation
-- What a transaction has got, whatever it asked for.
SHOW transaction_isolation;

-- name: begin_retryable
-- Opens a transaction that goes back to its beginning without ending. The name is CockroachDB's; to PostgreSQL it is a savepoint.
SAVEPOINT cockroach_restart;

-- name: restart
ROLLBACK TO SAVEPOINT cockroach_restart;

-- name: end_retryable
RELEASE SAVEPOINT cockroach_restart;

-- name: inject_retry_errors
-- From here on the server answers statements in explicit transactions with 40001, three times each if they go back to
-- cockroach_restart, for ever if they don't.
-- only cockroachdb:
SET inject_retry_errors_enabled = true;

-- name: keep_transaction
-- In a transaction: TRUNCATE belongs to it. Otherwise the server commits what came before.
-- only cockroachdb:
SET LOCAL autocommit_before_ddl = off;

-- name: now_for_reading
-- A time at which the whole cluster can be read. Not to be had under READ COMMITTED, which a cluster may have for its default.
-- only cockroachdb:
SELECT cluster_logical_timestamp()::TEXT;

-- name: begin_reading
-- Everything up to the COMMIT reads at one time, without locks and without being in anybody's way.
-- only cockroachdb:
BEGIN ISOLATION LEVEL SERIALIZABLE, AS OF SYSTEM TIME ':time';

-- name: open_figures
-- Since v25.4 a session says that it means to read what the next statements read.
-- only cockroachdb:
SET allow_unsafe_internals = on;

-- name: waiting_sessions
-- How many sessions of this database wait for a lock.
-- only postgresql:
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock';
-- only cockroachdb:
-- Only keys that somebody waits for are asked for: all locks of a cluster would be many.
SELECT count(DISTINCT txn_id) FROM crdb_internal.cluster_locks
WHERE contended AND NOT granted AND database_name = current_database();

-- name: counters
-- only postgresql:
-- Log and checkpoints of the whole server; transactions and rows of the database.
SELECT w.wal_bytes::INT8, w.wal_fpi, w.wal_sync, d.xact_commit, d.tup_inserted, d.tup_updated, d.tup_deleted, d.deadlocks,
-- insert: checkpoints
FROM pg_stat_wal AS w, pg_stat_database AS d WHERE d.datname = current_database();
-- only cockroachdb:
-- Of all nodes that are there: transactions committed, and transactions that had to begin anew, whether the server repeated them
-- by itself or asked the client to.
SELECT coalesce(sum((metrics->>'sql.txn.commit.count')::FLOAT8), 0)::INT8,
       coalesce(sum(coalesce((metrics->>'txn.restarts.serializable')::FLOAT8, 0)
         + coalesce((metrics->>'txn.restarts.writetooold')::FLOAT8, 0)
         + coalesce((metrics->>'txn.restarts.readwithinuncertainty')::FLOAT8, 0)
         + coalesce((metrics->>'txn.restarts.asyncwritefailure')::FLOAT8, 0)
         + coalesce((metrics->>'txn.restarts.commitdeadlineexceeded')::FLOAT8, 0)
         + coalesce((metrics->>'txn.restarts.txnaborted')::FLOAT8, 0)
         + coalesce((metrics->>'txn.restarts.txnpush')::FLOAT8, 0)
         + coalesce((metrics->>'txn.restarts.unknown')::FLOAT8, 0)), 0)::INT8
FROM crdb_internal.kv_node_status
WHERE updated_at > $1::TIMESTAMP - INTERVAL '1 minute';

-- part: checkpoints
       (SELECT checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter)::INT8

-- part: checkpoints_17
       (SELECT num_timed + num_requested FROM pg_stat_checkpointer)::INT8

-- name: clock
-- The server's clock.
-- only postgresql:
SELECT clock_timestamp()::TEXT;
-- only cockroachdb:
SELECT (clock_timestamp() AT TIME ZONE 'UTC')::TEXT;

-- name: settling_since
-- From when on something may be missing from the first reading of the counters.
-- only postgresql:
SELECT (now() - INTERVAL '5 seconds')::TEXT;
-- only cockroachdb:
SELECT (clock_timestamp() AT TIME ZONE 'UTC')::TEXT;

-- name: is_unsettled
-- $1 a time by the server's clock. A row as long as something that happened up to it may be missing from the counters.
-- only postgresql:
-- A session brings its counts home when it is idle, once a second at most, or when it ends.
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND state_change >= $1::TIMESTAMPTZ
  -- Signs of life, which never end and aren't what is counted.
  AND application_name <> 'allocbench harness'
LIMIT 1;
-- only cockroachdb:
-- Every node writes its figures down each ten seconds. One that hasn't for a minute is gone, and its row stays for ever.
SELECT 1 FROM crdb_internal.kv_node_status
WHERE updated_at > $1::TIMESTAMP - INTERVAL '1 minute' AND updated_at < $1::TIMESTAMP
LIMIT 1;

-- name: upload
-- The way of `cockroach userfile upload`: every row is a piece of the file, whose name begins with the table that keeps it.
-- only cockroachdb:
COPY crdb_internal.user_file_upload FROM STDIN WITH destination = ':file';

-- name: forget_uploads
-- only cockroachdb:
DROP TABLE IF EXISTS public.allocbench_upload_payload, public.allocbench_upload_files;
