-- The holdings schema: who manages which account, and what an account holds against what it should hold.
-- Accepted by PostgreSQL and by CockroachDB.

CREATE SCHEMA IF NOT EXISTS holdings;

-- Orders of one manager group are aggregated into common block orders.
CREATE TABLE IF NOT EXISTS holdings.managers (
    manager_id    INT8 NOT NULL,
    name          TEXT NOT NULL,
    manager_group INT8 NOT NULL,
    PRIMARY KEY (manager_id)
);

-- An account's net asset value on a day is its cash plus the sum of quantity * open over its positions. What group of
-- accounts it is rebalanced with follows from that, from the sector it prefers and from the risk it takes.
CREATE TABLE IF NOT EXISTS holdings.accounts (
    account_id        INT8          NOT NULL,
    manager_id        INT8          NOT NULL REFERENCES holdings.managers (manager_id),
    name              TEXT          NOT NULL,
    cash              NUMERIC(18,4) NOT NULL CHECK (cash >= 0),
    sector_preference TEXT          NOT NULL DEFAULT '',  -- empty for none
    risk_class        TEXT          NOT NULL DEFAULT 'MEDIUM' CHECK (risk_class IN ('LOW', 'MEDIUM', 'HIGH')),
    target_broker     TEXT          NOT NULL DEFAULT '',  -- its trades are stepped out to this broker; empty for none
    PRIMARY KEY (account_id)
);

-- security_id is a key of reference.securities; stages don't reference each other's schemas.
CREATE TABLE IF NOT EXISTS holdings.positions (
    account_id  INT8 NOT NULL REFERENCES holdings.accounts (account_id),
    security_id INT8 NOT NULL,
    quantity    INT8 NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (account_id, security_id)
);

-- What bookings have moved, one row per account and block order: a booking that is repeated or corrected moves the position
-- by the difference only, and a benchmark run can put the positions back.
CREATE TABLE IF NOT EXISTS holdings.position_movements (
    block_order_id INT8 NOT NULL,
    account_id     INT8 NOT NULL,
    security_id    INT8 NOT NULL,
    quantity       INT8 NOT NULL,  -- above 0 bought, below 0 sold
    PRIMARY KEY (block_order_id, account_id)
);

-- Positions that weren't there before a booking moved them: putting positions back removes these.
CREATE TABLE IF NOT EXISTS holdings.added_positions (
    account_id  INT8 NOT NULL,
    security_id INT8 NOT NULL,
    PRIMARY KEY (account_id, security_id)
);
