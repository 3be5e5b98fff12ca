// One worker: a plain loop on its own thread with its own connection and its own consumer: poll, decode, transaction,
// record. No lock and no hand-over on the way; what differs between modes is in the extensions beside this file.

import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
public import Threads

/// Runs one plan to its end.
public final class AllocationWorker {
    let plan: WorkerPlan
    var store: AllocationsStore
    var queues: [PartitionQueue] = []
    var figures = WorkerFigures()
    /// Built once and refilled, so that a transaction allocates nothing for its parameters.
    let parameters = ParameterBuffer()
    let noParameters = ParameterBuffer()
    var random: SeededRandom

    /// What this worker expects of each block, by position in the book.
    var outlooks: [BlockOutlook]
    /// Where the division of each block stands that this worker has allocated but that isn't final yet.
    var divisions: [Int: DivisionCursor] = [:]
    /// Blocks whose snapshot was found due by a fill that wasn't expected to make it so.
    var unexpectedBlocks: [Int] = []
    /// Under a snapshot policy by time: blocks whose fills aren't all allocated, when each had its last snapshot or its first
    /// fill, and when to look again.
    var unallocatedBlocks: Set<Int> = []
    var snapshotTimes: [Int: Int64] = [:]
    var nextOverdueCheck: Int64 = 0
    /// The blocks that the last fill moved.
    var moves: [BlockMove] = []
    /// The blocks of the unit or cycle that is being foreseen.
    var foreseenMoves: [ForeseenMove] = []
    /// By position in the book: where in `foreseenMoves` the block was found last, in this unit or an earlier one.
    var moveIndexes: [Int32]
    /// Transactions whose answers are still to come, oldest first.
    var inFlight: [InFlightUnit] = []
    /// Transactions that failed, or went behind one that did, and that haven't been repeated yet.
    var refused: [InFlightUnit] = []
    /// Blocks whose messages are parked from here on: those in the tables, and those that a queued message stops.
    var parkedCodes: Set<String> = []
    /// The former alone, which is what holds when messages are read again.
    var storedParkedCodes: Set<String> = []
    /// Messages that the database refused, by partition and offset, and why: they are read again to be parked whole.
    var refusals: [Int32: [Int64: String]] = [:]
    /// Counts the times that all queues began anew: units of work from before mean nothing then.
    var queueGeneration = 0
    /// Row mode: executions whose capture may have been committed by an attempt that failed later on.
    var repeatedExecutions: Set<Int64> = []

    /// Cycle mode: what is staged but not processed yet, and when the next cycle is due.
    var staged: [StagedMessage] = []
    /// Where in each partition those staged messages begin.
    var stagedFromOffsets: [Int32: Int64] = [:]
    /// Whether messages may be staged that `staged` doesn't have: an earlier worker's, or of a cycle that the database has lost. A
    /// worker that replaces a killed one takes its own for such.
    var hasStagedLeftovers = false
    /// The snapshots that the foreseen cycle under way takes.
    var dueOfCycle: [DueSnapshot]?
    var nextCycleTime: Int64 = 0

