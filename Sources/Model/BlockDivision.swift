// Divides the filled shares of a block order among its accounts, by the block's policy and in whole lots.
// Pure: no clock, no randomness, no state between calls. `DivisionCursor` follows the same division step by step.

/// What every account of one block gets, as a function of the shares that are filled and of nothing else: so it doesn't
/// matter in which order, or in how many transactions, the fills came.
///
/// A block whose accounts all ordered whole lots is divided in whole lots; any other in single shares, and "lot" then means
/// a share everywhere below. What the fills leave beyond whole lots goes to the account that the next lot would go to: the
/// first account that holds more when one lot more is filled. Beyond the sum of all orders (a block that was replaced
/// upwards) every account first gets its whole order again, as often as it fits; the rest is divided as from 0.
///
/// The policies, for `h` filled lots of a block of `H` lots; ties go to the first account, which has the smallest id:
/// - `pro_rata`: the quota method, see `QuotaApportionment`.
/// - `pro_rata_min_ticket`: the quota method first. The minimum of an account is the minimum ticket or its own order,
///   whichever is less. An account whose share is above 0 and below its minimum goes to 0, and all that was taken so is
///   given again in the order of arrival (smaller customer order first, then smaller account): each account in turn takes as
///   much as is there, up to its order, unless it would still hold less than its minimum; then it is passed over and takes
///   nothing. This is the same rule for every receiver, whether it kept its share, had none, or was below its minimum
///   itself. What is left when all had their turn is less than the minimum of everyone with room, and goes whole to the
///   first in the order of arrival that holds nothing: so at most one account holds less than its minimum.
/// - `time_priority`: each account in the order of arrival is filled before the next gets anything.
/// - `equal`: rounds in order of account, one lot for everyone who still wants one.
/// - `largest_remainder`: Hamilton's method. Each account gets `⌊h × ordered / H⌋`, and the accounts with the largest
///   remainders one lot more until all is given. An account may lose a lot although `h` grew (the Alabama paradox).
public struct BlockDivision: Sendable {
    public let policy: AllocationPolicy
    /// The lot in which this block is divided: the security's, or 1 if an account ordered an odd lot.
    public let lotSize: Int64
    public let minimumTicketLots: Int64
    /// Shares that each account ordered, all above 0, in ascending order of account: ties go to the first.
    public let ordered: [Int64]
    /// The sum of `ordered`.
    public let total: Int64

    /// The quota method over the orders in lots, and thereby these orders, for every policy.
    let quota: QuotaApportionment
    /// The accounts in the order of their orders' arrival; empty where the policy doesn't ask for it.
    private let arrivalOrder: [Int32]

    /// - Parameters:
    ///   - arrivals: the id of each account's customer order: the smaller came first.
    public init(
        policy: AllocationPolicy, lotSize: Int64, minimumTicketLots: Int64, ordered: [Int64], arrivals: [Int64]
    ) {
        precondition(lotSize > 0, "a lot has at least one share")
        precondition(arrivals.count == ordered.count, "every account has its customer order")
        self.policy = policy
        self.minimumTicketLots = minimumTicketLots
        self.ordered = ordered
        let lot = ordered.allSatisfy { $0 % lotSize == 0 } ? lotSize : 1
        self.lotSize = lot
        total = ordered.reduce(0, +)
        precondition(
            total <= QuotaApportionment.totalMaximum, "a block orders at most \(QuotaApportionment.totalMaximum)")
        quota = QuotaApportionment(ordered: lot == 1 ? ordered : ordered.map { $0 / lot })
        switch policy {
        case .proRataMinimumTicket, .timePriority:
            arrivalOrder = ordered.indices.sorted { (arrivals[$0], $0) < (arrivals[$1], $1) }.map { Int32($0) }
        case .proRata, .equal, .largestRemainder:
            arrivalOrder = []
        }
    }

