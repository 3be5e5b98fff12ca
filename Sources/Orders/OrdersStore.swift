// The tables of the orders stage: what is seeded goes in by COPY, what was routed is counted, summed and deleted.
// Runs on its connection's thread.

public import Model
public import Postgres

public enum OrdersStore {
    private static let sql = SQLScript(embedded: PackageResources.store_sql)

    // MARK: Groups and targets, which are seeded

    /// Returns how many rows were copied, as all the functions that copy.
    @discardableResult
    public static func copyGroups(_ groups: [RebalancingGroup], on connection: PostgresConnection) throws -> Int {
        try connection.copyIn(sql["copy_rebalancing_groups"]) { writer in
            for group in groups {
                writer.int64(group.id)
                writer.text(group.name)
                if let managerGroup = group.managerGroup { writer.int64(managerGroup) } else { writer.null() }
                if let ticks = group.minimumTicks { writer.decimal(ticks: ticks) } else { writer.null() }
                if let ticks = group.maximumTicks { writer.decimal(ticks: ticks) } else { writer.null() }
                if let sector = group.sectorPreference { writer.text(sector) } else { writer.null() }
                if let risk = group.riskClass { writer.text(risk.rawValue) } else { writer.null() }
                writer.decimal(ticks: group.tolerance.units, scale: TargetWeight.scale)
                try writer.endRow()
            }
        }
    }

    /// Groups go before their targets, which refer to them.
    @discardableResult
    public static func copyTargets(of groups: [RebalancingGroup], on connection: PostgresConnection) throws -> Int {
        try connection.copyIn(sql["copy_group_targets"]) { writer in
            for group in groups {
                for target in group.targets {
                    writer.int64(group.id)
                    writer.int64(target.securityID.rawValue)
                    writer.decimal(ticks: target.weight.units, scale: TargetWeight.scale)
                    try writer.endRow()
                }
            }
        }
    }

    public static func truncateGroups(on connection: PostgresConnection) throws {
        try connection.execute(sql["truncate_groups"])
    }

    /// Whether no groups are seeded.
    public static func isEmpty(on connection: PostgresConnection) throws -> Bool {
        try connection.query(sql["is_empty"]).int64(0, 0) != 0
    }

    private static let seededTables = ["rebalancing_groups", "group_targets"]

    /// Rows of the seeded tables.
    public static func rowCounts(on connection: PostgresConnection) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for table in seededTables {
            counts["orders.\(table)"] = Int(try connection.query(sql["count_\(table)"]).int64(0, 0))
        }
        return counts
    }

    /// One sum over all rows of each seeded table, in the order of their keys: equal sums, equal tables.
    public static func tableChecksums(on connection: PostgresConnection) throws -> [String: String] {
        var checksums: [String: String] = [:]
        for table in seededTables {
            checksums["orders.\(table)"] = try connection.query(sql["checksum_\(table)"]).text(0, 0) ?? ""
        }
        return checksums
    }

    // MARK: What was routed

    /// In the order in which rows may be deleted.
    private static let routedTables = [
        "block_order_accounts", "block_orders", "block_drafts", "customer_orders", "rebalancing_requests",
        "routing_outcomes",
    ]

    static func summary(of date: TradeDate, on connection: PostgresConnection) throws -> RoutingSummary {
        let day = PostgresValue.text(date.description)
        let totals = try connection.query(sql["totals"], day)
        let outcomes = try connection.query(sql["outcome_counts"], day)
        return RoutingSummary(
            date: date, groupCount: totals.int64(0, 0), requestCount: totals.int64(0, 1),
            customerOrderCount: totals.int64(0, 2), blockOrderCount: totals.int64(0, 3),
            quantity: totals.int64(0, 4),
            outcomes: Dictionary(
                uniqueKeysWithValues: (0..<outcomes.rowCount).map {
                    (outcomes.text($0, 0) ?? "", outcomes.int64($0, 1))
                }))
    }

    /// One sum per table over what was routed on a date: equal sums, equal rows.
    static func routingChecksums(of date: TradeDate, on connection: PostgresConnection) throws -> [String: String] {
        var checksums: [String: String] = [:]
        for table in routedTables {
            checksums["orders.\(table)"] =
                try connection.query(sql["routed_\(table)"], .text(date.description)).text(0, 0) ?? ""
        }
        return checksums
    }

    static func truncateRouting(on connection: PostgresConnection) throws {
        try connection.execute(sql["truncate_routing"])
    }

    static func delete(_ date: TradeDate, on connection: PostgresConnection) throws {
        for table in routedTables { try connection.query(sql["delete_\(table)"], .text(date.description)) }
    }
}
