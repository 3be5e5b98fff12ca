// Goal: a surrogate key changes what the server writes and nothing of what a worker writes or a verifier finds; and each
// worker's session waits at its commits for what the configuration says.

import Diagnostics
import Model
import Postgres
import Scenario
import TestSupport
import Testing
import Trades

@testable import Allocations

@Suite struct KeyStrategyTests {
    @Test func `every mode writes under every key strategy, to the same verified tables`() throws {
        // Of its own, for it gets another column.
        try withBench(rates: EventRates(bustPpm: 100_000), isOwnDatabase: true) { bench in
            var reference: [String]?
            // Natural last, so that taking a key off again is tested, too.
            for strategy in KeyStrategy.allCases.dropFirst() + [.natural] {
                try AllocationsSource.truncate(on: bench.connection)
                try AllocationsSource.setKeyStrategy(strategy, on: bench.connection)
                // The columns that a mode writes don't depend on the strategy, so one strategy meets all modes.
                for mode in strategy == .uuid7 ? modes : Array(modes.prefix(2)) {
                    try bench.prepare()
                    var configuration = mode
                    configuration.keyStrategy = strategy
                    try bench.drain(configuration)
                    let comment: Comment = "\(mode.mode), \(strategy)"
                    let checks = try bench.verify()
                    #expect(checks.isClean, comment)
                    let final = try bench.finalAllocations()
                    #expect(!final.isEmpty && final == reference ?? final, comment)
                    reference = final
                    try expectKeys(strategy, bench, comment)
                }
            }
            // The last one was natural: as if there had never been another.
            #expect(try AllocationsSchema.check(on: bench.connection) == [])
        }
    }

    private func expectKeys(_ strategy: KeyStrategy, _ bench: WorkerBench, _ comment: Comment) throws {
        let sql =
            switch strategy {
            case .natural: "SELECT 1 FROM allocations.captured_trades HAVING count(*) > 0"
            case .sequence: "SELECT 1 FROM allocations.captured_trades HAVING min(capture_key) >= 1"
            // The version in the third group, the variant in the fourth.
            case .uuid4:
                "SELECT 1 FROM allocations.captured_trades HAVING bool_and(capture_key::text ~ '^.{14}4.{4}[89ab]')"
            case .uuid7:
                """
                SELECT 1 FROM allocations.captured_trades
                HAVING bool_and(capture_key::text ~ '^.{14}7.{4}[89ab]')
                  AND count(DISTINCT capture_key) = count(*)
                  AND min(('x' || left(replace(capture_key::text, '-', ''), 12))::bit(48)::bigint)
                    > (extract(epoch FROM now()) - 600) * 1000
                  AND max(('x' || left(replace(capture_key::text, '-', ''), 12))::bit(48)::bigint)
                    <= extract(epoch FROM clock_timestamp()) * 1000 + 1
                """
            }
        #expect(try bench.connection.query(sql).rowCount == 1, comment)
        let indexes = try bench.connection.number(
            "SELECT count(*) FROM pg_indexes WHERE schemaname = 'allocations' AND tablename = 'captured_trades'")
        #expect(indexes == (strategy == .natural ? 1 : 2), comment)
    }

    @Test func `a key isn't put on rows that exist, and what a killed run left goes`() throws {
        try withStages(isOwn: true) { _, connection in
            try AllocationsSource.setKeyStrategy(.uuid4, on: connection)
            try AllocationsSource.setKeyStrategy(.sequence, on: connection)
            try connection.execute(
                "INSERT INTO allocations.captured_trades (execution_id, block_order_id, is_busted) VALUES (1, 1, true)")
            let error = #expect(throws: OperatingError.self) {
                try AllocationsSource.setKeyStrategy(.uuid7, on: connection)
            }
            #expect(error?.message.contains("isn't empty") == true)
            #expect(try AllocationsSchema.check(on: connection) == [])
        }
    }

    @Test(arguments: SynchronousCommit.allCases)
    func `the sessions of workers commit as the configuration says`(_ setting: SynchronousCommit) throws {
        try withStages { info, _ in
            let configuration = Configuration(mode: .concurrent, isolation: .serializable, synchronousCommit: setting)
            let store = try AllocationsStore.connect(to: info, topic: "t", configuration: configuration)
            defer { store.connection.close() }
            #expect(try store.connection.query("SHOW synchronous_commit").text(0, 0) == setting.rawValue)
            #expect(try store.connection.query("SHOW transaction_isolation").text(0, 0) == "serializable")
        }
    }
}
