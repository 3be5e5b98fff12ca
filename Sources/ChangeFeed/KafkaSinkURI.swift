// Where a CockroachDB cluster finds the broker: librdkafka's properties in the words of a changefeed's sink URI. A plain value;
// files of certificates are read when it is made. It holds secrets, so nothing here prints it whole.

import Diagnostics
import FoundationEssentials
import Kafka

/// `kafka://host:port,…?topic_name=…`, with TLS and SASL as parameters.
struct KafkaSinkURI: Sendable, Hashable {
    /// Never print it: passwords and keys are in it. It is bound as a parameter, so no statement has it in its text.
    let unredacted: String
    let topic: String
    let brokers: String
    private let secrets: [String]

    /// - Throws: when a property asks for what a changefeed doesn't offer, or when a certificate can't be read.
    init(_ settings: KafkaClientSettings, topic: String) throws(OperatingError) {
        var parameters: [(name: String, value: String)] = [("topic_name", topic)]
        var secrets: [String] = []
        let protocolWords = settings.properties["security.protocol"]?.lowercased() ?? "plaintext"
        guard let security = SecurityProtocol(rawValue: protocolWords) else {
            throw OperatingError("security.protocol \(protocolWords) is none that a changefeed knows")
        }
        if security.hasTLS {
            parameters.append(("tls_enabled", "true"))
            try parameters.append(contentsOf: Self.certificates(settings.properties, &secrets))
        }
        if security.hasSASL { try parameters.append(contentsOf: Self.login(settings.properties, &secrets)) }
        let query = parameters.map { "\($0.name)=\(Self.percentEncoded($0.value))" }.joined(separator: "&")
        brokers = settings.bootstrapServers.filter { !$0.isWhitespace }
        self.topic = topic
        self.secrets = secrets.filter { !$0.isEmpty }
        unredacted = "kafka://\(brokers)?\(query)"
    }

    /// What may be shown: addresses and topic, and the names of the other parameters.
    var redacted: String {
        let parts = unredacted.split(separator: "?", maxSplits: 1)
        let query = parts[1].split(separator: "&").map { parameter in
            let name = parameter.prefix { $0 != "=" }
            return Self.isShown.contains(String(name)) ? String(parameter) : "\(name)=redacted"
        }
        return "\(parts[0])?\(query.joined(separator: "&"))"
    }

    /// Takes out of a server's message what nobody must read: servers quote the URI that they can't use.
    func redact(_ message: String) -> String {
        var message = message.replacing(unredacted, with: redacted)
        for secret in secrets {
            for form in [secret, Self.percentEncoded(secret)] where form.utf8.count >= 4 {
                message = message.replacing(form, with: "***")
            }
        }
        return message
    }

    private enum SecurityProtocol: String {
        case plaintext, ssl
        case saslPlaintext = "sasl_plaintext"
        case saslSSL = "sasl_ssl"

        var hasTLS: Bool { self == .ssl || self == .saslSSL }
        var hasSASL: Bool { self == .saslPlaintext || self == .saslSSL }
    }

    /// Parameters whose values are no secrets.
    private static let isShown: Set<String> = [
        "topic_name", "tls_enabled", "insecure_tls_skip_verify", "sasl_enabled", "sasl_mechanism",
    ]

    // MARK: TLS and SASL

    private static func certificates(
        _ properties: [String: String], _ secrets: inout [String]
    ) throws(OperatingError) -> [(name: String, value: String)] {
        var parameters: [(name: String, value: String)] = []
        if let password = properties["ssl.key.password"], !password.isEmpty {
            throw OperatingError(
                "a changefeed takes only a client key without a password (ssl.key.password is set)",
                remedy: "give it the key in a file without one")
        }
        for (property, name) in [("ssl.ca", "ca_cert"), ("ssl.certificate", "client_cert"), ("ssl.key", "client_key")] {
            guard let pem = try pem(property, properties) else { continue }
            let encoded = Data(pem).base64EncodedString()
            if name == "client_key" { secrets += [encoded, String(decoding: pem, as: UTF8.self)] }
            parameters.append((name, encoded))
        }
        if properties["enable.ssl.certificate.verification"]?.lowercased() == "false" {
            parameters.append(("insecure_tls_skip_verify", "true"))
        }
        return parameters
    }

    /// The text of a certificate or key, given by itself or by the path of its file.
    private static func pem(_ property: String, _ properties: [String: String]) throws(OperatingError) -> [UInt8]? {
        if let text = properties["\(property).pem"] { return Array(text.utf8) }
        guard let path = properties["\(property).location"], !path.isEmpty, path != "probe" else { return nil }
        guard let file = FileManager.default.contents(atPath: path) else {
            throw OperatingError(
                "\(property).location: \(path) can't be read", remedy: "a changefeed needs it as a file in PEM format")
        }
        return Array(file)
    }

    private static func login(
        _ properties: [String: String], _ secrets: inout [String]
    ) throws(OperatingError) -> [(name: String, value: String)] {
        let mechanism = (properties["sasl.mechanisms"] ?? properties["sasl.mechanism"] ?? "PLAIN").uppercased()
        guard ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].contains(mechanism) else {
            throw OperatingError(
                "sasl.mechanisms \(mechanism) isn't made into a changefeed's sink",
                remedy: "use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
        }
        guard let user = properties["sasl.username"], let password = properties["sasl.password"] else {
            throw OperatingError(
                "SASL needs sasl.username and sasl.password", remedy: "give both in the Kafka properties")
        }
        secrets.append(password)
        return [
            ("sasl_enabled", "true"), ("sasl_mechanism", mechanism), ("sasl_user", user), ("sasl_password", password),
        ]
    }

    /// Everything but RFC 3986's unreserved characters, so that no `+`, `&` or `%` of a password means something else.
    private static func percentEncoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.append(byte)
            default: encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }
}

extension KafkaSinkURI: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    var description: String { redacted }
    var debugDescription: String { redacted }
    /// Without this, `dump` and the failure messages of tests would show the secrets.
    var customMirror: Mirror { Mirror(self, children: ["redacted": redacted]) }
}
