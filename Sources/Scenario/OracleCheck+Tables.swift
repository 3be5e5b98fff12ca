// Which rows each final table must have, as the oracle sees it.

import Allocations
import Model
import Oracle

/// A table with its rows as the oracle expects them, in order of account.
struct ExpectedTable {
    struct Row {
        /// 0 in a table with one row a block.
        let account: Int64
        let values: [Int128]
    }

    struct Column {
        let name: String
        let isMoney: Bool

        static func count(_ name: String) -> Column { Column(name: name, isMoney: false) }
        static func money(_ name: String) -> Column { Column(name: name, isMoney: true) }
    }

    let source: AllocationsVerification.FinalTable
    /// What one row is.
    let what: String
    let columns: [Column]
    let rows: @Sendable (BlockExpectation) -> [Row]

    /// The chosen columns of a row, with their names.
    func text(_ values: [Int128], where isShown: (Int) -> Bool) -> String {
        let shown = values.indices.filter(isShown).map { column in
            let value = columns[column].isMoney ? Price.format(ticks: values[column]) : "\(values[column])"
            return "\(columns[column].name) \(value)"
        }
        return "\(what) with \(shown.joined(separator: ", "))"
    }
}

extension ExpectedTable {
    static let blockFills = ExpectedTable(
        source: .blockFills, what: "block",
        columns: [
            .count("version"), .count("order quantity"), .count("canceled"), .count("filled"), .money("notional"),
            .count("executions"),
        ]
    ) { block in
        let truth = block.truth
        return [
            Row(
                account: 0,
                values: [
                    Int128(truth.orderVersion), Int128(truth.orderQuantity), truth.isCanceled ? 1 : 0,
                    Int128(truth.cumQuantity), truth.notionalTicks, Int128(truth.executionCount),
                ])
        ]
    }

    static let lastSnapshots = ExpectedTable(
        source: .lastSnapshots, what: "last snapshot",
        columns: [
            .count("filled"), .money("notional"), .money("average price"), .money("residual"), .count("final"),
        ]
    ) { block in block.snapshotRow.map { [Row(account: 0, values: $0)] } ?? [] }

    static let allocations = ExpectedTable(
        source: .allocations, what: "allocation", columns: [.count("quantity")]
    ) { block in
        zip(block.truth.order.legs, block.quantities).filter { $0.1 > 0 }.map {
            Row(account: $0.0.account, values: [Int128($0.1)])
        }
    }

    static let bookings = [
        blockBookings, accountAudits, allocationInstructions, settlementInstructions, positionMovements,
    ]

    private static let blockBookings = ExpectedTable(
        source: .blockBookings, what: "booking",
        columns: [
            .count("status"), .count("intended"), .count("order quantity"), .count("allocated"), .money("notional"),
            .money("average price"), .money("residual"),
        ]
    ) { block in
        let truth = block.truth
        guard truth.isBooked else { return [] }
        let price = truth.averagePrice
        return [
            Row(
                account: 0,
                values: [
                    truth.ordStatus == "FILLED" ? 1 : 2, Int128(truth.order.legs.reduce(0) { $0 + $1.quantity }),
                    Int128(truth.orderQuantity), Int128(truth.cumQuantity), truth.notionalTicks, Int128(price.ticks),
                    price.residualTicks,
                ])
        ]
    }

    private static let accountAudits = ExpectedTable(
        source: .accountAudits, what: "audit",
        columns: [.count("security"), .count("intended"), .count("allocated"), .money("average price")]
    ) { block in
        block.bookings.map {
            Row(
                account: $0.account,
                values: [
                    Int128(block.truth.order.security), Int128($0.intendedQuantity), Int128($0.allocatedQuantity),
                    Int128($0.averagePriceTicks),
                ])
        }
    }

    private static let allocationInstructions = ExpectedTable(
        source: .allocationInstructions, what: "allocation instruction",
        columns: [.count("quantity"), .money("average price")]
    ) { block in
        block.bookings.filter { $0.allocatedQuantity > 0 }.map {
            Row(account: $0.account, values: [Int128($0.allocatedQuantity), Int128($0.averagePriceTicks)])
        }
    }

    private static let settlementInstructions = ExpectedTable(
        source: .settlementInstructions, what: "settlement instruction",
        columns: [
            .count("security"), .count("purchase"), .count("quantity"), .money("average price"), .money("net money"),
            .count("day"),
        ]
    ) { block in
        block.bookings.filter { $0.allocatedQuantity > 0 }.map {
            Row(
                account: $0.account,
                values: [
                    Int128(block.truth.order.security), block.truth.order.isBuy ? 1 : 0, Int128($0.allocatedQuantity),
                    Int128($0.averagePriceTicks), $0.netMoneyTicks, Int128(block.truth.settlementDay),
                ])
        }
    }

    private static let positionMovements = ExpectedTable(
        source: .positionMovements, what: "position movement", columns: [.count("security"), .count("quantity")]
    ) { block in
        block.bookings.filter { $0.positionDelta != 0 }.map {
            Row(account: $0.account, values: [Int128(block.truth.order.security), Int128($0.positionDelta)])
        }
    }
}
