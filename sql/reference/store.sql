-- What the program asks of the reference schema, one named statement after the other.

-- name: copy_securities
COPY reference.securities (security_id, symbol, name, asset_class, country, sector, industry, lot_size)
FROM STDIN;

-- name: truncate
TRUNCATE reference.securities;

-- name: is_empty
SELECT NOT EXISTS (SELECT 1 FROM reference.securities) AS is_empty;

-- name: count_securities
SELECT count(*)::INT8 FROM reference.securities;

-- name: list_securities
SELECT security_id, symbol, name, asset_class, country, sector, industry, lot_size
FROM reference.securities
ORDER BY security_id;

-- name: checksum_securities
SELECT md5(coalesce(string_agg(
    security_id::TEXT || '|' || symbol || '|' || name || '|' || asset_class || '|' || country || '|' || sector
        || '|' || industry || '|' || lot_size::TEXT,
    chr(10) ORDER BY security_id), '')) AS checksum
FROM reference.securities;

-- name: seeding_states
SELECT stage, state, source, seed FROM reference.seedings ORDER BY stage;

-- name: begin_seeding
INSERT INTO reference.seedings (stage, state, source, seed) VALUES ($1::TEXT, 'loading', $2::TEXT, $3::INT8);

-- name: complete_seeding
UPDATE reference.seedings SET state = 'complete' WHERE stage = $1::TEXT AND state = 'loading';

-- name: forget_seeding
DELETE FROM reference.seedings WHERE stage = $1::TEXT;
