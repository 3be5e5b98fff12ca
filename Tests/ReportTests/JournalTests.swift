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

    @Test func `what was appended is there when the journal is opened again`() throws {
        try withTemporaryFolder { folder in
            let cells = [cell("a", 1), cell("b", 1), cell("a", 2)]
            let journal = try Journal(folder: folder)
            for cell in cells { try journal.append(cell) }
            #expect(journal.cells == cells)
            let reopened = try Journal(folder: folder)
            #expect(reopened.cells == cells)
            try reopened.append(cell("b", 2))
            #expect(try Journal(folder: folder).cells.map(\.key.configuration) == ["a", "b", "a", "b"])
        }
    }

    @Test func `a line that a kill cut anywhere is dropped, and the next cell is whole`() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/" + Journal.fileName
            try Journal(folder: folder).append(cell("a", 1))
            let first = try Data(contentsOf: URL(fileURLWithPath: path))
            try Journal(folder: folder).append(cell("b", 1))
            let both = try Data(contentsOf: URL(fileURLWithPath: path))
            for length in stride(from: first.count, to: both.count, by: 97) {
                try both.prefix(length).write(to: URL(fileURLWithPath: path))
                let journal = try Journal(folder: folder)
                #expect(journal.cells == [cell("a", 1)])
                try journal.append(cell("c", 1))
                #expect(try Journal(folder: folder).cells == [cell("a", 1), cell("c", 1)])
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
