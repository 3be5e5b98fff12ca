// What a run ends with on the terminal: one line a configuration, best first, and what limits the comparison.
// Which differences are shown is told by ComparisonTable below it.
// Pure: rows in, text out.

import Measurement

/// The comparison of all configurations of a scenario.
public struct TerminalTable: Sendable {
    /// What a configuration wins by. At a fixed arrival rate the throughput is the rate, so latency decides, and the table only
    /// says which rate was offered and whether the configuration kept up with it.
    public enum Ranking: Sendable {
        case throughput
        case timeToVisibleP99
        /// By the highest rate that held the SLO.
        case sustainedRate
    }

    private let groups: [ConfigurationRuns]
    private let rows: [RunFields]
    private let ranking: Ranking
    private let bounds: RateBounds

    /// - Parameter bounds: which rates of a search are only lower bounds.
    public init(_ rows: [RunFields], ranking: Ranking = .throughput, bounds: RateBounds = RateBounds()) {
        self.rows = rows
        self.bounds = bounds
        self.ranking = ranking
        var order: [String] = []
        var byName: [String: [RunFields]] = [:]
        for row in rows {
            if byName[row.configuration] == nil { order.append(row.configuration) }
            byName[row.configuration, default: []].append(row)
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
            "configuration", unit, ranking == .timeToVisibleP99 ? "kept up" : "min-max", "p50 ms", "p95 ms", "p99 ms",
            "max ms", "transactions", "retries", "verified",
        ]
        let table = [header] + groups.map { $0.cells(by: ranking, bounds) }
        return (TerminalTable.aligned(table) + [""] + notes).map { $0 + "\n" }.joined()
    }

    private var notes: [String] {
        var notes = [
            "Medians of \(repetitionText); milliseconds are time-to-visible, and of two middle ones the worse."
        ]
        for row in rows {
            guard !row.isValid else { continue }
            notes.append(
                "INVALID, so left out: \(row.configuration), repetition \(row["repetition"]): \(row["invalid_reason"])")
        }
        let failed = groups.filter { !$0.isVerified }.map(\.name)
        if !failed.isEmpty {
            notes.append("FAILED verification, so without a result: \(failed.joined(separator: ", ")); see verify.csv.")
        }
        if ranking == .timeToVisibleP99 {
            notes.append(
                "Kept up: not where less than \(readablePercent(FallenBehind.shareMin)) of the offered rate was committed and an "
                    + "execution was seen waiting for more than \(decimal(FallenBehind.lagLimitMs / 1000, decimals: 0)) s."
            )
        }
        if ranking == .sustainedRate {
            notes.append(
                "Each line's milliseconds, transactions and retries are of one probe at its own rate: not for comparing."
            )
            for group in groups where group.isVerified && !group.repetitionsWithoutRate.isEmpty {
                let listed = group.repetitionsWithoutRate.map(String.init).joined(separator: ", ")
                notes.append("NO RATE was found for \(group.name) in repetition \(listed), so it has no median.")
            }
        }
        if ranking == .sustainedRate, groups.contains(where: { $0.isLowerBound(bounds) }) {
            notes.append("≥: at least, not confirmed from above: in a repetition no higher rate failed.")
        }
        let late = rows.filter(\.isLateForItsLatency).map { row in
            "\(row.configuration), repetition \(row.repetition) (\(row["schedule_lag_p99_ms"]) of "
                + "\(row["time_to_visible_p99_ms"]) ms)"
        }
        if !late.isEmpty {
            notes.append(
                "The p99 of the harness's own schedule lag is above a tenth of the p99 of time-to-visible, so a part of "
                    + "that is the harness's: \(late.joined(separator: ", ")).")
        }
        if groups.contains(where: { $0.rows.count < 2 }) {
            notes.append("A single repetition shows no spread: repeat before trusting a difference.")
        }
        return notes + [harness]
    }

    private var repetitionText: String {
        let counts = Set(groups.map(\.rows.count)).sorted()
        let text = counts.map(String.init).joined(separator: " or ")
        return counts == [1] ? "1 repetition" : "\(text) repetitions"
    }

    private var unit: String {
        if ranking == .sustainedRate { return "sustained/s" }
        if ranking == .timeToVisibleP99 { return "offered/s" }
        return rows.first?["stage"] == "route" ? "requests/s" : "executions/s"
    }

