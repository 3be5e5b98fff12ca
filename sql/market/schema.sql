-- The market schema: one price bar per security and day.
-- Accepted by PostgreSQL and by CockroachDB.

CREATE SCHEMA IF NOT EXISTS market;

-- A security without a row for a day has no price that day. Half of real history has a volume of 0.
CREATE TABLE IF NOT EXISTS market.daily_prices (
    security_id INT8          NOT NULL,
    price_date  DATE          NOT NULL,
    open        NUMERIC(18,4) NOT NULL,
    high        NUMERIC(18,4) NOT NULL,
    low         NUMERIC(18,4) NOT NULL CHECK (low > 0),
    close       NUMERIC(18,4) NOT NULL,
    volume      INT8          NOT NULL CHECK (volume >= 0),
    PRIMARY KEY (security_id, price_date),
    CHECK (low <= open AND open <= high),
    CHECK (low <= close AND close <= high)
);
