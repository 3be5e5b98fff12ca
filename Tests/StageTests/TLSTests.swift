// Goal: every connection, that of the change feed included, works by TLS and scram-sha-256; what is wrong with either is one clear
// line; and a password is nowhere to be read.
// Method: one cluster of the test's own on a loopback address of its own, with certificates that the test made.

import Diagnostics
import Foundation
import Glibc
import Kafka
import Postgres
import Services
import TestSupport
import Testing
import Threads

@testable import ChangeFeed
@testable import Scenario

/// A server that takes nothing but TLS with a password over TCP, and whoever reaches its socket without.
private struct SecureServer {
    static let password = "Tr0ub4dor-and-3"
    let server: EmbeddedPostgres
    let folder: String
    let address: String
    let certificates: Certificates
    /// By its socket, as its superuser.
    let connection: PostgresConnection

    init(in folder: String) throws {
        self.folder = folder
        certificates = try Certificates.shared()
        // All of 127.0.0.0/8 is this machine, and each test process has an address of its own.
        let pid = getpid()
        address = "127.\(64 + pid >> 16 & 63).\(pid >> 8 & 255).\(pid & 255)"
        server = try EmbeddedPostgres.start(
            dataFolder: folder + "/data", socketFolder: folder + "/socket",
            settings: EmbeddedPostgres.defaultSettings.merging([
                "fsync": "off", "shared_buffers": "16MB", "autovacuum": "off", "listen_addresses": address,
            ]) { $1 }, logFile: folder + "/log")
        connection = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
        let data = server.dataFolder
        try replace("\(data)/pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n")
        for (name, pair) in [("good", certificates.server), ("expired", certificates.expiredServer)] {
            try replace("\(data)/\(name).pem", contents(of: pair.certificate))
            try replace("\(data)/\(name).key", contents(of: pair.key))
        }
        try connection.execute("ALTER SYSTEM SET ssl_cert_file = 'good.pem'")
        try connection.execute("ALTER SYSTEM SET ssl_key_file = 'good.key'")
        try set("ssl = on") { ["t"] == $0 }
        try connection.execute("CREATE ROLE bench LOGIN REPLICATION PASSWORD '\(Self.password)'")
        try connection.execute("CREATE DATABASE bench OWNER bench")
    }

    /// The key must belong to the server's user, and to nobody else.
    private func replace(_ path: String, _ text: String) throws {
        var owner = stat()
        try #require(stat("\(server.dataFolder)/PG_VERSION", &owner) == 0)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try #require(chmod(path, 0o600) == 0 && chown(path, owner.st_uid, owner.st_gid) == 0)
    }

    /// Changes a setting, and waits until a new connection finds it so.
    func set(_ setting: String, until isSo: ([String]) throws -> Bool) throws {
        try connection.execute("ALTER SYSTEM SET \(setting)")
        try connection.query("SELECT pg_reload_conf()")
        let name = String(setting.prefix { $0 != " " })
        let isTaken = try eventually {
            let other = try PostgresConnection.connect(to: ConnectionInfo(server.connectionInfo))
            defer { other.close() }
            let value = try other.lines(
                "SELECT CASE current_setting('\(name)') WHEN 'on' THEN 't' WHEN 'off' THEN 'f' "
                    + "ELSE current_setting('\(name)') END")
            return try isSo(value)
        }
        try #require(isTaken)
    }

    /// As libpq's words, without a password.
    func words(authority: String? = nil, _ more: String = "") -> String {
        "host=localhost hostaddr=\(address) port=5432 user=bench dbname=bench sslmode=verify-full "
            + "sslrootcert=\(authority ?? certificates.authority) \(more)"
    }

    func info(authority: String? = nil, password: String = password) throws -> ConnectionInfo {
        try ConnectionInfo(words(authority: authority)).with("password", password)
    }
}

