// The five policies by their definition. A lot is the smallest part that is given out: the security's lot if every account of
// the block ordered whole lots, else a single share.
//
// What is filled beyond the sum of all orders is given out in whole rounds first, each account its whole order again; what is
// left is divided as if the block had just begun. Shares beyond whole lots go to the first account that would hold more if
// one lot more were filled.

/// The division of one block.
struct PolicyDivision {
    private let policy: String
    private let lotSize: Int64
    private let minimumTicketLots: Int64
    private let orderedShares: [Int64]
    /// What each account ordered, in lots.
    private let ordered: [Int64]
    /// The accounts from the first that came to the last.
    private let byArrival: [Int]

    init(_ block: BlockOrder) {
        policy = block.policy
        minimumTicketLots = block.minimumTicketLots
        orderedShares = block.legs.map(\.quantity)
        let hasOddLot = orderedShares.contains { $0 % block.lotSize != 0 }
        let lot = hasOddLot ? 1 : block.lotSize
        lotSize = lot
        ordered = orderedShares.map { $0 / lot }
        let legs = block.legs
        byArrival = legs.indices.sorted { (legs[$0].arrival, legs[$0].account) < (legs[$1].arrival, legs[$1].account) }
    }

    /// For each quantity what every account holds, in order of account.
    func allocate(_ quantities: [Int64]) -> [[Int64]] {
        let total = orderedShares.reduce(0, +)
        // Nobody is behind a block of nothing.
        guard total > 0 else { return quantities.map { _ in orderedShares } }
        let isProportional = policy == "pro_rata" || policy == "pro_rata_min_ticket"
        let sizes = isProportional ? quantities.map { $0 % total / lotSize } : []
        let quotas = QuotaTable(ordered: ordered, sizes: sizes)
        return quantities.map { quantity in
            let rounds = quantity / total
            let lots = quantity % total / lotSize
            let oddShares = quantity % total % lotSize
            let held = divide(lots, quotas)
            var shares = orderedShares.indices.map { orderedShares[$0] * rounds + held[$0] * lotSize }
            if oddShares > 0 {
                let withNextLot = divide(lots + 1, quotas)
                if let next = held.indices.first(where: { withNextLot[$0] > held[$0] }) { shares[next] += oddShares }
            }
            return shares
        }
    }

    private func divide(_ lots: Int64, _ quotas: QuotaTable) -> [Int64] {
        switch policy {
        case "pro_rata": quotas[lots]
        case "pro_rata_min_ticket": raiseToMinimumTicket(quotas[lots])
        case "time_priority": oneAfterTheOther(lots)
        case "equal": inRounds(lots)
        case "largest_remainder": byLargestRemainder(lots)
        default: preconditionFailure("no policy is named \(policy)")
        }
    }

    /// In order of arrival everyone takes what is there, up to the whole order.
    private func oneAfterTheOther(_ lots: Int64) -> [Int64] {
        var held = ordered.map { _ in Int64(0) }
        var left = lots
        for account in byArrival {
            held[account] = min(left, ordered[account])
            left -= held[account]
        }
        return held
    }

    /// One lot for everyone who still wants one, round after round, in order of account. Rounds in which the same accounts
    /// take part are done at once.
    private func inRounds(_ lots: Int64) -> [Int64] {
        var held = ordered.map { _ in Int64(0) }
        var left = lots
        while left > 0 {
            let wanting = ordered.indices.filter { held[$0] < ordered[$0] }
            let fullRounds = left / Int64(wanting.count)
            guard fullRounds > 0 else {
                for account in wanting.prefix(Int(left)) { held[account] += 1 }
                break
            }
            let until = wanting.map { ordered[$0] - held[$0] }.min() ?? 0
            for account in wanting { held[account] += min(fullRounds, until) }
            left -= min(fullRounds, until) * Int64(wanting.count)
        }
        return held
    }

    /// Hamilton's method: the whole part of everyone's exact share, and one lot more for the largest fractions.
    private func byLargestRemainder(_ lots: Int64) -> [Int64] {
        let total = ordered.reduce(0, +)
        let exact = ordered.map { (lots * $0).quotientAndRemainder(dividingBy: total) }
        var held = exact.map(\.quotient)
        let byFraction = ordered.indices.sorted {
            exact[$0].remainder == exact[$1].remainder ? $0 < $1 : exact[$0].remainder > exact[$1].remainder
        }
        for account in byFraction.prefix(Int(lots - held.reduce(0, +))) { held[account] += 1 }
        return held
    }

    /// Takes away what is less than the minimum ticket, or than the whole order where that is smaller, and gives it again in
    /// order of arrival to whom it leaves with at least that minimum. What nobody can take so goes to the first that has
    /// nothing.
    private func raiseToMinimumTicket(_ proportional: [Int64]) -> [Int64] {
        let minimum = ordered.map { min($0, minimumTicketLots) }
        var held = proportional
        for account in held.indices where held[account] < minimum[account] { held[account] = 0 }
        var left = proportional.reduce(0, +) - held.reduce(0, +)
        for account in byArrival {
            let taken = min(left, ordered[account] - held[account])
            guard held[account] + taken >= minimum[account] else { continue }
            held[account] += taken
            left -= taken
        }
        if left > 0, let first = byArrival.first(where: { held[$0] == 0 }) { held[first] = left }
        return held
    }
}

/// The quota method at the house sizes that are asked for, and at the one behind each: it runs through all sizes up to the
/// largest of them once. A block that is filled needs no run, for everybody
/// then has the whole order.
private struct QuotaTable {
    private let ordered: [Int64]
    private let total: Int64
    private var held: [Int64: [Int64]] = [:]

    init(ordered: [Int64], sizes: [Int64]) {
        let total = ordered.reduce(0, +)
        self.ordered = ordered
        self.total = total
        let wanted = Set(sizes.flatMap { [$0, $0 + 1] }.filter { $0 > 0 && $0 < total })
        guard let largest = wanted.max() else { return }
        var method = QuotaMethod(weights: ordered)
        while method.house < largest {
            method.giveNext()
            if wanted.contains(method.house) { held[method.house] = method.held }
        }
    }

    subscript(house: Int64) -> [Int64] {
        if house == 0 { return ordered.map { _ in 0 } }
        if house == total { return ordered }
        guard let held = held[house] else { preconditionFailure("size \(house) was not asked for") }
        return held
    }
}
