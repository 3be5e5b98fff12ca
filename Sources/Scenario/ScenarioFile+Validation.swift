// Turns the tree of a scenario file into checked values. Nothing is thrown at the first fault: what can't be read
// leaves nil, and everything else is still checked. The paths of real data are the only look at the file system.

import Diagnostics
import Glibc
import Measurement
import Model

/// The words a scenario may use, level by level.
private enum Key {
    static let scenario = [
        "name", "description", "seed", "repetitions", "stage", "workload", "load", "configurations",
    ]
    static let workload = [
        "executions", "blocks", "accounts_per_block", "partitions", "securities_file", "prices_folder", "route_date",
        "busts", "replaces", "cancels", "allocation_policies", "minimum_ticket_lots", "lot_size", "routing",
    ]
    /// What happens behind routing; a scenario of routing has none of it.
    static let behindRouting = [
        "busts", "replaces", "cancels", "allocation_policies", "minimum_ticket_lots", "routing",
    ]
    static let load = ["model", "rate"]
    static let configuration =
        ["name", "mode", "workers"] + ModeSetting.allCases.map(\.rawValue)
        + ["isolation", "snapshots", "booking_workers"]
    static let snapshots = ["parts", "executions", "interval_ms"]
    static let routingConfiguration = ["name", "routing", "workers", "batch_size"]
}

/// What each number may be. The upper ends are far beyond use: they catch a slip of the keyboard.
private enum Limit {
    static let repetitions = 1...1000
    static let executions = 1...100_000_000
    static let blocks = 1...1_000_000
    static let accountsPerBlock = 1...10_000
    static let partitions = 1...256
    static let workers = 1...256
    static let lotSize = 1...1000
    static let minimumTicketLots = 1...1_000_000
    static let policyCount = 100
    static let bookingWorkers = 0...64
    static let routingBatchSize = 1...10_000
    static let snapshotParts = 1...10_000
    static let snapshotExecutions = 1...1_000_000
    static let snapshotIntervalMs = 1...3_600_000
    /// In parts per million. Of a block whose fills are all reversed nothing could be learnt.
    static let busts: ClosedRange<Int64> = 0...500_000
    static let changes: ClosedRange<Int64> = 0...1_000_000
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
    private var bustPpm: Int64 = 0
    private var replacePpm: Int64 = 0
    private var cancelPpm: Int64 = 0
    private var allocationPolicies = [AllocationPolicy.proRata]
    private var minimumTicketLots: Int? = ScenarioFile.Workload.minimumTicketLotsDefault
    private var lotSize: Int? = ScenarioFile.Workload.lotSizeDefault
    private var lotSizeEntry: YAMLEntry?
    private var routing = RoutingWay.setBased
    private var stage = ScenarioFile.Stage.allocate
    private var arrivals = ArrivalSchedule.backlog
    private var configurations: [Configuration] = []
    private var routingConfigurations: [RoutingConfiguration] = []

    init(bytes: [UInt8], path: String) throws(InputError) {
        let document = try YAMLDocument(bytes: bytes, path: path)
        self.path = path
        text = String(decoding: bytes, as: UTF8.self)
        faults = document.duplicateKeys
        read(document.root)
    }

