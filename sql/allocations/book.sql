-- Booking, the part of the allocations schema: takes blocks out of the outbox and brings what is booked of them to what
-- their last snapshots say. The positions part is sql/holdings/book.sql; both are one transaction.

-- name: take
-- $1 blocks at most. Answers a row per account behind each block taken, with what is to be booked.
--
-- A block's first row in the outbox is its lock: whoever has it has the block, and nobody takes a later row before the first
-- is gone. Snapshots of a block are committed in the order of their numbers, so no earlier row can come later. A fill only
-- inserts rows here: it never waits for a booking, nor a booking for it.
-- Everything below is read as of one moment, the one that decides which rows are deleted. A snapshot committed after it keeps
-- its own row, so that the block is booked again. Mode row writes a snapshot row by row, and it counts only once the block's
-- own row says so.
WITH due AS MATERIALIZED (
  SELECT o.block_order_id
  FROM allocations.booking_outbox AS o
  WHERE NOT EXISTS (
    SELECT 1 FROM allocations.booking_outbox AS e
    WHERE e.block_order_id = o.block_order_id AND e.snapshot_number < o.snapshot_number)
  ORDER BY o.requested_at, o.block_order_id
  LIMIT $1::INT8
  FOR UPDATE OF o SKIP LOCKED
), deleted AS (
  DELETE FROM allocations.booking_outbox AS o USING due AS d WHERE o.block_order_id = d.block_order_id
  RETURNING o.block_order_id, o.requested_at
), taken AS MATERIALIZED (
  SELECT block_order_id, min(requested_at) AS requested_at FROM deleted GROUP BY block_order_id
)
SELECT t.block_order_id, (extract(epoch FROM t.requested_at) * 1000000)::INT8 AS requested_at_us,
       s.snapshot_number, s.cum_quantity, s.is_final, f.order_quantity, f.is_canceled, f.security_id, f.side,
       a.account_id,
       (SELECT coalesce(sum(d.quantity_delta), 0)::INT8 FROM allocations.allocations AS d
        WHERE d.block_order_id = a.block_order_id AND d.account_id = a.account_id
          AND d.snapshot_number <= s.snapshot_number) AS quantity
FROM taken AS t
LEFT JOIN allocations.block_fills AS f ON f.block_order_id = t.block_order_id
LEFT JOIN allocations.snapshots AS s ON s.block_order_id = t.block_order_id AND s.snapshot_number = f.snapshot_number
LEFT JOIN allocations.block_accounts AS a ON a.block_order_id = t.block_order_id
ORDER BY t.block_order_id, a.account_id;

-- name: book
-- One array element per block that is to be booked: $1 block order, $2 snapshot number, $3 order quantity, $4 canceled (1 or 0).
-- One array element per account behind such a block: $5 block order, $6 account, $7 quantity.
-- Writes what differs, so that booking again changes nothing. Of instructions every version stays: the first is NEW, one
-- with another quantity or price REPLACEs it, one without shares CANCELs it, and after that the next is NEW again.
-- Settlement is one business day after the trade date: Monday to Friday, without a calendar of holidays.
WITH block AS MATERIALIZED (
  SELECT t.block_order_id, t.snapshot_number, t.order_quantity, t.is_canceled, f.side, f.security_id,
         f.trade_date + CASE extract(isodow FROM f.trade_date) WHEN 5 THEN 3 WHEN 6 THEN 2 ELSE 1 END AS settlement_date,
         f.allocation_policy, f.intended_quantity, s.cum_quantity, s.notional, s.average_price, s.residual
  FROM unnest($1::INT8[], $2::INT8[], $3::INT8[], $4::INT8[])
    AS t (block_order_id, snapshot_number, order_quantity, is_canceled)
  JOIN allocations.block_fills AS f ON f.block_order_id = t.block_order_id
  JOIN allocations.snapshots AS s ON s.block_order_id = t.block_order_id AND s.snapshot_number = t.snapshot_number
), account AS MATERIALIZED (
  SELECT t.block_order_id, t.account_id, t.quantity, a.intended_quantity, a.target_broker, b.side, b.security_id,
         b.settlement_date, b.average_price
  FROM unnest($5::INT8[], $6::INT8[], $7::INT8[]) AS t (block_order_id, account_id, quantity)
  JOIN block AS b ON b.block_order_id = t.block_order_id
  JOIN allocations.block_accounts AS a ON a.block_order_id = t.block_order_id AND a.account_id = t.account_id
), booked AS (
  INSERT INTO allocations.block_bookings AS k
    (block_order_id, ord_status, allocation_policy, intended_quantity, order_quantity, allocated_quantity, notional,
     average_price, residual, snapshot_number, booked_at)
  SELECT b.block_order_id, CASE b.is_canceled WHEN 1 THEN 'CANCELED' ELSE 'FILLED' END, b.allocation_policy,
         b.intended_quantity, b.order_quantity, b.cum_quantity, b.notional, b.average_price, b.residual,
         b.snapshot_number, clock_timestamp()
  FROM block AS b
  ON CONFLICT (block_order_id) DO UPDATE
  SET ord_status = excluded.ord_status, order_quantity = excluded.order_quantity,
      allocated_quantity = excluded.allocated_quantity, notional = excluded.notional,
      average_price = excluded.average_price, residual = excluded.residual,
      snapshot_number = excluded.snapshot_number, booked_at = excluded.booked_at
  WHERE k.snapshot_number <> excluded.snapshot_number OR k.ord_status <> excluded.ord_status
     OR k.order_quantity <> excluded.order_quantity
  RETURNING 1
), audited AS (
  INSERT INTO allocations.account_audits AS k
    (block_order_id, account_id, security_id, intended_quantity, allocated_quantity, average_price, allocated_at)
  SELECT block_order_id, account_id, security_id, intended_quantity, quantity, average_price, clock_timestamp()
  FROM account
  ON CONFLICT (block_order_id, account_id) DO UPDATE
  SET allocated_quantity = excluded.allocated_quantity, average_price = excluded.average_price,
      allocated_at = excluded.allocated_at
  WHERE k.allocated_quantity <> excluded.allocated_quantity OR k.average_price <> excluded.average_price
  RETURNING 1
), settled AS (
  INSERT INTO allocations.settlement_instructions AS k
    (block_order_id, account_id, security_id, side, quantity, average_price, net_money, settlement_date, target_broker)
  SELECT block_order_id, account_id, security_id, side, quantity, average_price,
         CASE side WHEN 'SELL' THEN quantity ELSE -quantity END * average_price, settlement_date, target_broker
  FROM account WHERE quantity > 0
  ON CONFLICT (block_order_id, account_id) DO UPDATE
  SET quantity = excluded.quantity, average_price = excluded.average_price, net_money = excluded.net_money
  WHERE k.quantity <> excluded.quantity OR k.average_price <> excluded.average_price
  RETURNING 1
)
INSERT INTO allocations.allocation_instructions
  (alloc_id, ref_alloc_id, alloc_trans_type, block_order_id, account_id, instruction_version, quantity, average_price,
   target_broker)
