// Goal: the verifier can fail. Method: a clean run's tables, changed in one way at a time inside a transaction that is
// rolled back; each change must be reported by exactly the checks that it breaks.

import Allocations
import Model
import Postgres
import Scenario
import Testing

/// One way to break the tables, and who must notice.
private struct Mutation {
    let what: String
    let sql: String
    let findings: Set<String>

    init(_ what: String, _ findings: Set<String>, _ sql: String) {
        self.what = what
        self.sql = sql
        self.findings = findings
    }
}

private let oracle = "allocations_differ_from_oracle"

/// Block 1 has accounts of 4,000, 3,000, 2,000 and 1 share, block 2 one of 5,000, both complete after several snapshots.
/// Block 3 has accounts of 601 and 399 shares; of its 360 filled shares 260 are allocated, 156 and 104.
private let mutations = [
    // Executions and captured trades.
    Mutation(
        "a captured trade is gone", ["executions_not_captured"],
        "DELETE FROM allocations.captured_trades WHERE execution_id = 5"),
    Mutation(
        "a captured trade has another quantity", ["captured_without_execution"],
        "UPDATE allocations.captured_trades SET quantity = quantity + 1 WHERE execution_id = 5"),
    Mutation(
        "a captured trade has another price", ["captured_without_execution"],
        "UPDATE allocations.captured_trades SET price = price + 0.0001 WHERE execution_id = 5"),
    Mutation(
        "a captured trade has another block", ["captured_without_execution"],
        "UPDATE allocations.captured_trades SET block_order_id = block_order_id + 1 WHERE execution_id = 5"),
    Mutation(
        "a captured trade was not filled", ["captured_without_execution"],
        "UPDATE allocations.captured_trades SET filled = false WHERE execution_id = 5"),
    Mutation(
        "a captured trade was never executed", ["captured_without_execution"],
        "INSERT INTO allocations.captured_trades VALUES (99999, 1, 50, 10, 0, 0)"),
    Mutation(
        "an execution never arrived", ["executions_not_captured", "fills_differ_from_executions"],
        "INSERT INTO trades.executions VALUES (99999, 3, 'x', 50, 10, now())"),
    Mutation(
        "an execution belongs to no block", ["executions_not_captured", "fills_differ_from_executions"],
        "INSERT INTO trades.executions VALUES (99999, 77, 'x', 50, 10, now())"),
    Mutation(
        "an execution has another price than what was filled",
        ["captured_without_execution", "fills_differ_from_executions", oracle],
        "UPDATE trades.executions SET price = price + 5 WHERE execution_id = (SELECT min(execution_id) FROM trades.executions WHERE block_order_id = 2)"
    ),

    // Fills.
    Mutation(
        "a fill is counted twice", ["fills_differ_from_executions"],
        "UPDATE allocations.block_fills SET execution_count = execution_count + 1 WHERE block_order_id = 1"),
    Mutation(
        "a share too many is filled", ["fills_differ_from_executions"],
        "UPDATE allocations.block_fills SET filled_quantity = filled_quantity + 1 WHERE block_order_id = 3"),
    Mutation(
        "a notional is a tick too high", ["fills_differ_from_executions", "last_snapshot_differs_from_fills"],
        "UPDATE allocations.block_fills SET notional = notional + 0.0001 WHERE block_order_id = 1"),

    // Orders.
    Mutation(
        "a block was received with another quantity", ["blocks_differ_from_orders"],
        "UPDATE allocations.block_fills SET ordered_quantity = ordered_quantity + 1 WHERE block_order_id = 2"),
    Mutation(
        "a block was ordered with another quantity", ["blocks_differ_from_orders"],
        "UPDATE orders.block_orders SET quantity = quantity + 1 WHERE block_order_id = 2"),
    Mutation(
        "a block was never received",
        ["blocks_differ_from_orders", "fills_differ_from_executions", oracle],
        "DELETE FROM allocations.block_fills WHERE block_order_id = 2"),
    Mutation(
        "an account was received with another quantity", ["accounts_differ_from_orders"],
        "UPDATE allocations.block_accounts SET ordered_quantity = ordered_quantity + 1 WHERE block_order_id = 1 AND account_id = 2"
    ),
    Mutation(
        "an account was not received", ["accounts_differ_from_orders"],
        "DELETE FROM allocations.block_accounts WHERE block_order_id = 1 AND account_id = 2"),

    // Snapshots.
    Mutation(
        "a complete block lacks its last snapshot", ["complete_blocks_not_allocated", oracle],
        """
        DELETE FROM allocations.allocations AS a USING allocations.block_fills AS f
        WHERE f.block_order_id = 2 AND a.block_order_id = 2 AND a.snapshot_number = f.snapshot_number;
        DELETE FROM allocations.snapshots AS s USING allocations.block_fills AS f
        WHERE f.block_order_id = 2 AND s.block_order_id = 2 AND s.snapshot_number = f.snapshot_number;
        UPDATE allocations.block_fills SET snapshot_number = snapshot_number - 1,
          allocated_quantity = (SELECT max(filled_quantity) FROM allocations.snapshots WHERE block_order_id = 2)
        WHERE block_order_id = 2
        """),
    Mutation(
        "a snapshot is counted that wasn't taken", ["snapshots_differ_from_fills"],
        "UPDATE allocations.block_fills SET snapshot_number = snapshot_number + 1 WHERE block_order_id = 1"),
    Mutation(
        "a snapshot's row is gone", ["snapshots_differ_from_fills", "average_prices_differ"],
        "DELETE FROM allocations.snapshots WHERE block_order_id = 1 AND snapshot_number = 1"),
    Mutation(
        "allocations stand without a snapshot", ["average_prices_differ"],
        """
        INSERT INTO allocations.allocations
        SELECT block_order_id, account_id, 99, 0, quantity_cumulative, average_price FROM allocations.allocations
        WHERE block_order_id = 3 AND account_id = 1
        """),
    Mutation(
        "a snapshot claims a share too many", ["snapshot_sums_differ", "quota_broken", "cash_not_conserved"],
        "UPDATE allocations.snapshots SET filled_quantity = filled_quantity + 1 WHERE block_order_id = 2 AND snapshot_number = 1"
    ),

    // Allocations.
    Mutation(
        "an allocation's change is a share too high",
        ["allocated_differs_from_filled", "deltas_differ_from_cumulative"],
        """
        UPDATE allocations.allocations SET quantity_delta = quantity_delta + 1
        WHERE block_order_id = 1 AND account_id = 1 AND snapshot_number = 1
        """),
    Mutation(
        "two accounts' changes are a share off, each other way", ["deltas_differ_from_cumulative"],
        """
        UPDATE allocations.allocations SET quantity_delta = quantity_delta + CASE account_id WHEN 1 THEN 1 ELSE -1 END
        WHERE block_order_id = 1 AND account_id IN (1, 2) AND snapshot_number = 1
        """),
    Mutation(
        "an account got a share too early, once", ["snapshot_sums_differ", "quota_broken"],
        """
        UPDATE allocations.allocations SET quantity_delta = quantity_delta + 1, quantity_cumulative = quantity_cumulative + 1
        WHERE block_order_id = 2 AND snapshot_number = 1;
        UPDATE allocations.allocations SET quantity_delta = quantity_delta - 1 WHERE block_order_id = 2 AND snapshot_number = 2
        """),
    Mutation(
        "two accounts are two shares off their proportion for a while", ["quota_broken"],
        """
        UPDATE allocations.allocations SET quantity_delta = quantity_delta + CASE account_id WHEN 1 THEN 2 ELSE -2 END,
          quantity_cumulative = quantity_cumulative + CASE account_id WHEN 1 THEN 2 ELSE -2 END
        WHERE block_order_id = 1 AND account_id IN (1, 2) AND snapshot_number = 1;
        UPDATE allocations.allocations SET quantity_delta = quantity_delta - CASE account_id WHEN 1 THEN 2 ELSE -2 END
        WHERE block_order_id = 1 AND account_id IN (1, 2) AND snapshot_number = 2
        """),
    Mutation(
        "two accounts are swapped within their proportion", [oracle],
        """
        UPDATE allocations.allocations SET quantity_delta = quantity_delta + CASE account_id WHEN 1 THEN 1 ELSE -1 END,
          quantity_cumulative = quantity_cumulative + CASE account_id WHEN 1 THEN 1 ELSE -1 END
        WHERE block_order_id = 3
        """),
    Mutation(
        "an account got more than it ordered", ["allocations_beyond_orders", "quota_broken", oracle],
        """
        UPDATE allocations.allocations AS a
        SET quantity_delta = quantity_delta + CASE account_id WHEN 1 THEN 1 ELSE -1 END,
          quantity_cumulative = quantity_cumulative + CASE account_id WHEN 1 THEN 1 ELSE -1 END
        FROM allocations.block_fills AS f
        WHERE a.block_order_id = 1 AND f.block_order_id = 1 AND account_id IN (1, 2) AND a.snapshot_number = f.snapshot_number
        """),
    Mutation(
        "an account got nothing", ["allocated_differs_from_filled", "snapshot_sums_differ", oracle],
        "DELETE FROM allocations.allocations WHERE block_order_id = 1 AND account_id = 2"),
    Mutation(
        "an account got shares that ordered none",
        ["allocations_beyond_orders", "allocated_differs_from_filled", "snapshot_sums_differ", oracle],
        """
        INSERT INTO allocations.allocations
        SELECT block_order_id, 99, snapshot_number, 1, 1, average_price FROM allocations.allocations
        WHERE block_order_id = 3 AND account_id = 1
        """),

    // Money.
    Mutation(
        "an account paid another price for a while", ["average_prices_differ"],
        """
        UPDATE allocations.allocations SET average_price = average_price + 0.0001
        WHERE block_order_id = 1 AND account_id = 1 AND snapshot_number = 1
        """),
    Mutation(
        "an account paid a price of the other sign", ["average_prices_differ", oracle],
        "UPDATE allocations.allocations SET average_price = -average_price WHERE block_order_id = 1 AND account_id = 1"),
    Mutation(
        "a residual is a tick off", ["cash_not_conserved"],
        "UPDATE allocations.snapshots SET residual = residual + 0.0001 WHERE block_order_id = 1 AND snapshot_number = 1"
    ),
    Mutation(
        "a price is not the nearest tick", ["cash_not_conserved"],
        """
        UPDATE allocations.snapshots
        SET average_price = average_price + 0.0001, residual = residual - 0.0001 * filled_quantity
        WHERE block_order_id = 1 AND snapshot_number = 1;
        UPDATE allocations.allocations SET average_price = average_price + 0.0001
        WHERE block_order_id = 1 AND snapshot_number = 1
        """),
    Mutation(
        "everyone paid another price in the end", ["cash_not_conserved", oracle],
        """
        UPDATE allocations.snapshots
        SET average_price = average_price + 0.0001, residual = residual - 0.0001 * filled_quantity WHERE block_order_id = 2;
        UPDATE allocations.allocations SET average_price = average_price + 0.0001 WHERE block_order_id = 2
        """),
    Mutation(
        "the last snapshot has another notional than the fills", ["last_snapshot_differs_from_fills"],
        """
        UPDATE allocations.snapshots AS s SET notional = s.notional + 0.0001, residual = residual + 0.0001
        FROM allocations.block_fills AS f
        WHERE s.block_order_id = 1 AND f.block_order_id = 1 AND s.snapshot_number = f.snapshot_number
        """),

    // Messages.
    Mutation(
        "an offset stands before the end", ["offsets_differ_from_topic"],
        "UPDATE allocations.consumer_offsets SET next_offset = next_offset - 1 WHERE topic_partition = 1"),
    Mutation(
        "an offset stands behind the end", ["offsets_differ_from_topic"],
        "UPDATE allocations.consumer_offsets SET next_offset = next_offset + 1 WHERE topic_partition = 1"),
    Mutation(
        "a partition was never consumed", ["offsets_differ_from_topic"],
        "DELETE FROM allocations.consumer_offsets WHERE topic_partition = 1"),
    Mutation(
        "a message is staged", ["staged_left_behind"],
        "INSERT INTO allocations.staged_trades VALUES (0, 5, 5, 1, 50, 10)"),
    Mutation(
        "a message is parked", ["parked_messages"],
        "INSERT INTO allocations.parked_messages VALUES ('t', 0, 5, 'B', 'malformed message: JSON', NULL)"),

    // More is allocated than there is: the judge must say so, not fall over.
    Mutation(
        "more is allocated than was ordered",
        [
            "blocks_differ_from_orders", "fills_differ_from_executions", "snapshots_differ_from_fills",
            "allocated_differs_from_filled", "last_snapshot_differs_from_fills", oracle,
        ],
        """
        UPDATE allocations.block_fills SET ordered_quantity = 2000, filled_quantity = 1500, allocated_quantity = 1500
        WHERE block_order_id = 3
        """),
    Mutation(
        "a block that was never ordered is allocated",
        [
            "blocks_differ_from_orders", "fills_differ_from_executions", "snapshots_differ_from_fills",
            "allocated_differs_from_filled", "executions_not_captured", oracle,
        ],
        """
        INSERT INTO allocations.block_fills VALUES (77, 'x', 100, 100, 1000, 2, 1, 100);
        INSERT INTO trades.executions VALUES (99999, 77, 'x', 100, 10, now())
        """),
]

