// Goal: whatever happens to a worker's connection, partition, transaction or broker, nothing is lost and nothing is done
// twice; what can't go on says why.

import Allocations
import Glibc
import Kafka
import Measurement
import Model
import Postgres
import Synchronization
import TestSupport
import Testing
import Threads

@testable import Scenario

/// Repeats `body` on a thread and a connection of its own until told to end.
private final class Disturber: Sendable {
    private let stop = StopFlag()
    private let thread: WorkerThread<Int>

    init(_ info: ConnectionInfo, pauseMs: UInt32, _ body: @escaping @Sendable (PostgresConnection) throws -> Int) {
        let stop = stop
        thread = WorkerThread(name: "disturber") {
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            var count = 0
            while !stop.isSet {
                count += try body(connection)
                usleep(pauseMs * 1000)
            }
            return count
        }
    }

    func end() throws -> Int {
        stop.set()
        return try thread.join()
    }
}

func waitUntil(_ what: String, timeoutMs: Int64 = 60_000, _ condition: () throws -> Bool) throws {
    let deadline = monotonicNow() + timeoutMs * 1_000_000
    while try !condition() {
        if monotonicNow() > deadline {
            Issue.record("\(what) never happened")
            return
        }
        usleep(5_000)
    }
}

extension WorkerBench {
    /// Drains on another thread.
    func draining(
        _ configuration: Configuration, stop: StopFlag = StopFlag(), change: (inout WorkerPlan) -> Void = { _ in }
    ) throws -> WorkerThread<DrainResult> {
        var changed = try plan(configuration)
        change(&changed)
        let plan = changed
        return WorkerThread(name: "pool") { try WorkerPool.run(plan, stop: stop) }
    }

    /// Returns once workers have captured something.
    fileprivate func waitForProgress(_ count: Int64 = 1) throws {
        try waitUntil("progress") {
            try connection.number("SELECT count(*) FROM allocations.captured_trades") >= count
        }
    }
}

@Suite struct WorkerGoingBackTests {
    private let tables = [
        "block_fills", "captured_trades", "captured_changes", "snapshots", "allocations", "consumer_offsets",
        "staged_trades",
        "booking_outbox",
    ]

