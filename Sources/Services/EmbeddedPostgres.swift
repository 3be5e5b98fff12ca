// A private PostgreSQL cluster: finds the binaries, makes the cluster once, starts the server, waits for it, stops it.
// Blocks the calling thread. Which folder is whose, and what runs at the moment, is the caller's knowledge.

public import Diagnostics
internal import Glibc

/// A PostgreSQL server of our own, reachable over a Unix socket only. Figures measured on it are honest ones: it waits
/// for the disk at every commit.
public struct EmbeddedPostgres: Sendable, Hashable {
    /// How a server is asked to stop.
    public enum StopMode: Sendable {
        /// Ends the sessions, writes everything out.
        case fast
        /// Drops everything at once; the next start recovers from the log.
        case immediate
    }

    /// What differs from PostgreSQL's own defaults, for the manifest of a run.
    public static let defaultSettings: [String: String] = [
        "cluster_name": "allocbench",
        "fsync": "on",
        "full_page_writes": "on",
        "jit": "off",
        "listen_addresses": "",
        "log_timezone": "UTC",
        "max_connections": "200",
        "max_replication_slots": "10",
        "max_wal_senders": "10",
        "max_wal_size": "2GB",
        // Segments that a checkpoint frees are kept for reuse up to here: making one anew holds every commit up meanwhile.
        "min_wal_size": "2GB",
        "shared_buffers": "256MB",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "unix_socket_permissions": "0700",
        "wal_level": "logical",
    ]
    public static let superuser = "allocbench"

    /// Where the cluster really is; differs from what was asked for if `notes` says so.
    public let dataFolder: String
    public let socketFolder: String
    public let logFile: String
    /// The settings that the server was started with.
    public let settings: [String: String]
    public let binaryFolder: String
    /// Sentences on what had to be done in another way than asked for.
    public let notes: [String]
    /// The server's process; with `startTicks` it names it for as long as the machine is up.
    public let pid: Int32
    public let startTicks: UInt64

    /// Starts the server, after making the cluster if `dataFolder` doesn't hold one yet. Blocks until it accepts
    /// connections, at most `timeout`.
    ///
    /// The caller holds the lock on the folders: a server that still runs on them was left behind by a killed process
    /// and is stopped first. Run by root, the server runs as the user `postgres`, or `nobody`; folders that this user
    /// can't reach are replaced by one under /var/tmp, and a socket folder whose path is too long by a short one.
    /// - Parameters:
    ///   - socketFolder: a folder for the socket alone; it is closed to other users.
    ///   - logFile: what the server says is appended to it.
    /// - Throws: `OperatingError` if a package is missing, or if the server doesn't start: then with the end of its log.
    public static func start(
        dataFolder: String, socketFolder: String, settings: [String: String] = defaultSettings, logFile: String,
        timeout: Duration = .seconds(30)
    ) throws(OperatingError) -> EmbeddedPostgres {
        let place = try ClusterPlace(dataFolder: absolutePath(dataFolder), socketFolder: absolutePath(socketFolder))
        let installation = try PostgresInstallation.find(for: place.dataFolder)
        let log = absolutePath(logFile)
        try makeParents(of: log)
        try stopLeftovers(dataFolder: place.dataFolder, socketFolder: place.socketFolder)
        if !ClusterPlace.isCluster(place.dataFolder) { try makeCluster(in: place, installation) }

        let logSize = fileSize(log)
        var arguments = place.user.commandPrefix + [installation.program("postgres"), "-D", place.dataFolder]
        // The setting is a list, whose elements may stand in quotation marks.
        let quoted = place.socketFolder.map { $0 == "\"" ? "\"\"" : String($0) }.joined()
        let own = ["port": "5432", "unix_socket_directories": "\"\(quoted)\""]
        for (key, value) in settings.merging(own, uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
            arguments += ["-c", "\(key)=\(value)"]
        }
        let pid = try ChildProcess.spawnDetached(
            arguments, standardOutput: log, standardError: log, environment: cleanEnvironment, workingFolder: "/")
        guard let startTicks = ChildProcess.processStartTicks(pid) else {
            throw OperatingError("PostgreSQL ended at once: " + logTail(log, from: logSize))
        }
        let server = EmbeddedPostgres(
            dataFolder: place.dataFolder, socketFolder: place.socketFolder, logFile: log, settings: settings,
            binaryFolder: installation.binaryFolder, notes: place.notes, pid: pid, startTicks: startTicks)
        try server.waitUntilReady(timeout: timeout, logFrom: logSize)
        return server
    }

