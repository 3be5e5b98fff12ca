// What a run ends with on the terminal: one line a configuration, the winner, and what limits the comparison.
// Pure: rows in, text out.

import Model

/// The comparison of all configurations of a scenario.
public struct TerminalTable: Sendable {
    /// What a configuration wins by. At a fixed arrival rate the throughput is the rate, so latency decides.
    public enum Ranking: Sendable {
        case throughput
        case timeToVisibleP99
    }

    private let groups: [ConfigurationRuns]
    private let rows: [RunRow]
    private let ranking: Ranking

    public init(_ rows: [RunRow], ranking: Ranking = .throughput) {
        self.rows = rows
        self.ranking = ranking
        var order: [String] = []
        var byName: [String: [RunRow]] = [:]
        for row in rows {
            if byName[row.configuration.name] == nil { order.append(row.configuration.name) }
            byName[row.configuration.name, default: []].append(row)
        }
        let groups = order.compactMap { name in byName[name].flatMap { ConfigurationRuns(name: name, rows: $0) } }
        self.groups = groups.enumerated().sorted { a, b in
            let (left, right) = (a.element.rank(by: ranking), b.element.rank(by: ranking))
            return left == right ? a.offset < b.offset : left > right
        }.map(\.element)
    }

    /// The table with its closing sentences, a line end after each line.
    public var text: String {
        guard !groups.isEmpty else { return "No run was finished.\n" }
        let header = [
            "configuration", "executions/s", "min-max", "p50 ms", "p95 ms", "p99 ms", "max ms", "transactions",
            "retries", "verified",
        ]
        let table = [header] + groups.map(\.cells)
        return (TerminalTable.aligned(table) + [""] + notes).map { $0 + "\n" }.joined()
    }

    private var notes: [String] {
        var notes = [
            "Medians of \(repetitionText); milliseconds are time-to-visible, and of two middle ones the worse."
        ]
        notes += verdict
        let failed = groups.filter { !$0.isVerified }.map(\.name)
        if !failed.isEmpty {
            notes.append("FAILED verification, so without a result: \(failed.joined(separator: ", ")); see verify.csv.")
        }
        if groups.contains(where: { $0.rows.count < 2 }) {
            notes.append("A single repetition shows no spread: repeat before trusting a difference.")
        }
        if clippedCount > 0 {
            notes.append(
                "\(grouped(clippedCount)) latencies lay outside the histogram's range; percentiles are bounds.")
        }
        return notes + [harness]
    }

    private var repetitionText: String {
        let counts = Set(groups.map(\.rows.count)).sorted()
        let text = counts.map(String.init).joined(separator: " or ")
        return counts == [1] ? "1 repetition" : "\(text) repetitions"
    }

    private var clippedCount: Int64 {
        rows.reduce(0) { $0 + ($1.timeToVisible?.clippedCount ?? 0) + ($1.transactionLatency?.clippedCount ?? 0) }
    }

    /// The winner with its ratio to the next and to the baseline, and whether the lead is more than the spread.
    private var verdict: [String] {
        let ranked = groups.filter { $0.rank(by: ranking) > -.infinity }
        guard let winner = ranked.first else { return ["No winner: no configuration has a verified result."] }
        guard ranked.count > 1 else { return ["No comparison: \(winner.name) alone has a verified result."] }
        let next = ranked[1]
        var comparisons = [comparison(of: winner, with: next, note: "next")]
        let baseline = ranked.first { $0.mode == .row }
        if let baseline, baseline.name != winner.name, baseline.name != next.name {
            comparisons.append(comparison(of: winner, with: baseline, note: "row"))
        }
        let lines = [
            "Winner: \(winner.name) with \(winner.figure(by: ranking)), \(comparisons.joined(separator: ", "))."
        ]
        guard winner.rows.count > 1, next.rows.count > 1, winner.overlaps(next, by: ranking) else { return lines }
        return lines + ["The ranges of \(winner.name) and \(next.name) overlap: no difference is shown between them."]
    }

    private func comparison(of winner: ConfigurationRuns, with other: ConfigurationRuns, note: String) -> String {
        let label = other.name == note ? other.name : "\(other.name) (\(note))"
        switch ranking {
        case .throughput:
            return "\(decimal(winner.rank(by: ranking) / other.rank(by: ranking), decimals: 2)) times \(label)"
        case .timeToVisibleP99:
            let ratio = other.rank(by: ranking) / winner.rank(by: ranking)
            return "\(label) takes \(decimal(ratio, decimals: 2)) times as long"
        }
    }

