// A broker of our own, of either kind behind one face: librdkafka's mock in a child process, or one node of a real Kafka.
// Blocks the calling thread. Who started it and for whom is written down by EmbeddedServices.

public import Diagnostics
import Glibc
public import Kafka

/// Which broker a run asks for.
public enum BrokerChoice: Sendable, Hashable {
    case mock
    /// A Kafka distribution: the folder that holds `bin/kafka-server-start.sh`.
    case kafka(home: String)

    /// `--kafka-home` if given, else KAFKA_HOME, else the mock, which needs nothing installed.
    public init(kafkaHome option: String?) {
        if let home = Self.home(option)?.path { self = .kafka(home: home) } else { self = .mock }
    }

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
    public let bootstrapServers: String
    let process: ProcessIdentity
    /// Where the mock takes requests for topics.
    let controlSocket: String?

    /// Starts the broker that `choice` names, and waits until it answers. Nothing is recorded: `EmbeddedServices` does
    /// that, and whoever starts a broker by itself stops it by itself.
    public static func start(_ choice: BrokerChoice, in state: StateFolder) throws -> EmbeddedBroker {
        switch choice {
        case .mock: try startMock(in: state)
        case .kafka(let home): try KafkaNode(home: home, state: state).start()
        }
    }

    /// Stops a broker that was started by itself.
    public func stop(in state: StateFolder) {
        Leftovers.stop(kind, process, in: state)
        if controlSocket != nil { state.removeMockSocket() }
    }

    /// The running broker that a record tells of.
    static func attach(to record: ServiceRecord, in state: StateFolder) -> EmbeddedBroker {
        EmbeddedBroker(
            kind: record.kind, bootstrapServers: record.address, process: record.process,
            controlSocket: record.kind == .mockBroker ? state.mockControlSocket : nil)
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
            ], standardOutput: log, standardError: log)
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
            kind: .mockBroker, bootstrapServers: try control.bootstrapServers(), process: process,
            controlSocket: socket)
    }
}
