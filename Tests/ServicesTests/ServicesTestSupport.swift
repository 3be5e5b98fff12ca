// A state folder of its own for each test, and this package's program as a separate process.

import Diagnostics
import Glibc
import Services
import Synchronization
import TestSupport
import Testing

private let folderCount = Atomic<Int>(0)

/// Calls `body` with a new state folder, and stops and deletes what is in it afterwards.
func withStateFolder<Value>(path: String? = nil, _ body: (StateFolder) throws -> Value) throws -> Value {
    let number = folderCount.add(1, ordering: .relaxed).newValue
    let state = try StateFolder(path ?? "\(TestFolder.root)/allocbench-teststate-\(getpid())-\(number)")
    defer {
        _ = try? ServicesControl.stop(in: state)
        removeFolder(state.path)
    }
    return try body(state)
}

/// allocbench running beside the test, with its standard input kept open until `end` or a signal.
final class HarnessProcess {
    let identity: ProcessIdentity
    private let log: String
    private var writeEnd: Int32

    init(_ arguments: [String], log: String) throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
        let pid = try ChildProcess.spawnDetached(
            [Self.executable] + arguments, standardOutput: log, standardError: log, standardInput: ends[0])
        close(ends[0])
        writeEnd = ends[1]
        self.log = log
        identity = ProcessIdentity(pid: pid, startTicks: ChildProcess.processStartTicks(pid) ?? 0)
    }

    deinit {
        if writeEnd >= 0 { close(writeEnd) }
        signal(SIGKILL)
    }

    /// Waits until the process has printed `word`, or ended.
    func waitFor(_ word: String) -> Bool {
        eventually(seconds: 90) { output.contains(word) || !identity.isRunning } && output.contains(word)
    }

    var output: String { (try? ChildProcess.run(["cat", log]).output) ?? "" }

    /// Sends a signal and waits for the end.
    func signal(_ number: Int32) {
        ChildProcess.terminate(identity.pid, startTicks: identity.startTicks, signal: number)
    }

    /// Ends standard input and waits for the end.
    func end() -> Bool {
        close(writeEnd)
        writeEnd = -1
        return ChildProcess.terminate(
            identity.pid, startTicks: identity.startTicks, signal: 0, timeout: .seconds(60))
    }

    /// Runs allocbench to its end.
    static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        try ChildProcess.run([executable] + arguments)
    }

    /// Beside the test bundle, or named by ALLOCBENCH_EXECUTABLE.
    static var executable: String {
        if let variable = getenv("ALLOCBENCH_EXECUTABLE") { return String(cString: variable) }
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = max(0, readlink("/proc/self/exe", &bytes, bytes.count))
        let path = String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/allocbench"
    }
}

/// The error that `body` throws, which it must.
func operatingError(_ body: () throws -> Void) throws -> OperatingError {
    do {
        try body()
    } catch let error as OperatingError {
        return error
    }
    return try #require(nil as OperatingError?, "no error was thrown")
}
