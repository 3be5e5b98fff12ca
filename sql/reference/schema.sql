-- The reference schema: what can be held and traded, and what the seeding of this database has come to.
-- Accepted by PostgreSQL and by CockroachDB. Other stages keep a security's key, never a foreign key to it.

CREATE SCHEMA IF NOT EXISTS reference;

-- One row per security. Sector and industry are empty where the source has none.
CREATE TABLE IF NOT EXISTS reference.securities (
    security_id INT8 NOT NULL,
    symbol      TEXT NOT NULL CHECK (symbol <> ''),
    name        TEXT NOT NULL,
    asset_class TEXT NOT NULL,
    country     TEXT NOT NULL,
    sector      TEXT NOT NULL,
    industry    TEXT NOT NULL,
    lot_size    INT8 NOT NULL DEFAULT 1 CHECK (lot_size > 0),  -- orders are whole multiples of it
    PRIMARY KEY (security_id),
    UNIQUE (symbol)
);

-- One row per seeded stage. A stage is loaded by several connections, so by several transactions; its row says
-- 'loading' from before the first of them until after the last. A row left at 'loading' is a seed that was killed.
CREATE TABLE IF NOT EXISTS reference.seedings (
    stage  TEXT NOT NULL,
    state  TEXT NOT NULL CHECK (state IN ('loading', 'complete')),
    source TEXT NOT NULL,  -- what the rows were made from, in words
    seed   INT8 NOT NULL,
    PRIMARY KEY (stage)
);
