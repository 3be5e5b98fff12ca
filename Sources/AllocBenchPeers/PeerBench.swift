// What a pair works with: services of its own, a folder, and other people's programs as child processes.
// Used on the main thread; what it says of children holds on any.

import Diagnostics
import Foundation
import Postgres
import Scenario
import Services
import Threads

/// What is known before anything is started.
struct PeerSurroundings {
    /// A real Kafka; nil where the broker is librdkafka's mock.
    let kafkaHome: String?
    let size: PeerSize

    /// Connect's plugins: folders below `plugins` of the Kafka distribution.
    var pluginFolder: String? { kafkaHome.map { "\($0)/plugins" } }

    /// Whether a program is in PATH, or is there if a slash is in its name.
    func hasProgram(_ name: String) -> Bool {
        if name.contains("/") { return FileManager.default.isExecutableFile(atPath: name) }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(name)") }
    }

    /// The words of `obstacle` for a topic that the mock broker can't hold; nil where it can, or needn't.
    var missingKafka: String? {
        kafkaHome == nil && size == .full ? "no Kafka distribution (KAFKA_HOME), whose topics hold so much" : nil
    }

    /// The words of `obstacle` for programs that must be there; nil if all are.
    func missing(_ programs: String...) -> String? {
        let missing = programs.filter { !hasProgram($0) }
        return missing.isEmpty ? nil : "no \(missing.joined(separator: ", no "))"
    }
}

/// The services and the folder of one pair.
struct PeerBench {
    let surroundings: PeerSurroundings
    /// An empty database and an empty broker.
    let target: Target
    /// For files, empty at first; gone at the end. A server that runs as another user can't read it.
    let folder: String
    let stop: StopFlag

    var size: PeerSize { surroundings.size }
    /// For libpq's own programs. The embedded server asks nobody on this machine for a password.
    var connectionText: String { target.connection.redacted }

    /// Starts the services, runs the body and stops them. Nothing is left in `state`.
    static func with<R>(
        _ surroundings: PeerSurroundings, state: String, postgresSettings: [String: String] = [:], stop: StopFlag,
        _ body: (PeerBench) throws -> R
    ) throws -> R {
        let files = FileManager.default
        // What a killed run left.
        try? files.removeItem(atPath: state)
        var options = Target.Options()
        options.state = state
        options.kafkaHome = surroundings.kafkaHome ?? ""
        options.postgresSettings = postgresSettings
        let target = try Target.open(options)
        defer {
            target.close()
            try? files.removeItem(atPath: state)
        }
        let folder = "\(state)/files"
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return try body(PeerBench(surroundings: surroundings, target: target, folder: folder, stop: stop))
    }

    func withConnection<R>(_ body: (PostgresConnection) throws -> R) throws -> R {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        return try body(connection)
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path(name)))
    }

    // MARK: Children

    /// Runs a program to its end. Blocks, for `timeout` seconds at most.
    /// - Returns: what it wrote, errors included.
    /// - Throws: `OperatingError` with the end of that if its status isn't 0.
    @discardableResult
    static func child(
        _ arguments: [String], input: String? = nil, environment: [String: String]? = nil, timeout: Int = 600
    ) throws -> String {
        // GNU's timeout ends with 124 where the program didn't, and kills what doesn't hear.
        let (status, output) = try ChildProcess.run(
            ["timeout", "--kill-after=10", "\(timeout)"] + arguments, environment: environment, input: input)
        guard status == 0 else {
            let end = output.split(separator: "\n").suffix(5).joined(separator: "\n")
            throw OperatingError(
                status == 124
                    ? "\(arguments.first ?? "") took longer than \(timeout) s: \(end)"
                    : "\(arguments.first ?? "") ended with status \(status): \(end)")
        }
        return output
    }

    /// Runs several programs side by side, each to its end; returns what each wrote.
    static func children(_ commands: [[String]], timeout: Int = 600) throws -> [String] {
        let threads = commands.enumerated().map { index, command in
            WorkerThread(name: "peer-\(index)") { try child(command, timeout: timeout) }
        }
        return try threads.map { thread in Result { try thread.join() } }.map { try $0.get() }
    }

    /// `pgbench 15.18` from `pgbench (PostgreSQL) 15.18 (Debian …)`: the program and the first word that begins with a digit.
    static func version(of program: String, arguments: [String] = ["--version"]) -> String {
        let output = (try? child([program] + arguments, timeout: 20)) ?? ""
        let name = program.split(separator: "/").last.map(String.init) ?? program
        let words = output.split { $0.isWhitespace || $0 == "(" || $0 == ")" || $0 == "," }
        guard let version = words.first(where: { $0.first?.isNumber == true }) else { return name }
        return "\(name) \(version)"
    }
}