    private var harness: String {
        let peak = rows.compactMap { $0.number("harness_peak_rss_mb") }.max() ?? 0
        let memory = "peak memory \(groupedWhole(peak)) MB"
        let shares = rows.compactMap { $0.number("harness_cpu_share") }.sorted()
        guard let least = shares.first, let most = shares.last else {
            let seconds = rows.compactMap { $0.number("harness_cpu_s") }.max() ?? 0
            return "Harness: at most \(decimal(seconds, decimals: 1)) s of processor time a run, \(memory)."
        }
        let range = percent(least) == percent(most) ? percent(least) : "\(percent(least)) to \(percent(most))"
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

/// All repetitions of one configuration. One failed verification fails them all; invalid runs are left out.
private struct ConfigurationRuns {
    let name: String
    let rows: [RunFields]
    let isVerified: Bool
    private let comparable: [RunFields]

    init?(name: String, rows: [RunFields]) {
        guard !rows.isEmpty else { return nil }
        self.name = name
        self.rows = rows
        isVerified = rows.allSatisfy(\.isVerified)
        comparable = isVerified ? rows.filter(\.isValid) : []
    }

    func cells(by ranking: TerminalTable.Ranking, _ bounds: RateBounds) -> [String] {
        let counts = ["transactions", "retries"].map { column in
            groupedWhole(upperMedian(rows.compactMap { $0.number(column) }))
        }
        guard isVerified else {
            return [name, "FAILED", "-", "-", "-", "-", "-"] + counts + ["FAILED"]
        }
        let latencies = ["p50", "p95", "p99", "max"].map { percentile in
            latencyMs("time_to_visible_\(percentile)_ms").map(readableMilliseconds) ?? "-"
        }
        let verified = comparable.isEmpty ? "INVALID" : "yes"
        if ranking == .timeToVisibleP99 {
            let offered = rows.compactMap { $0.number("offered_rate_per_s") }.max()
            return [name, offered.map(groupedWhole) ?? "-", keptUp] + latencies + counts + [verified]
        }
        if ranking == .sustainedRate, !repetitionsWithoutRate.isEmpty {
            return [name, "NO RATE", spread(rates(by: ranking)), "-", "-", "-", "-"] + counts + [verified]
        }
        let rates = rates(by: ranking)
        let mark = ranking == .sustainedRate && isLowerBound(bounds) ? "≥" : ""
        return [name, median(rates).map { mark + groupedWhole($0) } ?? "-", spread(rates)] + latencies + counts
            + [verified]
    }

    /// Of a search: the repetitions that ended without a rate, though nothing was wrong with them.
    var repetitionsWithoutRate: [Int] {
        comparable.filter { $0.number("sustained_rate_per_s") == nil }.map(\.repetition).sorted()
    }

    /// Of an open load.
    private var keptUp: String {
        guard !comparable.isEmpty else { return "-" }
        let behind = comparable.count { FallenBehind.isBehind($0) }
        return behind == 0
            ? "yes" : behind == comparable.count ? "no" : "\(comparable.count - behind) of \(comparable.count)"
    }

    /// Whether the limit may lie above the rate that a repetition found.
    func isLowerBound(_ bounds: RateBounds) -> Bool {
        comparable.contains { bounds.isLowerBound(RunKey(configuration: name, repetition: $0.repetition)) }
    }

    /// Ascending.
    private func rates(by ranking: TerminalTable.Ranking) -> [Double] {
        comparable.compactMap { row in
            ranking == .sustainedRate
                ? row.number("sustained_rate_per_s") : row.number("executions_per_s") ?? row.number("requests_per_s")
        }.sorted()
    }

    /// The middle one, or the mean of the two in the middle.
    private func median(_ rates: [Double]) -> Double? {
        rates.isEmpty ? nil : (rates[(rates.count - 1) / 2] + rates[rates.count / 2]) / 2
    }

    private func spread(_ rates: [Double]) -> String {
        guard rates.count > 1, let least = rates.first, let most = rates.last else { return "-" }
        return "\(groupedWhole(least))-\(groupedWhole(most))"
    }

    /// Percentiles are never averaged: of two in the middle the greater stands.
    private func latencyMs(_ column: String) -> Double? {
        let values = comparable.compactMap { $0.number(column) }
        return values.isEmpty || values.count < comparable.count ? nil : upperMedian(values)
    }

    /// Greater is better; -∞ for what can't be ranked.
    func rank(by ranking: TerminalTable.Ranking) -> Double {
        switch ranking {
        case .sustainedRate where !repetitionsWithoutRate.isEmpty: -.infinity
        case .throughput, .sustainedRate: median(rates(by: ranking)) ?? -.infinity
        case .timeToVisibleP99: latencyMs("time_to_visible_p99_ms").map { -$0 } ?? -.infinity
        }
    }
}

/// When an open load was too much. By the rate committed alone a short run would be behind that only has what it is meant to
/// wait for under way at its end, and one of several phases, whose highest rate is the offered one; by the lag alone one with a
/// long cycle.
private enum FallenBehind {
    static let shareMin = 0.95
    static let lagLimitMs = 1000.0

    static func isBehind(_ row: RunFields) -> Bool {
        guard let offered = row.number("offered_rate_per_s"), let rate = row.number("executions_per_s"),
            let lagMs = row.number("lag_max_ms")
        else { return false }
        return rate < shareMin * offered && lagMs > lagLimitMs
    }
}

extension RunFields {
    /// Of a run that counts.
    fileprivate var isLateForItsLatency: Bool {
        guard isVerified, isValid, let lag = number("schedule_lag_p99_ms"),
            let timeToVisible = number("time_to_visible_p99_ms")
        else { return false }
        return HarnessValidity.isLargePart(scheduleLagP99: lag, ofTimeToVisibleP99: timeToVisible)
    }
}

private func upperMedian(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.sorted()[values.count / 2]
}
