// Writing executions: whole, in transactions, at a rate, and again after a stop.

import Diagnostics
import Measurement
import Model
import Postgres
import Testing
import Threads

@testable import Trades

/// Three blocks of the trading day with the prices of their securities.
private func withBlocks<R>(_ body: (PostgresConnection) throws -> R) throws -> R {
    try withStages { _, connection in
        for (id, shares) in [(1, 20_000), (2, 35_000), (3, 40)] as [(Int64, Int64)] {
            try connection.addBlock(id, accounts: [shares])
            try connection.addPrice(id, open: "10", low: "9.5", high: "10.5")
        }
        return try body(connection)
    }
}

/// Forty blocks of the trading day, buying and selling.
private func withManyBlocks<R>(_ body: (PostgresConnection) throws -> R) throws -> R {
    try withStages { _, connection in
        for id in 1...40 as ClosedRange<Int64> {
            try connection.addBlock(id, accounts: [2_000 + 100 * id], side: id % 2 == 0 ? .buy : .sell)
            try connection.addPrice(id, open: "10", low: "9.5", high: "10.5")
        }
        return try body(connection)
    }
}

private func corrected(_ plan: inout ExecutionPlan) {
    (plan.bustPpm, plan.replacePpm, plan.cancelPpm) = (100_000, 500_000, 300_000)
}

/// Reports, requests and outcomes of the trading day, whatever their keys are: a key is told by its rank, and so is a
/// reference.
private func everything(_ connection: PostgresConnection) throws -> [String] {
    try connection.lines(
        """
        WITH keys AS (
          SELECT id, row_number() OVER (ORDER BY id) AS rank
          FROM (SELECT execution_id AS id FROM trades.executions WHERE block_order_id < 900
                UNION SELECT request_id FROM trades.order_requests WHERE block_order_id < 900) AS k
        )
        SELECT k.rank, e.exec_type, coalesce(r.rank, 0), e.exec_ref_id IS NULL, e.block_order_id, e.block_order_code,
               e.order_version, e.order_quantity, e.quantity, e.price, e.executed_at
        FROM trades.executions AS e JOIN keys AS k ON k.id = e.execution_id LEFT JOIN keys AS r ON r.id = e.exec_ref_id
        ORDER BY 1
        """)
        + connection.lines(
            """
            SELECT block_order_id, request_type, requested_quantity, cum_quantity, outcome, reason, requested_at
            FROM trades.order_requests WHERE block_order_id < 900 ORDER BY request_id
            """)
        + connection.lines("SELECT * FROM trades.block_outcomes WHERE block_order_id < 900 ORDER BY block_order_id")
}

private func execute(
    _ connection: PostgresConnection, seed: UInt64 = 11, count: Int64? = nil, size: Int = 50,
    stop: StopFlag = StopFlag(), change: (inout ExecutionPlan) -> Void = { _ in },
    progress: (Int64) -> Void = { (_: Int64) in }
) throws -> ExecutionSummary {
    var plan = ExecutionPlan(date: tradingDay, seed: seed)
    plan.count = count
    plan.transactionSize = size
    change(&plan)
    return try TradesStore.execute(plan, on: connection, stop: stop, progress: progress)
}

private func table(_ connection: PostgresConnection) throws -> [String] {
    try connection.lines("SELECT * FROM trades.executions ORDER BY execution_id")
}

