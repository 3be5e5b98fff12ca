// Keeps a killed run from leaving its services behind: a small child that waits for the run's end and stops what is
// still there. The run holds the write end of a pipe and nobody else does, so its end, however it comes, is an EOF.

import Diagnostics
import Glibc
import Synchronization

public enum GuardProcess {
    public static let verb = "services-guard"

    /// What the hidden verb `services-guard` runs: blocks until standard input ends, then stops the services that
    /// `owner`, by then dead, still owns in the state folder.
    public static func run(state: StateFolder, owner: ProcessIdentity) throws {
        var byte: UInt8 = 0
        while true {
            let count = read(STDIN_FILENO, &byte, 1)
            if count == 0 { break }
            guard count > 0 || errno == EINTR else { throw OperatingError.system("wait for the run's end") }
        }
        // The pipe can end a moment before the process does.
        let deadline = ContinuousClock.now.advanced(by: .seconds(10))
        while owner.isRunning, ContinuousClock.now < deadline { usleep(10_000) }
        let lock = try state.lockServices()
        defer { lock.release() }
        try Leftovers.stop(in: state) { $0 == .run(owner) }
    }

    /// Starts the guard of this process.
    /// - Returns: the guard, and the descriptor whose closing lets it go.
    static func start(for owner: ProcessIdentity, in state: StateFolder) throws(OperatingError) -> RunningGuard {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .system("make a pipe") }
        defer { close(ends[0]) }
        // Our other children must not inherit the write end, or the guard would wait for them as well.
        _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        do throws(OperatingError) {
            let pid = try ChildProcess.spawnDetached(
                [
                    try HarnessExecutable.path(), verb, "--state", state.path, "--owner", "\(owner.pid)",
                    "--owner-start", "\(owner.startTicks)",
                ], standardOutput: state.guardLog, standardError: state.guardLog, standardInput: ends[0],
                environment: ChildProcess.environmentWithoutSecrets)
            let process = ProcessIdentity(pid: pid, startTicks: ChildProcess.processStartTicks(pid) ?? 0)
            return RunningGuard(process: process, writeEnd: ends[1])
        } catch {
            close(ends[1])
            throw error
        }
    }
}

/// A guard of this process, as long as it is needed.
final class RunningGuard: Sendable {
    let process: ProcessIdentity
    /// nil once it is closed: the number may be another file's then.
    private let writeEnd: Mutex<Int32?>

    init(process: ProcessIdentity, writeEnd: Int32) {
        self.process = process
        self.writeEnd = Mutex(writeEnd)
    }

    /// Ends the guard without letting it act: the services are stopped or about to be. Harmless when repeated.
    func dismiss() {
        guard let descriptor = writeEnd.withLock({ $0.take() }) else { return }
        ChildProcess.terminate(process.pid, startTicks: process.startTicks, signal: SIGKILL)
        close(descriptor)
    }
}