    /// How to reach the server, as libpq's `key=value` words.
    public var connectionInfo: String {
        let escaped = socketFolder.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
        return "host='\(escaped)' port=5432 user=\(Self.superuser) dbname=postgres"
    }

    public var isRunning: Bool { ChildProcess.isRunning(pid, startTicks: startTicks) }

    /// Stops the server; harmless if it is gone.
    public func stop(mode: StopMode = .fast) {
        Self.stop(pid: pid, startTicks: startTicks, mode: mode)
    }

    /// Stops a server that another process started. If it doesn't stop within `timeout` it is made to, by steps.
    public static func stop(pid: Int32, startTicks: UInt64, mode: StopMode, timeout: Duration = .seconds(30)) {
        if mode == .fast, ChildProcess.terminate(pid, startTicks: startTicks, signal: SIGINT, timeout: timeout) {
            return
        }
        if ChildProcess.terminate(pid, startTicks: startTicks, signal: SIGQUIT, timeout: .seconds(10)) { return }
        // Its children end by themselves when they find it gone.
        ChildProcess.terminate(pid, startTicks: startTicks, signal: SIGKILL, timeout: .seconds(10))
    }

    /// Deletes the cluster and the socket folder, after ending what still runs on them.
    public func removeFiles() throws(OperatingError) {
        try Self.removeFiles(dataFolder: dataFolder, socketFolder: socketFolder)
    }

    /// The same for the folders of a server that a killed process left; other folders are left alone.
    public static func removeFiles(dataFolder: String, socketFolder: String) throws(OperatingError) {
        try stopLeftovers(dataFolder: dataFolder, socketFolder: socketFolder)
        removeTree(dataFolder + unfinishedSuffix)
        if ClusterPlace.isCluster(dataFolder) { removeTree(dataFolder) }
        rmdir(socketFolder)
        if let home = ClusterPlace.substitute(holding: dataFolder) { rmdir(home) }
    }

    /// The server writes "ready" to the eighth line of this file, which pg_ctl waits for as well.
    private func waitUntilReady(timeout: Duration, logFrom start: Int) throws(OperatingError) {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        while true {
            let lines = fileContents(dataFolder + "/postmaster.pid")?.split(
                separator: "\n", omittingEmptySubsequences: false)
            if let lines, lines.count > 7, Int32(lines[0]) == pid, lines[7].hasPrefix("ready") { return }
            guard isRunning else {
                ChildProcess.terminate(pid, startTicks: startTicks, signal: SIGKILL, timeout: .zero)
                throw OperatingError("PostgreSQL didn't start: " + Self.logTail(logFile, from: start))
            }
            guard ContinuousClock.now < deadline else {
                stop(mode: .immediate)
                throw OperatingError(
                    "PostgreSQL wasn't ready after \(timeout): " + Self.logTail(logFile, from: start))
            }
            usleep(10_000)
        }
    }

    /// Neither PG* variables nor a locale of the caller's change what the server does.
    static let cleanEnvironment = ["LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC"]

    static let unfinishedSuffix = ".unfinished"

