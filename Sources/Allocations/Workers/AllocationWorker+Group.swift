// A worker whose partitions come from a consumer group: what it does when they come and go, and when the group has done its
// work. Nothing is in flight where this is called: between two polls and two transactions. On the worker's thread.
//
// The group says who should work on a partition, the database who may: its offset row's epoch goes up with every claim, and a
// transaction of an earlier epoch moves no row. Nothing is committed to Kafka.

import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
import Threads

extension AllocationWorker {
    /// A member polls this often whatever it has to do: the group is told that it lives, and a rebalance waits for no longer.
    static let pollIntervalNs: Int64 = 20_000_000
    /// How often a member with nothing to do looks whether the whole topic is done.
    private static let lookIntervalNs: Int64 = 200_000_000

    /// Does what the group asks for. Returns false if it asked for nothing.
    /// An event is answered last, so that one whose work failed comes again.
    func followGroup() throws -> Bool {
        guard membership != nil else { return false }
        var moved = false
        while let event = consumer.groupEvent, let moves = membership?.moves(for: event) {
            moved = true
            for partition in moves.dropped { forget(partition) }
            if !moves.finished.isEmpty {
                try finish()
                for partition in moves.finished { forget(partition, isGivenUp: true) }
            }
            if case .assigned(let partitions) = event {
                try claim(moves.claimed)
                noteDealt(moves.claimed)
                try consumer.accept(positions(of: isCooperative ? partitions : queues.map(\.partition)))
                try resumeIfPaused()
            } else {
                try consumer.release(event.partitions.map { position($0, 0) })
            }
            membership?.did(event)
            switch event {
            case .assigned: tell("takes", moves.claimed)
            case .revoked: tell("gives up", moves.finished)
            case .lost: tell("has lost", moves.dropped)
            }
        }
        return try reclaim() || moved
    }

    /// What is under way is finished before partitions go: else the messages that a cycle is still to process would be left to
    /// whoever comes next.
    private func finish() throws {
        if usesPipeline { try takeUnexpectedSnapshots() }
        if mode == .cycle, !staged.isEmpty { try runCycle() }
    }

    /// Claims partitions: from here on nobody else's transaction moves them.
    private func claim(_ partitions: [Int32]) throws {
        if partitions.isEmpty { return }
        let overdue = try outsidePipeline {
            for partition in partitions {
                forget(partition)
                // Waits for a transaction of whoever had it, which has the row.
                let claim = try store.claim(partition: partition)
                try requireMessages(from: claim.nextOffset, in: partition)
                add(PartitionQueue(partition: partition, epoch: claim.epoch, nextOffset: claim.nextOffset))
            }
            return try readTablesOfGroup(claiming: partitions)
        }
        if usesPipeline { unexpectedBlocks += overdue }
        isGroupDone = false
    }

    /// What the one before left behind.
    private func readTablesOfGroup(claiming partitions: [Int32]) throws -> [Int] {
        try store.requireNothingUnfinished(of: mode, partitions: partitions)
        storedParkedCodes = try store.parkedBlocks()
        gatherParkedCodes()
        try noteLeftovers(in: partitions)
        return try loadBlockStates()
    }

    /// Blocks whose messages are parked: those in the tables, and those that a queued message stops. A partition that went
    /// takes its own along.
    private func gatherParkedCodes() {
        parkedCodes = storedParkedCodes
        for queue in queues { parkedCodes.formUnion(queue.parked.values.lazy.map(\.blockCode)) }
    }

    /// Partitions that a later claim was found of and that the group hasn't taken back.
    private func reclaim() throws -> Bool {
        guard let partitions = membership?.toReclaim(at: monotonicNow()), !partitions.isEmpty else { return false }
        try claim(partitions)
        noteDealt(partitions)
        membership?.reclaimed(partitions)
        tell("takes back", partitions)
        try assignConsumer()
        return true
    }

    // MARK: Fence

