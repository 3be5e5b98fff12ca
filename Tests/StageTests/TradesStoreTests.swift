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
            let summary = try execute(connection, count: 200, size: 10, change: { $0.ratePerSecond = 400 })
            let elapsedMs = (monotonicNow() - began) / 1_000_000
            #expect(summary.writtenCount == 200)
            // The last of 20 transactions is due after 190 executions: 475 ms.
            #expect(elapsedMs >= 475 && elapsedMs < 1_500, "\(elapsedMs) ms")
        }
    }

    @Test func `a slow rate doesn't keep a stop waiting`() throws {
        try withBlocks { connection in
            let stop = StopFlag()
            let began = monotonicNow()
            let summary = try execute(connection, size: 10, stop: stop, change: { $0.ratePerSecond = 0.01 }) { _ in
                stop.set()
            }
            #expect(summary.writtenCount == 10 && !summary.isComplete)
            #expect(monotonicNow() - began < 2_000_000_000)
        }
    }

    @Test func `a time of the session is written as the tables read it`() {
        #expect(TradesStore.timeOfDay(0) == "14:30:00.000000")
        #expect(TradesStore.timeOfDay(1) == "14:30:00.000001")
        #expect(TradesStore.timeOfDay(ExecutionDraw.sessionLengthUs - 1) == "20:59:59.999999")
    }
}
