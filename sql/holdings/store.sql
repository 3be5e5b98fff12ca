-- What the program asks of the holdings schema, one named statement after the other.

-- name: copy_managers
COPY holdings.managers (manager_id, name, manager_group) FROM STDIN;

-- name: copy_accounts
COPY holdings.accounts (account_id, manager_id, name, cash, sector_preference, risk_class, target_broker) FROM STDIN;

-- name: copy_positions
COPY holdings.positions (account_id, security_id, quantity) FROM STDIN;

-- name: truncate
TRUNCATE holdings.position_movements, holdings.added_positions, holdings.positions, holdings.accounts, holdings.managers;

-- name: is_empty
SELECT NOT EXISTS (SELECT 1 FROM holdings.managers)
    AND NOT EXISTS (SELECT 1 FROM holdings.accounts)
    AND NOT EXISTS (SELECT 1 FROM holdings.positions) AS is_empty;

-- name: count_managers
SELECT count(*)::INT8 FROM holdings.managers;

-- name: count_accounts
SELECT count(*)::INT8 FROM holdings.accounts;

-- name: count_positions
SELECT count(*)::INT8 FROM holdings.positions;

-- name: checksum_managers
SELECT md5(coalesce(string_agg(
    manager_id::TEXT || '|' || name || '|' || manager_group::TEXT,
    chr(10) ORDER BY manager_id), '')) AS checksum
FROM holdings.managers;

-- name: checksum_accounts
SELECT md5(coalesce(string_agg(
    account_id::TEXT || '|' || manager_id::TEXT || '|' || name || '|' || cash::TEXT || '|' || sector_preference
        || '|' || risk_class || '|' || target_broker,
    chr(10) ORDER BY account_id), '')) AS checksum
FROM holdings.accounts;

-- name: checksum_positions
-- In two steps, so that no text grows with the whole table: a sum per account, then the sum of the sums.
SELECT md5(coalesce(string_agg(p.checksum, chr(10) ORDER BY p.account_id), '')) AS checksum
FROM (
    SELECT account_id, md5(string_agg(
        account_id::TEXT || '|' || security_id::TEXT || '|' || quantity::TEXT,
        chr(10) ORDER BY security_id)) AS checksum
    FROM holdings.positions
    GROUP BY account_id
) AS p;
