// Booking, the part of the allocations schema: what the outbox holds, and what is written of it. The module Booking puts it
// together with the positions in one transaction. On its connection's thread, in pipeline mode.

public import Model
public import Postgres

/// A block out of the outbox, and what its last snapshot says.
public struct TakenBlock: Sendable {
    public let id: BlockOrderID
    /// The server's clock, in microseconds since 1970, when its oldest request was made.
    public let requestedAtUs: Int64
    public let snapshotNumber: Int64
    public let cumQuantity: Int64
    public let isFinal: Bool
    public let orderQuantity: Int64
    public let isCanceled: Bool
    public let security: SecurityID
    public let side: Side
    /// Its accounts among those of `TakenBlocks`.
    public internal(set) var accounts: Range<Int>

    /// Only a block that is filled, or canceled with fills, is booked; of any other the booking is taken back.
    public var isBooked: Bool { isFinal && cumQuantity > 0 }
}

/// What one booking transaction has taken out of the outbox.
public struct TakenBlocks: Sendable {
    public internal(set) var blocks: [TakenBlock] = []
    /// The accounts behind the blocks and what each has got, block after block.
    public internal(set) var accounts: [AccountID] = []
    public internal(set) var quantities: [Int64] = []

    public init() {}
}

/// Tables that contradict each other, so that a block can't be booked.
public struct BookingFault: Error, Sendable, CustomStringConvertible {
    public let block: BlockOrderID
    public var message: String

    public var description: String { "block order \(block) can't be booked: \(message)" }
}

public enum AllocationsBooking {
    private static let script = SQLScript(embedded: PackageResources.book_sql)
    private static let takeName: StaticString = "take_bookings"
    private static let bookName: StaticString = "book_allocations"
    private static let unsettleName: StaticString = "unsettle"
    private static let unbookName: StaticString = "unbook"

    /// Prepares the statements; before pipeline mode.
    public static func prepare(on connection: PostgresConnection) throws {
        try connection.prepare("\(takeName)", script["take"])
        try connection.prepare("\(bookName)", script["book"])
        try connection.prepare("\(unsettleName)", script["unsettle"])
        try connection.prepare("\(unbookName)", script["unbook"])
    }

    /// Takes up to `limit` blocks, the longest waiting first. The answer is for `taken(_:)`.
    public static func sendTake(
        limit: Int, on connection: PostgresConnection, parameters: ParameterBuffer
    ) throws(PostgresError) {
        parameters.reset()
        parameters.append(int64: Int64(limit))
        try connection.sendPrepared(takeName, parameters: parameters)
    }

    /// Reads the answer of `sendTake`.
    /// - Throws: if the tables contradict each other.
    public static func taken(_ result: QueryResult) throws(BookingFault) -> TakenBlocks {
        var taken = TakenBlocks()
        taken.accounts.reserveCapacity(result.rowCount)
        taken.quantities.reserveCapacity(result.rowCount)
        var row = 0
        while row < result.rowCount {
            var block = try takenBlock(result, row: row, firstAccount: taken.accounts.count)
            var sum: Int64 = 0
            while row < result.rowCount, result.int64(row, 0) == block.id.rawValue {
                guard let account = result.optionalInt64(row, Column.account) else {
                    throw fault(block.id, "has no accounts behind it")
                }
                let quantity = result.int64(row, Column.quantity)
                guard quantity >= 0 else {
                    throw fault(block.id, "account \(account): its allocations add up to \(quantity) shares")
                }
                taken.accounts.append(AccountID(account))
                taken.quantities.append(quantity)
                sum += quantity
                row += 1
            }
            guard sum == block.cumQuantity else {
                throw fault(
                    block.id,
                    "its accounts' allocations add up to \(sum) shares, "
                        + "its snapshot \(block.snapshotNumber) has \(block.cumQuantity)")
            }
            block.accounts = block.accounts.lowerBound..<taken.accounts.count
            taken.blocks.append(block)
        }
        return taken
    }

