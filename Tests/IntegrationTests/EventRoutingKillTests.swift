// kill -9 of event-driven routing at any moment: whoever routes again ends in the tables of set-based routing.

import Glibc
import Measurement
import Postgres
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct EventRoutingKillTests {
    private static let tables = [
        "rebalancing_requests", "customer_orders", "block_drafts", "block_orders", "block_order_accounts",
        "routing_outcomes",
    ]

    @Test(arguments: BrokerKind.best)
    func `a routing by events that is killed at any moment is gone on with, and ends as set-based routing does`(
        broker: BrokerKind
    ) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        try withPlace(broker) { place in
            try place.succeed("services", "start")
            for name in ["allocbench", "by_sets"] {
                try place.succeed("seed", "--size", "tiny", "--accounts", "400", "--quiet", "--name", name)
            }
            try place.succeed("route", "--name", "by_sets")
            let watch = try place.connect()
            defer { watch.close() }
            var halfDoneCount = 0
            for _ in 1...6 {
                let routing = try place.start([
                    "route", "--events", "--workers", "2", "--batch-size", "1", "--partitions", "4",
                ])
                let target = try count("WHERE status = 'ROUTED'", watch) + Int(random.integer(in: 0...60))
                _ = try eventually(everyMs: 1) {
                    try !routing.isRunning || count("WHERE status = 'ROUTED'", watch) > target
                }
                routing.killNow()
                let pending = try count("WHERE status = 'PENDING'", watch)
                if pending > 0 { halfDoneCount += 1 }
            }
            #expect(halfDoneCount > 0, "no kill hit the middle, seed \(seed)")
            let last = try place.run("route", "--events")
            #expect(
                last.status == 0 || last.errors.contains("is routed already"), "seed \(seed): \(last.errors)")
            for table in Self.tables {
                let sum = "SELECT md5(string_agg(t::TEXT, ',' ORDER BY t::TEXT)) FROM orders.\(table) AS t"
                #expect(try place.value(sum) == place.value(sum, in: "by_sets"), "\(table), seed \(seed)")
            }
            let slots = try watch.query("SELECT count(*) FROM pg_replication_slots").text(0, 0)
            #expect(slots == "0" || last.status != 0)
        }
    }

    @Test func `flags of routing by events are checked before anything starts`() throws {
        try withPlace { place in
            for (arguments, message) in [
                (["--workers", "2"], #"--workers: "2": expected --events with it"#),
                (["--batch-size", "8"], #"--batch-size: "8": expected --events with it"#),
                (["--events", "--batch-size", "0"], #"--batch-size: "0": expected a whole number from 1 to 10000"#),
                (
                    ["--events", "--workers", "9", "--partitions", "4"],
                    #"--workers: "9": expected at most 4, the partitions of orders.requests"#
                ),
            ] {
                let refused = try place.start(["route"] + arguments).wait()
                #expect(refused.status == 2, "\(arguments)")
                #expect(refused.errors.contains(message), "\(arguments): \(refused.errors)")
            }
        }
    }

    private func count(_ condition: String, _ connection: PostgresConnection) throws -> Int {
        let there = try connection.query("SELECT to_regclass('orders.rebalancing_requests') IS NOT NULL").text(0, 0)
        guard there == "t" else { return 0 }
        return Int(
            try connection.query("SELECT count(*) FROM orders.rebalancing_requests \(condition)").text(0, 0) ?? "") ?? 0
    }
}
