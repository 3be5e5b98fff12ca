-- What runners and worker hosts ask and say. Whether somebody is still there is judged by the server's clock alone.

-- name: is_created
SELECT 1 FROM information_schema.tables WHERE table_schema = 'harness' AND table_name = 'shares';

-- name: client_address
SELECT coalesce(host(inet_client_addr()), '');

-- name: server_time_us
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::INT8;

-- name: runners
SELECT run_name, version, git_commit FROM harness.runners
WHERE heartbeat_at > clock_timestamp() - $1::INT8 * INTERVAL '1 millisecond'
ORDER BY heartbeat_at DESC;

-- name: host_named
SELECT session, address, process_id, heartbeat_at::TEXT,
       heartbeat_at > clock_timestamp() - $2::INT8 * INTERVAL '1 millisecond' AS is_heard
FROM harness.hosts WHERE name = $1;

-- Takes a name that is free, or that was `$8`'s; no row where somebody else was quicker.
-- name: join
INSERT INTO harness.hosts AS h
  (name, session, address, process_id, version, git_commit, cores, refusal, joined_at, heartbeat_at)
VALUES ($1, $2, $3, $4::INT8, $5, $6, $7::INT8, '', clock_timestamp(), clock_timestamp())
ON CONFLICT (name) DO UPDATE SET
  session = excluded.session, address = excluded.address, process_id = excluded.process_id, version = excluded.version,
  git_commit = excluded.git_commit, cores = excluded.cores, refusal = '', joined_at = excluded.joined_at,
  heartbeat_at = excluded.heartbeat_at
WHERE h.session = $8
RETURNING name;

-- name: leave
DELETE FROM harness.hosts WHERE name = $1 AND session = $2;

-- name: beat_host
UPDATE harness.hosts SET heartbeat_at = clock_timestamp() WHERE name = $1 AND session = $2 RETURNING refusal;

-- name: next_share
SELECT s.cell, s.share, r.run_name
FROM harness.shares AS s
JOIN harness.cells AS c ON c.cell = s.cell
JOIN harness.runners AS r ON r.session = c.runner_session
WHERE s.host_session = $1 AND s.state = 'assigned' AND c.phase = 'gathering'
  AND r.heartbeat_at > clock_timestamp() - $2::INT8 * INTERVAL '1 millisecond'
LIMIT 1;

-- name: cell
SELECT c.phase, c.start_us,
       coalesce(r.heartbeat_at > clock_timestamp() - $2::INT8 * INTERVAL '1 millisecond', false) AS is_heard
FROM harness.cells AS c LEFT JOIN harness.runners AS r ON r.session = c.runner_session
WHERE c.cell = $1;

-- name: report_state
UPDATE harness.shares SET state = $3, report = $4 WHERE cell = $1 AND host_session = $2;

-- name: report_progress
UPDATE harness.shares SET committed = $3::INT8, lag = $4::INT8, retries = $5::INT8, errors = $6::INT8
WHERE cell = $1 AND host_session = $2;

-- Of runners that nobody has heard of for so long: what they left.
-- name: clear_shares
DELETE FROM harness.shares WHERE cell IN (
  SELECT c.cell FROM harness.cells AS c LEFT JOIN harness.runners AS r ON r.session = c.runner_session
  WHERE r.session IS NULL OR r.heartbeat_at < clock_timestamp() - $1::INT8 * INTERVAL '1 millisecond');

-- name: clear_cells
DELETE FROM harness.cells WHERE runner_session NOT IN (
  SELECT session FROM harness.runners WHERE heartbeat_at >= clock_timestamp() - $1::INT8 * INTERVAL '1 millisecond');

-- name: clear_runners
DELETE FROM harness.runners WHERE heartbeat_at < clock_timestamp() - $1::INT8 * INTERVAL '1 millisecond';

-- name: begin_runner
INSERT INTO harness.runners (session, run_name, version, git_commit, heartbeat_at)
VALUES ($1, $2, $3, $4, clock_timestamp());

-- name: beat_runner
UPDATE harness.runners SET heartbeat_at = clock_timestamp() WHERE session = $1 RETURNING '';

-- name: end_runner
DELETE FROM harness.runners WHERE session = $1;

-- name: hosts
SELECT name, session, address, process_id, version, git_commit, cores FROM harness.hosts
WHERE refusal = '' AND heartbeat_at > clock_timestamp() - $1::INT8 * INTERVAL '1 millisecond'
ORDER BY joined_at, name;

-- name: refuse
UPDATE harness.hosts SET refusal = $2 WHERE session = $1;

-- name: begin_cell
INSERT INTO harness.cells (cell, runner_session, phase, start_us) VALUES ($1, $2, 'gathering', NULL);

-- name: begin_share
INSERT INTO harness.shares (cell, host_session, host_name, share, state, committed, lag, retries, errors, report)
VALUES ($1, $2, $3, $4, 'assigned', 0, 0, 0, 0, NULL);

-- name: start
UPDATE harness.cells
SET phase = 'started', start_us = (extract(epoch FROM clock_timestamp()) * 1000000)::INT8 + $2::INT8
WHERE cell = $1 RETURNING start_us;

-- name: set_phase
UPDATE harness.cells SET phase = $2 WHERE cell = $1;

-- name: shares
SELECT s.host_name, s.state, s.committed, s.lag, s.retries, s.errors, s.report,
       coalesce(h.heartbeat_at > clock_timestamp() - $2::INT8 * INTERVAL '1 millisecond', false) AS is_heard,
       h.session IS NOT NULL AS is_there
FROM harness.shares AS s LEFT JOIN harness.hosts AS h ON h.session = s.host_session
WHERE s.cell = $1;

-- name: end_shares
DELETE FROM harness.shares WHERE cell = $1;

-- name: end_cell
DELETE FROM harness.cells WHERE cell = $1;
