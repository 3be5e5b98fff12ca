// A broker of our own, of either kind behind one face: librdkafka's mock in a child process, or one node of a real Kafka.
// Blocks the calling thread. Who started it and for whom is written down by EmbeddedServices.

public import Diagnostics
import Glibc
public import Kafka

/// Which broker a run asks for.
public enum BrokerChoice: Sendable, Hashable {
    case mock
    /// A Kafka distribution: the folder that holds `bin/kafka-server-start.sh`. And how many nodes of it.
    case kafka(home: String, brokers: Int = 1)

    /// `--kafka-home` if given, else KAFKA_HOME, else the mock, which needs nothing installed and is always one.
    public init(kafkaHome option: String?, brokers: Int = 1) {
        if let home = Self.home(option)?.path { self = .kafka(home: home, brokers: brokers) } else { self = .mock }
    }

    /// How many brokers that are.
    public var brokerCount: Int {
        switch self {
        case .mock: 1
        case .kafka(_, let count): count
        }
    }

    /// How many nodes an embedded Kafka may have.
    public static let brokerCounts = 1...KafkaCluster.countMax

    /// Refuses a folder that holds no Kafka, before anything is made or started.
    public static func requireDistribution(kafkaHome option: String?) throws(InputError) {
        guard let home = home(option), let missing = KafkaNode.missingScript(of: home.path) else { return }
        throw InputError(
            InputFault(
                source: home.source, value: home.path, expected: "a Kafka distribution: it has no bin/\(missing)"))
    }

    private static func home(_ option: String?) -> (source: String, path: String)? {
        let variable = getenv("KAFKA_HOME").map { String(cString: $0) }
        let home = option.map { ("--kafka-home", $0) } ?? variable.map { ("KAFKA_HOME", $0) }
        return home.flatMap { $0.1.isEmpty ? nil : $0 }
    }

    public var kind: ServiceRecord.Kind {
        switch self {
        case .mock: .mockBroker
        case .kafka: .kafka
        }
    }
}

/// A running broker.
public struct EmbeddedBroker: Sendable {
    public let kind: ServiceRecord.Kind
    /// Of each node one.
    let addresses: [String]
    let processes: [ProcessIdentity]
    /// Where the mock takes requests for topics.
    let controlSocket: String?
    /// Of the further listeners that it was started with, by name.
    public private(set) var listenerAddresses: [String: String] = [:]

    public var bootstrapServers: String { addresses.joined(separator: ",") }
    public var brokerCount: Int { addresses.count }

    /// Starts the broker that `choice` names, and waits until it answers. Nothing is recorded: `EmbeddedServices` does
    /// that, and whoever starts a broker by itself stops it by itself.
    /// - Parameter listeners: of a real Kafka, beside the plain one.
    public static func start(
        _ choice: BrokerChoice, in state: StateFolder, listeners: [BrokerListener] = []
    ) throws -> EmbeddedBroker {
        switch choice {
        case .mock: try startMock(in: state)
        case .kafka(let home, let count):
            try KafkaCluster(home: home, state: state, count: count, listeners: listeners).start()
        }
    }

    /// Stops a broker that was started by itself.
    public func stop(in state: StateFolder) {
        if kind == .kafka {
            let marks = Set((1...brokerCount).map { state.kafkaProperties(node: $0, of: brokerCount) })
            let found = MarkedProcesses.find(anyOf: marks)
            MarkedProcesses.end(
                found + processes.filter { !found.contains($0) }, [(SIGTERM, .seconds(20)), (SIGKILL, .seconds(10))])
        } else {
            for process in processes { Leftovers.stop(kind, process, in: state) }
        }
        if controlSocket != nil { state.removeMockSocket() }
    }

    /// The running broker that records tell of, a record for each node.
    static func attach(to records: [ServiceRecord], in state: StateFolder) -> EmbeddedBroker? {
        guard let first = records.first else { return nil }
        return EmbeddedBroker(
            kind: first.kind, addresses: records.map(\.address), processes: records.map(\.process),
            controlSocket: first.kind == .mockBroker ? state.mockControlSocket : nil)
    }

    init(
        kind: ServiceRecord.Kind, addresses: [String], processes: [ProcessIdentity], controlSocket: String?,
        listenerAddresses: [String: String] = [:]
    ) {
        self.kind = kind
        self.addresses = addresses
        self.processes = processes
        self.controlSocket = controlSocket
        self.listenerAddresses = listenerAddresses
    }

    /// - Throws: `KafkaError` with `topicAlreadyExists`, or what the broker has against the topic.
    public func createTopic(name: String, partitions: Int) throws {
        if let controlSocket {
            try MockBrokerControl(socket: controlSocket).createTopic(name, partitions: partitions)
        } else {
            try KafkaAdmin(settings: clientSettings).createTopic(name, partitions: partitions)
        }
    }

    /// Deletes a topic of a real Kafka; the mock can't, and forgets everything when it stops.
    public func deleteTopic(name: String) throws {
        if controlSocket == nil { try KafkaAdmin(settings: clientSettings).deleteTopic(name) }
    }

    public var clientSettings: KafkaClientSettings { KafkaClientSettings(bootstrapServers: bootstrapServers) }

    // MARK: The mock

    private static func startMock(in state: StateFolder) throws -> EmbeddedBroker {
        try Files.makeFolder(state.mockFolder)
        try state.makeMockSocketFolder()
        let socket = state.mockControlSocket
        let log = "\(state.mockFolder)/broker.log"
        unlink(log)
        let pid = try ChildProcess.spawnDetached(
            [
                try HarnessExecutable.path(), MockBrokerProcess.verb, "--control", socket, "--state", state.path,
            ], standardOutput: log, standardError: log, environment: ChildProcess.environmentWithoutSecrets)
        let process = ProcessIdentity(pid: pid, startTicks: ChildProcess.processStartTicks(pid) ?? 0)
        let control = MockBrokerControl(socket: socket)
        let deadline = ContinuousClock.now.advanced(by: .seconds(10))
        while !control.isAnswering {
            guard process.isRunning, ContinuousClock.now < deadline else {
                MarkedProcesses.end([process], [(SIGKILL, .seconds(5))])
                let words = Files.lastLines(of: log, count: 3).joined(separator: " | ")
                throw OperatingError("the mock broker didn't start: \(words.isEmpty ? "it said nothing" : words)")
            }
            usleep(5_000)
        }
        return EmbeddedBroker(
            kind: .mockBroker, addresses: [try control.bootstrapServers()], processes: [process],
            controlSocket: socket)
    }
}