    /// The offset rows of these partitions have a later epoch: others have them now, and what this worker did since moved no
    /// row. It goes on with what it still has.
    /// - Parameter isGuardMissed: whether a guarded transaction has just moved no row.
    func fence(_ partitions: [Int32], isGuardMissed: Bool) throws {
        if partitions.isEmpty { return }
        var transactions = isGuardMissed ? 1 : 0
        for (index, queue) in queues.enumerated() where partitions.contains(queue.partition) {
            let underWay = inFlight.count { $0.queue == index } + refused.count { $0.queue == index }
            transactions += underWay
            if !isGuardMissed, underWay == 0, queue.unsent > queue.head { transactions += 1 }
        }
        membership?.fence(partitions, transactions: transactions, at: monotonicNow())
        let lost = queues.filter { partitions.contains($0.partition) }
        // Until the group takes them back, nothing more needs to be fetched of them.
        try consumer.pause(lost.map { position($0.partition, 0) })
        for partition in partitions { forget(partition) }
        tell("is fenced from", partitions)
    }

    private func tell(_ what: String, _ partitions: [Int32]) {
        guard let news = plan.groupNews else { return }
        let list = { (partitions: [Int32]) in
            partitions.isEmpty ? "nothing" : partitions.map(String.init).joined(separator: ", ")
        }
        news(
            "worker \(plan.memberIndex) \(what) \(list(partitions)); "
                + "has now: \(list(queues.map(\.partition).sorted()))")
    }

    /// After a death: the group isn't told, and a new member joins it.
    func replaceMember() throws {
        consumer.abandon()
        store.connection.close()
        inFlight.removeAll()
        let answered = queues.map { (partition: $0.partition, offset: $0.committedOffset) }
        for queue in queues { forget(queue.partition) }
        unexpectedBlocks.removeAll()
        if var membership {
            membership.die()
            figures.group.merge(membership.figures)
        }
        isPaused = false
        let policy = ReconnectPolicy(timeout: plan.reconnect.timeout, interval: .milliseconds(20))
        let lost = try policy.reconnect(since: monotonicNow(), now: monotonicNow, isStopped: { stop.isSet }) {
            () -> Int64 in
            consumer = try KafkaConsumer(settings: plan.consumerSettings, group: plan.group)
            store = try Self.connect(plan, consumer)
            // Now, and not with the next claim: the group may give the partitions to others, who don't know what was answered
            // here. It won't before this member's session has timed out.
            let offsets = try store.offsets()
            return answered.reduce(0) { $0 + max(0, $1.offset - (offsets[$1.partition] ?? 0)) }
        }
        noteLost(lost)
        try join()
    }

    // MARK: Queues

    private var isCooperative: Bool { membership?.isCooperative == true }

    private func position(_ partition: Int32, _ offset: Int64) -> TopicPartitionOffset {
        TopicPartitionOffset(topic: plan.topic, partition: partition, offset: offset)
    }

    private func positions(of partitions: [Int32]) -> [TopicPartitionOffset] {
        queues.filter { partitions.contains($0.partition) }.map { position($0.partition, $0.polledOffset) }
    }

    func add(_ queue: PartitionQueue) {
        queueIndexes[queue.partition] = queues.count
        stagedFromOffsets[queue.partition] = queue.committedOffset
        queues.append(queue)
        partitionFigures.append(PartitionFigures())
        partitionLags.append(PartitionLag(after: idleLag))
        lastArrivals.append(0)
    }

    /// Drops everything in memory that belongs to a partition, and keeps what was measured. Blocks are keyed to partitions, so
    /// what is known of the blocks whose messages came by it may change from now on: it is read again with the next claim.
    /// - Parameter isGivenUp: whether the group asked for the partition, and what was under way of it is finished.
    private func forget(_ partition: Int32, isGivenUp: Bool = false) {
        guard let index = queueIndexes[partition] else { return }
        sampleLag(upTo: monotonicNow())
        retireFigures(at: index)
        for execution in queues[index].executions { repeatedExecutions.remove(execution) }
        queues.remove(at: index)
        partitionFigures.remove(at: index)
        partitionLags.remove(at: index)
        lastArrivals.remove(at: index)
        queueIndexes = Dictionary(uniqueKeysWithValues: queues.enumerated().map { ($1.partition, $0) })
        refusals[partition] = nil
        forgetDoubts(of: partition)
        stagedFromOffsets[partition] = nil
        staged = staged.compactMap { $0.moved(behind: index) }
        if queues.isEmpty { hasStagedLeftovers = false }
        forgetFault(of: partition, isGivenUp: isGivenUp)
        queueGeneration += 1
        nextQueue = 0
        gatherParkedCodes()
        for (block, owner) in blockPartitions.enumerated() where owner == partition { forgetBlock(at: block) }
        unexpectedBlocks.removeAll { blockPartitions[$0] == partition }
    }

