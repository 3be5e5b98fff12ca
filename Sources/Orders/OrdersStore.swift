// The SQL of routing, from `sql/orders/route.sql`. Runs on its connection's thread, inside its caller's transaction.

import Model
import Postgres

enum OrdersStore {
    private static let sql = SQLScript(embedded: PackageResources.route_sql)

    static func pricedSecurityCount(_ date: TradeDate, on connection: PostgresConnection) throws -> Int64 {
        try connection.query(sql["priced_security_count"], .text(date.description)).int64(0, 0)
    }

    static func nearestTradingDays(
        to date: TradeDate, on connection: PostgresConnection
    ) throws -> (before: String?, after: String?) {
        let result = try connection.query(sql["nearest_trading_days"], .text(date.description))
        return (result.text(0, 0), result.text(0, 1))
    }

    static func blockCount(_ date: TradeDate, on connection: PostgresConnection) throws -> Int64 {
        try connection.query(sql["routed_block_count"], .text(date.description)).int64(0, 0)
    }

    static func insert(_ date: TradeDate, on connection: PostgresConnection) throws -> RoutingSummary {
        let day = PostgresValue.text(date.description)
        try connection.query(sql["insert_outcomes"], day)
        try connection.query(sql["insert_customer_orders"], day)
        let digits = date.description.filter { $0 != "-" }
        try connection.query(sql["insert_block_orders"], day, .text(digits))
        try connection.query(sql["insert_block_order_accounts"], day)
        let totals = try connection.query(sql["totals"], day)
        let outcomes = try connection.query(sql["outcome_counts"], day)
        return RoutingSummary(
            date: date, customerOrderCount: totals.int64(0, 0), blockOrderCount: totals.int64(0, 1),
            quantity: totals.int64(0, 2),
            outcomes: Dictionary(
                uniqueKeysWithValues: (0..<outcomes.rowCount).map {
                    (outcomes.text($0, 0) ?? "", outcomes.int64($0, 1))
                }))
    }

    static func truncate(on connection: PostgresConnection) throws { try connection.execute(sql["truncate"]) }

    static func delete(_ date: TradeDate, on connection: PostgresConnection) throws {
        for name in ["delete_block_order_accounts", "delete_block_orders", "delete_customer_orders", "delete_outcomes"]
        {
            try connection.query(sql[name], .text(date.description))
        }
    }
}
