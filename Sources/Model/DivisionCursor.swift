// Follows the division of a block from snapshot to snapshot, at the cost of what changes. Pure: no clock, no randomness.

/// Where the division of one block stands. It always equals `BlockDivision.allocate`; it only gets there faster, because it
/// remembers where it was.
///
/// Under `pro_rata` moving forward takes a step of logarithmic cost for each new lot, whatever the size of the block, or
/// jumps where that is cheaper; moving back (a bust) jumps. The other policies are computed anew, which costs one pass
/// over the block's accounts (or a sort of them).
///
/// Memory, beyond the division itself: `bytesPerAccount` for each account, and some 200 bytes. A move allocates nothing
/// under `pro_rata`, unless it jumps or has to sort the changes of several dozen accounts.
public struct DivisionCursor: Sendable {
    public let division: BlockDivision
    /// Shares that are divided: where the cursor stands.
    public private(set) var filled: Int64 = 0

    /// Whole orders that every account holds, of a block that is filled beyond its total.
    private var rounds: Int64 = 0
    /// What is filled beyond whole lots, and who holds it.
    private var oddShares: Int64 = 0
    private var oddHolder: Int?
    /// For `pro_rata`: the lots of the round that isn't complete.
    private var lots: QuotaCursor?
    /// For the other policies: what every account holds, in shares.
    private var held: [Int64] = []

    /// A cursor at 0 shares.
    public init(_ division: BlockDivision) {
        self.division = division
        if division.policy == .proRata {
            lots = QuotaCursor(division.quota)
        } else {
            held = division.ordered.map { _ in 0 }
        }
    }

    /// Memory for each account, in bytes, without the division.
    public var bytesPerAccount: Int {
        lots == nil ? MemoryLayout<Int64>.stride : QuotaCursor.bytesPerAccount
    }

    /// What an account holds, in shares; accounts count from 0.
    public func held(by account: Int) -> Int64 {
        guard let lots else { return held[account] }
        return shares(of: account, lots: lots.allocated[account])
    }

    /// Goes to another filled quantity (0 or more).
    /// - Parameter changed: called in order of account with every account that holds more or less than before: its number,
    ///   the difference and what it holds now, in shares.
    public mutating func move(
        to filled: Int64, changed: (_ account: Int, _ delta: Int64, _ cumulative: Int64) -> Void
    ) {
        precondition(filled >= 0, "\(filled) shares filled")
        if filled == self.filled { return }
        self.filled = filled
        if lots != nil { moveLots(changed) } else { computeAnew(changed) }
    }

    private mutating func computeAnew(_ changed: (Int, Int64, Int64) -> Void) {
        let allocated = division.allocate(filled)
        for account in held.indices where allocated[account] != held[account] {
            changed(account, allocated[account] - held[account], allocated[account])
        }
        held = allocated
    }

    private mutating func moveLots(_ changed: (Int, Int64, Int64) -> Void) {
        let (roundsBefore, oddSharesBefore, oddHolderBefore) = (rounds, oddShares, oddHolder)
        // A complete round counts as the last one, not as the start of the next: so its last lots are steps as well.
        rounds = max(0, filled - 1) / division.total
        let (house, odd) = (filled - rounds * division.total).quotientAndRemainder(dividingBy: division.lotSize)
        if rounds == roundsBefore { lots?.move(to: house) } else { lots?.jump(to: house) }
        oddShares = odd
        oddHolder = odd > 0 ? lots?.next : nil
        let (roundsNow, oddHolderNow) = (rounds, oddHolder)
        let (ordered, lotSize) = (division.ordered, division.lotSize)
        lots?.takeChanges(and: (oddHolderBefore, oddHolderNow), all: roundsNow != roundsBefore) {
            account, before, now in
            var sharesBefore = roundsBefore * ordered[account] + Int64(before) * lotSize
            var sharesNow = roundsNow * ordered[account] + Int64(now) * lotSize
            if account == oddHolderBefore { sharesBefore += oddSharesBefore }
            if account == oddHolderNow { sharesNow += odd }
            if sharesNow != sharesBefore { changed(account, sharesNow - sharesBefore, sharesNow) }
        }
    }

    private func shares(of account: Int, lots: UInt32) -> Int64 {
        let whole = rounds * division.ordered[account] + Int64(lots) * division.lotSize
        return account == oddHolder ? whole + oddShares : whole
    }
}
