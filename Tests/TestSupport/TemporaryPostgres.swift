// One PostgreSQL cluster per test process, made when the first test asks for it and removed at exit, and a database of
// its own for each test. What a killed test process left, the next one removes.

import Glibc
public import Postgres
public import Services
import Synchronization

/// The cluster that all tests of this process share.
public enum TemporaryPostgres {
    /// The running server; made by the first test that asks, which waits some seconds for it.
    public static func server() throws -> EmbeddedPostgres { try started.get() }

    /// The server's maintenance database, for what concerns the cluster as a whole.
    public static func maintenanceInfo() throws -> ConnectionInfo { try ConnectionInfo(server().connectionInfo) }

    private static let started = Result { try start() }
    private static let prefix = "allocbench-tests-"
    private static let running = Mutex<(server: EmbeddedPostgres, folder: String)?>(nil)

    /// The folder's name says whose it is: the test process' id and the moment it started.
    private static func start() throws -> EmbeddedPostgres {
        removeLeftovers()
        let pid = getpid()
        let folder = "\(TestFolder.root)/\(prefix)\(pid)-\(ChildProcess.processStartTicks(pid) ?? 0)"
        // Tests want the answers of a server, not its durability.
        let settings = EmbeddedPostgres.defaultSettings.merging(
            ["fsync": "off", "shared_buffers": "64MB", "autovacuum": "off"], uniquingKeysWith: { $1 })
        let server = try EmbeddedPostgres.start(
            dataFolder: folder + "/data", socketFolder: folder + "/socket", settings: settings,
            logFile: folder + "/log")
        running.withLock { $0 = (server, folder) }
        atexit { TemporaryPostgres.removeOwn() }
        return server
    }

    private static func removeOwn() {
        guard let (server, folder) = running.withLock({ $0.take() }) else { return }
        server.stop(mode: .immediate)
        try? server.removeFiles()
        unlink(folder + "/log")
        rmdir(folder)
    }

    private static func removeLeftovers() {
        guard let listing = try? ChildProcess.run(["ls", TestFolder.root]).output else { return }
        for name in listing.split(separator: "\n") where name.hasPrefix(prefix) {
            let numbers = name.dropFirst(prefix.count).split(separator: "-")
            guard numbers.count == 2, let pid = Int32(numbers[0]), let ticks = UInt64(numbers[1]),
                !ChildProcess.isRunning(pid, startTicks: ticks)
            else { continue }
            let folder = "\(TestFolder.root)/\(name)"
            try? EmbeddedPostgres.removeFiles(dataFolder: folder + "/data", socketFolder: folder + "/socket")
            unlink(folder + "/log")
            rmdir(folder)
        }
    }
}

private let databaseCount = Atomic<Int>(0)

/// Calls `body` with a new empty database, which is dropped afterwards together with its sessions and slots.
public func withTemporaryDatabase<R>(_ body: (ConnectionInfo) throws -> R) throws -> R {
    let info = try TemporaryPostgres.maintenanceInfo()
    let name = "test_\(databaseCount.add(1, ordering: .relaxed).newValue)"
    let maintenance = try PostgresConnection.connect(to: info)
    defer { maintenance.close() }
    try maintenance.execute("CREATE DATABASE \(name) TEMPLATE template0")
    let outcome = Result { try body(info.with(database: name)) }
    try drop(name, on: maintenance)
    return try outcome.get()
}

/// A logical slot keeps its database from being dropped, and a session keeps its slot.
private func drop(_ name: String, on maintenance: PostgresConnection) throws {
    try maintenance.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", .text(name))
    try maintenance.query(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1", .text(name))
    try maintenance.execute("DROP DATABASE \(name) WITH (FORCE)")
}
