// Stage allocate: every configuration processes the same executions, on fresh tables of the allocations stage.
// Runs on the main thread; the workers have theirs.

import Allocations
import Booking
import Diagnostics
import Holdings
import Measurement
import Model
import Postgres
import Report
import Threads
import Trades

struct AllocateStage: StageRun {
    private let scenario: ScenarioFile
    private let target: Target
    private let stop: StopFlag
    private let orders: SeededOrders
    private let stream: RecordedStream

    /// Seeds, routes, executes and publishes: what the cells have in common. Blocks.
    init(
        _ scenario: ScenarioFile, target: Target, runID: String, stop: StopFlag, say: (String) -> Void
    ) throws {
        self.scenario = scenario
        self.target = target
        self.stop = stop
        let topic = "allocbench.\(runID).executions"
        orders = try SeededOrders.make(scenario, topic: topic, target: target, stop: stop, say: say)
        stream = try RecordedStream.record(
            orders, of: scenario, topic: topic, target: target, stop: stop, say: say)
    }

    var fingerprint: String { stream.fingerprint }

    var brokerEntries: [Manifest.Entry] {
        stream.topics.flatMap { topic in
            let shape = "\(topic.ends.count) partitions keyed by \(topic.key.rawValue)"
            return [Manifest.Entry("messages in \(shape)", String(topic.messageCount))]
        }
    }

    func close() { stream.deleteTopics(target: target) }

    func run(
        _ cell: Cell, orderIndex: Int, progress: @escaping @Sendable (CellProgress) -> Void
    ) throws -> CellOutcome {
        guard case .allocate(let configuration) = cell.competitor else {
            preconditionFailure("stage allocate runs configurations of its own")
        }
        let topic = stream.topic(for: configuration)
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        let tables = try CellTables.prepare(topic, target: target, on: connection)
        guard let kafka = target.kafka else { throw OperatingError("a run needs a broker") }
        var plan = WorkerPlan(
            connection: target.connection, kafka: kafka, topic: topic.topic, partitions: topic.partitions,
            configuration: configuration, book: try AllocationsSource.book(on: connection))
        plan.endOffsets = topic.ends
        plan.schedule = scenario.arrivals
        plan.firstExecution = stream.execution.firstExecution
        plan.seed = scenario.seed &+ UInt64(cell.repetition)

        let usage = UsageMeter(target)
        let result = try drainAndBook(plan)
        let resources = usage.finish()
        try requireNotStopped(stop)

        var row = RunRow(
            scenario: scenario.name, competitor: cell.competitor, repetition: cell.repetition, orderIndex: orderIndex,
            partitions: topic.ends.count, load: scenario.loadSummary)
        row.resources = resources
        row.executions = stream.execution.writtenCount
        row.waitingBusts = try AllocationsVerification.waitingBustCount(on: connection)
        row.fill(from: result)
        var outcome = CellOutcome(row: row)
        outcome.checks = try tables.verify(ends: try target.completeTopicEnds(topic.topic), on: connection)
        outcome.finalTables = try AllocationsVerification.checksums(on: connection)
        outcome.add(result, key: cell.key)
        return outcome
    }

    /// Runs the workers of a cell with its booking workers beside them; with none of those, one books what they left.
    private func drainAndBook(_ plan: WorkerPlan) throws -> DrainResult {
        var bookings = BookingPlan(connection: target.connection, workers: plan.configuration.bookingWorkers)
        bookings.seed = plan.seed
        guard bookings.workers == 0 else { return try WorkerPool.run(plan, bookings: bookings, stop: stop) }
        var result = try WorkerPool.run(plan, stop: stop)
        try requireNotStopped(stop)
        bookings.workers = 1
        result.bookings = try BookingPool.run(bookings, stop: stop)
        return result
    }
}

/// The tables of one cell: fresh before it, verified after it.
struct CellTables {
    let topic: String
    /// Of the positions as if nothing had been booked.
    private let positions: String

    /// Empties what the cell before left, so that every cell begins with the same tables and positions.
    static func prepare(_ topic: RecordedTopic, target: Target, on connection: PostgresConnection) throws -> CellTables
    {
        try Schemas.emptyStages(behind: .trades, on: connection)
        let positions = try HoldingsBooking.unbookedPositionsDigest(on: connection)
        try AllocationsSource.receive(on: connection, topic: topic.topic, partitions: topic.ends.count)
        // A checkpoint in the middle of one configuration and not of the next would be measured as theirs.
        if target.services != nil { try connection.execute("CHECKPOINT") }
        return CellTables(topic: topic.topic, positions: positions)
    }

    func verify(ends: [Int32: Int64], on connection: PostgresConnection) throws -> [CheckResult] {
        let checks = try Verifier.verify(on: connection, topic: topic, topicEnds: ends)
        let now = try HoldingsBooking.unbookedPositionsDigest(on: connection)
        let difference = CheckResult.Difference(
            subject: "positions less what was booked", expected: positions, actual: now)
        return checks + [
            CheckResult(
                name: "positions_differ_from_movements", differenceCount: positions == now ? 0 : 1,
                first: positions == now ? [] : [difference])
        ]
    }
}

extension ScenarioFile {
    var loadSummary: LoadSummary {
        switch load {
        case .backlog: LoadSummary(model: "backlog", through: "topic")
        case .open(let open):
            LoadSummary(
                model: "open", through: open.through.rawValue, offeredRatePerSecond: open.schedule.ratePerSecond)
        case .search(let search): LoadSummary(model: "search", through: search.through.rawValue)
        }
    }
}

extension RunRow {
    /// Takes what the workers and the booking workers measured.
    fileprivate mutating func fill(from result: DrainResult) {
        let figures = result.figures
        elapsedNanoseconds = result.elapsedNanoseconds
        timeToVisible = LatencySummary(figures.timeToVisible)
        transactionLatency = LatencySummary(figures.transactionLatency)
        transactions.committed = figures.transactionCount
        transactions.retries = figures.retryCount
        transactions.retriedMessages = figures.retriedMessageCount
        transactions.ambiguous = figures.ambiguousCount
        transactions.reconnects = figures.reconnectCount
        duplicates = figures.duplicateCount
        snapshots = figures.snapshotCount
        booking = result.bookings.map { bookings in
            BookingSummary(
                blocks: bookings.figures.bookedBlockCount, accounts: bookings.figures.accountBookingCount,
                latency: LatencySummary(bookings.figures.latency),
                // Beside the drain it begins with the drain, though its workers are connected before.
                elapsedNanoseconds: bookings.elapsedNanoseconds(since: max(result.startTime, bookings.startTime)))
        }
    }
}

extension CellOutcome {
    /// Adds the rows of latency.csv, retries.csv and the others that the workers measured for.
    fileprivate mutating func add(_ result: DrainResult, key: RunKey) {
        latencies = [
            (.timeToVisible, result.figures.timeToVisible), (.transactionLatency, result.figures.transactionLatency),
        ]
        if let bookings = result.bookings { latencies.append((.allocatedToBooked, bookings.figures.latency)) }
    }
}
