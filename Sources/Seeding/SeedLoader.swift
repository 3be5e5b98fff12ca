// Loads a prepared seed by COPY over several connections, one thread each. Blocks the calling thread until the end.
//
// Several connections mean several transactions, so a kill can stop a seed half way. What then stands in the tables is
// told apart by `reference.seedings`: it says 'loading' from before the first row until after the last. Any failure
// short of a kill empties the tables again.

import Diagnostics
import Holdings
import Market
import Measurement
public import Model
import Orders
public import Postgres
import Reference
import Synchronization
public import Threads

/// What a seed came to.
public struct SeedSummary: Sendable {
    public let tables: [(table: String, rows: Int)]
    public let routingDate: TradeDate
    public let duration: Duration

    public var rowCount: Int { tables.reduce(0) { $0 + $1.rows } }
}

/// The state of the seeded tables of a database.
public enum SeedState: Sendable, Equatable {
    case empty
    case complete
    /// Something is loading them, or was killed while it did, or rows were put there by other means.
    case incomplete
}

public struct SeedLoader: Sendable {
    static let stages = ["reference", "market", "holdings"]
    /// About as many rows go into one COPY, which is one transaction.
    static let rowsPerCopy = 25_000

    public let connectionInfo: ConnectionInfo
    /// Connections and threads that load side by side.
    public let parallelism: Int
    /// What a CockroachDB is told.
    public let cockroach: CockroachSettings

    public init(
        connectionInfo: ConnectionInfo, parallelism: Int = 2, cockroach: CockroachSettings = CockroachSettings()
    ) {
        self.connectionInfo = connectionInfo
        self.parallelism = parallelism
        self.cockroach = cockroach
    }

    /// Creates what tables are missing and loads them. Refuses tables that hold rows, unless `replace` empties them.
    /// A set `stop` ends the seed as a failure would.
    @discardableResult
    public func load(
        _ seed: PreparedSeed, replace: Bool = false, stop: StopFlag = StopFlag(),
        onProgress: (SeedProgress) -> Void = { _ in }
    ) throws -> SeedSummary {
        guard (1...64).contains(parallelism) else {
            throw InputError(InputFault(source: "--parallel", value: "\(parallelism)", expected: "1 to 64"))
        }
        let start = monotonicNow()
        let control = try PostgresConnection.connect(to: connectionInfo)
        defer { control.close() }
        try Self.createTables(on: control, cockroach: cockroach)
        try Self.begin(seed, replace: replace, on: control)
        let counters = LoadCounters(totals: seed.rowCounts)
        do {
            try copyFirst(seed, counters, on: control)
            let imports = cockroach.bulkLoad == .import && control.dialect == .cockroachdb
            let batches = seed.batches(rowsPerCopy: Self.rowsPerCopy)
            try copyInParallel(
                seed, batches.filter { !(imports && $0.isOfPrices) }, counters, stop: stop, onProgress: onProgress)
            if imports {
                try importPrices(seed, batches, counters, stop: stop, on: control, onProgress: onProgress)
            }
            // Routing joins these tables at once; without statistics it would take the wrong way through them.
            for (table, _) in seed.rowCounts { try control.execute("ANALYZE \(table)") }
            try Self.complete(on: control)
        } catch {
            // The error that stopped the seed is the one to report. Should emptying fail too, 'loading' tells.
            try? clear()
            throw error
        }
        onProgress(counters.snapshot)
        return SeedSummary(
            tables: seed.rowCounts, routingDate: seed.routingDate,
            duration: .nanoseconds(monotonicNow() - start))
    }

    // MARK: State