@Suite(.serialized, .timeLimit(.minutes(5))) struct TLSTests {
    @Test func `everything works by TLS with a password, and what is wrong with them is one line without it`() throws {
        let folder = "\(TestFolder.root)/allocbench-tls-\(getpid())"
        defer { removeFolder(folder) }
        let secure = try SecureServer(in: folder)
        defer {
            secure.server.stop(mode: .immediate)
            try? secure.server.removeFiles()
        }
        try expectEncryptedFeed(secure)
        try expectSecretProgram(secure)
        try expectRefusals(secure)
        #expect(!contents(of: folder + "/log").contains(SecureServer.password))
    }

    private func expectEncryptedFeed(_ secure: SecureServer) throws {
        let info = try secure.info()
        let connection = try PostgresConnection.connect(to: info)
        defer { connection.close() }
        #expect(try connection.lines("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == ["t"])
        #expect(
            try secure.connection.lines(
                "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'bench'")
                == ["t"])
        try Schemas.create(on: connection)
        try withTopic(partitions: 2, on: .mock) { broker, topic in
            let slot = FeedSlot(database: "bench")
            try slot.create(topic: topic, scanTable: false, connection: info)
            try connection.execute(
                """
                INSERT INTO trades.executions
                  (execution_id, exec_type, block_order_id, block_order_code, order_version, order_quantity, quantity, price,
                   executed_at)
                SELECT i, 'TRADE', 1, 'B20241114-0000001', 0, 5000, 100, 9.5, TIMESTAMPTZ '2024-11-14 14:30:00+00'
                FROM generate_series(1, 30) AS i
                """)
            let stop = StopFlag()
            let kafka = broker.settings
            let running = WorkerThread(name: "feed") {
                try ReplicationFeed(connection: info, kafka: kafka, topic: topic, slot: slot)
                    .run(until: FeedEnd(), stop: stop)
            }
            let isEncrypted = try eventually {
                try secure.connection.lines(
                    "SELECT s.ssl FROM pg_stat_replication AS r JOIN pg_stat_ssl AS s ON s.pid = r.pid") == ["t"]
            }
            #expect(isEncrypted)
            let isPublished = try eventually { try broker.ends(topic).values.reduce(0, +) == 30 }
            stop.set()
            let published = try running.join().publishedCount
            #expect(isPublished && published == 30)
            try slot.drop(connection: info)
        }
        try Schemas.drop(on: connection)
    }

    // MARK: The program

    private func run(_ arguments: [String], _ variables: [String: String]) throws -> (status: Int32, output: String) {
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PG") }
        environment.merge(variables) { $1 }
        return try ChildProcess.run([Self.executable] + arguments, environment: environment)
    }

    private static var executable: String {
        ProcessInfo.processInfo.environment["ALLOCBENCH_EXECUTABLE"]
            ?? URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("allocbench").path
    }

    /// By each of the three ways in which a password may come.
    private func expectSecretProgram(_ secure: SecureServer) throws {
        let password = SecureServer.password
        let passfile = "\(secure.folder)/pgpass"
        try Data("*:*:*:*:\(password)\n".utf8).write(to: URL(fileURLWithPath: passfile))
        chmod(passfile, 0o600)
        let words = secure.words()
        let seeded = try run(
            ["seed", "--database", words, "--size", "tiny", "--quiet"],
            ["PGPASSWORD": password])
        #expect(seeded.status == 0, "\(seeded.output)")
        let checked = try run(["schema", "check", "--database", words], ["PGPASSFILE": passfile])
        #expect(checked.status == 0, "\(checked.output)")
        let byFile = try run(["schema", "check", "--database", "\(words) passfile=\(passfile)"], [:])
        #expect(byFile.status == 0, "\(byFile.output)")
        for output in [seeded.output, checked.output, byFile.output] { #expect(!output.contains(password)) }

        // A URI stands in the process list, but for its password. The program waits for a lock meanwhile.
        let lock = try PostgresConnection.connect(to: secure.info())
        try lock.execute("BEGIN; LOCK TABLE reference.securities IN ACCESS EXCLUSIVE MODE")
        let uri =
            "postgresql://bench:\(password)@localhost/bench?hostaddr=\(secure.address)&sslmode=verify-full"
            + "&sslrootcert=\(secure.certificates.authority)"
        let log = "\(secure.folder)/program.log"
        let pid = try ChildProcess.spawnDetached(
            [Self.executable, "schema", "drop", "--database", uri], standardOutput: log, standardError: log)
        let ticks = try #require(ChildProcess.processStartTicks(pid))
        let isWaiting = try eventually {
            try secure.connection.lines("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == ["1"]
        }
        #expect(isWaiting, "\(contents(of: log))")
        let shown = commandLine(of: pid)
        #expect(
            shown.contains("//bench:***") && shown.contains("@localhost/bench") && !shown.contains(password), "\(shown)"
        )
        try lock.rollback()
        let isOver = eventually { !ChildProcess.isRunning(pid, startTicks: ticks) }
        ChildProcess.terminate(pid, startTicks: ticks, signal: SIGKILL)
        #expect(isOver && !contents(of: log).contains(password), "\(contents(of: log))")
    }

    // MARK: Refusals

    private func refusal(_ info: ConnectionInfo) -> String {
        errorText { try PostgresConnection.connect(to: info).close() }
    }

    private func expectRefusals(_ secure: SecureServer) throws {
        let (wrong, authority) = ("not-the-password", secure.certificates.authority)
        let prefix = "connection to server at \"\(secure.address)\", port 5432 failed: "
        let passwords = "the password is taken from PGPASSWORD, PGPASSFILE, passfile= or the URI"
        let info = try secure.info(password: wrong)
        #expect(
            refusal(info) == "\(prefix)FATAL:  password authentication failed for user \"bench\"; hint: \(passwords)")
        // The replication connection says the same.
        #expect(
            errorText { try ReplicationConnection.connect(to: info).close() }
                == "\(prefix)FATAL:  password authentication failed for user \"bench\"; hint: \(passwords)")
        let program = try run(["schema", "check", "--database", secure.words()], ["PGPASSWORD": wrong])
        #expect(program.status == 1 && !program.output.contains(wrong))
        #expect(
            program.output.split(separator: "\n").count == 1 && program.output.contains(passwords), "\(program.output)")

        func certificateRefusal(_ file: String) -> String {
            "\(prefix)SSL error: certificate verify failed; hint: sslrootcert (\(file)) must hold the authority that signed the "
                + "server's certificate, and that certificate must not have expired"
        }
        let other = secure.certificates.otherAuthority
        #expect(refusal(try secure.info(authority: other)) == certificateRefusal(other))
        try secure.set("ssl_cert_file = 'expired.pem'") { $0 == ["expired.pem"] }
        try secure.set("ssl_key_file = 'expired.key'") { $0 == ["expired.key"] }
        // A server that can't load a pair goes on with the one before, until it is told of both.
        let isExpired = try eventually { refusal(try secure.info()) != "" }
        #expect(isExpired)
        #expect(refusal(try secure.info()) == certificateRefusal(authority))
        try secure.set("ssl = off") { ["f"] == $0 }
        let isOff = try eventually { refusal(try secure.info()).contains("SSL was required") }
        #expect(isOff)
        #expect(
            refusal(try secure.info())
                == "\(prefix)server does not support SSL, but SSL was required; hint: switch on the server's ssl, or use "
                + "sslmode=disable in a network that you trust")
    }
}
