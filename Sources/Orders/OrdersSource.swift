// Where orders come from: routing. Accounts that drifted from their group's targets make rebalancing requests, requests
// become customer orders, and those become block orders. This is the set-based way, one transaction per group; the steps
// it takes are the ones of event-driven routing too. Runs on its connection's thread.

import Diagnostics
public import Model
public import Postgres

public enum OrdersSource {
    private static let openSQL = SQLScript(embedded: PackageResources.open_sql)
    private static let closeSQL = SQLScript(embedded: PackageResources.close_sql)

    /// Routes requests, for those who prepare it themselves: `$1` is the trade date, `$2` an array of request ids. Its row
    /// counts the requests that were routed now, their customer orders, the purchases that cash cut, and the drafts.
    /// At most one to a transaction, or routing workers may deadlock.
    public static let routeRequestsStatement = SQLScript(embedded: PackageResources.route_sql)["route_requests"]

    /// Tells which requests of `$2` aren't routed, for those who prepare it themselves: their ids, and whether a row of the
    /// date `$1` is there.
    public static let unroutedRequestsStatement = SQLScript(embedded: PackageResources.route_sql)["unrouted_requests"]

    // MARK: Set-based

    /// Routes one trade date, group by group. A routing that was interrupted is gone on with.
    /// - Parameter onReplace: runs in the transaction that forgets an earlier routing of the date, for what was made from it.
    /// - Parameter onGroup: hears when a group's transaction has committed, and how many requests it routed.
    /// - Throws: `InputError` when the date has no prices although others have, `OperatingError` when no date has any or
    ///   this one is routed already; nothing is written then.
    public static func route(
        _ plan: RoutingPlan, on connection: PostgresConnection,
        onReplace: (PostgresConnection) throws -> Void = { _ in }, onGroup: (_ requests: Int) -> Void = { _ in }
    ) throws -> RoutingSummary {
        try begin(plan, on: connection, onReplace: onReplace)
        for group in try groups(plan.date, on: connection) {
            let routedCount = try alone(plan.date) {
                try connection.transaction { connection in
                    if !group.isOpened { try openRequests(ofGroup: group.id, plan.date, on: connection) }
                    let requests = try pendingRequests(ofGroup: group.id, plan.date, on: connection)
                    if !requests.isEmpty { try routeRequests(requests, plan.date, on: connection) }
                    return requests.count
                }
            }
            onGroup(routedCount)
        }
        return try close(plan, on: connection)
    }

    // MARK: The steps

    /// What both ways of routing do first: refuse what can't be routed, and forget what is to be replaced.
    public static func begin(
        _ plan: RoutingPlan, on connection: PostgresConnection,
        onReplace: (PostgresConnection) throws -> Void = { _ in }
    ) throws {
        precondition(!plan.policies.isEmpty, "a block order has a policy")
        try connection.transaction { connection in
            try requireTradingDay(plan.date, on: connection)
            if plan.replace {
                try OrdersStore.delete(plan.date, on: connection)
                try onReplace(connection)
            } else if try progress(plan.date, on: connection).blockOrders > 0 {
                throw OperatingError("\(plan.date) is routed already", remedy: "route it again with --replace")
            }
        }
    }

    /// Opens the requests of all groups, one transaction per group, in the order of their ids. Groups that were opened
    /// before are left as they are. Follows `begin`.
    /// - Returns: how many requests the date has now.
    @discardableResult
    public static func openRequests(_ date: TradeDate, on connection: PostgresConnection) throws -> Int64 {
        var count: Int64 = 0
        for group in try groups(date, on: connection) {
            count += group.requestCount
            if group.isOpened { continue }
            try alone(date) {
                count += try connection.transaction { try openRequests(ofGroup: group.id, date, on: $0) }
            }
        }
        return count
    }

    /// Turns requests into customer orders and drafts of block orders, each request once, whoever asks and how often.
    /// One statement: in a transaction of the caller's, or one of its own. At most once in a transaction.
    @discardableResult
    public static func routeRequests(
        _ requests: [Int64], _ date: TradeDate, on connection: PostgresConnection
    ) throws -> RoutedRequests {
        let result = try connection.query(
            routeRequestsStatement, .text(date.description), .int64Array(requests))
        return RoutedRequests(
            requestCount: result.int64(0, 0), customerOrderCount: result.int64(0, 1),
            withoutCashCount: result.int64(0, 2))
    }

    /// Requests that wait to be routed.
    public static func pendingRequestCount(_ date: TradeDate, on connection: PostgresConnection) throws -> Int64 {
        try progress(date, on: connection).pendingRequests
    }

