// The SQL of the workers' transactions, also for those who send it by other means: what AllocBench is measured beside.

internal import Postgres

package enum WorkerStatements {
    static let script = SQLScript(embedded: PackageResources.fill_sql)

    /// What a foreseen transaction of trades is made of, in the order of its statements.
    package static let foreseen = ["advance_offset", "capture_trades"] + moves
    /// The same of a cycle.
    package static let foreseenCycle = ["advance_offset", "hold_partitions", "capture_staged"] + moves
    private static let moves = ["move_blocks", "record_snapshots", "allocate", "request_bookings"]

    /// Statements for one row, which comes without arrays: those whose parts are exchanged, and which.
    static let ofOne: [(name: String, of: String, parts: [String: String])] = [
        ("capture_trade", "capture_trades", ["sent_trades": "sent_trade"]),
        ("move_block", "move_blocks", ["sent_moves": "sent_move", "moves_expected": "move_expected"]),
        ("record_snapshot", "record_snapshots", ["sent_snapshots": "sent_snapshot"]),
        ("allocate_block", "allocate", ["sent_allocations": "sent_allocations_of_block"]),
    ]

    /// The statement as workers prepare it where no two of them share a block, without comments and semicolon.
    package static func text(_ name: String) -> String {
        let one = ofOne.first { $0.name == name }
        let text = one.map { script.fragment($0.of, replacing: $0.parts) } ?? script.fragment(name)
        return text.split(separator: "\n").filter { !$0.hasPrefix("--") }.joined(separator: "\n")
    }
}
