// Which rates of a search are only the least that the system holds: read from its probes, so that it holds for every
// run, whenever it was made. Pure: rows of probes.csv in.

/// The searches that met nothing that fails above the rate which they found.
public struct RateBounds: Sendable, Equatable {
    private let lowerBounds: Set<RunKey>

    /// No search.
    public init() { lowerBounds = [] }

    /// - Parameter probes: the rows of probes.csv, in the order of the probes.
    public init(_ probes: [RunFields]) {
        let searches = Dictionary(grouping: probes) {
            RunKey(configuration: $0.configuration, repetition: $0.repetition)
        }
        lowerBounds = Set(searches.filter { RateBounds.endsInLowerBound($0.value) }.keys)
    }

    public init(_ cells: [CellRecord]) {
        self.init(
            cells.flatMap { $0.tables[ResultTable.probes.rawValue] ?? [] }.map {
                RunFields(columns: ResultTable.probes.columnNames, fields: $0)
            })
    }

    public func isLowerBound(_ key: RunKey) -> Bool { lowerBounds.contains(key) }

    /// True if the last probe, 20 % above, held as well; or if none failed above the rate that was confirmed.
    private static func endsInLowerBound(_ probes: [RunFields]) -> Bool {
        guard let last = probes.last, let confirmed = probes.last(where: { $0["purpose"] == "confirm" }),
            confirmed["outcome"] == "held", let rate = confirmed.number("rate_per_s")
        else { return false }
        if last["purpose"] == "above", last["outcome"] == "held" { return true }
        return !probes.contains {
            $0["outcome"] == "failed" && ($0.number("rate_per_s") ?? 0) > rate
        }
    }
}
