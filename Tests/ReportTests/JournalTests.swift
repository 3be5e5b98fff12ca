// The journal of a run. Goal: whatever moment a kill chooses, what was finished is there and nothing else.

import Diagnostics
import Foundation
import Testing

@testable import Report

@Suite struct JournalTests {
    private func cell(_ name: String, _ repetition: Int) -> CellRecord {
        CellRecord(
            configuration: name, repetition: repetition, run: RunRow.columnNames.map { "\($0) \"é\"\n" },
            tables: ["latency.csv": [["1", name, String(repetition)]]], histograms: ["#[x]", "Tag=a,0,1"],
            finalTables: ["fills": "3:9f"])
    }

    /// What another process finds, once this one no longer writes.
    private func cells(in folder: String) throws -> [CellRecord] { try Journal(folder: folder).cells }

    private func append(_ cells: [CellRecord], in folder: String) throws {
        let journal = try Journal(folder: folder)
        for cell in cells { try journal.append(cell) }
    }

    @Test func `what was appended is there when the journal is opened again`() throws {
        try withTemporaryFolder { folder in
            let first = [cell("a", 1), cell("b", 1), cell("a", 2)]
            try append(first, in: folder)
            #expect(try cells(in: folder) == first)
            try append([cell("b", 2)], in: folder)
            #expect(try cells(in: folder) == first + [cell("b", 2)])
        }
    }

    @Test func `a journal that is being written is refused to a second run`() throws {
        try withTemporaryFolder { folder in
            let journal = try Journal(folder: folder)
            try journal.append(cell("a", 1))
            let error = #expect(throws: OperatingError.self) { try Journal(folder: folder) }
            #expect(error?.message.hasSuffix("is being written by another run") == true)
            #expect(journal.cells.count == 1)
        }
    }

    @Test func `a child that was forked meanwhile doesn't keep the journal locked`() throws {
        try withTemporaryFolder { folder in
            let path = folder + Journal.fileName
            var inherited: Int32 = -1
            do {
                let journal = try Journal(folder: folder)
                try journal.append(cell("a", 1))
                // A copy of the descriptor is what a forked child has of it.
                let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
                let own = descriptors.first {
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0)) == path
                }
                inherited = dup(try #require(own.flatMap { Int32($0) }))
            }
            defer { close(inherited) }
            #expect(inherited >= 0)
            #expect(try cells(in: folder) == [cell("a", 1)])
        }
    }

    @Test func `a line that a kill cut anywhere is dropped, and the next cell is whole`() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/" + Journal.fileName
            try append([cell("a", 1)], in: folder)
            let first = try Data(contentsOf: URL(fileURLWithPath: path))
            try append([cell("b", 1)], in: folder)
            let both = try Data(contentsOf: URL(fileURLWithPath: path))
            for length in stride(from: first.count, to: both.count, by: 97) {
                try both.prefix(length).write(to: URL(fileURLWithPath: path))
                #expect(try cells(in: folder) == [cell("a", 1)])
                try append([cell("c", 1)], in: folder)
                #expect(try cells(in: folder) == [cell("a", 1), cell("c", 1)])
            }
        }
    }

    @Test func `a whole line that is no cell is refused with its number`() throws {
        try withTemporaryFolder { folder in
            try Journal(folder: folder).append(cell("a", 1))
            let path = folder + "/" + Journal.fileName
            let file = try #require(FileHandle(forWritingAtPath: path))
            try file.seekToEnd()
            try file.write(contentsOf: Data("{}\n".utf8))
            let error = #expect(throws: InputError.self) { try Journal(folder: folder) }
            #expect(error?.faults.first?.line == 2)
            #expect(error?.faults.first?.source == path)
        }
    }
}