    /// What a promotion does that loses commits: the tables are those of an earlier moment, here of before the worker claimed
    /// its partitions. One block's row holds the worker until whoever takes the tables back waits right behind it.
    @Test(arguments: [
        Configuration(mode: .concurrent, workers: 1), Configuration(mode: .cycle, workers: 1, cycleIntervalMs: 20),
        Configuration(mode: .batch, workers: 1, batchSize: 4),
    ])
    func `a worker whose commits the database forgets does them again and says how many`(
        _ configuration: Configuration
    ) throws {
        try withBench(isOwnDatabase: true) { bench in
            try bench.connection.execute("CREATE SCHEMA past")
            for table in tables {
                try bench.connection.execute("CREATE TABLE past.\(table) AS TABLE allocations.\(table)")
            }
            // The block with the most messages before it in its partition, so that some of them are done before it.
            var counts: [Int32: Int] = [:]
            var firsts: [Int64: Int] = [:]
            for (message, execution) in zip(bench.messages, bench.executions) {
                let position = counts[message.partition, default: 0]
                firsts[execution.blockOrder.rawValue] = firsts[execution.blockOrder.rawValue] ?? position
                counts[message.partition] = position + 1
            }
            let last = try #require(firsts.max { $0.value < $1.value }?.key)
            let holder = try PostgresConnection.connect(to: bench.info)
            try holder.execute("BEGIN; SELECT 1 FROM allocations.block_fills WHERE block_order_id = \(last) FOR UPDATE")
            // Not over before one more message has come, however quick it is.
            let pool = try bench.draining(configuration) { $0.endOffsets?[0, default: 0] += 1 }
            let waiting =
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            try waitUntil("the worker at the held block") { try bench.connection.number(waiting) == 1 }
            let committed = try bench.connection.number(
                "SELECT sum(next_offset)::INT8 FROM allocations.consumer_offsets")

            let (info, tables) = (bench.info, tables)
            let past = WorkerThread(name: "past") {
                let connection = try PostgresConnection.connect(to: info)
                defer { connection.close() }
                try connection.execute("BEGIN; LOCK TABLE allocations.consumer_offsets IN ACCESS EXCLUSIVE MODE")
                for table in tables {
                    try connection.execute(
                        "DELETE FROM allocations.\(table); INSERT INTO allocations.\(table) SELECT * FROM past.\(table)"
                    )
                }
                try connection.commit()
            }
            try waitUntil("whoever takes the tables back") { try bench.connection.number(waiting) == 2 }
            try holder.rollback()
            try past.join()
            try bench.publish([.resolved(partition: 0)])
            let result = try pool.join()
            #expect(committed > 0 || configuration.mode == .cycle)
            #expect(result.figures.lostMessageCount >= max(1, committed), "\(result.figures.lostMessageCount)")
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }
}

@Suite struct WorkerFencingTests {
    @Test(arguments: modes)
    func `a worker whose partition is taken over says so and changes nothing after`(_ configuration: Configuration)
        throws
    {
        try withBench { bench in
            let pool = try bench.draining(configuration) { $0.schedule = .uniform(ratePerSecond: 150) }
            try bench.waitForProgress(21)
            // From the moment this statement has the offset rows' locks, no transaction of the old owner can commit.
            try bench.connection.execute("BEGIN; UPDATE allocations.consumer_offsets SET epoch = epoch + 1")
            let before = try bench.tables()
            try bench.connection.commit()
            let text = errorText { _ = try pool.join() }
            #expect(text.contains("was taken over by another worker"), "\(text)")
            let after = try bench.tables()
            // The row mode's statements are no transaction: of each of its two workers one message may have come through.
            if configuration.mode != .row {
                #expect(after == before)
            } else {
                #expect(after[1].count - before[1].count <= 2)
                #expect(after[4] == before[4], "no offset moved")
            }
            try bench.drain(configuration)
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }

    @Test(arguments: modes) func `a second pool takes the topic over and finishes it`(_ configuration: Configuration)
        throws
    {
        try withBench { bench in
            let first = try bench.draining(configuration) { $0.schedule = .uniform(ratePerSecond: 150) }
            try bench.waitForProgress(11)
            try bench.drain(configuration)
            #expect(errorText { _ = try first.join() }.contains("was taken over by another worker"))
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }

    /// Fresh tables begin at offset 0 as the old ones did; only the epochs tell them apart.
    @Test(arguments: [modes[0], modes[1], modes[4]], [false, true])
    func `a worker that is left over from earlier tables changes nothing in fresh ones`(
        _ configuration: Configuration, _ isClaimed: Bool
    ) throws {
        try withBench(isPublished: false) { bench in
            let first = try bench.connection.number("SELECT max(epoch) FROM allocations.consumer_offsets")
            let left = try bench.draining(configuration) { $0.endOffsets = nil }
            try waitUntil("the claims") {
                try bench.connection.number("SELECT count(*) FROM allocations.consumer_offsets WHERE epoch > \(first)")
                    == 3
            }
            try bench.prepare()
            if isClaimed { try bench.drain(configuration) }
            let before = try bench.tables()
            try bench.publish(bench.messages)
            let text = errorText { _ = try left.join() }
            #expect(text.contains("was taken over by another worker"), "\(text)")
            // Where each statement is a transaction, those before the offset's move aren't fenced.
            if configuration.mode != .row { #expect(try bench.tables() == before) }
            try bench.drain(configuration)
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
        }
    }

    @Test func `a cycle worker that only waits for its next cycle doesn't take what the new owner staged`() throws {
        try withBench { bench in
            let slow = Configuration(mode: .cycle, workers: 1, cycleIntervalMs: 400)
            let pool = try bench.draining(slow) { $0.endOffsets = nil }
            try waitUntil("staging") {
                try bench.connection.number("SELECT count(*) FROM allocations.staged_trades")
                    == Int64(bench.executions.count)
            }
            try bench.connection.execute("BEGIN; UPDATE allocations.consumer_offsets SET epoch = epoch + 1")
            let before = try bench.tables()
            try bench.connection.commit()
            #expect(errorText { _ = try pool.join() }.contains("was taken over by another worker"))
            #expect(try bench.tables() == before)
            try bench.drain(modes[4])
            #expect(try bench.verify().isClean)
        }
    }
}

@Suite struct WorkerRecoveryTests {
    @Test(arguments: modes + [Configuration(mode: .concurrent, workers: 2, transactionSize: 2, pipelineDepth: 8)])
    func `connections that are killed again and again cost nothing but time`(_ configuration: Configuration) throws {
        try withBench { bench in
            let pool = try bench.draining(configuration) { $0.schedule = .uniform(ratePerSecond: 250) }
            try bench.waitForProgress()
            // A few times in a row, so that reconnecting is disturbed as well, and then only after something was done: on a busy
            // machine a worker may need longer for one transaction than passes between two kills.
            let progress = Mutex((kills: 0, offset: Int64(-1)))
            let killer = Disturber(bench.info, pauseMs: 15) { connection in
                let offset = try connection.number("SELECT sum(next_offset) FROM allocations.consumer_offsets")
                let isSpared = progress.withLock {
                    $0 = offset > $0.offset ? (1, offset) : ($0.kills + 1, $0.offset)
                    return $0.kills > 3
                }
                if isSpared { return 0 }
                return Int(
                    try connection.number(
                        """
                        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name = 'allocbench worker'
                        """))
            }
            let outcome = Result { try pool.join() }
            let kills = try killer.end()
            let result = try outcome.get()
            #expect(kills > 0)
            #expect(result.figures.reconnectCount > 0)
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
            let count = Int64(bench.executions.count)
            #expect(result.figures.messageCount == count && result.figures.timeToVisible.count == count)
            #expect(result.figures.capturedCount == count)
        }
    }

    @Test func `a database that doesn't come back is given up after the time allowed`() throws {
        try withBench(isOwnDatabase: true) { bench in
            let limited = bench.info
            let pool = try bench.draining(modes[1]) {
                $0.schedule = .uniform(ratePerSecond: 50)
                $0.reconnect.timeout = .milliseconds(600)
            }
            try bench.waitForProgress(6)
            let maintenance = try PostgresConnection.connect(to: TemporaryPostgres.maintenanceInfo())
            let name = try #require(limited["dbname"])
            let began = monotonicNow()
            try maintenance.execute("ALTER DATABASE \(name) ALLOW_CONNECTIONS false")
            try bench.connection.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'allocbench worker'",
                .text(name))
            #expect(!errorText { _ = try pool.join() }.isEmpty)
            #expect(monotonicNow() - began < 25_000_000_000)
            try maintenance.execute("ALTER DATABASE \(name) ALLOW_CONNECTIONS true")
        }
    }

    private static let contended = [
        modes[0].with(.serializable), modes[1].with(.serializable), modes[1].with(.repeatableRead),
        modes[2].with(.serializable), modes[3].with(.serializable), modes[4].with(.serializable),
        Configuration(mode: .concurrent, workers: 2, pipelineDepth: 8, isolation: .serializable),
    ]

    @Test(arguments: contended)
    func `serialization failures are repeated and counted`(_ configuration: Configuration) throws {
        try withBench(blocks: [[9_000], [9_000, 9_000], [9_000]]) { bench in
            let pool = try bench.draining(configuration) {
                $0.schedule = .uniform(ratePerSecond: 500)
                $0.retry = RetryPolicy(maxAttempts: 1_000, maxDelay: .milliseconds(5))
            }
            try bench.waitForProgress()
            // One row only, so that nothing waits for a deadlock to be found.
            let writer = Disturber(bench.info, pauseMs: 1) { connection in
                try connection.execute(
                    """
                    BEGIN; UPDATE allocations.block_fills SET block_order_code = block_order_code WHERE block_order_id = 2;
                    SELECT pg_sleep(0.003); COMMIT
                    """)
                return 1
            }
            let outcome = Result { try pool.join() }
            let writes = try writer.end()
            let result = try outcome.get()
            #expect(writes > 0)
            #expect((result.figures.retries[.serializationFailure]?.count ?? 0) > 0)
            #expect(result.figures.retryCount == result.figures.retries[.serializationFailure]?.count)
            #expect(result.figures.retriedMessageCount > 0)
            let checks = try bench.verify()
            #expect(checks.isClean, "\(checks.differenceLines)")
            #expect(result.figures.capturedCount == Int64(bench.executions.count))
        }
    }

    /// In place of a table a view that fails under SERIALIZABLE as a conflict does. Its condition depends on no row, so it is
    /// looked at once, and without any row.
    @Test func `what is read outside of transactions is never broken off by others`() throws {
        try withBench(isOwnDatabase: true) { bench in
            try bench.connection.execute(
                """
                CREATE FUNCTION public.meet() RETURNS BOOLEAN LANGUAGE plpgsql STABLE AS $$ BEGIN
                  IF current_setting('transaction_isolation') = 'serializable' THEN
                    RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
                  END IF;
                  RETURN true;
                END $$;
                ALTER TABLE allocations.parked_blocks RENAME TO parked_codes;
                CREATE VIEW allocations.parked_blocks AS SELECT * FROM allocations.parked_codes WHERE public.meet()
                """)
            // One worker, whose own transactions meet no other.
            let alone = Configuration(mode: .concurrent, workers: 1, isolation: .serializable)
            let result = try bench.drain(alone) { $0.retry = .never }
            #expect(result.figures.capturedCount == Int64(bench.executions.count))
        }
    }

    @Test(arguments: [modes[0], modes[1], modes[4]])
    func `what ends its session each time it is tried isn't tried for ever`(_ configuration: Configuration) throws {
        try withBench(isOwnDatabase: true) { bench in
            try bench.connection.execute(
                """
                CREATE FUNCTION public.crash() RETURNS trigger LANGUAGE plpgsql AS
                  $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NEW; END $$;
                CREATE TRIGGER crash BEFORE INSERT ON allocations.captured_trades FOR EACH ROW
                  WHEN (NEW.execution_id = 40) EXECUTE FUNCTION public.crash()
                """)
            let text = errorText { try bench.drain(configuration) { $0.retry = RetryPolicy(maxAttempts: 4) } }
            #expect(text.hasPrefix("4 recoveries in a row, and no offset moved; the last was after: "), "\(text)")
        }
    }

    @Test func `attempts that are used up end the run with the server's word`() throws {
        try withBench { bench in
            let writer = Disturber(bench.info, pauseMs: 0) { connection in
                try connection.execute(
                    "BEGIN; UPDATE allocations.block_fills SET block_order_code = block_order_code; SELECT pg_sleep(0.02); COMMIT"
                )
                return 1
            }
            let text = errorText {
                try bench.drain(modes[1].with(.serializable)) { $0.retry = RetryPolicy(maxAttempts: 1) }
            }
            let count = try writer.end()
            #expect(count > 0)
            #expect(text.contains("40001"), "\(text)")
        }
    }
}

@Suite struct WorkerStartTests {
    @Test(arguments: [modes[0], modes[1], modes[4]])
    func `an offset beyond the topic's end means that messages are lost`(_ configuration: Configuration) throws {
        try withBench { bench in
            let end = try #require(try bench.broker.ends(bench.topic)[1])
            try bench.connection.execute(
                "UPDATE allocations.consumer_offsets SET next_offset = \(end + 1) WHERE topic_partition = 1")
            #expect(
                errorText { try bench.drain(configuration) }
                    == "partition 1 of \(bench.topic): the next offset is \(end + 1), but the broker holds 0 to \(end): it has "
                    + "lost messages; publish again to a new topic and prepare fresh allocations tables")
        }
    }

    @Test func `an offset before the oldest message means that messages are lost`() throws {
        try withEmptyBench(partitions: 1) { bench in
            // The mock broker drops the oldest message sets beyond 5 MiB.
            var random = SeededRandom(seed: 1)
            for _ in 0..<7 {
                try bench.publish(
                    (0..<1_000).map { _ in
                        let noise = (0..<60).map { _ in String(random.next(), radix: 36) }.joined()
                        return TopicMessage(key: "", value: #"{"resolved":"\#(noise)"}"#)
                    })
            }
            let low = try bench.broker.watermarks(bench.topic)[0].low
            try #require(low > 0)
            let text = errorText { try bench.drain(modes[1]) }
            #expect(
                text.contains("the next offset is 0, but the broker holds \(low) to 7000: it has lost messages"),
                "\(text)")
        }
    }

    @Test func `a worker that fails before the start lets the others go`() throws {
        try withBench { bench in
            try bench.connection.execute("DELETE FROM allocations.consumer_offsets WHERE topic_partition = 2")
            let began = monotonicNow()
            let text = errorText { try bench.drain(Configuration(mode: .concurrent, workers: 3)) }
            #expect(
                text
                    == "allocations.consumer_offsets has no row for topic \(bench.topic) partition 2; prepare the allocations "
                    + "tables for this topic")
            #expect(monotonicNow() - began < 25_000_000_000)
            #expect(try bench.connection.number("SELECT count(*) FROM allocations.captured_trades") == 0)
        }
    }

