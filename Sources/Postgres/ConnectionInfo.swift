// Where a database is and who asks, with the password kept out of every text that could be printed.

internal import CLibPQ
internal import Diagnostics
internal import Glibc

/// The parameters of a connection: a `postgresql://` URI, libpq's `key=value` words, or nothing, which means the PG*
/// environment variables and libpq's defaults. Only what was given is kept; the rest is filled in when connecting.
public struct ConnectionInfo: Sendable, Hashable {
    private struct Option: Hashable {
        var key: String
        var value: String
    }

    /// Sorted by key, which makes equal infos equal however they were written.
    private var options: [Option]

    /// Reads a URI or `key=value` words; nothing is connected.
    public init(_ text: String) throws(PostgresError) {
        var rawError: UnsafeMutablePointer<CChar>?
        let parsed = unsafe PGConninfoHandle(adopting: PQconninfoParse(text, &rawError))
        let errorText = unsafe PGMemoryHandle(adopting: rawError)
        guard let first = unsafe parsed.raw else {
            let message = unsafe errorText.raw.map { unsafe String(cString: $0) } ?? "out of memory"
            throw PostgresError(message: "bad connection text: " + Self.withoutQuotations(message, of: text))
        }
        var options: [Option] = []
        var option = unsafe first
        while let key = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val {
                unsafe options.append(Option(key: String(cString: key), value: String(cString: value)))
            }
            unsafe option += 1
        }
        self.options = options.sorted { $0.key < $1.key }
    }

    /// What was given for `key`; nil if nothing was, even where the environment has a default.
    public subscript(key: String) -> String? {
        options.first { $0.key == key }?.value
    }

    /// The same with one parameter set. A key that libpq doesn't know is refused when connecting.
    public func with(_ key: String, _ value: String) -> ConnectionInfo {
        var copy = self
        copy.options.removeAll { $0.key == key }
        copy.options.append(Option(key: key, value: value))
        copy.options.sort { $0.key < $1.key }
        return copy
    }

    /// The same without one parameter, which is then libpq's to fill in.
    public func without(_ key: String) -> ConnectionInfo {
        var copy = self
        copy.options.removeAll { $0.key == key }
        return copy
    }

    /// The same with more of the server's settings behind the user's own, which stay: of one that is set twice the last counts.
    public func adding(options: String) -> ConnectionInfo {
        // Options of a connection put out those of the environment.
        let ofEnvironment = unsafe getenv("PGOPTIONS").map { unsafe String(cString: $0) }
        let own = self["options"] ?? ofEnvironment
        return with("options", own.map { "\($0) \(options)" } ?? options)
    }

    /// The same server, another database.
    public func with(database: String) -> ConnectionInfo { with("dbname", database) }

    /// Whether a password or another secret stands among them, which then must not be kept or printed.
    public var holdsSecret: Bool { options.contains { isSecretName($0.key) && !$0.value.isEmpty } }

    /// How soon a server's machine that has vanished is noticed, where the user didn't say: within half a minute, in the middle of
    /// a statement and between two of them. The system's own defaults are a quarter of an hour, and two hours. libpq passes
    /// them over on Unix sockets.
    func withLossNoticed() -> ConnectionInfo {
        let defaults = [
            ("tcp_user_timeout", "30000"), ("keepalives_idle", "10"), ("keepalives_interval", "5"),
            ("keepalives_count", "3"),
        ]
        return defaults.reduce(self) { info, option in
            info[option.0] == nil ? info.with(option.0, option.1) : info
        }
    }

    /// As `key=value` words, without password and other secrets: what may be printed and kept.
    public var redacted: String { text(of: options.filter { !isSecretName($0.key) }) }

    /// The parameters as two lists for PQconnectdbParams.
    var keysAndValues: (keys: [String], values: [String]) { (options.map(\.key), options.map(\.value)) }

    /// Takes out of a server's message what nobody must read.
    func redact(_ message: String) -> String {
        var message = message
        for option in options where isSecretName(option.key) && option.value.count >= 4 {
            message = message.split(separator: option.value, omittingEmptySubsequences: false).joined(separator: "***")
        }
        return message
    }

    /// What to do about a refused connection; nil where the message says it by itself, or is none of these. libpq has no code for
    /// what goes wrong while it connects, and of a certificate it says only that it isn't good.
    func remedy(for message: String) -> String? {
        let remedies = [
            (
                "certificate verify failed",
                "sslrootcert (\(self["sslrootcert"] ?? "~/.postgresql/root.crt")) must hold the authority that signed the "
                    + "server's certificate, and that certificate must not have expired"
            ),
            (
                "does not match host name",
                "host must be a name of the server's certificate; hostaddr may then say where it is"
            ),
            (
                "server does not support SSL",
                "switch on the server's ssl, or use sslmode=disable in a network that you trust"
            ),
            (
                "no encryption", "sslmode=verify-full, for this server wants TLS"
            ),
            (
                "password authentication failed",
                "the password is taken from PGPASSWORD, PGPASSFILE, passfile= or the URI"
            ),
            (
                "no password supplied",
                "give it in PGPASSWORD, in PGPASSFILE or by passfile=, whose file must be there and have a line for this server"
            ),
        ]
        return remedies.first { message.contains($0.0) }?.1
    }

    private func text(of options: [Option]) -> String {
        options.map { option in
            let isPlain =
                !option.value.isEmpty && option.value.allSatisfy { !$0.isWhitespace && $0 != "'" && $0 != "\\" }
            let escaped = option.value.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
            return "\(option.key)=\(isPlain ? option.value : "'\(escaped)'")"
        }.joined(separator: " ")
    }

    /// libpq quotes the part of the text that it didn't understand, and that part may well be the password.
    /// Only the name of an unknown parameter is kept, and that only from a text that can't hold a password.
    private static func withoutQuotations(_ message: String, of text: String) -> String {
        let message = message.split(whereSeparator: \.isNewline).joined(separator: " ")
        let lowercased = text.lowercased()
        let mayHoldSecret = ["pass", "pwd", "secret", "@"].contains { lowercased.contains($0) }
        let namesParameter =
            message.hasPrefix("invalid connection option") || message.hasPrefix("invalid URI query parameter")
        if namesParameter && !mayHoldSecret { return message }
        // The quotation may hold quotation marks of its own: drop from the first to the last.
        guard let start = message.firstIndex(of: "\""), let end = message.lastIndex(of: "\""), start < end else {
            return message
        }
        return message[..<start] + "\"…\"" + message[message.index(after: end)...]
    }
}

extension ConnectionInfo: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { redacted }
    public var debugDescription: String { redacted }
    /// Without this, `dump` and the failure messages of tests would show the stored parameters.
    public var customMirror: Mirror { Mirror(self, children: ["redacted": redacted]) }
}
