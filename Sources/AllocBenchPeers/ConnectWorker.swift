// Kafka Connect as a child process: one standalone worker with its connectors, whose properties are written here.

import Diagnostics
import Foundation
import Glibc
import Kafka
import Measurement
import Postgres
import Scenario
import Services
import Threads

/// A running worker. It ends with this process, however that ends: a shell beside it waits for the end of a pipe that nobody
/// else holds open. Used on the main thread.
final class ConnectWorker {
    private let process: ProcessIdentity
    private let log: String
    /// Nil once it is told to stop.
    private var writeEnd: Int32?

    /// Hands the worker its command line; passes on a TERM when the pipe ends, and the worker's end otherwise.
    private static let shell = """
        exec 3<&0; "$@" & worker=$!
        (cat <&3 >/dev/null; kill -TERM $worker) & watch=$!
        wait $worker; status=$?; kill $watch; exit $status
        """

    /// Starts it; what it has to do, it has begun once rows come through.
    /// - Parameters:
    ///   - folder: a new one, for its files.
    ///   - connectors: the properties of each.
    init(_ bench: PeerBench, folder: String, connectors: [[String: String]]) throws {
        guard let home = bench.surroundings.kafkaHome, let plugins = bench.surroundings.pluginFolder,
            let servers = bench.target.kafka?.bootstrapServers
        else { throw PeerFault.notPrepared }
        // The database's password will be in it.
        try FileManager.default.createDirectory(
            atPath: bench.path(folder), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let worker = [
            "bootstrap.servers": servers, "plugin.path": plugins, "plugin.discovery": "service_load",
            // A port of its own choice: nobody asks it anything.
            "listeners": "http://127.0.0.1:0", "offset.storage.file.filename": bench.path("\(folder)/offsets"),
            "key.converter": Self.converter, "value.converter": Self.converter,
            // What a batch of the sink takes must come in few fetches.
            "consumer.max.poll.records": "5000",
        ]
        let files = try ([worker] + connectors).enumerated().map { index, properties in
            let name = "\(folder)/\(index).properties"
            try bench.write(Self.text(properties), to: name)
            return bench.path(name)
        }
        log = bench.path("\(folder)/log")
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw OperatingError("can't make a pipe") }
        defer { close(ends[0]) }
        // Children of other threads must not hold it open.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var environment = ProcessInfo.processInfo.environment
        if environment["KAFKA_HEAP_OPTS"] == nil { environment["KAFKA_HEAP_OPTS"] = "-Xmx2g" }
        environment["LOG_DIR"] = bench.path(folder)
        do {
            let pid = try ChildProcess.spawnDetached(
                ["sh", "-c", Self.shell, "sh", "\(home)/bin/connect-standalone.sh"] + files, standardOutput: log,
                standardError: log, standardInput: ends[0], environment: environment)
            process = ProcessIdentity(pid: pid, startTicks: ChildProcess.processStartTicks(pid) ?? 0)
        } catch {
            close(ends[1])
            throw error
        }
        writeEnd = ends[1]
    }

    deinit { stop() }

    private static let converter = "org.apache.kafka.connect.json.JsonConverter"

    private static func text(_ properties: [String: String]) -> String {
        properties.sorted { $0.key < $1.key }.map { key, value in
            // A backslash escapes in a properties file.
            "\(key)=\(value.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\"))\n"
        }.joined()
    }

    /// Ends it and waits for its end. Harmless when repeated.
    func stop() {
        guard let end = writeEnd else { return }
        writeEnd = nil
        close(end)
        if ChildProcess.terminate(process.pid, startTicks: process.startTicks, signal: 0, timeout: .seconds(30)) {
            return
        }
        // The session is the shell's own, so this is the worker as well.
        kill(-process.pid, SIGKILL)
        ChildProcess.terminate(process.pid, startTicks: process.startTicks, signal: SIGKILL)
    }

    /// Throws with the end of its log if it has ended, or a task of it has failed, which the worker outlives.
    func requireRunning() throws {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("\tat ") }
        let failure = lines.first { $0.contains("Task threw an uncaught") || $0.contains("Failed to create connector") }
        guard failure != nil || !process.isRunning else { return }
        throw OperatingError(
            "Kafka Connect \(process.isRunning ? "lost a task" : "ended"): "
                + lines.filter { $0.contains("ERROR") || $0.contains("Caused by") }.suffix(4).joined(separator: "\n"))
    }
}

/// Debezium's side of a bench: how it reaches the database, and what its properties are.
enum Debezium {
    /// And its publication.
    static let slot = "peers_debezium"
    static let prefix = "peers"
    /// By its rules: the prefix, then schema and table.
    static let tableName = "trades.executions"

