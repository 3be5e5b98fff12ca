// Writes drawn executions in transactions of a stated size, at a rate or all at once. Runs on its connection's thread.

import Diagnostics
import Measurement
public import Model
public import Postgres
public import Threads

/// How executions are written.
public struct ExecutionPlan: Sendable {
    public var date: TradeDate
    public var seed: UInt64
    /// The wanted number of executions; nil leaves it to the drawing.
    public var count: Int64?
    /// Executions in one transaction.
    public var transactionSize = 1000
    /// Executions per second; nil writes them as fast as they can be.
    public var ratePerSecond: Double?
    /// Whether to forget the date's executions first.
    public var replace = false

    public init(date: TradeDate, seed: UInt64) {
        self.date = date
        self.seed = seed
    }
}

public enum TradesStore {
    private static let sql = SQLScript(embedded: PackageResources.execute_sql)

    /// Draws and writes until every block order of the date is complete, or until `stop` is set.
    /// Goes on where an interrupted drawing of the same seed stopped.
    /// - Parameter progress: called after every transaction with the executions of the date so far.
    public static func execute(
        _ plan: ExecutionPlan, on connection: PostgresConnection, stop: StopFlag, progress: (Int64) -> Void
    ) throws -> ExecutionSummary {
        let blocks = try fillableBlocks(plan.date, on: connection)
        // Refuses an impossible number before anything is noted or forgotten.
        var draw = try ExecutionDraw(blocks: blocks, seed: plan.seed, count: plan.count)
        let (first, next, written) = try openDrawing(plan, on: connection)
        for _ in 0..<written { _ = draw.next() }

        let schedule = plan.ratePerSecond.map { ArrivalSchedule.uniform(ratePerSecond: $0) } ?? .backlog
        let start = monotonicNow()
        var count = written
        var isComplete = false
        while !stop.isSet && !isComplete {
            let due = schedule.intendedArrival(sequence: count - written, start: start)
            while !stop.isSet, monotonicNow() < due { sleepUntil(monotonic: min(due, monotonicNow() + 50_000_000)) }
            if stop.isSet { break }
            var copied: Int64 = 0
            try connection.begin()
            copied = Int64(
                try connection.copyIn(sql["copy_executions"]) { writer in
                    while copied < plan.transactionSize, let execution = draw.next() {
                        writeRow(execution, id: next + count - written + copied, of: blocks, plan.date, to: &writer)
                        try writer.endRow()
                        copied += 1
                    }
                })
            try connection.commit()
            count += copied
            isComplete = copied < plan.transactionSize
            progress(count)
        }
        return ExecutionSummary(
            writtenCount: count - written, resumedCount: written, firstExecution: ExecutionID(first),
            isComplete: isComplete)
    }

    private static func writeRow(
        _ execution: DrawnExecution, id: Int64, of blocks: [FillableBlock], _ date: TradeDate,
        to writer: inout CopyWriter
    ) {
        let block = blocks[execution.block]
        writer.int64(id)
        writer.int64(block.id.rawValue)
        writer.text(block.code)
        writer.int64(execution.quantity)
        writer.decimal(ticks: execution.price.ticks)
        writer.text("\(date) \(timeOfDay(execution.sessionTimeUs))+00")
    }

    /// 14:30 plus the given microseconds, as `HH:MM:SS.ffffff`.
    static func timeOfDay(_ sessionTimeUs: Int64) -> String {
        let time = sessionTimeUs + (14 * 3600 + 30 * 60) * 1_000_000
        let seconds = time / 1_000_000
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: width - digits.count) + digits
        }
        return padded(seconds / 3600, 2) + ":" + padded(seconds / 60 % 60, 2) + ":" + padded(seconds % 60, 2) + "."
            + padded(time % 1_000_000, 6)
    }

    /// Forgets all executions and how they were drawn.
    public static func truncate(on connection: PostgresConnection) throws { try connection.execute(sql["truncate"]) }

    private static func fillableBlocks(_ date: TradeDate, on connection: PostgresConnection) throws -> [FillableBlock] {
        let result = try connection.query(sql["blocks"], .text(date.description))
        guard result.rowCount > 0 else {
            throw OperatingError(
                "\(date) has no block orders", remedy: "route the date first: allocbench route --date \(date)")
        }
        return (0..<result.rowCount).map { row in
            FillableBlock(
                id: BlockOrderID(result.int64(row, 0)), code: result.text(row, 1) ?? "", quantity: result.int64(row, 2),
                low: Price(ticks: result.int64(row, 3)), high: Price(ticks: result.int64(row, 4)))
        }
    }

    /// Notes how the date is drawn, or finds what was noted and how far it came.
    /// - Returns: the first execution of the date, the next one to write, and how many are written. Another date may have
    ///   been drawn since this one was interrupted, so the next is not always the first plus those written.
    private static func openDrawing(
        _ plan: ExecutionPlan, on connection: PostgresConnection
    ) throws -> (first: Int64, next: Int64, written: Int64) {
        let date = PostgresValue.text(plan.date.description)
        try connection.begin()
        do {
            if plan.replace {
                try connection.query(sql["delete_executions"], date)
                try connection.query(sql["delete_drawing"], date)
            }
            let known = try connection.query(sql["drawing"], date)
            if known.rowCount == 0 {
                try connection.query(
                    sql["insert_drawing"], date, .int64(Int64(bitPattern: plan.seed)), .int64(plan.count ?? 0))
            } else {
                try requireSameDrawing(plan, seed: UInt64(bitPattern: known.int64(0, 0)), count: known.int64(0, 1))
            }
            let state = try connection.query(sql["drawn"], date)
            try connection.commit()
            return (state.int64(0, 0), state.int64(0, 1), state.int64(0, 2))
        } catch {
            // The rollback's own failure would only hide what went wrong first.
            try? connection.rollback()
            throw error
        }
    }

    private static func requireSameDrawing(_ plan: ExecutionPlan, seed: UInt64, count: Int64) throws {
        guard seed == plan.seed, count == plan.count ?? 0 else {
            let number = count == 0 ? "" : " and count \(count)"
            throw OperatingError(
                "the executions of \(plan.date) were drawn with seed \(seed)\(number)",
                remedy: "give the same, or start over with --replace")
        }
    }
}
