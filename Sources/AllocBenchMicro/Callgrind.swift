// Counts instructions where the kernel has no counter for them: runs the same benchmarks once more, in small, under valgrind's
// callgrind, which counts every instruction that it simulates. Its processor is not this one: it has no AVX-512, so that a
// library that chooses its code by the processor may choose another.

import Diagnostics
import Glibc
import Services

enum Callgrind {
    /// What the child writes for each figure, for this program to read.
    static func record(of figure: Figure) -> String { "\(figure.name)\t\(figure.runs)\t\(figure.operations)" }

    /// Whether valgrind is installed.
    static var isInstalled: Bool { (try? ChildProcess.run(["valgrind", "--version"]))?.status == 0 }

    /// Instructions per operation, by figure.
    /// - Parameters:
    ///   - folder: takes callgrind's files and is emptied of them.
    ///   - arguments: for the child, beside what says that it is one.
    static func instructions(folder: String, arguments: [String]) throws -> [String: Double] {
        // Valgrind gives up on what the Swift compiler writes for debuggers; the names of functions are elsewhere and stay.
        let program = "\(folder)/benchmarks"
        let stripped = try ChildProcess.run(["strip", "--strip-debug", "-o", program, try ownPath()])
        guard stripped.status == 0 else { throw OperatingError("strip: \(stripped.output.suffix(400))") }
        defer { unlink(program) }
        // One file for each end of a measurement, numbered from 1.
        let file = "\(folder)/callgrind"
        let (status, output) = try ChildProcess.run(
            [
                "valgrind", "--tool=callgrind", "--quiet", "--callgrind-out-file=\(file)",
                "--zero-before=counters_measurement_begins", "--dump-before=counters_measurement_ends", "--",
                program, "--callgrind-child",
            ] + arguments)
        let records = output.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
            .filter { $0.count == 3 }
        guard status == 0, !records.isEmpty else {
            throw OperatingError("callgrind ended with status \(status): \(output.suffix(400))")
        }
        var found: [String: Double] = [:]
        var number = 0
        for record in records {
            guard let runs = Int(record[1]), let operations = Int64(record[2]) else { continue }
            for run in 1...runs {
                number += 1
                let path = "\(file).\(number)"
                if run == runs, let total = total(in: path) {
                    found[record[0]] = Double(total) / Double(max(1, operations))
                }
                unlink(path)
            }
        }
        unlink(file)
        return found
    }

    /// Of a file of callgrind's: the line `totals: 12345`.
    static func total(in path: String) -> Int64? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while getline(&line, &capacity, file) > 0 {
            guard let text = line.map({ String(cString: $0) }) else { break }
            for word in ["totals: ", "summary: "] where text.hasPrefix(word) {
                return Int64(text.dropFirst(word.count).prefix { $0.isNumber })
            }
        }
        return nil
    }

    private static func ownPath() throws -> String {
        guard let path = realpath("/proc/self/exe", nil) else { throw OperatingError("/proc/self/exe can't be read") }
        defer { free(path) }
        return String(cString: path)
    }
}