    /// Writes bookings, audits and instructions, each where it differs from what stands there.
    public static func sendBook(
        _ taken: TakenBlocks, on connection: PostgresConnection, parameters: ParameterBuffer
    ) throws(PostgresError) {
        let booked = taken.blocks.filter(\.isBooked)
        if !booked.isEmpty {
            let rows = taken.rows { $0.isBooked }
            parameters.reset()
            parameters.append(int64ArrayOf: booked.count) { booked[$0].id.rawValue }
            parameters.append(int64ArrayOf: booked.count) { booked[$0].snapshotNumber }
            parameters.append(int64ArrayOf: booked.count) { booked[$0].orderQuantity }
            parameters.append(int64ArrayOf: booked.count) { booked[$0].isCanceled ? 1 : 0 }
            parameters.append(int64ArrayOf: rows.count) { taken.blocks[rows[$0].block].id.rawValue }
            parameters.append(int64ArrayOf: rows.count) { taken.accounts[rows[$0].account].rawValue }
            parameters.append(int64ArrayOf: rows.count) { taken.quantities[rows[$0].account] }
            try connection.sendPrepared(bookName, parameters: parameters)
            let empty = rows.filter { taken.quantities[$0.account] == 0 }
            if !empty.isEmpty {
                parameters.reset()
                parameters.append(int64ArrayOf: empty.count) { taken.blocks[empty[$0].block].id.rawValue }
                parameters.append(int64ArrayOf: empty.count) { taken.accounts[empty[$0].account].rawValue }
                try connection.sendPrepared(unsettleName, parameters: parameters)
            }
        }
        let unbooked = taken.blocks.filter { !$0.isBooked }
        if !unbooked.isEmpty {
            parameters.reset()
            parameters.append(int64ArrayOf: unbooked.count) { unbooked[$0].id.rawValue }
            try connection.sendPrepared(unbookName, parameters: parameters)
        }
    }

    /// Whether no request waits; one that another transaction has taken but not committed does.
    public static func isOutboxEmpty(on connection: PostgresConnection) throws -> Bool {
        try connection.query(script["outbox_is_empty"]).int64(0, 0) != 0
    }

    /// The accounts that have allocations of a block without being behind it.
    public static func strayAccounts(of block: BlockOrderID, on connection: PostgresConnection) throws -> [AccountID] {
        let result = try connection.query(script["stray_allocations"], .int64(block.rawValue))
        return (0..<result.rowCount).map { AccountID(result.int64($0, 0)) }
    }

    // MARK: Rows

    private enum Column {
        static let requestedAt = 1
        static let snapshotNumber = 2
        static let cumQuantity = 3
        static let isFinal = 4
        static let orderQuantity = 5
        static let isCanceled = 6
        static let security = 7
        static let side = 8
        static let account = 9
        static let quantity = 10
    }

    private static func takenBlock(
        _ result: QueryResult, row: Int, firstAccount: Int
    ) throws(BookingFault) -> TakenBlock {
        let id = BlockOrderID(result.int64(row, 0))
        guard let security = result.optionalInt64(row, Column.security) else {
            throw fault(id, "isn't among the blocks that allocations received")
        }
        guard let snapshotNumber = result.optionalInt64(row, Column.snapshotNumber) else {
            throw fault(id, "has no snapshot")
        }
        guard let side = result.text(row, Column.side).flatMap(Side.init(rawValue:)) else {
            throw fault(id, "has the side \(result.text(row, Column.side) ?? "NULL")")
        }
        return TakenBlock(
            id: id, requestedAtUs: result.int64(row, Column.requestedAt), snapshotNumber: snapshotNumber,
            cumQuantity: result.int64(row, Column.cumQuantity), isFinal: result.int64(row, Column.isFinal) != 0,
            orderQuantity: result.int64(row, Column.orderQuantity),
            isCanceled: result.int64(row, Column.isCanceled) != 0, security: SecurityID(security), side: side,
            accounts: firstAccount..<firstAccount)
    }

    private static func fault(_ block: BlockOrderID, _ what: String) -> BookingFault {
        BookingFault(block: block, message: what)
    }
}

extension TakenBlocks {
    /// The accounts of the blocks that `condition` picks, each with its block, as places in the arrays.
    fileprivate func rows(where condition: (TakenBlock) -> Bool) -> [(block: Int, account: Int)] {
        blocks.indices.filter { condition(blocks[$0]) }.flatMap { block in
            blocks[block].accounts.map { (block, $0) }
        }
    }
}
