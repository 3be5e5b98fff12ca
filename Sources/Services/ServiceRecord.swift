// What `services.json` says about one process that the harness started. Plain data.

import Diagnostics
import FoundationEssentials
import Glibc

/// A process and when it started, which together name it for as long as the machine is up.
public struct ProcessIdentity: Codable, Hashable, Sendable {
    public let pid: Int32
    /// Field 22 of `/proc/PID/stat`.
    public let startTicks: UInt64

    public init(pid: Int32, startTicks: UInt64) {
        self.pid = pid
        self.startTicks = startTicks
    }

    /// This process.
    public static var current: ProcessIdentity {
        ProcessIdentity(pid: getpid(), startTicks: ChildProcess.processStartTicks(getpid()) ?? 0)
    }

    public var isRunning: Bool { ChildProcess.isRunning(pid, startTicks: startTicks) }
}

/// For whom services run: for everyone until `services stop`, or for one run that ends them itself.
public enum ServiceOwner: Codable, Hashable, Sendable, CustomStringConvertible {
    case servicesStart
    case run(ProcessIdentity)

    /// The run in this process.
    public static var thisRun: ServiceOwner { .run(.current) }

    /// A run that was killed owns nothing any more.
    public var isAlive: Bool {
        switch self {
        case .servicesStart: true
        case .run(let process): process.isRunning
        }
    }

    public var description: String {
        switch self {
        case .servicesStart: "services start"
        case .run(let process): "run (pid \(process.pid))"
        }
    }
}

/// One running, or once running, service.
public struct ServiceRecord: Codable, Sendable {
    public enum Kind: String, Codable, Sendable {
        case postgres
        /// Of the PostgreSQL beside it, and gone before it.
        case standby
        case mockBroker = "mock broker"
        /// One node of it.
        case kafka
        /// Stops a run's services when the run was killed.
        case guardian = "guard"

        var isBroker: Bool { self == .mockBroker || self == .kafka }
    }

    public let kind: Kind
    public let process: ProcessIdentity
    /// A connection text without secrets, or bootstrap servers.
    public let address: String
    /// Seconds since 1970.
    public let startedAt: Int
    public let owner: ServiceOwner

    public var isRunning: Bool { process.isRunning }
}

/// The whole of `services.json`.
struct ServiceRecords: Codable {
    var services: [ServiceRecord] = []

    func first(where matches: (ServiceRecord) -> Bool) -> ServiceRecord? { services.first(where: matches) }

    /// A missing file is no services; so is one that can't be read, because the processes are found by marker too.
    static func read(_ path: String) -> ServiceRecords {
        guard let text = fileContents(path) else { return ServiceRecords() }
        return (try? JSONDecoder().decode(ServiceRecords.self, from: Data(text.utf8))) ?? ServiceRecords()
    }

    func write(_ path: String) throws(OperatingError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { throw OperatingError("services.json can't be encoded") }
        try Files.replace(path, with: String(decoding: data, as: UTF8.self) + "\n")
    }
}