    /// Makes the block orders, in one transaction, once all requests are routed.
    /// - Throws: `OperatingError` when some aren't, or when the date is closed already.
    @discardableResult
    public static func close(_ plan: RoutingPlan, on connection: PostgresConnection) throws -> RoutingSummary {
        precondition(!plan.policies.isEmpty, "a block order has a policy")
        // On new tables without statistics the server joins orders and blocks row by row.
        try connection.execute("ANALYZE orders.customer_orders")
        let summary = try alone(plan.date) {
            try connection.transaction { connection in
                let (pendingRequests, blockOrders) = try progress(plan.date, on: connection)
                guard pendingRequests == 0 else {
                    throw OperatingError("\(pendingRequests) requests of \(plan.date) aren't routed yet")
                }
                guard blockOrders == 0 else { throw OperatingError("\(plan.date) is routed already") }
                try insertBlockOrders(plan, on: connection)
                return try OrdersStore.summary(of: plan.date, on: connection)
            }
        }
        try connection.execute("ANALYZE orders.block_orders")
        try connection.execute("ANALYZE orders.block_order_accounts")
        return summary
    }

    /// One sum per table over what was routed on a date: two ways that routed alike have equal sums.
    public static func routingChecksums(
        of date: TradeDate, on connection: PostgresConnection
    ) throws -> [String: String] {
        try OrdersStore.routingChecksums(of: date, on: connection)
    }

    /// Forgets all routing; groups and targets stay.
    public static func truncate(on connection: PostgresConnection) throws {
        try OrdersStore.truncateRouting(on: connection)
    }

    // MARK: Statements

    private struct Group {
        let id: Int64
        let requestCount: Int64
        /// A group is opened in one transaction: any request of it says that all are there.
        var isOpened: Bool { requestCount > 0 }
    }

    private static func groups(_ date: TradeDate, on connection: PostgresConnection) throws -> [Group] {
        let result = try connection.query(openSQL["groups"], .text(date.description))
        return (0..<result.rowCount).map { Group(id: result.int64($0, 0), requestCount: result.int64($0, 1)) }
    }

    @discardableResult
    private static func openRequests(
        ofGroup group: Int64, _ date: TradeDate, on connection: PostgresConnection
    ) throws -> Int64 {
        try connection.query(openSQL["open_requests"], .text(date.description), .int64(group)).int64(0, 0)
    }

    private static func pendingRequests(
        ofGroup group: Int64, _ date: TradeDate, on connection: PostgresConnection
    ) throws -> [Int64] {
        let result = try connection.query(openSQL["pending_requests"], .text(date.description), .int64(group))
        return (0..<result.rowCount).map { result.int64($0, 0) }
    }

    private static func progress(
        _ date: TradeDate, on connection: PostgresConnection
    ) throws -> (pendingRequests: Int64, blockOrders: Int64) {
        let result = try connection.query(closeSQL["progress"], .text(date.description))
        return (result.int64(0, 0), result.int64(0, 1))
    }

    private static func insertBlockOrders(_ plan: RoutingPlan, on connection: PostgresConnection) throws {
        let day = PostgresValue.text(plan.date.description)
        try connection.query(closeSQL["insert_no_group"], day)
        do {
            try connection.query(
                closeSQL["insert_block_orders"], day, .text(plan.date.description.filter { $0 != "-" }),
                .textArray(plan.policies.map(\.rawValue)), .textArray(plan.policies.map { plan.reason(for: $0) }),
                .int64(plan.minimumTicketLots))
        } catch {
            guard error.sqlState == .checkViolation else { throw error }
            throw OperatingError(
                "a block order of \(plan.date) would have more than 2000000000 shares",
                remedy: "seed fewer or smaller accounts")
        }
        try connection.query(closeSQL["insert_block_order_accounts"], day)
    }

    /// Whoever writes the same rows at the same time is another routing.
    private static func alone<R>(_ date: TradeDate, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as PostgresError where error.sqlState == .uniqueViolation {
            throw OperatingError("another routing of \(date) is at work", remedy: "wait for its end")
        }
    }

    private static func requireTradingDay(_ date: TradeDate, on connection: PostgresConnection) throws {
        let day = PostgresValue.text(date.description)
        guard try connection.query(openSQL["priced_security_count"], day).int64(0, 0) == 0 else { return }
        let days = try connection.query(openSQL["nearest_trading_days"], day)
        let near = [
            days.text(0, 0).map { "the last one before is \($0)" }, days.text(0, 1).map { "the next one is \($0)" },
        ].compactMap(\.self)
        guard !near.isEmpty else { throw OperatingError("there are no prices", remedy: "seed first: allocbench seed") }
        throw InputError(
            InputFault(
                source: "--date", value: date.description,
                expected: "a trading day, on which securities have prices: \(near.joined(separator: ", "))"))
    }
}
