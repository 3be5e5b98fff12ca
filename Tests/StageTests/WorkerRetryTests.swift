// Goal: whatever the server wants repeated, and whichever way it is repeated, nothing is lost or done twice. A trigger stands in
// for the server's conflicts: it fails the first few times that it is asked, as CockroachDB does when it injects errors.

import Allocations
import Measurement
import Model
import Postgres
import Scenario
import TestSupport
import Testing
import Threads

@Suite struct WorkerRetryTests {
    /// A sequence counts what a rollback takes back.
    private static func fault(_ state: String, times: Int) -> String {
        """
        CREATE SEQUENCE faults;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('faults') <= \(times) THEN
            RAISE EXCEPTION 'restart transaction' USING ERRCODE = '\(state)';
          END IF;
          RETURN NEW;
        END $$;
        """
    }

    @Test(arguments: RetryMethod.allCases)
    func `transactions that the server breaks off are repeated`(_ method: RetryMethod) throws {
        try withBench(isOwnDatabase: true) { bench in
            try bench.connection.execute(
                Self.fault("40001", times: 5)
                    + "CREATE TRIGGER fail BEFORE INSERT ON allocations.snapshots FOR EACH ROW EXECUTE FUNCTION fail()")
            for mode in [Mode.concurrent, .batch, .cycle] {
                try bench.prepare()
                try bench.connection.execute("ALTER SEQUENCE faults RESTART")
                let configuration = Configuration(mode: mode, workers: 2, isolation: .serializable)
                let result = try bench.drain(configuration) { $0.cockroach.retry = method }
                let lines = try bench.verify().differenceLines
                #expect(lines == [], "\(mode) \(method)")
                let figures = result.figures
                #expect(figures.retries[.serializationFailure]?.count ?? 0 >= 5, "\(mode) \(method)")
                #expect(figures.capturedCount == Int64(bench.executions.count) && figures.duplicateCount == 0)
            }
        }
    }

    @Test(arguments: RetryMethod.allCases)
    func `a commit whose outcome the server doesn't know is looked up in the offset row`(_ method: RetryMethod) throws {
        try withBench(isOwnDatabase: true) { bench in
            try bench.connection.execute(
                Self.fault("40003", times: 1) + """
                    CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON allocations.captured_trades
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()
                    """)
            for mode in [Mode.concurrent, .batch, .cycle] {
                try bench.prepare()
                try bench.connection.execute("ALTER SEQUENCE faults RESTART")
                let configuration = Configuration(mode: mode, workers: 1)
                let figures = try bench.drain(configuration) { $0.cockroach.retry = method }.figures
                let lines = try bench.verify().differenceLines
                #expect(lines == [], "\(mode) \(method)")
                #expect(figures.ambiguousCommits.repeated == 1 && figures.ambiguousCommits.count == 1, "\(mode)")
                #expect(figures.reconnectCount == 1, "\(mode)")
                #expect(figures.capturedCount == Int64(bench.executions.count) && figures.duplicateCount == 0)
            }
        }
    }

    @Test(arguments: RetryMethod.allCases)
    func `a commit whose answer is lost is found in the offset row and not repeated`(_ method: RetryMethod) throws {
        try withBench { bench in
            let cutter = CommitCutter(before: bench.info)
            defer { cutter.close() }
            for mode in [Mode.concurrent, .batch, .cycle] {
                try bench.prepare()
                // A worker's first transactions claim its partitions.
                cutter.arm(sparing: bench.partitions)
                let before = cutter.cutCount
                let figures = try bench.drain(Configuration(mode: mode, workers: 1)) {
                    $0.connection = cutter.connectionInfo
                    $0.cockroach.retry = method
                }.figures
                #expect(cutter.cutCount == before + 1, "\(mode)")
                let lines = try bench.verify().differenceLines
                #expect(lines == [], "\(mode) \(method)")
                #expect(figures.ambiguousCommits.committed == 1 && figures.ambiguousCommits.count == 1, "\(mode)")
                #expect(figures.reconnectCount == 1, "\(mode)")
                #expect(figures.capturedCount == Int64(bench.executions.count) && figures.duplicateCount == 0)
                // What went along with the trades is known to be found with them.
                let snapshots = try bench.connection.number("SELECT count(*) FROM allocations.snapshots")
                #expect(method == .savepoint || figures.snapshotCount == snapshots, "\(mode)")
            }
        }
    }

    /// Several workers fill one block, and every one of them waits for a row that changes before it gets it: under SERIALIZABLE
    /// the server breaks off each of them.
    @Test(arguments: RetryMethod.allCases)
    func `a hot block under SERIALIZABLE breaks off every worker, and nothing is lost`(_ method: RetryMethod) throws {
        try withBench(blocks: [[9_000, 6_000]], isPublished: false) { bench in
            let messages = bench.messages.enumerated().map { index, message in
                TopicMessage(partition: Int32(index % 3), key: message.key, value: message.value)
            }
            try bench.publish(messages)
            let configuration = Configuration(
                mode: .batch, workers: 3, batchSize: 1000, isolation: .serializable, topicKey: .execution)
            var made = try bench.plan(configuration)
            made.cockroach.retry = method
            made.retry = RetryPolicy(maxAttempts: 1000)
            let plan = made
            try bench.connection.begin()
            try bench.connection.execute("UPDATE allocations.block_fills SET side = side")
            let workers = WorkerThread(name: "drain") { try WorkerPool.run(plan, stop: StopFlag()) }
            let watcher = try PostgresConnection.connect(to: bench.info)
            defer { watcher.close() }
            let areWaiting = try eventually { try watcher.waitingSessionCount() == 3 }
            #expect(areWaiting)
            try bench.connection.commit()
            let figures = try workers.join().figures
            let lines = try bench.verify().differenceLines
            #expect(lines == [], "\(method)")
            #expect(figures.retries[.serializationFailure]?.count ?? 0 >= 3)
            #expect(figures.capturedCount == Int64(bench.executions.count) && figures.duplicateCount == 0)
        }
    }
}
