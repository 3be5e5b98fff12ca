// Finds processes by an argument only ours have: what a harness started but was killed before it could write down.

import Glibc

enum MarkedProcesses {
    /// The programs a state folder's services consist of; an editor or a `tail` with the same argument isn't one.
    private static let programs: Set<String> = ["postgres", "initdb", "pg_basebackup", "pg_ctl", "java", "bash", "sh"]
    private static let hiddenVerbs: Set<String> = [MockBrokerProcess.verb, GuardProcess.verb]

    /// All running processes, this one excepted, that have `marker` as one of their arguments.
    static func find(_ marker: String) -> [ProcessIdentity] { find(anyOf: [marker]) }

    /// The same of several markers, in one look at all processes.
    static func find(anyOf markers: Set<String>) -> [ProcessIdentity] {
        folderEntries("/proc").compactMap { name in
            guard let pid = Int32(name), pid != getpid(), let line = fileContents("/proc/\(pid)/cmdline") else {
                return nil
            }
            let arguments = line.split(separator: "\0", omittingEmptySubsequences: false).map(String.init)
            guard let program = arguments.first, arguments.dropFirst().contains(where: markers.contains) else {
                return nil
            }
            guard programs.contains(Files.name(of: program)) || !hiddenVerbs.isDisjoint(with: arguments) else {
                return nil
            }
            guard let ticks = ChildProcess.processStartTicks(pid) else { return nil }
            return ProcessIdentity(pid: pid, startTicks: ticks)
        }
    }

    /// Sends each process the signals one after another until it is gone.
    /// - Returns: whether all are gone.
    @discardableResult
    static func end(_ processes: [ProcessIdentity], _ steps: [(signal: Int32, timeout: Duration)]) -> Bool {
        var left = processes
        for step in steps {
            for process in left where process.isRunning { kill(process.pid, step.signal) }
            left = left.filter {
                !ChildProcess.terminate($0.pid, startTicks: $0.startTicks, signal: 0, timeout: step.timeout)
            }
            if left.isEmpty { break }
        }
        for process in processes where !left.contains(process) { waitForThreads(of: process) }
        return left.isEmpty
    }

    /// The first thread of a process, which gives it its state, may be gone while others still hold its ports: waits, up
    /// to 5 s, until all are, and reaps the process if it is our child.
    private static func waitForThreads(of process: ProcessIdentity) {
        let deadline = ContinuousClock.now.advanced(by: .seconds(5))
        while ChildProcess.processStartTicks(process.pid) == process.startTicks {
            let reaped = waitpid(process.pid, nil, WNOHANG)
            let isOurChild = reaped >= 0 || errno != ECHILD
            // With one thread left there is nothing but an entry that its parent will reap.
            if !isOurChild && folderEntries("/proc/\(process.pid)/task").count <= 1 { return }
            guard ContinuousClock.now < deadline else { return }
            usleep(5_000)
        }
    }
}
