// What a scenario file says, checked: a workload, a load and the configurations that compete on it.
// Read once on the main thread, before anything starts.

public import Diagnostics
import Glibc
public import Measurement
public import Model

/// A scenario that can be run: every value is present, in range, and fits the others.
public struct ScenarioFile: Sendable {
    /// What is processed: the seeded stream of executions and the orders behind it.
    public struct Workload: Sendable, Equatable {
        public static let partitionsDefault = 8
        public static let accountsPerBlockDefault = 20
        public static let minimumTicketLotsDefault = 2
        public static let lotSizeDefault = 1
        /// The fewest and the most shares of one execution.
        public static let sharesPerExecution = 50...500

        /// Exactly so many executions.
        public var executions: Int
        public var blocks: Int
        public var accountsPerBlock: Int
        public var partitions: Int
        /// Real data instead of the generator: both paths or neither. Relative paths start at the scenario's folder.
        public var securitiesFile: String?
        public var pricesFolder: String?
        public var routeDate: TradeDate?
        /// Of a million trades, how many are busted; of a million block orders, how many are replaced and canceled.
        public var bustPpm: Int64 = 0
        public var replacePpm: Int64 = 0
        public var cancelPpm: Int64 = 0
        /// Dealt to the blocks in turn.
        public var allocationPolicies: [AllocationPolicy] = [.proRata]
        /// The least that an account gets under `pro_rata_min_ticket`.
        public var minimumTicketLots = Int64(minimumTicketLotsDefault)
        /// Of every security: files don't say one.
        public var lotSize = Int64(lotSizeDefault)
        public var routing = RoutingWay.setBased
        /// How the executions are spread over the blocks.
        public var skew = BlockSkew.uniform
    }

    /// What is measured, on configurations of its own kind.
    public enum Stage: String, Sendable, CaseIterable {
        case allocate
        case route
        case execute
    }

    /// As given to `load`: the manifest names it.
    public var path: String
    /// The text as it was read: the manifest keeps it whole.
    public var text: String
    /// From the file, or else from its name.
    public var name: String
    public var description: String
    public var seed: UInt64
    public var repetitions: Int
    public var stage: Stage
    public var order: Order
    public var workload: Workload
    public var servers: Servers
    public var load: Load
    /// Which part of every cell counts.
    public var window: WindowPlan
    public var gates: [GateRule]
    /// In the order of time.
    public var faults: [FaultPlan]
    /// In the order of the file, names unique; empty unless the stage is allocate.
    public var configurations: [Configuration]
    /// The same of stage route.
    public var routingConfigurations: [RoutingConfiguration]
    /// The same of stage execute.
    public var executeConfigurations: [ExecuteConfiguration]
    /// What `workload:` and `servers:` named, as it was read.
    public var includedFiles: [IncludedFile]

    /// Whatever competes, of whichever stage.
    public var competitors: [Competitor] {
        switch stage {
        case .allocate: configurations.map(Competitor.allocate)
        case .route: routingConfigurations.map(Competitor.route)
        case .execute: executeConfigurations.map(Competitor.execute)
        }
    }

    /// How many configurations compete, of whichever kind.
    public var configurationCount: Int { competitors.count }

    /// When executions are due; of a search each probe has a schedule of its own.
    public var arrivals: ArrivalSchedule {
        if case .open(let open) = load { open.schedule } else { .backlog }
    }

    public static let seedDefault: UInt64 = 42
    public static let repetitionsDefault = 1
    /// A scenario is a page or two; what is larger was not meant as one.
    static let byteCountMaximum = 1 << 20
    /// Faults told in one go; the rest is counted.
    static let faultCountMaximum = 100

    /// Reads and checks a scenario. `securitiesFile` and `pricesFolder` are the command line's, relative to the current
    /// folder; where given they replace the file's, and only the paths in force are looked up.
    ///
    /// - Parameter name: what a scenario without a name of its own is called, instead of its file's.
    /// - Throws: every fault in one go.
    public static func load(
        path: String, securitiesFile: String? = nil, pricesFolder: String? = nil, name: String? = nil
    ) throws(InputError) -> ScenarioFile {
        let bytes = try readFile(path, what: "a scenario")
        var reader = try ScenarioReader(bytes: bytes, path: path) { path throws(InputError) in
            try readFile(path, what: "a YAML")
        }
        reader.overrideData(securitiesFile: securitiesFile, pricesFolder: pricesFolder)
        reader.checkDataPaths()
        var scenario = try reader.finish()
        if let name { scenario.name = name }
        return scenario
    }

    /// Checks a scenario's text, without a look at the file system. `path` is what the faults name, `files` holds the texts
    /// that `workload:` and `servers:` may name, by path.
    public static func parse(
        text: String, path: String, files: [String: String] = [:]
    ) throws(InputError) -> ScenarioFile {
        var reader = try ScenarioReader(bytes: Array(text.utf8), path: path) { path throws(InputError) in
            guard let text = files[path] else {
                throw InputError(InputFault(source: path, expected: "the path of a file that was handed over"))
            }
            return Array(text.utf8)
        }
        reader.overrideData(securitiesFile: nil, pricesFolder: nil)
        return try reader.finish()
    }
}

/// The bytes of a regular file of reasonable size.
///
/// - Parameter what: what the file is, such as "a scenario".
func readFile(_ path: String, what: String) throws(InputError) -> [UInt8] {
    func refusal(_ expected: String) -> InputError { InputError(InputFault(source: path, expected: expected)) }
    // A pipe without a writer would block an ordinary open for ever.
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else {
        let reason = String(cString: strerror(errno))
        let suggestion = nearestFile(to: path).map { "; did you mean \($0)?" } ?? ""
        throw refusal("\(what) file: \(reason)\(suggestion)")
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        throw refusal("a regular file, not a folder, a pipe or a device")
    }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
        let count = read(file, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else { throw refusal("a readable file: \(String(cString: strerror(errno)))") }
        if count == 0 { return bytes }
        bytes += chunk[..<count]
        guard bytes.count <= ScenarioFile.byteCountMaximum else { throw refusal("\(what) file of at most 1 MiB") }
    }
}

/// A scenario beside the missing one whose name is a slip away.
private func nearestFile(to path: String) -> String? {
    let folder = folderPath(of: path)
    guard let entries = opendir(folder.isEmpty ? "." : folder) else { return nil }
    defer { closedir(entries) }
    var names: [String] = []
    while let entry = readdir(entries) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name.hasSuffix(".yaml") || name.hasSuffix(".yml") { names.append(name) }
    }
    return nearestWord(to: String(path.dropFirst(folder.count)), among: names).map { folder + $0 }
}

/// Everything up to the last slash, the slash included; empty where there is none.
func folderPath(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
}
