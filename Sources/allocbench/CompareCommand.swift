// `allocbench compare RUN [RUN]`: what the repetitions of a run show, or of two.

import Diagnostics
import Report
import Scenario

enum CompareCommand {
    static let compare = Verb(
        name: "compare",
        summary: "Compares the configurations of a run, or two runs of the same workload: ratios, intervals, verdicts.",
        operands: ["RUN", "[RUN]"],
        flags: [
            Flag(
                "--baseline", "NAME",
                "the configuration that the others of a run are compared with (default: its first)"),
            Flag("--csv", "FILE", "writes every comparison to a file, with the columns of comparisons.csv"),
            Flag("--all", nil, "shows every metric, not only throughput, p99 latency, WAL and CPU"),
        ]
    ) { arguments in
        let folders = try arguments.operands.map { path throws(InputError) in try FinishedRun(path: path) }
        let identities = try folders.map { folder throws(InputError) in try workload(of: folder) }
        guard let first = folders.first, let workload = identities.first else { return .badInput }
        let load = ComparisonReport.LoadModel(rawValue: workload.loadModel) ?? .backlog
        let report: ComparisonReport
        let cuts = zip(folders, identities).compactMap { $0.cutNote(planned: $1.configurations) }
        var notes: [String] = []
        if folders.count > 1 {
            let second = folders[1]
            if arguments.has("--baseline") {
                throw InputError(
                    InputFault(source: "--baseline", expected: "one run; of two runs the first is the baseline"))
            }
            try requireSameWorkload(first, workload, second, identities[1])
            let names = distinctNames(first, second)
            report = ComparisonReport(
                baselineRuns: first.runs, named: names.0, candidateRuns: second.runs, named: names.1, load: load)
            notes = differences(first, second)
        } else {
            let baseline = arguments.text("--baseline")
            if let baseline { try requireConfiguration(baseline, of: first) }
            report = ComparisonReport(first.runs, load: load, baseline: baseline)
        }
        let table = ComparisonTable(report, showsAllMetrics: arguments.has("--all")).text
        if let path = arguments.text("--csv") {
            let writer = try CSVWriter(path: path, columns: ComparisonRow.columnNames)
            for row in report.rows { try writer.append(row.fields) }
            try writer.finish()
        }
        for cut in cuts { print("\(cut)\n") }
        print(table)
        for note in notes { print(note) }
        print(Recommendation(report).text, terminator: "")
        if let path = arguments.text("--csv") { print("\ncomparisons: \(path)") }
        return .success
    }

    private static func workload(of folder: FinishedRun) throws(InputError) -> WorkloadIdentity {
        try WorkloadIdentity(
            text: folder.identity.scenarioText, path: "\(folder.path)/manifest.json")
    }

    private static func requireConfiguration(_ name: String, of folder: FinishedRun) throws(InputError) {
        let names = folder.configurations
        guard !names.contains(name) else { return }
        let near = nearestWord(to: name, among: names).map { "; did you mean \($0)?" } ?? ""
        throw InputError(
            InputFault(
                source: "--baseline", value: name,
                expected: "a configuration of \(folder.path): \(names.joined(separator: ", "))\(near)"))
    }

    /// Refuses two runs that were not asked to do the same, or not on the same data, and names the first difference.
    private static func requireSameWorkload(
        _ first: FinishedRun, _ firstWorkload: WorkloadIdentity, _ second: FinishedRun,
        _ secondWorkload: WorkloadIdentity
    ) throws(InputError) {
        func refusal(_ key: String, _ other: String?, _ own: String?) -> InputError {
            InputError(
                InputFault(
                    source: "\(second.path)/manifest.json", field: key, value: other ?? "none",
                    expected: "the workload of \(first.path), where it is \(own.map { "\"\($0)\"" } ?? "none")"))
        }
        if let difference = firstWorkload.difference(from: secondWorkload) {
            throw refusal(difference.key, difference.other, difference.own)
        }
        let (own, others) = (first.identity, second.identity)
        // The file may leave the seed to the command line; what was used stands in the manifest.
        if own.seed != others.seed { throw refusal("scenario.seed", others.seed, own.seed) }
        for name in Set(own.dataSets.keys).union(others.dataSets.keys).sorted()
        where own.dataSets[name] != others.dataSets[name] {
            throw refusal("data_sets.\(name)", others.dataSets[name], own.dataSets[name])
        }
        if !own.fingerprint.isEmpty, !others.fingerprint.isEmpty, own.fingerprint != others.fingerprint {
            throw refusal("fingerprint", others.fingerprint, own.fingerprint)
        }
        let shared = Set(first.configurations).intersection(second.configurations)
        if shared.isEmpty {
            throw InputError(
                InputFault(
                    source: "\(second.path)/runs.csv", field: "configuration",
                    value: second.configurations.joined(separator: ", "),
                    expected: "a configuration that \(first.path) has: \(first.configurations.joined(separator: ", "))")
            )
        }
        if let difference = first.settingDifference(from: second) {
            throw InputError(
                InputFault(
                    source: "\(second.path)/runs.csv", field: "\(difference.setting) of \(difference.configuration)",
                    value: difference.other,
                    expected: "the settings that \(difference.configuration) has in \(first.path), where it is "
                        + "\"\(difference.own)\""))
        }
    }

    /// What differs between two comparable runs: perhaps the very question, perhaps an accident.
    private static func differences(_ first: FinishedRun, _ second: FinishedRun) -> [String] {
        let (own, others) = (first.identity.surroundings, second.identity.surroundings)
        let differing = Set(own.keys).union(others.keys).sorted().filter { own[$0] != others[$0] }
        let lines = differing.map { "  \($0): \(own[$0] ?? "none") and \(others[$0] ?? "none")" }
        let names = (Set(first.configurations).symmetricDifference(second.configurations)).sorted()
        return (lines.isEmpty ? [] : ["The runs also differ in"] + lines)
            + (names.isEmpty ? [] : ["Only one of the runs has: \(names.joined(separator: ", "))."])
            + (lines.isEmpty && names.isEmpty ? [] : [""])
    }

    /// The folders' names, or where these are the same the paths.
    private static func distinctNames(_ first: FinishedRun, _ second: FinishedRun) -> (String, String) {
        if first.name != second.name { return (first.name, second.name) }
        return first.path == second.path ? ("\(first.path) (1)", "\(second.path) (2)") : (first.path, second.path)
    }
}
