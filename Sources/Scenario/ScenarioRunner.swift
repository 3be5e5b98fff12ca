// Runs a scenario: one recorded stream, every configuration on fresh tables, verification after each, results at the end.
// Runs on the main thread; the workers have theirs.

import Allocations
import Booking
import ChangeFeed
import Diagnostics
import Foundation
import Holdings
import Kafka
import Measurement
import Model
import Postgres
public import Report
import Seeding
import Services
public import Threads
import Trades

/// How a run ended.
public struct RunOutcome: Sendable {
    public let rows: [RunRow]
    public let folder: String
    /// Whether every run was verified.
    public let isVerified: Bool
    public let ranking: TerminalTable.Ranking
    /// Of a scenario of routing, whose `rows` are empty.
    public var routingRows: [RoutingRow] = []

    /// What the run ends with on the terminal.
    public var table: String {
        routingRows.isEmpty ? TerminalTable(rows, ranking: ranking).text : RoutingTable(routingRows).text
    }
}

public struct ScenarioRunner {
    let scenario: ScenarioFile
    let target: Target
    let resultsFolder: String
    private let commandLine: [String]
    let stop: StopFlag
    let say: (String) -> Void

    /// - Parameters:
    ///   - resultsFolder: where the run's own folder is made.
    ///   - say: takes progress, a line at a time.
    public init(
        _ scenario: ScenarioFile, target: Target, resultsFolder: String, commandLine: [String], stop: StopFlag,
        say: @escaping (String) -> Void
    ) {
        self.scenario = scenario
        self.target = target
        self.resultsFolder = resultsFolder
        self.commandLine = commandLine
        self.stop = stop
        self.say = say
    }

    /// Blocks until every configuration has run every repetition.
    /// - Throws: what makes the run worthless: a service that fails, a stream that isn't whole. A failed verification is no
    ///   error here: its row says so, and `isVerified`.
    public func run() throws -> RunOutcome {
        let started = Date()
        let runID = Self.runID(scenario.name, at: started)
        let folder = "\(resultsFolder)/\(runID)"
        try prepareDatabase()
        if scenario.stage == .route { return try runRouting(runID: runID, started: started) }
        let topic = "allocbench.\(runID).executions"
        let orders = try SeededOrders.make(scenario, topic: topic, target: target, stop: stop, say: say)
        let stream = try RecordedStream.record(
            orders, of: scenario, topic: topic, target: target, stop: stop, say: say)
        defer { stream.deleteTopics(target: target) }

        var manifest = try manifest(
            started: started, planned: scenario.configurations.count * scenario.repetitions,
            broker: [
                Manifest.Entry("partitions", String(stream.ends.count)),
                Manifest.Entry("messages", String(stream.ends.values.reduce(0, +))),
            ])
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let files = try ResultFiles(folder: folder)
        var rows: [RunRow] = []
        // Final allocations, residuals and bookings are the same for every configuration, or something is wrong.
        var firstTables = FirstTables()
        do {
            for cell in Self.order(scenario) {
                try requireNotStopped(stop)
                let (row, results) = try runCell(
                    cell, stream: stream, orderIndex: rows.count + 1, firstTables: &firstTables)
                try files.append(row, results)
                rows.append(row)
                say(Self.line(row, of: scenario, results))
            }
            manifest.outcome = Manifest.Outcome(.complete, runsFinished: rows.count, runsPlanned: rows.count)
            try files.finish(manifest)
        } catch {
            // What was measured and verified before stays true, and the manifest says that it isn't all.
            manifest.outcome.ending = stop.isSet ? .interrupted : .failed
            manifest.outcome.runsFinished = rows.count
            if (try? files.finish(manifest)) != nil {
                say("\(rows.count) of \(manifest.outcome.runsPlanned) runs were finished; their rows are in \(folder)")
            }
            throw error
        }
        return RunOutcome(
            rows: rows, folder: folder, isVerified: rows.allSatisfy(\.verified),
            ranking: scenario.arrivals == .backlog ? .throughput : .timeToVisibleP99)
    }

    // MARK: Cells

    /// One configuration in one repetition.
    struct Cell: Equatable {
        let configuration: Configuration
        /// From 1.
        let repetition: Int
    }

