// A folder of results read back: runs.csv by its columns' names, and what the manifest says of the workload.
// Runs on the main thread; everything that is wrong with the folder is told as the user's input.

import CSV
public import Diagnostics
import Foundation

/// A finished run as `compare` needs it.
public struct FinishedRun: Sendable {
    /// The versions of runs.csv that can be read. Columns are found by name, so that later ones may have more of them.
    public static let formatVersions = 2...RunRow.formatVersion

    /// What has to be the same for two runs to be about the same thing, and what only should be. From manifest.json.
    public struct Identity: Sendable, Equatable {
        public var scenarioName: String
        public var seed: String
        public var scenarioText: String
        /// A digest of everything that was processed; empty in manifests that are older than it.
        public var fingerprint: String
        /// Rows and checksum of each seeded table, as text, by table.
        public var dataSets: [String: String]
        /// How the run ended, and how much of it is there; nil in manifests that are older than it.
        public var outcome: Outcome?
        /// What may differ between comparable runs, by name: versions, machine, settings of the server.
        public var surroundings: [String: String]
    }

    public struct Outcome: Sendable, Equatable {
        /// A word of `Manifest.Outcome.Ending`.
        public var ending: String
        public var runsPlanned: Int
    }

    /// As given, without a slash at the end.
    public let path: String
    /// In the order of the file.
    public let runs: [ComparedRun]
    public let identity: Identity

    /// The last part of the path.
    public var name: String { URL(fileURLWithPath: path).lastPathComponent }

    /// In the order of the file.
    public var configurations: [String] {
        var seen: Set<String> = []
        return runs.map(\.configuration).filter { seen.insert($0).inserted }
    }

    /// Throws: every fault of runs.csv in one go, or that of the manifest.
    public init(path: String) throws(InputError) {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        runs = try FinishedRun.readRuns(in: self.path)
        identity = try FinishedRun.readIdentity(in: self.path)
    }

    // MARK: What it lacks, and what it measured

    /// A run that was cut, in a sentence with what it lacks; nil for one that is complete.
    ///
    /// - Parameter planned: the configurations of its scenario; nil where nobody knows, so that those with a run have to do.
    public func cutNote(planned: [String]?) -> String? {
        guard let outcome = identity.outcome, outcome.ending != Manifest.Outcome.Ending.complete.rawValue else {
            return nil
        }
        let names = planned ?? configurations
        let most = runs.map(\.repetition).max() ?? 0
        let repetitions = names.isEmpty ? most : max(most, outcome.runsPlanned / names.count)
        let missing = names.compactMap { name -> String? in
            let finished = Set(runs.filter { $0.configuration == name }.map(\.repetition))
            guard !finished.isEmpty else { return "\(name) altogether" }
            let lacking = (1...max(1, repetitions)).filter { !finished.contains($0) }
            return lacking.isEmpty
                ? nil : "\(name) in repetition \(lacking.map { String($0) }.joined(separator: ", "))"
        }
        return
            "\(path) was cut (\(outcome.ending)), with \(runs.count) of \(outcome.runsPlanned) runs in runs.csv. "
            + (missing.isEmpty ? "What else is missing isn't known." : "Missing: \(missing.joined(separator: "; ")).")
            + " Only what is there is compared."
    }

    /// The first setting in which a configuration of the same name isn't the same; nil where all that both have agree.
    public func settingDifference(
        from other: FinishedRun
    ) -> (configuration: String, setting: String, own: String, other: String)? {
        for name in configurations {
            guard let own = runs.first(where: { $0.configuration == name })?.settings,
                let others = other.runs.first(where: { $0.configuration == name })?.settings
            else { continue }
            // A column that only one version of the file has says nothing.
            for setting in RunRow.settingColumnNames {
                guard let value = own[setting], let theirs = others[setting], value != theirs else { continue }
                return (name, setting, value, theirs)
            }
        }
        return nil
    }

    // MARK: runs.csv

    /// What the searches' probes say of their rates; runs of early versions have no probes.csv.
    private static func readBounds(in folder: String) throws(InputError) -> RateBounds {
        let path = "\(folder)/\(ResultTable.probes.rawValue)"
        guard FileManager.default.fileExists(atPath: path) else { return RateBounds() }
        let reader: CSVReader
        do { reader = try CSVReader(path: path) } catch { throw InputError(error) }
        _ = try reader.readHeader(["configuration", "repetition", "purpose", "rate_per_s", "outcome"])
        let header = reader.header
        var probes: [RunFields] = []
        do throws(InputFault) {
            while try reader.next() {
                probes.append(RunFields(columns: header, fields: header.indices.map { reader.text($0) }))
            }
        } catch { throw InputError(error) }
        return RateBounds(probes)
    }

