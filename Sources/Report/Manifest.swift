// What makes a run repeatable: manifest.json. A plain value; every text in it passes through Redaction when it is
// written, whatever the caller did before.

public import Diagnostics
public import Measurement
import Model

/// Everything that has to be the same for a run to be the same.
public struct Manifest: Sendable {
    public static let formatVersion = 2

    /// A named text, such as a version or a server's setting.
    public struct Entry: Sendable, Equatable {
        public var name: String
        public var value: String
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// What was loaded, so that another run can tell whether it works on the same.
    public struct DataSet: Sendable, Equatable {
        public var name: String
        public var rowCount: Int64
        public var checksum: String
        public init(name: String, rowCount: Int64, checksum: String) {
            self.name = name
            self.rowCount = rowCount
            self.checksum = checksum
        }
    }

    /// How the run ended, and how much of it is in runs.csv.
    public struct Outcome: Sendable, Equatable {
        public enum Ending: String, Sendable {
            case complete
            /// By Ctrl-C or TERM.
            case interrupted
            case failed
            /// Still running, or killed: the journal says how far it came.
            case unfinished
        }

        public var ending: Ending
        public var runsFinished: Int
        public var runsPlanned: Int
        public init(_ ending: Ending, runsFinished: Int, runsPlanned: Int) {
            self.ending = ending
            self.runsFinished = runsFinished
            self.runsPlanned = runsPlanned
        }
    }

    public var outcome: Outcome
    public var scenarioName: String
    public var scenarioPath: String
    public var scenarioText: String
    public var seed: UInt64
    public var commandLine: [String]
    public var build: BuildDescription
    /// allocbench, libpq, librdkafka, libyaml, PostgreSQL or CockroachDB, the broker; in the order to be read.
    public var versions: [Entry]
    /// How the database was reached, already redacted.
    public var connection: String
    public var serverSettings: [Entry]
    public var brokerSettings: [Entry]
    public var machine: MachineDescription
    /// Milliseconds since 1970 in UTC.
    public var startedAtUnixMs: Int64
    public var endedAtUnixMs: Int64
    public var dataSets: [DataSet]
    /// A digest of everything that the configurations process, the stream included: another run works on the same if and
    /// only if it is the same.
    public var fingerprint = ""
    /// What the harness found out about itself before the first cell, such as the error of its timer.
    public var selfCheck: [Entry] = []
    /// Worker hosts that took part, each with where it was, what it ran on and how its clock stood against the database's.
    public var hosts: [Entry] = []
    /// Real data, wherever it was named; absolute.
    public var securitiesFile: String?
    public var pricesFolder: String?
    /// Of a run that was resumed: when it was begun; `startedAtUnixMs` is then when it was resumed.
    public var firstStartedAt: String?

    public init(
        outcome: Outcome, scenarioName: String, scenarioPath: String, scenarioText: String, seed: UInt64,
        commandLine: [String],
        build: BuildDescription, versions: [Entry], connection: String, serverSettings: [Entry],
        brokerSettings: [Entry], machine: MachineDescription, startedAtUnixMs: Int64, endedAtUnixMs: Int64,
        dataSets: [DataSet]
    ) {
        self.outcome = outcome
        self.scenarioName = scenarioName
        self.scenarioPath = scenarioPath
        self.scenarioText = scenarioText
        self.seed = seed
        self.commandLine = commandLine
        self.build = build
        self.versions = versions
        self.connection = connection
        self.serverSettings = serverSettings
        self.brokerSettings = brokerSettings
        self.machine = machine
        self.startedAtUnixMs = startedAtUnixMs
        self.endedAtUnixMs = endedAtUnixMs
        self.dataSets = dataSets
    }

    /// Writes the file whole or not at all.
    public func write(to path: String) throws(OperatingError) {
        let file = try AtomicFile(path: path)
        try file.append(json)
        try file.finish()
    }

