// Process figures against what this process does to itself and to children it starts. Runs on the test's thread.

import Foundation
import Glibc
import Services
import Testing

@testable import Measurement

@Suite struct ProcessUsageTests {
    @Test func `work on the processor shows in the processor time`() throws {
        let before = try #require(ProcessUsage.own())
        let end = monotonicNow() + 150_000_000
        var random = SeededRandom(seed: 1)
        var drawn: UInt64 = 0
        while monotonicNow() < end { drawn ^= random.next() }
        let after = try #require(ProcessUsage.own())
        #expect(after.cpuSeconds > before.cpuSeconds, "drew \(drawn)")
        #expect(after.processCount == 1)
    }

    @Test func `memory is at least what was just touched and the peak is not below it`() throws {
        let memory = [UInt8](repeating: 7, count: 64 << 20)
        let usage = try #require(ProcessUsage.own())
        #expect(usage.residentBytes >= Int64(memory.count))
        #expect(usage.peakResidentBytes >= usage.residentBytes)
    }

    @Test func `a tree holds the children that live and the time of those that ended`() throws {
        var template = Array("/tmp/allocbench-usage-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        try #require(file >= 0)
        close(file)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        // The first child burns time and ends; the second lives until the whole tree is ended.
        let script =
            "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo ready; sh -c 'sleep 60; exit 0'; exit 0"
        let shell = try ChildProcess.spawnDetached(
            ["/bin/sh", "-c", script], standardOutput: path, standardError: "/dev/null")
        defer {
            kill(-shell, SIGKILL)
            waitpid(shell, nil, 0)
        }
        let deadline = monotonicNow() + 20_000_000_000
        func isReady() -> Bool { (try? String(contentsOfFile: path, encoding: .utf8)) == "ready\n" }
        while !isReady() && monotonicNow() < deadline { sleepUntil(monotonic: monotonicNow() + 5_000_000) }
        // The shell, the one inside it and its sleep.
        var tree = try #require(ProcessUsage.ofTree(root: shell))
        while tree.processCount < 3 && monotonicNow() < deadline {
            sleepUntil(monotonic: monotonicNow() + 1_000_000)
            tree = try #require(ProcessUsage.ofTree(root: shell))
        }
        let root = try #require(ProcessUsage.of(processID: shell))
        #expect(tree.processCount == 3)
        #expect(tree.cpuSeconds > root.cpuSeconds)
        #expect(tree.residentBytes > root.residentBytes)
    }

    @Test func `a peak that was reset forgets memory that was given back`() throws {
        do {
            let memory = [UInt8](repeating: 7, count: 256 << 20)
            #expect(memory.count == 256 << 20)
        }
        let before = try #require(ProcessUsage.own())
        // A kernel without CONFIG_PROC_PAGE_MONITOR has no clear_refs.
        guard ProcessUsage.resetOwnPeak() else { return }
        let after = try #require(ProcessUsage.own())
        #expect(after.peakResidentBytes < before.peakResidentBytes - (100 << 20))
    }

    @Test func `a process that doesn't exist has no usage`() {
        #expect(ProcessUsage.of(processID: .max) == nil)
        #expect(ProcessUsage.ofTree(root: .max) == nil)
    }

    @Test func `a process name with blanks and brackets doesn't shift the fields`() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3000 400 20 0 1 0 99 1 1"
        let stat = ProcessStat(parsing: text)
        #expect(stat?.parentID == 7)
        #expect(stat?.ownTicks == 120)
        #expect(stat?.waitedChildrenTicks == 3400)
        #expect(ProcessStat(parsing: "42 (cut) S 7 42") == nil)
        #expect(ProcessStat(parsing: "") == nil)
    }

    @Test func `a tree follows grandchildren and nothing else`() {
        let parents: [Int32: Int32] = [1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 21: 20]
        #expect(ProcessUsage.tree(root: 10, parents: parents).sorted() == [10, 11, 12])
    }

    @Test func `a process without memory lines counts zero`() {
        #expect(ProcessUsage.kibibytes(of: "VmHWM", in: "Name:\tkthreadd\nState:\tS\n") == 0)
        #expect(ProcessUsage.kibibytes(of: "VmHWM", in: "Name:\tx\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n") == 12345)
    }
}
