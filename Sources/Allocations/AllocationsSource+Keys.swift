// The surrogate key that a configuration may want of what is captured. Runs on its connection's thread.

import Diagnostics
public import Model
public import Postgres

extension AllocationsSource {
    private static let script = SQLScript(embedded: PackageResources.keys_sql)

    /// Gives `allocations.captured_trades` the surrogate key of the strategy, or takes it off with `natural`. Whatever key
    /// was there before goes, that of a killed run too: so every cell calls this, and the last word is `natural`.
    ///
    /// Costs the server, by captured execution: the expression that makes the key, an entry in a unique index, and their log.
    /// - Throws: `OperatingError` if a key is to be added to rows that exist: they would get keys that no worker paid for.
    public static func setKeyStrategy(_ strategy: KeyStrategy, on connection: PostgresConnection) throws {
        try connection.execute(script["drop_index", connection.dialect])
        try connection.execute(script["drop_column"])
        if strategy == .natural { return }
        guard try connection.query(script["is_empty"]).text(0, 0) == "t" else {
            throw OperatingError(
                "allocations.captured_trades isn't empty, so it can't get the key \(strategy.rawValue)",
                remedy: "empty the tables of the allocations stage first")
        }
        try connection.execute(script["add_\(strategy.rawValue)", connection.dialect])
        try connection.execute(script["add_index"])
    }
}