    private static func readRuns(in folder: String) throws(InputError) -> [ComparedRun] {
        let path = "\(folder)/runs.csv"
        func refusal(_ source: String, _ expected: String) -> InputError {
            InputError(InputFault(source: source, expected: expected))
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
            throw refusal(folder, "a folder of results, such as results/quickstart-20241114-153000-4711")
        }
        guard FileManager.default.fileExists(atPath: path) else {
            let isCut = FileManager.default.fileExists(atPath: path + ".partial")
            throw refusal(
                folder, isCut ? "a run that was finished; runs.csv is still .partial" : "a folder with a runs.csv")
        }
        let bounds = try readBounds(in: folder)
        let reader: CSVReader
        do { reader = try CSVReader(path: path) } catch { throw InputError(error) }
        // The version before the columns: another one may lack some of them for good reasons.
        _ = try reader.readHeader(["format_version"])
        let header = reader.header
        var faults = FaultCollector()
        for name in ComparedRun.requiredColumns where !header.contains(name) {
            faults.add(InputFault(source: path, line: 1, field: name, expected: "a column of this name in the header"))
        }
        try faults.throwIfAny()
        var runs: [ComparedRun] = []
        var lines: [String: Int] = [:]
        while true {
            do throws(InputFault) {
                guard try reader.next() else { break }
                let fields = RunFields(columns: header, fields: header.indices.map { reader.text($0) })
                let version = fields["format_version"]
                guard let number = Int(version), formatVersions.contains(number) else {
                    // Nothing after this can be trusted to mean what it seems to.
                    throw InputFault(
                        source: path, line: reader.line, field: "format_version", value: version,
                        expected: "\(formatVersions.lowerBound) to \(formatVersions.upperBound)")
                }
                let run = try ComparedRun(fields, bounds: bounds, source: path, line: reader.line)
                let cell = "\(run.repetition) \(run.configuration)"
                if let first = lines[cell] {
                    throw InputFault(
                        source: path, line: reader.line, field: "repetition", value: String(run.repetition),
                        expected: "each repetition of \(run.configuration) once; line \(first) has it too")
                }
                lines[cell] = reader.line
                runs.append(run)
            } catch {
                faults.add(error)
                if error.field == "format_version" || faults.faults.count >= FaultCollector.defaultLimit { break }
            }
        }
        try faults.throwIfAny()
        guard !runs.isEmpty else { throw refusal(path, "at least one run") }
        guard runs.contains(where: { $0.isVerified }) else {
            throw refusal(path, "a verified run; verification failed for every one of them, so there is no result")
        }
        guard runs.contains(where: { $0.isVerified && $0.isValid }) else {
            throw refusal(path, "a valid run; the harness was the limit of every one of them")
        }
        return runs
    }

    // MARK: manifest.json

    private static func readIdentity(in folder: String) throws(InputError) -> Identity {
        let path = "\(folder)/manifest.json"
        func refusal(_ expected: String, field: String? = nil) -> InputError {
            InputError(InputFault(source: path, field: field, expected: expected))
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw refusal("the manifest of the run: without it nobody knows what was compared")
        }
        guard let root = (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] else {
            throw refusal("a JSON object")
        }
        guard let scenario = root["scenario"] as? [String: Any], let text = scenario["text"] as? String else {
            throw refusal("the text of the scenario", field: "scenario")
        }
        guard let sets = root["data_sets"] as? [[String: Any]] else {
            throw refusal("the data sets of the run", field: "data_sets")
        }
        // The copy in the folder holds what the scenario took from other files; older runs have only the manifest's text.
        let copy = FileManager.default.contents(atPath: "\(folder)/scenario.yaml").map {
            String(decoding: $0, as: UTF8.self)
        }
        var dataSets: [String: String] = [:]
        for set in sets {
            guard let name = set["name"] as? String, let checksum = set["checksum"] as? String else {
                throw refusal("a name and a checksum of each data set", field: "data_sets")
            }
            dataSets[name] = "\(described(set["rows"])) rows, checksum \(checksum)"
        }
        var outcome: Outcome?
        if let told = root["outcome"] as? [String: Any], let ending = told["ending"] as? String {
            outcome = Outcome(
                ending: ending, runsPlanned: told["runs_planned"] as? Int ?? 0)
        }
        var surroundings: [String: String] = [:]
        for part in ["build", "versions", "machine", "server_settings", "broker_settings"] {
            for (name, value) in root[part] as? [String: Any] ?? [:] {
                // Where an embedded broker listens changes with each start.
                if name == "bootstrap.servers" { continue }
                surroundings["\(part).\(name)"] = described(value)
            }
        }
        return Identity(
            scenarioName: scenario["name"] as? String ?? "", seed: described(scenario["seed"]),
            scenarioText: copy ?? text,
            fingerprint: root["fingerprint"] as? String ?? "", dataSets: dataSets,
            outcome: outcome, surroundings: surroundings)
    }

    private static func described(_ value: Any?) -> String {
        switch value {
        case let text as String: text
        case let number as NSNumber: number.stringValue
        default: "none"
        }
    }
}
