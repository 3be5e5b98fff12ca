// Goal: every spelling that RFC 4180 allows is read, everything else is a fault with its line, and reading goes on.

import CSV
import Diagnostics
import Measurement
import Testing

@Suite struct CSVReaderTests {
    /// Reads a whole file: the records, and the faults in their place.
    private func read(_ bytes: [UInt8], columns: [String] = ["a", "b"]) throws -> (rows: [[String]], faults: [String]) {
        let folder = try TemporaryFolder()
        let reader = try CSVReader(path: try folder.write("x.csv", bytes: bytes))
        let indices = try reader.readHeader(columns)
        var rows: [[String]] = []
        var faults: [String] = []
        while true {
            do {
                guard try reader.next() else { return (rows, faults) }
                rows.append(indices.map { reader.text($0) })
            } catch { faults += folder.lines(of: error) }
        }
    }

    private func read(_ text: String) throws -> (rows: [[String]], faults: [String]) { try read(Array(text.utf8)) }

    private func quoted(_ field: String) -> String {
        "\"" + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    private func headerFaults(_ text: String, _ columns: [String]) throws -> [String] {
        let folder = try TemporaryFolder()
        let path = try folder.write("x.csv", text)
        return faultLines(in: folder) { _ = try CSVReader(path: path).readHeader(columns) }
    }

    @Test(arguments: ["\n", "\r\n"]) func `both line ends are read, with and without one after the last row`(
        _ end: String
    ) throws {
        for last in ["", end] {
            let (rows, faults) = try read("a,b\(end)1,2\(end)3,\(last)")
            #expect(rows == [["1", "2"], ["3", ""]])
            #expect(faults.isEmpty)
        }
    }

    @Test func `quoted fields hold commas, quotes and line ends`() throws {
        let (rows, faults) = try read("a,b\r\n\"x, \"\"y\"\"\",\"two\r\nlines\"\r\n\"\",z\r\n")
        #expect(rows == [["x, \"y\"", "two\r\nlines"], ["", "z"]])
        #expect(faults.isEmpty)
    }

    @Test func `a byte order mark is no part of the first name`() throws {
        let (rows, _) = try read([0xEF, 0xBB, 0xBF] + Array("a,b\n1,2\n".utf8))
        #expect(rows == [["1", "2"]])
    }

    @Test func `blank lines are skipped and columns are found by name in any order`() throws {
        let (rows, faults) = try read("b,other,a\n\n1,2,3\n\r\n4,5,6\n\n")
        #expect(rows == [["3", "1"], ["6", "4"]])
        #expect(faults.isEmpty)
    }

    @Test func `a malformed row is one fault and the rows after it are read`() throws {
        let text = "a,b\n1,2\n3\n4,5,6\nx\"y,1\n\"x\"y,1\n1,2\r3\n\"two\nlines\",ok\nlast\n"
        let (rows, faults) = try read(text)
        #expect(rows == [["1", "2"], ["two\nlines", "ok"]])
        #expect(
            faults == [
                "x.csv:3: expected 2 columns as in the header, found 1",
                "x.csv:4: expected 2 columns as in the header, found 3",
                "x.csv:5: expected quotes around a whole field, doubled inside it",
                "x.csv:6: expected a comma or the end of the line after a closing quote",
                "x.csv:7: expected lines that end in CRLF or LF, found a lone carriage return",
                "x.csv:10: expected 2 columns as in the header, found 1",
            ])
    }

    @Test func `a quote left open is a fault at the line it stands on`() throws {
        let (rows, faults) = try read("a,b\n1,2\n\"3,4\n5,6\n")
        #expect(rows == [["1", "2"]])
        #expect(faults == ["x.csv:3: expected a closing quote before the end of the file"])
        let endless = try read("a,b\n\"" + String(repeating: "x\n", count: CSVReader.recordBytesMax))
        #expect(endless.faults == ["x.csv:2: expected rows under 1 MiB; is a quote left open?"])
    }

