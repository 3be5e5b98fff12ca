// The CSV files of a result folder and their columns: the dictionary that wiki/Results.md prints and a test compares.
// runs.csv and comparisons.csv have files of their own beside this one.

public import Measurement

/// Where a row of any file but comparisons.csv belongs.
public struct RunKey: Sendable, Hashable {
    public var configuration: String
    /// From 1.
    public var repetition: Int

    public init(configuration: String, repetition: Int) {
        self.configuration = configuration
        self.repetition = repetition
    }
}

/// A file of results that has several rows for each run.
public enum ResultTable: String, Sendable, CaseIterable {
    case latency = "latency.csv"
    case timeSeries = "timeseries.csv"
    case retries = "retries.csv"
    case partitions = "partitions.csv"
    case probes = "probes.csv"
    case faults = "faults.csv"
    case hosts = "hosts.csv"
    case verify = "verify.csv"

    public static let formatVersion = 1

    /// What a row is.
    public var summary: String {
        switch self {
        case .latency: "one row for each stage of each run that recorded something"
        case .timeSeries: "one row for each second of each run of stage allocate"
        case .retries: "one row for each SQLSTATE that a run met"
        case .partitions: "one row for each partition of each run of stage allocate"
        case .probes: "one row for each probe of a rate search"
        case .faults: "one row for each fault that was planned"
        case .hosts: "one row for each worker host of each run that had its workers on hosts"
        case .verify: "one row for each check of each run"
        }
    }

    public var columnNames: [String] { columns.map(\.name) }

    /// Name and meaning of each column.
    public var columns: [(name: String, meaning: String)] {
        [
            ("format_version", "version of these columns"), ("configuration", "name of the configuration"),
            ("repetition", "from 1"),
        ] + ownColumns
    }

    private var ownColumns: [(name: String, meaning: String)] {
        switch self {
        case .latency:
            [
                ("stage", "what the time lies between; the words are below"),
                ("unit", "what was counted: messages, transactions or blocks"), ("count", "how many were recorded"),
                ("mean_ms", "their mean"), ("p50_ms", "half of them took at most this"),
                ("p90_ms", "90 % of them took at most this"), ("p95_ms", "95 %"), ("p99_ms", "99 %"),
                ("p999_ms", "99.9 %"), ("max_ms", "the longest, exact"),
                ("clipped", "how many lay outside the histogram's range, so that percentiles are bounds"),
            ]
        case .timeSeries:
            [
                ("second", "begin of the interval, in seconds since the start of the load"),
                ("interval_s", "its length; more than 1 where a run lasted longer than an hour"),
                ("measured", "true if some of it lies in the measured part of the run, else false"),
                ("messages", "messages whose effect became visible"), ("commits", "transactions committed"),
                ("retries", "attempts that failed and were repeated"),
                ("p50_ms", "time-to-visible of these messages, within 3 %"), ("p99_ms", "the same"),
                ("max_ms", "the same, exact"),
                (
                    "lag_messages",
                    "messages due and not committed at its end, wherever they were; empty if the run ended before"
                ),
                ("lag_ms", "how long the oldest of them was due"),
                ("lock_waits", "sessions seen waiting for a lock; empty if not sampled"),
            ]
        case .retries:
            [
                ("sqlstate", "what the database answered"),
                ("retries", "attempts that failed with it and were repeated"),
                ("messages", "messages in these attempts: work thrown away"),
                ("time_ms", "from their begin to their failure, over all workers"),
                ("committed", "of ambiguous commits: how many had happened; else empty"),
            ]
        case .partitions:
            [
                ("partition", "number of the partition"), ("messages", "messages whose effect was committed"),
                ("share", "messages / messages of all partitions"),
                (
                    "lag_max_messages",
                    "the most of its messages that were due and not committed, wherever they were, each second"
                ),
                ("lag_max_ms", "the longest that the oldest of them had waited, sampled each second"),
                ("lag_end_messages", "what was due and not committed at the last sample"),
            ]
        case .probes:
            [
                ("probe", "from 1, in the order in which they were tried"),
                ("purpose", "bracket, bisect, confirm or above"), ("rate_per_s", "executions per second offered"),
                ("executions", "how many were offered"), ("executions_per_s", "how many became visible"),
                ("time_to_visible_p99_ms", "from intended arrival to visible commit"),
                ("behind_at_end_ms", "from the last intended arrival to the last commit"),
                ("outcome", "held, failed or invalid"), ("reason", "why, where it failed"),
            ]
        case .faults:
            [
                ("fault", "what was injected"),
                ("at_ms", "when, since the start of the load; empty: the run ended before"),
                ("recovery_ms", "until what was due then was committed; empty: not before the end"),
                (
                    "replayed_messages",
                    "messages that were in a transaction then, weren't committed, and were processed again"
                ),
                ("duplicates", "messages committed between the two that had been captured before"),
                (
                    "lost_messages",
                    "messages whose commit was answered, that a promoted standby didn't have, and that were processed again"
                ),
            ]
        case .hosts:
            [
                ("host", "name under which it joined"), ("address", "where it was, as the database saw it"),
                ("workers", "its threads, of those of the configuration"),
                ("messages", "messages that its workers committed in the measured part"),
                ("messages_per_s", "over the same time as executions_per_s of runs.csv"),
                ("finished_ms", "from the start to its last commit: the host that ends last ends the run"),
                ("cpu_s", "processor time of its process from the workers' readiness to their end"),
                ("cores", "processors of its machine"),
                (
                    "cpu_share",
                    "cpu_s / (cores × the time until its last worker had ended); above 0.9 the host was the limit, if that time is half a second at least"
                ),
                ("peak_rss_mb", "the most memory that its process held"),
                ("limit", "true if the host was the limit by its cpu_share, else false"),
                (
                    "clock_offset_ms",
                    "the database's clock less the host's, from the shortest of several round trips; the start is corrected for it"
                ),
                (
                    "clock_uncertainty_ms",
                    "half of that round trip, plus what the clocks moved during the run: the host's start, and so each of its "
                        + "times-to-visible, may be off by as much"
                ),
            ]
        case .verify:
            [
                ("check", "name of the check"), ("differences", "how many it found; 0 is right"),
                ("first_difference", "the first of them in words"),
            ]
        }
    }

    /// A row of this file: `own` are the fields behind the first three.
    public func row(_ key: RunKey, _ own: [String]) -> [String] {
        let fields = [String(ResultTable.formatVersion), key.configuration, String(key.repetition)] + own
        precondition(fields.count == columns.count, "a row of \(rawValue) has \(columns.count) fields")
        return fields
    }

    /// The row of latency.csv for one stage.
    public static func latencyRow(_ key: RunKey, stage: String, unit: String, _ histogram: Histogram) -> [String] {
        let percentiles = [50, 90, 95, 99, 99.9].map { milliseconds(histogram.percentile($0)) }
        return latency.row(
            key,
            [stage, unit, String(histogram.count), milliseconds(Int64(histogram.mean.rounded()))] + percentiles
                + [milliseconds(histogram.max), String(histogram.clippedCount)])
    }
}
