// kill -9 of every process that works between the stages, in the middle of its work, and of PostgreSQL under it. What
// goes on afterwards loses nothing and does nothing twice.

import Glibc
import Kafka
import Measurement
import Postgres
import Services
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct KillTests {
    /// Settings that make every mode take long enough on a small stream to be killed in the middle.
    private static let slowModes: [[String]] = [
        ["row", "--workers", "2"],
        ["concurrent", "--workers", "2"],
        ["concurrent", "--workers", "4", "--txn-size", "2", "--pipeline-depth", "8"],
        ["adaptive", "--workers", "2", "--batch-size", "3"],
        ["batch", "--workers", "2", "--batch-size", "16", "--batch-window-ms", "5"],
        ["cycle", "--workers", "2", "--batch-size", "16", "--cycle-interval-ms", "20"],
    ]

    @Test func `a worker process killed at any moment in any mode loses nothing and does nothing twice`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        let total = 2000
        try withPlace { place in
            try place.succeed("services", "start")
            try place.succeed("seed", "--size", "tiny", "--quiet")
            try place.succeed("route")
            try place.succeed("execute", "--count", String(total))
            try place.succeed("feed", "--until-caught-up", "--partitions", "4")
            let watch = try place.connect()
            defer { watch.close() }
            for mode in Self.slowModes {
                var (halfDoneCount, attempt) = (0, 0)
                // On a busy machine the workers may be through before a test has looked: then they begin once more.
                while attempt < 3 || (halfDoneCount == 0 && attempt < 20) {
                    let done = attempt == 0 ? total : try consumedCount(watch)
                    let isFresh = done == total
                    attempt += 1
                    let before = isFresh ? 0 : done
                    let target = min(before + Int(random.integer(in: 1...500)), total - 1)
                    let work = try place.start(["work", "--mode"] + mode + (isFresh ? ["--fresh"] : []))
                    // With --fresh the rows of the mode before are gone only after a while.
                    _ = try eventually(everyMs: 2) {
                        try !work.isRunning || (target..<total).contains(consumedCount(watch))
                    }
                    usleep(UInt32(random.integer(in: 0...3_000)))
                    work.killNow()
                    let consumed = try consumedCount(watch)
                    if before < consumed, consumed < total { halfDoneCount += 1 }
                }
                #expect(halfDoneCount > 0, "no kill of \(mode) hit the middle, seed \(seed)")
                let last = try place.start(["work", "--mode"] + mode).wait()
                #expect(last.status == 0, "\(mode), seed \(seed): \(last.errors)")
                // Booking is killed at any moment, too; whatever it had done by then, it goes on from there.
                let book = try place.start(["book", "--blocks", "1"])
                usleep(UInt32(random.integer(in: 0...150_000)))
                book.killNow()
                try place.succeed("book")
                let verified = try place.run("verify")
                #expect(verified.status == 0, "\(mode), seed \(seed):\n\(verified.output)")
            }
        }
    }

    @Test(arguments: BrokerKind.best)
    func `execute and feed killed at any moment, in the scan and in the stream, publish every execution`(
        broker: BrokerKind
    ) throws {
        try withPlace(broker) { place in
            try place.succeed("services", "start")
            for name in ["allocbench", "uninterrupted"] {
                try place.succeed("seed", "--size", "small", "--accounts", "150", "--quiet", "--name", name)
                try place.succeed("route", "--name", name)
            }
            let corrections = ["--busts", "0.05", "--replaces", "0.3", "--cancels", "0.1"]
            let undisturbed = try place.start(["execute", "--name", "uninterrupted"] + corrections).wait()
            #expect(undisturbed.status == 0, "\(undisturbed.errors)")
            let watch = try place.connect()
            defer { watch.close() }
            let execute = ["execute", "--rate", "2500", "--txn-size", "100"] + corrections
            let first = try place.start(execute)
            #expect(try eventually { try integer("SELECT count(*) FROM trades.executions", watch) >= 6000 })
            first.killNow()

            try killInScan(place, broker, watch)
            try killInStream(place, broker, watch, while: try place.start(execute))

            for (table, key) in [
                ("executions", "execution_id"), ("order_requests", "request_id"), ("block_outcomes", "block_order_id"),
            ] {
                let sum = "SELECT md5(string_agg(e::TEXT, ',' ORDER BY \(key))) FROM trades.\(table) AS e"
                let whole = try place.value(sum, in: "uninterrupted")
                #expect(try place.value(sum) == whole, "what a kill cut in two isn't what was to be drawn: \(table)")
            }
            try place.succeed("feed", "--until-caught-up")
            try place.succeed("work", "--mode", "batch", "--workers", "4")
            try place.succeed("book")
            try place.succeed("verify")
            #expect(try integer("SELECT count(*) FROM pg_replication_slots", watch) == 0)
        }
    }

    /// Kills the feed twice in the middle of the first scan, which starts over each time.
    private func killInScan(_ place: Place, _ broker: BrokerKind, _ watch: PostgresConnection) throws {
        // On a busy machine a scan may be over before a test has looked twice: a lock keeps it from being marked as completed.
        try watch.execute(
            """
            CREATE FUNCTION public.wait_for_test() RETURNS TRIGGER LANGUAGE plpgsql AS
              'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN new; END';
            CREATE TRIGGER wait_for_test BEFORE UPDATE ON trades.change_feeds
              FOR EACH ROW EXECUTE FUNCTION public.wait_for_test();
            SELECT pg_advisory_lock(1)
            """)
        var published = 0
        let topic = try TopicWatch(place, broker, topic: "executions")
        for _ in 1...2 {
            // The mock broker keeps so much of a partition only, and each feed publishes the beginning again.
            let feed = try place.start(["feed", "--partitions", "8"])
            #expect(eventually(everyMs: 2) { !feed.isRunning || topic.messageCount > published }, "\(feed.errors)")
            feed.killNow()
            #expect(topic.messageCount > published, "no kill hit the scan")
            published = topic.messageCount
            // A session that waits doesn't notice that its client is gone; it would go on when the lock is free.
            try watch.execute(
                """
                SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE application_name = 'allocbench feed' AND backend_type = 'client backend'
                """)
        }
        #expect(try integer("SELECT count(*) FROM trades.change_feeds WHERE scan_completed", watch) == 0)
        try watch.execute("DROP FUNCTION public.wait_for_test() CASCADE; SELECT pg_advisory_unlock(1)")
    }

    /// Kills the feed several times while executions are being written.
    private func killInStream(
        _ place: Place, _ broker: BrokerKind, _ watch: PostgresConnection, while execute: RunningProgram
    ) throws {
        let topic = try TopicWatch(place, broker, topic: "executions")
        var halfDoneCount = 0
        while execute.isRunning, halfDoneCount < 4 {
            let feed = try place.start(["feed"])
            let before = topic.messageCount
            _ = eventually { !feed.isRunning || topic.messageCount > before + 300 }
            #expect(feed.isRunning, "the feed ended by itself: \(feed.errors)")
            if execute.isRunning, topic.messageCount > before { halfDoneCount += 1 }
            feed.killNow()
        }
        #expect(halfDoneCount > 0, "no kill hit the stream")
        let executed = try execute.wait()
        #expect(executed.status == 0, "\(executed.errors)")
        #expect(executed.output.contains("stood there before): "), "\(executed.output)")
        #expect(executed.output.hasSuffix("blocks complete: yes\n"), "\(executed.output)")
    }

    @Test func `kill -9 of PostgreSQL under execute, feed and work loses nothing once it is back`() throws {
        try withPlace { place in
            try place.succeed("services", "start")
            try place.succeed("seed", "--size", "tiny", "--quiet")
            try place.succeed("route")
            let execute = ["execute", "--rate", "400", "--txn-size", "10", "--count", "2000"]
            var executing = try place.start(execute)
            var feeding = try place.start(["feed", "--partitions", "4"])
            #expect(try eventually { try TopicWatch(place, .mock, topic: "executions").messageCount > 0 })
            let working = try place.start(["work", "--workers", "4", "--follow"])
            for _ in 1...2 {
                let watch = try place.connect()
                let before = try consumedCount(watch)
                #expect(try eventually { try consumedCount(watch) > before + 50 }, "\(working.errors)")
                watch.close()
                try place.killPostgres()
                for program in [executing, feeding] {
                    let ended = try program.wait(seconds: 20)
                    #expect(ended.status == 1)
                    #expect(ended.errorLines.count == 1, "\(ended.errors)")
                }
                let down = try place.run("execute")
                #expect(down.status == 1)
                #expect(
                    down.errorLines == [
                        "allocbench: PostgreSQL of the services in \(place.state) is down; "
                            + "`allocbench services start` restarts it"
                    ])
                try place.succeed("services", "start")
                executing = try place.start(execute)
                feeding = try place.start(["feed"])
            }
            #expect(try executing.wait().status == 0)
            feeding.signal(SIGINT)
            #expect(try feeding.wait().status == 0, "\(feeding.errors)")
            try place.succeed("feed", "--until-caught-up")
            // The workers connect again by themselves.
            #expect(working.isRunning, "\(working.errors)")
            working.signal(SIGINT)
            #expect(try working.wait().status == 0, "\(working.errors)")
            try place.succeed("work", "--workers", "2")
            try place.succeed("book")
            try place.succeed("verify")
        }
    }

    @Test func `kill -9 of a seed is told to whoever comes next, and --replace makes it good`() throws {
        try withPlace { place in
            try place.succeed("services", "start")
            try place.succeed("schema", "create")
            let watch = try place.connect()
            defer { watch.close() }
            let seed = try place.start(["seed", "--size", "small", "--accounts", "20000", "--parallel", "1"])
            #expect(try eventually { try integer("SELECT count(*) FROM holdings.positions", watch) > 0 })
            seed.killNow()
            #expect(try integer("SELECT count(*) FROM holdings.positions", watch) < 400_000, "it was over already")
            for (arguments, remedy) in [
                (["seed", "--size", "tiny"], "--replace empties it first"),
                (["route"], "seed it anew: allocbench seed --replace"),
            ] {
                let refused = try place.start(arguments).wait()
                #expect(refused.status == 1)
                #expect(refused.errorLines == ["allocbench: this database holds an unfinished seed; \(remedy)"])
            }
            try place.succeed("seed", "--size", "tiny", "--replace", "--quiet")
            #expect(try integer("SELECT count(*) FROM holdings.positions", watch) == 400)
            try place.succeed("route")
        }
    }

    private func consumedCount(_ connection: PostgresConnection) throws -> Int {
        try integer("SELECT coalesce(sum(next_offset), 0) FROM allocations.consumer_offsets", connection)
    }

    private func integer(_ sql: String, _ connection: PostgresConnection) throws -> Int {
        Int(try connection.query(sql).text(0, 0) ?? "") ?? 0
    }
}

/// Looks how many messages a topic has.
private struct TopicWatch {
    private let admin: KafkaAdmin
    private let topic: String

    init(_ place: Place, _ broker: BrokerKind, topic: String) throws {
        let address = try place.service(broker == .mock ? .mockBroker : .kafka).address
        admin = try KafkaAdmin(settings: KafkaClientSettings(bootstrapServers: address))
        self.topic = topic
    }

    /// 0 while there is no such topic.
    var messageCount: Int {
        guard let marks = try? admin.watermarks(of: topic) else { return 0 }
        return Int(marks.reduce(0) { $0 + $1.high })
    }
}
