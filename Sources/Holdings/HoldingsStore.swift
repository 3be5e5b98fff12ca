// Managers, accounts and positions in the database: COPY in, queries out. Runs on the thread of its connection.

import Model
public import Postgres

public enum HoldingsStore {
    private static let sql = SQLScript(embedded: PackageResources.store_sql)

    /// Returns how many rows were copied, as all the functions that copy.
    @discardableResult
    public static func copyManagers(_ managers: [Manager], on connection: PostgresConnection) throws -> Int {
        try connection.copyIn(sql["copy_managers"]) { writer in
            for manager in managers {
                writer.int64(manager.id.rawValue)
                writer.text(manager.name)
                writer.int64(manager.group)
                try writer.endRow()
            }
        }
    }

    /// Accounts go before their positions, which refer to them.
    @discardableResult
    public static func copyAccounts(of portfolios: [Portfolio], on connection: PostgresConnection) throws -> Int {
        try connection.copyIn(sql["copy_accounts"]) { writer in
            for portfolio in portfolios {
                writer.int64(portfolio.account.id.rawValue)
                writer.int64(portfolio.account.managerID.rawValue)
                writer.text(portfolio.account.name)
                writer.decimal(ticks: portfolio.account.cashTicks)
                writer.text(portfolio.account.sectorPreference)
                writer.text(portfolio.account.riskClass.rawValue)
                writer.text(portfolio.account.targetBroker)
                try writer.endRow()
            }
        }
    }

    @discardableResult
    public static func copyPositions(of portfolios: [Portfolio], on connection: PostgresConnection) throws -> Int {
        try connection.copyIn(sql["copy_positions"]) { writer in
            for position in portfolios.lazy.flatMap(\.positions) {
                writer.int64(position.accountID.rawValue)
                writer.int64(position.securityID.rawValue)
                writer.int64(position.quantity)
                try writer.endRow()
            }
        }
    }

    public static func truncate(on connection: PostgresConnection) throws {
        try connection.execute(sql["truncate"])
    }

    public static func isEmpty(on connection: PostgresConnection) throws -> Bool {
        try connection.query(sql["is_empty"]).int64(0, 0) != 0
    }

    private static let tables = ["managers", "accounts", "positions"]

    /// Rows by table.
    public static func rowCounts(on connection: PostgresConnection) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for table in tables {
            counts["holdings.\(table)"] = Int(try connection.query(sql["count_\(table)"]).int64(0, 0))
        }
        return counts
    }

    /// One sum over all rows by table, in the order of their keys: equal sums, equal tables.
    public static func tableChecksums(on connection: PostgresConnection) throws -> [String: String] {
        var checksums: [String: String] = [:]
        for table in tables {
            checksums["holdings.\(table)"] = try connection.query(sql["checksum_\(table)"]).text(0, 0) ?? ""
        }
        return checksums
    }
}
