// Turns the tree of a scenario file into checked values. Nothing is thrown at the first fault: what can't be read
// leaves nil, and everything else is still checked. The paths of real data are the only look at the file system.

import Diagnostics
import Glibc
import Measurement
import Model

/// The words a scenario may use, level by level.
private enum Key {
    static let scenario = [
        "name", "description", "seed", "repetitions", "workload", "load", "configurations",
    ]
    static let workload = [
        "executions", "blocks", "accounts_per_block", "partitions", "securities_file", "prices_folder", "route_date",
    ]
    static let load = ["model", "rate"]
    static let configuration = ["name", "mode", "workers"] + ModeSetting.allCases.map(\.rawValue) + ["isolation"]
}

/// What each number may be. The upper ends are far beyond use: they catch a slip of the keyboard.
private enum Limit {
    static let repetitions = 1...1000
    static let executions = 1...100_000_000
    static let blocks = 1...1_000_000
    static let accountsPerBlock = 1...10_000
    static let partitions = 1...256
    static let workers = 1...256
    static let configurationCount = 200
    static let rate = 0.001...10_000_000
    /// A paced load that lasts longer is a slip in the rate.
    static let replaySeconds = 86_400.0

    static func range(of setting: ModeSetting) -> ClosedRange<Int> {
        switch setting {
        case .transactionSize: 1...10_000
        case .pipelineDepth: 1...1000
        case .batchSize: 1...100_000
        case .batchWindowMs: 1...60_000
        case .cycleIntervalMs: 1...600_000
        }
    }
}

/// A path of real data with the place that named it, so that a fault can point there.
private struct DataPath {
    var path: String
    var source: String
    var line: Int?
    var field: String?
}

/// Reads one scenario and collects its faults.
struct ScenarioReader {
    private let path: String
    private let text: String
    private var faults: [InputFault]

    private var name: String?
    private var description = ""
    private var seed = ScenarioFile.seedDefault
    private var repetitions = ScenarioFile.repetitionsDefault
    private var executions: Int?
    private var blocks: Int?
    private var accountsPerBlock: Int? = ScenarioFile.Workload.accountsPerBlockDefault
    private var partitions: Int? = ScenarioFile.Workload.partitionsDefault
    private var routeDate: TradeDate?
    private var securities: DataPath?
    private var prices: DataPath?
    private var arrivals = ArrivalSchedule.backlog
    private var configurations: [Configuration] = []

    init(bytes: [UInt8], path: String) throws(InputError) {
        let document = try YAMLDocument(bytes: bytes, path: path)
        self.path = path
        text = String(decoding: bytes, as: UTF8.self)
        faults = document.duplicateKeys
        read(document.root)
    }

    /// The scenario, or every fault in the order of the file.
    func finish() throws(InputError) -> ScenarioFile {
        guard faults.isEmpty, let executions, let blocks, let accountsPerBlock, let partitions else {
            let sorted = faults.enumerated().sorted {
                ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset)
            }
            let told = sorted.prefix(ScenarioFile.faultCountMaximum).map(\.element)
            throw InputError(told, omittedCount: faults.count - told.count)
        }
        return ScenarioFile(
            path: path, text: text, name: name ?? nameOfFile, description: description, seed: seed,
            repetitions: repetitions,
            workload: ScenarioFile.Workload(
                executions: executions, blocks: blocks, accountsPerBlock: accountsPerBlock, partitions: partitions,
                securitiesFile: securities?.path, pricesFolder: prices?.path, routeDate: routeDate),
            arrivals: arrivals, configurations: configurations)
    }

    private mutating func refuse(_ line: Int?, _ field: String? = nil, value: String? = nil, _ expected: String) {
        faults.append(InputFault(source: path, line: line, field: field, value: value, expected: expected))
    }
}

// MARK: The levels of the file

extension ScenarioReader {
    private mutating func read(_ root: YAMLNode) {
        guard let keys = entries(root, field: nil, keys: Key.scenario, of: "a scenario") else { return }
        if let entry = keys["name"] { name = identifier(entry) }
        if let entry = keys["description"] { description = string(entry) ?? "" }
        if let entry = keys["seed"] { seed = seedValue(entry) ?? seed }
        if let entry = keys["repetitions"] { repetitions = integer(entry, Limit.repetitions) ?? repetitions }
        if let entry = required("workload", in: keys, line: root.line) { readWorkload(entry) }
        if let entry = keys["load"] { readLoad(entry) }
        if let entry = required("configurations", in: keys, line: root.line) { readConfigurations(entry) }
    }

