// The private cluster: made once, started after every kind of end, never as root, refused where it doesn't belong.

import Diagnostics
import Glibc
import Postgres
import Testing
import Threads

@testable import Services

@Suite(.serialized, .timeLimit(.minutes(5)))
struct EmbeddedPostgresTests {
    @Test func `a server starts with the settings named, without a port and not as root`() throws {
        try withServer { server in
            let connection = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
            let expected = [
                "wal_level": "logical", "fsync": "on", "synchronous_commit": "on", "listen_addresses": "",
                "shared_buffers": "64MB", "max_connections": "200", "max_replication_slots": "10",
                "server_encoding": "UTF8", "lc_collate": "C", "TimeZone": "UTC",
            ]
            for (name, value) in expected {
                #expect(try connection.query("SELECT current_setting($1)", .text(name)).text(0, 0) == value, "\(name)")
            }
            #expect(server.isRunning && server.settings["shared_buffers"] == "64MB")
            var status = stat()
            #expect(stat("/proc/\(server.pid)", &status) == 0 && status.st_uid != 0)
            #expect(stat(server.socketFolder, &status) == 0 && status.st_mode & 0o777 == 0o700)
            #expect(stat(server.dataFolder, &status) == 0 && status.st_mode & 0o777 == 0o700)
            server.stop()
            #expect(!server.isRunning)
            server.stop()
        }
    }

    @Test func `a cluster is made once, and a server that was killed starts again with what was committed`() throws {
        try withClusterFolder { folder in
            var server = try start(folder)
            var connection = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
            try connection.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (42)")
            // A session that is busy when its server dies.
            let info = try ConnectionInfo(server.connectionInfo)
            let busy = WorkerThread<Void>(name: "busy") {
                let connection = try PostgresConnection.connect(to: info)
                try connection.execute("SELECT count(*) FROM generate_series(1, 1000000000)")
            }
            try waitForSession(connection, query: "%generate_series%")
            ChildProcess.terminate(server.pid, startTicks: server.startTicks, signal: SIGKILL, timeout: .seconds(10))
            let killed = server
            server = try start(folder)
            #expect(throws: PostgresError.self) { try busy.join() }
            #expect(server.pid != killed.pid)
            connection = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
            #expect(try connection.query("SELECT id FROM t").int64(0, 0) == 42)
            server.stop(mode: .immediate)
            server = try start(folder)
            connection = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
            #expect(try connection.query("SELECT id FROM t").int64(0, 0) == 42)
            server.stop()
        }
    }

    @Test func `a server that a killed harness left is stopped first`() throws {
        try withClusterFolder { folder in
            let left = try start(folder)
            let server = try start(folder)
            #expect(!left.isRunning && server.isRunning && left.pid != server.pid)
            server.stop()
        }
    }

    @Test func `a recorded process number that is another process' by now is no obstacle`() throws {
        try withClusterFolder { folder in
            let first = try start(folder)
            first.stop(mode: .immediate)
            let stale = "\(getpid())\n\(folder)/data\n1700000000\n5432\n\(folder)/socket\n\n"
            #expect(try ChildProcess.run(["tee", folder + "/data/postmaster.pid"], input: stale).status == 0)
            let second = try start(folder)
            #expect(second.isRunning)
            second.stop()
        }
    }

    @Test func `an initdb that was killed half way is done again`() throws {
        try withClusterFolder { folder in
            let attempt = WorkerThread<EmbeddedPostgres>(name: "initdb") { try start(folder) }
            // Once the catalogs are being written, the folder looks like a cluster.
            let killed = WorkerThread<Bool>(name: "killer") {
                for _ in 0..<5_000 {
                    if access(folder + "/data.unfinished/base/1", F_OK) == 0 {
                        return try killInitdb(in: folder)
                    }
                    usleep(1_000)
                }
                return false
            }
            #expect(try killed.join())
            #expect(throws: OperatingError.self) { try attempt.join() }
            _ = try ChildProcess.run(["mkdir", "-p", folder + "/data.unfinished/base"])
            #expect(access(folder + "/data", F_OK) != 0)
            let server = try start(folder)
            #expect(access(folder + "/data.unfinished", F_OK) != 0)
            server.stop()
        }
    }

