// Who a process of a run on several hosts is, and whether two of them may work on one run. Plain values.

/// A program of the same version and source measures the same; any other might do something else under the same name.
public struct ProgramIdentity: Sendable, Hashable {
    public let version: String
    /// Empty where the program doesn't know what it was built from, such as an installed copy.
    public let commit: String

    public init(version: String, commit: String) {
        self.version = version
        self.commit = commit
    }

    /// Whether both are the same as far as they know: of an installed copy only the version is known.
    public func isSame(as other: ProgramIdentity) -> Bool {
        version == other.version && (commit.isEmpty || other.commit.isEmpty || commit == other.commit)
    }

    /// `0.6.0 (a1b2c3d4e5)`.
    public var text: String { commit.isEmpty ? version : "\(version) (\(commit.prefix(10)))" }
}

/// A worker host that has joined.
public struct JoinedHost: Sendable, Hashable {
    public let name: String
    public let session: String
    public let address: String
    public let processID: Int64
    public let program: ProgramIdentity
    public let cores: Int

    public init(
        name: String, session: String, address: String, processID: Int64, program: ProgramIdentity, cores: Int
    ) {
        self.name = name
        self.session = session
        self.address = address
        self.processID = processID
        self.program = program
        self.cores = cores
    }
}

/// A word that no other process has.
public func randomSession() -> String {
    var source = SystemRandomNumberGenerator()
    return String(source.next(), radix: 16) + String(source.next(), radix: 16)
}