    /// Every repetition goes through the configurations the other way round (ABBA), so that a drift of the machine
    /// doesn't favour one of them.
    static func order(_ scenario: ScenarioFile) -> [Cell] {
        (1...scenario.repetitions).flatMap { repetition in
            let forward = scenario.configurations.map { Cell(configuration: $0, repetition: repetition) }
            return repetition % 2 == 1 ? forward : forward.reversed()
        }
    }

    private func runCell(
        _ cell: Cell, stream: RecordedStream, orderIndex: Int, firstTables: inout FirstTables
    ) throws -> (RunRow, [CheckResult]) {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        // Every cell begins with empty tables and the same positions.
        try Schemas.emptyStages(behind: .trades, on: connection)
        let positions = try HoldingsBooking.unbookedPositionsDigest(on: connection)
        try AllocationsSource.receive(on: connection, topic: stream.topic, partitions: stream.ends.count)
        // A checkpoint in the middle of one configuration and not of the next would be measured as theirs.
        if target.services != nil { try connection.execute("CHECKPOINT") }
        let book = try AllocationsSource.book(on: connection)
        guard let kafka = target.kafka else { throw OperatingError("a run needs a broker") }
        var plan = WorkerPlan(
            connection: target.connection, kafka: kafka, topic: stream.topic, partitions: stream.partitions,
            configuration: cell.configuration, book: book)
        plan.endOffsets = stream.ends
        plan.schedule = scenario.arrivals
        plan.firstExecution = stream.execution.firstExecution
        plan.seed = scenario.seed &+ UInt64(cell.repetition)

        ProcessUsage.resetOwnPeak()
        let before = (own: ProcessUsage.own(), database: databaseUsage())
        let result = try drainAndBook(plan)
        let after = (own: ProcessUsage.own(), database: databaseUsage())
        try requireNotStopped(stop)
        var checks = try Verifier.verify(
            on: connection, topic: stream.topic, topicEnds: try target.completeTopicEnds(stream.topic))
        let sums = try AllocationsVerification.checksums(on: connection)
        let positionsNow = try HoldingsBooking.unbookedPositionsDigest(on: connection)
        checks.append(
            CheckResult(
                name: "positions_differ_from_movements", differenceCount: positions == positionsNow ? 0 : 1,
                first: positions == positionsNow
                    ? []
                    : [
                        CheckResult.Difference(
                            subject: "positions less what was booked", expected: positions, actual: positionsNow)
                    ]))
        checks.append(firstTables.check(sums, isTrusted: checks.isClean))
        let figures = result.figures
        let row = RunRow(
            scenario: scenario.name, configuration: cell.configuration, repetition: cell.repetition,
            orderIndex: orderIndex, partitions: stream.ends.count, executions: stream.execution.writtenCount,
            elapsedNanoseconds: result.elapsedNanoseconds, timeToVisible: LatencySummary(figures.timeToVisible),
            transactionLatency: LatencySummary(figures.transactionLatency), transactions: figures.transactionCount,
            retries: figures.retryCount, duplicates: figures.duplicateCount, snapshots: figures.snapshotCount,
            waitingBusts: try AllocationsVerification.waitingBustCount(on: connection),
            finalTables: AllocationsVerification.digest(of: sums),
            booking: result.bookings.map { summary(of: $0, start: result.startTime) },
            harnessCPUSeconds: (after.own?.cpuSeconds ?? 0) - (before.own?.cpuSeconds ?? 0),
            databaseCPUSeconds: after.database.flatMap { end in before.database.map { end - $0 } },
            harnessPeakResidentBytes: after.own?.peakResidentBytes ?? 0, verified: checks.isClean)
        return (row, checks)
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

    private func summary(of bookings: BookingResult, start: Int64) -> BookingSummary {
        BookingSummary(
            blocks: bookings.figures.bookedBlockCount, accounts: bookings.figures.accountBookingCount,
            latency: LatencySummary(bookings.figures.latency),
            // Beside the drain it begins with the drain, though its workers are connected before.
            elapsedNanoseconds: bookings.elapsedNanoseconds(since: max(start, bookings.startTime)))
    }

    /// Processor seconds of the embedded PostgreSQL so far.
    func databaseUsage() -> Double? {
        guard let services = target.services else { return nil }
        let postgres = ServicesControl.status(in: services.state).first { $0.record.kind == .postgres && $0.isRunning }
        return postgres.flatMap { ProcessUsage.ofTree(root: $0.record.process.pid)?.cpuSeconds }
    }

    private static func line(_ row: RunRow, of scenario: ScenarioFile, _ checks: [CheckResult]) -> String {
        let cells = scenario.configurations.count * scenario.repetitions
        let head = "[\(row.orderIndex)/\(cells)] \(row.configuration.name), repetition \(row.repetition): "
        guard row.verified, let rate = row.executionsPerSecond else {
            return head + "FAILED verification\n" + checks.differenceLines.map { "    \($0)" }.joined(separator: "\n")
        }
        let took = seconds(.nanoseconds(row.elapsedNanoseconds))
        let busts = row.waitingBusts == 0 ? "" : "; \(row.waitingBusts) busts wait for executions that never came"
        return head + "\(row.executions) executions in \(took) s, \(Int(rate))/s, verified\(busts)"
    }

    // MARK: Surroundings

    /// A run begins with empty schemas. In the embedded server they are this program's; elsewhere rows are never dropped.
    private func prepareDatabase() throws {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        if target.services != nil {
            // The lock on the state folder is ours, so whoever still reads the slot is what a killed run left.
            if let database = target.connection["dbname"] {
                try FeedSlot.dropAll(database: database, connection: target.connection)
            }
            try Schemas.drop(on: connection)
        } else {
            let taken = try connection.query(
                """
                SELECT string_agg(schema_name, ', ' ORDER BY schema_name) FROM information_schema.schemata
                WHERE schema_name = ANY ($1::TEXT[])
                """, .textArray(["reference", "market", "holdings", "orders", "trades", "allocations"])
            ).text(0, 0)
            if let taken {
                throw OperatingError(
                    "the database has schemas of these names already: \(taken)",
                    remedy: "give a run a database of its own, or drop them: allocbench schema drop")
            }
        }
        try Schemas.create(on: connection)
    }

    func manifest(started: Date, planned: Int, broker: [Manifest.Entry]) throws -> Manifest {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        let settings = try connection.query(
            "SELECT name, setting || coalesce(' ' || unit, '') FROM pg_settings WHERE source NOT IN ('default', 'client') OR name = ANY ($1::TEXT[]) ORDER BY name",
            .textArray(["fsync", "synchronous_commit", "wal_level", "shared_buffers", "full_page_writes"]))
        return Manifest(
            outcome: Manifest.Outcome(.failed, runsFinished: 0, runsPlanned: planned), scenarioName: scenario.name,
            scenarioPath: scenario.path, scenarioText: scenario.text, seed: scenario.seed,
            commandLine: commandLine, build: BuildDescription.current(),
            versions: [
                Manifest.Entry("allocbench", AllocBench.version),
                Manifest.Entry("libpq", String(PostgresConnection.libraryVersion)),
                Manifest.Entry("librdkafka", KafkaAdmin.libraryVersion),
                Manifest.Entry("libyaml", ScenarioFile.yamlVersion),
                Manifest.Entry("database", try connection.query("SELECT version()").text(0, 0) ?? "unknown"),
                Manifest.Entry("broker", target.brokerKind),
            ],
            connection: target.connection.redacted,
            serverSettings: (0..<settings.rowCount).map {
                Manifest.Entry(settings.text($0, 0) ?? "", settings.text($0, 1) ?? "")
            },
            brokerSettings: [Manifest.Entry("bootstrap.servers", target.kafka?.bootstrapServers ?? "")] + broker,
            machine: MachineDescription.current(), startedAtUnixMs: Int64(started.timeIntervalSince1970 * 1000),
            endedAtUnixMs: Int64(started.timeIntervalSince1970 * 1000), dataSets: try dataSets(on: connection))
    }

    private func dataSets(on connection: PostgresConnection) throws -> [Manifest.DataSet] {
        let counts = try SeedLoader.rowCounts(on: connection)
        let checksums = try SeedLoader.tableChecksums(on: connection)
        return counts.keys.sorted().map {
            Manifest.DataSet(name: $0, rowCount: Int64(counts[$0] ?? 0), checksum: checksums[$0] ?? "")
        }
    }

    /// `quickstart-20241114-153000-4711`: sortable, and unique among the harnesses of a machine.
    private static func runID(_ name: String, at time: Date) -> String {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "UTC")
        format.dateFormat = "yyyyMMdd-HHmmss"
        let safe = String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? $0 : "-" })
        return "\(safe)-\(format.string(from: time))-\(getpid())"
    }
}

/// This program.
public enum AllocBench {
    public static let version = "0.1.0"
}
