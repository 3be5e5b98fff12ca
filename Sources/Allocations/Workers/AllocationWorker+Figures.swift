// What a worker records of its commits, of what it polls and of how far it is behind. On the measured path: nothing here
// allocates, and a message costs a few comparisons and two counts in histograms.

import Measurement
import Model
import Postgres

extension AllocationWorker {
    // MARK: Commits

    /// Records one committed unit; before its queue moves on.
    /// - Parameter began: when its first attempt began.
    func recordCommit(
        of unit: UnitOfWork, in index: Int, began: Int64, captured: Int64, isFirstTry: Bool, isParked: Bool = false
    ) {
        let now = monotonicNow()
        sampleLag(upTo: now)
        let count = Int64(unit.range.count)
        let membership = plan.window?.commit(count: count, at: now)
        let (arrivals, polled) = (queues[index].arrivals, queues[index].polledTimes)
        var measured: Int64 = 0
        for message in unit.range {
            let arrival = arrivals[message]
            figures.series.record(latency: now - arrival, at: now)
            guard membership?.contains(arrival: arrival) ?? true else { continue }
            measured += 1
            recordVisible(arrival: arrival, ready: max(arrival, polled[message]), began: began, at: now)
        }
        if captured > 0 { unallocatedFills?.note(queues[index].bookPositions[unit.range], at: now) }
        tellAllocated(at: now)
        record(
            measured, of: count, captured: captured, began: began, isFirstTry: isFirstTry, isParked: isParked, at: now)
        partitionFigures[index].messages += measured
        if let last = unit.range.last { lastArrivals[index] = max(lastArrivals[index], arrivals[last]) }
    }

    /// Records a cycle: everything staged is visible now.
    func recordCycle(captured: Int64, began: Int64, isFirstTry: Bool) {
        let now = monotonicNow()
        sampleLag(upTo: now)
        let count = Int64(staged.count)
        let membership = plan.window?.commit(count: count, at: now)
        var measured: Int64 = 0
        for message in staged {
            figures.series.record(latency: now - message.arrival, at: now)
            guard membership?.contains(arrival: message.arrival) ?? true else { continue }
            measured += 1
            partitionFigures[message.queue].messages += 1
            recordVisible(arrival: message.arrival, ready: message.ready, began: began, at: now)
        }
        if captured > 0 { unallocatedFills?.note(staged.lazy.map(\.block), at: now) }
        tellAllocated(at: now)
        record(measured, of: count, captured: captured, began: began, isFirstTry: isFirstTry, at: now)
        staged.removeAll(keepingCapacity: true)
        hasStagedLeftovers = false
        for index in queues.indices {
            stagedFromOffsets[queues[index].partition] = queues[index].committedOffset
            noteWhole(index, at: now)
        }
    }

    private func recordVisible(arrival: Int64, ready: Int64, began: Int64, at now: Int64) {
        figures.latencies.record(.timeToVisible, now - arrival)
        figures.latencies.record(.polledToBegun, max(0, began - ready))
    }

    /// - Parameter measured: how many of the transaction's `count` messages lie in the window.
    private func record(
        _ measured: Int64, of count: Int64, captured: Int64, began: Int64, isFirstTry: Bool, isParked: Bool = false,
        at now: Int64
    ) {
        figures.lastCommitTime = now
        // A cycle may capture more than it has messages: what was staged before.
        if !isParked { duplicatesSoFar += max(0, count - captured) }
        plan.progress?.addCommitted(count)
        if isParked { plan.progress?.addErrors(count) }
        figures.series.recordCommit(at: now)
        // Throughput is of what was committed meanwhile, in an open run, too, where `measured` goes by the arrivals.
        if isBacklog && count > 0 ? measured > 0 : isMeasuring(at: now) { figures.committedCapturedCount += captured }
        guard measured > 0 || count == 0 else { return }
        figures.messageCount += measured
        // A cycle may capture more than it has messages: what an earlier worker has staged.
        figures.capturedCount += measured == count ? captured : min(captured, measured)
        if isParked { figures.parkedCount += measured }
        figures.transactionCount += 1
        if measured > 0 { figures.latencies.record(.begunToCommitted, now - began, count: measured) }
        figures.latencies.record(.transactionLatency, now - began)
        if isFirstTry { figures.latencies.record(.firstTryLatency, now - began) }
    }

