// What the benchmarks said before, kept in the repository for each kind of machine, and what is worse now.

import CSV
import Diagnostics
import Glibc
import Measurement
import Report

/// One benchmark as the baseline has it. A nil wasn't counted.
struct BaselineRow: Sendable, Equatable {
    let name: String
    let operation: String
    let clock: BenchmarkClock
    let nanoseconds: Double
    let nanosecondsBest: Double
    let allocations: Double?
    let libraryAllocations: Double?
    let instructions: Double?
    /// What counted the instructions: the kernel's counter and callgrind don't agree on what the processor is.
    let instructionsBy: String
}

enum Baseline {
    private static let columns = [
        "benchmark", "operation", "clock", "ns_median", "ns_best", "allocations", "library_allocations", "instructions",
        "instructions_by",
    ]

    /// Where the baseline of a kind of machine is: `bench/baseline-amd-epyc-2.csv`.
    static func path(in folder: String, for machine: MachineDescription = .current()) -> String {
        let model = machine.cpuModel.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : " " }
        let words = String(model).split(separator: " ").joined(separator: "-")
        return "\(folder)/baseline-\(words)-\(machine.coreCount).csv"
    }

    static func write(_ figures: [Figure], instructionsBy: String, to path: String) throws {
        if let slash = path.lastIndex(of: "/") { mkdir(String(path[..<slash]), 0o755) }
        let writer = try CSVWriter(path: path, columns: columns)
        for figure in figures {
            try writer.append([
                figure.name, figure.operation, figure.clock.rawValue, rounded(figure.nanoseconds),
                rounded(figure.nanosecondsBest), figure.allocations.map(rounded) ?? "",
                figure.libraryAllocations.map(rounded) ?? "", figure.instructions.map(rounded) ?? "",
                figure.instructions == nil ? "" : instructionsBy,
            ])
        }
        try writer.finish()
    }

    /// nil if there is none for this kind of machine.
    static func read(_ path: String) throws -> [BaselineRow]? {
        guard access(path, F_OK) == 0 else { return nil }
        let reader = try CSVReader(path: path)
        let index = try reader.readHeader(columns)
        var rows: [BaselineRow] = []
        while try reader.next() {
            func number(_ column: Int) throws(InputFault) -> Double? {
                let text = reader.text(index[column])
                if text.isEmpty { return nil }
                guard let value = Double(text) else { throw reader.fault(index[column], expected: "a number") }
                return value
            }
            guard let clock = BenchmarkClock(rawValue: reader.text(index[2])) else {
                throw reader.fault(index[2], expected: "cpu or wall")
            }
            guard let median = try number(3), let best = try number(4) else {
                throw reader.fault(index[3], expected: "nanoseconds")
            }
            rows.append(
                BaselineRow(
                    name: reader.text(index[0]), operation: reader.text(index[1]), clock: clock, nanoseconds: median,
                    nanosecondsBest: best, allocations: try number(5), libraryAllocations: try number(6),
                    instructions: try number(7), instructionsBy: reader.text(index[8])))
        }
        return rows
    }

    /// Sentences on what is worse than the baseline; empty when nothing is.
    ///
    /// Time is another one on the same machine an hour later, so only the best run counts, and only well beyond the noise.
    /// Allocations and instructions are exact where no server has a say in them.
    static func regressions(of figures: [Figure], against baseline: [BaselineRow], instructionsBy: String) -> [String] {
        let rows = Dictionary(baseline.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return figures.flatMap { figure -> [String] in
            guard let row = rows[figure.name], row.operation == figure.operation else { return [] }
            // A server's answers come sooner or later, and a worker fills its transactions with what is there.
            let isExact = figure.clock == .processor && figure.runs > 1
            let slack = isExact ? 0.01 : 0.15
            var found: [String] = []
            func compare(_ what: String, _ now: Double?, _ before: Double?, share: Double, beyond least: Double) {
                guard let now, let before, now > before * (1 + share) + least else { return }
                found.append(
                    "\(figure.name): \(decimals(now)) \(what) per \(figure.operation), the baseline has \(decimals(before))"
                )
            }
            compare("ns", figure.nanosecondsBest, row.nanosecondsBest, share: isExact ? 0.3 : 0.6, beyond: 2)
            compare("allocations", figure.allocations, row.allocations, share: slack, beyond: 0.002)
            compare(
                "allocations in libraries", figure.libraryAllocations, row.libraryAllocations, share: slack,
                beyond: 0.002)
            if row.instructionsBy == instructionsBy {
                compare("instructions", figure.instructions, row.instructions, share: slack, beyond: 0.5)
            }
            return found
        }
    }

    /// What only one of the two has.
    static func differences(of figures: [Figure], against baseline: [BaselineRow]) -> [String] {
        let (now, before) = (Set(figures.map(\.name)), Set(baseline.map(\.name)))
        return figures.map(\.name).filter { !before.contains($0) }.map { "\($0): not in the baseline yet" }
            + baseline.map(\.name).filter { !now.contains($0) }.map { "\($0): in the baseline, not measured now" }
    }

    private static func rounded(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }
}
