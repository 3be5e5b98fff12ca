// Proves that a run is right: the differences that SQL finds, and those that the oracle finds.
// Runs on its connection's thread, after the workers have ended.

public import Allocations
public import Postgres
import Report

public enum Verifier {
    /// All checks, the oracle's last; on CockroachDB all of them of one time.
    /// - Parameters:
    ///   - topicEnds: by partition the offset behind its last message; nil leaves the offsets unchecked.
    ///   - includesBookings: false leaves the bookings unchecked: where nobody books, as in a test of the workers alone.
    public static func verify(
        on connection: PostgresConnection, topic: String, topicEnds: [Int32: Int64]?, includesBookings: Bool = true
    ) throws -> [CheckResult] {
        try connection.readingAtOneTime {
            try AllocationsVerification.run(
                on: connection, topic: topic, topicEnds: topicEnds, includesBookings: includesBookings)
                + OracleCheck.run(on: connection, includesBookings: includesBookings)
        }
    }
}

/// Compares what every run leaves with what the first right one left: the same messages must end in the same tables.
struct FirstTables {
    private var wanted: [String: String]?

    init() {}

    /// Goes on from what the cells of a resumed run left.
    init(of cells: [CellRecord]) {
        wanted = cells.lazy.map(\.finalTables).first { !$0.isEmpty }
    }

    /// - Parameters:
    ///   - sums: by table a digest of its rows.
    ///   - isTrusted: whether every other check of the run is clean; a wrong run is no yardstick.
    mutating func check(_ sums: [String: String], isTrusted: Bool) -> CheckResult {
        let first = wanted ?? sums
        if isTrusted { wanted = first }
        let different = sums.keys.sorted().filter { sums[$0] != first[$0] }
        return CheckResult(
            name: "tables_differ_from_first_run", differenceCount: Int64(different.count),
            first: different.map {
                CheckResult.Difference(subject: $0, expected: first[$0] ?? "", actual: sums[$0] ?? "")
            })
    }
}

extension [CheckResult] {
    /// Whether no check found a difference.
    public var isClean: Bool { allSatisfy { $0.differenceCount == 0 } }

    /// One line per check that found something, and its first differences below.
    public var differenceLines: [String] {
        filter { $0.differenceCount > 0 }.flatMap { check in
            ["\(check.name): \(check.differenceCount) differences"] + check.first.map { "  \($0)" }
        }
    }
}
