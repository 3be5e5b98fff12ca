// Compares the tables of a run, row by row, with what the oracle computes from the messages. Runs on its connection's thread.
// Memory grows with blocks and their accounts, not with executions.

import Allocations
import Model
import Oracle
import Postgres

enum OracleCheck {
    /// Blocks, their accounts' quantities, and their bookings: one result each.
    /// - Parameter includesBookings: false where nobody books, as in a test of the workers alone.
    static func run(on connection: PostgresConnection, includesBookings: Bool) throws -> [CheckResult] {
        let oracle = try readOracle(on: connection)
        var snapshots: [Int64: LastSnapshot] = [:]
        try AllocationsVerification.forEachRow(of: .lastSnapshots, on: connection) {
            snapshots[Int64($0[0])] = LastSnapshot(row: $0)
        }
        let expectations = oracle.blockIDs.compactMap { id in
            oracle.blocks[id].map { BlockExpectation(truth: $0, lastSnapshot: snapshots[id]) }
        }
        return try [
            check("blocks_differ_from_oracle", [.blockFills, .lastSnapshots], expectations, on: connection),
            check("allocations_differ_from_oracle", [.allocations], expectations, on: connection),
        ]
            + (includesBookings
                ? [check("bookings_differ_from_oracle", ExpectedTable.bookings, expectations, on: connection)] : [])
    }

    /// The oracle of everything that was ordered and executed. Changes come first: then no trade must be remembered.
    private static func readOracle(on connection: PostgresConnection) throws -> AllocationOracle {
        let policies = try AllocationsVerification.policies(on: connection)
        var orders: [BlockOrder] = []
        var positions: [Int64: Int] = [:]
        try AllocationsVerification.forEachOrder(on: connection) { row in
            positions[Int64(row[0])] = orders.count
            orders.append(
                BlockOrder(
                    id: Int64(row[0]), isBuy: row[1] == 1, security: Int64(row[2]), tradeDay: Int64(row[3]),
                    orderQuantity: Int64(row[4]), policy: policies[Int64(row[0])] ?? "", lotSize: Int64(row[5]),
                    minimumTicketLots: Int64(row[6])))
        }
        try AllocationsVerification.forEachLeg(on: connection) { row in
            guard let position = positions[Int64(row[0])] else { return }
            orders[position].legs.append(
                BlockOrder.Leg(account: Int64(row[1]), quantity: Int64(row[2]), arrival: Int64(row[3])))
        }
        var oracle = AllocationOracle(blocks: orders)
        try AllocationsVerification.forEachChange(on: connection) { row in
            let kind: ExecutionReport.Kind =
                switch row[2] {
                case 2: .bust(of: Int64(row[3]))
                case 3: .cancel(version: Int64(row[4]), orderQuantity: Int64(row[5]))
                default: .replace(version: Int64(row[4]), orderQuantity: Int64(row[5]))
                }
            oracle.noteChange(ExecutionReport(id: Int64(row[0]), block: Int64(row[1]), kind: kind))
        }
        try AllocationsVerification.forEachTrade(on: connection) { row in
            oracle.countTrade(
                ExecutionReport(
                    id: Int64(row[0]), block: Int64(row[1]),
                    kind: .trade(quantity: Int64(row[2]), priceTicks: Int64(row[3]))))
        }
        return oracle
    }

    private static func check(
        _ name: String, _ tables: [ExpectedTable], _ expectations: [BlockExpectation],
        on connection: PostgresConnection
    ) throws -> CheckResult {
        var differences = DifferenceList()
        for table in tables {
            var comparison = TableComparison(table: table, expectations: expectations)
            try AllocationsVerification.forEachRow(of: table.source, on: connection) {
                comparison.take($0, &differences)
            }
            comparison.finish(&differences)
        }
        return CheckResult(name: name, differenceCount: differences.count, first: differences.first)
    }
}

/// What the last snapshot of a block says.
struct LastSnapshot {
    let cumQuantity: Int64
    let notionalTicks: Int128

    init(row: [Int128]) {
        cumQuantity = Int64(row[2])
        notionalTicks = row[3]
    }
}

/// What must be in the tables of one block.
struct BlockExpectation {
    let truth: BlockTruth
    let lastSnapshot: LastSnapshot?
    /// What its accounts hold, in order of account.
    let quantities: [Int64]
    let bookings: [AccountBooking]

