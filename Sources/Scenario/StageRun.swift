// What the runner asks of a stage that it measures: data to work on, and one cell at a time. AllocateStage, RouteStage and
// ExecuteStage are the three of them.

import Allocations
import Hosts
import Measurement
import Model
import Postgres
import Report
import Threads

/// One configuration in one repetition.
struct Cell: Equatable {
    let competitor: Competitor
    /// From 1.
    let repetition: Int

    var key: RunKey { RunKey(configuration: competitor.name, repetition: repetition) }
}

/// What a cell adds to the results.
struct CellOutcome {
    var row: RunRow
    var checks: [CheckResult] = []
    /// By table a digest of what the cell left; every other cell must leave the same.
    var finalTables: [String: String] = [:]
    var latencies: [(stage: LatencyStage, histogram: Histogram)] = []
    /// Rows of the other files, whole.
    var tables: [ResultTable: [[String]]] = [:]
    /// From the start of the load to the last commit, the warm-up included.
    var drainNanoseconds: Int64 = 0
    /// Lines of histograms.hlog.
    var histograms: [String] = []
    /// Something that the user should read with the result.
    var note: String?

    init(row: RunRow) { self.row = row }
}

/// A stage with its data ready. Used on the runner's thread.
protocol StageRun {
    /// A digest of everything that the cells process.
    var fingerprint: String { get }
    /// Settings of the broker's side for the manifest.
    var brokerEntries: [Manifest.Entry] { get }
    /// The worker hosts that took part so far, for the manifest.
    var hostEntries: [Manifest.Entry] { get }
    /// Runs a cell on fresh tables. Blocks. The row's `verified` and `finalTables` are set by the runner.
    func run(_ cell: Cell, orderIndex: Int, progress: @escaping @Sendable (CellProgress) -> Void) throws -> CellOutcome
    /// Gives back what it made outside the database, such as topics.
    func close()
}

extension StageRun {
    /// A stage without workers on other hosts.
    var hostEntries: [Manifest.Entry] { [] }
}

/// What every stage is given to make its data from.
struct StageInput {
    let scenario: ScenarioFile
    let target: Target
    /// Names what the stage makes outside the database.
    let runID: String
    let stop: StopFlag
    /// What was made beside the primary; nil where nothing was asked for.
    var servers: PreparedServers?
    let say: (String) -> Void
    /// How long a cell waits for a worker host that isn't there.
    var hostWait = HostTiming.waitDefault

    /// A topic of this run alone.
    func topic(_ name: String) -> String { "allocbench.\(runID).\(name)" }

    /// Seeds and routes what the cells execute. Blocks.
    func makeOrders() throws -> SeededOrders {
        try SeededOrders.make(scenario, topic: topic("executions"), target: target, stop: stop, say: say)
    }

    /// Hands over a connection of its own, and closes it.
    func withConnection<R>(_ body: (PostgresConnection) throws -> R) throws -> R {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        return try body(connection)
    }
}
