-- Booking, the part of the holdings schema: moves positions by what bookings say, each account and block once. The other part
-- is sql/allocations/book.sql; both are one transaction.

-- name: add_positions
-- $1 account, $2 security, an array element per movement: a position that isn't there begins with 0 and is remembered as
-- added, so that it can go again.
WITH added AS (
  INSERT INTO holdings.positions (account_id, security_id, quantity)
  SELECT DISTINCT t.account_id, t.security_id, 0
  FROM unnest($1::INT8[], $2::INT8[]) AS t (account_id, security_id)
  WHERE NOT EXISTS (
    SELECT 1 FROM holdings.positions AS p WHERE p.account_id = t.account_id AND p.security_id = t.security_id)
  ON CONFLICT (account_id, security_id) DO NOTHING
  RETURNING account_id, security_id
)
INSERT INTO holdings.added_positions (account_id, security_id) SELECT account_id, security_id FROM added
ON CONFLICT (account_id, security_id) DO NOTHING;

-- name: move_again
-- $1 block order, $2 account, $3 quantity, an array element each, 0 included. Corrects movements that were made before: a
-- position moves by the difference. Answers how many positions were to move, and how many did.
WITH held AS MATERIALIZED (
  SELECT m.block_order_id, m.account_id, m.quantity AS moved, t.quantity
  FROM unnest($1::INT8[], $2::INT8[], $3::INT8[]) AS t (block_order_id, account_id, quantity)
  JOIN holdings.position_movements AS m ON m.block_order_id = t.block_order_id AND m.account_id = t.account_id
  WHERE m.quantity <> t.quantity
), corrected AS (
  UPDATE holdings.position_movements AS m SET quantity = h.quantity
  FROM held AS h
  WHERE m.block_order_id = h.block_order_id AND m.account_id = h.account_id AND m.quantity = h.moved
  RETURNING m.account_id, m.security_id, h.quantity - h.moved AS quantity
), summed AS MATERIALIZED (
  SELECT account_id, security_id, sum(quantity)::INT8 AS quantity FROM corrected GROUP BY account_id, security_id
), moved AS (
  UPDATE holdings.positions AS p SET quantity = p.quantity + s.quantity
  FROM summed AS s WHERE p.account_id = s.account_id AND p.security_id = s.security_id
  RETURNING 1
)
SELECT (SELECT count(*) FROM summed) AS due, (SELECT count(*) FROM moved) AS moved;

-- name: move
-- $1 block order, $2 account, $3 security, $4 quantity, an array element per movement. One that is recorded already isn't made
-- again. Answers as move_again does.
WITH recorded AS (
  INSERT INTO holdings.position_movements (block_order_id, account_id, security_id, quantity)
  SELECT t.block_order_id, t.account_id, t.security_id, t.quantity
  FROM unnest($1::INT8[], $2::INT8[], $3::INT8[], $4::INT8[]) AS t (block_order_id, account_id, security_id, quantity)
  ON CONFLICT (block_order_id, account_id) DO NOTHING
  RETURNING account_id, security_id, quantity
), summed AS MATERIALIZED (
  SELECT account_id, security_id, sum(quantity)::INT8 AS quantity FROM recorded GROUP BY account_id, security_id
), moved AS (
  UPDATE holdings.positions AS p SET quantity = p.quantity + s.quantity
  FROM summed AS s WHERE p.account_id = s.account_id AND p.security_id = s.security_id
  RETURNING 1
)
SELECT (SELECT count(*) FROM summed) AS due, (SELECT count(*) FROM moved) AS moved;

-- name: forget
-- $1 block order, $2 account, an array element each. A movement of 0 is none.
DELETE FROM holdings.position_movements AS m
USING unnest($1::INT8[], $2::INT8[]) AS t (block_order_id, account_id)
WHERE m.block_order_id = t.block_order_id AND m.account_id = t.account_id AND m.quantity = 0;

-- name: faults
-- As for move_again with $3 security, $4 quantity: movements that can't be made, with what there is and how much it would move.
SELECT t.block_order_id, t.account_id, t.security_id, a.account_id IS NULL AS is_unknown, coalesce(p.quantity, 0) AS held,
       t.quantity - coalesce(m.quantity, 0) AS difference
FROM unnest($1::INT8[], $2::INT8[], $3::INT8[], $4::INT8[]) AS t (block_order_id, account_id, security_id, quantity)
LEFT JOIN holdings.accounts AS a ON a.account_id = t.account_id
LEFT JOIN holdings.positions AS p ON p.account_id = t.account_id AND p.security_id = t.security_id
LEFT JOIN holdings.position_movements AS m ON m.block_order_id = t.block_order_id AND m.account_id = t.account_id
WHERE a.account_id IS NULL OR coalesce(p.quantity, 0) + t.quantity - coalesce(m.quantity, 0) < 0
ORDER BY t.block_order_id, t.account_id;

-- name: restore
-- Positions as they were before any booking.
UPDATE holdings.positions AS p SET quantity = p.quantity - s.quantity
FROM (
  SELECT account_id, security_id, sum(quantity)::INT8 AS quantity FROM holdings.position_movements
  GROUP BY account_id, security_id
) AS s
WHERE p.account_id = s.account_id AND p.security_id = s.security_id AND s.quantity <> 0;

-- name: remove_added
DELETE FROM holdings.positions AS p USING holdings.added_positions AS a
WHERE p.account_id = a.account_id AND p.security_id = a.security_id AND p.quantity = 0;

-- name: forget_all
-- only postgresql:
TRUNCATE holdings.position_movements, holdings.added_positions;
-- only cockroachdb:
-- TRUNCATE is a schema change there, which a transaction may not take back together with the positions.
DELETE FROM holdings.position_movements WHERE true;
DELETE FROM holdings.added_positions WHERE true;

-- name: unbooked_positions
-- What every account would hold if nothing had been booked.
SELECT p.account_id, p.security_id, p.quantity - coalesce(m.quantity, 0) AS quantity
FROM holdings.positions AS p
LEFT JOIN (
  SELECT account_id, security_id, sum(quantity)::INT8 AS quantity FROM holdings.position_movements
  GROUP BY account_id, security_id
) AS m ON m.account_id = p.account_id AND m.security_id = p.security_id
WHERE p.quantity <> coalesce(m.quantity, 0)
ORDER BY p.account_id, p.security_id;
