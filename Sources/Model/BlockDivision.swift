// Divides the filled shares of a block order among its accounts, by the block's policy and in whole lots.
// Pure: no clock, no randomness, no state between calls.

/// What every account of one block gets, as a function of the shares that are filled and of nothing else: so it doesn't
/// matter in which order, or in how many transactions, the fills came.
///
/// A block whose accounts all ordered whole lots is divided in whole lots; any other in single shares. What fills leave
/// beyond whole lots goes to the account that the next lot would go to. Beyond the sum of all orders (a block that was
/// replaced upwards) every account first gets its whole order again, as often as it fits; the rest is divided as from 0.
public struct BlockDivision: Sendable {
    public let policy: AllocationPolicy
    /// The lot in which this block is divided: the security's, or 1 if an account ordered an odd lot.
    public let lotSize: Int64
    /// Shares that each account ordered, all above 0, in ascending order of account: ties go to the first.
    public let ordered: [Int64]
    /// The sum of `ordered`.
    public let total: Int64

    private let quota: QuotaApportionment

    /// - Parameters:
    ///   - arrivals: the id of each account's customer order: the smaller came first.
    public init(
        policy: AllocationPolicy, lotSize: Int64, minimumTicketLots: Int64, ordered: [Int64], arrivals: [Int64]
    ) {
        self.policy = policy
        self.ordered = ordered
        let isWhole = ordered.allSatisfy { $0 % lotSize == 0 }
        self.lotSize = isWhole ? lotSize : 1
        total = ordered.reduce(0, +)
        quota = QuotaApportionment(ordered: ordered)
    }

    /// What every account holds when `filled` shares are live (0 or more), in order of account.
    public func allocate(_ filled: Int64) -> [Int64] {
        let (rounds, rest) = filled.quotientAndRemainder(dividingBy: total)
        let part = quota.allocate(rest)
        return rounds == 0 ? part : zip(ordered, part).map { rounds * $0 + $1 }
    }
}
