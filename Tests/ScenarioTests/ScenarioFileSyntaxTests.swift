// What isn't YAML, isn't text or isn't a file: refused with a line, without a leak and without an end of memory.

import Diagnostics
import Foundation
import Measurement
import Model
import Testing

@testable import Scenario

private func refusal(_ bytes: [UInt8]) -> String {
    do throws(InputError) {
        let document = try YAMLDocument(bytes: bytes, path: "s.yaml")
        return document.duplicateKeys.first?.description ?? "accepted"
    } catch {
        return error.description
    }
}

private func refusal(_ text: String) -> String { refusal(Array(text.utf8)) }

private func loading(_ path: String, securitiesFile: String? = nil, pricesFolder: String? = nil) -> String {
    do throws(InputError) {
        let file = try ScenarioFile.load(path: path, securitiesFile: securitiesFile, pricesFolder: pricesFolder)
        return "accepted with \(file.workload.securitiesFile ?? "none") and \(file.workload.pricesFolder ?? "none")"
    } catch {
        return error.description
    }
}

/// A folder that is gone after the body.
private func withTemporaryFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "scenario-\(UUID().uuidString)/"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
}

/// Pages of data and stack that this process has, touched or not: proc(5), the sixth number of statm.
private func dataPageCount() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return try #require(text.split(whereSeparator: \.isWhitespace).dropFirst(5).first.flatMap { Int($0) })
}

@Suite struct ScenarioFileSyntaxTests {
    @Test(arguments: ["", "\n\n", "# only a comment\n"])
    func `an empty file is refused`(text: String) {
        #expect(refusal(text) == "s.yaml:1: expected a scenario, not an empty file")
    }

    @Test(arguments: [
        ("a: 1\nb: [1, 2\n", 3), ("a: 1\n\tb: 2\n", 2), ("a: \"open\n", 2), ("a: b: c\n", 1), ("a: 1\n- 2\n", 2),
        ("a: @x\n", 1), ("{ a: 1 ]\n", 1),
    ])
    func `a fault of syntax is told with its line`(text: String, line: Int) {
        let message = refusal(text)
        #expect(message.hasPrefix("s.yaml:\(line): expected valid YAML: "), "\(message)")
    }

    @Test func `a second document is refused`() {
        #expect(refusal("a: 1\n---\nb: 2\n") == "s.yaml:2: expected one YAML document, not a second one after ---")
        #expect(refusal("---\na: 1\n...\n") == "accepted")
    }

    @Test func `a key that stands twice is refused with both lines`() {
        #expect(refusal("a: 1\nb: 2\na: 3\n") == "s.yaml:3: a: expected each key once; line 1 has it too")
        #expect(refusal("a:\n  x: 1\nb:\n  x: 1\n") == "accepted")
    }

    @Test func `a key that is no word is refused`() {
        #expect(refusal("? [a, b]\n: 1\n") == "s.yaml:1: expected a word as a key, not a list or a mapping")
    }

    @Test func `bytes that are not UTF-8 are refused with their line`() {
        #expect(refusal(Array("a: 1\nb: ".utf8) + [0xE9, 0x0A]) == "s.yaml:2: expected text in UTF-8")
        #expect(refusal([0xFF, 0xFE, 0x61, 0x00]) == "s.yaml:1: expected text in UTF-8")
        #expect(refusal(Array("a: 1\n".utf8) + [0xC3]) == "s.yaml:2: expected text in UTF-8")
        #expect(refusal([0xEF, 0xBB, 0xBF] + Array("a: é\n".utf8)) == "accepted")
    }

    @Test func `a control character is refused with its line`() {
        #expect(refusal("a: 1\nb: \u{1}\n") == "s.yaml:2: expected valid YAML: control characters are not allowed")
    }

    @Test func `a tag is refused`() {
        #expect(refusal("a: !!int 3\n") == "s.yaml:1: \"tag:yaml.org,2002:int\": expected no tags")
    }

    @Test func `an alias without an anchor, or inside its own, is refused`() {
        #expect(refusal("a: *b\n") == "s.yaml:1: \"*b\": expected an anchor &b before its alias")
        #expect(refusal("a: &b [*b]\n") == "s.yaml:1: \"*b\": expected an anchor &b before its alias")
    }

