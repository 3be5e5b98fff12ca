// Writes drawn executions in transactions of a stated size, at a rate or all at once. Runs on its connection's thread.

import Diagnostics
public import Measurement
public import Model
public import Postgres
public import Threads

/// How executions are written.
public struct ExecutionPlan: Sendable {
    public var date: TradeDate
    public var seed: UInt64
    /// The wanted number of executions; nil leaves it to the drawing. Busts, replaces and cancels change what comes out of
    /// it, as `ExecutionDraw` says.
    public var count: Int64?
    /// Chances in millionths: of a trade to be busted, and of a block order to be replaced and to be canceled.
    public var bustPpm: Int64 = 0
    public var replacePpm: Int64 = 0
    public var cancelPpm: Int64 = 0
    /// The first so many execution reports of the drawing; nil writes all of them. What is left out can be written later.
    public var limit: Int64?
    /// Execution reports in one transaction; at most so many where they are written on a schedule.
    public var transactionSize = 1000
    /// When each execution is meant to be written, by its place in the drawing from where this writing begins. A transaction
    /// takes everything that is due when it begins.
    public var schedule = ArrivalSchedule.backlog
    /// Which executions count in the figures of lateness, by their intended arrivals; nil for all. It begins with the schedule.
    public var window: MeasuredWindow?
    /// Whether everything is drawn before the first transaction begins. On a schedule it always is, so that no drawing
    /// stands between an execution and its time; it takes 72 bytes for each.
    public var drawsAhead = false
    /// Whether to forget the date's executions first.
    public var replace = false

    public init(date: TradeDate, seed: UInt64) {
        self.date = date
        self.seed = seed
    }

    var rates: EventRates { EventRates(bustPpm: bustPpm, replacePpm: replacePpm, cancelPpm: cancelPpm) }
}

/// How writing goes on behind a lost connection. What was committed is looked up; what wasn't is written again.
public struct ExecutionRecovery {
    /// Connects again, or throws.
    public var reconnect: (PostgresError) throws -> PostgresConnection
    /// Takes the number of execution reports whose commit was answered, and that the tables don't have any more.
    public var onLost: (Int64) -> Void

    public init(
        reconnect: @escaping (PostgresError) throws -> PostgresConnection, onLost: @escaping (Int64) -> Void
    ) {
        self.reconnect = reconnect
        self.onLost = onLost
    }
}

public enum TradesStore {
    private static let sql = SQLScript(embedded: PackageResources.execute_sql)

    /// Draws and writes until every block order of the date is filled or canceled, the limit is reached, or `stop` is set.
    /// Goes on where an interrupted drawing of the same seed and rates stopped.
    /// - Parameters:
    ///   - start: called once everything is ready: the time from which the schedule counts, or nil to write nothing.
    ///   - recovery: how to go on behind a lost connection; nil to fail.
    ///   - progress: called after every transaction with the execution reports of the date so far.
    public static func execute(
        _ plan: ExecutionPlan, on connection: PostgresConnection, stop: StopFlag,
        onReplace: (PostgresConnection) throws -> Void = { _ in }, start: () -> Int64? = { monotonicNow() },
        recovery: ExecutionRecovery? = nil, progress: (Int64) -> Void
    ) throws -> ExecutionSummary {
        let blocks = try fillableBlocks(plan.date, on: connection)
        // Refuses an impossible number before anything is noted or forgotten.
        let draw = try ExecutionDraw(blocks: blocks, seed: plan.seed, count: plan.count, rates: plan.rates)
        let keys = try openDrawing(plan, on: connection, onReplace: onReplace)
        let beginning = remaining(draw, of: plan, behind: keys.count, firstSequence: 0)
        var events = beginning.events
        let resumed = beginning.standing

        var figures = ExecutionFigures()
        var written = EventCounts()
        if let start = start() {
            figures.startTime = start
            plan.window?.begin(at: start)
            var writer = ExecutionWriter(plan: plan, blocks: blocks, keys: keys, connection: connection)
            while !stop.isSet && !events.isAtEnd {
                if !plan.schedule.isBacklog {
                    let due = plan.schedule.intendedArrival(sequence: events.nextSequence, start: start)
                    while !stop.isSet, monotonicNow() < due {
                        sleepUntil(monotonic: min(due, monotonicNow() + 50_000_000))
                    }
                    if stop.isSet { break }
                }
                do {
                    written.add(try writer.writeTransaction(from: &events, &figures))
                } catch let error as PostgresError where error.isConnectionLost || error.isAmbiguous {
                    guard let recovery else { throw error }
                    // The tables say what is committed, whatever was answered or not.
                    let connection = try recovery.reconnect(error)
                    var plan = plan
                    plan.replace = false
                    let standing = try openDrawing(plan, on: connection, onReplace: { _ in })
                    let rest = remaining(
                        draw, of: plan, behind: standing.count, firstSequence: standing.count - keys.count)
                    events = rest.events
                    figures.resumedTime = monotonicNow()
                    let now = rest.standing.subtracting(resumed)
                    recovery.onLost(max(0, written.reports - now.reports))
                    written = now
                    writer = ExecutionWriter(plan: plan, blocks: blocks, keys: standing, connection: connection)
                }
                progress(resumed.reports + written.reports)
            }
        }
        return ExecutionSummary(
            written: written, resumedCount: resumed.reports, firstExecution: keys.execution(0),
            isComplete: events.isFinished, figures: figures)
    }

