// `allocbench export FOLDER`: one CSV of all runs below a folder.

import CSV
import Diagnostics
import Foundation
import Report
import Threads

enum ExportCommand {
    static let export = Verb(
        name: "export", summary: "Joins the results of all runs in a folder into one CSV, each row with its run.",
        operands: ["FOLDER"],
        flags: [
            Flag("--file", "NAME", "which file of the runs: runs.csv (default), latency.csv, timeseries.csv, ..."),
            Flag("--csv", "FILE", "where to write it (default standard output)"),
        ]
    ) { arguments in
        let folder = arguments.operands[0]
        let name = arguments.text("--file") ?? "runs.csv"
        let known = ["runs.csv", "comparisons.csv"] + ResultTable.allCases.map(\.rawValue)
        guard known.contains(name) else {
            let near = nearestWord(to: name, among: known).map { "; did you mean \($0)?" } ?? ""
            throw InputError(
                InputFault(source: "--file", value: name, expected: known.joined(separator: ", ") + near))
        }
        let joined = try JoinedResults(folder: folder, file: name)
        if let path = arguments.text("--csv") {
            let writer = try CSVWriter(path: path, columns: joined.columns)
            for row in joined.rows { try writer.append(row) }
            try writer.finish()
            say("\(joined.rows.count) rows of \(joined.runCount) run\(joined.runCount == 1 ? "" : "s") in \(path)")
        } else {
            print(CSVWriter.text(columns: joined.columns, rows: joined.rows), terminator: "")
        }
        return .success
    }
}
