// The SQL of the workers' transactions, also for those who send it by other means: what AllocBench is measured beside.

internal import Postgres

package enum WorkerStatements {
    static let script = SQLScript(embedded: PackageResources.fill_sql)

    /// What a foreseen transaction of trades is made of, in the order of its statements.
    package static let foreseen = ["advance_offset", "capture_trades"] + moves
    /// The same of a cycle, behind what goes out with each COPY.
    package static let foreseenCycle = ["advance_offset", "hold_partitions", "capture_staged"] + moves
    private static let moves = ["move_blocks", "record_snapshots", "allocate", "request_bookings"]

    /// A statement that takes one row as it is, where another takes any number as arrays.
    struct OneRow {
        let name: String
        /// That other statement, and which of its parts stand in the places of which here.
        let original: String
        let parts: [String: String]
    }

    static let oneRow = [
        OneRow(name: "capture_trade", original: "capture_trades", parts: ["sent_trades": "sent_trade"]),
        OneRow(
            name: "move_block", original: "move_blocks",
            parts: ["sent_moves": "sent_move", "moves_expected": "move_expected"]),
        OneRow(name: "record_snapshot", original: "record_snapshots", parts: ["sent_snapshots": "sent_snapshot"]),
        OneRow(
            name: "allocate_block", original: "allocate", parts: ["sent_allocations": "sent_allocations_of_block"]),
    ]

    /// The statement as workers prepare it where no two of them share a block, without comments and semicolon.
    package static func text(_ name: String) -> String {
        let one = oneRow.first { $0.name == name }
        let text = one.map { script.statement($0.original, replacing: $0.parts) } ?? script[name]
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("--") }.joined(separator: "\n")
        // Comments that stand behind the statement are of the section, too.
        let end = lines.lastIndex { $0 != ";" && !$0.isWhitespace }
        return end.map { String(lines[...$0]) } ?? ""
    }
}