/// A clean run, as the mutations describe it.
private func withCleanRun<R>(_ body: (WorkerBench) throws -> R) throws -> R {
    try withBench(blocks: [[4_000, 3_000, 2_000, 1], [5_000]], partitions: 2, isPublished: false) { bench in
        try bench.connection.addBlock(3, accounts: [601, 399])
        try bench.prepare()
        let next = Int64(bench.executions.count + 1)
        let partial = [(next, 260), (next + 1, 100)].map { id, quantity in
            Execution(
                id: ExecutionID(id), blockOrder: BlockOrderID(3), quantity: quantity, price: Price(ticks: 100_000 + id))
        }
        try bench.connection.addExecutions(partial)
        bench.executions += partial
        try bench.publish(bench.messages)
        try bench.drain(Configuration(mode: .concurrent, workers: 2))
        return try body(bench)
    }
}

@Suite struct VerifierTests {
    @Test func `every way to break the tables is reported by exactly the checks that it breaks`() throws {
        try withCleanRun { bench in
            #expect(try bench.fills()[2] == "3 360 260")
            let clean = try bench.verify()
            #expect(clean.isClean, "\(clean.differenceLines)")
            for mutation in mutations {
                try bench.connection.begin()
                try bench.connection.execute(mutation.sql)
                let checks = try bench.verify()
                #expect(Set(checks.findings.keys) == mutation.findings, "\(mutation.what): \(checks.differenceLines)")
                #expect(!checks.isClean)
                try bench.connection.rollback()
            }
            #expect(try bench.verify().isClean, "the mutations are undone")
            let covered = mutations.reduce(into: Set<String>()) { $0.formUnion($1.findings) }
            #expect(covered == Set(clean.map(\.name)), "every check of verify.sql, and the oracle, has its mutation")
        }
    }

