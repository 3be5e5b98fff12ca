// Where orders come from: routing. Positions against target weights become customer orders, and those become block
// orders; set-based, in one transaction. Runs on its connection's thread.

import Diagnostics
public import Model
public import Postgres

public enum OrdersSource {
    /// Routes one trade date.
    /// - Parameter replace: whether to forget an earlier routing of the date first.
    /// - Throws: `InputError` when the date has no prices although others have, `OperatingError` when no date has any or
    ///   this one is routed already; nothing is written then.
    public static func route(_ date: TradeDate, replace: Bool, on connection: PostgresConnection) throws
        -> RoutingSummary
    {
        try connection.begin()
        do {
            try requireTradingDay(date, on: connection)
            if replace {
                try OrdersStore.delete(date, on: connection)
            } else if try OrdersStore.blockCount(date, on: connection) > 0 {
                throw OperatingError("\(date) is routed already", remedy: "route it again with --replace")
            }
            let summary = try OrdersStore.insert(date, on: connection)
            try connection.commit()
            try connection.execute("ANALYZE orders.block_orders")
            try connection.execute("ANALYZE orders.block_order_accounts")
            return summary
        } catch {
            // The rollback's own failure would only hide what went wrong first.
            try? connection.rollback()
            throw error
        }
    }

    /// Forgets all routing.
    public static func truncate(on connection: PostgresConnection) throws { try OrdersStore.truncate(on: connection) }

    private static func requireTradingDay(_ date: TradeDate, on connection: PostgresConnection) throws {
        guard try OrdersStore.pricedSecurityCount(date, on: connection) == 0 else { return }
        let (before, after) = try OrdersStore.nearestTradingDays(to: date, on: connection)
        let near = [before.map { "the last one before is \($0)" }, after.map { "the next one is \($0)" }].compactMap(
            \.self)
        guard !near.isEmpty else { throw OperatingError("there are no prices", remedy: "seed first: allocbench seed") }
        throw InputError(
            InputFault(
                source: "--date", value: date.description,
                expected: "a trading day, on which securities have prices: \(near.joined(separator: ", "))"))
    }
}
