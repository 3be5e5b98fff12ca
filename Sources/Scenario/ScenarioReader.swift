// Turns the tree of a scenario file into checked values. Nothing is thrown at the first fault: what can't be read
// leaves nil, and everything else is still checked. This file holds the top level; each further level has a file of its own.

import Diagnostics
import Measurement
import Model

/// Reads one scenario and collects its faults.
struct ScenarioReader {
    /// Gives the bytes of a file that the scenario names, or refuses it.
    typealias FileSource = (_ path: String) throws(InputError) -> [UInt8]

    let path: String
    private let text: String
    private let files: FileSource
    /// The file that is being read: the scenario, or one that it names.
    private(set) var source: String
    private(set) var faults: [InputFault]

    private var name: String?
    private var description = ""
    private(set) var seed = ScenarioFile.seedDefault
    private var repetitions = ScenarioFile.repetitionsDefault
    private var order = ScenarioFile.Order.abba
    private(set) var stage = ScenarioFile.Stage.allocate
    private var includedFiles: [ScenarioFile.IncludedFile] = []
    var workload = WorkloadValues()
    var servers = ScenarioFile.Servers()
    /// Where it is said, for what can be judged only at the end.
    var workerHostsPlace: (source: String, line: Int)?
    var load = ScenarioFile.Load.backlog
    var window = WindowPlan.everything
    var gates: [ScenarioFile.GateRule] = []
    var faultPlans: [ScenarioFile.FaultPlan] = []
    var competitors: [Competitor] = []
    /// Whether `competitors` is all that the file names: only then can a name be judged.
    var areConfigurationsComplete = false

    init(bytes: [UInt8], path: String, files: @escaping FileSource) throws(InputError) {
        let document = try YAMLDocument(bytes: bytes, path: path)
        self.path = path
        self.files = files
        source = path
        text = String(decoding: bytes, as: UTF8.self)
        faults = document.duplicateKeys
        read(document.root)
    }

    /// The scenario, or every fault in the order of the file.
    func finish() throws(InputError) -> ScenarioFile {
        guard faults.isEmpty, let workload = workload.checked else {
            throw InputError(told, omittedCount: omittedCount)
        }
        var file = ScenarioFile(
            path: path, text: text, name: name ?? nameOfFile, description: description, seed: seed,
            repetitions: repetitions, stage: stage, order: order, workload: workload, servers: servers, load: load,
            window: window, gates: gates, faults: faultPlans, configurations: [], routingConfigurations: [],
            executeConfigurations: [], includedFiles: includedFiles)
        for competitor in competitors {
            switch competitor {
            case .allocate(let configuration): file.configurations.append(configuration)
            case .route(let configuration): file.routingConfigurations.append(configuration)
            case .execute(let configuration): file.executeConfigurations.append(configuration)
            }
        }
        return file
    }

    /// The faults in the order of the scenario, then of each file that it names. What several configurations of one list
    /// or matrix have in common is told once.
    private var sortedFaults: [InputFault] {
        let ranks = Dictionary(
            includedFiles.enumerated().map { ($0.element.path, $0.offset + 1) }, uniquingKeysWith: { first, _ in first }
        )
        var known: Set<String> = []
        let distinct = faults.filter { known.insert($0.description).inserted }
        return distinct.enumerated().sorted {
            (ranks[$0.element.source] ?? 0, $0.element.line ?? 0, $0.offset)
                < (ranks[$1.element.source] ?? 0, $1.element.line ?? 0, $1.offset)
        }.map(\.element)
    }

    private var told: [InputFault] { Array(sortedFaults.prefix(ScenarioFile.faultCountMaximum)) }
    private var omittedCount: Int { max(0, sortedFaults.count - ScenarioFile.faultCountMaximum) }

    mutating func refuse(_ line: Int?, _ field: String? = nil, value: String? = nil, _ expected: String) {
        refuse(InputFault(source: source, line: line, field: field, value: value, expected: expected))
    }

