// The verbs one by one, as somebody uses them who seeds a database or looks at one stage.

import Glibc
import Postgres
import Services
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct StageVerbTests {
    @Test func `seed, route, execute, feed, work and verify follow one another`() throws {
        try withPlace { place in
            try place.succeed("services", "start")
            try place.succeed("schema", "create")
            #expect(try place.succeed("seed", "--size", "tiny").contains("route with --date 2024-11-14"))
            let routed = try place.succeed("route")
            #expect(
                routed.contains(
                    #/^2024-11-14: \d+ groups, \d+ requests, \d+ customer orders, \d+ block orders, \d+ shares/#))
            let executed = try place.succeed("execute", "--count", "2000")
            #expect(executed == "2000 executions, blocks complete: yes\n")
            let published = try place.succeed("feed", "--until-caught-up", "--partitions", "4")
            #expect(published.hasPrefix("published 2000 messages (2000 from the first scan), "), "\(published)")
            #expect(try place.value("SELECT count(*) FROM pg_replication_slots") == "0")
            #expect(try place.value("SELECT count(*) FROM pg_publication") == "0")
            let worked = try place.succeed("work", "--mode", "batch", "--workers", "2")
            #expect(worked.contains("2000 messages, 2000 executions captured, 0 duplicates, 0 parked"), "\(worked)")
            let booked = try place.succeed("book", "--workers", "2")
            #expect(
                booked.contains(
                    #/^booked [1-9]\d* blocks for \d+ accounts, 0 left unbooked, \d+ transactions, \d+ retries\n/#))
            let nothing = try place.succeed("book")
            #expect(nothing == "booked 0 blocks for 0 accounts, 0 left unbooked, 0 transactions, 0 retries\n")
            let verified = try place.succeed("verify")
            #expect(!verified.contains("FAIL") && verified.contains("ok   allocations_differ_from_oracle"))
            #expect(try place.succeed("schema", "check") == "the six schemas are as sql/ declares them\n")

            // The same topic again for another mode, on fresh tables.
            let again = try place.succeed("work", "--fresh", "--mode", "cycle", "--cycle-interval-ms", "50")
            #expect(again.contains("2000 executions captured"))
            let unbooked = try place.run("verify")
            #expect(unbooked.status == 3 && unbooked.output.contains("FAIL bookings_left_behind"))
            try place.succeed("book")
            try place.succeed("verify")
            try expectRefusals(in: place)

            // What somebody changed by hand is found, and named.
            let connection = try place.connect()
            try connection.execute(
                "UPDATE allocations.captured_trades SET quantity = quantity + 1 WHERE execution_id = 1")
            connection.close()
            let wrong = try place.run("verify")
            #expect(wrong.status == 3)
            #expect(wrong.output.contains("FAIL captured_without_execution"), "\(wrong.output)")
            #expect(wrong.output.contains("captured trade 1"))
            let dropped = try place.run("schema", "drop")
            let told =
                "dropped allocations, holdings, market, orders, reference, trades: the embedded database allocbench in"
            #expect(dropped.status == 0 && dropped.output.hasPrefix(told), "\(dropped.output)")
            #expect(try place.run("schema", "check").status == 3)
            try place.succeed("services", "stop")
            #expect(place.leftovers() == [])
        }
    }

    @Test func `corrections are drawn, told by kind, and go on only with the same chances`() throws {
        try withPlace { place in
            try place.succeed("services", "start")
            try place.succeed("seed", "--size", "tiny", "--quiet")
            try place.succeed("route")
            let chances = ["--busts", "0.05", "--replaces", "0.5", "--cancels", "0.25"]
            let drawn = try place.start(["execute"] + chances).wait()
            let counts = try #require(
                drawn.output.wholeMatch(
                    of:
                        #/(\d+) execution reports: (\d+) trades, (\d+) busts, (\d+) cancels, (\d+) replaces; (\d+) requests rejected; blocks complete: yes\n/#
                ), "\(drawn.output)\(drawn.errors)")
            #expect(try place.value("SELECT count(*) FROM trades.executions") == String(counts.1))
            for (type, count) in [
                ("TRADE", counts.2), ("TRADE_CANCEL", counts.3), ("CANCELED", counts.4), ("REPLACED", counts.5),
            ] {
                #expect(
                    try place.value("SELECT count(*) FROM trades.executions WHERE exec_type = '\(type)'")
                        == String(count))
            }
            #expect(
                try place.value("SELECT count(*) FROM trades.order_requests WHERE outcome = 'REJECTED'")
                    == String(counts.6))
            let refused = try place.run("execute", "--busts", "0.04")
            #expect(refused.status == 1)
            #expect(
                refused.errorLines == [
                    "allocbench: the executions of 2024-11-14 were drawn with seed 1, busts 0.05, replaces 0.5 and cancels 0.25; "
                        + "give the same, or start over with --replace"
                ])
            let again = try place.start(["execute"] + chances).wait()
            #expect(again.output.hasPrefix("0 execution reports (\(counts.1) stood there before): "), "\(again.output)")
            try place.succeed("services", "stop")
        }
    }

    /// Doing a step twice, or in the wrong order, is refused with the remedy.
    private func expectRefusals(in place: Place) throws {
        for (arguments, message) in [
            (["seed", "--size", "tiny"], "this database is seeded already; --replace empties it first"),
            (["route"], "2024-11-14 is routed already; route it again with --replace"),
            (
                ["route", "--name", "empty"], "this database isn't seeded; run: allocbench seed"
            ),
            (
                ["execute", "--count", "2001"],
                "the executions of 2024-11-14 were drawn with seed 1 and count 2000; give the same, or start over with --replace"
            ),
            (["work", "--topic", "none"], "there is no topic none; publish first: allocbench feed --topic none"),
        ] {
            let refused = try place.start(arguments).wait()
            #expect(refused.status == 1, "\(arguments)")
            #expect(refused.errorLines == ["allocbench: \(message)"], "\(arguments)")
        }
    }

    @Test func `real files are seeded, routed and executed like generated ones`() throws {
        try withPlace { place in
            try Fixture.writeRealFiles(to: place)
            try place.succeed("services", "start")
            let seeded = try place.succeed(
                "seed", "--securities", "securities.csv", "--prices", "prices", "--managers", "2", "--accounts", "6",
                "--positions-per-account", "2")
            #expect(seeded.contains(#/reference.securities +3 rows/#), "\(seeded)")
            #expect(seeded.contains(#/market.daily_prices +10 rows/#), "\(seeded)")
            #expect(seeded.contains("route with --date 2024-11-08"))
            #expect(try place.value("SELECT count(*) FROM market.daily_prices WHERE volume = 0") == "2")
            try place.succeed("route")
            try place.succeed("execute")
            try place.succeed("feed", "--until-caught-up", "--partitions", "2")
            try place.succeed("work", "--mode", "adaptive", "--workers", "2")
            try place.succeed("book")
            try place.succeed("verify")
            #expect(Int(try place.value("SELECT count(*) FROM allocations.allocations")) ?? 0 > 0)

            try place.write("real.yaml", Fixture.tiny)
            try place.succeed(
                "run", "real.yaml", "--securities", "securities.csv", "--prices", "prices")
        }
    }

    @Test func `a database alone is enough for the verbs that need no broker`() throws {
        try withPlace { place in
            try place.succeed("services", "start")
            let address = try place.service(.postgres).address
            for arguments in [
                ["seed", "--size", "tiny", "--quiet"], ["route"], ["execute"], ["book"], ["verify", "--without-topic"],
            ] {
                let run = try place.start(arguments + ["--database", address], state: false).wait()
                #expect(run.status == (arguments[0] == "verify" ? 3 : 0), "\(arguments): \(run.errors)")
            }
            try place.write("tiny.yaml", Fixture.tiny)
            let lonely = try place.start(
                ["run", "tiny.yaml", "--brokers", "127.0.0.1:1", "--database", address + " password=hunter2"],
                state: false
            ).wait()
            #expect(lonely.status == 1)
            #expect(lonely.errorLines.count == 1 && lonely.errors.contains("127.0.0.1:1"), "\(lonely.errors)")
            #expect(!lonely.errors.contains("hunter2"))
            #expect(!place.names().contains(".allocbench"))
            for verb in ["feed", "work", "verify"] {
                let refused = try place.start([verb, "--database", address], state: false).wait()
                #expect(refused.status == 2)
                #expect(
                    refused.errorLines == [
                        "--database: expected --brokers or servers.brokers with it, or neither for embedded services"
                    ])
            }
        }
    }
}
