// What the division of blocks costs: by the lot, by the jump, by the snapshot, and in memory.

import Measurement
import Model
import Report

/// A block of so many accounts, each with 50 to 5,000 lots of 100 shares.
func benchmarkBlock(accounts: Int, policy: AllocationPolicy = .proRata) -> BlockDivision {
    var random = SeededRandom(seed: 4_242, stream: UInt64(accounts))
    // The orders of the largest blocks are smaller, so that their sum stays within what a block may order.
    let lotsMaximum = min(5_000, 2 * QuotaApportionment.totalMaximum / 100 / Int64(accounts) - 100)
    let ordered = (0..<accounts).map { _ in random.integer(in: 50...lotsMaximum) * 100 }
    return BlockDivision(
        policy: policy, lotSize: 100, minimumTicketLots: 2, ordered: ordered,
        arrivals: ordered.indices.map { Int64($0 * 7_919 % 10_007) })
}

/// From snapshot to snapshot by steps of so many lots, through one cursor: the cost of a lot should depend on neither.
func lotByLot(_ size: BenchmarkSize) -> [Figure] {
    size.blockSizes.flatMap { accounts in
        let division = benchmarkBlock(accounts: accounts)
        let lots = division.total / 100
        return [Int64(1), 10, 100, 1_000].filter { $0 <= size.operationsMaximum }.map { step in
            // Not from the start, where every account gets its first lot, but from the middle of the block.
            let first = lots / 2
            let last = min(lots, first + size.operationsMaximum)
            var figure = measure(
                "cursor, \(accounts) accounts, \(step) lots a move", per: "lot", runs: size.runs,
                on: {
                    var cursor = DivisionCursor(division)
                    cursor.move(to: first * 100) { _, _, _ in }
                    return cursor
                },
                { cursor in
                    var checksum: UInt64 = 0
                    for house in stride(from: first + step, through: last, by: Int64.Stride(step)) {
                        cursor.move(to: house * 100) { account, delta, cumulative in
                            checksum = checksum &* 31 &+ UInt64(bitPattern: Int64(account) ^ delta ^ cumulative)
                        }
                    }
                    return ((last - first) / step * step, checksum)
                })
            figure.note = "\(groupedWhole(figure.perSecond)) lots/s"
            return figure
        }
    }
}

/// A division computed from nothing at random places, as after a restart, and by every policy.
func jumps(_ size: BenchmarkSize) -> [Figure] {
    AllocationPolicy.allCases.flatMap { policy in
        size.blockSizes.filter { $0 <= 1_000 }.map { accounts in
            let division = benchmarkBlock(accounts: accounts, policy: policy)
            return measure(
                "allocate, \(policy.rawValue), \(accounts) accounts", per: "division", runs: size.runs,
                on: { SeededRandom(seed: 99) },
                { random in
                    var checksum: UInt64 = 0
                    let operations = min(200, size.operationsMaximum / 20)
                    for _ in 0..<operations {
                        let house = random.integer(in: 0...(division.total / 100))
                        for held in division.allocate(house * 100) { checksum = checksum &* 31 &+ UInt64(held) }
                    }
                    return (operations, checksum)
                })
        }
    }
}

/// What a snapshot of an everyday block needs beside the database: the change of each account, and the price.
func snapshots(_ size: BenchmarkSize) -> [Figure] {
    let division = benchmarkBlock(accounts: 20)
    let quarter = division.total / 4
    return [
        measure(
            "snapshots at the quarters, 20 accounts", per: "snapshot", runs: size.runs,
            on: { (deltas: [Int64](), cumulatives: [Int64]()) },
            { rows in
                var checksum: UInt64 = 0
                let blocks = max(1, size.operationsMaximum / 500)
                for block in 0..<blocks {
                    var cursor = DivisionCursor(division)
                    for part in 1...Int64(4) {
                        let filled = part == 4 ? division.total : part * quarter
                        rows.deltas.removeAll(keepingCapacity: true)
                        rows.cumulatives.removeAll(keepingCapacity: true)
                        cursor.move(to: filled) { _, delta, cumulative in
                            rows.deltas.append(delta)
                            rows.cumulatives.append(cumulative)
                        }
                        let notional = Int128(filled) * Int128(1_234_567 + block) + Int128(part)
                        let average = AveragePrice(notionalTicks: notional, quantity: filled)
                        checksum = checksum &* 31 &+ UInt64(average.price.ticks)
                        checksum = checksum &* 31 &+ UInt64(rows.deltas.count)
                        checksum = checksum &* 31 &+ UInt64(bitPattern: rows.cumulatives.last ?? 0)
                    }
                }
                return (blocks * 4, checksum)
            })
    ]
}

let cursorMemory = "memory of a cursor, 1000 accounts"

/// Memory of a cursor for each account of its block, by what the process grows by with half a million accounts; nil where
/// /proc doesn't tell.
func cursorBytesPerAccount(accounts: Int) -> Double? {
    let division = benchmarkBlock(accounts: accounts)
    var kept: [DivisionCursor] = []
    let cursors = 500_000 / accounts
    kept.reserveCapacity(cursors)
    guard let before = ProcessUsage.own() else { return nil }
    for _ in 0..<cursors {
        var cursor = DivisionCursor(division)
        cursor.move(to: division.total / 2) { _, _, _ in }
        kept.append(cursor)
    }
    guard let after = ProcessUsage.own() else { return nil }
    let grown = after.residentBytes - before.residentBytes
    return withExtendedLifetime(kept) { Double(grown) / Double(cursors * accounts) }
}
