// What the tables themselves say about a routed date: every statement of `sql/orders/verify.sql` answers the differences
// it finds. Runs on its connection's thread.

public import Model
public import Postgres

/// What one check of a routed date found.
public struct RoutingCheck: Sendable, Equatable {
    public let name: String
    public let differenceCount: Int64
    /// The first few: subject, what was expected, what was found.
    public let first: [(subject: String, expected: String, actual: String)]

    public static func == (a: Self, b: Self) -> Bool {
        a.name == b.name && a.differenceCount == b.differenceCount && a.first.elementsEqual(b.first, by: ==)
    }
}

public enum OrdersVerification {
    private static let checks = SQLScript(embedded: PackageResources.verify_sql)
    /// Differences of a check that are shown.
    public static let shownCount = 5

    /// Runs every check on one date.
    public static func run(_ date: TradeDate, on connection: PostgresConnection) throws -> [RoutingCheck] {
        try checks.names.map { name in
            let result = try connection.query(
                "SELECT count(*) OVER (), d.* FROM (\(withoutSemicolon(checks[name]))) AS d (subject, expected, actual) "
                    + "LIMIT \(shownCount)", .text(date.description))
            return RoutingCheck(
                name: name, differenceCount: result.rowCount == 0 ? 0 : result.int64(0, 0),
                first: (0..<result.rowCount).map { row in
                    (result.text(row, 1) ?? "", result.text(row, 2) ?? "", result.text(row, 3) ?? "")
                })
        }
    }

    private static func withoutSemicolon(_ statement: String) -> Substring {
        guard let end = statement.lastIndex(of: ";") else { return statement[...] }
        return statement[..<end]
    }
}