    /// The events behind the first `count` of a drawing, and how many of each kind those are.
    private static func remaining(
        _ draw: ExecutionDraw, of plan: ExecutionPlan, behind count: Int64, firstSequence: Int64
    ) -> (events: EventQueue, standing: EventCounts) {
        var draw = draw
        var standing = EventCounts()
        for _ in 0..<count { if let event = draw.next() { standing.note(event) } }
        let events = EventQueue(
            draw, reportLimit: plan.limit.map { max(0, $0 - standing.reports) },
            drawsAhead: plan.drawsAhead || !plan.schedule.isBacklog, firstSequence: firstSequence)
        return (events, standing)
    }

    /// What one call of `execute` writes, and where to.
    private struct ExecutionWriter {
        let plan: ExecutionPlan
        let blocks: [FillableBlock]
        let keys: DrawnKeys
        let connection: PostgresConnection

        /// Writes the next reports, and again when a CockroachDB asks for it: there reads of others, such as a change feed's,
        /// may break a transaction off. On PostgreSQL nothing does, so that no drawing is kept for a second time.
        func writeTransaction(from events: inout EventQueue, _ figures: inout ExecutionFigures) throws -> EventCounts {
            guard connection.dialect == .cockroachdb else { return try writeOnce(from: &events, &figures) }
            let retry = RetryPolicy()
            var attempt = 1
            while true {
                var rest = events
                do {
                    let counts = try writeOnce(from: &rest, &figures)
                    events = rest
                    return counts
                } catch let error as PostgresError
                    where error.isRetryable && !error.isConnectionLost && attempt < retry.maxAttempts
                {
                    sleepThread(for: retry.delay(attempt: attempt, jitter: Double.random(in: 0..<1)))
                    attempt += 1
                }
            }
        }

        /// One transaction: the next reports, with the requests between them; after the last one how each block ended.
        private func writeOnce(
            from events: inout EventQueue, _ figures: inout ExecutionFigures
        ) throws -> EventCounts {
            let began = monotonicNow()
            var counts = EventCounts()
            // One COPY at a time goes through a connection, so requests wait until the reports are through.
            var requests: [DrawnEvent] = []
            var dues: [Int64] = []
            try connection.begin()
            do {
                try connection.copyIn(sql["copy_executions"]) { writer in
                    while counts.reports < plan.transactionSize {
                        let due = plan.schedule.intendedArrival(
                            sequence: events.nextSequence, start: figures.startTime)
                        guard due <= began, let event = events.next() else { break }
                        counts.note(event)
                        if event.isRequestAnswer { requests.append(event) }
                        guard let execution = event.execution(of: blocks, id: keys.execution) else { continue }
                        if !plan.schedule.isBacklog { dues.append(due) }
                        write(execution, of: blocks[event.block], at: time(event, plan.date), to: &writer)
                        try writer.endRow()
                    }
                }
                if !requests.isEmpty {
                    try connection.copyIn(sql["copy_order_requests"]) { writer in
                        for event in requests {
                            write(event, of: blocks[event.block], keys, at: time(event, plan.date), to: &writer)
                            try writer.endRow()
                        }
                    }
                }
                if events.isFinished {
                    try connection.copyIn(sql["copy_block_outcomes"]) { writer in
                        for (block, outcome) in zip(blocks, events.outcomes) {
                            write(outcome, of: block, to: &writer)
                            try writer.endRow()
                        }
                    }
                }
                try connection.commit()
            } catch {
                // The rollback's own failure would only hide what went wrong first.
                try? connection.rollback()
                throw error
            }
            figures.noteTransaction(dues: dues, began: began, committed: monotonicNow(), window: plan.window)
            return counts
        }
    }

