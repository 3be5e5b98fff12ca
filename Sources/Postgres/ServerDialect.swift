// Which of the two databases answers, and in which version. Asked from what the server reports by itself while connecting.

/// A database that this program speaks to: both by PostgreSQL's protocol, each in a SQL of its own. What differs between them
/// stands in `sql/`, under `-- only postgresql:` and `-- only cockroachdb:`, and in `CockroachDialect.swift`.
public enum ServerDialect: String, Sendable, CaseIterable {
    case postgresql
    case cockroachdb

    /// As people write it.
    public var title: String {
        switch self {
        case .postgresql: "PostgreSQL"
        case .cockroachdb: "CockroachDB"
        }
    }
}

/// A server's version, as far as it decides what may be sent to it.
public struct ServerVersion: Sendable, Hashable, CustomStringConvertible {
    public let dialect: ServerDialect
    public let major: Int
    public let minor: Int
    /// The third number, of CockroachDB alone.
    public let patch: Int
    /// The version as the server words it: 15.18, v24.1.3, v26.1.0-rc.2.
    public let text: String

    /// - Parameters:
    ///   - serverVersion: what the server reports as `server_version`. CockroachDB reports 13.0.0, whatever it is.
    ///   - cockroachVersion: what it reports as `crdb_version`, such as
    ///     "CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built 2023/09/27 01:53:43, go1.19.10)"; nil on PostgreSQL.
    public init(serverVersion: String?, cockroachVersion: String?) {
        let isCockroach = cockroachVersion != nil
        let words = (cockroachVersion ?? serverVersion ?? "").split(separator: " ")
        let word = words.first { word in
            let digits = isCockroach && word.hasPrefix("v") ? word.dropFirst() : word
            return digits.first?.isASCII == true && digits.first?.isNumber == true
        }
        dialect = isCockroach ? .cockroachdb : .postgresql
        text = word.map(String.init) ?? "unknown"
        let numbers = (word ?? "").split { !$0.isASCII || !$0.isNumber }.map { Int($0) ?? 0 }
        major = numbers.first ?? 0
        // Before a release, PostgreSQL has no second number, but "17beta2".
        minor = numbers.count > 1 ? numbers[1] : 0
        patch = numbers.count > 2 ? numbers[2] : 0
    }

    public var description: String { "\(dialect.title) \(text)" }

    /// The versions that the statements of this program are written for, in words.
    public static let supported = "PostgreSQL 13 to 17 and CockroachDB v23.1 or later"

    public var isSupported: Bool {
        switch dialect {
        case .postgresql: (13...17).contains(major)
        case .cockroachdb: self >= (23, 1)
        }
    }

    /// Whether `LIMIT … FOR UPDATE SKIP LOCKED` goes wrong under READ COMMITTED: a fault of CockroachDB that v24.1.5 and v24.2.3
    /// are without.
    public var skipsLockedWronglyUnderReadCommitted: Bool {
        guard dialect == .cockroachdb else { return false }
        switch (major, minor) {
        case (24, 1): return patch < 5
        case (24, 2): return patch < 3
        default: return !(self >= (24, 1))
        }
    }

    /// Compares within one dialect.
    public static func >= (version: ServerVersion, other: (major: Int, minor: Int)) -> Bool {
        (version.major, version.minor) >= other
    }
}

extension PostgresConnection {
    /// What the server reported when it accepted the session.
    public var server: ServerVersion {
        ServerVersion(
            serverVersion: parameterStatus("server_version"), cockroachVersion: parameterStatus("crdb_version"))
    }

    /// Which SQL the server understands. Costs no round trip.
    public var dialect: ServerDialect { isCockroachDB ? .cockroachdb : .postgresql }

    /// Refuses a server that this program wasn't written for, before anything is asked of it.
    public func requireSupportedServer() throws(PostgresError) {
        let version = server
        guard version.isSupported else {
            throw PostgresError(
                message: "the server is \(version), which isn't supported: use \(ServerVersion.supported)")
        }
    }
}
