// Which partitions a member of a group works on: those that the group gave it and that it has claimed in the database. A value
// without clock, consumer or connection; what it says is done by AllocationWorker+Group.swift.

import Kafka

/// What a member of a group saw of its rebalances. Of the whole run.
public struct GroupFigures: Sendable, Equatable {
    /// How often the group gave this member an assignment, the first included.
    public var rebalances: Int64 = 0
    /// Partitions claimed.
    public var partitionsTaken: Int64 = 0
    /// Partitions given up when the group asked for them.
    public var partitionsGivenUp: Int64 = 0
    /// Partitions that others took without its doing: the group hadn't heard of it in time, or the database knew a later claim.
    public var partitionsLost: Int64 = 0
    /// Transactions that moved no row because the partition had a later claim: the work of a member that came back too late.
    public var fencedTransactions: Int64 = 0

    public init() {}

    public mutating func merge(_ other: GroupFigures) {
        rebalances += other.rebalances
        partitionsTaken += other.partitionsTaken
        partitionsGivenUp += other.partitionsGivenUp
        partitionsLost += other.partitionsLost
        fencedTransactions += other.fencedTransactions
    }
}

/// A partition is free, held or fenced. Held: the group gave it to this member, who has claimed it since. Fenced: the group
/// hasn't taken it back, but the database knows a later claim.
struct GroupMembership: Equatable {
    /// What follows from an event, in this order.
    struct Moves: Equatable {
        /// To forget: whatever is under way of them may belong to others by now.
        var dropped: [Int32] = []
        /// To finish what is under way of them, and then to forget.
        var finished: [Int32] = []
        /// To claim, and then to start where the claim says.
        var claimed: [Int32] = []
    }

    let isCooperative: Bool
    /// How long a fenced partition is left to whoever claimed it before it is claimed again.
    let patienceNs: Int64
    private(set) var held: Set<Int32> = []
    /// With the time at which each was found to be.
    private(set) var fenced: [Int32: Int64] = [:]
    private(set) var figures = GroupFigures()
    /// Whether the group has said anything yet.
    var isJoined: Bool { figures.rebalances > 0 }

    init(_ group: KafkaGroup, patienceNs: Int64) {
        isCooperative = group.assignor == .cooperativeSticky
        self.patienceNs = patienceNs
    }

    /// What an event asks for; `did` says that it is done.
    func moves(for event: GroupEvent) -> Moves {
        switch event {
        case .assigned(let partitions):
            // What the group gives twice was somebody else's meanwhile, as far as anyone can tell.
            let kept: Set<Int32> = isCooperative ? held.subtracting(partitions) : []
            return Moves(dropped: held.subtracting(kept).sorted(), claimed: partitions.sorted())
        case .revoked(let partitions): return Moves(finished: held.intersection(partitions).sorted())
        case .lost(let partitions): return Moves(dropped: held.intersection(partitions).sorted())
        }
    }

    /// The moves of an event are done.
    mutating func did(_ event: GroupEvent) {
        let moves = moves(for: event)
        switch event {
        case .assigned(let partitions):
            figures.rebalances += 1
            figures.partitionsTaken += Int64(moves.claimed.count)
            // In a group that isn't cooperative, what isn't named has been taken back.
            if !isCooperative { fenced.removeAll() }
            held.subtract(moves.dropped)
            held.formUnion(partitions)
        case .revoked:
            figures.partitionsGivenUp += Int64(moves.finished.count)
            held.subtract(moves.finished)
        case .lost:
            figures.partitionsLost += Int64(moves.dropped.count)
            held.subtract(moves.dropped)
        }
        for partition in event.partitions { fenced[partition] = nil }
    }

    /// The database knows a later claim of these.
    /// - Parameter transactions: how many moved no row because of it.
    mutating func fence(_ partitions: [Int32], transactions: Int, at now: Int64) {
        for partition in partitions where held.remove(partition) != nil {
            fenced[partition] = now
            figures.partitionsLost += 1
        }
        figures.fencedTransactions += Int64(transactions)
    }

    /// Fenced partitions that are still this member's as far as the group says: a member that was late with its claim had them,
    /// and knows by now that they aren't its own, or the group has given them to two members, and one of these must do the work.
    /// Without this nobody would.
    func toReclaim(at now: Int64) -> [Int32] {
        if fenced.isEmpty { return [] }
        return fenced.filter { now - $0.value >= patienceNs }.keys.sorted()
    }

    /// They are claimed again.
    mutating func reclaimed(_ partitions: [Int32]) {
        for partition in partitions where fenced.removeValue(forKey: partition) != nil {
            held.insert(partition)
            figures.partitionsTaken += 1
        }
    }

    /// A new member goes on in the place of one that died.
    mutating func die() {
        figures.partitionsLost += Int64(held.count)
        held.removeAll()
        fenced.removeAll()
    }
}