SELECT a.block_order_id::TEXT || '-' || a.account_id::TEXT || '-' || (coalesce(l.instruction_version, 0) + 1)::TEXT,
       CASE WHEN l.alloc_trans_type <> 'CANCEL' THEN l.alloc_id END,
       CASE WHEN a.quantity = 0 THEN 'CANCEL' WHEN l.alloc_trans_type <> 'CANCEL' THEN 'REPLACE' ELSE 'NEW' END,
       a.block_order_id, a.account_id, coalesce(l.instruction_version, 0) + 1, a.quantity,
       CASE WHEN a.quantity = 0 THEN l.average_price ELSE a.average_price END, a.target_broker
FROM account AS a
LEFT JOIN LATERAL (
  SELECT i.alloc_id, i.alloc_trans_type, i.instruction_version, i.quantity, i.average_price
  FROM allocations.allocation_instructions AS i
  WHERE i.block_order_id = a.block_order_id AND i.account_id = a.account_id
  ORDER BY i.instruction_version DESC LIMIT 1
) AS l ON true
WHERE CASE WHEN coalesce(l.alloc_trans_type, 'CANCEL') = 'CANCEL' THEN a.quantity > 0
           ELSE l.quantity <> a.quantity OR l.average_price <> a.average_price END;

-- name: unsettle
-- $1 block order, $2 account, an array element each: accounts of booked blocks that have nothing of them any more.
DELETE FROM allocations.settlement_instructions AS s
USING unnest($1::INT8[], $2::INT8[]) AS t (block_order_id, account_id)
WHERE s.block_order_id = t.block_order_id AND s.account_id = t.account_id;

-- name: unbook
-- $1 blocks that are not, or no longer, final with fills: what was booked of them is taken back.
WITH block AS MATERIALIZED (
  SELECT t.block_order_id FROM unnest($1::INT8[]) AS t (block_order_id)
), unbooked AS (
  DELETE FROM allocations.block_bookings AS k USING block AS b WHERE k.block_order_id = b.block_order_id RETURNING 1
), unaudited AS (
  DELETE FROM allocations.account_audits AS k USING block AS b WHERE k.block_order_id = b.block_order_id RETURNING 1
), unsettled AS (
  DELETE FROM allocations.settlement_instructions AS k USING block AS b
  WHERE k.block_order_id = b.block_order_id RETURNING 1
)
INSERT INTO allocations.allocation_instructions
  (alloc_id, ref_alloc_id, alloc_trans_type, block_order_id, account_id, instruction_version, quantity, average_price,
   target_broker)
SELECT a.block_order_id::TEXT || '-' || a.account_id::TEXT || '-' || (l.instruction_version + 1)::TEXT, l.alloc_id,
       'CANCEL', a.block_order_id, a.account_id, l.instruction_version + 1, 0, l.average_price, l.target_broker
FROM block AS b
JOIN allocations.block_accounts AS a ON a.block_order_id = b.block_order_id
JOIN LATERAL (
  SELECT i.alloc_id, i.alloc_trans_type, i.instruction_version, i.average_price, i.target_broker
  FROM allocations.allocation_instructions AS i
  WHERE i.block_order_id = a.block_order_id AND i.account_id = a.account_id
  ORDER BY i.instruction_version DESC LIMIT 1
) AS l ON true
WHERE l.alloc_trans_type <> 'CANCEL';

-- name: outbox_is_empty
-- What another transaction has taken but not committed counts as there: it may come back.
SELECT NOT EXISTS (SELECT 1 FROM allocations.booking_outbox);

-- name: stray_allocations
-- $1 block order. Accounts that have allocations of it without being behind it.
SELECT DISTINCT d.account_id FROM allocations.allocations AS d
LEFT JOIN allocations.block_accounts AS a ON a.block_order_id = d.block_order_id AND a.account_id = d.account_id
WHERE d.block_order_id = $1::INT8 AND a.account_id IS NULL
ORDER BY d.account_id;
