// Goal: snapshots that go along with the trades that are expected to make them due end in the tables that the slow way ends in,
// however often the expectation is wrong.

import Allocations
import Measurement
import Model
import Postgres
import Scenario
import TestSupport
import Testing
import Threads
import Trades

@Suite struct WorkerForesightTests {
    /// A snapshot with every execution, and many transactions on their way.
    private static let deep = Configuration(
        mode: .concurrent, workers: 2, pipelineDepth: 16, snapshots: .executions(1))

    @Test func `a snapshot with every execution takes as many transactions as there are executions`() throws {
        try withBench { bench in
            let figures = try bench.drain(Self.deep).figures
            let lines = try bench.verify().differenceLines
            #expect(lines == [])
            let count = Int64(bench.executions.count)
            #expect(figures.transactionCount == count && figures.snapshotCount == count)
            // What is written in one transaction has its number.
            let apart = try bench.connection.number(
                """
                SELECT count(*) FROM allocations.snapshots AS s
                WHERE NOT EXISTS (SELECT 1 FROM allocations.captured_trades AS c
                                  WHERE c.block_order_id = s.block_order_id AND c.xmin = s.xmin)
                """)
            #expect(apart == 0)
        }
    }

    @Test func `where messages came before, the expectation is wrong and the tables are right`() throws {
        try withBench(isPublished: false) { bench in
            try bench.publish(bench.messages.flatMap { [$0, $0] } + bench.messages)
            for configuration in [Self.deep, Configuration(mode: .batch, workers: 2, pipelineDepth: 4, batchSize: 7)] {
                try bench.prepare()
                let figures = try bench.drain(configuration).figures
                let lines = try bench.verify().differenceLines
                #expect(lines == [], "\(configuration.name)")
                let count = Int64(bench.executions.count)
                #expect(figures.capturedCount == count && figures.duplicateCount == 2 * count, "\(configuration.name)")
                let snapshots = try bench.connection.number("SELECT count(*) FROM allocations.snapshots")
                #expect(figures.snapshotCount == snapshots, "\(configuration.name)")
            }
        }
    }

    @Test func `busts, cancels and replaces between trades on their way are answered first`() throws {
        let rates = EventRates(bustPpm: 100_000, replacePpm: 300_000, cancelPpm: 300_000)
        try withBench(rates: rates) { bench in
            try bench.drain(Self.deep)
            let lines = try bench.verify().differenceLines
            #expect(lines == [])
        }
    }

    /// An old session, or one whose partition has gone, sends what it expected before.
    @Test func `of a block that stands elsewhere in any respect nothing is written`() throws {
        try withEmptyBench { bench in
            let block = "allocations.block_fills"
            try bench.connection.execute(
                """
                UPDATE \(block) SET cum_quantity = 300, notional = 3000, execution_count = 3, snapshot_number = 1,
                  allocated_quantity = 100, allocated_notional = 1000, allocated_execution_count = 1
                WHERE block_order_id = 1;
                PREPARE take AS \(WorkerStatements.text("take_expected_snapshots"))
                """)
            let take = """
                EXECUTE take(ARRAY[1], ARRAY[2], ARRAY[100000], ARRAY[0], ARRAY[0], ARRAY[1], ARRAY[1], ARRAY[200],
                  ARRAY[300], ARRAY[300], ARRAY[30000000], ARRAY[3], ARRAY[9001], ARRAY[100], ARRAY[10000000])
                """
            func rowsWritten(after change: String?) throws -> Int64 {
                try bench.connection.begin()
                defer { try? bench.connection.rollback() }
                if let change { try bench.connection.execute("UPDATE \(block) SET \(change) WHERE block_order_id = 1") }
                try bench.connection.execute(take)
                return try bench.connection.number(
                    """
                    SELECT (SELECT count(*) FROM allocations.snapshots) + (SELECT count(*) FROM allocations.allocations)
                      + (SELECT count(*) FROM \(block) WHERE snapshot_number = 2 AND allocated_quantity = 300)
                    """)
            }
            for change in [
                "snapshot_number = 3", "cum_quantity = 301", "notional = 3001", "execution_count = 4",
                "order_quantity = 9000", "allocated_quantity = 200", "allocated_notional = 1001", "is_canceled = true",
                "allocated_is_final = true",
            ] {
                let count = try rowsWritten(after: change)
                #expect(count == 0, "\(change)")
            }
            let count = try rowsWritten(after: nil)
            #expect(count == 3)
        }
    }

    /// Each failure takes along what was sent behind it, which is then expected a second time.
    @Test(arguments: [Isolation.readCommitted, .serializable])
    func `failures in a deep pipeline are repeated`(_ isolation: Isolation) throws {
        try withBench(isOwnDatabase: true) { bench in
            try bench.connection.execute(
                """
                CREATE SEQUENCE faults;
                CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                  IF nextval('faults') % 7 = 3 THEN
                    RAISE EXCEPTION 'restart transaction' USING ERRCODE = '40001';
                  END IF;
                  RETURN NEW;
                END $$;
                CREATE TRIGGER fail BEFORE INSERT ON allocations.snapshots FOR EACH ROW EXECUTE FUNCTION fail()
                """)
            let figures = try bench.drain(Self.deep.with(isolation)).figures
            let lines = try bench.verify().differenceLines
            #expect(lines == [])
            #expect(figures.retries[.serializationFailure]?.count ?? 0 >= 5)
            #expect(figures.capturedCount == Int64(bench.executions.count) && figures.duplicateCount == 0)
            let snapshots = try bench.connection.number("SELECT count(*) FROM allocations.snapshots")
            #expect(figures.snapshotCount == snapshots)
        }
    }
}
