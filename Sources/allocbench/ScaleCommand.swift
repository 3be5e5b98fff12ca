// `allocbench scale FOLDER --by COLUMN`: how throughput follows one setting over the runs of a folder, and by which law.

import CSV
import Diagnostics
import Report

enum ScaleCommand {
    static let scale = Verb(
        name: "scale",
        summary:
            "Shows how throughput follows one setting over the runs of a folder: curves, the scalability law, where it ends.",
        operands: ["FOLDER"],
        flags: [
            Flag("--by", "COLUMN", oneOf(ScalingCurve.variables), words: ScalingCurve.variables),
            Flag("--csv", "FILE", "writes the curves' points to a file"),
        ]
    ) { arguments in
        let folder = arguments.operands[0]
        let variables = ScalingCurve.variables
        let named = arguments.text("--by")
        guard let variable = named, variables.contains(variable) else {
            let near = named.flatMap { nearestWord(to: $0, among: variables) }
            throw InputError(
                InputFault(
                    source: "--by", value: named,
                    expected: "a column: \(oneOf(variables))" + (near.map { "; did you mean \($0)?" } ?? "")))
        }
        let joined = try JoinedResults(folder: folder, file: "runs.csv")
        let rows = joined.rows.map { Dictionary(zip(joined.columns, $0)) { first, _ in first } }
        let curves = ScalingCurve.curves(rows, by: variable)
        guard !curves.isEmpty else {
            let others = variables.filter { !ScalingCurve.curves(rows, by: $0).isEmpty }
            throw InputError(
                InputFault(
                    source: folder, field: variable,
                    expected: "verified, valid runs that differ in it and in nothing else; there are none"
                        + (others.isEmpty ? "" : ", but some for --by \(oneOf(others))")))
        }
        print(curves.map { $0.text(by: variable) }.joined(separator: "\n"), terminator: "")
        if let path = arguments.text("--csv") {
            let writer = try CSVWriter(path: path, columns: ScalingCurve.columnNames)
            for row in curves.flatMap({ $0.fields(by: variable) }) { try writer.append(row) }
            try writer.finish()
        }
        return .success
    }
}
