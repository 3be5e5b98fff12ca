// Booking, the part of the holdings schema: positions move by what bookings say, each account and block once. The module
// Booking puts it together with the allocations in one transaction. On its connection's thread.

import Measurement
public import Model
public import Postgres

/// What bookings say that blocks have moved, one element per account and block; 0 for an account that got nothing.
public struct PositionMovements: Sendable {
    public private(set) var blocks: [BlockOrderID] = []
    public private(set) var accounts: [AccountID] = []
    public private(set) var securities: [SecurityID] = []
    /// Above 0 bought, below 0 sold.
    public private(set) var quantities: [Int64] = []

    public init() {}

    public mutating func append(block: BlockOrderID, account: AccountID, security: SecurityID, quantity: Int64) {
        blocks.append(block)
        accounts.append(account)
        securities.append(security)
        quantities.append(quantity)
    }

    public var isEmpty: Bool { blocks.isEmpty }
}

/// A movement that can't be made.
public struct MovementFault: Sendable, CustomStringConvertible {
    public let block: BlockOrderID
    public let account: AccountID
    public let security: SecurityID
    public let isAccountUnknown: Bool
    /// What the account holds of the security, and by how much the booking would change that.
    public let held: Int64
    public let difference: Int64

    public var description: String {
        let head = "block order \(block) can't be booked for account \(account): "
        if isAccountUnknown { return head + "holdings.accounts doesn't have it" }
        return head + "it holds \(held) shares of security \(security), and the booking takes \(-difference)"
    }
}

public enum HoldingsBooking {
    private static let script = SQLScript(embedded: PackageResources.book_sql)
    private static let addName: StaticString = "add_positions"
    private static let moveAgainName: StaticString = "move_positions_again"
    private static let moveName: StaticString = "move_positions"
    private static let forgetName: StaticString = "forget_movements"

    /// Prepares the statements; before pipeline mode.
    public static func prepare(on connection: PostgresConnection) throws {
        try connection.prepare("\(addName)", script["add_positions"])
        try connection.prepare("\(moveAgainName)", script["move_again"])
        try connection.prepare("\(moveName)", script["move"])
        try connection.prepare("\(forgetName)", script["forget"])
    }

    /// Moves positions by the difference between `movements` and what was moved before.
    public static func sendMove(
        _ movements: PositionMovements, on connection: PostgresConnection, parameters: ParameterBuffer
    ) throws(PostgresError) {
        guard !movements.isEmpty else { return }
        let made = movements.quantities.indices.filter { movements.quantities[$0] != 0 }
        let none = movements.quantities.indices.filter { movements.quantities[$0] == 0 }
        parameters.reset()
        parameters.append(int64ArrayOf: movements.blocks.count) { movements.blocks[$0].rawValue }
        parameters.append(int64ArrayOf: movements.accounts.count) { movements.accounts[$0].rawValue }
        parameters.append(int64Array: movements.quantities)
        try connection.sendPrepared(moveAgainName, parameters: parameters)
        if !made.isEmpty {
            parameters.reset()
            parameters.append(int64ArrayOf: made.count) { movements.accounts[made[$0]].rawValue }
            parameters.append(int64ArrayOf: made.count) { movements.securities[made[$0]].rawValue }
            try connection.sendPrepared(addName, parameters: parameters)
            parameters.reset()
            parameters.append(int64ArrayOf: made.count) { movements.blocks[made[$0]].rawValue }
            parameters.append(int64ArrayOf: made.count) { movements.accounts[made[$0]].rawValue }
            parameters.append(int64ArrayOf: made.count) { movements.securities[made[$0]].rawValue }
            parameters.append(int64ArrayOf: made.count) { movements.quantities[made[$0]] }
            try connection.sendPrepared(moveName, parameters: parameters)
        }
        if !none.isEmpty {
            parameters.reset()
            parameters.append(int64ArrayOf: none.count) { movements.blocks[none[$0]].rawValue }
            parameters.append(int64ArrayOf: none.count) { movements.accounts[none[$0]].rawValue }
            try connection.sendPrepared(forgetName, parameters: parameters)
        }
    }

    /// Whether an answer to `sendMove` says that every position that had to move did. Those without rows say nothing.
    public static func isComplete(_ result: QueryResult) -> Bool {
        result.columnCount != 2 || result.int64(0, 0) == result.int64(0, 1)
    }

    /// Which of the movements can't be made, by block and account. Outside of pipeline mode.
    public static func faults(
        in movements: PositionMovements, on connection: PostgresConnection
    ) throws -> [MovementFault] {
        let result = try connection.query(
            script["faults"], .int64Array(movements.blocks.map(\.rawValue)),
            .int64Array(movements.accounts.map(\.rawValue)), .int64Array(movements.securities.map(\.rawValue)),
            .int64Array(movements.quantities))
        return (0..<result.rowCount).map { row in
            MovementFault(
                block: BlockOrderID(result.int64(row, 0)), account: AccountID(result.int64(row, 1)),
                security: SecurityID(result.int64(row, 2)), isAccountUnknown: result.int64(row, 3) != 0,
                held: result.int64(row, 4), difference: result.int64(row, 5))
        }
    }

    /// Puts every position back to what it was before any booking, and forgets the movements. A position that a booking added
    /// goes again; one that was there with 0 shares stays. Nobody may book meanwhile.
    /// Only inside a transaction: half of it is worse than nothing.
    public static func restorePositions(on connection: PostgresConnection) throws {
        precondition(connection.isInTransaction, "positions are restored inside a transaction")
        for name in ["restore", "remove_added", "forget_all"] {
            try connection.execute(script[name, connection.dialect])
        }
    }

    /// A digest of what every account would hold if nothing had been booked: whatever is booked, it stays the same.
    public static func unbookedPositionsDigest(on connection: PostgresConnection) throws -> String {
        var digest = RowDigest()
        try connection.copyOut("COPY (\(script.fragment("unbooked_positions"))) TO STDOUT") {
            digest.add(row: $0)
        }
        return digest.description
    }
}
