// Prices in the database: COPY in, queries out. Runs on the thread of its connection.

public import Model
public import Postgres

public enum MarketStore {
    private static let sql = SQLScript(embedded: PackageResources.store_sql)

    /// Copies the rows that `body` hands over one by one; returns how many there were.
    @discardableResult
    public static func copyDailyPrices(
        on connection: PostgresConnection, body: (_ row: (DailyPrice) throws -> Void) throws -> Void
    ) throws -> Int {
        try connection.copyIn(sql["copy_daily_prices"]) { writer in
            try body { price in try write(price, to: &writer) }
        }
    }

    /// Uploads the rows that `body` hands over, as a file for `importDailyPrices`. Only into a CockroachDB.
    /// - Returns: where the file is.
    public static func uploadDailyPrices(
        as name: String, on connection: PostgresConnection,
        body: (_ row: (DailyPrice) throws -> Void) throws -> Void
    ) throws -> String {
        try connection.upload(name) { writer in
            try body { price in try write(price, to: &writer) }
        }
    }

    /// Loads uploaded files in one go. Blocks until the cluster is through with it.
    public static func importDailyPrices(from files: [String], on connection: PostgresConnection) throws {
        try connection.execute(importStatement(files))
    }

    static func importStatement(_ files: [String]) -> String {
        let list = files.map { "'\($0)'" }.joined(separator: ", ")
        return sql["import_daily_prices", .cockroachdb].split(separator: ":files").joined(separator: list)
    }

    package static func write(_ price: DailyPrice, to writer: inout CopyWriter) throws {
        writer.int64(price.securityID.rawValue)
        let (year, month, day) = price.date.civil
        writer.date(year: year, month: month, day: day)
        writer.decimal(ticks: price.open.ticks)
        writer.decimal(ticks: price.high.ticks)
        writer.decimal(ticks: price.low.ticks)
        writer.decimal(ticks: price.close.ticks)
        writer.int64(price.volume)
        try writer.endRow()
    }

    public static func truncate(on connection: PostgresConnection) throws {
        try connection.execute(sql["truncate"])
    }

    public static func isEmpty(on connection: PostgresConnection) throws -> Bool {
        try connection.query(sql["is_empty"]).int64(0, 0) != 0
    }

    /// The last day that has any price; nil without prices.
    public static func latestDate(on connection: PostgresConnection) throws -> TradeDate? {
        try connection.query(sql["latest_date"]).text(0, 0).flatMap { TradeDate(iso: $0) }
    }

    /// The open of every security that has a price on `date`, by key.
    public static func openPrices(
        on date: TradeDate, connection: PostgresConnection
    ) throws -> [(securityID: SecurityID, open: Price)] {
        let result = try connection.query(sql["open_prices"], .text(date.description))
        return (0..<result.rowCount).map { row in
            (SecurityID(result.int64(row, 0)), Price(ticks: result.int64(row, 1)))
        }
    }

    /// Rows by table.
    public static func rowCounts(on connection: PostgresConnection) throws -> [String: Int] {
        ["market.daily_prices": Int(try connection.query(sql["count_daily_prices"]).int64(0, 0))]
    }

    /// One sum over all rows by table, in the order of their keys: equal sums, equal tables.
    public static func tableChecksums(on connection: PostgresConnection) throws -> [String: String] {
        ["market.daily_prices": try connection.query(sql["checksum_daily_prices"]).text(0, 0) ?? ""]
    }
}
