// CSV files as a reader meets them: quoting, refusals, and what a failure leaves on disk.

import Diagnostics
import Foundation
import Model
import Testing

@testable import Report

/// A folder that is gone after the body.
func withTemporaryFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "report-\(UUID().uuidString)/"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
}

@Suite struct CSVWriterTests {
    @Test(arguments: [
        ("plain", "plain"), ("", ""), ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""), ("\"", "\"\"\"\""),
        ("two\nlines", "\"two\nlines\""), ("two\r\nlines", "\"two\r\nlines\""), ("cr\r", "\"cr\r\""),
        (" led", "\" led\""), ("trailed ", "\"trailed \""), ("in between", "in between"), ("é;\t|", "é;\t|"),
    ])
    func `a field is quoted only where it must be`(field: String, quoted: String) {
        #expect(CSVWriter.quoted(field) == quoted)
    }

    @Test func `a finished file holds the header and the rows and nothing lies beside it`() throws {
        try withTemporaryFolder { folder in
            let writer = try CSVWriter(path: folder + "verify.csv", columns: ResultTable.verify.columnNames)
            let first = RunKey(configuration: "row", repetition: 1)
            let second = RunKey(configuration: "batch", repetition: 2)
            try writer.append(ResultTable.verify.row(first, ["fills", "0", ""]))
            try writer.append(ResultTable.verify.row(second, ["offsets", "3", "partition 0: \"17\", not 18"]))
            try writer.finish()
            let text = try String(contentsOfFile: folder + "verify.csv", encoding: .utf8)
            #expect(
                text == "format_version,configuration,repetition,check,differences,first_difference\r\n"
                    + "1,row,1,fills,0,\r\n1,batch,2,offsets,3,\"partition 0: \"\"17\"\", not 18\"\r\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["verify.csv"])
        }
    }

    @Test(arguments: [[], ["1"], ["1", "2", "3"]])
    func `a row with another number of fields is refused and not written`(fields: [String]) throws {
        try withTemporaryFolder { folder in
            let writer = try CSVWriter(path: folder + "x.csv", columns: ["a", "b"])
            let error = #expect(throws: OperatingError.self) { try writer.append(fields) }
            #expect(
                error?.description == "\(folder)x.csv: a row of \(fields.count) fields where there are 2 columns")
            try writer.finish()
            #expect(try String(contentsOfFile: folder + "x.csv", encoding: .utf8) == "a,b\r\n")
        }
    }

    @Test func `an unfinished file keeps its rows under another name and leaves the old file alone`() throws {
        try withTemporaryFolder { folder in
            try "old".write(toFile: folder + "x.csv", atomically: true, encoding: .utf8)
            do {
                let writer = try CSVWriter(path: folder + "x.csv", columns: ["a"])
                try writer.append(["1"])
            }
            #expect(try String(contentsOfFile: folder + "x.csv", encoding: .utf8) == "old")
            #expect(try String(contentsOfFile: folder + "x.csv.partial", encoding: .utf8) == "a\r\n1\r\n")
            let writer = try CSVWriter(path: folder + "x.csv", columns: ["b"])
            try writer.finish()
            #expect(try String(contentsOfFile: folder + "x.csv", encoding: .utf8) == "b\r\n")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["x.csv"])
        }
    }

    @Test func `a file that can't be made or written is told with its path`() throws {
        let error = #expect(throws: OperatingError.self) { try CSVWriter(path: "/none/x.csv", columns: ["a"]) }
        #expect(error?.description == "can't create /none/x.csv.partial: No such file or directory")
        try withTemporaryFolder { folder in
            // Every write to /dev/full fails with ENOSPC.
            try FileManager.default.createSymbolicLink(
                atPath: folder + "x.csv.partial", withDestinationPath: "/dev/full")
            let file = try AtomicFile(path: folder + "x.csv")
            try file.append("text")
            let full = #expect(throws: OperatingError.self) { try file.flush() }
            #expect(full?.description == "can't write \(folder)x.csv.partial: No space left on device")
            #expect(throws: OperatingError.self) { try file.finish() }
            #expect(!FileManager.default.fileExists(atPath: folder + "x.csv"))
        }
    }
}