@Suite struct TradesStoreTests {
    @Test func `every block is filled exactly, ids follow each other, and transactions have the stated size`() throws {
        try withBlocks { connection in
            var reports: [Int64] = []
            let summary = try execute(connection, count: 210, progress: { reports.append($0) })
            #expect(summary.writtenCount == 210 && summary.resumedCount == 0 && summary.isComplete)
            #expect(summary.firstExecution == ExecutionID(1))
            #expect(reports == [50, 100, 150, 200, 210])
            #expect(
                try connection.lines(
                    """
                    SELECT b.block_order_id, b.quantity = sum(e.quantity), min(e.price) >= 9.5, max(e.price) <= 10.5,
                           bool_and(b.block_order_code = e.block_order_code)
                    FROM orders.block_orders AS b JOIN trades.executions AS e ON e.block_order_id = b.block_order_id
                    GROUP BY b.block_order_id, b.quantity ORDER BY 1
                    """) == ["1 t t t t", "2 t t t t", "3 t t t t"])
            #expect(
                try connection.lines("SELECT min(execution_id), max(execution_id) FROM trades.executions") == ["1 210"])
            #expect(
                try connection.lines(
                    """
                    SELECT min(executed_at AT TIME ZONE 'UTC')::TEXT, max(executed_at AT TIME ZONE 'UTC') < '2024-11-14 21:00'
                    FROM trades.executions
                    """) == ["2024-11-14 14:30:00 t"])
        }
    }

    @Test func `a drawing that was stopped in the middle goes on to the same table`() throws {
        let whole = try withBlocks { connection in
            _ = try execute(connection, size: 1000)
            return try table(connection)
        }
        try withBlocks { connection in
            var remainingStops = 3
            while true {
                let stop = StopFlag()
                var transactions = 0
                let summary = try execute(
                    connection, size: 30, stop: stop,
                    progress: { _ in
                        transactions += 1
                        if remainingStops > 0, transactions == 2 { stop.set() }
                    })
                if summary.isComplete { break }
                remainingStops -= 1
                #expect(summary.writtenCount == 60)
            }
            #expect(remainingStops == 0)
            #expect(try table(connection) == whole)
            let again = try execute(connection)
            #expect(again.writtenCount == 0 && again.resumedCount == Int64(whole.count) && again.isComplete)
            #expect(try table(connection) == whole)
        }
    }

    @Test func `another seed or number is refused, and replace starts over`() throws {
        try withBlocks { connection in
            let stop = StopFlag()
            _ = try execute(connection, seed: 11, stop: stop, progress: { _ in stop.set() })
            let written = try table(connection)
            #expect(
                errorText { _ = try execute(connection, seed: 12) }
                    == "the executions of 2024-11-14 were drawn with seed 11; give the same, or start over with "
                    + "--replace")
            #expect(errorText { _ = try execute(connection, seed: 11, count: 200) }.contains("seed 11"))
            #expect(try table(connection) == written)
            let summary = try execute(connection, seed: 12, count: 200, change: { $0.replace = true })
            #expect(summary.writtenCount == 200 && summary.resumedCount == 0)
            #expect(try connection.number("SELECT count(*) FROM trades.executions") == 200)
        }
    }

    @Test func `an impossible number is refused before anything is written or deleted`() throws {
        try withBlocks { connection in
            let first = errorText { _ = try execute(connection, count: 5) }
            #expect(first.hasPrefix("executions: \"5\": expected 111 to 1101"), "\(first)")
            #expect(try connection.number("SELECT count(*) FROM trades.drawings") == 0)
            _ = try execute(connection, count: 200)
            let written = try table(connection)
            #expect(
                errorText { _ = try execute(connection, count: 5, change: { $0.replace = true }) }.contains("\"5\""))
            #expect(try table(connection) == written)
            #expect(try execute(connection, count: 200).resumedCount == 200)
        }
    }

    @Test func `a day drawn between the parts of another takes none of its ids`() throws {
        let nextDay = tradingDay.advanced(by: 1)
        try withBlocks { connection in
            try connection.addBlock(9, accounts: [3_000], on: nextDay)
            try connection.addPrice(9, on: nextDay, open: "10")
            let stop = StopFlag()
            _ = try execute(connection, stop: stop, progress: { _ in stop.set() })
            let other = try execute(connection, change: { $0.date = nextDay })
            #expect(other.firstExecution == ExecutionID(51) && other.isComplete)
            #expect(try execute(connection).isComplete)
            #expect(
                try connection.lines(
                    "SELECT block_order_id, sum(quantity) FROM trades.executions GROUP BY 1 ORDER BY 1")
                    == ["1 20000", "2 35000", "3 40", "9 3000"])
        }
    }

    // MARK: Busts, replaces and cancels

    @Test func `reports, requests and outcomes agree, and tell what the summary counts`() throws {
        try withManyBlocks { connection in
            let summary = try execute(connection, change: corrected)
            let written = summary.written
            #expect(summary.isComplete && summary.writtenCount == written.reports)
            #expect(
                try connection.lines(
                    "SELECT exec_type, count(*) FROM trades.executions GROUP BY 1 ORDER BY 1") == [
                        "CANCELED \(written.cancels)", "REPLACED \(written.replaces)", "TRADE \(written.trades)",
                        "TRADE_CANCEL \(written.busts)",
                    ])
            #expect(
                try connection.lines(
                    "SELECT outcome, count(*), bool_and((reason = '') = (outcome = 'ACCEPTED')) FROM trades.order_requests GROUP BY 1 ORDER BY 1"
                ) == ["ACCEPTED \(written.cancels + written.replaces) t", "REJECTED \(written.rejectedRequests) t"])
            // Where every block stands follows from its live executions and its latest change.
            let states = """
                SELECT b.block_order_id, CASE WHEN bool_or(e.exec_type = 'CANCELED') THEN 'CANCELED' ELSE 'FILLED' END,
                       max(e.order_version),
                       (SELECT order_quantity FROM trades.executions AS l WHERE l.block_order_id = b.block_order_id
                        ORDER BY l.execution_id DESC LIMIT 1),
                       coalesce(sum(e.quantity) FILTER (WHERE t.execution_id IS NULL), 0)::INT8, 0,
                       coalesce(round(sum(e.quantity * e.price) FILTER (WHERE t.execution_id IS NULL)
                                      / sum(e.quantity) FILTER (WHERE t.execution_id IS NULL AND e.quantity > 0), 4), 0.0000)
                FROM orders.block_orders AS b
                JOIN trades.executions AS e ON e.block_order_id = b.block_order_id
                LEFT JOIN (SELECT DISTINCT exec_ref_id AS execution_id FROM trades.executions) AS t
                  ON t.execution_id = e.execution_id
                GROUP BY b.block_order_id ORDER BY 1
                """
            let outcomes = "SELECT * FROM trades.block_outcomes ORDER BY block_order_id"
            #expect(try connection.lines(states) == connection.lines(outcomes))
            #expect(
                try connection.number(
                    "SELECT count(*) FROM trades.block_outcomes WHERE ord_status = 'FILLED' AND cum_quantity <> order_quantity"
                ) == 0)
        }
    }

    @Test func `busts name executions, replaces keep what is filled, and a rejected request has no report`() throws {
        try withManyBlocks { connection in
            _ = try execute(connection, change: corrected)
            for (what, sql) in [
                (
                    "busts of no earlier execution of the block, but for numbers that nothing has",
                    """
                    SELECT count(*) FROM trades.executions AS b
                    LEFT JOIN trades.executions AS t ON t.execution_id = b.exec_ref_id AND t.exec_type = 'TRADE'
                      AND t.block_order_id = b.block_order_id AND t.execution_id < b.execution_id
                    WHERE b.exec_type = 'TRADE_CANCEL' AND t.execution_id IS NULL AND b.exec_ref_id < 4611686018427387904
                    """
                ),
                (
                    "requests that lack their report, or have one that they shouldn't have",
                    """
                    SELECT count(*) FROM trades.order_requests AS r
                    LEFT JOIN trades.executions AS e ON e.execution_id = r.request_id
                    WHERE (r.outcome = 'ACCEPTED')
                      <> coalesce(e.exec_type = CASE r.request_type WHEN 'CANCEL' THEN 'CANCELED' ELSE 'REPLACED' END
                                  AND e.order_quantity = r.requested_quantity, false)
                    """
                ),
                (
                    "requests decided wrongly",
                    """
                    SELECT count(*) FROM trades.order_requests
                    WHERE (outcome = 'REJECTED') <> (requested_quantity < cum_quantity)
                    """
                ),
                (
                    "times that go back",
                    """
                    SELECT count(*) FROM (
                      SELECT executed_at < lag(executed_at) OVER (ORDER BY execution_id) AS goes_back FROM trades.executions
                    ) AS e WHERE goes_back
                    """
                ),
            ] {
                #expect(try connection.number(sql) == 0, "\(what)")
            }
            #expect(
                try connection.number("SELECT count(*) FROM trades.executions WHERE exec_ref_id >= 1::INT8 << 62") > 0)
            #expect(try connection.number("SELECT count(*) FROM trades.order_requests WHERE outcome = 'REJECTED'") > 0)
        }
    }

    @Test func `a drawing with corrections goes on after any transaction, another day between, to the same events`()
        throws
    {
        let seed = UInt64.random(in: 0...UInt64.max)
        let whole = try withManyBlocks { connection in
            _ = try execute(connection, seed: seed, size: 10_000, change: corrected)
            return try everything(connection)
        }
        var random = SeededRandom(seed: seed)
        try withManyBlocks { connection in
            // Keys of another day, taken between two parts, don't get into this day's references.
            let nextDay = tradingDay.advanced(by: 1)
            try connection.addBlock(900, accounts: [3_000], on: nextDay)
            try connection.addPrice(900, on: nextDay, open: "10")
            var resumedCount: Int64 = 0
            var parts = 0
            while true {
                let stop = StopFlag()
                let summary = try execute(
                    connection, seed: seed, size: Int(random.integer(in: 1...400)), stop: stop,
                    change: corrected, progress: { _ in stop.set() })
                #expect(summary.resumedCount == resumedCount, "seed \(seed)")
                resumedCount += summary.writtenCount
                parts += 1
                if parts == 3 { _ = try execute(connection, seed: seed, change: { $0.date = nextDay }) }
                if summary.isComplete { break }
                #expect(
                    try connection.number("SELECT count(*) FROM trades.block_outcomes WHERE block_order_id < 900") == 0)
            }
            #expect(try everything(connection) == whole, "seed \(seed)")
            let again = try execute(connection, seed: seed, change: corrected)
            #expect(again.isComplete && again.writtenCount == 0 && again.resumedCount == resumedCount, "seed \(seed)")
            #expect(try everything(connection) == whole, "seed \(seed)")
        }
    }

    @Test func `other chances are refused as another seed is, and replace forgets requests and outcomes, too`() throws {
        try withManyBlocks { connection in
            _ = try execute(connection, change: corrected)
            let before = try everything(connection)
            #expect(
                errorText { _ = try execute(connection, change: { $0.bustPpm = 12_500 }) }
                    == "the executions of 2024-11-14 were drawn with seed 11, busts 0.1, replaces 0.5 and cancels 0.3; "
                    + "give the same, or start over with --replace")
            for change in [
                { $0.cancelPpm = 299_999 }, { $0.replacePpm = 0 }, { $0.bustPpm = 1_000_000 },
            ] as [(inout ExecutionPlan) -> Void] {
                let text = errorText {
                    _ = try execute(
                        connection,
                        change: {
                            corrected(&$0)
                            change(&$0)
                        })
                }
                #expect(text.contains("replaces 0.5"), "\(text)")
            }
            #expect(try everything(connection) == before)
            let plain = try execute(connection, change: { $0.replace = true })
            #expect(plain.isComplete && plain.written.trades == plain.writtenCount)
            #expect(try connection.number("SELECT count(*) FROM trades.order_requests") == 0)
            #expect(
                try connection.lines("SELECT DISTINCT ord_status, order_version FROM trades.block_outcomes")
                    == ["FILLED 0"])
            try TradesStore.truncate(on: connection)
            #expect(try connection.number("SELECT count(*) FROM trades.block_outcomes") == 0)
        }
    }

    @Test func `millionths are told as decimals`() {
        let texts = ([0, 1, 50_000, 12_500, 999_999, 1_000_000] as [Int64]).map(TradesStore.decimal)
        #expect(texts == ["0", "0.000001", "0.05", "0.0125", "0.999999", "1"])
    }

    // MARK: Refusals and rates

    @Test func `a date without block orders names the remedy`() throws {
        try withStages { _, connection in
            #expect(
                errorText { _ = try execute(connection) }
                    == "2024-11-14 has no block orders; route the date first: allocbench route --date 2024-11-14")
        }
    }

    @Test func `a rate is kept`() throws {
        try withBlocks { connection in
            let began = monotonicNow()
            let summary = try execute(
                connection, count: 200, size: 10, change: { $0.schedule = .uniform(ratePerSecond: 400) })
            let elapsedMs = (monotonicNow() - began) / 1_000_000
            #expect(summary.writtenCount == 200)
            // The last execution is due after 199 others: 497.5 ms.
            #expect(elapsedMs >= 497 && elapsedMs < 1_500, "\(elapsedMs) ms")
            let figures = summary.figures
            #expect(figures.scheduleLag.count == 200 && figures.scheduleLag.min >= 0)
            #expect(figures.dueToBegun.count == 200 && figures.dueToBegun.max >= figures.scheduleLag.max)
            #expect(figures.dueToCommitted.count == 200 && figures.dueToCommitted.max > figures.dueToBegun.max)
            #expect(figures.transactionCount >= 20 && figures.transactionCount <= 200)
            #expect(figures.transactionLatency.count == figures.transactionCount)
            #expect(figures.elapsedNanoseconds / 1_000_000 <= elapsedMs)
        }
    }

    @Test func `an execution that waits for a slow commit is late, and the executor isn't`() {
        var figures = ExecutionFigures()
        figures.startTime = 1_000
        figures.noteTransaction(dues: [1_000], began: 1_010, committed: 51_000)
        // Due while the first was being committed: 20 late by the executor's fault, and the rest by the database's.
        figures.noteTransaction(dues: [2_000, 3_000], began: 51_020, committed: 61_000)
        // Due after the commit before.
        figures.noteTransaction(dues: [70_000], began: 70_005, committed: 71_000)
        #expect(figures.scheduleLag.count == 4 && figures.scheduleLag.min == 5 && figures.scheduleLag.max == 20)
        #expect(figures.dueToBegun.count == 4 && figures.dueToBegun.max == 49_020)
        #expect(figures.dueToCommitted.count == 4 && figures.dueToCommitted.max == 59_000)
        #expect(figures.dueToCommitted.min == 1_000)
        #expect(figures.transactionCount == 3 && figures.transactionLatency.max == 49_990)
        #expect(figures.lastCommitTime == 71_000)
        figures.noteTransaction(dues: [], began: 80_000, committed: 81_000)
        #expect(figures.scheduleLag.count == 4 && figures.transactionCount == 4)
    }

    @Test func `only executions that are due within the window count in the executor's lateness`() {
        let plan = WindowPlan(warmUp: .nanoseconds(10_000), measured: .nanoseconds(5_000))
        let window = MeasuredWindow(plan: plan, schedule: .uniform(ratePerSecond: 1_000_000))
        window.begin(at: 1_000)
        var figures = ExecutionFigures()
        figures.noteTransaction(dues: [1_000, 10_999], began: 11_000, committed: 20_000, window: window)
        #expect(figures.scheduleLag.count == 0 && figures.dueToBegun.count == 0)
        // A slow commit before the window still isn't the executor's lag in it.
        figures.noteTransaction(dues: [11_000, 15_999, 16_000], began: 20_007, committed: 30_000, window: window)
        #expect(figures.scheduleLag.count == 2 && figures.scheduleLag.max == 7)
        #expect(figures.dueToCommitted.count == 2 && figures.dueToCommitted.max == 19_000)
        #expect(figures.transactionCount == 2)
    }

    @Test func `the first executions of a drawing are the same, whether the rest is written or not`() throws {
        try withBlocks { connection in
            let rates: (inout ExecutionPlan) -> Void = {
                ($0.bustPpm, $0.replacePpm, $0.cancelPpm) = (100_000, 300_000, 300_000)
            }
            _ = try execute(connection, count: 200, change: rates)
            let all = try table(connection)
            for drawsAhead in [false, true] {
                try TradesStore.truncate(on: connection)
                let part = try execute(connection, count: 200, size: 7) { plan in
                    rates(&plan)
                    (plan.limit, plan.drawsAhead) = (60, drawsAhead)
                }
                #expect(part.writtenCount == 60 && !part.isComplete)
                #expect(try table(connection) == Array(all.prefix(60)))
                let rest = try execute(connection, count: 200, change: rates)
                #expect(rest.resumedCount == 60 && rest.isComplete)
                #expect(try table(connection) == all)
            }
        }
    }

    @Test func `a slow rate doesn't keep a stop waiting`() throws {
        try withBlocks { connection in
            let stop = StopFlag()
            let began = monotonicNow()
            let summary = try execute(
                connection, size: 10, stop: stop, change: { $0.schedule = .uniform(ratePerSecond: 0.01) }
            ) { _ in stop.set() }
            #expect(summary.writtenCount == 1 && !summary.isComplete)
            #expect(monotonicNow() - began < 50_000_000_000)
        }
    }

    @Test func `a time of the session is written as the tables read it`() {
        #expect(TradesStore.timeOfDay(0) == "14:30:00.000000")
        #expect(TradesStore.timeOfDay(1) == "14:30:00.000001")
        #expect(TradesStore.timeOfDay(ExecutionDraw.sessionLengthUs - 1) == "20:59:59.999999")
    }
}
