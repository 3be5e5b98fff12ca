// Files of SQL that psql runs, and how long it took for them.

import Allocations
import Diagnostics

/// A file for psql. What comes between `begin` and `end` is measured by the server's clock, so that psql's start isn't.
struct PsqlScript {
    private(set) var text = ""

    mutating func append(_ statement: String) { text += statement + ";\n" }
    /// As it stands.
    mutating func appendLines(_ lines: String) { text += lines }

    mutating func execute(_ name: String, _ parameters: String...) {
        append("EXECUTE \(name)(\(parameters.joined(separator: ", ")))")
    }

    mutating func prepare(_ names: [String]) {
        for name in names { append("PREPARE \(name) AS \(WorkerStatements.text(name))") }
    }

    /// - Parameter keepsOutput: whether answers are told; else they are received, formatted, and dropped.
    mutating func begin(keepsOutput: Bool = false) {
        mark("begun")
        if !keepsOutput { text += "\\o /dev/null\n" }
    }

    mutating func end() {
        text += "\\o\n"
        mark("ended")
    }

    private mutating func mark(_ word: String) {
        append("SELECT '\(word) ' || (extract(epoch FROM clock_timestamp()) * 1000000)::INT8")
    }

    static func array(_ values: some Sequence<Int64>) -> String {
        var text = "'{"
        for value in values {
            if text.utf8.count > 2 { text += "," }
            text += String(value)
        }
        return text + "}'"
    }

    /// Runs a file by psql each, side by side.
    /// - Returns: seconds from the first's beginning to the last's end, and everything that was printed but the marks.
    static func run(_ scripts: [String], on bench: PeerBench) throws -> (seconds: Double, output: [Substring]) {
        let outputs = try PeerBench.children(
            scripts.map {
                ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-f", bench.path($0), "-d", bench.connectionText]
            })
        return try read(outputs)
    }

    static func read(_ outputs: [String]) throws -> (seconds: Double, output: [Substring]) {
        var (first, last) = (Int64.max, Int64.min)
        var ends = 0
        var rest: [Substring] = []
        for line in outputs.flatMap({ $0.split(separator: "\n") }) {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "begun", let time = Int64(words[1]) {
                first = min(first, time)
            } else if words.count == 2, words[0] == "ended", let time = Int64(words[1]) {
                last = max(last, time)
                ends += 1
            } else {
                rest.append(line)
            }
        }
        guard ends == outputs.count, first < last else { throw OperatingError("psql didn't come to its end") }
        return (Double(last - first) / 1e6, rest)
    }
}
