// What the tables themselves say about a run: every statement of `sql/allocations/verify.sql` answers the differences it
// finds. Runs on its connection's thread.

public import Postgres

/// What one check found.
public struct CheckResult: Sendable, Equatable {
    /// A difference, as the check's statement words it.
    public struct Difference: Sendable, Equatable, CustomStringConvertible {
        public let subject: String
        public let expected: String
        public let actual: String

        public init(subject: String, expected: String, actual: String) {
            self.subject = subject
            self.expected = expected
            self.actual = actual
        }

        public var description: String { "\(subject): expected \(expected), found \(actual)" }
    }

    public let name: String
    public let differenceCount: Int64
    /// The first few.
    public let first: [Difference]

    public init(name: String, differenceCount: Int64, first: [Difference]) {
        self.name = name
        self.differenceCount = differenceCount
        self.first = first
    }
}

public enum AllocationsVerification {
    private static let sql = SQLScript(embedded: PackageResources.verify_sql)
    /// Differences of a check that are shown.
    public static let shownCount = 5

    /// Runs every check.
    /// - Parameter topicEnds: by partition the offset behind its last message; nil leaves the offsets unchecked.
    public static func run(
        on connection: PostgresConnection, topic: String, topicEnds: [Int32: Int64]?
    ) throws -> [CheckResult] {
        try sql.names.filter { !$0.hasPrefix("oracle_") }.compactMap { name in
            var parameters: [PostgresValue] = []
            if name == "offsets_differ_from_topic" {
                guard let ends = topicEnds?.sorted(by: { $0.key < $1.key }) else { return nil }
                parameters = [
                    .text(topic), .int64Array(ends.map { Int64($0.key) }), .int64Array(ends.map(\.value)),
                ]
            }
            return try check(name, parameters, on: connection)
        }
    }

    private static func check(
        _ name: String, _ parameters: [PostgresValue], on connection: PostgresConnection
    ) throws -> CheckResult {
        let result = try connection.query(
            "SELECT count(*) OVER (), d.* FROM (\(sql[name].trimmingSemicolon)) AS d (subject, expected, actual) "
                + "LIMIT \(shownCount)", parameters: parameters)
        return CheckResult(
            name: name, differenceCount: result.rowCount == 0 ? 0 : result.int64(0, 0),
            first: (0..<result.rowCount).map { row in
                CheckResult.Difference(
                    subject: result.text(row, 1) ?? "", expected: result.text(row, 2) ?? "",
                    actual: result.text(row, 3) ?? "")
            })
    }

    // MARK: What the oracle reads

    /// Hands over block order, account and ordered shares of everyone behind a block.
    public static func forEachOrder(
        on connection: PostgresConnection, _ body: (_ block: Int64, _ account: Int64, _ quantity: Int64) -> Void
    ) throws {
        try forEachRow("oracle_orders", columns: 3, on: connection) { body($0[0], $0[1], $0[2]) }
    }

    /// Hands over block order, shares and price in ticks of every execution of the trades stage.
    public static func forEachExecution(
        on connection: PostgresConnection, _ body: (_ block: Int64, _ quantity: Int64, _ priceTicks: Int64) -> Void
    ) throws {
        try forEachRow("oracle_executions", columns: 3, on: connection) { body($0[0], $0[1], $0[2]) }
    }

    /// Hands over the last allocation of every account: block order, account, shares, average price in ticks.
    public static func forEachLastAllocation(
        on connection: PostgresConnection,
        _ body: (_ block: Int64, _ account: Int64, _ quantity: Int64, _ priceTicks: Int64) -> Void
    ) throws {
        try forEachRow("oracle_allocations", columns: 4, on: connection) { body($0[0], $0[1], $0[2], $0[3]) }
    }

    /// Hands over block order and the shares that its last snapshot allocated.
    public static func forEachAllocatedQuantity(
        on connection: PostgresConnection, _ body: (_ block: Int64, _ allocated: Int64) -> Void
    ) throws {
        try forEachRow("oracle_fills", columns: 2, on: connection) { body($0[0], $0[1]) }
    }

    /// Streams rows of whole numbers by COPY, so that memory doesn't grow with them.
    private static func forEachRow(
        _ name: String, columns: Int, on connection: PostgresConnection, _ body: ([Int64]) -> Void
    ) throws {
        var numbers = [Int64](repeating: 0, count: columns)
        try connection.copyOut("COPY (\(sql[name].trimmingSemicolon)) TO STDOUT") { row in
            var column = 0
            var value: Int64 = 0
            var sign: Int64 = 1
            for byte in row {
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value * 10 + Int64(byte - UInt8(ascii: "0"))
                case UInt8(ascii: "-"): sign = -1
                case UInt8(ascii: "\t"):
                    numbers[column] = sign * value
                    (column, value, sign) = (column + 1, 0, 1)
                default: break
                }
            }
            numbers[column] = sign * value
            body(numbers)
        }
    }
}

extension String {
    /// A statement as it can stand inside another.
    fileprivate var trimmingSemicolon: String {
        String(prefix(upTo: lastIndex { $0 != ";" && !$0.isWhitespace }.map { index(after: $0) } ?? startIndex))
    }
}