    /// The scenario, or every fault in the order of the file.
    func finish() throws(InputError) -> ScenarioFile {
        guard faults.isEmpty, let executions, let blocks, let accountsPerBlock, let partitions, let lotSize,
            let minimumTicketLots
        else {
            let sorted = faults.enumerated().sorted {
                ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset)
            }
            let told = sorted.prefix(ScenarioFile.faultCountMaximum).map(\.element)
            throw InputError(told, omittedCount: faults.count - told.count)
        }
        return ScenarioFile(
            path: path, text: text, name: name ?? nameOfFile, description: description, seed: seed,
            repetitions: repetitions, stage: stage, order: .abba,
            workload: ScenarioFile.Workload(
                executions: executions, blocks: blocks, accountsPerBlock: accountsPerBlock, partitions: partitions,
                securitiesFile: securities?.path, pricesFolder: prices?.path, routeDate: routeDate,
                bustPpm: bustPpm, replacePpm: replacePpm, cancelPpm: cancelPpm,
                allocationPolicies: allocationPolicies, minimumTicketLots: Int64(minimumTicketLots),
                lotSize: Int64(lotSize), routing: routing),
            servers: ScenarioFile.Servers(),
            load: arrivals == .backlog
                ? .backlog : .open(ScenarioFile.OpenLoad(schedule: arrivals, through: .topic)),
            window: .everything, gates: [], faults: [], configurations: configurations,
            routingConfigurations: routingConfigurations, executeConfigurations: [], includedFiles: [])
    }

    mutating func refuse(_ line: Int?, _ field: String? = nil, value: String? = nil, _ expected: String) {
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
        if let entry = keys["stage"], let word = word(entry, among: ScenarioFile.Stage.allCases.map(\.rawValue)) {
            stage = ScenarioFile.Stage(rawValue: word) ?? stage
        }
        if let entry = required("workload", in: keys, line: root.line) { readWorkload(entry) }
        if let entry = keys["load"] {
            if stage == .route {
                refuse(entry.line, entry.key, value: valueText(entry.value), "a key of stage allocate")
            } else {
                readLoad(entry)
            }
        }
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
        if let entry = keys["lot_size"] {
            lotSizeEntry = entry
            lotSize = integer(entry, Limit.lotSize)
        }
        if stage == .route {
            for key in Key.behindRouting {
                guard let entry = keys[key] else { continue }
                refuse(entry.line, key, value: valueText(entry.value), "a key of stage allocate")
            }
        } else {
            readCorrections(keys)
            readPolicies(keys)
            if let entry = keys["routing"] { routing = routingWay(entry) ?? routing }
        }
        checkFit(
            blocksLine: blocksEntry?.value.line, accountsLine: keys["accounts_per_block"]?.value.line ?? entry.line)
    }

    /// How often executions are reversed, and block orders changed.
    private mutating func readCorrections(_ keys: [String: YAMLEntry]) {
        if let entry = keys["busts"] { bustPpm = partsPerMillion(entry, Limit.busts) ?? bustPpm }
        if let entry = keys["replaces"] { replacePpm = partsPerMillion(entry, Limit.changes) ?? replacePpm }
        guard let entry = keys["cancels"], let cancels = partsPerMillion(entry, Limit.changes) else { return }
        cancelPpm = cancels
        guard replacePpm + cancelPpm > 1_000_000 else { return }
        let expected = "at most 1 together with replaces: each is the share of block orders that it happens to"
        refuse(entry.value.line, entry.key, value: valueText(entry.value), expected)
    }

    /// How fills are divided: one name, or several that are dealt to the blocks in turn.
    private mutating func readPolicies(_ keys: [String: YAMLEntry]) {
        if let entry = keys["allocation_policies"] { allocationPolicies = policies(entry) ?? allocationPolicies }
        guard let entry = keys["minimum_ticket_lots"] else { return }
        minimumTicketLots = integer(entry, Limit.minimumTicketLots)
        guard !allocationPolicies.contains(.proRataMinimumTicket) else { return }
        let expected =
            "\(AllocationPolicy.proRataMinimumTicket.rawValue) among allocation_policies, which alone has one"
        refuse(entry.line, entry.key, value: valueText(entry.value), expected)
    }

    private mutating func policies(_ entry: YAMLEntry) -> [AllocationPolicy]? {
        let words = AllocationPolicy.allCases.map(\.rawValue)
        let forms = "\(list(words, last: "or")), or a list of them"
        guard case .sequence(let items) = entry.value.content else {
            return word(entry, among: words, forms: forms).flatMap(AllocationPolicy.init(rawValue:)).map { [$0] }
        }
        guard (1...Limit.policyCount).contains(items.count) else {
            let expected = items.isEmpty ? "\(forms), not an empty list" : "at most \(Limit.policyCount) policies"
            refuse(entry.value.line, entry.key, value: items.isEmpty ? nil : String(items.count), expected)
            return nil
        }
        let known = items.map { item in
            word(YAMLEntry(key: entry.key, line: item.line, value: item), among: words)
                .flatMap(AllocationPolicy.init(rawValue:))
        }
        return known.contains(nil) ? nil : known.compactMap(\.self)
    }

    private mutating func routingWay(_ entry: YAMLEntry) -> RoutingWay? {
        word(entry, among: RoutingWay.allCases.map(\.rawValue)).flatMap(RoutingWay.init(rawValue:))
    }

    /// Each block needs an execution, and each account behind it a lot, whatever sizes the executions are drawn with.
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
        guard let accountsPerBlock, let lotSize else { return }
        let perBlock = executions / blocks
        let shares = perBlock * ScenarioFile.Workload.sharesPerExecution.lowerBound
        let accountsMaximum = shares / lotSize
        guard accountsMaximum > 0 else {
            let expected = "at most \(shares): \(perBlock) executions a block can have as few as \(shares) shares"
            return refuse(lotSizeEntry?.value.line, "lot_size", value: String(lotSize), expected)
        }
        guard accountsPerBlock <= accountsMaximum else {
            let need = lotSize == 1 ? "a share" : "a lot of \(lotSize) shares"
            let expected =
                "at most \(accountsMaximum): each account needs \(need), and \(perBlock) executions a block"
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
        let example = stage == .route ? "{ routing: event_driven, workers: 4 }" : "{ mode: concurrent, workers: 8 }"
        let expected = "a list of configurations, such as - \(example)"
        guard case .sequence(let items) = entry.value.content, !items.isEmpty else {
            return refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
        }
        guard items.count <= Limit.configurationCount else {
            let expected = "at most \(Limit.configurationCount) configurations"
            return refuse(entry.line, entry.key, value: String(items.count), expected)
        }
        var lines: [String: Int] = [:]
        for item in items {
            guard let name = stage == .route ? addRoutingConfiguration(item) : addConfiguration(item) else { continue }
            if let first = lines[name] {
                let expected = "a name of its own; the configuration at line \(first) has it too"
                refuse(item.line, "name", value: name, expected)
            } else {
                lines[name] = item.line
            }
        }
    }

    private mutating func addConfiguration(_ item: YAMLNode) -> String? {
        guard let configuration = readConfiguration(item) else { return nil }
        configurations.append(configuration)
        return configuration.name
    }

    private mutating func addRoutingConfiguration(_ item: YAMLNode) -> String? {
        guard let configuration = readRoutingConfiguration(item) else { return nil }
        routingConfigurations.append(configuration)
        return configuration.name
    }

    private mutating func readRoutingConfiguration(_ item: YAMLNode) -> RoutingConfiguration? {
        let faultCount = faults.count
        guard let keys = entries(item, field: "configurations", keys: Key.routingConfiguration, of: "a configuration")
        else { return nil }
        let way = required("routing", in: keys, line: item.line, of: "configurations").flatMap { routingWay($0) }
        var workers: Int?
        var batchSize: Int?
        if way == .setBased {
            for key in ["workers", "batch_size"] {
                guard let entry = keys[key] else { continue }
                let expected = "a key of routing set_based; \(key) belongs to routing event_driven"
                refuse(entry.line, key, value: valueText(entry.value), expected)
            }
        } else {
            workers = readWorkers(keys["workers"], line: item.line)
            if let entry = keys["batch_size"] { batchSize = integer(entry, Limit.routingBatchSize) }
        }
        let name = keys["name"].flatMap { identifier($0) }
        guard let way, faults.count == faultCount else { return nil }
        return RoutingConfiguration(name: name, way: way, workers: workers, batchSize: batchSize)
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
        let snapshots = keys["snapshots"].flatMap { snapshotPolicy($0) }
        let bookingWorkers = keys["booking_workers"].flatMap { integer($0, Limit.bookingWorkers) }
        let name = keys["name"].flatMap { identifier($0) }
        guard let mode, let workers, faults.count == faultCount else { return nil }
        return Configuration(
            name: name, mode: mode, workers: workers, transactionSize: settings[.transactionSize],
            pipelineDepth: settings[.pipelineDepth], batchSize: settings[.batchSize],
            batchWindowMs: settings[.batchWindowMs], cycleIntervalMs: settings[.cycleIntervalMs],
            isolation: isolationWord.flatMap(Isolation.init(rawValue:)) ?? .readCommitted,
            snapshots: snapshots ?? .quarters, bookingWorkers: bookingWorkers ?? Configuration.bookingWorkersDefault)
    }

    private mutating func snapshotPolicy(_ entry: YAMLEntry) -> SnapshotPolicy? {
        let forms = "completion, { parts: 4 }, { executions: 100 } or { interval_ms: 500 }"
        guard case .mapping(let given) = entry.value.content else {
            return word(entry, among: ["completion"], forms: forms) == nil ? nil : .completion
        }
        guard let keys = entries(entry.value, field: entry.key, keys: Key.snapshots, of: entry.key) else { return nil }
        guard given.count == 1 else {
            refuse(entry.value.line, entry.key, "\(forms): exactly one of them, not \(given.count)")
            return nil
        }
        if let parts = keys["parts"] {
            return integer(parts, Limit.snapshotParts).map { .fraction(parts: Int64($0)) }
        }
        if let executions = keys["executions"] {
            return integer(executions, Limit.snapshotExecutions).map { .executions(Int64($0)) }
        }
        return keys["interval_ms"].flatMap { integer($0, Limit.snapshotIntervalMs) }
            .map { .interval(milliseconds: Int64($0)) }
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
