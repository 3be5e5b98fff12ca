// Follows the quota method along a block: from any number of lots to another, at the cost of the lots between them.
// Pure: no clock, no randomness.

/// Where the quota method stands at one house size, with the two queues that the next lot is taken from.
///
/// In the words of `QuotaApportionment`: `waiting` holds the released jobs by deadline, of which the next lot serves the
/// first; `releases` holds the other accounts by the house size that releases their next job. An account is in one of the
/// two until all its jobs are done. A lot moves one account out of `waiting`, and on average one into it: about
/// `2 log₂(accounts)` comparisons, whatever the size of the block.
///
/// Deadlines are kept as whole and 32 binary places of `j × total / ordered`, rounded down, which orders them exactly: two
/// accounts' deadlines that differ do so by at least `total / (a × b) ≥ 4 / total > 2⁻²⁹` (`a` and `b` being their orders,
/// `a + b ≤ total ≤ 2,000,000,000`).
struct QuotaCursor: Sendable {
    /// Heap and array bytes per account: `allocated`, `reported` and `touched`, and one place in each queue.
    static let bytesPerAccount =
        3 * MemoryLayout<UInt32>.stride + MemoryLayout<UInt64>.stride + MemoryLayout<UInt128>.stride

    private let ordered: [Int64]
    private let total: Int64

    private(set) var house: Int64 = 0
    /// What every account holds, in lots.
    private(set) var allocated: [UInt32]
    /// What every account held when its holding was last asked for by `takeChanges`.
    private var reported: [UInt32]
    /// The accounts in which the two differ, each once, while only single lots have been given out since.
    private var touched: [UInt32] = []
    /// Whether any account may differ, because the cursor jumped.
    private var isEveryAccountTouched = false

    /// House size << 32 | account.
    private var releases: EarliestQueue<UInt64>
    /// Deadline << 32 | account.
    private var waiting: EarliestQueue<UInt128>

    init(_ quota: QuotaApportionment) {
        ordered = quota.ordered
        total = quota.total
        allocated = [UInt32](repeating: 0, count: ordered.count)
        reported = allocated
        touched.reserveCapacity(ordered.count)
        releases = EarliestQueue(capacity: ordered.count)
        waiting = EarliestQueue(capacity: ordered.count)
        fillQueues()
    }

    /// The account that the next lot goes to; nil when every account has all it ordered.
    var next: Int? { waiting.earliest.map { Int($0 & 0xFFFF_FFFF) } }

    /// Goes to any house size (0...total), by steps and by jumps where they cost less.
    mutating func move(to target: Int64) {
        precondition((0...total).contains(target), "\(target) filled of \(total)")
        if target < house {
            jump(to: target)
        } else if target - house <= 2 * Int64(ordered.count) {
            // Looking for a place to jump to costs a few passes over the accounts: not worth it for a few lots.
            while house < target { serveNext() }
        } else {
            go(along: Way(to: target, ordered: ordered, total: total))
        }
    }

    /// Goes to any house size from nothing.
    mutating func jump(to target: Int64) {
        let way = Way(to: target, ordered: ordered, total: total)
        for account in ordered.indices { allocated[account] = 0 }
        begin(at: 0, of: way)
        go(along: way)
    }

    /// Calls `changed` with every account whose holding may have changed since this was last called, in order of account,
    /// and with what it held then and holds now.
    /// - Parameters:
    ///   - others: accounts to call it with in any case.
    ///   - all: call it with every account.
    mutating func takeChanges(
        and others: (Int?, Int?), all: Bool, _ changed: (_ account: Int, _ before: UInt32, _ now: UInt32) -> Void
    ) {
        // Sorting a few is cheaper than looking at all, and the other way round.
        if all || isEveryAccountTouched || touched.count > ordered.count / 8 {
            for account in ordered.indices {
                let isOther = all || account == others.0 || account == others.1
                if isOther || reported[account] != allocated[account] {
                    changed(account, reported[account], allocated[account])
                    reported[account] = allocated[account]
                }
            }
        } else {
            if let other = others.0, reported[other] == allocated[other] { touched.append(UInt32(other)) }
            if let other = others.1, other != others.0, reported[other] == allocated[other] {
                touched.append(UInt32(other))
            }
            if touched.count > 1 { touched.sort() }
            for account in touched.lazy.map(Int.init) {
                changed(account, reported[account], allocated[account])
                reported[account] = allocated[account]
            }
        }
        touched.removeAll(keepingCapacity: true)
        isEveryAccountTouched = false
    }

    // MARK: one lot

