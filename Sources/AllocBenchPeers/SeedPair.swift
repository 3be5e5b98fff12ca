// Seeding beside psql's \copy of the same rows from files.

import Holdings
import Market
import Measurement
import Orders
import Postgres
import Reference
import Scenario
import Seeding

/// Both fill the same empty tables with the same rows and leave the server statistics of them. Ours makes the rows as it goes
/// and keeps a record of the seed; the peer reads files that were written before, one table after the other.
final class SeedPair: PeerPair {
    let name: String
    let path: String
    private(set) var peer = "psql \\copy"
    let unit = "rows/s"
    let target: Double?

    private let parallelism: Int
    private let sizes: SeedSizes
    private var seed: PreparedSeed?
    private var program = ""
    /// What psql is told.
    private var script = ""

    /// - Parameter parallelism: connections side by side, of which the peer has one.
    init(_ size: PeerSize, parallelism: Int) {
        self.parallelism = parallelism
        name = parallelism == 1 ? "seed" : "seed-parallel"
        path = parallelism == 1 ? "seeding, one stream" : "seeding, \(parallelism) streams"
        target = parallelism == 1 ? 0.9 : 1.3
        // About as many prices as positions: the two tables that are large.
        sizes = size.pick(
            tiny: .tiny,
            full: SeedSizes(
                securities: 1_000, days: 500, managers: 100, managerGroups: 10, accounts: 10_000,
                positionsPerAccount: 50))
    }

    func obstacle(_ surroundings: PeerSurroundings) -> String? { surroundings.missing("psql") }

    func prepare(_ bench: PeerBench) throws {
        program = try PeerPrograms.postgres("psql", bench)
        peer = "\(PeerBench.version(of: program)) \\copy from files"
        let seed = try SeedPlan(seed: PeerStream.seed, sizes: sizes).prepare()
        self.seed = seed
        try SeedLoader(connectionInfo: bench.target.connection).load(seed, stop: bench.stop)
        var export = ""
        for (index, (table, _)) in seed.rowCounts.enumerated() {
            let file = bench.path("\(index).csv")
            export += "\\copy \(table) to '\(file)' csv\n"
            script += "\\copy \(table) from '\(file)' csv\n"
        }
        script += seed.rowCounts.map { "ANALYZE \($0.table);\n" }.joined()
        try copy(export, bench)
    }

    func runOurs(_ bench: PeerBench) throws -> PeerRun {
        guard let seed else { throw PeerFault.notPrepared }
        return try run(seed, bench) {
            try SeedLoader(connectionInfo: bench.target.connection, parallelism: parallelism).load(
                seed, stop: bench.stop)
        }
    }

    func runPeer(_ bench: PeerBench) throws -> PeerRun {
        guard let seed else { throw PeerFault.notPrepared }
        return try run(seed, bench) { try copy(script, bench) }
    }

    private func copy(_ script: String, _ bench: PeerBench) throws {
        try PeerBench.child(
            [program, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname=\(bench.connectionText)"],
            input: script)
    }

    private func run(_ seed: PreparedSeed, _ bench: PeerBench, _ load: () throws -> Void) throws -> PeerRun {
        try bench.withConnection { connection in
            try connection.transaction { connection in
                try OrdersStore.truncateGroups(on: connection)
                try HoldingsStore.truncate(on: connection)
                try MarketStore.truncate(on: connection)
                try ReferenceStore.truncate(on: connection)
                for stage in try ReferenceStore.seedings(on: connection).map(\.stage) {
                    try ReferenceStore.forgetSeeding(of: stage, on: connection)
                }
            }
            try connection.execute("CHECKPOINT")
            let start = monotonicNow()
            try load()
            let elapsed = monotonicNow() - start
            let rows = seed.rowCounts.reduce(0) { $0 + $1.rows }
            return PeerRun(
                figure: Double(rows) * 1e9 / Double(elapsed), work: try SeedLoader.tableChecksums(on: connection))
        }
    }
}