    /// - Parameter lastSnapshot: of a block that hasn't ended, where its last snapshot fell. That depends on how the messages
    ///   were cut into transactions; what the snapshot says follows from it.
    init(truth: BlockTruth, lastSnapshot: LastSnapshot?) {
        self.truth = truth
        self.lastSnapshot = lastSnapshot
        bookings = truth.bookings
        quantities =
            truth.isBooked
            ? bookings.map(\.allocatedQuantity)
            : truth.allocation(of: truth.isSettled ? truth.cumQuantity : max(0, lastSnapshot?.cumQuantity ?? 0))
    }

    /// What the last snapshot must say; nil if there must be none.
    var snapshotRow: [Int128]? {
        if truth.isBooked || (truth.isSettled && lastSnapshot != nil) {
            return row(truth.cumQuantity, truth.notionalTicks, isFinal: true)
        }
        guard !truth.isSettled, let last = lastSnapshot else { return nil }
        // Only a bust lowers what is filled, and a bust of allocated shares makes a snapshot due at once.
        return row(
            truth.isOverfilled ? last.cumQuantity : min(last.cumQuantity, truth.cumQuantity), last.notionalTicks,
            isFinal: truth.isOverfilled ? nil : false)
    }

    private func row(_ cumQuantity: Int64, _ notionalTicks: Int128, isFinal: Bool?) -> [Int128] {
        let price = RoundedPrice(notionalTicks: notionalTicks, quantity: cumQuantity)
        return [Int128(cumQuantity), notionalTicks, Int128(price.ticks), price.residualTicks]
            + (isFinal.map { [$0 ? 1 : 0] } ?? [])
    }
}

/// Merges the rows of a table, as they come, with what must be in it.
private struct TableComparison {
    let table: ExpectedTable
    let expectations: [BlockExpectation]
    /// The block whose rows are compared, and its expected row that comes next.
    private var block = 0
    private var pending: ArraySlice<ExpectedTable.Row>

    init(table: ExpectedTable, expectations: [BlockExpectation]) {
        self.table = table
        self.expectations = expectations
        pending = expectations.first.map(table.rows)?[...] ?? []
    }

    mutating func take(_ actual: [Int128], _ differences: inout DifferenceList) {
        let (id, account) = (Int64(actual[0]), Int64(actual[1]))
        while block < expectations.count, expectations[block].truth.order.id < id { nextBlock(&differences) }
        if block < expectations.count, expectations[block].truth.order.id == id {
            while let missing = pending.first, missing.account < account {
                report(missing, nil, &differences)
                pending.removeFirst()
            }
            if let expected = pending.first, expected.account == account {
                pending.removeFirst()
                return compare(expected, actual, &differences)
            }
        }
        differences.add(
            subject(id, account), expected: "no \(table.what)",
            actual: table.text(Array(actual.dropFirst(2)), where: { _ in true }))
    }

    mutating func finish(_ differences: inout DifferenceList) {
        while block < expectations.count { nextBlock(&differences) }
    }

    private mutating func nextBlock(_ differences: inout DifferenceList) {
        for missing in pending { report(missing, nil, &differences) }
        block += 1
        pending = block < expectations.count ? table.rows(expectations[block])[...] : []
    }

    private func compare(_ expected: ExpectedTable.Row, _ actual: [Int128], _ differences: inout DifferenceList) {
        let values = Array(actual.dropFirst(2))
        if expected.values != Array(values.prefix(expected.values.count)) { report(expected, values, &differences) }
    }

    /// Only the columns that differ are told.
    private func report(_ expected: ExpectedTable.Row, _ actual: [Int128]?, _ differences: inout DifferenceList) {
        let differs = { (column: Int) in actual.map { $0[column] != expected.values[column] } ?? true }
        differences.add(
            subject(expectations[block].truth.order.id, expected.account),
            expected: table.text(expected.values, where: differs),
            actual: actual.map { table.text(Array($0.prefix(expected.values.count)), where: differs) }
                ?? "no \(table.what)")
    }

    private func subject(_ block: Int64, _ account: Int64) -> String {
        account == 0 ? "block \(block)" : "block \(block) account \(account)"
    }
}

/// Counts differences and keeps the first few.
struct DifferenceList {
    private(set) var count: Int64 = 0
    private(set) var first: [CheckResult.Difference] = []

    mutating func add(_ subject: String, expected: String, actual: String) {
        count += 1
        if first.count < AllocationsVerification.shownCount {
            first.append(CheckResult.Difference(subject: subject, expected: expected, actual: actual))
        }
    }
}
