// The processes of this machine, as a test looks for what must be there or gone.

import Foundation

/// Whether `condition` comes true in time. A short interval catches a process in the middle, and costs processor time.
public func eventually(seconds: Int = 60, everyMs: Int = 20, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = ContinuousClock.now.advanced(by: .seconds(seconds))
    while try !condition() {
        guard ContinuousClock.now < deadline else { return false }
        usleep(UInt32(everyMs) * 1_000)
    }
    return true
}

/// The processes, this one excepted, that have `text` in their command lines.
public func processes(naming text: String) -> [Int32] {
    allProcesses().filter { $0 != getpid() && commandLine(of: $0).contains(text) }
}

/// The processes that `parent` has started and that live, or wait to be reaped.
public func children(of parent: Int32) -> [Int32] {
    allProcesses().filter { pid in
        let status = contents(of: "/proc/\(pid)/stat")
        guard let end = status.lastIndex(of: ")") else { return false }
        let fields = status[end...].split(separator: " ")
        return fields.count > 2 && Int32(fields[2]) == parent
    }
}

/// The arguments of a process with blanks between them; empty if it is gone.
public func commandLine(of pid: Int32) -> String {
    contents(of: "/proc/\(pid)/cmdline").split(separator: "\0").joined(separator: " ")
}

private func allProcesses() -> [Int32] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
}

/// The text of a file; empty if it is gone.
public func contents(of file: String) -> String {
    (try? Data(contentsOf: URL(fileURLWithPath: file))).map { String(decoding: $0, as: UTF8.self) } ?? ""
}
