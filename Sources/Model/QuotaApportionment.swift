// Divides the filled quantity of a block order among the accounts behind it: Balinski and Young's quota method.
// Pure: no clock, no randomness, no state between calls.

/// The quota method of Balinski and Young ("The quota method of apportionment", 1975) over one block order.
///
/// The method gives out one share at a time: the `h`-th goes to the account with the largest
/// `ordered / (allocated + 1)` among those that this share would not lift above their upper quota
/// `⌈h × ordered / total⌉`; ties go to the account that comes first. So an allocation never falls as `h` grows,
/// and every account is always within one share of its exact proportion.
///
/// Giving out one share at a time costs `h` steps. `allocate` reaches the same result in about
/// `total / smallest ordered` steps of logarithmic cost, from this observation. Read the `j`-th share of an account as a job that may run
/// from house size `⌊(j − 1) × total / ordered⌋ + 1` on and has the deadline `j × total / ordered`: the method is then
/// earliest-deadline-first, and it meets every deadline (that is its lower quota). At house size `h` every job with a
/// deadline up to `h` is done, so only one job of each account is open: the one that would lift it from `⌊quota⌋` to
/// `⌈quota⌉`. All other jobs have earlier deadlines, hence priority, and which of *them* runs first doesn't matter:
/// the open jobs get exactly the house sizes at which no other released job waits, and counting is enough to know those.
/// The count begins where the first of the open jobs is released.
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
        if filled == total { return ordered }
        var allocated = ordered.map { filled * $0 / total }
        var open = Int(filled - allocated.reduce(0, +))
        if open == 0 { return allocated }
        for account in openJobsServed(filled, lowerQuota: allocated, count: &open) { allocated[account] += 1 }
        return allocated
    }

    /// The accounts whose open job is served up to house size `filled`; `count` of them, which it counts down to 0.
    private func openJobsServed(_ filled: Int64, lowerQuota: [Int64], count: inout Int) -> [Int] {
        // An account whose quota is whole has no open job.
        let hasOpenJob = ordered.indices.map { filled * ordered[$0] % total != 0 }
        var house = filled
        for account in ordered.indices where hasOpenJob[account] {
            house = min(house, lowerQuota[account] * total / ordered[account])
        }
        // Up to here no open job was released, so every share went to one of the others.
        var othersServed = house
        var releases = ReleaseQueue(ordered.indices.map { nextRelease(of: $0, after: house) })
        var othersReleased = ordered.indices.reduce(Int64(0)) { $0 + (house * ordered[$1] + total - 1) / total }
        var waiting: [Int] = []
        var served: [Int] = []
        while count > 0 {
            house += 1
            while releases.earliestHouse <= house {
                let account = releases.earliestAccount
                let job = (house * ordered[account] + total - 1) / total
                if job <= lowerQuota[account] {
                    othersReleased += 1
                } else if hasOpenJob[account] {
                    waiting.append(account)
                }
                // An account's open job is its last one up to `filled`; what comes behind it is no concern of ours.
                let isLast = job > lowerQuota[account]
                releases.replaceEarliest(withHouse: isLast ? .max : nextRelease(of: account, after: house))
            }
            if othersReleased > othersServed {
                othersServed += 1
                continue
            }
            let next = earliestDeadline(among: waiting, lowerQuota: lowerQuota)
            served.append(waiting.remove(at: next))
            count -= 1
        }
        return served
    }

    /// The house size at which the account's first job that isn't released at `house` becomes one that may run.
    private func nextRelease(of account: Int, after house: Int64) -> Int64 {
        let released = (house * ordered[account] + total - 1) / total
        return released * total / ordered[account] + 1
    }

    /// The position in `waiting` of the account with the smallest `(lowerQuota + 1) / ordered`, the first account of equals.
    private func earliestDeadline(among waiting: [Int], lowerQuota: [Int64]) -> Int {
        var best = 0
        for candidate in waiting.indices.dropFirst() {
            let left = (lowerQuota[waiting[candidate]] + 1) * ordered[waiting[best]]
            let right = (lowerQuota[waiting[best]] + 1) * ordered[waiting[candidate]]
            if left < right || (left == right && waiting[candidate] < waiting[best]) { best = candidate }
        }
        return best
    }
}

/// Accounts by the house size of their next release: a binary heap in two columns.
private struct ReleaseQueue {
    private var houses: [Int64]
    private var accounts: [Int]

    init(_ houses: [Int64]) {
        accounts = houses.indices.sorted { houses[$0] < houses[$1] }
        self.houses = accounts.map { houses[$0] }
    }

    var earliestHouse: Int64 { houses[0] }
    var earliestAccount: Int { accounts[0] }

    mutating func replaceEarliest(withHouse house: Int64) {
        let account = accounts[0]
        var hole = 0
        while true {
            var child = 2 * hole + 1
            guard child < houses.count else { break }
            if child + 1 < houses.count, houses[child + 1] < houses[child] { child += 1 }
            guard houses[child] < house else { break }
            houses[hole] = houses[child]
            accounts[hole] = accounts[child]
            hole = child
        }
        houses[hole] = house
        accounts[hole] = account
    }
}