    @Test func `bytes that are no UTF-8 are a fault with their line and column`() throws {
        var bytes = Array("a,b\nGr".utf8) + [0xFC] + Array("n,1\nok,2\nzero".utf8) + [0] + Array(",3\nGrün,4\n".utf8)
        var (rows, faults) = try read(bytes)
        #expect(rows == [["ok", "2"], ["Grün", "4"]])
        #expect(
            faults == [
                "x.csv:2: a: \"Gr\u{FFFD}n\": expected UTF-8 text", "x.csv:4: a: \"zero\": expected UTF-8 text",
            ])
        // Two halves of one character in neighbouring fields are not a character.
        bytes = Array("a,b\n".utf8) + [0xC3] + Array(",".utf8) + [0xBC, 0x0A]
        (rows, faults) = try read(bytes)
        #expect(rows.isEmpty)
        #expect(faults == ["x.csv:2: a: \"\u{FFFD}\": expected UTF-8 text"])
    }

    @Test func `UTF-16 is refused at its first line`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("x.csv", bytes: [0xFF, 0xFE] + "a,b\n".utf8.flatMap { [$0, 0] })
        let lines = faultLines(in: folder) { _ = try CSVReader(path: path).readHeader(["a"]) }
        #expect(lines == ["x.csv:1: \"\u{FFFD}\u{FFFD}a\": expected UTF-8 text"])
    }

    @Test func `a header that lacks columns names all of them and what comes close`() throws {
        #expect(
            try headerFaults("Dat,Volumes,Open,Open\n1,2,3,4\n", ["Date", "Open", "Volume", "High"]) == [
                "x.csv:1: Date: expected a column of this name in the header, found \"Dat\"",
                "x.csv:1: Open: expected this column only once",
                "x.csv:1: Volume: expected a column of this name in the header, found \"Volumes\"",
                "x.csv:1: High: expected a column of this name in the header",
            ])
        #expect(try headerFaults("", ["a"]) == ["x.csv:1: expected a header line, found an empty file"])
        #expect(try headerFaults("\n\n", ["a"]) == ["x.csv:1: expected a header line, found an empty file"])
    }

    @Test func `a file that isn't there and a folder are faults that say so`() throws {
        let folder = try TemporaryFolder()
        #expect(
            faultLines(in: folder) { _ = try CSVReader(path: folder.path + "/none.csv") } == [
                "none.csv: expected a readable file (No such file or directory)"
            ])
        let sub = folder.makeFolder("sub.csv")
        #expect(
            faultLines(in: folder) { _ = try CSVReader(path: sub) } == [
                "sub.csv: expected a readable file (Is a directory)"
            ])
    }

    @Test func `what is written with quotes comes back the same, whatever it holds and wherever a chunk ends`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        let alphabet = Array("ab ,\"\r\n\u{E4}\u{1F600}")
        var expected: [[String]] = []
        var text = "a,b\n"
        // More than one chunk of the reader.
        while text.utf8.count < 600_000 {
            let row = (0..<2).map { _ in
                String((0..<random.integer(in: 0...12)).map { _ in alphabet.randomElement(using: &random) ?? "a" })
            }
            expected.append(row)
            text += row.map(quoted).joined(separator: ",") + "\r\n"
        }
        // The reader can't tell a row of one empty field from a blank line, but these rows have two fields.
        let (rows, faults) = try read(text)
        #expect(rows == expected, "seed \(seed)")
        #expect(faults.isEmpty, "seed \(seed)")
    }

    @Test func `a collector keeps the first faults and counts the rest`() throws {
        var collector = FaultCollector(limit: 3)
        try collector.throwIfAny()
        var other = FaultCollector(limit: 2)
        for number in 1...4 { other.add(InputFault(source: "f", line: number, expected: "x")) }
        collector.add(InputFault(source: "e", expected: "y"))
        collector.add(other)
        collector.add(InputFault(source: "g", expected: "z"))
        let error = #expect(throws: InputError.self) { try collector.throwIfAny() }
        #expect(error?.description == "e: expected y\nf:1: expected x\nf:2: expected x\n... and 3 more faults")
    }
}