    private mutating func readWorkload(_ entry: YAMLEntry) {
        guard let keys = entries(entry.value, field: entry.key, keys: Key.workload, of: "workload") else { return }
        let executionsEntry = required("executions", in: keys, line: entry.line, of: entry.key)
        let blocksEntry = required("blocks", in: keys, line: entry.line, of: entry.key)
        if let entry = executionsEntry { executions = integer(entry, Limit.executions) }
        if let entry = blocksEntry { blocks = integer(entry, Limit.blocks) }
        if let entry = keys["accounts_per_block"] { accountsPerBlock = integer(entry, Limit.accountsPerBlock) }
        if let entry = keys["partitions"] { partitions = integer(entry, Limit.partitions) }
        if let entry = keys["route_date"] { routeDate = date(entry) }
        if let entry = keys["securities_file"] { securities = dataPath(entry) }
        if let entry = keys["prices_folder"] { prices = dataPath(entry) }
        checkFit(
            blocksLine: blocksEntry?.value.line, accountsLine: keys["accounts_per_block"]?.value.line ?? entry.line)
    }

    /// Each block needs an execution, and each account behind it a share, whatever sizes the executions are drawn with.
    private mutating func checkFit(blocksLine: Int?, accountsLine: Int) {
        guard let executions, let blocks else { return }
        guard blocks <= executions else {
            let expected = "at most \(executions): each block needs an execution (executions: \(executions))"
            return refuse(blocksLine, "blocks", value: String(blocks), expected)
        }
        // An execution has 275 shares on average, and a block order has a largest size.
        let executionsMaximum = Int(QuotaApportionment.totalMaximum) / 275
        guard executions / blocks <= executionsMaximum else {
            let least = (executions + executionsMaximum - 1) / executionsMaximum
            let expected = "at least \(least): a block has at most \(executionsMaximum) executions"
            return refuse(blocksLine, "blocks", value: String(blocks), expected)
        }
        guard let accountsPerBlock else { return }
        let perBlock = executions / blocks
        let shares = perBlock * ScenarioFile.Workload.sharesPerExecution.lowerBound
        guard accountsPerBlock <= shares else {
            let expected =
                "at most \(shares): each account needs a share, and \(perBlock) executions a block"
                + " can have as few as \(shares) shares"
            return refuse(accountsLine, "accounts_per_block", value: String(accountsPerBlock), expected)
        }
    }

    private mutating func readLoad(_ entry: YAMLEntry) {
        let forms = "backlog or { model: paced, rate: 5000 }"
        switch entry.value.content {
        case .sequence:
            refuse(entry.value.line, entry.key, "\(forms), not a list")
        case .scalar:
            guard let word = word(entry, among: ["backlog", "paced"], forms: forms) else { return }
            if word == "paced" {
                refuse(entry.value.line, entry.key, value: word, "a rate with it: { model: paced, rate: 5000 }")
            }
        case .mapping:
            guard let keys = entries(entry.value, field: entry.key, keys: Key.load, of: "load"),
                let modelEntry = required("model", in: keys, line: entry.value.line, of: entry.key),
                let model = word(modelEntry, among: ["backlog", "paced"])
            else { return }
            if model == "backlog" {
                guard let rate = keys["rate"] else { return }
                refuse(
                    rate.line, rate.key, value: valueText(rate.value),
                    "a key of model backlog; rate belongs to model paced")
            } else if let rate = required("rate", in: keys, line: entry.value.line, of: entry.key) {
                readRate(rate)
            }
        }
    }

    private mutating func readRate(_ entry: YAMLEntry) {
        let expected = "a number of executions per second from 0.001 to 10000000"
        guard let text = plainScalar(entry, expected) else { return }
        guard let rate = decimal(text), Limit.rate.contains(rate) else {
            return refuse(entry.value.line, entry.key, value: text, expected)
        }
        if let executions, Double(executions) / rate > Limit.replaySeconds {
            let expected = "a rate at which \(executions) executions arrive within 24 hours"
            return refuse(entry.value.line, entry.key, value: text, expected)
        }
        arrivals = .uniform(ratePerSecond: rate)
    }

    private mutating func readConfigurations(_ entry: YAMLEntry) {
        let expected = "a list of configurations, such as - { mode: concurrent, workers: 8 }"
        guard case .sequence(let items) = entry.value.content, !items.isEmpty else {
            return refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
        }
        guard items.count <= Limit.configurationCount else {
            let expected = "at most \(Limit.configurationCount) configurations"
            return refuse(entry.line, entry.key, value: String(items.count), expected)
        }
        var lines: [String: Int] = [:]
        for item in items {
            guard let configuration = readConfiguration(item) else { continue }
            if let first = lines[configuration.name] {
                let expected = "a name of its own; the configuration at line \(first) has it too"
                refuse(item.line, "name", value: configuration.name, expected)
            } else {
                lines[configuration.name] = item.line
            }
            configurations.append(configuration)
        }
    }

