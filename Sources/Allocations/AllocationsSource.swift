// Where the rows of the allocations stage come from before a worker starts: the blocks of the orders stage.
// Runs on its connection's thread.

import Diagnostics
import Model
public import Postgres

public enum AllocationsSource {
    private static let script = SQLScript(embedded: PackageResources.prepare_sql)

    /// Empties every table of the stage: what a benchmark run starts from.
    public static func truncate(on connection: PostgresConnection) throws {
        try connection.execute(script["truncate"])
    }

    /// Receives the blocks that were routed since the last time, and one offset row per partition of the topic.
    public static func receive(on connection: PostgresConnection, topic: String, partitions: Int) throws {
        try connection.query(script["receive_blocks"])
        try connection.query(script["receive_block_accounts"])
        for partition in 0..<partitions {
            try connection.query(script["receive_partition"], .text(topic), .int64(Int64(partition)))
        }
        try connection.execute("ANALYZE allocations.block_fills")
        try connection.execute("ANALYZE allocations.block_accounts")
    }

    /// Ends the sessions of all workers, allocating and booking, of this database: a planned fault.
    public static func terminateWorkers(on connection: PostgresConnection) throws {
        try connection.query(script["terminate_workers", connection.dialect])
    }

    /// Splits the tables that hold a block's rows between the received blocks, so that a cluster's nodes share them from the
    /// start. Rows that come later fall into these ranges; splits that are there already stay. Only CockroachDB has ranges.
    public static func split(_ settings: CockroachSettings, on connection: PostgresConnection) throws {
        guard connection.dialect == .cockroachdb, settings.splitPoints > 0 else { return }
        let blocks = try connection.query(script["blocks"])
        let keys = settings.splitKeys(among: (0..<blocks.rowCount).map { blocks.int64($0, 0) })
        for table in ["block_fills", "block_accounts", "snapshots", "allocations"] {
            for statement in CockroachSettings.splitStatements(of: "allocations.\(table)", at: keys) {
                try connection.execute(statement)
            }
        }
    }

    /// Reads the received blocks with their accounts.
    /// - Throws: when the accounts of a block didn't order what the block has.
    public static func book(on connection: PostgresConnection) throws -> BlockBook {
        let names = try connection.query(script["blocks"])
        let rows = try connection.query(script["block_accounts"])
        var blocks: [Block] = []
        blocks.reserveCapacity(names.rowCount)
        var row = 0
        for index in 0..<names.rowCount {
            let id = names.int64(index, 0)
            var accounts: [AccountID] = []
            var ordered: [Int64] = []
            var arrivals: [Int64] = []
            while row < rows.rowCount, rows.int64(row, 0) == id {
                accounts.append(AccountID(rows.int64(row, 1)))
                ordered.append(rows.int64(row, 2))
                arrivals.append(rows.int64(row, 3))
                row += 1
            }
            let (shares, sum) = (names.int64(index, 2), ordered.reduce(0, +))
            guard shares == sum else {
                throw OperatingError(
                    "block order \(id) has \(shares) shares, its accounts have \(sum)",
                    remedy: "prepare the allocations tables again")
            }
            let word = names.text(index, 3) ?? ""
            guard let policy = AllocationPolicy(rawValue: word) else {
                throw OperatingError(
                    "block order \(id) has the allocation policy \(word), which is none of "
                        + AllocationPolicy.allCases.map(\.rawValue).joined(separator: ", "))
            }
            blocks.append(
                Block(
                    id: BlockOrderID(id), code: names.text(index, 1) ?? "", accounts: accounts,
                    division: BlockDivision(
                        policy: policy, lotSize: names.int64(index, 4), minimumTicketLots: names.int64(index, 5),
                        ordered: ordered, arrivals: arrivals)))
        }
        return BlockBook(blocks: blocks)
    }
}
