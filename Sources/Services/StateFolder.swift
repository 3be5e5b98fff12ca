// The folder that holds everything an embedded service keeps: data, sockets, logs, locks and the list of processes.
// Two harnesses with different state folders share nothing. Any thread may use it; the locks keep processes apart.

public import Diagnostics
import Glibc

/// `.allocbench` in the current folder unless `--state DIR` or ALLOCBENCH_STATE says otherwise.
public struct StateFolder: Sendable, Hashable {
    /// Absolute, without symbolic links: it marks the processes that belong to this folder.
    public let path: String

    /// Makes the folder if there is none.
    /// - Parameter option: the value of `--state`, which wins over ALLOCBENCH_STATE.
    public init(_ option: String? = nil) throws(OperatingError) {
        let wanted = Self.wanted(option)
        guard !wanted.isEmpty else { throw OperatingError("--state \"\" names no folder") }
        // Root's PostgreSQL runs as another user, who must be able to pass through to its data.
        try Files.makeFolder(wanted, mode: geteuid() == 0 ? 0o711 : 0o700)
        guard let path = Files.canonical(wanted), access(path, W_OK | X_OK) == 0 else {
            throw .system("use the state folder \(wanted)")
        }
        self.path = path
    }

    /// Whether there is a folder already: what only looks must not make one.
    public static func isPresent(_ option: String? = nil) -> Bool { Files.isFolder(wanted(option)) }

    private static func wanted(_ option: String?) -> String {
        let variable = getenv("ALLOCBENCH_STATE").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        var wanted = option ?? variable ?? ".allocbench"
        while wanted.count > 1, wanted.hasSuffix("/") { wanted.removeLast() }
        return wanted
    }

    // MARK: What is where

    var recordsFile: String { "\(path)/services.json" }
    var postgresFolder: String { "\(path)/postgres" }
    var postgresDataFolder: String { "\(postgresFolder)/data" }
    func standbyFolder(_ number: Int) -> String { "\(postgresFolder)/standby\(number)" }
    var mockFolder: String { "\(path)/mock" }
    var kafkaFolder: String { "\(path)/kafka" }
    var guardLog: String { "\(path)/guard.log" }
    private var runLockFile: String { "\(path)/run.lock" }
    private var servicesLockFile: String { "\(path)/services.lock" }

    /// Where the mock broker takes requests; in a short folder of its own if the kernel wouldn't take the path.
    var mockControlSocket: String {
        let preferred = "\(mockFolder)/control.sock"
        if preferred.utf8.count <= ClusterPlace.socketPathSizeMax { return preferred }
        return "/tmp/allocbench-\(geteuid())-\(Self.hash(of: preferred))/control.sock"
    }

    /// Makes the folder of the control socket; one in /tmp that somebody else made first is refused.
    func makeMockSocketFolder() throws(OperatingError) {
        let owner = ServerUser(name: "this user", uid: geteuid(), gid: getegid())
        try makeFolder(Files.parent(of: mockControlSocket) ?? "/", mode: 0o700, owner: owner)
    }

    /// Removes what a stopped mock broker left of its socket.
    func removeMockSocket() {
        unlink(mockControlSocket)
        if let folder = Files.parent(of: mockControlSocket), folder != mockFolder { rmdir(folder) }
    }

    /// FNV-1a of 64 bits: the same in every process, unlike Swift's own hash.
    private static func hash(of path: String) -> String {
        let value = path.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        return String(value, radix: 16)
    }

    // MARK: Locks

    /// Held for a whole run: two runs in one folder would share services, schemas and offsets.
    public func lockRun() throws(OperatingError) -> FileLock {
        if let lock = try FileLock.take(runLockFile) { return lock }
        let holder = FileLock.holder(runLockFile).map { "the run with pid \($0)" } ?? "another run"
        throw OperatingError(
            "\(holder) is using the state folder \(path)", remedy: "wait for it, or use another folder: --state DIR")
    }

    /// The process that holds the run lock, if one does.
    var runningRun: Int32? {
        get throws(OperatingError) {
            try FileLock.take(runLockFile) == nil ? FileLock.holder(runLockFile) ?? 0 : nil
        }
    }

    /// Held while services are started, stopped or cleared. A start takes up to a minute, so wait longer.
    func lockServices() throws(OperatingError) -> FileLock {
        if let lock = try FileLock.take(servicesLockFile, timeout: .seconds(120)) { return lock }
        let holder = FileLock.holder(servicesLockFile).map { "pid \($0)" } ?? "another process"
        throw OperatingError("\(holder) has been starting or stopping services in \(path) for two minutes")
    }

    // MARK: Records

    var records: ServiceRecords { ServiceRecords.read(recordsFile) }
}
