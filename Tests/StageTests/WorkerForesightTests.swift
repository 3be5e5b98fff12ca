// Goal: foreseen transactions end in the tables that the slow way ends in, however often it comes otherwise.

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

    /// Notes which way each statement goes that captures trades.
    private static let noteWays = """
        CREATE TABLE ways (way TEXT);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO ways SELECT CASE WHEN current_query() LIKE '%guard%' THEN 'looks' ELSE 'foresees' END;
          RETURN NULL;
        END $$;
        CREATE TRIGGER note AFTER INSERT ON allocations.captured_trades FOR EACH STATEMENT
          EXECUTE FUNCTION note()
        """

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

    /// What goes wrong is taken back exactly: else what follows would be foreseen wrongly, and fail.
    @Test func `duplicates cost one failed transaction a partition, and what is new behind them is foreseen again`()
        throws
    {
        try withBench(isPublished: false, isOwnDatabase: true) { bench in
            try bench.connection.execute(Self.noteWays)
            let first = Array(bench.messages.prefix(bench.messages.count / 2))
            let rest = Array(bench.messages.dropFirst(first.count))
            try bench.publish(first + first + rest)
            let figures = try bench.drain(Self.deep).figures
            let lines = try bench.verify().differenceLines
            #expect(lines == [])
            let partitions = try bench.connection.number(
                "SELECT count(DISTINCT topic_partition) FROM allocations.captured_trades")
            #expect(figures.retries.mapValues(\.count) == [.uniqueViolation: partitions])
            // In each partition the first new message goes the way that looks, and finds that no duplicate came.
            let looked = try bench.connection.number("SELECT count(*) FROM ways WHERE way = 'looks'")
            #expect(looked == Int64(first.count) + partitions)
            let foreseen = try bench.connection.number("SELECT count(*) FROM ways WHERE way = 'foresees'")
            #expect(foreseen == Int64(bench.messages.count) - partitions)
        }
    }

    @Test func `cycles whose trades are all new are foreseen, their snapshots among them`() throws {
        try withBench(isOwnDatabase: true) { bench in
            try bench.connection.execute(Self.noteWays)
            let figures = try bench.drain(Configuration(mode: .cycle, workers: 2, cycleIntervalMs: 20)).figures
            let lines = try bench.verify().differenceLines
            #expect(lines == [])
            let snapshots = try bench.connection.number("SELECT count(*) FROM allocations.snapshots")
            #expect(figures.retries.isEmpty && figures.snapshotCount == snapshots && snapshots > 0)
            #expect(figures.capturedCount == Int64(bench.executions.count) && figures.duplicateCount == 0)
            let ways = try bench.connection.lines("SELECT DISTINCT way FROM ways")
            #expect(ways == ["foresees"])
        }
    }

    @Test func `what a worker left staged its successor's first cycle looks at, with what is new`() throws {
        try withBench(isPublished: false, isOwnDatabase: true) { bench in
            let first = Array(bench.messages.prefix(bench.messages.count / 2))
            try bench.publish(first)
            let count = Int64(first.count)
            let stop = StopFlag()
            defer { stop.set() }
            let slow = Configuration(mode: .cycle, workers: 1, cycleIntervalMs: 60_000)
            let pool = try bench.draining(slow, stop: stop) { $0.endOffsets = nil }
            let connection = bench.connection
            try waitUntil("staging") {
                try connection.number("SELECT count(*) FROM allocations.staged_trades") == count
            }
            stop.set()
            _ = try pool.join()
            try bench.connection.execute(Self.noteWays)
            try bench.publish(Array(bench.messages.dropFirst(first.count)))
            let figures = try bench.drain(Configuration(mode: .cycle, workers: 1, cycleIntervalMs: 300)).figures
            #expect(figures.retries.isEmpty)
            let lines = try bench.verify().differenceLines
            #expect(lines == [])
            let looks = try bench.connection.number("SELECT count(*) FROM ways WHERE way = 'looks'")
            #expect(looks == 1)
        }
    }

    @Test func `duplicates cost a cycle one failed transaction, and the tables are right`() throws {
        try withBench(isPublished: false) { bench in
            // What would overfill its block isn't foreseen.
            let position = try #require(
                bench.executions.firstIndex {
                    2 * $0.quantity < WorkerBench.accounts[Int($0.blockOrder.rawValue) - 1].reduce(0, +)
                })
            var messages = bench.messages
            let first = messages.remove(at: position)
            try bench.publish([first, first])
            let cycle = Configuration(mode: .cycle, workers: 1, cycleIntervalMs: 100)
            let figures = try bench.drain(cycle).figures
            #expect(figures.retries.mapValues(\.count) == [.uniqueViolation: 1])
            #expect(figures.capturedCount == 1 && figures.duplicateCount == 1)
            try bench.publish(messages)
            let rest = try bench.drain(cycle).figures
            #expect(rest.retries.isEmpty && rest.duplicateCount == 0)
            let lines = try bench.verify().differenceLines
            #expect(lines == [])
        }
    }

    /// The second statement of one message to the server fails: the first, which has moved the offset, is undone with it.
    @Test func `what COPY can't stage is staged by the statement that looks`() throws {
        try withBench(blocks: [[60_000, 60_000]], partitions: 1, isOwnDatabase: true) { bench in
            try bench.connection.execute(
                """
                CREATE SEQUENCE refusals;
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                  IF current_query() LIKE '%COPY%' THEN
                    PERFORM nextval('refusals');
                    RAISE EXCEPTION 'not by COPY' USING ERRCODE = '22000';
                  END IF;
                  RETURN NEW;
                END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON allocations.staged_trades FOR EACH ROW EXECUTE FUNCTION refuse()
                """)
            let figures = try bench.drain(Configuration(mode: .cycle, workers: 1, cycleIntervalMs: 50)).figures
            let lines = try bench.verify().differenceLines
            #expect(lines == [])
            let refused = try bench.connection.number(
                "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM refusals")
            #expect(refused > 0)
            #expect(figures.retries.mapValues(\.count) == [SQLState(rawValue: "22000"): refused])
        }
    }

    @Test func `where messages came before, it comes otherwise than foreseen and the tables are right`() throws {
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

    /// An old session, or one whose partition has gone, sends what it foresaw before.
    @Test(arguments: ["move_blocks", "move_block"])
    func `of a block that stands elsewhere in any respect nothing is written`(_ statement: String) throws {
        try withEmptyBench { bench in
            let block = "allocations.block_fills"
            try bench.connection.execute(
                """
                UPDATE \(block) SET cum_quantity = 300, notional = 3000, execution_count = 3, snapshot_number = 1,
                  allocated_quantity = 100, allocated_notional = 1000, allocated_execution_count = 1
                WHERE block_order_id = 1;
                PREPARE move AS \(WorkerStatements.text(statement))
                """)
            func move(isDue: Bool) -> String {
                let values = [1, 50, 5_000_000, 1, 300, 30_000_000, 3, 9001, 1, 100, 10_000_000, isDue ? 1 : 0, 0]
                let words = values.map { statement == "move_block" ? "\($0)" : "ARRAY[\($0)]" }
                return "EXECUTE move(\(words.joined(separator: ", ")))"
            }
            /// The block's columns behind the move; nil if it was refused.
            func moved(isDue: Bool, after change: String?) throws -> String? {
                try bench.connection.begin()
                defer { try? bench.connection.rollback() }
                if let change { try bench.connection.execute("UPDATE \(block) SET \(change) WHERE block_order_id = 1") }
                do {
                    try bench.connection.execute(move(isDue: isDue))
                } catch {
                    #expect(error.isDataError && error.message.contains("blocks as foreseen: 0 of 1"), "\(error)")
                    return nil
                }
                return try bench.connection.query(
                    """
                    SELECT concat_ws(' ', cum_quantity, notional, execution_count, snapshot_number, allocated_quantity,
                                     allocated_notional, allocated_execution_count, allocated_is_final)
                    FROM \(block) WHERE block_order_id = 1
                    """
                ).text(0, 0)
            }
            for change in [
                "snapshot_number = 3", "cum_quantity = 301", "notional = 3001", "execution_count = 4",
                "order_quantity = 9000", "allocated_quantity = 200", "allocated_notional = 1001", "is_canceled = true",
                "allocated_is_final = true",
            ] {
                let outcome = try moved(isDue: true, after: change)
                #expect(outcome == nil, "\(change)")
            }
            let allocated = try moved(isDue: true, after: nil)
            #expect(allocated == "350 3500.0000 4 2 350 3500.0000 4 f")
            let filled = try moved(isDue: false, after: nil)
            #expect(filled == "350 3500.0000 4 1 100 1000.0000 1 f")
        }
    }

    @Test func `an offset that stands elsewhere is refused, and with it all that follows`() throws {
        try withEmptyBench { bench in
            for name in ["advance_offset", "capture_trades"] {
                try bench.connection.execute("PREPARE \(name) AS \(WorkerStatements.text(name))")
            }
            let row = try bench.connection.query(
                "SELECT topic, epoch, next_offset FROM allocations.consumer_offsets WHERE topic_partition = 0")
            let connection = bench.connection
            func advance(_ epoch: Int64, _ offset: Int64) throws {
                // Sent at once, these are one transaction, as up to a sync.
                try connection.execute(
                    """
                    EXECUTE advance_offset('\(row.text(0, 0) ?? "")', 0, \(epoch), \(offset), 9);
                    EXECUTE capture_trades(0, ARRAY[7], ARRAY[1], ARRAY[50], ARRAY[10000], ARRAY[8])
                    """)
            }
            for (epoch, offset) in [(row.int64(0, 1) + 1, row.int64(0, 2)), (row.int64(0, 1), row.int64(0, 2) + 1)] {
                let error = try #require(throws: PostgresError.self) { try advance(epoch, offset) }
                #expect(error.isDataError && error.message.contains("offsets as foreseen: 0"))
                let captured = try connection.number("SELECT count(*) FROM allocations.captured_trades")
                #expect(captured == 0)
            }
            try advance(row.int64(0, 1), row.int64(0, 2))
            let offset = try connection.number(
                "SELECT next_offset FROM allocations.consumer_offsets WHERE topic_partition = 0")
            #expect(offset == 9)
        }
    }

    /// A worker whose partition has gone, or that staged other trades than there are.
    @Test func `a cycle of other partitions or trades than there are writes nothing`() throws {
        try withEmptyBench { bench in
            let connection = bench.connection
            for name in ["hold_partitions", "capture_staged"] {
                try connection.execute("PREPARE \(name) AS \(WorkerStatements.text(name))")
            }
            try connection.execute(
                """
                UPDATE allocations.consumer_offsets SET epoch = 5 + topic_partition;
                INSERT INTO allocations.staged_trades
                VALUES (0, 0, 7, 1, 0, 1, 0, 0, 50, 10000), (1, 0, 8, 1, 0, 1, 0, 0, 60, 10000)
                """)
            let topic = bench.topic
            func run(epochs: String, trades: Int) throws {
                try connection.execute(
                    """
                    EXECUTE hold_partitions('\(topic)', '{0,1}', '\(epochs)');
                    EXECUTE capture_staged('{0,1}', \(trades))
                    """)
            }
            for (epochs, trades, words) in [
                ("{5,5}", 2, "partitions as foreseen: 1 of 2"), ("{5,6}", 1, "staged as foreseen: 2 of 1"),
                ("{5,6}", 3, "staged as foreseen: 2 of 3"),
            ] {
                let error = try #require(throws: PostgresError.self) { try run(epochs: epochs, trades: trades) }
                #expect(error.isDataError && error.message.contains(words), "\(error)")
                let staged = try connection.number("SELECT count(*) FROM allocations.staged_trades")
                let captured = try connection.number("SELECT count(*) FROM allocations.captured_trades")
                #expect(staged == 2 && captured == 0)
            }
            try run(epochs: "{5,6}", trades: 2)
            let rows = try connection.lines(
                """
                SELECT execution_id, quantity, price, topic_partition, topic_offset FROM allocations.captured_trades
                ORDER BY execution_id
                """)
            #expect(rows == ["7 50 1.0000 0 0", "8 60 1.0000 1 0"])
        }
    }

    @Test func `a statement of one row writes what the one of arrays does`() throws {
        try withEmptyBench { bench in
            let connection = bench.connection
            let calls = [
                ("captured_trades", "capture_trades", "3, ARRAY[7], ARRAY[1], ARRAY[50], ARRAY[10001], ARRAY[8]"),
                ("captured_trades", "capture_trade", "3, 7, 1, 50, 10001, 8"),
                (
                    "snapshots", "record_snapshots",
                    "ARRAY[1], ARRAY[2], ARRAY[50], ARRAY[500051], ARRAY[10001], ARRAY[1]"
                ),
                ("snapshots", "record_snapshot", "1, 2, 50, 500051, 10001, 1"),
                ("allocations", "allocate", "'{1,1}', '{4,5}', '{2,2}', '{20,-30}', '{20,0}', '{10001,10001}'"),
                ("allocations", "allocate_block", "1, '{4,5}', 2, '{20,-30}', '{20,0}', 10001"),
            ]
            var written: [String: [[String]]] = [:]
            for (table, statement, values) in calls {
                try connection.begin()
                try connection.execute("PREPARE \(statement) AS \(WorkerStatements.text(statement))")
                try connection.execute("EXECUTE \(statement)(\(values))")
                written[table, default: []].append(
                    try connection.lines("SELECT t FROM allocations.\(table) AS t ORDER BY t::TEXT"))
                try connection.rollback()
            }
            for (table, rows) in written {
                #expect(rows.count == 2 && rows[0] == rows[1] && !rows[0].isEmpty, "\(table): \(rows)")
            }
        }
    }

    /// Each failure takes along what was sent behind it, which is taken back and foreseen once more.
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
            #expect(figures.retries[.serializationFailure]?.count ?? 0 >= 5 && figures.retries.count == 1)
            #expect(figures.capturedCount == Int64(bench.executions.count) && figures.duplicateCount == 0)
            let snapshots = try bench.connection.number("SELECT count(*) FROM allocations.snapshots")
            #expect(figures.snapshotCount == snapshots)
        }
    }
}
