// What a scenario of routing ends with on the terminal: one line a configuration, the winner, and how sure that is.
// Pure: rows in, text out.

import Model

/// The comparison of all ways of routing of a scenario.
public struct RoutingTable: Sendable {
    private struct Group {
        let name: String
        let rows: [RoutingRow]
        /// Ascending; empty unless every run was verified.
        let rates: [Double]

        var isVerified: Bool { rows.allSatisfy(\.verified) }
        /// The middle one, or the mean of the two in the middle.
        var rate: Double? {
            rates.isEmpty ? nil : (rates[(rates.count - 1) / 2] + rates[rates.count / 2]) / 2
        }

        func latency(_ row: KeyPath<RoutingRow, LatencySummary?>, _ value: KeyPath<LatencySummary, Int64>) -> String {
            // Percentiles are never averaged: of two in the middle the greater stands.
            let values = rows.compactMap { $0[keyPath: row]?[keyPath: value] }.sorted()
            return isVerified && values.count == rows.count ? readableMilliseconds(values[values.count / 2]) : "-"
        }

        func median(_ value: KeyPath<RoutingRow, Int64>) -> String {
            grouped(rows.map { $0[keyPath: value] }.sorted()[rows.count / 2])
        }
    }

    private let groups: [Group]

    public init(_ rows: [RoutingRow]) {
        var names: [String] = []
        for row in rows where !names.contains(row.configuration.name) { names.append(row.configuration.name) }
        let groups = names.map { name in
            let own = rows.filter { $0.configuration.name == name }
            let isVerified = own.allSatisfy(\.verified)
            return Group(name: name, rows: own, rates: isVerified ? own.compactMap(\.requestsPerSecond).sorted() : [])
        }
        self.groups = groups.enumerated().sorted { a, b in
            let (left, right) = (a.element.rate ?? -1, b.element.rate ?? -1)
            return left == right ? a.offset < b.offset : left > right
        }.map(\.element)
    }

    /// The table with its closing sentences, a line end after each line.
    public var text: String {
        guard !groups.isEmpty else { return "No run was finished.\n" }
        let header = [
            "configuration", "requests/s", "min-max", "routed p50 ms", "routed p99 ms", "txn p50 ms", "txn p99 ms",
            "transactions", "retries", "verified",
        ]
        let table = TerminalTable.aligned([header] + groups.map(cells))
        return (table + [""] + notes).map { $0 + "\n" }.joined()
    }

    private func cells(_ group: Group) -> [String] {
        let counts = [group.median(\.transactions), group.median(\.retries)]
        guard group.isVerified else { return [group.name, "FAILED", "-", "-", "-", "-", "-"] + counts + ["FAILED"] }
        let spread =
            group.rates.count > 1
            ? "\(rounded(group.rates[0]))-\(rounded(group.rates[group.rates.count - 1]))" : "-"
        return [
            group.name, group.rate.map(rounded) ?? "-", spread, group.latency(\.requestToRouted, \.p50),
            group.latency(\.requestToRouted, \.p99), group.latency(\.transactionLatency, \.p50),
            group.latency(\.transactionLatency, \.p99),
        ] + counts + ["yes"]
    }

    private func rounded(_ rate: Double) -> String { grouped(Int64(rate.rounded())) }

    private var notes: [String] {
        var notes = [
            "Medians. requests/s counts from the first group's opening to the last routing commit; \"routed\" is the time "
                + "from a request's commit to the commit of its orders."
        ]
        let failed = groups.filter { !$0.isVerified }.map(\.name)
        if !failed.isEmpty {
            notes.append("FAILED verification, so without a result: \(failed.joined(separator: ", ")); see verify.csv.")
        }
        let ranked = groups.filter { $0.rate != nil }
        guard ranked.count > 1, let first = ranked[0].rate, let second = ranked[1].rate, second > 0 else {
            return notes + ["No comparison: fewer than two configurations have a verified result."]
        }
        notes.append(
            "Winner: \(ranked[0].name) with \(rounded(first)) requests/s, "
                + "\(decimal(first / second, decimals: 2)) times \(ranked[1].name).")
        if let least = ranked[0].rates.first, let most = ranked[1].rates.last, ranked[0].rates.count > 1, least <= most
        {
            notes.append(
                "The ranges of \(ranked[0].name) and \(ranked[1].name) overlap: no difference is shown between them.")
        }
        if groups.contains(where: { $0.rows.count < 2 }) {
            notes.append("A single repetition shows no spread: repeat before trusting a difference.")
        }
        return notes
    }
}
