// The division of a block by its definition, one lot at a time: slow, and obviously right. Shares no code with the engine.

import Measurement
import Model

/// A block to divide, as the tests draw it.
struct DrawnBlock: CustomStringConvertible {
    var policy: AllocationPolicy
    var lotSize: Int64
    var minimumTicketLots: Int64
    var ordered: [Int64]
    var arrivals: [Int64]

    var total: Int64 { ordered.reduce(0, +) }

    var division: BlockDivision {
        BlockDivision(
            policy: policy, lotSize: lotSize, minimumTicketLots: minimumTicketLots, ordered: ordered, arrivals: arrivals
        )
    }

    var description: String {
        "\(policy.rawValue), lot \(lotSize), minimum \(minimumTicketLots), ordered \(ordered), arrivals \(arrivals)"
    }
}

extension DrawnBlock {
    /// A random block; about one in six has an account with an odd lot, and some customer orders are shared.
    static func drawn(
        by random: inout SeededRandom, policy: AllocationPolicy, accountsMaximum: Int64, lotsMaximum: Int64
    ) -> DrawnBlock {
        let accounts = random.integer(in: 1...accountsMaximum)
        let lotSize = random.integer(in: 0...2) == 0 ? 1 : random.integer(in: 2...100)
        let largest = random.integer(in: 1...lotsMaximum)
        var ordered = (0..<accounts).map { _ in random.integer(in: 1...largest) * lotSize }
        if random.integer(in: 0...5) == 0 {
            ordered = ordered.map { max(1, $0 / lotSize) }
            ordered[0] += random.integer(in: 0...1)
        }
        return DrawnBlock(
            policy: policy, lotSize: lotSize, minimumTicketLots: random.integer(in: 1...6), ordered: ordered,
            arrivals: (0..<accounts).map { _ in random.integer(in: 1...(2 * accounts)) })
    }
}

/// What every account holds at every number of lots up to the whole block.
struct DivisionReference {
    let block: DrawnBlock
    let lotSize: Int64
    private let lots: [Int64]
    /// For policies that give out lot after lot: what is held at every number of lots, from 0.
    private let path: [[Int64]]

    init(_ block: DrawnBlock) {
        self.block = block
        var isOdd = false
        for order in block.ordered where order % block.lotSize != 0 { isOdd = true }
        lotSize = isOdd ? 1 : block.lotSize
        let lotSize = lotSize
        lots = block.ordered.map { $0 / lotSize }
        switch block.policy {
        case .proRata, .proRataMinimumTicket: path = Self.byQuota(lots)
        case .timePriority: path = Self.byArrival(lots, arrivals: block.arrivals)
        case .equal: path = Self.equally(lots)
        case .largestRemainder: path = []
        }
    }

    /// What every account holds at a number of lots, in lots.
    func allocateLots(_ house: Int) -> [Int64] {
        switch block.policy {
        case .proRata, .timePriority, .equal: path[house]
        case .proRataMinimumTicket:
            Self.minimumTickets(
                path[house], lots: lots, minimum: block.minimumTicketLots, arrivals: block.arrivals)
        case .largestRemainder: Self.byLargestRemainder(lots, house: Int64(house))
        }
    }

    /// What every account holds, in shares.
    func allocate(_ filled: Int64) -> [Int64] {
        var rest = filled
        var allocated = block.ordered.map { _ in Int64(0) }
        while rest >= block.total {
            rest -= block.total
            for account in allocated.indices { allocated[account] += block.ordered[account] }
        }
        let house = Int(rest / lotSize)
        let held = allocateLots(house)
        for account in allocated.indices { allocated[account] += held[account] * lotSize }
        let oddShares = rest - Int64(house) * lotSize
        if oddShares > 0 {
            let withNext = allocateLots(house + 1)
            for account in allocated.indices where withNext[account] > held[account] {
                allocated[account] += oddShares
                break
            }
        }
        return allocated
    }

    static func byQuota(_ lots: [Int64]) -> [[Int64]] {
        let total = lots.reduce(0, +)
        var held = lots.map { _ in Int64(0) }
        var all = [held]
        for house in stride(from: Int64(1), through: total, by: 1) {
            var chosen: Int?
            for account in lots.indices where held[account] * total < house * lots[account] {
                if let best = chosen, lots[account] * (held[best] + 1) <= lots[best] * (held[account] + 1) { continue }
                chosen = account
            }
            held[chosen!] += 1
            all.append(held)
        }
        return all
    }

    private static func arrivalOrder(_ arrivals: [Int64]) -> [Int] {
        var order: [Int] = []
        for arrival in Set(arrivals).sorted() {
            for account in arrivals.indices where arrivals[account] == arrival { order.append(account) }
        }
        return order
    }

    private static func minimumTickets(
        _ quota: [Int64], lots: [Int64], minimum: Int64, arrivals: [Int64]
    ) -> [Int64] {
        var held = quota
        var taken: Int64 = 0
        for account in lots.indices where quota[account] > 0 {
            if quota[account] < minimum && quota[account] < lots[account] {
                taken += quota[account]
                held[account] = 0
            }
        }
        for account in arrivalOrder(arrivals) {
            // Lot by lot, and undone if the account is still below its minimum when nothing is left.
            let (heldBefore, takenBefore) = (held[account], taken)
            while taken > 0 && held[account] < lots[account] {
                held[account] += 1
                taken -= 1
            }
            if held[account] < minimum && held[account] < lots[account] {
                (held[account], taken) = (heldBefore, takenBefore)
            }
        }
        for account in arrivalOrder(arrivals) where held[account] == 0 {
            held[account] = taken
            taken = 0
        }
        return held
    }

    private static func byArrival(_ lots: [Int64], arrivals: [Int64]) -> [[Int64]] {
        var held = lots.map { _ in Int64(0) }
        var all = [held]
        for account in arrivalOrder(arrivals) {
            for _ in 0..<lots[account] {
                held[account] += 1
                all.append(held)
            }
        }
        return all
    }

    private static func equally(_ lots: [Int64]) -> [[Int64]] {
        var held = lots.map { _ in Int64(0) }
        var all = [held]
        while held != lots {
            for account in lots.indices where held[account] < lots[account] {
                held[account] += 1
                all.append(held)
            }
        }
        return all
    }

    private static func byLargestRemainder(_ lots: [Int64], house: Int64) -> [Int64] {
        let total = lots.reduce(0, +)
        let remainders = lots.map { house * $0 % total }
        var held = lots.map { house * $0 / total }
        var left = house - held.reduce(0, +)
        var served = lots.map { _ in false }
        while left > 0 {
            var best: Int?
            for account in lots.indices where !served[account] {
                if let best, remainders[account] <= remainders[best] { continue }
                best = account
            }
            held[best!] += 1
            served[best!] = true
            left -= 1
        }
        return held
    }
}
