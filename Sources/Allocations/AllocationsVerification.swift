// What the tables themselves say about a run: every statement of `sql/allocations/verify.sql` answers the differences it
// finds, and `final.sql` reads what a run left. Runs on its connection's thread.

import Measurement
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
    private static let checks = SQLScript(embedded: PackageResources.verify_sql)
    private static let final = SQLScript(embedded: PackageResources.final_sql)
    /// Differences of a check that are shown.
    public static let shownCount = 5

    /// The checks that find differences as long as nobody has booked.
    public static let bookingChecks: Set = [
        "bookings_left_behind", "block_bookings_differ", "account_audits_differ", "instructions_differ",
        "settlements_differ", "movements_differ",
    ]

    /// Runs every check.
    /// - Parameters:
    ///   - topicEnds: by partition the offset behind its last message; nil leaves the offsets unchecked.
    ///   - includesBookings: false leaves out `bookingChecks`.
    public static func run(
        on connection: PostgresConnection, topic: String, topicEnds: [Int32: Int64]?, includesBookings: Bool = true
    ) throws -> [CheckResult] {
        try checks.names.compactMap { name in
            if !includesBookings, bookingChecks.contains(name) { return nil }
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

    /// The checks in their order, as `run` sends them: for those who run them by other means. `offsets_differ_from_topic` takes
    /// three parameters: the topic, its partitions, and the offset behind the last message of each.
    package static var statements: [(name: String, sql: String)] { checks.names.map { ($0, statement($0)) } }

    private static func statement(_ name: String) -> String {
        "SELECT count(*) OVER (), d.* FROM (\(checks.fragment(name))) AS d (subject, expected, actual) "
            + "LIMIT \(shownCount)"
    }

    private static func check(
        _ name: String, _ parameters: [PostgresValue], on connection: PostgresConnection
    ) throws -> CheckResult {
        let result = try connection.query(statement(name), parameters: parameters)
        return CheckResult(
            name: name, differenceCount: result.rowCount == 0 ? 0 : result.int64(0, 0),
            first: (0..<result.rowCount).map { row in
                CheckResult.Difference(
                    subject: result.text(row, 1) ?? "", expected: result.text(row, 2) ?? "",
                    actual: result.text(row, 3) ?? "")
            })
    }

    /// Busts of executions that never came. They are recorded and have no effect, so they are told, not counted as
    /// differences; `busts_wait_for_what_came` is the check of those that should have had one.
    public static func waitingBustCount(on connection: PostgresConnection) throws -> Int64 {
        try connection.query(final["waiting_busts"]).int64(0, 0)
    }

    // MARK: What a run left

    /// By final table a digest of its rows: the same for any order, repetition and cut of the same messages, in every mode.
    /// The number of rows stands before the digest. Columns that say how the work was done, and when, are left out.
    public static func checksums(on connection: PostgresConnection) throws -> [String: String] {
        let prefix = "checksum_"
        var sums: [String: String] = [:]
        for name in final.names where name.hasPrefix(prefix) {
            var digest = RowDigest()
            try connection.copyOut("COPY (\(final.fragment(name))) TO STDOUT") { digest.add(row: $0) }
            sums[String(name.dropFirst(prefix.count))] = digest.description
        }
        return sums
    }

    /// One digest of all tables, to compare runs by.
    public static func digest(of sums: [String: String]) -> String {
        var digest = RowDigest()
        for (table, sum) in sums.sorted(by: { $0.key < $1.key }) { digest.add(row: "\(table)=\(sum)\n".utf8) }
        return digest.description
    }

    /// A table as the oracle compares it. A row is block order, account (0 where a block has one row), and whole numbers.
    public enum FinalTable: String, Sendable, CaseIterable {
        case blockFills = "oracle_fills"
        case lastSnapshots = "oracle_snapshots"
        case allocations = "oracle_allocations"
        case blockBookings = "oracle_block_bookings"
        case accountAudits = "oracle_account_audits"
        case allocationInstructions = "oracle_instructions"
        case settlementInstructions = "oracle_settlements"
        case positionMovements = "oracle_movements"
    }

    /// Hands over the rows of a final table, in order of block order and account.
    public static func forEachRow(
        of table: FinalTable, on connection: PostgresConnection, _ body: ([Int128]) -> Void
    ) throws {
        try forEachRow(table.rawValue, on: connection, body)
    }

    // MARK: What the oracle judges by

    /// The name of each block order's allocation policy.
    public static func policies(on connection: PostgresConnection) throws -> [Int64: String] {
        let result = try connection.query(final["oracle_policies"])
        return Dictionary(
            uniqueKeysWithValues: (0..<result.rowCount).map { (result.int64($0, 0), result.text($0, 1) ?? "") })
    }

    /// Hands over block order, 1 for a purchase, security, day of trade, shares, lot size, minimum ticket.
    public static func forEachOrder(on connection: PostgresConnection, _ body: ([Int128]) -> Void) throws {
        try forEachRow("oracle_orders", on: connection, body)
    }

    /// Hands over block order, account, shares, customer order, in order of block and account.
    public static func forEachLeg(on connection: PostgresConnection, _ body: ([Int128]) -> Void) throws {
        try forEachRow("oracle_legs", on: connection, body)
    }

    /// Hands over execution, block order, type (2 bust, 3 cancel, 4 replace), busted execution, version, order quantity.
    public static func forEachChange(on connection: PostgresConnection, _ body: ([Int128]) -> Void) throws {
        try forEachRow("oracle_changes", on: connection, body)
    }

    /// Hands over execution, block order, shares and price in ticks of every trade.
    public static func forEachTrade(on connection: PostgresConnection, _ body: ([Int128]) -> Void) throws {
        try forEachRow("oracle_trades", on: connection, body)
    }

    /// Streams rows of whole numbers by COPY, so that memory doesn't grow with them.
    private static func forEachRow(
        _ name: String, on connection: PostgresConnection, _ body: ([Int128]) -> Void
    ) throws {
        var numbers: [Int128] = []
        try connection.copyOut("COPY (\(final.fragment(name))) TO STDOUT") { row in
            numbers.removeAll(keepingCapacity: true)
            var value: Int128 = 0
            var isNegative = false
            for byte in row {
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value * 10 + Int128(byte - UInt8(ascii: "0"))
                case UInt8(ascii: "-"): isNegative = true
                case UInt8(ascii: "\t"), UInt8(ascii: "\n"):
                    numbers.append(isNegative ? -value : value)
                    (value, isNegative) = (0, false)
                default: break
                }
            }
            body(numbers)
        }
    }
}
