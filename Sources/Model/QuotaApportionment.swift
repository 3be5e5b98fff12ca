// Divides the filled quantity of a block order among the accounts behind it: Balinski and Young's quota method.
// Pure: no clock, no randomness, no state between calls.

/// The quota method of Balinski and Young ("The quota method of apportionment", 1975) over one block order.
///
/// The method gives out one share at a time: the `h`-th goes to the account with the largest
/// `ordered / (allocated + 1)` among those that this share would not lift above their upper quota
/// `⌈h × ordered / total⌉`; ties go to the account that comes first. So an allocation never falls as `h` grows,
/// and every account is always within one share of its exact proportion.
///
/// Giving out one share at a time costs `h` steps. `allocate` reaches the same result in fewer, from this observation.
/// Read the `j`-th share of an account as a job that may run
/// from house size `⌊(j − 1) × total / ordered⌋ + 1` on and has the deadline `j × total / ordered`: the method is then
/// earliest-deadline-first, and it meets every deadline (that is its lower quota). At house size `h` every job with a
/// deadline up to `h` is done, so only one job of each account is open: the one that would lift it from `⌊quota⌋` to
/// `⌈quota⌉`. All other jobs have earlier deadlines, hence priority, and which of *them* runs first doesn't matter:
/// the open jobs get exactly the house sizes at which no other released job waits, and counting is enough to know those.
/// So it is enough to start shortly before the first such house size, with any of the others done: about
/// `total / ordered` steps for the smaller accounts of a block. `QuotaCursor` takes the steps.
public struct QuotaApportionment: Sendable {
    /// The largest block order, in shares: products of two quantities stay within 64 bits.
    public static let totalMaximum: Int64 = 2_000_000_000

    /// The shares that each account ordered, all above 0, in order of account.
    public let ordered: [Int64]
    /// The sum of `ordered`.
    public let total: Int64

    public init(ordered: [Int64]) {
        precondition(ordered.allSatisfy { $0 > 0 }, "every account behind a block orders at least one share")
        let total = ordered.reduce(0, +)
        precondition(
            total <= QuotaApportionment.totalMaximum, "a block orders at most \(QuotaApportionment.totalMaximum)")
        self.ordered = ordered
        self.total = total
    }

    /// What every account holds when `filled` shares of the block are filled (0...total), in order of account.
    public func allocate(_ filled: Int64) -> [Int64] {
        precondition((0...total).contains(filled), "\(filled) filled of \(total)")
        var cursor = QuotaCursor(self)
        cursor.jump(to: filled)
        return cursor.allocated.map(Int64.init)
    }
}
