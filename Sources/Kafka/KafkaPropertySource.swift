// Properties as users hand them over: in a file, on the command line, in a scenario, in the environment. Each is checked as soon
// as it is read, and refused with where it stands. Pure but for librdkafka's table of properties.

public import Diagnostics

/// Where a property was given, which decides whether it may be a secret there.
public enum KafkaPropertySource: Sendable {
    /// A file of key=value lines: the place of secrets.
    case file
    case environment
    /// Every process list shows it.
    case commandLine
    /// The results keep its text.
    case scenario

    /// The prefix of the variables that hold properties: `ALLOCBENCH_KAFKA_SASL_PASSWORD`.
    public static let variablePrefix = "ALLOCBENCH_KAFKA_"

    /// The variable that holds a property: its name in capitals, dots as underscores.
    public static func variable(of property: String) -> String {
        variablePrefix + property.uppercased().map { $0 == "." || $0 == "-" ? "_" : String($0) }.joined()
    }

    /// What was expected instead of this property; nil if it may be set here. Says nothing of a secret's value.
    public func refusal(of property: String, value: String) -> String? {
        if let reason = KafkaClientSettings.reserved[property] { return reason }
        if isSecretName(property) {
            let remedy = "a file (--kafka-properties FILE) or the environment (\(Self.variable(of: property)))"
            switch self {
            case .commandLine: return "no secret here, where every process list shows it, but in \(remedy)"
            case .scenario: return "no secret here, for the results keep the scenario's text, but in \(remedy)"
            case .file, .environment: break
            }
        }
        do throws(KafkaError) {
            let configuration = ConfigurationHandle()
            try configuration.set(property, value)
            return nil
        } catch {
            return "a property of librdkafka \(KafkaAdmin.libraryVersion): \(error.message)"
        }
    }
}

extension KafkaClientSettings {
    /// What the harness sets for its own correctness, or is told by other means, with what was expected instead.
    static let reserved: [String: String] = {
        let offsets = "it to be left to the harness, which keeps offsets in the database beside their effect"
        let acknowledged =
            "it to be left to the harness: a message counts as published when all in-sync replicas have it"
        let order = "it to be left to the harness: executions of one block order must stay in one partition, in order"
        let group = "it to be left to the harness, which names its consumers itself"
        let topics = "it to be left to the harness, which makes its topics with the partitions that are asked for"
        let transactions = "it to be left to the harness: the feed's transactions are an option of their own"
        let reports = "it to be left to the harness, which waits for the report of every message"
        return [
            "bootstrap.servers": "--brokers HOST:PORT,... instead",
            "metadata.broker.list": "--brokers HOST:PORT,... instead",
            "test.mock.num.brokers": "--brokers, or nothing for the embedded broker",
            "enable.auto.commit": offsets, "auto.commit.enable": offsets, "enable.auto.offset.store": offsets,
            "auto.offset.reset": "it to be left to the harness: a reset would skip messages silently",
            "isolation.level": "it to be left to the harness, which reads what is committed and nothing else",
            "enable.partition.eof": offsets, "group.id": group, "group.instance.id": group,
            "partition.assignment.strategy": "it as a flag of work beside --group: --assignor",
            "acks": acknowledged, "request.required.acks": acknowledged, "enable.idempotence": acknowledged,
            "partitioner": order, "transactional.id": transactions, "allow.auto.create.topics": topics,
            // Reports of what was delivered are what the end of a flush is known by.
            "delivery.report.only.error": reports, "enabled_events": reports,
            "log.queue": "it to be left to the harness, which quotes the log in its errors",
        ]
    }()

    /// The properties of a file of `key=value` lines, as kcat and librdkafka's examples read it: blanks around key and value don't
    /// count, lines that are empty or begin with `#` say nothing.
    /// - Throws: every fault with file and line.
    public static func properties(ofFile path: String, text: String) throws(InputError) -> [String: String] {
        var faults: [InputFault] = []
        var properties: [String: String] = [:]
        // CR and LF together are one Character, equal to neither.
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (index, line) in lines.enumerated() {
            let line = trimmed(line)
            guard let first = line.first, first != "#" else { continue }
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = trimmed(parts[0])
            guard parts.count == 2, !name.isEmpty else {
                // Not quoted: it may be a password that slipped.
                faults.append(
                    InputFault(source: path, line: index + 1, expected: "a line key=value, or # and a comment"))
                continue
            }
            if properties[name] != nil {
                faults.append(InputFault(source: path, line: index + 1, field: name, expected: "to be given once"))
            }
            let value = trimmed(parts[1])
            if let expected = KafkaPropertySource.file.refusal(of: name, value: value) {
                faults.append(InputFault(source: path, line: index + 1, field: name, expected: expected))
            }
            properties[name] = value
        }
        if !faults.isEmpty { throw InputError(faults) }
        return properties
    }

    /// The properties among the variables of an environment.
    /// - Throws: for variables of the prefix that are no property's.
    public static func properties(ofEnvironment variables: [String: String]) throws(InputError) -> [String: String] {
        let own = variables.filter { $0.key.hasPrefix(KafkaPropertySource.variablePrefix) }
        if own.isEmpty { return [:] }
        let names = Dictionary(
            ConfigurationHandle.propertyNames().map { (KafkaPropertySource.variable(of: $0), $0) },
            uniquingKeysWith: { first, _ in first })
        var faults: [InputFault] = []
        var properties: [String: String] = [:]
        for (variable, value) in own.sorted(by: { $0.key < $1.key }) {
            guard let name = names[variable] else {
                let hint = nearestWord(to: variable, among: Array(names.keys)).map { "; did you mean \($0)?" } ?? ""
                faults.append(
                    InputFault(source: variable, expected: "the name of a property of librdkafka in capitals\(hint)"))
                continue
            }
            if let expected = KafkaPropertySource.environment.refusal(of: name, value: value) {
                faults.append(InputFault(source: variable, expected: expected))
            }
            properties[name] = value
        }
        if !faults.isEmpty { throw InputError(faults) }
        return properties
    }

    /// Whether a property says how a client proves who it is, or whom it trusts: nothing for a broker of this machine's own.
    public static func isSecurity(_ property: String) -> Bool {
        property == "security.protocol"
            || ["ssl", "sasl", "enable.ssl", "enable.sasl"].contains { property.hasPrefix($0) }
    }
}

private func trimmed(_ text: Substring) -> String {
    let blanks: Set<Character> = [" ", "\t", "\r"]
    let start = text.drop { blanks.contains($0) }
    return String(start.reversed().drop { blanks.contains($0) }.reversed())
}