    private mutating func serveNext() {
        guard let first = waiting.earliest else { return }
        let account = Int(first & 0xFFFF_FFFF)
        if allocated[account] == reported[account] { touched.append(UInt32(account)) }
        allocated[account] += 1
        house += 1
        let release = UInt64(first >> 64) + 1
        if Int64(allocated[account]) == ordered[account] {
            waiting.removeEarliest()
        } else if release <= house + 1 {
            waiting.replaceEarliest(by: deadline(of: account))
        } else {
            waiting.removeEarliest()
            releases.insert(release << 32 | UInt64(account))
        }
        releaseJobs()
    }

    /// What may run at the next house size waits from now on.
    private mutating func releaseJobs() {
        while let release = releases.earliest, release >> 32 <= house + 1 {
            waiting.insert(deadline(of: Int(release & 0xFFFF_FFFF)))
            releases.removeEarliest()
        }
    }

    /// The deadline of the account's next job, as `waiting` keeps it.
    private func deadline(of account: Int) -> UInt128 {
        // At most 2,000,000,000 squared; the remainder is less than 2³¹.
        let order = UInt64(ordered[account])
        let (whole, rest) = (UInt64(allocated[account] + 1) * UInt64(total)).quotientAndRemainder(dividingBy: order)
        let deadline = whole << 32 | (rest << 32) / order
        return UInt128(deadline) << 32 | UInt128(account)
    }

    // MARK: jumps

    /// Takes steps, and looks now and then for a place further on: not only at the start, since after the first open jobs
    /// there may be a long way to the next one (few tiny orders beside large ones).
    private mutating func go(along way: Way) {
        while house < way.target {
            let openServed = ordered.indices.count { Int64(allocated[$0]) > way.lowerQuota[$0] }
            let start = way.start(afterServing: Int64(openServed))
            if start > house + Int64(ordered.count) { begin(at: start, of: way) }
            let nextLook = min(way.target, house + 8 * Int64(ordered.count))
            while house < nextLook { serveNext() }
        }
    }

    /// Stands at house size `start` of the way: which of the other jobs are done by then makes no difference at its end, only
    /// how many. The open jobs that are done stay so.
    private mutating func begin(at start: Int64, of way: Way) {
        isEveryAccountTouched = true
        touched.removeAll(keepingCapacity: true)
        house = start
        var left = start
        for account in ordered.indices where Int64(allocated[account]) <= way.lowerQuota[account] {
            allocated[account] = UInt32(start * ordered[account] / total)
        }
        for account in ordered.indices { left -= Int64(allocated[account]) }
        for account in ordered.indices where left > 0 {
            let held = Int64(allocated[account])
            if held * total < start * ordered[account] && held < way.lowerQuota[account] {
                allocated[account] += 1
                left -= 1
            }
        }
        fillQueues()
    }

    private mutating func fillQueues() {
        releases.removeAll()
        waiting.removeAll()
        for account in ordered.indices where Int64(allocated[account]) < ordered[account] {
            let release = UInt64(Int64(allocated[account]) * total / ordered[account]) + 1
            if release <= house + 1 {
                waiting.appendUnordered(deadline(of: account))
            } else {
                releases.appendUnordered(release << 32 | UInt64(account))
            }
        }
        releases.restoreOrder()
        waiting.restoreOrder()
    }
}

/// The way to one house size, on which only the times of the open jobs matter.
private struct Way {
    let target: Int64
    let lowerQuota: [Int64]
    private let ordered: [Int64]
    private let total: Int64

    init(to target: Int64, ordered: [Int64], total: Int64) {
        self.target = target
        self.ordered = ordered
        self.total = total
        lowerQuota = ordered.map { target * $0 / total }
    }

    /// A house size up to which no more than `count` open jobs are served.
    ///
    /// With `C(s)` for the sum over the accounts of `max(0, s × ordered / total − ⌊quota at target⌋)`, the other jobs that
    /// are released up to `s` are at least `s − C(s)`, so that nothing is left for one more open job while
    /// `C(s) < count + 1`; and `C` never falls. From there on they are counted: as long as more are released than done, all
    /// of that difference comes before an open job.
    func start(afterServing count: Int64) -> Int64 {
        var start: Int64 = 0
        var tooLate = target + 1
        while tooLate - start > 1 {
            let middle = start + (tooLate - start) / 2
            var openShare: Int64 = 0
            for account in ordered.indices {
                openShare += max(0, middle * ordered[account] - lowerQuota[account] * total)
            }
            // Every term is less than `total`, and there are no more than `total` of them.
            if openShare < (count + 1) * total { start = middle } else { tooLate = middle }
        }
        while start < target {
            var released: Int64 = 0
            for account in ordered.indices {
                released += min(lowerQuota[account], (start * ordered[account] + total - 1) / total)
            }
            let backlog = released - (start - count)
            if backlog <= Int64(ordered.count / 8) { break }
            start = min(target, start + backlog)
        }
        return start
    }
}