    /// Creates the four schemas where they are missing and refuses tables of another version.
    public static func createTables(
        on connection: PostgresConnection, cockroach settings: CockroachSettings = CockroachSettings()
    ) throws {
        try ReferenceSchema.create(on: connection, cockroach: settings)
        try MarketSchema.create(on: connection, cockroach: settings)
        try HoldingsSchema.create(on: connection, cockroach: settings)
        try OrdersSchema.create(on: connection, cockroach: settings)
        let differences =
            try ReferenceSchema.check(on: connection) + MarketSchema.check(on: connection)
            + HoldingsSchema.check(on: connection) + OrdersSchema.check(on: connection)
        if let first = differences.first {
            throw OperatingError(
                "the tables of this database were made by another version: \(first)",
                remedy: "drop them with: allocbench schema drop")
        }
    }

    public static func state(on connection: PostgresConnection) throws -> SeedState {
        let seedings = try ReferenceStore.seedings(on: connection)
        let complete = Set(seedings.filter { $0.state == .complete }.map(\.stage))
        if complete.isSuperset(of: stages) { return .complete }
        return try seedings.isEmpty && isEmpty(on: connection) ? .empty : .incomplete
    }

    /// What every verb that reads the seeded tables asks first.
    public static func requireComplete(on connection: PostgresConnection) throws {
        switch try state(on: connection) {
        case .complete: return
        case .empty: throw OperatingError("this database isn't seeded", remedy: "run: allocbench seed")
        case .incomplete:
            throw OperatingError(
                "this database holds an unfinished seed", remedy: "seed it anew: allocbench seed --replace")
        }
    }

    /// By table, one sum over all rows in the order of their keys: equal sums, equal tables.
    public static func tableChecksums(on connection: PostgresConnection) throws -> [String: String] {
        try ReferenceStore.tableChecksums(on: connection)
            .merging(MarketStore.tableChecksums(on: connection)) { first, _ in first }
            .merging(HoldingsStore.tableChecksums(on: connection)) { first, _ in first }
            .merging(OrdersStore.tableChecksums(on: connection)) { first, _ in first }
    }

    /// Rows by table as the database counts them.
    public static func rowCounts(on connection: PostgresConnection) throws -> [String: Int] {
        try ReferenceStore.rowCounts(on: connection)
            .merging(MarketStore.rowCounts(on: connection)) { first, _ in first }
            .merging(HoldingsStore.rowCounts(on: connection)) { first, _ in first }
            .merging(OrdersStore.rowCounts(on: connection)) { first, _ in first }
    }

    private static func isEmpty(on connection: PostgresConnection) throws -> Bool {
        try ReferenceStore.isEmpty(on: connection) && MarketStore.isEmpty(on: connection)
            && HoldingsStore.isEmpty(on: connection) && OrdersStore.isEmpty(on: connection)
    }

    /// In a transaction.
    private static func truncate(on connection: PostgresConnection) throws {
        try connection.keepTransactionOverSchemaChanges()
        try OrdersStore.truncateGroups(on: connection)
        try HoldingsStore.truncate(on: connection)
        try MarketStore.truncate(on: connection)
        try ReferenceStore.truncate(on: connection)
        for stage in stages { try ReferenceStore.forgetSeeding(of: stage, on: connection) }
    }

    /// Takes possession of the tables, or leaves the database as it was.
    private static func begin(_ seed: PreparedSeed, replace: Bool, on connection: PostgresConnection) throws {
        if !replace {
            switch try state(on: connection) {
            case .empty: break
            case .complete:
                throw OperatingError("this database is seeded already", remedy: "--replace empties it first")
            case .incomplete:
                throw OperatingError(
                    "this database holds an unfinished seed", remedy: "--replace empties it first")
            }
        }
        do {
            try inTransaction(on: connection) {
                if replace { try truncate(on: connection) }
                for stage in stages {
                    try ReferenceStore.beginSeeding(
                        of: stage, source: seed.words(of: stage), seed: seed.seed, on: connection)
                }
            }
        } catch let error as PostgresError where error.sqlState == .uniqueViolation {
            throw OperatingError("another seed is loading into this database", remedy: "wait for its end")
        }
    }