    @Test func `aliases that unfold without end are refused`() {
        var text = "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
        for level in 1...9 {
            let aliases = repeatElement("*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let message = refusal(text)
        #expect(message == "s.yaml:5: expected at most 10000 values, those behind aliases included")
    }

    @Test func `nesting without end is refused`() {
        #expect(refusal(String(repeating: "[", count: 500)) == "s.yaml:1: expected at most 32 levels")
        #expect(refusal(String(repeating: "[", count: 31) + String(repeating: "]", count: 31)) == "accepted")
    }

    @Test func `random bytes and random cuts never crash`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let good = Array("a: [1, {b: \"x\"}]\nc: |\n  text\nd: &e f\ng: *e\n".utf8)
        for _ in 0..<2000 {
            var bytes = Array(good.prefix(Int.random(in: 0...good.count, using: &random)))
            for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let answer = refusal(bytes)
            #expect(answer == "accepted" || answer.hasPrefix("s.yaml:"), "seed \(seed)")
        }
    }

    @Test func `no way to end leaves a parser behind`() throws {
        // A parser that isn't deleted keeps about 70 KB: 4,000 of them would be 280 MB. Most of it is never touched, so
        // only the size of the data segment shows it.
        let texts = [
            "a: 1\n", "a: [1, 2\n", "a: 1\n---\nb: 2\n", "", "a: *b\n", "a: !!int 3\n", "a: \u{1}\n", "[a, b]: 1\n",
        ]
        for text in texts { _ = refusal(text) }
        let before = try dataPageCount()
        for _ in 0..<500 { for text in texts { _ = refusal(text) } }
        let after = try dataPageCount()
        #expect((after - before) * Int(getpagesize()) < 128 << 20)
    }

    @Test func `a missing file is refused with the one that was meant`() throws {
        try withTemporaryFolder { folder in
            try "x: 1\n".write(toFile: folder + "quickstart.yaml", atomically: true, encoding: .utf8)
            #expect(
                loading(folder + "quikstart.yaml")
                    == "\(folder)quikstart.yaml: expected a scenario file: No such file or directory; "
                    + "did you mean \(folder)quickstart.yaml?")
            #expect(
                loading(folder + "other.yaml")
                    == "\(folder)other.yaml: expected a scenario file: No such file or directory")
            #expect(
                loading(folder + "none/other.yaml")
                    == "\(folder)none/other.yaml: expected a scenario file: No such file or directory")
        }
    }

    @Test func `a folder, a pipe and a device are refused without waiting`() throws {
        try withTemporaryFolder { folder in
            #expect(loading(folder) == "\(folder): expected a regular file, not a folder, a pipe or a device")
            #expect(mkfifo(folder + "pipe", 0o600) == 0)
            #expect(
                loading(folder + "pipe") == "\(folder)pipe: expected a regular file, not a folder, a pipe or a device")
            #expect(loading("/dev/zero") == "/dev/zero: expected a regular file, not a folder, a pipe or a device")
        }
    }

    @Test func `a file beyond reason is refused`() throws {
        try withTemporaryFolder { folder in
            let path = folder + "big.yaml"
            try Data(repeating: 0x23, count: 1 << 20 + 1).write(to: URL(fileURLWithPath: path))
            #expect(loading(path) == "\(path): expected a scenario file of at most 1 MiB")
        }
    }

    @Test func `the command line's real data replaces the file's, and what is in force must exist`() throws {
        try withTemporaryFolder { folder in
            let path = folder + "real.yaml"
            let text = """
                workload:
                  executions: 100
                  blocks: 1
                  securities_file: securities.csv
                  prices_folder: prices
                configurations: [{ mode: row }]
                """
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            let lines = loading(path).split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.first?.hasPrefix("\(path):4: securities_file: \"\(folder.prefix(40))") == true)
            #expect(lines.first?.hasSuffix("expected a file that exists") == true)
            #expect(lines.last?.hasPrefix("\(path):5: prices_folder: \"\(folder.prefix(40))") == true)
            #expect(lines.last?.hasSuffix("expected a folder that exists") == true)
            #expect(
                loading(path, securitiesFile: path, pricesFolder: folder) == "accepted with \(path) and \(folder)")
            let message = loading(path, securitiesFile: "/none.csv", pricesFolder: path)
            #expect(message.contains("--securities: \"/none.csv\": expected a file that exists"))
            #expect(message.contains("--prices: "))
            #expect(message.hasSuffix("expected a folder that exists"))
        }
    }

    @Test func `the quickstart scenario is accepted and compares what it says`() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        let path = root.appendingPathComponent("scenarios/quickstart.yaml").standardizedFileURL.path
        let file = try ScenarioFile.load(path: path)
        #expect(file.name == "quickstart")
        #expect(file.repetitions == 2)
        #expect(file.workload.executions == 20_000)
        #expect(file.workload.blocks == 100)
        let names = [
            "row", "concurrent-1", "concurrent-4", "concurrent-8", "adaptive", "batch-8", "batch-128", "batch-1024",
            "cycle",
        ]
        #expect(file.configurations.map(\.name) == names)
    }
}
