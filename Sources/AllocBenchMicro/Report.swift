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

    func takes(_ names: [String]) -> Bool {
        only.isEmpty || names.contains { name in only.contains { name.contains($0) } }
    }
}

/// What needs no service, by what the names begin with.
let pureBenchmarks: [(prefixes: [String], run: @Sendable (BenchmarkSize) throws -> [Figure])] = [
    (["decode"], decoding), (["encode"], encoding), (["COPY, a row of prices to memory"], copyingToMemory),
    (["cursor"], lotByLot), (["allocate"], jumps), (["snapshots"], snapshots), (["recorder"], recorder),
    (["intended arrival"], arrivals),
]

/// What needs a PostgreSQL.
let serverBenchmarks: [(prefixes: [String], run: @Sendable (BenchmarkSize, BenchmarkServer) throws -> [Figure])] = [
    (["pipeline round trip"], { try pipelining($0, on: $1) }),
    (["COPY, a row of prices to the server"], { try copyingToServer($0, on: $1) }),
]

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
    // A group is run where one of its names may be asked for.
    func isWanted(_ prefixes: [String]) -> Bool {
        plan.only.isEmpty
            || prefixes.contains { prefix in plan.only.contains { prefix.contains($0) || $0.hasPrefix(prefix) } }
    }
    for benchmark in pureBenchmarks where isWanted(benchmark.prefixes) { take(try benchmark.run(plan.size)) }
    let wanted = serverBenchmarks.filter { isWanted($0.prefixes) }
    let wantsWorkers = plan.includesWorkers && isWanted(["worker"])
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