    var consumer: KafkaConsumer
    let decoder = EnvelopeDecoder()
    var queueIndexes: [Int32: Int] = [:]
    var nextQueue = 0
    /// What the worker has of its group; nil without one.
    var membership: GroupMembership?
    /// Whether the whole topic was found committed, and when to look next.
    var isGroupDone = false
    var nextGroupLook: Int64 = 0
    /// Of a member, by position in the book: the partition that the block's messages came by last; -1 for none.
    var blockPartitions: [Int32] = []
    /// The lag of a partition that this member doesn't have: zeros.
    var idleLag = PartitionLag()
    /// Since when a member has waited for its group's first word, and when it last told so.
    var joinTime: Int64 = 0
    /// Of a member: the first messages of partitions that didn't stand where they were expected, and the partitions that are to be
    /// fetched again because of it.
    var doubtedOffsets: [Int32: Int64] = [:]
    var doubtedPartitions: Set<Int32> = []
    /// When a member must poll again, whatever there is to do.
    var nextPollTime = Int64.max
    /// Whether fetching was stopped because everything is polled.
    var isPaused = false
    private(set) var startTime: Int64 = 0
    /// Since when nothing but the generator could keep this worker waiting: when its last work ended. `max` while it works.
    var idleSince: Int64 = 0
    /// Begin of the latest attempt, for a commit that is found later on.
    var lastBegan: Int64 = 0
    /// How often the last transaction went back to its savepoint.
    var restartCount = 0
    /// Blocks whose snapshots are committed and whose fills aren't yet told so.
    var takenBlocks: [Int] = []
    /// By queue: what is told of its partition, and the latest arrival that is committed.
    var partitionFigures: [PartitionFigures]
    var partitionLags: [PartitionLag]
    var lastArrivals: [Int64]
    /// Messages committed so far that had been captured before, and how many there were when the last fault came.
    var duplicatesSoFar: Int64 = 0
    var duplicatesAtFault: Int64 = 0
    /// Partitions that aren't past the fault at `faultTime` yet.
    var brokenPartitions: Set<Int32> = []
    /// Of a member: whether that fault took partitions from it and the group hasn't dealt any out since.
    var awaitsPartitions = false
    var faultTime: Int64 = 0
    /// Recoveries since the offsets were last seen to move, and what they added up to then.
    var fruitlessRecoveries = 0
    var offsetsAtRecovery: Int64 = -1
    /// Nil where workers share their blocks: they would have to share this and its lock, which no other competitor pays.
    let unallocatedFills: UnallocatedFills?
    var handicap: Handicap
    /// When the next sample of the lag is due, and the lag that `plan.progress` knows of.
    var nextSampleTime: Int64 = 0
    var toldLag: Int64 = 0
    /// Where the topic's timestamps stand on our clock.
    let clocks = ClockOffset.sample()
    /// Everything is due from the start.
    let isBacklog: Bool
    /// Whether messages wait in the topic until they are due, so that a late one was kept back by the harness alone.
    let measuresScheduleLag: Bool
    let stop: StopFlag
    /// An execution this far behind the first is not due within ten years, and its arrival not to be reckoned.
    let sequenceLimit: Int64

    /// Connects, claims the partitions and starts fetching. Blocks.
    init(plan: WorkerPlan, stop: StopFlag) throws {
        self.plan = plan
        self.stop = stop
        sequenceLimit = plan.schedule.ratePerSecond.map { Int64($0 * 300_000_000) } ?? Int64.max
        random = SeededRandom(
            seed: plan.seed, stream: UInt64(plan.group == nil ? plan.partitions.first ?? 0 : Int32(plan.memberIndex)))
        moveIndexes = plan.book.blocks.map { _ in 0 }
        outlooks = plan.book.blocks.map { BlockOutlook(BlockState(orderQuantity: $0.intendedQuantity)) }
        unallocatedFills =
            plan.configuration.topicKey == .execution ? nil : UnallocatedFills(blockCount: plan.book.blocks.count)
        handicap = Handicap(ppm: plan.configuration.handicapPpm)
        isBacklog = plan.schedule.isBacklog
        measuresScheduleLag = !plan.schedule.isBacklog && !plan.measuresPublishing
        let assigned = plan.group == nil ? plan.partitions : []
        partitionFigures = assigned.map { _ in PartitionFigures() }
        partitionLags = assigned.map { _ in PartitionLag() }
        lastArrivals = assigned.map { _ in 0 }
        consumer = try KafkaConsumer(settings: plan.consumerSettings, group: plan.group)
        store = try Self.connect(plan, consumer)
        for partition in assigned {
            let claim = try store.claim(partition: partition)
            try requireMessages(from: claim.nextOffset, in: partition)
            queueIndexes[partition] = queues.count
            queues.append(PartitionQueue(partition: partition, epoch: claim.epoch, nextOffset: claim.nextOffset))
            stagedFromOffsets[partition] = claim.nextOffset
        }
        if plan.group == nil { try readTables() } else { try join() }
    }

    /// Becomes a member of the plan's group; partitions come when the group says so.
    func join() throws {
        membership = plan.group.map { GroupMembership($0, patienceNs: consumer.sessionTimeoutMs * 1_000_000) }
        blockPartitions = Array(repeating: -1, count: plan.book.blocks.count)
        joinTime = monotonicNow()
        if usesPipeline { try store.connection.enterPipelineMode() }
        try consumer.subscribe(to: plan.topic)
    }

    /// Of a member, the server ends a transaction that waits for its worker for as long as the group waits for its members: else
    /// one that stands still in the middle of a transaction would keep the partition's row from whoever has it by then.
    static func connect(_ plan: WorkerPlan, _ consumer: KafkaConsumer) throws -> AllocationsStore {
        try AllocationsStore.connect(
            to: plan.connection, topic: plan.topic, configuration: plan.configuration, cockroach: plan.cockroach,
            retry: plan.retry, idleTransactionLimitMs: plan.group == nil ? nil : consumer.sessionTimeoutMs)
    }

