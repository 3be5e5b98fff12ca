// Goal: `create` makes what `schema.sql` says, `check` finds every way in which a database differs from it.

import Holdings
import Market
import Postgres
import Reference
import Seeding
import TestSupport
import Testing

@Suite struct SchemaTests {
    private func check(_ connection: PostgresConnection) throws -> [String] {
        try ReferenceSchema.check(on: connection) + MarketSchema.check(on: connection)
            + HoldingsSchema.check(on: connection)
    }

    private func create(_ connection: PostgresConnection) throws {
        try ReferenceSchema.create(on: connection)
        try MarketSchema.create(on: connection)
        try HoldingsSchema.create(on: connection)
    }

    @Test func `a created schema passes its check, may be created again and dropped twice`() throws {
        try withConnection { _, connection in
            #expect(
                try check(connection) == [
                    "reference.securities: the table is missing", "reference.seedings: the table is missing",
                    "market.daily_prices: the table is missing", "holdings.managers: the table is missing",
                    "holdings.accounts: the table is missing", "holdings.positions: the table is missing",
                    "holdings.position_movements: the table is missing",
                    "holdings.added_positions: the table is missing",
                ])
            try create(connection)
            #expect(try check(connection).isEmpty)
            try create(connection)
            #expect(try check(connection).isEmpty)
            for _ in 1...2 {
                try HoldingsSchema.drop(on: connection)
                try MarketSchema.drop(on: connection)
                try ReferenceSchema.drop(on: connection)
            }
            #expect(try check(connection).count == 8)
        }
    }

    @Test func `each way to differ from the schema is one line`() throws {
        try withConnection { _, connection in
            try create(connection)
            try connection.execute(
                """
                ALTER TABLE market.daily_prices ALTER COLUMN open TYPE NUMERIC(18,2);
                ALTER TABLE market.daily_prices DROP COLUMN volume;
                ALTER TABLE holdings.positions ALTER COLUMN quantity DROP NOT NULL;
                ALTER TABLE holdings.accounts ALTER COLUMN name TYPE VARCHAR(40);
                ALTER TABLE reference.securities ADD COLUMN isin TEXT;
                DROP TABLE reference.seedings;
                """)
            #expect(
                try check(connection) == [
                    "reference.securities.isin: an unexpected column", "reference.seedings: the table is missing",
                    "market.daily_prices.open: is numeric(18,2), expected numeric(18,4)",
                    "market.daily_prices.volume: the column is missing, expected bigint",
                    "holdings.accounts.name: is character varying(40), expected text",
                    "holdings.positions.quantity: allows NULL, expected otherwise",
                ])
            let error = #expect(throws: (any Error).self) { try SeedLoader.createTables(on: connection) }
            #expect(
                error.map { "\($0)" }
                    == "the tables of this database were made by another version: reference.securities.isin: "
                    + "an unexpected column; drop them with: allocbench schema drop")
        }
    }

    @Test(arguments: [
        "INSERT INTO market.daily_prices VALUES (1, '2024-11-14', 2, 3, 2.5, 2.6, 0)",
        "INSERT INTO market.daily_prices VALUES (1, '2024-11-14', 2, 3, 1, 3.1, 0)",
        "INSERT INTO market.daily_prices VALUES (1, '2024-11-14', 0, 3, 0, 1, 0)",
        "INSERT INTO market.daily_prices VALUES (1, '2024-11-14', 2, 3, 1, 2, -1)",
        "INSERT INTO holdings.accounts VALUES (1, 99, 'nobody''s', 0)",
        "INSERT INTO holdings.positions VALUES (99, 1, 1)",
        "INSERT INTO holdings.accounts VALUES (2, 1, 'poor', -0.0001)",
        "INSERT INTO holdings.positions VALUES (1, 1, -1)",
        "INSERT INTO holdings.accounts VALUES (2, 1, 'daring', 0, '', 'EXTREME')",
        "INSERT INTO reference.securities VALUES (1, '', 'x', 'x', 'x', 'x', 'x')",
        "INSERT INTO reference.securities VALUES (1, 'x', 'x', 'x', 'x', 'x', 'x', 0)",
        "INSERT INTO reference.seedings VALUES ('market', 'done', 'x', 1)",
    ]) func `tables refuse rows that can't be`(_ sql: String) throws {
        try withConnection { _, connection in
            try create(connection)
            try connection.execute("INSERT INTO holdings.managers VALUES (1, 'm', 1)")
            try connection.execute("INSERT INTO holdings.accounts VALUES (1, 1, 'a', 0)")
            let error = #expect(throws: PostgresError.self) { try connection.execute(sql) }
            #expect(error?.sqlState?.classCode == "23")
        }
    }

    @Test func `a declaration is read from DDL in every spelling this project uses`() {
        let declaration = SchemaDeclaration(
            ddl: """
                -- CREATE TABLE a.commented (x INT8);
                CREATE SCHEMA IF NOT EXISTS a;
                CREATE TABLE IF NOT EXISTS a.t (
                    id INT8 PRIMARY KEY,  -- the key; with a semicolon, and (brackets
                    Name TEXT NOT NULL DEFAULT 'x--y' CHECK (name IN ('a', 'b')),
                    ratio NUMERIC(9, 8),
                    ids INT8[] NOT NULL, at TIMESTAMPTZ(6) NOT NULL DEFAULT now(), ok BOOL,
                    code VARCHAR(12) REFERENCES a.u (code),
                    UNIQUE (name), CHECK (id > 0), CONSTRAINT c FOREIGN KEY (id) REFERENCES a.u (id)
                );
                CREATE TABLE a.u(
                    code BYTEA, b INT4, PRIMARY KEY(code, b) USING HASH WITH (bucket_count = 8), INDEX (b));
                CREATE INDEX i ON a.u (b);
                """)
        typealias Column = SchemaDeclaration.Column
        func lines(_ table: SchemaDeclaration.Table) -> [String] {
            table.columns.map { "\($0.name) \($0.type)\($0.isNullable ? "" : " required")" }
        }
        #expect(declaration.tables.map { "\($0.schema).\($0.name)" } == ["a.t", "a.u"])
        #expect(
            declaration.tables.map(lines) == [
                [
                    "id bigint required", "name text required", "ratio numeric(9,8)", "ids _int8 required",
                    "at timestamp with time zone required", "ok boolean", "code character varying(12)",
                ], ["code bytea required", "b integer required"],
            ])
    }
}