    /// Counts a transaction that holds no messages of its own: a staging, a snapshot, a statement of mode row.
    func countTransaction() {
        let now = monotonicNow()
        // What is left of an earlier worker is finished before the start.
        if startTime > 0 { figures.series.recordCommit(at: now) }
        if isMeasuring(at: now) { figures.transactionCount += 1 }
    }

    /// Whether what happens now, and belongs to no message, belongs to the window. What a worker finishes of an earlier one
    /// before the start doesn't.
    func isMeasuring(at now: Int64) -> Bool {
        guard startTime > 0 else { return false }
        guard let window = plan.window, window.plan != .everything else { return true }
        guard let opening = window.openingTime else { return false }
        return now > opening && now <= window.closingTime ?? .max
    }

    /// The snapshots of `takenBlocks` are committed, and so are the fills that came with them.
    func tellAllocated(at now: Int64) {
        guard !takenBlocks.isEmpty else { return }
        let isMeasured = isMeasuring(at: now)
        unallocatedFills?.take(takenBlocks, at: now) { nanoseconds, count in
            if isMeasured { figures.latencies.record(.committedToAllocated, nanoseconds, count: count) }
        }
        takenBlocks.removeAll(keepingCapacity: true)
    }

    // MARK: Failures

    /// Counts an attempt that began at `began`, failed and is repeated.
    func recordRetry(_ state: SQLState, messages: Int64, began: Int64, failedAt: Int64) {
        plan.progress?.addRetry()
        if startTime > 0 { figures.series.recordRetries(at: failedAt) }
        guard isMeasuring(at: failedAt) else { return }
        figures.retries.record(state, messages: messages, nanoseconds: failedAt - began)
    }

    /// A handicapped worker waits for what it has done. Only with nothing in flight: the database would go on meanwhile.
    func payHandicap() {
        if inFlight.isEmpty { figures.handicapNanoseconds += handicap.pay() }
    }

    // MARK: Intake

    /// Records a message that was published while workers run and was handed over by the consumer.
    /// - Parameter publishedMs: when it was published, on the wall clock; nil if that isn't known.
    func recordPolled(arrival: Int64, at now: Int64, publishedMs: Int64?) {
        guard let publishedMs, plan.window?.membership(at: now).contains(arrival: arrival) ?? true else { return }
        // The broker's timestamp is of the millisecond in which the message was published: half of one is its mean error.
        let published = clocks.monotonic(realtime: publishedMs * 1_000_000 + 500_000)
        figures.latencies.record(.publishedToPolled, max(0, now - published))
    }

    /// Records how late each message is seen that has fallen due since the last look. Messages are polled long before they are
    /// due, so that a worker which wakes late shows only here. Work that ended after the message was due is what kept it
    /// waiting until then; while there is work at hand (`idleSince` is `max`), nothing else does.
    func recordDue(by now: Int64) {
        for index in queues.indices {
            while let arrival = queues[index].nextNewlyDue(by: now) {
                guard plan.window?.membership(at: now).contains(arrival: arrival) ?? true else { continue }
                figures.latencies.record(.scheduleLag, max(0, now - max(arrival, idleSince)))
            }
        }
    }

    // MARK: Lag

    /// Takes the samples that fell due, each as things stood at its own second: while a transaction was on its way nothing
    /// was committed, so its stall shows in all the seconds that it took. Only before a queue moves on.
    func sampleLag(upTo now: Int64) {
        while nextSampleTime <= now, nextSampleTime > 0 {
            sampleLag(at: nextSampleTime)
            nextSampleTime += idleLag.series.intervalNs
        }
    }

    private func sampleLag(at time: Int64) {
        var sum: Int64 = 0
        idleLag.sample(messages: 0, nanoseconds: 0, at: time)
        for index in queues.indices {
            let lag = lag(of: index, at: time)
            sum += lag.messages
            partitionLags[index].sample(messages: lag.messages, nanoseconds: lag.nanoseconds, at: time)
        }
        tellLag(sum)
    }

    /// Lets whoever prints progress know how far this worker is behind.
    func tellLag(_ messages: Int64) {
        plan.progress?.changeLag(by: messages - toldLag)
        toldLag = messages
    }