    /// What every account holds when `filled` shares are live (0 or more), in order of account.
    public func allocate(_ filled: Int64) -> [Int64] {
        precondition(filled >= 0, "\(filled) shares filled")
        let (rounds, rest) = filled.quotientAndRemainder(dividingBy: total)
        let (lots, oddShares) = rest.quotientAndRemainder(dividingBy: lotSize)
        let lotsHeld = allocateLots(lots)
        var allocated = ordered.indices.map { rounds * ordered[$0] + lotsHeld[$0] * lotSize }
        if oddShares > 0 {
            let withNextLot = allocateLots(lots + 1)
            // One lot more in all, so at least one account holds more.
            let next = ordered.indices.first { withNextLot[$0] > lotsHeld[$0] } ?? 0
            allocated[next] += oddShares
        }
        return allocated
    }

    /// The accounts' orders in lots.
    private var lotsOrdered: [Int64] { quota.ordered }

    private func allocateLots(_ lots: Int64) -> [Int64] {
        switch policy {
        case .proRata: quota.allocate(lots)
        case .proRataMinimumTicket: withMinimumTickets(quota.allocate(lots))
        case .timePriority: allocateByArrival(lots)
        case .equal: allocateEqually(lots)
        case .largestRemainder: allocateByLargestRemainder(lots)
        }
    }

    private func withMinimumTickets(_ shares: [Int64]) -> [Int64] {
        var allocated = shares
        var taken: Int64 = 0
        for account in shares.indices where shares[account] < minimumTicket(of: account) {
            taken += shares[account]
            allocated[account] = 0
        }
        for account in arrivalOrder.lazy.map(Int.init) where taken > 0 {
            let given = min(taken, lotsOrdered[account] - allocated[account])
            if allocated[account] + given < minimumTicket(of: account) { continue }
            allocated[account] += given
            taken -= given
        }
        // Whoever was passed over holds nothing and wants more than is left; everyone else is full.
        if taken > 0, let first = arrivalOrder.first(where: { allocated[Int($0)] == 0 }) {
            allocated[Int(first)] = taken
        }
        return allocated
    }

    /// The least that the account should hold if it holds anything, in lots.
    private func minimumTicket(of account: Int) -> Int64 { min(minimumTicketLots, lotsOrdered[account]) }

    private func allocateByArrival(_ lots: Int64) -> [Int64] {
        var allocated = [Int64](repeating: 0, count: ordered.count)
        var left = lots
        for account in arrivalOrder.lazy.map(Int.init) {
            allocated[account] = min(left, lotsOrdered[account])
            left -= allocated[account]
            if left == 0 { break }
        }
        return allocated
    }

    private func allocateEqually(_ lots: Int64) -> [Int64] {
        // How many rounds are complete, found from the smallest order up: each order met leaves one account fewer.
        var rounds: Int64 = 0
        var left = lots
        var wanting = Int64(ordered.count)
        for order in lotsOrdered.sorted() {
            let roundsUntilMet = min(order - rounds, left / wanting)
            rounds += roundsUntilMet
            left -= roundsUntilMet * wanting
            if rounds < order { break }
            wanting -= 1
        }
        return lotsOrdered.map { order in
            if order <= rounds { return order }
            if left == 0 { return rounds }
            left -= 1
            return rounds + 1
        }
    }

    private func allocateByLargestRemainder(_ lots: Int64) -> [Int64] {
        // At most 2,000,000,000 squared: within 64 bits.
        let exact = lotsOrdered.map { (lots * $0).quotientAndRemainder(dividingBy: quota.total) }
        var allocated = exact.map { $0.quotient }
        let left = Int(lots - allocated.reduce(0, +))
        if left == 0 { return allocated }
        let byRemainder = exact.indices.sorted { (exact[$1].remainder, $0) < (exact[$0].remainder, $1) }
        for account in byRemainder.prefix(left) { allocated[account] += 1 }
        return allocated
    }
}
