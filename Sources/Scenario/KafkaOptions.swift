// What is asked of a Kafka and of its clients, from the scenario, the environment and the command line together.

public import Diagnostics
import Glibc
public import Kafka

/// Properties by where they came from, and what topics are made with. The command line wins over the environment, and that over
/// the scenario.
public struct KafkaOptions: Sendable {
    private(set) var fromScenario: [String: String] = [:]
    private(set) var fromEnvironment: [String: String] = [:]
    private(set) var fromCommandLine: [String: String] = [:]
    /// What topics are made with, and what one that is there is held to.
    public var topic = TopicSettings()
    public var isFeedTransactional = false

    public init() {}

    /// Reads what the command line and the environment say.
    /// - Parameters:
    ///   - file: the value of `--kafka-properties`.
    ///   - properties: the values of `--kafka-property`, which win over the file's.
    public init(file: String?, properties: [String], environment: [String: String]) throws(InputError) {
        fromEnvironment = try KafkaClientSettings.properties(ofEnvironment: environment)
        if let file { fromCommandLine = try Self.read(file) }
        for text in properties {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw InputError(InputFault(source: "--kafka-property", expected: "KEY=VALUE"))
            }
            if let expected = KafkaPropertySource.commandLine.refusal(of: parts[0], value: parts[1]) {
                throw InputError(InputFault(source: "--kafka-property", field: parts[0], expected: expected))
            }
            fromCommandLine[parts[0]] = parts[1]
        }
    }

    /// Whether `text` is HOST:PORT, or several of them with commas between.
    static func areAddresses(_ text: String) -> Bool {
        text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { address in
            guard let colon = address.lastIndex(of: ":"), colon > address.startIndex else { return false }
            return UInt16(address[address.index(after: colon)...]) ?? 0 > 0
                && address.allSatisfy { !$0.isWhitespace && !"/;'\"".contains($0) }
        }
    }

    /// Takes over what a scenario says.
    public mutating func add(_ scenario: ScenarioFile) throws(InputError) {
        let kafka = scenario.servers.kafka
        if let file = kafka.propertiesFile {
            fromScenario = try Self.read(file.hasPrefix("/") ? file : folderPath(of: scenario.path) + file)
        }
        fromScenario.merge(kafka.properties) { $1 }
        topic = kafka.topic
        isFeedTransactional = isFeedTransactional || kafka.isFeedTransactional
    }

    /// For clients of a Kafka of the user's, or of the embedded broker, which listens on this machine alone: whose users and
    /// certificates the environment names is then no matter.
    func properties(isEmbedded: Bool) -> [String: String] {
        let environment =
            isEmbedded ? fromEnvironment.filter { !KafkaClientSettings.isSecurity($0.key) } : fromEnvironment
        return fromScenario.merging(environment) { $1 }.merging(fromCommandLine) { $1 }
    }

    /// Refuses files that aren't there: librdkafka would tell neither which nor why.
    func validateFiles() throws(InputError) {
        for (name, path) in properties(isEmbedded: false).sorted(by: { $0.key < $1.key })
        where name.hasSuffix(".location") && access(path, R_OK) != 0 {
            throw InputError(
                InputFault(
                    source: name, value: path, expected: "a file that can be read: \(String(cString: strerror(errno)))")
            )
        }
    }

    /// Refuses for the embedded broker what it can't do.
    func validateEmbedded(isMock: Bool) throws(InputError) {
        let given = fromScenario.merging(fromCommandLine) { $1 }
        if let name = given.keys.filter(KafkaClientSettings.isSecurity).sorted().first {
            throw InputError(
                InputFault(
                    source: name,
                    expected:
                        "--brokers with it: the embedded broker listens on this machine alone, without TLS or users"))
        }
        guard isMock else { return }
        let remedy = "a real Kafka (--kafka-home DIR or KAFKA_HOME): librdkafka's mock"
        if !topic.isEmpty {
            throw InputError(InputFault(source: "servers.kafka.topic", expected: "\(remedy) has no settings of topics"))
        }
        if isFeedTransactional {
            throw InputError(
                InputFault(source: "a transactional feed", expected: "\(remedy) simulates transactions only in part"))
        }
    }

    private static func read(_ path: String) throws(InputError) -> [String: String] {
        let bytes = try readFile(path, what: "a properties")
        return try KafkaClientSettings.properties(ofFile: path, text: String(decoding: bytes, as: UTF8.self))
    }
}