    @Test func `a worker that fails in the middle ends the whole pool with its error`() throws {
        try withBench(isOwnDatabase: true) { bench in
            // The trigger's error is none that a worker knows what to do about.
            try bench.connection.execute(
                """
                CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
                  $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON allocations.captured_trades FOR EACH ROW
                  WHEN (NEW.execution_id = 40) EXECUTE FUNCTION public.refuse()
                """)
            let text = errorText {
                try bench.drain(Configuration(mode: .concurrent, workers: 3)) { $0.endOffsets = nil }
            }
            #expect(text == "53100: no room")
        }
    }

    @Test func `a stop before the start ends the pool at once`() throws {
        try withBench { bench in
            let stop = StopFlag()
            stop.set()
            let result = try bench.drain(modes[1], stop: stop)
            #expect(result.figures.messageCount == 0)
        }
    }

    @Test func `partitions are dealt out in turn, and nobody goes without`() {
        #expect(WorkerPool.deal([0, 1, 2, 3, 4], among: 2) == [[0, 2, 4], [1, 3]])
        #expect(WorkerPool.deal([0, 1], among: 8) == [[0], [1]])
        #expect(WorkerPool.deal([7], among: 1) == [[7]])
    }

    @Test func `blocks whose accounts don't add up are refused`() throws {
        try withBench { bench in
            try bench.connection.execute(
                "DELETE FROM allocations.block_accounts WHERE block_order_id = 4 AND account_id = 2")
            #expect(
                errorText { try bench.drain(modes[1]) }
                    == "block order 4 has 10000 shares, its accounts have 6667; prepare the allocations tables again")
        }
    }
}
