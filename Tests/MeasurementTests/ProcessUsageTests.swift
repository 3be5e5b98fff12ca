// Process figures against what this process does to itself and to children it starts. Runs on the test's thread.

import Foundation
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
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        // The first child burns time and ends; the second lives until its input closes.
        shell.arguments = [
            "-c",
            "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo ready; sh -c 'read line; exit 0'; exit 0",
        ]
        let input = Pipe()
        let output = Pipe()
        shell.standardInput = input
        shell.standardOutput = output
        try shell.run()
        defer { shell.waitUntilExit() }
        defer { input.fileHandleForWriting.closeFile() }
        #expect(output.fileHandleForReading.readData(ofLength: 6) == Data("ready\n".utf8))
        let deadline = monotonicNow() + 5_000_000_000
        var tree = try #require(ProcessUsage.ofTree(root: shell.processIdentifier))
        while tree.processCount < 2 && monotonicNow() < deadline {
            sleepUntil(monotonic: monotonicNow() + 1_000_000)
            tree = try #require(ProcessUsage.ofTree(root: shell.processIdentifier))
        }
        let root = try #require(ProcessUsage.of(processID: shell.processIdentifier))
        #expect(tree.processCount == 2)
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
