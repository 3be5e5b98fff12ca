// The results of several runs as one table.

import Diagnostics
import Foundation
import Testing

@testable import Report

@Suite struct JoinedResultsTests {
    private func write(_ text: String, _ folder: String, _ run: String) throws {
        try FileManager.default.createDirectory(atPath: folder + "/" + run, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(run)/runs.csv"))
    }

    @Test func `runs stand in the order of their names, and a column that one of them lacks is empty`() throws {
        try withTemporaryFolder { folder in
            try write("a,b\r\n1,\"x,y\"\r\n2,\r\n", folder, "second")
            try write("b,c\r\n7,8\r\n", folder, "first")
            try FileManager.default.createDirectory(atPath: folder + "/other", withIntermediateDirectories: true)
            let joined = try JoinedResults(folder: folder, file: "runs.csv")
            #expect(joined.columns == ["run", "b", "c", "a"])
            #expect(joined.rows == [["first", "7", "8", ""], ["second", "x,y", "", "1"], ["second", "", "", "2"]])
            #expect(joined.runCount == 2)
            let text = CSVWriter.text(columns: joined.columns, rows: joined.rows)
            #expect(text == "run,b,c,a\r\nfirst,7,8,\r\nsecond,\"x,y\",,1\r\nsecond,,,2\r\n")
        }
    }

    @Test func `every file that isn't whole is named, and no table is made`() throws {
        try withTemporaryFolder { folder in
            try write("a,b\r\n1\r\n", folder, "short")
            try write("", folder, "empty")
            try write("a\r\n1\r\n", folder, "whole")
            let error = #expect(throws: InputError.self) { try JoinedResults(folder: folder, file: "runs.csv") }
            #expect(error?.faults.map(\.source) == ["\(folder)/empty/runs.csv", "\(folder)/short/runs.csv"])
            #expect(error?.faults.last?.line == 2)
        }
    }

    @Test func `a folder without runs is refused`() throws {
        try withTemporaryFolder { folder in
            let error = #expect(throws: InputError.self) { try JoinedResults(folder: folder, file: "latency.csv") }
            #expect(error?.faults.map(\.expected) == ["a folder of runs, or a run, with latency.csv in it"])
        }
    }

    @Test func `a folder above folders of runs is refused with the names of those that would do`() throws {
        try withTemporaryFolder { folder in
            func expected() -> [String]? {
                let error = #expect(throws: InputError.self) { try JoinedResults(folder: folder, file: "runs.csv") }
                return error?.faults.map(\.expected)
            }
            let words = "a folder of runs, or a run, with runs.csv in it, such as"
            try FileManager.default.createDirectory(atPath: folder + "/empty/run", withIntermediateDirectories: true)
            for curve in ["b", "c", "a"] { try write("a\r\n1\r\n", folder, "\(curve)/run") }
            #expect(expected() == ["\(words) \(folder)a, \(folder)b, \(folder)c"])
            for curve in ["d", "e"] { try write("a\r\n1\r\n", folder, "\(curve)/run") }
            #expect(expected() == ["\(words) \(folder)a, \(folder)b, \(folder)c and 2 more"])
        }
    }
}
