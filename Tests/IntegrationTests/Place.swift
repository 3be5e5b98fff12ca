// A folder of its own for each test, allocbench as a process in it, and the end of everything that was started there.
// Blocks the test's thread.

import Diagnostics
import Foundation
import Glibc
import Postgres
import Services
import TestSupport
import Testing

/// Where one test works: `state` holds the services, everything else lies beside it.
final class Place {
    let path: String
    /// `--state` of every command.
    let state: String
    /// KAFKA_HOME of every command; nil for the mock broker.
    private let kafkaHome: String?
    private var programCount = 0
    private var programs: [RunningProgram] = []

    fileprivate init(_ broker: BrokerKind) throws {
        var template = Array("\(TestFolder.root)/allocbench-integration-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // Root's PostgreSQL runs as another user, who must pass through.
        chmod(path, 0o755)
        state = "\(path)/state"
        kafkaHome = broker == .kafka ? BrokerKind.kafkaHome : nil
    }

    // MARK: Files

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try write(name, bytes: Array(text.utf8)) }

    @discardableResult
    func write(_ name: String, bytes: [UInt8]) throws -> String {
        let file = URL(fileURLWithPath: "\(path)/\(name)")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: file)
        return file.path
    }

    func read(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")), as: UTF8.self)
    }

    /// Names in a folder, sorted; none if there is no such folder.
    func names(in folder: String = ".") -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(folder)")) ?? []).sorted()
    }

    /// The only folder of results, relative to the place.
    func onlyResult(in folder: String = "results") throws -> String {
        let names = names(in: folder)
        try #require(names.count == 1, "\(names)")
        return "\(folder)/\(names[0])"
    }

    // MARK: Programs

    /// Starts allocbench with the place as its current folder.
    func start(
        _ arguments: [String], state: Bool = true, environment: [String: String] = [:]
    ) throws -> RunningProgram {
        let command = [Self.executable] + arguments + (state ? ["--state", self.state] : [])
        return try startProgram(command, environment: environment)
    }

    /// Starts any program.
    func startProgram(_ command: [String], environment: [String: String] = [:]) throws -> RunningProgram {
        programCount += 1
        var variables = ProcessInfo.processInfo.environment.filter { name, _ in
            !name.hasPrefix("PG") && name != "KAFKA_HOME" && name != "ALLOCBENCH_STATE"
        }
        variables["KAFKA_HOME"] = kafkaHome
        variables.merge(environment) { $1 }
        let program = try RunningProgram(
            command, environment: variables, folder: path, logs: "\(path)/program-\(programCount)")
        programs.append(program)
        return program
    }

    /// Runs allocbench to its end.
    func run(
        _ arguments: String..., state: Bool = true, environment: [String: String] = [:]
    ) throws -> FinishedProgram {
        try start(arguments, state: state, environment: environment).wait()
    }

    /// Runs allocbench to its end, which must be success.
    @discardableResult
    func succeed(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
        let finished = try start(arguments).wait()
        #expect(
            finished.status == 0, "\(arguments): \(finished.errors)\(finished.output)", sourceLocation: sourceLocation)
        return finished.output
    }

    /// Beside the test bundle, or named by ALLOCBENCH_EXECUTABLE.
    static let executable: String = {
        if let variable = ProcessInfo.processInfo.environment["ALLOCBENCH_EXECUTABLE"] { return variable }
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return own.deletingLastPathComponent().appendingPathComponent("allocbench").path
    }()

    // MARK: Services

    /// The recorded process of a service that runs.
    func service(_ kind: ServiceRecord.Kind) throws -> ServiceRecord {
        let running = ServicesControl.status(in: try StateFolder(state)).first {
            $0.isRunning && $0.record.kind == kind
        }
        return try #require(running?.record, "no \(kind.rawValue) runs in \(state)")
    }

    /// A connection of the test's own to a database of the embedded PostgreSQL.
    func connect(_ database: String = "allocbench") throws -> PostgresConnection {
        let info = try ConnectionInfo(service(.postgres).address)
        return try PostgresConnection.connect(to: info.with(database: database))
    }

    /// Makes a database, and says how a verb is given it and the broker as if both were the user's own.
    func ownServers(_ database: String, password: String? = nil) throws -> [String] {
        let connection = try connect("postgres")
        defer { connection.close() }
        try connection.execute("CREATE DATABASE \(database)")
        let server = try service(.postgres).address.split(separator: " ").filter { !$0.hasPrefix("dbname") }
        let words = server.map(String.init) + ["dbname=\(database)"] + (password.map { ["password=\($0)"] } ?? [])
        let broker = try service(kafkaHome == nil ? .mockBroker : .kafka)
        return ["--database", words.joined(separator: " "), "--brokers", broker.address]
    }

    /// One value of one row.
    func value(_ sql: String, in database: String = "allocbench") throws -> String {
        let connection = try connect(database)
        defer { connection.close() }
        return try connection.query(sql).text(0, 0) ?? ""
    }

    /// Kills PostgreSQL as an out-of-memory killer would: the postmaster and everything it started.
    func killPostgres() throws {
        let postmaster = try service(.postgres).process
        let children = children(of: postmaster.pid)
        kill(postmaster.pid, SIGKILL)
        for child in children { kill(child, SIGKILL) }
        #expect(eventually { !postmaster.isRunning })
    }

    // MARK: End

    /// What is left once everybody had time to go.
    func leftovers(seconds: Int = 15) -> [String] {
        _ = eventually(seconds: seconds, everyMs: 50) { processes(naming: path).isEmpty }
        return processes(naming: path).map { "\($0): \(commandLine(of: $0))" }
    }

    fileprivate func end(sourceLocation: SourceLocation) {
        for program in programs { program.end() }
        _ = try? start(["services", "stop"]).wait()
        let left = leftovers()
        #expect(left == [], "orphans", sourceLocation: sourceLocation)
        for pid in processes(naming: path) { kill(pid, SIGKILL) }
        removeFolder(path)
    }
}