    private var harness: String {
        let peak = rows.map(\.harnessPeakResidentBytes).max() ?? 0
        let memory = "peak memory \(grouped(Int64((Double(peak) / 1e6).rounded()))) MB"
        let shares = rows.compactMap(\.harnessCPUShare).sorted()
        guard let least = shares.first, let most = shares.last else {
            let seconds = rows.map(\.harnessCPUSeconds).max() ?? 0
            return "Harness: at most \(decimal(seconds, decimals: 1)) s of processor time a run, \(memory)."
        }
        let range = least == most ? percent(least) : "\(percent(least)) to \(percent(most))"
        return "Harness: \(range) % of the processor time that it and the database took, \(memory)."
    }

    private func percent(_ share: Double) -> String { decimal(share * 100, decimals: 0) }

    /// Columns two blanks apart, the first and the last to the left, numbers to the right.
    static func aligned(_ table: [[String]]) -> [String] {
        let widths = table[0].indices.map { column in table.map { $0[column].count }.max() ?? 0 }
        return table.map { cells in
            let padded = cells.indices.map { column in
                let blanks = String(repeating: " ", count: widths[column] - cells[column].count)
                if column == cells.count - 1 { return cells[column] }
                return column == 0 ? cells[column] + blanks : blanks + cells[column]
            }
            return padded.joined(separator: "  ")
        }
    }
}

/// All repetitions of one configuration. One failed verification fails them all.
private struct ConfigurationRuns {
    let name: String
    let mode: Mode
    let rows: [RunRow]
    let isVerified: Bool
    /// Sorted; empty unless verified.
    let throughputs: [Double]

    init?(name: String, rows: [RunRow]) {
        guard let first = rows.first else { return nil }
        self.name = name
        self.rows = rows
        mode = first.configuration.mode
        isVerified = rows.allSatisfy(\.verified)
        throughputs = isVerified ? rows.compactMap(\.executionsPerSecond).sorted() : []
    }

    var cells: [String] {
        let counts = [grouped(upperMedian(rows.map(\.transactions))), grouped(upperMedian(rows.map(\.retries)))]
        guard isVerified else {
            return [name, "FAILED", "-", "-", "-", "-", "-"] + counts + ["FAILED"]
        }
        let latencies = [latency(\.p50), latency(\.p95), latency(\.p99), latency(\.max)].map {
            $0.map(readableMilliseconds) ?? "-"
        }
        return [name, throughput.map { grouped(Int64($0.rounded())) } ?? "-", spread] + latencies + counts + ["yes"]
    }

    /// The middle one, or the mean of the two in the middle.
    var throughput: Double? {
        guard !throughputs.isEmpty else { return nil }
        return (throughputs[(throughputs.count - 1) / 2] + throughputs[throughputs.count / 2]) / 2
    }

    private var spread: String {
        guard throughputs.count > 1, let least = throughputs.first, let most = throughputs.last else { return "-" }
        return "\(grouped(Int64(least.rounded())))-\(grouped(Int64(most.rounded())))"
    }

    /// Percentiles are never averaged: of two in the middle the greater stands.
    private func latency(_ value: KeyPath<LatencySummary, Int64>) -> Int64? {
        let values = rows.compactMap(\.timeToVisible).map { $0[keyPath: value] }
        return values.count == rows.count ? upperMedian(values) : nil
    }

    /// Greater is better; -∞ for what can't be ranked.
    func rank(by ranking: TerminalTable.Ranking) -> Double {
        guard isVerified else { return -.infinity }
        switch ranking {
        case .throughput: return throughput ?? -.infinity
        case .timeToVisibleP99: return latency(\.p99).map { -Double(max($0, 1)) } ?? -.infinity
        }
    }

    func figure(by ranking: TerminalTable.Ranking) -> String {
        switch ranking {
        case .throughput: "\(grouped(Int64((throughput ?? 0).rounded()))) executions/s"
        case .timeToVisibleP99: "a p99 time-to-visible of \(readableMilliseconds(latency(\.p99) ?? 0)) ms"
        }
    }

    func overlaps(_ other: ConfigurationRuns, by ranking: TerminalTable.Ranking) -> Bool {
        guard let range = range(by: ranking), let otherRange = other.range(by: ranking) else { return false }
        return range.overlaps(otherRange)
    }

    private func range(by ranking: TerminalTable.Ranking) -> ClosedRange<Double>? {
        let values: [Double]
        switch ranking {
        case .throughput: values = throughputs
        case .timeToVisibleP99: values = rows.compactMap(\.timeToVisible).map { Double($0.p99) }.sorted()
        }
        guard let least = values.min(), let most = values.max() else { return nil }
        return least...most
    }
}

private func upperMedian(_ values: [Int64]) -> Int64 {
    values.isEmpty ? 0 : values.sorted()[values.count / 2]
}
