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

-- An account's net asset value on a day is its cash plus the sum of quantity * open over its positions.
CREATE TABLE IF NOT EXISTS holdings.accounts (
    account_id INT8          NOT NULL,
    manager_id INT8          NOT NULL REFERENCES holdings.managers (manager_id),
    name       TEXT          NOT NULL,
    cash       NUMERIC(18,4) NOT NULL CHECK (cash >= 0),
    PRIMARY KEY (account_id)
);

-- The target of a position is floor(target_weight * net asset value / open) whole shares.
-- security_id is a key of reference.securities; stages don't reference each other's schemas.
CREATE TABLE IF NOT EXISTS holdings.positions (
    account_id    INT8         NOT NULL REFERENCES holdings.accounts (account_id),
    security_id   INT8         NOT NULL,
    quantity      INT8         NOT NULL CHECK (quantity >= 0),
    target_weight NUMERIC(9,8) NOT NULL CHECK (target_weight >= 0 AND target_weight <= 1),
    PRIMARY KEY (account_id, security_id)
);