    private static func write(
        _ execution: Execution, of block: FillableBlock, at time: String, to writer: inout CopyWriter
    ) {
        writer.int64(execution.id.rawValue)
        writer.text(execution.type.word)
        if let reference = execution.reference { writer.int64(reference.rawValue) } else { writer.null() }
        writer.int64(block.id.rawValue)
        writer.text(block.code)
        writer.int64(execution.orderVersion)
        writer.int64(execution.orderQuantity)
        writer.int64(execution.quantity)
        writer.decimal(ticks: execution.price.ticks)
        writer.text(time)
    }

    /// The request that a cancel or replace accepts, or that is rejected.
    private static func write(
        _ answer: DrawnEvent, of block: FillableBlock, _ keys: DrawnKeys, at time: String,
        to writer: inout CopyWriter
    ) {
        var quantity = answer.orderQuantity
        var reason = ""
        if case .replaceRejected(let requested) = answer.kind {
            quantity = requested
            reason = "the requested quantity is below what is filled"
        }
        writer.int64(keys.execution(answer.ordinal).rawValue)
        writer.int64(block.id.rawValue)
        writer.text(answer.kind == .canceled ? "CANCEL" : "REPLACE")
        writer.int64(quantity)
        writer.int64(answer.cumQuantity)
        writer.text(reason.isEmpty ? "ACCEPTED" : "REJECTED")
        writer.text(reason)
        writer.text(time)
    }

    private static func write(_ outcome: BlockOutcome, of block: FillableBlock, to writer: inout CopyWriter) {
        writer.int64(block.id.rawValue)
        writer.text(outcome.ordStatus.rawValue)
        writer.int64(outcome.orderVersion)
        writer.int64(outcome.orderQuantity)
        writer.int64(outcome.cumQuantity)
        writer.int64(outcome.leavesQuantity)
        writer.decimal(ticks: outcome.averagePrice.ticks)
    }

