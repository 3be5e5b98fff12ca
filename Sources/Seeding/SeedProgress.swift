// How far a seed has come. The counters are written by the loading threads, the snapshots read by the caller's.

import Synchronization

/// A snapshot, handed to the caller on its own thread about ten times a second and once at the end.
public struct SeedProgress: Sendable, Equatable {
    public struct Table: Sendable, Equatable {
        public let name: String
        public let rowsDone: Int
        public let rowsTotal: Int
    }

    public let tables: [Table]

    public var rowsDone: Int { tables.reduce(0) { $0 + $1.rowsDone } }
    public var rowsTotal: Int { tables.reduce(0) { $0 + $1.rowsTotal } }
}

/// The three tables that are loaded in parallel and the four that come first.
final class LoadCounters: Sendable {
    private let totals: [(table: String, rows: Int)]
    let securities = Atomic<Int>(0)
    let managers = Atomic<Int>(0)
    let groups = Atomic<Int>(0)
    let targets = Atomic<Int>(0)
    let prices = Atomic<Int>(0)
    let accounts = Atomic<Int>(0)
    let positions = Atomic<Int>(0)

    init(totals: [(table: String, rows: Int)]) { self.totals = totals }

    var snapshot: SeedProgress {
        // In the order of `PreparedSeed.rowCounts`.
        let done = [
            securities.load(ordering: .relaxed), managers.load(ordering: .relaxed), groups.load(ordering: .relaxed),
            targets.load(ordering: .relaxed), prices.load(ordering: .relaxed), accounts.load(ordering: .relaxed),
            positions.load(ordering: .relaxed),
        ]
        return SeedProgress(
            tables: zip(totals, done).map { SeedProgress.Table(name: $0.table, rowsDone: $1, rowsTotal: $0.rows) })
    }
}
