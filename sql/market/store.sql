-- What the program asks of the market schema, one named statement after the other.

-- name: copy_daily_prices
COPY market.daily_prices (security_id, price_date, open, high, low, close, volume) FROM STDIN;

-- name: import_daily_prices
-- The rows of COPY, in files that were uploaded into the database. The table is away while it is filled, and faster.
-- only cockroachdb:
IMPORT INTO market.daily_prices (security_id, price_date, open, high, low, close, volume)
CSV DATA (:files) WITH delimiter = e'\t';

-- name: truncate
TRUNCATE market.daily_prices;

-- name: is_empty
SELECT NOT EXISTS (SELECT 1 FROM market.daily_prices) AS is_empty;

-- name: count_daily_prices
SELECT count(*)::INT8 FROM market.daily_prices;

-- name: latest_date
SELECT max(price_date)::TEXT FROM market.daily_prices;

-- name: open_prices
-- Money leaves the database as whole ticks of 0.0001.
SELECT security_id, (open * 10000)::INT8 AS open_ticks
FROM market.daily_prices
WHERE price_date = $1::TEXT::DATE
ORDER BY security_id;

-- name: checksum_daily_prices
-- In two steps, so that no text grows with the whole table: a sum per security, then the sum of the sums.
SELECT md5(coalesce(string_agg(p.checksum, chr(10) ORDER BY p.security_id), '')) AS checksum
FROM (
    SELECT security_id, md5(string_agg(
        security_id::TEXT || '|' || price_date::TEXT || '|' || open::TEXT || '|' || high::TEXT || '|' || low::TEXT
            || '|' || close::TEXT || '|' || volume::TEXT,
        chr(10) ORDER BY price_date)) AS checksum
    FROM market.daily_prices
    GROUP BY security_id
) AS p;