    private static func time(_ event: DrawnEvent, _ date: TradeDate) -> String {
        "\(date) \(timeOfDay(event.sessionTimeUs))+00"
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

    /// A digest of all executions, their number before it: the same for the same rows, whoever wrote them and when.
    public static func checksum(on connection: PostgresConnection) throws -> String {
        var digest = RowDigest()
        try connection.copyOut("COPY (\(sql.fragment("all_executions"))) TO STDOUT") { digest.add(row: $0) }
        return digest.description
    }

    private static func fillableBlocks(_ date: TradeDate, on connection: PostgresConnection) throws -> [FillableBlock] {
        let result = try connection.query(sql["blocks"], .text(date.description))
        guard result.rowCount > 0 else {
            throw OperatingError(
                "\(date) has no block orders", remedy: "route the date first: allocbench route --date \(date)")
        }
        return (0..<result.rowCount).map { row in
            FillableBlock(
                id: BlockOrderID(result.int64(row, 0)), code: result.text(row, 1) ?? "",
                side: result.text(row, 2) == Side.sell.rawValue ? .sell : .buy, quantity: result.int64(row, 3),
                low: Price(ticks: result.int64(row, 4)), high: Price(ticks: result.int64(row, 5)))
        }
    }

    /// Notes how the date is drawn, or finds what was noted and how far it came.
    private static func openDrawing(
        _ plan: ExecutionPlan, on connection: PostgresConnection, onReplace: (PostgresConnection) throws -> Void
    ) throws -> DrawnKeys {
        let date = PostgresValue.text(plan.date.description)
        try connection.begin()
        do {
            if plan.replace {
                for statement in ["delete_executions", "delete_order_requests", "delete_outcomes", "delete_drawing"] {
                    try connection.query(sql[statement], date)
                }
                try onReplace(connection)
            }
            let known = try connection.query(sql["drawing"], date)
            if known.rowCount == 0 {
                try connection.query(
                    sql["insert_drawing"], date, .int64(Int64(bitPattern: plan.seed)), .int64(plan.count ?? 0),
                    .int64(plan.bustPpm), .int64(plan.replacePpm), .int64(plan.cancelPpm))
            } else {
                let rates = EventRates(
                    bustPpm: known.int64(0, 2), replacePpm: known.int64(0, 3), cancelPpm: known.int64(0, 4))
                try requireSameDrawing(
                    plan, seed: UInt64(bitPattern: known.int64(0, 0)), count: known.int64(0, 1), rates: rates)
            }
            let runs = try connection.query(sql["drawn_runs"], date)
            let next = try connection.query(sql["next_id"]).int64(0, 0)
            try connection.commit()
            return DrawnKeys(
                runs: (0..<runs.rowCount).map { (id: runs.int64($0, 0), count: runs.int64($0, 1)) }, next: next)
        } catch {
            // The rollback's own failure would only hide what went wrong first.
            try? connection.rollback()
            throw error
        }
    }

    private static func requireSameDrawing(
        _ plan: ExecutionPlan, seed: UInt64, count: Int64, rates: EventRates
    ) throws {
        guard seed == plan.seed, count == plan.count ?? 0, rates == plan.rates else {
            var drawn = ["seed \(seed)"]
            if count != 0 { drawn.append("count \(count)") }
            if rates != .none || plan.rates != .none {
                drawn += [("busts", rates.bustPpm), ("replaces", rates.replacePpm), ("cancels", rates.cancelPpm)].map {
                    "\($0.0) \(decimal(ppm: $0.1))"
                }
            }
            let list =
                drawn.count == 1 ? drawn[0] : drawn.dropLast().joined(separator: ", ") + " and \(drawn.last ?? "")"
            throw OperatingError(
                "the executions of \(plan.date) were drawn with \(list)",
                remedy: "give the same, or start over with --replace")
        }
    }

    /// Millionths as a decimal without zeros at its end: 50,000 is `0.05`.
    static func decimal(ppm: Int64) -> String {
        let digits = String(ppm % 1_000_000)
        var decimals = Substring(String(repeating: "0", count: 6 - digits.count) + digits)
        while decimals.last == "0" { decimals = decimals.dropLast() }
        return decimals.isEmpty ? "\(ppm / 1_000_000)" : "\(ppm / 1_000_000).\(decimals)"
    }
}

/// Which key each event of a date has. Keys follow each other, but for those that another date took while this one was
/// interrupted.
private struct DrawnKeys {
    /// The first event of each run of keys, and its key; the last run is the one to go on with.
    private let runs: [(ordinal: Int64, id: Int64)]
    /// Events that stood in the tables.
    let count: Int64

    init(runs: [(id: Int64, count: Int64)], next: Int64) {
        var count: Int64 = 0
        var starts: [(ordinal: Int64, id: Int64)] = []
        for run in runs {
            starts.append((count, run.id))
            count += run.count
        }
        self.count = count
        starts.append((count, next))
        self.runs = starts
    }

    func execution(_ ordinal: Int64) -> ExecutionID {
        var index = runs.count - 1
        while runs[index].ordinal > ordinal { index -= 1 }
        return ExecutionID(runs[index].id + ordinal - runs[index].ordinal)
    }
}

extension DrawnEvent {
    /// Whether somebody asked for it.
    fileprivate var isRequestAnswer: Bool {
        switch kind {
        case .trade, .bust: false
        case .canceled, .replaced, .replaceRejected: true
        }
    }
}
