// What the runner asks of a stage that it measures: data to work on, and one cell at a time. AllocateStage, RouteStage and
// ExecuteStage are the three of them.

import Allocations
import Measurement
import Model
import Report

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
    /// Runs a cell on fresh tables. Blocks. The row's `verified` and `finalTables` are set by the runner.
    func run(_ cell: Cell, orderIndex: Int, progress: @escaping @Sendable (CellProgress) -> Void) throws -> CellOutcome
    /// Gives back what it made outside the database, such as topics.
    func close()
}