    private static func complete(on connection: PostgresConnection) throws {
        try inTransaction(on: connection) {
            for stage in stages {
                guard try ReferenceStore.completeSeeding(of: stage, on: connection) else {
                    throw OperatingError(
                        "another seed replaced this one while it was loading", remedy: "seed one at a time")
                }
            }
        }
    }

    private func clear() throws {
        let connection = try PostgresConnection.connect(to: connectionInfo)
        defer { connection.close() }
        try Self.inTransaction(on: connection) { try Self.truncate(on: connection) }
    }

    private static func inTransaction(on connection: PostgresConnection, _ body: () throws -> Void) throws {
        try connection.begin()
        do {
            try body()
            try connection.commit()
        } catch {
            // A lost connection can't roll back, nor does it need to.
            try? connection.rollback()
            throw error
        }
    }

    // MARK: Rows

    /// Managers go before the accounts that refer to them, groups before their targets.
    private func copyFirst(_ seed: PreparedSeed, _ counters: LoadCounters, on connection: PostgresConnection) throws {
        let securities = try ReferenceStore.copySecurities(seed.securities, on: connection)
        counters.securities.add(securities, ordering: .relaxed)
        let managers = try HoldingsStore.copyManagers(seed.holdings.managers(), on: connection)
        counters.managers.add(managers, ordering: .relaxed)
        counters.groups.add(try OrdersStore.copyGroups(seed.groups, on: connection), ordering: .relaxed)
        counters.targets.add(try OrdersStore.copyTargets(of: seed.groups, on: connection), ordering: .relaxed)
    }

    /// Uploads prices file by file and imports them all at once: what IMPORT INTO fills is away for everybody else, so that
    /// several can't fill it side by side.
    private func importPrices(
        _ seed: PreparedSeed, _ batches: [LoadBatch], _ counters: LoadCounters, stop: StopFlag,
        on connection: PostgresConnection, onProgress: (SeedProgress) -> Void
    ) throws {
        // What a killed seed left.
        try connection.forgetUploads()
        defer { try? connection.forgetUploads() }
        var files: [String] = []
        for batch in batches {
            guard case .prices(let units) = batch else { continue }
            if stop.isSet { throw OperatingError("the seed was interrupted; its tables were emptied") }
            let file = try MarketStore.uploadDailyPrices(as: "daily_prices-\(files.count).tsv", on: connection) { row in
                for unit in units { try seed.forEachPrice(inUnit: unit) { try row($0) } }
            }
            files.append(file)
        }
        guard !files.isEmpty else { return }
        try MarketStore.importDailyPrices(from: files, on: connection)
        counters.prices.add(seed.priceRowCounts.reduce(0, +), ordering: .relaxed)
        onProgress(counters.snapshot)
    }

    private func copyInParallel(
        _ seed: PreparedSeed, _ batches: [LoadBatch], _ counters: LoadCounters, stop: StopFlag,
        onProgress: (SeedProgress) -> Void
    ) throws {
        let queue = WorkQueue(count: batches.count)
        let failed = StopFlag()
        let running = LoadWorker.RunningCount(min(parallelism, batches.count))
        let workers = (0..<min(parallelism, batches.count)).map { number in
            let worker = LoadWorker(
                seed: seed, batches: batches, queue: queue, counters: counters, stop: stop, failed: failed)
            return WorkerThread(name: "seed-\(number)") { [connectionInfo] in
                defer { running.leave() }
                try worker.run(connectionInfo: connectionInfo)
            }
        }
        var lastReport = monotonicNow()
        while running.value > 0 {
            sleepUntil(monotonic: monotonicNow() + 5_000_000)
            if monotonicNow() - lastReport >= 100_000_000 {
                lastReport = monotonicNow()
                onProgress(counters.snapshot)
            }
        }
        let errors = workers.compactMap { worker -> (any Error)? in
            do {
                try worker.join()
                return nil
            } catch { return error }
        }
        if let error = errors.first { throw error }
        if stop.isSet { throw OperatingError("the seed was interrupted; its tables were emptied") }
    }
}

