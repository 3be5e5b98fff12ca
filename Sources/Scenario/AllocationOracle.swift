// The independent judge: computes from the executions alone what every account must have got. It shares no code with the
// workers: it sums in one pass, and divides by the definition of the method, share by share.

import Allocations
import Model
import Postgres

/// What every account must hold at the end of a run.
struct AllocationOracle {
    private struct BlockTruth {
        var accounts: [(account: Int64, ordered: Int64)] = []
        var filled: Int64 = 0
        var notionalTicks: Int128 = 0
        var ordered: Int64 { accounts.reduce(0) { $0 + $1.ordered } }
    }

    private var blocks: [Int64: BlockTruth] = [:]

    mutating func addOrder(block: Int64, account: Int64, quantity: Int64) {
        blocks[block, default: BlockTruth()].accounts.append((account, quantity))
    }

    mutating func addExecution(block: Int64, quantity: Int64, priceTicks: Int64) {
        blocks[block, default: BlockTruth()].filled += quantity
        blocks[block, default: BlockTruth()].notionalTicks += Int128(quantity) * Int128(priceTicks)
    }

    /// What the accounts of a block hold once `allocated` of its shares are allocated. The price follows from the executions
    /// only when the block is complete; before that it depends on where the snapshot fell, and is nil.
    func expected(block: Int64, allocated: Int64) -> (quantities: [Int64: Int64], priceTicks: Int64?) {
        guard let truth = blocks[block] else { return ([:], nil) }
        let ordered = truth.ordered
        let quantities =
            allocated >= ordered ? truth.accounts.map(\.ordered) : Self.divide(truth.accounts.map(\.ordered), allocated)
        let holders = zip(truth.accounts, quantities).filter { $0.1 > 0 }.map { ($0.0.account, $0.1) }
        var price: Int64?
        if truth.filled == ordered, allocated == ordered {
            let (quotient, remainder) = truth.notionalTicks.quotientAndRemainder(dividingBy: Int128(ordered))
            price = Int64(remainder * 2 >= Int128(ordered) ? quotient + 1 : quotient)
        }
        return (Dictionary(uniqueKeysWithValues: holders), price)
    }

    var blockIDs: [Int64] { blocks.keys.sorted() }

    /// Whether all of a block's shares are executed; then all of them must be allocated.
    func isComplete(_ block: Int64) -> Bool { blocks[block].map { $0.filled == $0.ordered } ?? false }
    func orderedQuantity(of block: Int64) -> Int64 { blocks[block]?.ordered ?? 0 }

    /// Balinski and Young's quota method as it is defined: the next share goes to the largest ordered / (allocated + 1) among
    /// the accounts below their upper quota, the first of equals.
    private static func divide(_ ordered: [Int64], _ shares: Int64) -> [Int64] {
        let total = ordered.reduce(0, +)
        var held = [Int64](repeating: 0, count: ordered.count)
        for house in stride(from: Int64(1), through: shares, by: 1) {
            var winner = -1
            for candidate in ordered.indices where held[candidate] * total < house * ordered[candidate] {
                if winner < 0 || ordered[candidate] * (held[winner] + 1) > ordered[winner] * (held[candidate] + 1) {
                    winner = candidate
                }
            }
            held[winner] += 1
        }
        return held
    }
}

extension AllocationOracle {
    /// Compares the tables of a run with what must be.
    static func check(on connection: PostgresConnection) throws -> CheckResult {
        var oracle = AllocationOracle()
        try AllocationsVerification.forEachOrder(on: connection) {
            oracle.addOrder(block: $0, account: $1, quantity: $2)
        }
        try AllocationsVerification.forEachExecution(on: connection) {
            oracle.addExecution(block: $0, quantity: $1, priceTicks: $2)
        }
        var allocated: [Int64: Int64] = [:]
        try AllocationsVerification.forEachAllocatedQuantity(on: connection) { allocated[$0] = $1 }

        var differences = DifferenceList()
        var expected: [Int64: (quantities: [Int64: Int64], priceTicks: Int64?)] = [:]
        for block in oracle.blockIDs {
            let shares = allocated[block] ?? 0
            if oracle.isComplete(block), shares != oracle.orderedQuantity(of: block) {
                differences.add(
                    "block \(block)", expected: "\(oracle.orderedQuantity(of: block)) shares allocated",
                    actual: "\(shares) shares allocated")
            }
            if shares > oracle.orderedQuantity(of: block) {
                differences.add(
                    "block \(block)", expected: "at most \(oracle.orderedQuantity(of: block)) shares allocated",
                    actual: "\(shares) shares allocated")
            }
            expected[block] = oracle.expected(block: block, allocated: shares)
        }
        try AllocationsVerification.forEachLastAllocation(on: connection) { block, account, quantity, priceTicks in
            let subject = "block \(block) account \(account)"
            guard let truth = expected[block], let shares = expected[block]?.quantities.removeValue(forKey: account)
            else {
                return differences.add(subject, expected: "no allocation", actual: "\(quantity) shares")
            }
            if shares != quantity {
                differences.add(subject, expected: "\(shares) shares", actual: "\(quantity) shares")
            }
            if let price = truth.priceTicks, price != priceTicks {
                differences.add(
                    subject, expected: "average price \(Price(ticks: price))", actual: "\(Price(ticks: priceTicks))")
            }
        }
        for (block, truth) in expected.sorted(by: { $0.key < $1.key }) {
            for (account, shares) in truth.quantities.sorted(by: { $0.key < $1.key }) {
                differences.add(
                    "block \(block) account \(account)", expected: "\(shares) shares", actual: "no allocation")
            }
        }
        return CheckResult(
            name: "allocations_differ_from_oracle", differenceCount: differences.count, first: differences.first)
    }
}

/// Counts differences and keeps the first few.
private struct DifferenceList {
    private(set) var count: Int64 = 0
    private(set) var first: [CheckResult.Difference] = []

    mutating func add(_ subject: String, expected: String, actual: String) {
        count += 1
        if first.count < AllocationsVerification.shownCount {
            first.append(CheckResult.Difference(subject: subject, expected: expected, actual: actual))
        }
    }
}