    /// Reads what earlier workers left, once the partitions are claimed: until then, they may still leave something behind.
    func readTables() throws {
        try store.requireNothingUnfinished(of: mode, partitions: plan.partitions)
        storedParkedCodes = try store.parkedBlocks()
        let overdue = try loadBlockStates()
        try noteLeftovers(in: queues.map(\.partition))
        try assignConsumer()
        if usesPipeline {
            try store.connection.enterPipelineMode()
            // What a worker of mode row left that was killed between a fill and its snapshot. A new one of mode row repeats the
            // message instead, and finds out.
            try takeSnapshots(ofBlocksAt: overdue)
        }
    }

    /// Runs a worker on the calling thread, from connecting to closing.
    public static func run(_ plan: WorkerPlan, line: StartingLine, stop: StopFlag) throws -> WorkerFigures {
        do {
            let worker = try AllocationWorker(plan: plan, stop: stop)
            defer { worker.close() }
            defer { plan.fault?.end() }
            try worker.awaitAssignment(line)
            guard let start = line.wait() else { return worker.finishedFigures() }
            worker.begin(at: start)
            do {
                try worker.liveAndDie()
            } catch let error as PostgresError where stop.isSet && error.isConnectionLost {
                // Whoever stopped the run may have stopped the database too.
            }
            return worker.finishedFigures()
        } catch {
            line.abandon()
            stop.set()
            throw error
        }
    }

    func begin(at start: Int64) {
        startTime = start
        nextCycleTime = start + Int64(plan.configuration.cycleIntervalMs) * 1_000_000
        nextSampleTime = start + idleLag.series.intervalNs
        for index in partitionLags.indices { partitionLags[index].begin(at: start) }
        idleLag.begin(at: start)
        // A member may have polled before the start; arrivals are reckoned from there.
        for index in queues.indices { queues[index].delay(by: start) }
        idleSince = start
        handicap.resume(at: start)
        plan.window?.begin(at: start)
        figures.series.begin(at: start)
    }

    /// Works to the end; a worker that is killed on the way is replaced at once.
    private func liveAndDie() throws {
        var isAlive = true
        while true {
            do {
                if !isAlive {
                    try replace()
                    idleSince = monotonicNow()
                }
                isAlive = true
                return try loop()
            } catch is WorkerKilled {
                isAlive = false
            } catch is DatabaseWentBack {
                isAlive = false
            }
        }
    }

    func close() {
        consumer.close(timeoutMs: 5_000)
        store.connection.close()
    }

    var mode: Mode { plan.configuration.mode }
    var usesPipeline: Bool { mode != .row }

    private func loop() throws {
        while !stop.isSet && !isFinished {
            if plan.fault?.takeStall() == true { noteBroken() }
            let polled = try fillQueues()
            if membership != nil { _ = try recovering { try followGroup() } }
            let worked = try recovering { try takeOverdueSnapshots() || work() }
            for index in queues.indices { queues[index].compact() }
            let now = monotonicNow()
            sampleLag(upTo: now)
            noteWholeWithoutCommit()
            if worked || idleSince == .max {
                idleSince = now
            }
            if !worked && !polled {
                if membership != nil {
                    tellSilence()
                    _ = try recovering { try lookForGroupEnd() }
                }
                try idle()
                handicap.resume(at: monotonicNow())
            }
        }
        sampleLag(upTo: monotonicNow())
        tellLag(0)
    }

    /// Per partition the offset behind the last message; nil as long as it isn't known.
    var endOffsets: [Int32: Int64]? { plan.endOffsets ?? plan.streamEnd?.offsets }

    /// Whether everything up to the end offsets is committed and visible.
    private var isFinished: Bool { isOwnWorkDone && (membership == nil || isGroupDone) }

    /// The same of this worker's partitions.
    var isOwnWorkDone: Bool {
        guard let ends = endOffsets, staged.isEmpty, !hasStagedLeftovers, unexpectedBlocks.isEmpty else {
            return false
        }
        return queues.allSatisfy { $0.committedOffset >= ends[$0.partition] ?? 0 }
    }

    // MARK: Work

    /// Processes what is ready. Returns false if nothing was.
    private func work() throws -> Bool {
        try plan.fault?.dieIfAsked()
        switch mode {
        case .row: return try workByRow()
        case .concurrent, .adaptive, .batch: return try workByTransaction()
        case .cycle: return try workByCycle()
        }
    }

