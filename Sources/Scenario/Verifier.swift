// Proves that a run is right: the differences that SQL finds, and those that the oracle finds.
// Runs on its connection's thread, after the workers have ended.

public import Allocations
public import Postgres

public enum Verifier {
    /// All checks, the oracle's last.
    /// - Parameter topicEnds: by partition the offset behind its last message; nil leaves the offsets unchecked.
    public static func verify(
        on connection: PostgresConnection, topic: String, topicEnds: [Int32: Int64]?
    ) throws -> [CheckResult] {
        try AllocationsVerification.run(on: connection, topic: topic, topicEnds: topicEnds)
            + [AllocationOracle.check(on: connection)]
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
