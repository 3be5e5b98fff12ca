// Goal: the same seed gives the same tables whatever the parallelism; a seed that fails leaves nothing; one that is
// killed is told apart; no input fault reaches the database. Each test has a database of its own.

import Diagnostics
import Holdings
import Market
import Measurement
import Model
import Orders
import Postgres
import Reference
import Seeding
import TestSupport
import Testing
import Threads

@Suite struct SeedLoaderTests {
    private static let sizes = SeedSizes(
        securities: 30, days: 40, managers: 5, managerGroups: 2, accounts: 1_500, positionsPerAccount: 20)

    @Test func `the same seed gives identical tables whatever the parallelism, another seed doesn't`() throws {
        try withConnection { info, connection in
            func checksums(seed: UInt64, parallelism: Int) throws -> [String: String] {
                let prepared = try SeedPlan(seed: seed, sizes: Self.sizes).prepare()
                try SeedLoader(connectionInfo: info, parallelism: parallelism).load(prepared, replace: true)
                return try SeedLoader.tableChecksums(on: connection)
            }
            let first = try checksums(seed: 1, parallelism: 1)
            #expect(first.count == 7)
            #expect(first.values.allSatisfy { $0.count == 32 })
            #expect(try checksums(seed: 1, parallelism: 4) == first)
            #expect(try checksums(seed: 1, parallelism: 3) == first)
            let other = try checksums(seed: 2, parallelism: 2)
            // Managers are numbered, not drawn.
            #expect(first.keys.filter { first[$0] == other[$0] } == ["holdings.managers"])
        }
    }

    @Test func `a seed has as many rows as it says, in the database, in its summary and in its last progress`() throws {
        try withConnection { info, connection in
            let prepared = try SeedPlan(seed: 7, sizes: Self.sizes).prepare()
            var last: SeedProgress?
            let summary = try SeedLoader(connectionInfo: info).load(prepared) { last = $0 }
            let expected = [
                "reference.securities": 30, "market.daily_prices": 1_200, "holdings.managers": 5,
                "holdings.accounts": 1_500, "holdings.positions": 30_000,
                "orders.rebalancing_groups": prepared.holdings.groups().count,
                "orders.group_targets": prepared.holdings.groups().count * 20,
            ]
            #expect(try SeedLoader.rowCounts(on: connection) == expected)
            #expect(Dictionary(uniqueKeysWithValues: summary.tables.map { ($0.table, $0.rows) }) == expected)
            #expect(summary.routingDate.description == "2024-11-14")
            #expect(last?.tables.map(\.name) == summary.tables.map(\.table))
            #expect(last?.tables.allSatisfy { $0.rowsDone == $0.rowsTotal && expected[$0.name] == $0.rowsDone } == true)
            #expect(try SeedLoader.state(on: connection) == .complete)
            try SeedLoader.requireComplete(on: connection)
            let seedings = try ReferenceStore.seedings(on: connection)
            #expect(seedings.map(\.stage) == ["holdings", "market", "reference"])
            #expect(seedings.allSatisfy { $0.seed == 7 && $0.state == .complete })
        }
    }

    @Test func `rows come back as they were made`() throws {
        try withConnection { info, connection in
            let prepared = try SeedPlan(seed: 7, sizes: .tiny).prepare()
            try SeedLoader(connectionInfo: info).load(prepared)
            #expect(try ReferenceStore.securities(on: connection) == prepared.securities)
            #expect(try MarketStore.latestDate(on: connection) == PriceGenerator.lastDate)
            let generator = PriceGenerator(seed: 7, dayCount: 20)
            let opens = try MarketStore.openPrices(on: PriceGenerator.lastDate, connection: connection)
            #expect(opens.map(\.securityID) == prepared.securities.map(\.id))
            #expect(opens.map(\.open) == prepared.securities.map { generator.prices(of: $0.id)[19].open })
        }
    }

    @Test func `seeded tables are refused, replaced when asked, and the refusal changes nothing`() throws {
        try withConnection { info, connection in
            let loader = SeedLoader(connectionInfo: info)
            let prepared = try SeedPlan(seed: 1, sizes: .tiny).prepare()
            try loader.load(prepared)
            let before = try SeedLoader.tableChecksums(on: connection)
            let other = try SeedPlan(seed: 2, sizes: .tiny).prepare()
            let error = #expect(throws: OperatingError.self) { try loader.load(other) }
            #expect(error?.description == "this database is seeded already; --replace empties it first")
            #expect(try SeedLoader.tableChecksums(on: connection) == before)
            try loader.load(other, replace: true)
            #expect(try SeedLoader.tableChecksums(on: connection) != before)
        }
    }

