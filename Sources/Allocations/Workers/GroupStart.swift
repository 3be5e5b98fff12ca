// Where the members of a run wait for their group, so that no first rebalance is measured. Shared by the workers of a run.

import Synchronization

/// Members and how many partitions each has, until all partitions are dealt out evenly.
public final class GroupStart: Sendable {
    /// How long a member that waits for its group takes silence for nothing unusual.
    public static let patienceNs: Int64 = 60_000_000_000

    private let partitionCount: Int
    /// How long nothing may happen before they are all dealt out.
    let patienceNs: Int64
    private let counts: Mutex<[Int]>
    private let isDone = Atomic<Bool>(false)

    public init(members: Int, partitions: Int, patienceNs: Int64 = GroupStart.patienceNs) {
        partitionCount = partitions
        self.patienceNs = patienceNs
        counts = Mutex(Array(repeating: 0, count: members))
    }

    /// Whether every partition has had a member and none had more than its share; once so, always so.
    var isComplete: Bool { isDone.load(ordering: .acquiring) }

    /// Says how many partitions a member has now.
    func note(_ count: Int, of member: Int) {
        let isEven = counts.withLock { counts in
            counts[member] = count
            let share = partitionCount / counts.count
            return counts.reduce(0, +) == partitionCount && counts.allSatisfy { $0 == share || $0 == share + 1 }
        }
        if isEven { isDone.store(true, ordering: .releasing) }
    }
}