    @Test func `a folder with something else in it is refused and left as it is`() throws {
        try withClusterFolder { folder in
            _ = try ChildProcess.run(["mkdir", folder + "/data"])
            _ = try ChildProcess.run(["tee", folder + "/data/PG_VERSION"], input: "15\n")
            let error = #expect(throws: OperatingError.self) { try start(folder) }
            #expect(error?.description.contains("something else") == true)
            #expect(try ChildProcess.run(["ls", folder + "/data"]).output == "PG_VERSION\n")
            try EmbeddedPostgres.removeFiles(dataFolder: folder + "/data", socketFolder: folder + "/socket")
            #expect(access(folder + "/data/PG_VERSION", F_OK) == 0)

            _ = try ChildProcess.run(["mkdir", folder + "/used"])
            _ = try ChildProcess.run(["touch", folder + "/used/file"])
            #expect(throws: OperatingError.self) {
                try EmbeddedPostgres.start(
                    dataFolder: folder + "/other", socketFolder: folder + "/used", logFile: folder + "/log")
            }
        }
    }

    @Test func `a server that doesn't start tells the end of its log`() throws {
        try withClusterFolder { folder in
            let error = #expect(throws: OperatingError.self) { try start(folder, ["wal_level": "sideways"]) }
            #expect(error?.description.contains("invalid value for parameter \"wal_level\"") == true)
            let server = try start(folder)
            server.stop()
        }
    }

    @Test func `a socket folder with a path too long is replaced by a short one`() throws {
        try withClusterFolder { folder in
            let long = folder + "/" + String(repeating: "long-name-", count: 10)
            let server = try EmbeddedPostgres.start(
                dataFolder: folder + "/data", socketFolder: long, settings: Self.settings, logFile: folder + "/log")
            #expect(server.socketFolder != long && server.notes.count == 1)
            let connection = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
            #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
            connection.close()
            server.stop()
            try server.removeFiles()
            #expect(access(server.socketFolder, F_OK) != 0)
        }
    }

    @Test func `awkward characters in a path are no obstacle`() throws {
        try withFolder { folder in
            let odd = folder + "/it's, \"odd\" ü"
            _ = try ChildProcess.run(["chmod", "755", folder])
            let server = try start(odd)
            let connection = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
            #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
            server.stop()
            try server.removeFiles()
            #expect(try ChildProcess.run(["ls", odd]).output == "log\n")
        }
    }

    @Test(.enabled(if: geteuid() == 0, "only root's server runs as somebody else"))
    func `folders that the server's user can't reach are replaced, the same way every time`() throws {
        try withFolder { folder in
            // mktemp makes it 0700 for root.
            var server = try start(folder)
            defer { try? server.removeFiles() }
            #expect(server.dataFolder.hasPrefix("/var/tmp/allocbench-") && server.socketFolder.hasPrefix("/var/tmp/"))
            #expect(server.notes.count == 2)
            let connection = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
            try connection.execute("CREATE TABLE t (id int)")
            connection.close()
            server.stop()
            let first = server
            server = try start(folder)
            #expect(server.dataFolder == first.dataFolder)
            let again = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
            #expect(try again.query("SELECT count(*) FROM t").int64(0, 0) == 0)
            again.close()
            server.stop()
            try server.removeFiles()
            #expect(access(server.dataFolder, F_OK) != 0)
        }
    }

    @Test func `a missing installation is told in one line with its package`() throws {
        try withFolder { folder in
            func message(named: String? = nil, debian: String = "/nowhere", pgConfig: String = "/nowhere") -> String {
                do {
                    return try PostgresInstallation.find(
                        for: folder, named: named, debian: debian, pgConfig: pgConfig
                    ).binaryFolder
                } catch {
                    return error.description
                }
            }
            #expect(message() == "no PostgreSQL server is installed; install the package postgresql")
            #expect(message(named: "/nowhere").hasPrefix("PG_BINDIR names /nowhere"))
            let found = message(debian: "/usr/lib/postgresql")
            #expect(message(named: found) == found)
            _ = try ChildProcess.run(["tee", folder + "/PG_VERSION"], input: "9\n")
            #expect(message(debian: "/usr/lib/postgresql").contains("install the package postgresql-9"))
        }
    }

    /// Kills the initdb whose arguments name the folder.
    @Sendable
    private func killInitdb(in folder: String) throws -> Bool {
        for pid in folderEntries("/proc").compactMap({ Int32($0) }) {
            let arguments = fileContents("/proc/\(pid)/cmdline")?.split(separator: "\0") ?? []
            guard arguments.first?.hasSuffix("/initdb") == true,
                arguments.contains("--pgdata=\(folder)/data.unfinished"),
                let ticks = ChildProcess.processStartTicks(pid)
            else { continue }
            ChildProcess.terminate(pid, startTicks: ticks, signal: SIGKILL, timeout: .zero)
            return true
        }
        return false
    }

    private static let settings = EmbeddedPostgres.defaultSettings.merging(
        ["shared_buffers": "64MB"], uniquingKeysWith: { $1 })

    @Sendable
    private func start(_ folder: String, _ extra: [String: String] = [:]) throws -> EmbeddedPostgres {
        try EmbeddedPostgres.start(
            dataFolder: folder + "/data", socketFolder: folder + "/socket",
            settings: Self.settings.merging(extra, uniquingKeysWith: { $1 }), logFile: folder + "/log")
    }

    /// A folder that the server's user can reach.
    private func withClusterFolder(_ body: (String) throws -> Void) throws {
        try withFolder { folder in
            _ = try ChildProcess.run(["chmod", "755", folder])
            defer { try? EmbeddedPostgres.removeFiles(dataFolder: folder + "/data", socketFolder: folder + "/socket") }
            try body(folder)
        }
    }

    private func withServer(_ body: (EmbeddedPostgres) throws -> Void) throws {
        try withClusterFolder { folder in
            let server = try start(folder)
            #expect(server.notes.isEmpty)
            defer { server.stop(mode: .immediate) }
            try body(server)
        }
    }

    private func waitForSession(_ connection: PostgresConnection, query pattern: String) throws {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()"
        for _ in 0..<1_000 {
            if try connection.query(sql, .text(pattern)).rowCount > 0 { return }
            usleep(5_000)
        }
        Issue.record("no session runs \(pattern)")
    }
}
