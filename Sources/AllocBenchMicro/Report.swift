// Runs the benchmarks and prints what was measured, one line each. A new benchmark is a function that returns figures, and a
// line here.

import Diagnostics
import Report

/// What a run of the benchmarks is asked for.
struct BenchmarkPlan {
    var size = BenchmarkSize.full
    /// Parts of names; empty takes all.
    var only: [String] = []
    /// Whether what needs a server of Kafka's protocol, and threads, is measured too.
    var includesWorkers = true

    /// Whether one of these is asked for.
    func takes(_ names: [String]) -> Bool {
        only.isEmpty || names.contains { name in only.contains { name.contains($0) } }
    }

    /// The parts of names in `text`, with commas between them. What stands in a name with its commas and blanks is one part, so
    /// that every name can be given as it is.
    /// - Throws: where one stands in no name.
    static func words(of text: String, among names: [String]) throws(InputError) -> [String] {
        func trimmed(_ text: String) -> String { String(text.drop { $0 == " " }) }
        var rest = text.split(separator: ",").map(String.init).filter { !trimmed($0).isEmpty }[...]
        var words: [String] = []
        var faults = rest.isEmpty ? [unknown(text, names)] : []
        let piecesMost = 1 + (names.map { name in name.count { $0 == "," } }.max() ?? 0)
        while let first = rest.first {
            let known = (1...min(piecesMost, rest.count)).reversed().first { count in
                let part = trimmed(rest.prefix(count).joined(separator: ","))
                return names.contains { $0.contains(part) }
            }
            if let known {
                words.append(trimmed(rest.prefix(known).joined(separator: ",")))
            } else {
                faults.append(unknown(trimmed(first), names))
            }
            rest = rest.dropFirst(known ?? 1)
        }
        if !faults.isEmpty { throw InputError(faults) }
        return words
    }

    /// Of all names only how they begin, which is a line and not a screen.
    private static func unknown(_ word: String, _ names: [String]) -> InputFault {
        var beginnings: [String] = []
        for name in names {
            let beginning = String(name.prefix { $0 != "," })
            if !beginnings.contains(beginning) { beginnings.append(beginning) }
        }
        let near =
            beginnings.first { $0.lowercased().hasPrefix(word.lowercased()) && !word.isEmpty }
            ?? nearestWord(to: word, among: beginnings)
        return InputFault(
            source: "--only", value: word,
            expected: "part of a benchmark's name; they begin with \(beginnings.joined(separator: ", "))"
                + (near.map { "; did you mean \($0)?" } ?? ""))
    }
}

/// What needs no service.
let pureBenchmarks: [@Sendable (BenchmarkSize) throws -> [Figure]] = [
    decoding, encoding, copyingToMemory, lotByLot, jumps, snapshots, recorder, arrivals,
]

/// What needs a PostgreSQL, and the names of its figures.
let serverBenchmarks: [(names: [String], run: @Sendable (BenchmarkSize, BenchmarkServer) throws -> [Figure])] = [
    (pipeliningNames, { try pipelining($0, on: $1) }), ([copyingToServerName], { try copyingToServer($0, on: $1) }),
]

/// The names of a benchmark's figures, which it tells without a run.
func names(of benchmark: (BenchmarkSize) throws -> [Figure], _ size: BenchmarkSize) rethrows -> [String] {
    var size = size
    size.runs = 0
    return try benchmark(size).map(\.name)
}

/// Everything that can be measured in a size.
func benchmarkNames(_ size: BenchmarkSize) throws -> [String] {
    try pureBenchmarks.flatMap { try names(of: $0, size) } + serverBenchmarks.flatMap(\.names) + workingNames
        + [cursorMemory]
}

/// Runs what the plan takes.
/// - Parameters:
///   - server: asked once something needs it; nil leaves that out. The caller stops it.
///   - ran: hears of everything that was measured, in the order in which it was.
///   - tell: hears of each figure that the plan takes, as soon as it is there.
func runBenchmarks(
    _ plan: BenchmarkPlan, server start: () throws -> BenchmarkServer?, ran: (Figure) -> Void = { _ in },
    tell: (Figure) -> Void = { _ in }
) throws -> [Figure] {
    var figures: [Figure] = []
    func take(_ found: [Figure]) {
        for figure in found {
            ran(figure)
            guard plan.takes([figure.name]) else { continue }
            figures.append(figure)
            tell(figure)
        }
    }
    // All figures of a benchmark are measured where one of them is asked for.
    for benchmark in pureBenchmarks {
        guard try plan.only.isEmpty || plan.takes(names(of: benchmark, plan.size)) else { continue }
        take(try benchmark(plan.size))
    }
    let wanted = serverBenchmarks.filter { plan.takes($0.names) }
    let wantsWorkers = plan.includesWorkers && plan.takes(workingNames)
    guard !wanted.isEmpty || wantsWorkers, let server = try start() else { return figures }
    for benchmark in wanted { take(try benchmark.run(plan.size, server)) }
    if wantsWorkers { take(try working(plan.size, on: server)) }
    return figures
}

// MARK: Text

let tableHead =
    padded("", to: 52) + padded("ns median", to: 12, isNumber: true) + padded("best", to: 12, isNumber: true)
    + padded("allocations", to: 13, isNumber: true) + padded("libraries'", to: 12, isNumber: true)
    + padded("instructions", to: 14, isNumber: true) + "  per"

/// A figure's line under `tableHead`.
func line(of figure: Figure) -> String {
    func number(_ value: Double?, _ width: Int, _ text: (Double) -> String) -> String {
        padded(value.map(text) ?? "", to: width, isNumber: true)
    }
    let unit = figure.clock == .wall ? "\(figure.operation), wall clock" : figure.operation
    return padded(figure.name, to: 52) + number(figure.nanoseconds, 12, oneDecimal)
        + number(figure.nanosecondsBest, 12, oneDecimal) + number(figure.allocations, 13, decimals)
        + number(figure.libraryAllocations, 12, decimals) + number(figure.instructions, 14, oneDecimal)
        + "  \(unit)" + (figure.note.isEmpty ? "" : "; \(figure.note)")
}

func oneDecimal(_ value: Double) -> String { decimal(value, decimals: 1) }

/// A small number per operation: three decimals, and none where it is none. Of a run that is too short to tell, the difference of
/// two may be below nothing.
func decimals(_ value: Double) -> String {
    if abs(value) < 0.0005 { return value > 0 ? "<0.001" : "0" }
    return decimal(value, decimals: 3)
}

private func padded(_ text: String, to width: Int, isNumber: Bool = false) -> String {
    let blanks = String(repeating: " ", count: max(0, width - text.count))
    return isNumber ? blanks + text : text + blanks
}