    /// The text of manifest.json.
    public var json: String {
        JSON.object([
            .init("format_version", .integer(Int64(Manifest.formatVersion))),
            .init(
                "outcome",
                .object([
                    .init("ending", .string(outcome.ending.rawValue)),
                    .init("runs_finished", .integer(Int64(outcome.runsFinished))),
                    .init("runs_planned", .integer(Int64(outcome.runsPlanned))),
                ])),
            .init("started_at", .string(firstStartedAt ?? utc(unixMs: startedAtUnixMs))),
            .init("resumed_at", firstStartedAt == nil ? .null : .string(utc(unixMs: startedAtUnixMs))),
            .init("ended_at", .string(utc(unixMs: endedAtUnixMs))),
            .init("command_line", .array(Redaction.arguments(commandLine).map(JSON.string))),
            .init(
                "scenario",
                .object([
                    .init("name", .string(scenarioName)),
                    .init("path", .string(scenarioPath)),
                    // A seed may exceed what many readers keep exact in a number.
                    .init("seed", .string(String(seed))),
                    .init("text", .string(Redaction.text(scenarioText))),
                    .init("securities_file", securitiesFile.map(JSON.string) ?? .null),
                    .init("prices_folder", pricesFolder.map(JSON.string) ?? .null),
                ])),
            .init("build", buildJSON),
            .init("versions", object(versions)),
            .init("connection", .string(Redaction.text(connection))),
            .init("server_settings", object(serverSettings)),
            .init("broker_settings", object(brokerSettings)),
            .init("machine", machineJSON),
            .init("data_sets", .array(dataSets.map(dataSetJSON))),
            .init("fingerprint", .string(fingerprint)),
            .init("self_check", object(selfCheck)),
            .init("worker_hosts", object(hosts)),
        ]).text
    }

    /// What has to be the same for two runs, or the two parts of one, to be measured alike; by name.
    public var surroundings: [String: String] {
        var surroundings = Dictionary(versions.map { ($0.name, $0.value) }) { first, _ in first }
        surroundings.merge(build.surroundings) { $1 }
        surroundings["cpu_model"] = machine.cpuModel
        surroundings["cores"] = String(machine.coreCount)
        surroundings["memory_bytes"] = String(machine.memoryBytes)
        surroundings["kernel"] = machine.kernel
        // As they are written: what was removed then can't be compared now.
        for setting in serverSettings {
            surroundings[Manifest.settingPrefix + setting.name] = Redaction.value(setting.value, of: setting.name)
        }
        return surroundings
    }

    /// Of a server's setting among the surroundings.
    static let settingPrefix = "server setting "

    private var buildJSON: JSON {
        .object([
            .init("git_commit", build.gitCommit.map(JSON.string) ?? .null),
            .init("git_dirty", build.gitIsDirty.map(JSON.bool) ?? .null),
            .init("swift", .string(build.swiftVersion)),
            .init("optimized", .bool(build.isOptimized)),
        ])
    }

    private var machineJSON: JSON {
        .object([
            .init("cpu_model", .string(machine.cpuModel)),
            .init("cores", .integer(Int64(machine.coreCount))),
            .init("memory_bytes", .integer(machine.memoryBytes)),
            .init("architecture", .string(machine.architecture)),
            .init("kernel", .string(machine.kernel)),
            .init("operating_system", .string(machine.operatingSystem)),
        ])
    }

    private func dataSetJSON(_ dataSet: DataSet) -> JSON {
        .object([
            .init("name", .string(dataSet.name)),
            .init("rows", .integer(dataSet.rowCount)),
            .init("checksum", .string(dataSet.checksum)),
        ])
    }

    private func object(_ entries: [Entry]) -> JSON {
        .object(entries.map { .init($0.name, .string(Redaction.value($0.value, of: $0.name))) })
    }
}

/// ISO 8601 in UTC with milliseconds: `2024-11-14T09:30:00.123Z`.
func utc(unixMs: Int64) -> String {
    let millisecondsPerDay: Int64 = 86_400_000
    let inDay = ((unixMs % millisecondsPerDay) + millisecondsPerDay) % millisecondsPerDay
    let day = TradeDate(dayNumber: Int((unixMs - inDay) / millisecondsPerDay))
    func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: width - digits.count) + digits
    }
    let hours = padded(inDay / 3_600_000, 2)
    let minutes = padded(inDay / 60_000 % 60, 2)
    let seconds = padded(inDay / 1000 % 60, 2)
    return "\(day)T\(hours):\(minutes):\(seconds).\(padded(inDay % 1000, 3))Z"
}