    /// What is known now; what is polled later and was due at `time` is added then.
    private func lag(of index: Int, at time: Int64) -> (messages: Int64, nanoseconds: Int64) {
        let partition = queues[index].partition
        let end = endOffsets?[partition]
        // Staged messages aren't visible yet; the offset row doesn't know.
        let visible = mode == .cycle ? stagedFromOffsets[partition] ?? 0 : queues[index].committedOffset
        let stagedCount = queues[index].committedOffset - visible
        if isBacklog, let end {
            return end > visible ? (end - visible, time - startTime) : (0, 0)
        }
        let (arrivals, head) = (queues[index].arrivals, queues[index].head)
        // Executions come in their order but for repetitions, so the first that isn't due has nothing due behind it.
        let due = arrivals[head...].partitioningIndex { $0 > time }
        let messages = stagedCount + Int64(due - head)
        var oldest = stagedCount > 0 ? staged.first?.arrival : nil
        if oldest == nil, due > head { oldest = arrivals[head] }
        return (messages, oldest.map { max(0, time - $0) } ?? 0)
    }

    // MARK: Faults

    /// Notes that this worker has lost its connection, its life or what it reads from: until its partitions are whole again, a fault that was
    /// planned isn't over.
    func noteBroken() {
        guard let time = plan.fault?.pendingTime, time != faultTime else { return }
        faultTime = time
        duplicatesAtFault = duplicatesSoFar
        brokenPartitions = Set(queues.map(\.partition))
        awaitsPartitions = false
        // A member without a partition has nothing to be over.
        closeFault(at: monotonicNow())
    }

    /// After a commit: whether the partition is past everything that was due when the fault came. With a backlog, where
    /// everything is due from the start, its first commit is taken for that.
    func noteWhole(_ index: Int, at now: Int64) {
        guard !brokenPartitions.isEmpty, brokenPartitions.contains(queues[index].partition) else { return }
        guard isBacklog || isPastFault(index) else { return }
        brokenPartitions.remove(queues[index].partition)
        closeFault(at: now)
    }

    /// The same for partitions of which nothing was due, or nothing is left to commit.
    func noteWholeWithoutCommit() {
        guard !brokenPartitions.isEmpty else { return }
        let now = monotonicNow()
        for partition in brokenPartitions {
            guard let index = queueIndexes[partition] else { continue }
            let isAtEnd = endOffsets.map { visibleOffset(of: index) >= $0[partition] ?? 0 } ?? false
            if isAtEnd || !isBacklog && isPastFault(index) {
                brokenPartitions.remove(partition)
                closeFault(at: now)
            }
        }
    }

    /// A partition is about to go. Whoever gives it up has done with it what was to be done; whoever loses it by the fault isn't
    /// over that before the group has dealt partitions out again.
    func forgetFault(of partition: Int32, isGivenUp: Bool) {
        guard brokenPartitions.remove(partition) != nil else { return }
        if !isGivenUp { awaitsPartitions = true }
        closeFault(at: monotonicNow())
    }

    /// The group has dealt partitions out to a member that had lost some by a fault: they are what has to become whole now.
    func noteDealt(_ partitions: [Int32]) {
        guard awaitsPartitions else { return }
        awaitsPartitions = false
        brokenPartitions.formUnion(partitions)
        closeFault(at: monotonicNow())
    }

    private func closeFault(at now: Int64) {
        guard brokenPartitions.isEmpty, !awaitsPartitions else { return }
        plan.fault?.recovered(at: now, duplicates: duplicatesSoFar - duplicatesAtFault)
    }

    private func visibleOffset(of index: Int) -> Int64 {
        mode == .cycle && !staged.isEmpty
            ? stagedFromOffsets[queues[index].partition] ?? 0 : queues[index].committedOffset
    }

    private func isPastFault(_ index: Int) -> Bool {
        let queue = queues[index]
        if mode == .cycle, staged.contains(where: { $0.queue == index && $0.arrival <= faultTime }) { return false }
        if queue.head < queue.arrivals.count { return queue.arrivals[queue.head] > faultTime }
        return lastArrivals[index] > faultTime
    }

    /// What the thread hands over in the end.
    func finishedFigures() -> WorkerFigures {
        for index in queues.indices { retireFigures(at: index) }
        if let membership { figures.group.merge(membership.figures) }
        return figures
    }

    /// Keeps what was measured of a partition that this worker is done with.
    func retireFigures(at index: Int) {
        var partition = partitionFigures[index]
        partition.take(partitionLags[index])
        figures.partitions[queues[index].partition, default: PartitionFigures()].merge(partition)
        figures.lag.merge(partitionLags[index].series)
    }
}

extension ArraySlice {
    /// The first index from which on `belongsBehind` holds, in a slice that is ordered by it.
    fileprivate func partitioningIndex(where belongsBehind: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if belongsBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