    private mutating func readConfiguration(_ item: YAMLNode) -> Configuration? {
        let faultCount = faults.count
        guard let keys = entries(item, field: "configurations", keys: Key.configuration, of: "a configuration") else {
            return nil
        }
        let modeEntry = required("mode", in: keys, line: item.line, of: "configurations")
        let modeWord = modeEntry.flatMap { word($0, among: Mode.allCases.map(\.rawValue)) }
        let mode = modeWord.flatMap(Mode.init(rawValue:))
        let workers = readWorkers(keys["workers"], line: item.line)
        var settings: [ModeSetting: Int] = [:]
        for setting in ModeSetting.allCases {
            guard let entry = keys[setting.rawValue] else { continue }
            if let mode, !setting.modes.contains(mode) {
                let owners = setting.modes.map(\.rawValue)
                let plural = owners.count > 1 ? "modes" : "mode"
                let expected =
                    "a key of mode \(mode.rawValue); \(entry.key) belongs to \(plural) \(list(owners, last: "and"))"
                refuse(entry.line, entry.key, value: valueText(entry.value), expected)
            } else {
                settings[setting] = integer(entry, Limit.range(of: setting))
            }
        }
        let isolationWord = keys["isolation"].flatMap { word($0, among: Isolation.allCases.map(\.rawValue)) }
        let name = keys["name"].flatMap { identifier($0) }
        guard let mode, let workers, faults.count == faultCount else { return nil }
        return Configuration(
            name: name, mode: mode, workers: workers, transactionSize: settings[.transactionSize],
            pipelineDepth: settings[.pipelineDepth], batchSize: settings[.batchSize],
            batchWindowMs: settings[.batchWindowMs], cycleIntervalMs: settings[.cycleIntervalMs],
            isolation: isolationWord.flatMap(Isolation.init(rawValue:)) ?? .readCommitted)
    }

    /// Partitions are assigned to workers for good, so a worker beyond their number would have none.
    private mutating func readWorkers(_ entry: YAMLEntry?, line: Int) -> Int? {
        var workers = Configuration.workersDefault
        if let entry {
            guard let given = integer(entry, Limit.workers) else { return nil }
            workers = given
        }
        if let partitions, workers > partitions {
            let why = "each worker needs a partition of its own (partitions: \(partitions))"
            let origin = entry == nil ? "; a configuration without workers has \(workers)" : ""
            refuse(
                entry?.value.line ?? line, "workers", value: String(workers), "at most \(partitions): \(why)\(origin)")
            return nil
        }
        return workers
    }
}

// MARK: Real data

extension ScenarioReader {
    /// Puts the command line's paths in place of the file's, then insists on both or neither.
    mutating func overrideData(securitiesFile: String?, pricesFolder: String?) {
        if let securitiesFile { securities = DataPath(path: securitiesFile, source: "--securities") }
        if let pricesFolder { prices = DataPath(path: pricesFolder, source: "--prices") }
        if let securities, prices == nil { refusePath(securities, "prices_folder or --prices with it") }
        if let prices, securities == nil { refusePath(prices, "securities_file or --securities with it") }
    }

    /// Real data that isn't there would otherwise show after the services have started.
    mutating func checkDataPaths() {
        if let securities, kind(ofFile: securities.path) != S_IFREG { refusePath(securities, "a file that exists") }
        if let prices, kind(ofFile: prices.path) != S_IFDIR { refusePath(prices, "a folder that exists") }
    }

    private func kind(ofFile path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }

    private mutating func refusePath(_ data: DataPath, _ expected: String) {
        faults.append(
            InputFault(source: data.source, line: data.line, field: data.field, value: data.path, expected: expected))
    }

    private mutating func dataPath(_ entry: YAMLEntry) -> DataPath? {
        guard let text = string(entry) else { return nil }
        let resolved = text.hasPrefix("/") ? text : folderPath(of: path) + text
        return DataPath(path: resolved, source: path, line: entry.value.line, field: entry.key)
    }

    /// The file's name without its ending, in the letters that a folder of results may have.
    private var nameOfFile: String {
        let file = path.dropFirst(folderPath(of: path).count)
        let stem = file.lastIndex(of: ".").map { file[..<$0] } ?? file
        let letters = String(stem.map { isNameLetter($0) ? $0 : "-" }.prefix(64))
        return letters.first.map { $0.isLetter || $0.isNumber } == true ? letters : "scenario"
    }
}

// MARK: Single values