/// One thread of a load with its own connection.
private struct LoadWorker: Sendable {
    final class RunningCount: Sendable {
        private let count: Atomic<Int>
        init(_ count: Int) { self.count = Atomic(count) }
        var value: Int { count.load(ordering: .acquiring) }
        func leave() { count.subtract(1, ordering: .releasing) }
    }

    let seed: PreparedSeed
    let batches: [LoadBatch]
    let queue: WorkQueue
    let counters: LoadCounters
    /// Set by the caller to end the seed.
    let stop: StopFlag
    /// Set by the first worker that fails; the others then end without an error of their own.
    let failed: StopFlag

    func run(connectionInfo: ConnectionInfo) throws {
        do {
            let connection = try PostgresConnection.connect(to: connectionInfo)
            defer { connection.close() }
            try connection.preferLoading()
            while !stop.isSet, !failed.isSet, let index = queue.take() {
                switch batches[index] {
                case .prices(let units): try copyPrices(units, on: connection)
                case .portfolios(let units): try copyPortfolios(units, on: connection)
                }
            }
        } catch {
            failed.set()
            throw error
        }
    }

    private func copyPrices(_ units: Range<Int>, on connection: PostgresConnection) throws {
        try MarketStore.copyDailyPrices(on: connection) { row in
            for unit in units {
                var count = 0
                try seed.forEachPrice(inUnit: unit) { price in
                    try row(price)
                    count += 1
                }
                counters.prices.add(count, ordering: .relaxed)
            }
        }
    }

    private func copyPortfolios(_ units: Range<Int>, on connection: PostgresConnection) throws {
        let portfolios = units.flatMap { seed.holdings.portfolios(in: $0) }
        counters.accounts.add(
            try HoldingsStore.copyAccounts(of: portfolios, on: connection), ordering: .relaxed)
        counters.positions.add(
            try HoldingsStore.copyPositions(of: portfolios, on: connection), ordering: .relaxed)
    }
}

/// What one worker copies in one go: some neighbouring units of one kind.
enum LoadBatch: Sendable, Equatable {
    case prices(Range<Int>)
    case portfolios(Range<Int>)

    var isOfPrices: Bool {
        if case .prices = self { true } else { false }
    }
}

extension PreparedSeed {
    /// Cuts the units into batches of about `rowsPerCopy` rows. A unit is never cut.
    func batches(rowsPerCopy: Int) -> [LoadBatch] {
        let positionsPerUnit = holdings.positionCount / max(1, holdings.unitCount)
        let portfolioRows = [Int](repeating: positionsPerUnit, count: holdings.unitCount)
        return cut(portfolioRows, rowsPerCopy).map { .portfolios($0) }
            + cut(priceRowCounts, rowsPerCopy).map { .prices($0) }
    }

    private func cut(_ rowCounts: [Int], _ rowsPerCopy: Int) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var first = 0
        var rows = 0
        for (index, count) in rowCounts.enumerated() {
            rows += count
            if rows >= rowsPerCopy || index == rowCounts.count - 1 {
                ranges.append(first..<index + 1)
                first = index + 1
                rows = 0
            }
        }
        return ranges
    }

    /// What the rows of a stage are made from.
    func words(of stage: String) -> String {
        stage == "holdings" ? "generator: \(holdingsWords)" : marketWords
    }

    private var holdingsWords: String {
        switch holdings {
        case .natural(let natural):
            "\(natural.accountCount) accounts x \(natural.positionsPerAccount) positions, opens of \(routingDate)"
        case .workload(let workload):
            "\(workload.shape.blocks) blocks x \(workload.shape.accountsPerBlock) accounts, "
                + "\(workload.shareCount) shares, opens of \(routingDate)"
        }
    }
}