    @Test func `what is changed is what is shown, and only the first few of many`() throws {
        try withCleanRun { bench in
            try bench.connection.begin()
            try bench.connection.execute(
                "UPDATE allocations.consumer_offsets SET next_offset = 3 WHERE topic_partition = 0")
            let end = try #require(try bench.broker.ends(bench.topic)[0])
            #expect(
                try bench.verify().differenceLines
                    == ["offsets_differ_from_topic: 1 differences", "  partition 0: expected \(end), found 3"])
            try bench.connection.execute("DELETE FROM allocations.captured_trades")
            let lines = try bench.verify().differenceLines
            #expect(lines[0] == "executions_not_captured: \(bench.executions.count) differences")
            #expect(lines[1] == "  execution 1: expected captured once, found not captured")
            #expect(lines.filter { $0.hasPrefix("  execution") }.count == AllocationsVerification.shownCount)
            try bench.connection.rollback()
        }
    }

    @Test func `without the topic's ends the offsets are not checked`() throws {
        try withCleanRun { bench in
            try bench.connection.execute("UPDATE allocations.consumer_offsets SET next_offset = 0")
            let checks = try Verifier.verify(on: bench.connection, topic: bench.topic, topicEnds: nil)
            #expect(checks.isClean && !checks.map(\.name).contains("offsets_differ_from_topic"))
        }
    }

    @Test func `a run in which nothing happened fails for every execution`() throws {
        try withBench { bench in
            let findings = try bench.verify().findings
            #expect(
                findings == [
                    "executions_not_captured": Int64(bench.executions.count),
                    "fills_differ_from_executions": Int64(WorkerBench.accounts.count),
                    "offsets_differ_from_topic": 3,
                    // Each block lacks its shares, and each account its allocation.
                    oracle: Int64(WorkerBench.accounts.count),
                ])
        }
    }
}