/// Calls `body` in a place of its own, and sees to it that nothing of it remains.
func withPlace<Value>(
    _ broker: BrokerKind = .mock, sourceLocation: SourceLocation = #_sourceLocation, _ body: (Place) throws -> Value
) throws -> Value {
    let place = try Place(broker)
    defer { place.end(sourceLocation: sourceLocation) }
    return try body(place)
}

/// What a program said and how it ended: its status, or 128 plus the number of its signal.
struct FinishedProgram {
    let status: Int32
    let output: String
    let errors: String

    var errorLines: [String] { errors.split(separator: "\n").map(String.init) }
}

/// A child of the test.
final class RunningProgram {
    let pid: Int32
    private let command: [String]
    private let logs: String
    private var status: Int32?

    fileprivate init(
        _ command: [String], environment: [String: String], folder: String, logs: String
    ) throws {
        self.command = command
        self.logs = logs
        pid = try ChildProcess.spawnDetached(
            command, standardOutput: "\(logs).out", standardError: "\(logs).err", environment: environment,
            workingFolder: folder)
    }

    var output: String { contents(of: "\(logs).out") }
    var errors: String { contents(of: "\(logs).err") }

    /// Whether it hasn't ended; reaps it when it has.
    var isRunning: Bool {
        if status != nil { return false }
        var raw: Int32 = 0
        guard waitpid(pid, &raw, WNOHANG) == pid else { return true }
        status = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F)
        return false
    }

    func signal(_ number: Int32) {
        if isRunning { kill(pid, number) }
    }

    /// Ends it as nothing can be ended more suddenly.
    func killNow() {
        signal(SIGKILL)
        _ = eventually { !isRunning }
    }

    /// Waits until it has written `text` to standard error; false if it ended first.
    func waitFor(_ text: String, seconds: Int = 120) -> Bool {
        eventually(seconds: seconds) { errors.contains(text) || !isRunning } && errors.contains(text)
    }

    /// Waits for its end. A program that doesn't end fails the test.
    func wait(seconds: Int = 180, sourceLocation: SourceLocation = #_sourceLocation) throws -> FinishedProgram {
        if !eventually(seconds: seconds, everyMs: 20, { !isRunning }) {
            Issue.record("\(command) still runs after \(seconds) s\n\(errors)", sourceLocation: sourceLocation)
            killNow()
        }
        return FinishedProgram(status: status ?? -1, output: output, errors: errors)
    }

    fileprivate func end() {
        if isRunning { killNow() }
    }
}
