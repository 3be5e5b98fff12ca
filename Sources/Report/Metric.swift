// The figures of runs.csv by which configurations are compared: unit, direction, and what to call them in a sentence.

/// A column of runs.csv that can be better or worse.
public struct Metric: Sendable, Hashable {
    /// The column's name.
    public let name: String
    public let unit: String
    public let isHigherBetter: Bool
    /// In a sentence: "no difference in …".
    public let label: String
    /// Whether the terminal shows it; comparisons.csv has them all.
    public let isKey: Bool

    /// In the order in which they are shown: throughput, then what it costs.
    public static let all: [Metric] = [
        Metric("sustained_rate_per_s", "executions/s", isHigherBetter: true, "sustained rate", isKey: true),
        Metric("executions_per_s", "executions/s", isHigherBetter: true, "throughput", isKey: true),
        Metric("requests_per_s", "requests/s", isHigherBetter: true, "routing throughput", isKey: true),
        Metric("time_to_visible_p50_ms", "ms", isHigherBetter: false, "p50 time-to-visible"),
        Metric("time_to_visible_p95_ms", "ms", isHigherBetter: false, "p95 time-to-visible"),
        Metric("time_to_visible_p99_ms", "ms", isHigherBetter: false, "p99 time-to-visible", isKey: true),
        Metric("time_to_visible_max_ms", "ms", isHigherBetter: false, "longest time-to-visible"),
        Metric("txn_latency_p50_ms", "ms", isHigherBetter: false, "p50 transaction latency"),
        Metric("txn_latency_p99_ms", "ms", isHigherBetter: false, "p99 transaction latency", isKey: true),
        Metric("booking_p50_ms", "ms", isHigherBetter: false, "p50 booking latency"),
        Metric("booking_p99_ms", "ms", isHigherBetter: false, "p99 booking latency"),
        Metric("booking_elapsed_s", "s", isHigherBetter: false, "time to the last booking"),
        Metric("wal_bytes_per_execution", "bytes", isHigherBetter: false, "WAL per execution", isKey: true),
        Metric(
            "database_cpu_us_per_execution", "µs", isHigherBetter: false, "database CPU per execution", isKey: true),
        Metric("database_cpu_s", "CPU seconds", isHigherBetter: false, "database CPU"),
    ]

    /// Nil for a column that isn't compared.
    public static func named(_ name: String) -> Metric? { all.first { $0.name == name } }

    private init(_ name: String, _ unit: String, isHigherBetter: Bool, _ label: String, isKey: Bool = false) {
        self.name = name
        self.unit = unit
        self.isHigherBetter = isHigherBetter
        self.label = label
        self.isKey = isKey
    }
}