    mutating func refuse(_ fault: InputFault) { faults.append(fault) }

    /// The file's name without its ending, in the letters that a folder of results may have.
    private var nameOfFile: String {
        let file = path.dropFirst(folderPath(of: path).count)
        let stem = file.lastIndex(of: ".").map { file[..<$0] } ?? file
        let letters = String(stem.map { isNameLetter($0) ? $0 : "-" }.prefix(64))
        return letters.first.map { $0.isLetter || $0.isNumber } == true ? letters : "scenario"
    }
}

extension ScenarioReader {
    private mutating func read(_ root: YAMLNode) {
        guard let all = entries(root, field: nil, level: ScenarioFormat.scenario) else { return }
        if let entry = all["name"] { name = identifier(entry) }
        if let entry = all["description"] { description = string(entry) ?? "" }
        if let entry = all["seed"] { seed = seedValue(entry) ?? seed }
        if let entry = all["repetitions"] { repetitions = integer(entry, Limit.repetitions) ?? repetitions }
        if let entry = all["order"] { order = word(entry, ScenarioFile.Order.self) ?? order }
        if let entry = all["stage"] { stage = word(entry, ScenarioFile.Stage.self) ?? stage }
        let keys = dropKeysOfOtherStages(all, ScenarioFormat.scenario)
        if let entry = required("workload", in: keys, line: root.line) {
            readPart(entry) { reader, mapping in reader.readWorkload(mapping) }
        }
        if let entry = keys["servers"], !readDatabaseAlone(entry) {
            readPart(entry) { reader, mapping in reader.readServers(mapping) }
        }
        if let entry = keys["load"] { readLoad(entry) }
        readWindow(warmUp: keys["warm_up"], measured: keys["measured"])
        if let entry = required("configurations", in: keys, line: root.line) { readConfigurations(entry) }
        if let entry = keys["gates"] { readGates(entry) }
        if let entry = keys["faults"] { readFaults(entry) }
        checkWorkerHosts()
    }

    /// Refuses what the stage doesn't know, so that no key is silently without effect.
    mutating func dropKeysOfOtherStages(_ keys: [String: YAMLEntry], _ level: Level) -> [String: YAMLEntry] {
        var known = keys
        for key in level.keys where !key.stages.contains(stage) {
            guard let entry = known.removeValue(forKey: key.name) else { continue }
            let stages = key.stages.map(\.rawValue)
            let expected = "a key of \(stages.count > 1 ? "stages" : "stage") \(list(stages, last: "and"))"
            refuse(entry.line, entry.key, value: valueText(entry.value), expected)
        }
        return known
    }

    /// A mapping in its place, or the path of a file that holds it. The file's faults name the file and its lines.
    private mutating func readPart(_ entry: YAMLEntry, read: (inout ScenarioReader, YAMLEntry) -> Void) {
        guard case .scalar(let text, let isPlain) = entry.value.content, !isNull(text, isPlain: isPlain) else {
            return read(&self, entry)
        }
        let partPath = text.hasPrefix("/") ? text : folderPath(of: path) + text
        do {
            let bytes = try files(partPath)
            let document = try YAMLDocument(bytes: bytes, path: partPath, what: entry.key)
            includedFiles.append(
                ScenarioFile.IncludedFile(key: entry.key, path: partPath, text: String(decoding: bytes, as: UTF8.self)))
            document.duplicateKeys.forEach { refuse($0) }
            source = partPath
            read(&self, YAMLEntry(key: entry.key, line: document.root.line, value: document.root))
            source = path
        } catch {
            for fault in error.faults {
                // What is wrong with the path is the scenario's fault, what is wrong within the file is the file's.
                guard fault.line == nil else {
                    refuse(fault)
                    continue
                }
                refuse(entry.value.line, entry.key, value: text, "a mapping, or \(fault.expected)")
            }
        }
    }
}