    private func forgetBlock(at block: Int) {
        divisions[block] = nil
        unallocatedBlocks.remove(block)
        snapshotTimes[block] = nil
        unallocatedFills?.forget(block)
    }

    /// Of the blocks that wait for a snapshot by time, a member sees to those whose messages come to it.
    func keepOwnUnallocatedBlocks() throws {
        guard membership != nil, case .interval = plan.configuration.snapshots,
            plan.configuration.topicKey != .execution
        else { return }
        for (block, partition) in try store.partitions(ofBlocksIn: queues.map(\.partition), book: plan.book) {
            blockPartitions[block] = partition
        }
        unallocatedBlocks = unallocatedBlocks.filter { queueIndexes[blockPartitions[$0]] != nil }
        snapshotTimes = snapshotTimes.filter { unallocatedBlocks.contains($0.key) }
    }

    // MARK: End

    /// Whether the whole topic is committed and visible, all partitions of all members: until then, one that has nothing to do
    /// may still have to step in for another.
    /// - Returns: whether it looked.
    func lookForGroupEnd() throws -> Bool {
        guard membership != nil, !isGroupDone, let ends = endOffsets, isOwnWorkDone, monotonicNow() >= nextGroupLook
        else { return false }
        nextGroupLook = monotonicNow() + Self.lookIntervalNs
        let overdue = try outsidePipeline { () -> [Int]? in
            let offsets = try store.offsets()
            guard ends.allSatisfy({ offsets[$0.key] ?? 0 >= $0.value }) else { return nil }
            if mode == .cycle, try store.stagedCount(partitions: Array(ends.keys)) > 0 { return nil }
            // A member may have died between the last fill of a block and its snapshot.
            return try loadBlockStates()
        }
        guard let overdue else { return true }
        if usesPipeline {
            unexpectedBlocks += overdue
            try takeUnexpectedSnapshots()
        }
        isGroupDone = true
        return true
    }

    /// Before the start of a run whose partitions a group deals out: polls until all of them are dealt out evenly.
    /// - Throws: when the group has said nothing for too long. It has no other members, so nobody keeps it waiting.
    func awaitAssignment(_ line: StartingLine) throws {
        guard let groupStart = plan.groupStart else { return }
        var (rebalances, heardAt) = (Int64(0), monotonicNow())
        while !groupStart.isComplete, !stop.isSet, !line.isOver {
            _ = try poll(max: 1, timeoutMs: 5)
            _ = try recovering { try followGroup() }
            groupStart.note(queues.count, of: plan.memberIndex)
            let (known, now) = (membership?.figures.rebalances ?? 0, monotonicNow())
            if known > rebalances { (rebalances, heardAt) = (known, now) }
            guard now - heardAt < groupStart.patienceNs else {
                throw OperatingError(
                    "group \(plan.group?.name ?? ""): \(silence(of: now - heardAt))",
                    remedy: "look whether every worker reaches all brokers, and whether they let groups be")
            }
        }
    }

    /// Of a member that works at once, and that others may keep waiting for their `max.poll.interval.ms`: says now and then that
    /// the group hasn't.
    func tellSilence() {
        guard membership?.isJoined == false, let news = plan.groupNews else { return }
        let now = monotonicNow()
        guard now - joinTime >= GroupStart.patienceNs else { return }
        news(silence(of: now - joinTime))
        joinTime = now
    }

    private func silence(of nanoseconds: Int64) -> String {
        let log = consumer.lastLogLines.suffix(3).joined(separator: "; ")
        return "worker \(plan.memberIndex) has had no answer for \(nanoseconds / 1_000_000_000) s; "
            + "librdkafka says \(log.isEmpty ? "nothing" : log)"
    }
}

extension StagedMessage {
    /// The same once the queue at `index` is gone; nil if it was of that queue.
    fileprivate func moved(behind index: Int) -> StagedMessage? {
        if queue == index { return nil }
        var message = self
        if queue > index { message.queue -= 1 }
        return message
    }
}