    /// The next unit that the mode may start now, partitions taking turns; none any more once the run is to stop.
    func nextReadyUnit() -> (queue: Int, unit: UnitOfWork)? {
        if stop.isSet { return nil }
        let now = monotonicNow()
        if now >= nextPollTime { return nil }
        if measuresScheduleLag { recordDue(by: now) }
        for step in queues.indices {
            let index = (nextQueue + step) % queues.count
            guard let unit = queues[index].nextUnit(limit: unitLimit, dueBy: now), isReady(unit, of: index, now: now)
            else { continue }
            nextQueue = (index + 1) % queues.count
            idleSince = .max
            return (index, unit)
        }
        return nil
    }

    /// Messages that one transaction takes at most.
    var unitLimit: Int {
        switch mode {
        case .row: 1
        case .concurrent: plan.configuration.transactionSize
        case .adaptive, .batch, .cycle: plan.configuration.batchSize
        }
    }

    /// Only the batch mode waits: until its batch is full or its oldest message has waited for the window.
    private func isReady(_ unit: UnitOfWork, of index: Int, now: Int64) -> Bool {
        guard mode == .batch, unit.range.count < unitLimit, !queues[index].isParked(unit) else { return true }
        return now >= batchDeadline(of: index, unit)
    }

    func batchDeadline(of index: Int, _ unit: UnitOfWork) -> Int64 {
        let oldest = unit.range.lowerBound
        return max(queues[index].arrivals[oldest], queues[index].polledTimes[oldest])
            + Int64(plan.configuration.batchWindowMs) * 1_000_000
    }

    // MARK: Positions

    /// Starts fetching every partition behind what is committed, and drops what was queued beyond.
    func assignConsumer() throws {
        queueGeneration += 1
        forgetDoubts()
        parkedCodes = storedParkedCodes
        // The seconds up to now are of what is forgotten here.
        sampleLag(upTo: monotonicNow())
        for index in queues.indices {
            let queue = queues[index]
            partitionLags[index].forget(below: queue.polledOffset)
            queues[index] = PartitionQueue(
                partition: queue.partition, epoch: queue.epoch, nextOffset: queue.committedOffset,
                unseenOffset: queue.unseenOffset)
        }
        let positions = queues.map {
            TopicPartitionOffset(topic: plan.topic, partition: $0.partition, offset: $0.committedOffset)
        }
        try consumer.assign(positions)
        if isPaused || membership != nil { try consumer.resume(positions) }
        isPaused = false
    }

    /// Goes on fetching after a pause at the end: there is another partition, whose end isn't reached.
    func resumeIfPaused() throws {
        guard isPaused else { return }
        try consumer.resume(
            queues.map { TopicPartitionOffset(topic: plan.topic, partition: $0.partition, offset: $0.polledOffset) })
        isPaused = false
    }

    /// The broker must still have the messages that the offset row asks for.
    func requireMessages(from offset: Int64, in partition: Int32) throws {
        let marks = try consumer.watermarks(topic: plan.topic, partition: partition)
        guard marks.low <= offset, offset <= marks.high else {
            throw OperatingError(
                "partition \(partition) of \(plan.topic): the next offset is \(offset), "
                    + "but the broker holds \(marks.low) to \(marks.high): it has lost messages",
                remedy: "publish again to a new topic and prepare fresh allocations tables")
        }
    }

    /// Reads where the blocks stand, which is what outlooks start from.
    /// - Returns: the blocks that are due for a snapshot whatever comes.
    @discardableResult
    func loadBlockStates() throws -> [Int] {
        for block in outlooks.indices {
            outlooks[block] = BlockOutlook(BlockState(orderQuantity: plan.book.blocks[block].intendedQuantity))
        }
        unallocatedBlocks.removeAll()
        var overdue: [Int] = []
        for (block, state) in try store.blockStates(of: plan.book) {
            note(state, ofBlockAt: block)
            if state.isSnapshotDue(plan.configuration.snapshots, elapsedMs: 0) { overdue.append(block) }
        }
        try keepOwnUnallocatedBlocks()
        return overdue
    }
}

/// A transaction that was sent and not answered yet.
struct InFlightUnit {
    let queue: Int
    let unit: UnitOfWork
    let began: Int64
    /// Of a foreseen transaction: the snapshots that it takes.
    let foreseen: [DueSnapshot]?
}

/// Mode cycle: a message that waits in the staging table for its cycle.
struct StagedMessage {
    let arrival: Int64
    /// When the message was there to be worked on: polled, or due if that came later.
    let ready: Int64
    /// Position in the book.
    let block: Int
    /// Index of its partition's queue.
    var queue: Int
    /// Of a trade; nil of a bust, cancel or replace.
    let trade: (quantity: Int64, priceTicks: Int64)?
}