extension ScenarioReader {
    /// The keys of a mapping; unknown ones are refused with the nearest valid word.
    private mutating func entries(
        _ node: YAMLNode, field: String?, keys: [String], of owner: String
    ) -> [String: YAMLEntry]? {
        guard case .mapping(let entries) = node.content else {
            refuse(node.line, field, "a mapping with the keys \(list(keys, last: "and")), not \(form(of: node))")
            return nil
        }
        var known: [String: YAMLEntry] = [:]
        for entry in entries {
            if keys.contains(entry.key) {
                known[entry.key] = entry
            } else {
                refuse(
                    entry.line, entry.key, "a key of \(owner): \(list(keys, last: "or"))\(suggestion(entry.key, keys))")
            }
        }
        return known
    }

    private mutating func required(
        _ key: String, in keys: [String: YAMLEntry], line: Int, of owner: String? = nil
    ) -> YAMLEntry? {
        if let entry = keys[key] { return entry }
        refuse(line, key, "this key\(owner.map { " in \($0)" } ?? ""), which is missing")
        return nil
    }

    private mutating func integer(_ entry: YAMLEntry, _ range: ClosedRange<Int>) -> Int? {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let text = plainScalar(entry, expected) else { return nil }
        guard isWholeNumber(text), let number = Int(text), range.contains(number) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return number
    }

    private mutating func seedValue(_ entry: YAMLEntry) -> UInt64? {
        let expected = "a whole number from 0 to \(UInt64.max)"
        guard let text = plainScalar(entry, expected) else { return nil }
        guard isWholeNumber(text), let number = UInt64(text) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return number
    }

    private mutating func date(_ entry: YAMLEntry) -> TradeDate? {
        let expected = "a day of the calendar such as 2024-11-14"
        guard let text = scalar(entry, expected) else { return nil }
        guard let date = TradeDate(iso: text) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return date
    }

    private mutating func word(_ entry: YAMLEntry, among words: [String], forms: String? = nil) -> String? {
        let expected = forms ?? list(words, last: "or")
        guard let text = scalar(entry, expected) else { return nil }
        guard words.contains(text) else {
            refuse(entry.value.line, entry.key, value: text, expected + suggestion(text, words))
            return nil
        }
        return text
    }

    /// A name becomes a folder and a column of a CSV, so its letters are few.
    private mutating func identifier(_ entry: YAMLEntry) -> String? {
        let expected = "1 to 64 letters, digits, dots, dashes or underscores, the first a letter or a digit"
        guard let text = scalar(entry, expected) else { return nil }
        let first = text.first.map { $0.isLetter || $0.isNumber } ?? false
        guard first, text.count <= 64, text.allSatisfy(isNameLetter) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return text
    }

    private mutating func string(_ entry: YAMLEntry) -> String? { scalar(entry, "text") }

    /// Text in any style that is not empty.
    private mutating func scalar(_ entry: YAMLEntry, _ expected: String) -> String? {
        guard case .scalar(let text, let isPlain) = entry.value.content, !isNull(text, isPlain: isPlain) else {
            refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
            return nil
        }
        return text
    }

    /// A scalar without quotes: the only one that is a number.
    private mutating func plainScalar(_ entry: YAMLEntry, _ expected: String) -> String? {
        guard let text = scalar(entry, expected) else { return nil }
        guard case .scalar(_, isPlain: true) = entry.value.content else {
            refuse(entry.value.line, entry.key, value: text, "\(expected), not text in quotes")
            return nil
        }
        return text
    }
}

private func isNull(_ text: String, isPlain: Bool) -> Bool {
    text.isEmpty || isPlain && ["~", "null", "Null", "NULL"].contains(text)
}

private func form(of node: YAMLNode) -> String {
    switch node.content {
    case .scalar(let text, let isPlain): isNull(text, isPlain: isPlain) ? "an empty value" : "\"\(text.prefix(60))\""
    case .sequence(let items): items.isEmpty ? "an empty list" : "a list"
    case .mapping: "a mapping"
    }
}

private func valueText(_ node: YAMLNode) -> String? {
    if case .scalar(let text, _) = node.content { text } else { nil }
}

/// Digits without a leading zero, which YAML 1.1 would read as octal, and with at most a minus before them.
private func isWholeNumber(_ text: String) -> Bool {
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    return !digits.isEmpty && digits.utf8.allSatisfy { (48...57).contains($0) }
        && (digits == "0" || !digits.hasPrefix("0"))
}

/// Digits with at most one point among them: no exponent, no `nan`, no `inf`.
private func decimal(_ text: String) -> Double? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }) else {
        return nil
    }
    return Double(text)
}

private func isNameLetter(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || "._-".contains(character))
}

private func suggestion(_ word: String, _ words: [String]) -> String {
    nearestWord(to: word, among: words).map { "; did you mean \($0)?" } ?? ""
}

/// `a, b or c`.
private func list(_ words: [String], last conjunction: String) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " \(conjunction) \(last)"
}