    static func obstacle(_ surroundings: PeerSurroundings, plugins: String...) -> String? {
        guard let home = surroundings.kafkaHome, let folder = surroundings.pluginFolder else {
            return "no real Kafka (KAFKA_HOME)"
        }
        if let missing = surroundings.missing("\(home)/bin/connect-standalone.sh") { return missing }
        let absent = plugins.filter { !FileManager.default.fileExists(atPath: "\(folder)/\($0)") }
        return absent.isEmpty ? nil : "no \(absent.joined(separator: ", no ")) in plugins of KAFKA_HOME"
    }

    /// The version of a connector, from the name of its file.
    static func version(of plugin: String, _ surroundings: PeerSurroundings) -> String {
        let files = try? FileManager.default.contentsOfDirectory(atPath: "\(surroundings.pluginFolder ?? "")/\(plugin)")
        let name = files?.first { $0.hasPrefix(plugin) && $0.hasSuffix(".jar") } ?? plugin
        return name.dropFirst(plugin.count + 1).split(separator: ".").prefix { $0 != "jar" }.joined(separator: ".")
    }

    /// Runs a worker while the body runs; when that begins, the source streams. Leaves neither slot nor publication.
    static func during<R>(
        _ bench: PeerBench, folder: String, connectors: [[String: String]], _ body: (ConnectWorker) throws -> R
    ) throws -> R {
        try bench.withConnection { try $0.execute("CREATE PUBLICATION \(slot) FOR TABLE \(tableName)") }
        defer {
            try? bench.withConnection { connection in
                try connection.dropSlot(slot)
                try connection.execute("DROP PUBLICATION \(slot)")
            }
        }
        let worker = try ConnectWorker(bench, folder: folder, connectors: connectors)
        defer { worker.stop() }
        try bench.waitForStream(from: slot) { try worker.requireRunning() }
        return try body(worker)
    }

    /// The source connector for the executions, as somebody would set it up who wants them fast.
    static func source(_ address: PeerDatabase, prefix: String) -> [String: String] {
        [
            "name": "\(prefix)-source", "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "plugin.name": "pgoutput", "database.hostname": address.host, "database.port": "5432",
            "database.user": address.user, "database.password": address.password, "database.dbname": address.database,
            "topic.prefix": prefix, "table.include.list": tableName, "snapshot.mode": "no_data", "slot.name": slot,
            "publication.name": slot, "publication.autocreate.mode": "disabled",
            // The last rows of a burst would else wait for half a second to be joined by others.
            "poll.interval.ms": "10", "max.batch.size": "8192", "max.queue.size": "32768",
            // What our producer is set to; Connect's own waits for nothing and compresses nothing.
            "producer.override.linger.ms": "5", "producer.override.batch.size": "262144",
            "producer.override.compression.type": "lz4",
        ]
    }
}

/// The bench's database by TCP, which Java's driver needs. Ours goes there too in a pair with it.
struct PeerDatabase {
    let host: String
    let user: String
    let password: String
    let database: String
    /// For our own clients.
    let connection: ConnectionInfo

    /// An address of this machine alone that no other server is likely to have: the port is always the same one.
    static let host = "127.\(64 + getpid() >> 16 & 63).\(getpid() >> 8 & 255).\(max(1, getpid() & 255))"

    /// What the server must be started with.
    static let settings = ["listen_addresses": host]

    /// Gives the superuser a password and lets it in by it.
    init(_ bench: PeerBench) throws {
        let info = bench.target.connection
        let password = (0..<4).map { _ in String(UInt32.random(in: 0...UInt32.max), radix: 36) }.joined()
        (host, self.password) = (Self.host, password)
        (user, database) = (EmbeddedPostgres.superuser, info["dbname"] ?? "")
        connection = info.with("host", Self.host).with("password", password)
        let user = user
        try bench.withConnection { connection in
            guard let path = try connection.query("SHOW hba_file").text(0, 0) else { throw PeerFault.notPrepared }
            let rules = try String(contentsOfFile: path, encoding: .utf8)
            try connection.execute("ALTER ROLE \(user) PASSWORD '\(password)'")
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            defer { try? file.close() }
            // The first rule that fits counts, and the cluster's own refuses whoever comes by TCP.
            try file.write(contentsOf: Data("host all \(user) 127.0.0.0/8 scram-sha-256\n\(rules)".utf8))
            try connection.query("SELECT pg_reload_conf()")
        }
        // The server reads its rules in its own time.
        let connection = connection
        try bench.wait(for: "the server's new rules", seconds: 10, check: {}) {
            guard let admitted = try? PostgresConnection.connect(to: connection) else { return false }
            admitted.close()
            return true
        }
    }
}