    @Test func `a seed that was killed is told apart until it is replaced`() throws {
        try withConnection { info, connection in
            try SeedLoader.createTables(on: connection)
            #expect(try SeedLoader.state(on: connection) == .empty)
            let empty = #expect(throws: OperatingError.self) { try SeedLoader.requireComplete(on: connection) }
            #expect(empty?.description == "this database isn't seeded; run: allocbench seed")
            // What a kill leaves: the words 'loading' and some rows.
            let prepared = try SeedPlan(seed: 1, sizes: .tiny).prepare()
            for stage in ["reference", "market", "holdings"] {
                try ReferenceStore.beginSeeding(of: stage, source: "test", seed: 1, on: connection)
            }
            #expect(try SeedLoader.state(on: connection) == .incomplete)
            try ReferenceStore.copySecurities(prepared.securities, on: connection)
            let error = #expect(throws: OperatingError.self) { try SeedLoader.requireComplete(on: connection) }
            #expect(
                error?.description
                    == "this database holds an unfinished seed; seed it anew: allocbench seed --replace")
            let refused = #expect(throws: OperatingError.self) { try SeedLoader(connectionInfo: info).load(prepared) }
            #expect(refused?.description == "this database holds an unfinished seed; --replace empties it first")
            try SeedLoader(connectionInfo: info).load(prepared, replace: true)
            #expect(try SeedLoader.state(on: connection) == .complete)
        }
    }

    @Test func `a lost connection fails the seed and leaves nothing`() throws {
        try withConnection { info, connection in
            // Large enough to be still loading when its connections are ended.
            var sizes = Self.sizes
            sizes.accounts = 60_000
            let prepared = try SeedPlan(seed: 1, sizes: sizes).prepare()
            var ended = 0
            #expect(throws: PostgresError.self) {
                try SeedLoader(connectionInfo: info, parallelism: 2).load(prepared) { _ in
                    let result = try? connection.query(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND query LIKE 'COPY holdings.%' AND state = 'active'
                        """)
                    ended += result?.rowCount ?? 0
                }
            }
            #expect(ended > 0)
            #expect(try SeedLoader.rowCounts(on: connection).values.allSatisfy { $0 == 0 })
            #expect(try SeedLoader.state(on: connection) == .empty)
        }
    }

    @Test func `a stopped seed leaves nothing`() throws {
        try withConnection { info, connection in
            let stop = StopFlag()
            stop.set()
            let prepared = try SeedPlan(seed: 1, sizes: .tiny).prepare()
            let error = #expect(throws: OperatingError.self) {
                try SeedLoader(connectionInfo: info).load(prepared, stop: stop)
            }
            #expect(error?.description == "the seed was interrupted; its tables were emptied")
            #expect(try SeedLoader.state(on: connection) == .empty)
            #expect(try SeedLoader.rowCounts(on: connection).values.allSatisfy { $0 == 0 })
        }
    }

    @Test func `an impossible parallelism is refused`() throws {
        let prepared = try SeedPlan(seed: 1, sizes: .tiny).prepare()
        let loader = SeedLoader(connectionInfo: try ConnectionInfo("host=/nowhere"), parallelism: 0)
        let error = #expect(throws: InputError.self) { try loader.load(prepared) }
        #expect(error?.description == "--parallel: \"0\": expected 1 to 64")
    }

    // MARK: Files

    private static let securities =
        "asset_class,symbol,name,market_cap,country,ipo_year,sector,industry\n"
        + "Equity,AAA,Alpha,1,US,,Tech,Chips\nEquity,NOP,No prices,1,US,,,\nEquity,BBB,\"Beta, Inc.\",1,US,,,\n"
        + "Cash,USD,US Dollar,,US,1776,,\n"
    private static let header = "Date,Open,High,Low,Close,Volume\r\n"

    private func plan(_ folder: TemporaryFolder, accounts: Int = 20, positions: Int = 2) -> SeedPlan {
        SeedPlan(
            seed: 3, market: .files(securities: folder.path + "/s.csv", prices: folder.path + "/p"),
            holdings: .natural(
                managers: 2, managerGroups: 1, accounts: accounts, positionsPerAccount: positions))
    }

    private func goodFolder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write("s.csv", Self.securities)
        try folder.write(
            "p/AAA.csv",
            Self.header + "1/2/2024 16:00:00,10,11,9.5,10.25,0\r\n1/3/2024 13:00:00,10.5,11,10,10.75,1200")
        try folder.write("p/BBB.csv", Self.header + "1/3/2024 17:00:00,0.02,0.02,0.02,0.02,7\n")
        return folder
    }

    @Test func `files are loaded as they stand, and holdings use what has a price on the last day`() throws {
        try withConnection { info, connection in
            let folder = try goodFolder()
            let prepared = try plan(folder).prepare()
            #expect(prepared.routingDate.description == "2024-01-03")
            try SeedLoader(connectionInfo: info).load(prepared)
            let rows = try connection.query(
                """
                SELECT s.symbol || ' ' || s.name || ' ' || p.price_date || ' ' || p.open || ' ' || p.high || ' '
                    || p.low || ' ' || p.close || ' ' || p.volume
                FROM market.daily_prices AS p JOIN reference.securities AS s USING (security_id)
                ORDER BY s.symbol, p.price_date
                """)
            #expect(
                (0..<rows.rowCount).map { rows.text($0, 0) } == [
                    "AAA Alpha 2024-01-02 10.0000 11.0000 9.5000 10.2500 0",
                    "AAA Alpha 2024-01-03 10.5000 11.0000 10.0000 10.7500 1200",
                    "BBB Beta, Inc. 2024-01-03 0.0200 0.0200 0.0200 0.0200 7",
                ])
            #expect(try ReferenceStore.securities(on: connection).map(\.symbol) == ["AAA", "NOP", "BBB", "USD"])
            let held = try connection.query("SELECT DISTINCT security_id FROM holdings.positions ORDER BY 1")
            #expect((0..<held.rowCount).map { held.int64($0, 0) } == [1, 3])
        }
    }

    @Test func `holdings for an earlier day use only what had a price then`() throws {
        let folder = try goodFolder()
        var early = plan(folder, positions: 1)
        early.routingDate = TradeDate(iso: "2024-01-02")
        #expect(try early.prepare().holdings.positionCount == 20)
        early.holdings = plan(folder).holdings
        #expect(
            faultLines(in: folder) { _ = try early.prepare() } == [
                "--positions-per-account: \"2\": expected at most 1, "
                    + "the securities that have a price on the day of routing"
            ])
        early.routingDate = TradeDate(iso: "2024-01-01")
        let error = #expect(throws: InputError.self) { try early.prepare() }
        #expect(
            error?.description
                == "--date: \"2024-01-01\": expected a day on which a file of \(folder.path)/p has a price")
    }

    @Test func `the faults of all files come in one error, in the order of the files`() throws {
        let folder = try goodFolder()
        try folder.write("s.csv", Self.securities + "Equity,AAA,Again,1,US,,,\n")
        try folder.write("p/AAA.csv", Self.header + "1/2/2024,9,11,9.5,10.25,0\n")
        try folder.write("p/BBB.csv", "Date,Open,High,Low,Close\n1/2/2024,9,11,9.5,10.25\n")
        try folder.write("p/CCC.csv", Self.header + "1/32/2024,10,11,9.5,10.25,0\n")
        let faulty = plan(folder)
        #expect(
            faultLines(in: folder) { _ = try faulty.prepare() } == [
                "s.csv:6: symbol: \"AAA\": expected each symbol only once; this one already stands in line 2",
                "p/AAA.csv:2: Open: \"9\": expected a price from Low, 9.5000, to High, 11.0000",
                "p/BBB.csv:1: Volume: expected a column of this name in the header",
                "p/CCC.csv:2: Date: \"1/32/2024\": expected a day and a time that exist, month first",
            ])
        // Once the securities are good, a stranger is a fault too, and its rows are not looked at.
        try folder.write("s.csv", Self.securities)
        #expect(
            faultLines(in: folder) { _ = try faulty.prepare() }.first
                == "p/CCC.csv: symbol: \"CCC\": expected a symbol of \(folder.path)/s.csv".replacingPath(folder))
    }

    @Test func `beyond a hundred faults the rest is counted`() throws {
        let folder = try goodFolder()
        let rows = (0..<130).map { "\($0 % 12 + 1)/\($0 % 28 + 1)/\(1990 + $0 / 28),0,1,1,1,1\n" }.joined()
        try folder.write("p/AAA.csv", Self.header + rows)
        let bad = plan(folder)
        let lines = faultLines(in: folder) { _ = try bad.prepare() }
        #expect(lines.count == 101)
        #expect(lines.first == "p/AAA.csv:2: Open: \"0\": expected a price above 0")
        #expect(lines.last == "... and 30 more faults")
    }

    @Test func `a file that turns bad between the check and the load leaves the database empty`() throws {
        try withConnection { info, connection in
            let folder = try goodFolder()
            let prepared = try plan(folder, accounts: 3_000).prepare()
            try folder.write("p/BBB.csv", Self.header + "1/3/2024 17:00:00,0.02,0.02,0.03,0.02,7\n")
            #expect(
                faultLines(in: folder) { try SeedLoader(connectionInfo: info, parallelism: 3).load(prepared) } == [
                    "p/BBB.csv:2: High: \"0.02\": expected a price of at least Low, 0.0300"
                ])
            #expect(try SeedLoader.rowCounts(on: connection).values.allSatisfy { $0 == 0 })
            #expect(try SeedLoader.state(on: connection) == .empty)
        }
    }

    // MARK: Workloads

    @Test(arguments: [
        (61, 4, Int64(900)...1_100, LotSizes.single, 12, UInt64(11)),
        (30, 1, Int64(5_000)...5_000, LotSizes.fixed(100), 30, UInt64(3)),
        (9, 20, Int64(20_000)...30_000, LotSizes.mixed, 5, UInt64(7)),
        (1, 1, Int64(1)...1, LotSizes.single, 1, UInt64(1)),
    ]) func `a workload routes into exactly its blocks in the database, and every purchase is paid for`(
        _ blockCount: Int, _ accounts: Int, _ shares: ClosedRange<Int64>, _ lots: LotSizes, _ securities: Int,
        _ seed: UInt64
    ) throws {
        try withConnection { info, connection in
            let shape = try WorkloadShape(
                blocks: blockCount, accountsPerBlock: accounts, sharesPerBlock: shares)
            let plan = SeedPlan(
                seed: seed, market: .generated(securities: securities, days: 3), holdings: .workload(shape),
                lotSizes: lots)
            let prepared = try plan.prepare()
            try SeedLoader(connectionInfo: info).load(prepared)
            let summary = try OrdersSource.route(RoutingPlan(date: prepared.routingDate), on: connection)
            guard case .workload(let holdings) = prepared.holdings else { return }
            #expect(summary.blockOrderCount == Int64(blockCount))
            #expect(summary.customerOrderCount == Int64(blockCount * accounts))
            #expect(summary.quantity == holdings.shareCount)
            #expect(summary.outcomes == [:])
            let blocks = try connection.query(
                """
                SELECT b.account_count, b.quantity, b.lot_size, s.lot_size
                FROM orders.block_orders AS b JOIN reference.securities AS s USING (security_id)
                """)
            for row in 0..<blocks.rowCount {
                let (quantity, lotSize) = (blocks.int64(row, 1), blocks.int64(row, 2))
                #expect(blocks.int64(row, 0) == Int64(accounts) && lotSize == blocks.int64(row, 3))
                #expect(quantity % lotSize == 0)
                #expect(quantity > shares.lowerBound - lotSize && quantity <= shares.upperBound)
            }
        }
    }

    @Test func `lots are as asked for, in the tables and in every order`() throws {
        try withConnection { info, connection in
            func lots() throws -> [Int64] {
                let rows = try connection.query("SELECT DISTINCT lot_size FROM reference.securities ORDER BY 1")
                return (0..<rows.rowCount).map { rows.int64($0, 0) }
            }
            for (sizes, expected) in [(LotSizes.fixed(50), [Int64(50)]), (.mixed, [1, 10, 100])] {
                var plan = SeedPlan(seed: 2, sizes: .small)
                plan.lotSizes = sizes
                try SeedLoader(connectionInfo: info).load(try plan.prepare(), replace: true)
                #expect(try lots() == expected)
                var routing = RoutingPlan(date: PriceGenerator.lastDate)
                routing.replace = true
                let summary = try OrdersSource.route(routing, on: connection)
                #expect(summary.customerOrderCount > 1_000 && summary.outcomes["no_group"] ?? 0 > 0)
                let odd = try connection.query(
                    """
                    SELECT 1 FROM orders.customer_orders AS c JOIN reference.securities AS s USING (security_id)
                    WHERE c.quantity % s.lot_size <> 0
                    """)
                #expect(odd.rowCount == 0)
            }
        }
    }

    @Test func `a lot size is a number in range or mixed`() throws {
        #expect(try LotSizes("mixed", source: "x") == .mixed && LotSizes("1000", source: "x") == .fixed(1_000))
        for text in ["0", "1001", "-1", "mix", "", "1.5"] {
            let fault = #expect(throws: InputFault.self) { try LotSizes(text, source: "--lot-size") }
            #expect(fault?.description == "--lot-size: \"\(text)\": expected 1 to 1000 shares, or mixed")
        }
    }
}

extension String {
    fileprivate func replacingPath(_ folder: TemporaryFolder) -> String {
        var text = self
        while let range = text.firstRange(of: folder.path + "/") { text.removeSubrange(range) }
        return text
    }
}
