// The folder of one run, `results/<run>/`: the journal while it goes on, the files of results when it has ended.
// Used on the runner's thread.

import Diagnostics
import Foundation
import Measurement
import Model
public import Report
import Statistics

/// How a run ended.
public struct RunOutcome: Sendable {
    /// In the order of the run; those of a run that was resumed included.
    public let rows: [RunFields]
    public let folder: String
    /// What the run ends with on the terminal.
    public let table: String
    public var failedGateCount = 0
    /// Whether every run was verified.
    public var isVerified: Bool { rows.allSatisfy(\.isVerified) }
    /// Whether the harness was never the limit.
    public var isValid: Bool { rows.allSatisfy(\.isValid) }
}

public struct RunFolder {
    /// Ends where `manifest.json` says how the run ended.
    public let path: String
    let journal: Journal

    var name: String { String(path.split(separator: "/").last ?? "") }
    var manifestPath: String { "\(path)/manifest.json" }

    // MARK: Making and finding

    /// `quickstart-20241114-153000-4711`: sortable, and unique among the harnesses of a machine.
    static func name(of scenario: String, at time: Date) -> String {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "UTC")
        format.dateFormat = "yyyyMMdd-HHmmss"
        return "\(safeName(scenario))-\(format.string(from: time))-\(getpid())"
    }

    private static func safeName(_ scenario: String) -> String {
        String(scenario.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? $0 : "-" })
    }

    /// Makes a folder with an empty journal and the scenario in it, so that the run can be resumed and repeated.
    static func create(_ path: String, scenario: ScenarioFile) throws -> RunFolder {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Data(scenario.selfContainedText.utf8).write(to: URL(fileURLWithPath: "\(path)/scenario.yaml"))
        return RunFolder(path: path, journal: try Journal(folder: path))
    }

    /// The newest run of this scenario in `results` that was cut.
    /// - Throws: `InputError` where there is none.
    public static func unfinished(_ scenario: ScenarioFile, in results: String) throws -> RunFolder {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: results)) ?? []
        let cut = names.compactMap { name -> (name: String, startedAt: String)? in
            guard let manifest = ManifestFile.read("\(results)/\(name)/manifest.json"),
                manifest.scenarioName == scenario.name,
                manifest.ending != Manifest.Outcome.Ending.complete.rawValue
            else { return nil }
            return (name, manifest.startedAt)
        }
        guard let newest = cut.max(by: { $0.startedAt < $1.startedAt })?.name else {
            throw InputError(
                InputFault(
                    source: "--resume", expected: "a run of \(scenario.name) in \(results) that was cut: there is none")
            )
        }
        let folder = "\(results)/\(newest)"
        let text = try? String(contentsOfFile: "\(folder)/scenario.yaml", encoding: .utf8)
        guard text == scenario.selfContainedText else {
            throw InputError(
                InputFault(
                    source: scenario.path,
                    expected: "the scenario that \(folder) was begun with; its own is "
                        + "\(folder)/scenario.yaml"))
        }
        // As much as is known before any service is started; `resume` looks at the rest.
        let program = BuildDescription.current().surroundings
        if let begun = ManifestFile.read("\(folder)/manifest.json") {
            try refuse(begun.differences(from: program, in: Set(program.keys)), of: folder)
        }
        return RunFolder(path: folder, journal: try Journal(folder: folder))
    }

    /// Refuses to go on with a run whose finished cells worked on other data, or with another program, machine or settings.
    /// - Parameter say: takes what should be known and can't be refused.
    /// - Returns: the manifest to go on with: that of the beginning, with the time of now.
    func resume(_ manifest: Manifest, say: (String) -> Void) throws -> Manifest {
        guard let begun = ManifestFile.read(manifestPath) else { throw OperatingError("can't read \(manifestPath)") }
        guard begun.fingerprint == manifest.fingerprint else {
            throw OperatingError(
                "the data of \(path) has the fingerprint \(begun.fingerprint), this run's has \(manifest.fingerprint)",
                remedy: "begin a new run: what is finished was measured on other data")
        }
        try Self.refuse(begun.differences(from: manifest.surroundings), of: path)
        if let doubt = begun.doubt(about: manifest.surroundings) { say("\(path): \(doubt)") }
        var resumed = manifest
        resumed.firstStartedAt = begun.startedAt
        // Should this part be killed, too, the manifest says what the parts before it finished.
        resumed.outcome.runsFinished = journal.cells.count
        try resumed.write(to: manifestPath)
        return resumed
    }

    private static func refuse(_ differences: [String], of folder: String) throws(OperatingError) {
        if differences.isEmpty { return }
        throw OperatingError(
            "\(folder) was begun in other surroundings: \(differences.joined(separator: "; "))",
            remedy: "begin a new run: cells of both wouldn't be comparable")
    }

    func isFinished(_ key: RunKey) -> Bool { journal.cells.contains { $0.key == key } }

    // MARK: Ending

    /// Writes every file of results from the journal.
    func finish(_ begun: Manifest, scenario: ScenarioFile, ending: Manifest.Outcome.Ending) throws -> RunOutcome {
        let cells = journal.cells
        let rows = cells.map(RunFields.init)
        let runs = try CSVWriter(path: "\(path)/runs.csv", columns: RunRow.columnNames)
        for cell in cells { try runs.append(cell.run) }
        try runs.finish()
        for table in ResultTable.allCases {
            let file = try CSVWriter(path: "\(path)/\(table.rawValue)", columns: table.columnNames)
            for cell in cells {
                for row in cell.tables[table.rawValue] ?? [] { try file.append(row) }
            }
            try file.finish()
        }
        try writeHistograms(cells)
        let bounds = RateBounds(cells)
        let report = try comparisons(rows, bounds, scenario)
        let gates = ScenarioFile.GateRule.judge(
            scenario.gates, by: rows, bounds, configurations: scenario.competitors.map(\.name), load: scenario.load)
        var manifest = begun
        manifest.outcome.ending = ending
        manifest.outcome.runsFinished = cells.count
        manifest.endedAtUnixMs = Int64(Date().timeIntervalSince1970 * 1000)
        try manifest.write(to: manifestPath)
        let parts =
            [TerminalTable(rows, ranking: scenario.ranking, bounds: bounds).text]
            + (scenario.competitors.count > 1 ? [ComparisonTable(report).text, Recommendation(report).text] : [])
            + [HostSummary(cells).text].compactMap(\.self)
            + (gates.isEmpty ? [] : ["Gates:\n" + gates.map { "  \($0.outcome.rawValue): \($0.sentence)\n" }.joined()])
        return RunOutcome(
            rows: rows, folder: path, table: parts.joined(separator: "\n"),
            failedGateCount: gates.count { $0.outcome == .fail })
    }

    /// Every configuration against the first of the scenario.
    private func comparisons(
        _ rows: [RunFields], _ bounds: RateBounds, _ scenario: ScenarioFile
    ) throws -> ComparisonReport {
        let runs = try rows.map { try ComparedRun($0, bounds: bounds, source: "\(path)/runs.csv") }
        let first = scenario.competitors.first?.name
        let report = ComparisonReport(
            runs, load: scenario.comparedLoad, baseline: runs.contains { $0.configuration == first } ? first : nil)
        let file = try CSVWriter(path: "\(path)/comparisons.csv", columns: ComparisonRow.columnNames)
        for row in report.rows { try file.append(row.fields) }
        try file.finish()
        return report
    }

    /// One log of all cells; each interval is a stage of a cell, tagged configuration/repetition/stage.
    private func writeHistograms(_ cells: [CellRecord]) throws {
        let logs = try cells.filter { !$0.histograms.isEmpty }.map {
            try HistogramLog(text: $0.histograms.joined(separator: "\n"), source: "\(path)/\(Journal.fileName)")
        }
        guard let start = logs.map(\.startUnixNs).min() else { return }
        let intervals = logs.flatMap { log in
            log.intervals.map {
                HistogramLog.Interval(
                    tag: $0.tag, startNs: log.startUnixNs - start + $0.startNs, lengthNs: $0.lengthNs,
                    histogram: $0.histogram)
            }
        }
        try writeWhole(HistogramLog(startUnixNs: start, intervals: intervals).text, to: "\(path)/histograms.hlog")
    }
}

extension ScenarioFile {
    /// What decides which configuration is best.
    var ranking: TerminalTable.Ranking {
        switch load {
        case .backlog: .throughput
        case .open: .timeToVisibleP99
        case .search: .sustainedRate
        }
    }

    /// What a recommendation goes by.
    var comparedLoad: ComparisonReport.LoadModel {
        switch load {
        case .backlog: .backlog
        case .open: .open
        case .search: .search
        }
    }

    /// The scenario in one file: what it names by a path stands in it instead. Runs are resumed and repeated from this text.
    var selfContainedText: String {
        guard !includedFiles.isEmpty else { return text }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard let file = includedFiles.first(where: { line.hasPrefix($0.key + ":") }) else { return String(line) }
            let inner = file.text.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 }
            return "\(file.key):\n" + inner.joined(separator: "\n")
        }.joined(separator: "\n")
    }
}