    /// Runs initdb in a folder beside the final one and renames it when it is whole, so that whatever interrupts it leaves
    /// either no cluster or a whole one.
    private static func makeCluster(
        in place: ClusterPlace, _ installation: PostgresInstallation
    ) throws(OperatingError) {
        let unfinished = place.dataFolder + unfinishedSuffix
        removeTree(unfinished)
        try makeFolder(unfinished, mode: 0o700, owner: place.user)
        let (status, output) = try ChildProcess.run(
            place.user.commandPrefix + [
                installation.program("initdb"), "--pgdata=\(unfinished)", "--username=\(superuser)",
                "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C", "--no-instructions",
            ], environment: cleanEnvironment, workingFolder: "/")
        guard status == 0 else {
            removeTree(unfinished)
            throw OperatingError("initdb failed with status \(status): " + lastLines(output))
        }
        let file = open("\(unfinished)/\(ClusterPlace.marker)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw .system("write \(unfinished)/\(ClusterPlace.marker)") }
        let text = Array("made by allocbench\n".utf8)
        let isWritten = write(file, text, text.count) == text.count && fsync(file) == 0
        close(file)
        guard isWritten else { throw .system("write \(unfinished)/\(ClusterPlace.marker)") }
        // An empty folder of the final name may be there, which rename replaces.
        guard rename(unfinished, place.dataFolder) == 0 else {
            throw .system("move the new cluster to \(place.dataFolder)")
        }
    }

    /// Ends what a killed harness or a killed server left, so that nothing keeps the folder from a new server.
    private static func stopLeftovers(dataFolder: String, socketFolder: String) throws(OperatingError) {
        let pidFile = dataFolder + "/postmaster.pid"
        let recorded = fileContents(pidFile).flatMap { $0.split(separator: "\n").first }.flatMap { Int32($0) }
        if let recorded, let ticks = ChildProcess.processStartTicks(recorded),
            workingFolder(of: recorded) == dataFolder, isServer(recorded)
        {
            stop(pid: recorded, startTicks: ticks, mode: .fast)
        }
        // A killed initdb leaves a server of its own, in the unfinished folder.
        let folders = [dataFolder, dataFolder + unfinishedSuffix]
        // Children of a killed server notice its end by themselves, but not while a query keeps them busy.
        let deadline = ContinuousClock.now.advanced(by: .seconds(2))
        var remaining = processes(in: folders)
        while !remaining.isEmpty && ContinuousClock.now < deadline {
            usleep(20_000)
            remaining = processes(in: folders)
        }
        for pid in remaining {
            guard let ticks = ChildProcess.processStartTicks(pid) else { continue }
            guard ChildProcess.terminate(pid, startTicks: ticks, signal: SIGKILL, timeout: .seconds(10)) else {
                throw OperatingError("process \(pid) still uses \(dataFolder) and can't be ended")
            }
        }
        // "Never remove postmaster.pid" holds as long as any process of the server may live. None does; but its number
        // may be another process' by now, and then the server would refuse to start.
        unlink(pidFile)
        unlink(socketFolder + "/.s.PGSQL.5432")
        unlink(socketFolder + "/.s.PGSQL.5432.lock")
    }

    /// Every process of the server works in its data folder. Processes of other users, which we may not look at, can't be
    /// the server's: it runs as us, or we are root.
    private static func processes(in folders: [String]) -> [Int32] {
        folderEntries("/proc").compactMap { Int32($0) }.filter { pid in
            guard let folder = workingFolder(of: pid), folders.contains(folder), isServer(pid),
                let ticks = ChildProcess.processStartTicks(pid)
            else { return false }
            return ChildProcess.isRunning(pid, startTicks: ticks)
        }
    }

    private static func isServer(_ pid: Int32) -> Bool {
        fileContents("/proc/\(pid)/comm")?.hasPrefix("postgres") == true
    }

    private static func workingFolder(of pid: Int32) -> String? {
        guard let path = realpath("/proc/\(pid)/cwd", nil) else { return nil }
        defer { free(path) }
        return String(cString: path)
    }

    private static func logTail(_ path: String, from start: Int) -> String {
        let text = fileContents(path) ?? ""
        let new = lastLines(String(decoding: text.utf8.dropFirst(start), as: UTF8.self))
        return new.isEmpty ? "it wrote nothing to \(path)" : "\(path) ends with:\n\(new)"
    }

    static func lastLines(_ text: String) -> String {
        text.split(separator: "\n").suffix(10).joined(separator: "\n")
    }
}
