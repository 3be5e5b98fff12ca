// What a worker does when a transaction fails: repeat it, look whether it happened, or park the message at fault.

import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
import Threads

/// The guard of a transaction moved no row: the partition has another owner, or the work was done before.
struct GuardMissed: Error {}

extension AllocationWorker {
    /// Runs `body`; when the connection is lost, or the outcome of a commit is unknown, connects again and looks at the
    /// offset rows, which tell exactly what is committed. A connection that is lost meanwhile is sought again, too.
    func recovering(_ body: () throws -> Bool) throws -> Bool {
        var failure: any Error
        do { return try body() } catch { failure = error }
        let firstFailure = failure as? PostgresError
        if firstFailure.map({ $0.isConnectionLost || $0.isAmbiguous }) ?? (failure is GuardMissed) {
            try requireProgress(after: failure)
        }
        let failedAt = monotonicNow()
        var isAmbiguous = false
        var foundCommits = false
        var isFenced = false
        var replayed: Int64 = 0
        while true {
            do {
                if let error = failure as? PostgresError, error.isConnectionLost || error.isAmbiguous {
                    isAmbiguous = isAmbiguous || error.isAmbiguous
                    noteBroken()
                    try reconnect(since: failedAt)
                } else if failure is GuardMissed {
                    if usesPipeline { try store.connection.exitPipelineMode() }
                } else {
                    throw failure
                }
                let resolved = try resolveOffsets(&foundCommits)
                replayed = max(replayed, resolved.replayed)
                if !resolved.fenced.isEmpty {
                    isFenced = true
                    try fence(resolved.fenced, isGuardMissed: failure is GuardMissed)
                }
                if try resolveLostCycle() { foundCommits = true }
                try noteLostCycle()
                let overdue = try loadBlockStates()
                if usesPipeline { unexpectedBlocks += overdue }
                if usesPipeline { try store.connection.enterPipelineMode() }
                break
            } catch let error as PostgresError where error.isConnectionLost && isTime(since: failedAt, after: error) {
                failure = error
            } catch let error as DatabaseWentBack {
                throw error
            } catch {
                if isAmbiguous { figures.ambiguousCommits.unknown += 1 }
                throw error
            }
        }
        inFlight.removeAll()
        refused.removeAll()
        if !(failure is GuardMissed) { noteReplayed(replayed) }
        if isAmbiguous {
            if foundCommits { figures.ambiguousCommits.committed += 1 } else { figures.ambiguousCommits.repeated += 1 }
        } else if let firstFailure, replayed > 0 {
            recordRetry(
                firstFailure.sqlState ?? .connectionFailure, messages: replayed, began: lastBegan, failedAt: failedAt)
        }
        if failure is GuardMissed, !foundCommits, !isFenced {
            throw OperatingError("a guarded transaction moved no offset although its partition is unchanged")
        }
        return true
    }

    /// Notes when an attempt begins.
    func beginAttempt() -> Int64 {
        lastBegan = monotonicNow()
        return lastBegan
    }

    /// Counts a failed attempt and sleeps before the next one, or throws when the policy allows none.
    /// - Parameter began: when that attempt began.
    func backOff(
        after error: PostgresError, attempt: Int, messageCount: Int64, began: Int64, failedAt: Int64 = monotonicNow()
    ) throws {
        guard error.isRetryable, let state = error.sqlState, attempt < plan.retry.maxAttempts else { throw error }
        recordRetry(state, messages: messageCount, began: began, failedAt: failedAt)
        let jitter = Double(random.integer(in: 0...1_000_000)) / 1_000_000
        sleepThread(for: plan.retry.delay(attempt: attempt, jitter: jitter))
    }

    /// Runs a transaction that any failure leaves without effect, and repeats it as the retry policy says.
    func repeating(messageCount: Int64, _ body: (_ attempt: Int) throws -> Void) throws {
        var attempt = 1
        while true {
            let began = beginAttempt()
            do {
                return try body(attempt)
            } catch let error as PostgresError where error.isRetryable {
                try backOff(after: error, attempt: attempt, messageCount: messageCount, began: began)
            }
            attempt += 1
        }
    }

    /// Repeats a unit after `error` as the retry policy says. What can't be repeated is taken apart or thrown.
    /// - Parameters:
    ///   - began: when its first attempt began.
    ///   - messagesBehind: messages that were sent behind the first attempt and failed with it.
    func retry(
        _ unit: UnitOfWork, of queue: Int, began: Int64, after error: PostgresError, failedAt: Int64 = monotonicNow(),
        messagesBehind: Int = 0
    ) throws {
        var failure = error
        var attempt = 1
        var (attemptBegan, failedAt, messageCount) = (began, failedAt, unit.range.count + messagesBehind)
        while true {
            if failure.isDataError { return try isolate(unit, of: queue, after: failure) }
            try backOff(
                after: failure, attempt: attempt, messageCount: Int64(messageCount), began: attemptBegan,
                failedAt: failedAt)
            attempt += 1
            attemptBegan = monotonicNow()
            do {
                return try attemptAgain(unit, of: queue, began: began)
            } catch let next as PostgresError where !next.isConnectionLost && !next.isAmbiguous {
                (failure, failedAt, messageCount) = (next, monotonicNow(), unit.range.count)
            }
        }
    }

    /// The database refuses something in this unit: its messages one by one show which. That one is read again, so that it
    /// is parked as it came, and what follows of its block behind it.
    private func isolate(_ unit: UnitOfWork, of queue: Int, after error: PostgresError) throws {
        if unit.range.count == 1 {
            if mode == .row { try uncaptureByRow(unit, of: queue) }
            refusals[queues[queue].partition, default: [:]][queues[queue].offsets[unit.range.lowerBound]] =
                error.message
            return try assignConsumer()
        }
        queues[queue].unsend()
        let end = unit.range.upperBound
        let generation = queueGeneration
        while queues[queue].unsent < end, let single = queues[queue].nextUnit(limit: 1, dueBy: Int64.max) {
            queues[queue].markSent(single)
            if mode == .cycle { try stageOrRetry(single, of: queue) } else { try transact(single, of: queue) }
            if queueGeneration != generation { return }
        }
    }

    /// Moves one message to the parked tables and its offset on, in one transaction. Its block's later messages follow it.
    func parkUnit(_ unit: UnitOfWork, of index: Int) throws {
        let offset = queues[index].offsets[unit.range.lowerBound]
        guard let message = queues[index].parked[offset] else {
            preconditionFailure("only a message that is marked as parked is parked")
        }
        let began = beginAttempt()
        var isFirstTry = true
        try repeating(messageCount: 1) { attempt in
            isFirstTry = attempt == 1
            try inPipeline {
                let moved = try inTransaction(messageCount: 1) {
                    try sendParking(message, unit: unit, of: index) ? true : nil
                }
                guard moved == true else { throw GuardMissed() }
                isFirstTry = isFirstTry && restartCount == 0
            }
        }
        storedParkedCodes.insert(message.blockCode)
        refusals[queues[index].partition]?[offset] = nil
        recordCommit(of: unit, in: index, began: began, captured: 0, isFirstTry: isFirstTry, isParked: true)
        markCommitted(unit, in: index)
    }

    /// Behind an open BEGIN. Returns false if the guard missed.
    private func sendParking(_ message: ParkedMessage, unit: UnitOfWork, of index: Int) throws -> Bool {
        let connection = store.connection
        bindOffsetMove(unit, of: index)
        try connection.sendPrepared("move_offset", parameters: parameters)
        parameters.reset()
        parameters.append(text: message.blockCode)
        parameters.append(text: message.reason)
        try connection.sendPrepared("park_block", parameters: parameters)
        parameters.reset()
        parameters.append(text: plan.topic)
        parameters.append(int64: Int64(queues[index].partition))
        parameters.append(int64: queues[index].offsets[unit.range.lowerBound])
        parameters.append(text: message.blockCode)
        parameters.append(text: message.reason)
        parameters.append(bytes: message.value)
        try connection.sendPrepared("park_message", parameters: parameters)
        try connection.sendSync()
        var isGuarded = false
        for event in try connection.pipelineEventsUpToSync() {
            if case .failed(let error) = event { throw error }
            if case .result(let result) = event, result.columnCount > 0 { isGuarded = result.rowCount == 1 }
        }
        guard isGuarded else { return false }
        try sendCommit()
        try connection.sendSync()
        for case .failed(let error) in try connection.pipelineEventsUpToSync() { throw error }
        return true
    }

    /// Moves the offset past messages that mean nothing to us, such as resolved timestamps. Returns false if there are none.
    func moveSkippedOffsets() throws -> Bool {
        var moved = false
        for index in queues.indices {
            guard let unit = queues[index].offsetOnlyUnit() else { continue }
            moved = true
            try repeating(messageCount: 0) { _ in
                if let error = try moveSkippedOffset(unit, of: index) { throw error }
            }
            markCommitted(unit, in: index)
        }
        return moved
    }

    /// One attempt. Returns the server's error if it failed.
    private func moveSkippedOffset(_ unit: UnitOfWork, of index: Int) throws -> PostgresError? {
        bindOffsetMove(unit, of: index)
        let answer = try inPipeline {
            try store.connection.sendPrepared("move_offset", parameters: parameters)
            try store.connection.sendSync()
            return try nextAnswer()
        }
        switch answer {
        case .failure(let error): return error
        case .success(let result):
            guard result.rowCount == 1 else { throw GuardMissed() }
            return nil
        }
    }

    /// The unit is committed and visible.
    func markCommitted(_ unit: UnitOfWork, in index: Int) {
        queues[index].markCommitted(unit)
        noteWhole(index, at: figures.lastCommitTime)
    }

    func bindOffsetMove(_ unit: UnitOfWork, of index: Int) {
        parameters.reset()
        parameters.append(text: plan.topic)
        parameters.append(int64: Int64(queues[index].partition))
        parameters.append(int64: queues[index].epoch)
        parameters.append(int64: unit.expectedOffset)
        parameters.append(int64: unit.nextOffset)
    }

    private func attemptAgain(_ unit: UnitOfWork, of queue: Int, began: Int64) throws {
        switch mode {
        case .concurrent, .adaptive, .batch: try attempt(unit, of: queue, began: began, isFirstTry: false)
        case .cycle: try attemptStaging(unit, of: queue)
        case .row:
            repeatedExecutions.insert(queues[queue].executions[unit.range.lowerBound])
            try processByRow(unit, of: queue, began: began, isFirstTry: false)
        }
    }

    /// The row mode runs statement by statement; for what it shares with the others it enters the pipeline for a moment.
    private func inPipeline<R>(_ body: () throws -> R) throws -> R {
        guard !usesPipeline else { return try body() }
        try store.connection.enterPipelineMode()
        let result = Result { try body() }
        // A lost connection can't leave the mode; its error says more than this one's.
        do { try store.connection.exitPipelineMode() } catch { return try result.get() }
        return try result.get()
    }

    /// The opposite: what takes one statement after another leaves the pipeline for a moment.
    func outsidePipeline<R>(_ body: () throws -> R) throws -> R {
        guard usesPipeline else { return try body() }
        try store.connection.exitPipelineMode()
        let result = Result { try body() }
        // A lost connection can't enter the mode; its error says more than this one's.
        do { try store.connection.enterPipelineMode() } catch {
            _ = try result.get()
            throw error
        }
        return try result.get()
    }

    // MARK: Connection

    /// Whether a connection that is lost while what was committed is looked up may be sought again.
    private func isTime(since lostAt: Int64, after error: PostgresError) -> Bool {
        plan.reconnect.delay(after: error, elapsed: .nanoseconds(monotonicNow() - lostAt)) != nil && !stop.isSet
    }

    private func reconnect(since lostAt: Int64) throws {
        store.connection.close()
        store = try plan.reconnect.reconnect(since: lostAt, now: monotonicNow, isStopped: { stop.isSet }) {
            try Self.connect(plan, consumer)
        }
        figures.reconnectCount += 1
        plan.progress?.addErrors()
    }

    /// Compares every partition's offset row with what this worker believes, and believes the row.
    /// Notes whether anything was committed that it didn't know of.
    /// - Returns: messages that were in transactions that weren't committed, and the partitions of a member of a group that
    ///   belong to others by now.
    private func resolveOffsets(_ foundCommits: inout Bool) throws -> (replayed: Int64, fenced: [Int32]) {
        var replayed: Int64 = 0
        var fenced: [Int32] = []
        for index in queues.indices {
            let queue = queues[index]
            let row = try store.offset(of: queue.partition)
            if let row, row.epoch < queue.epoch || row.epoch == queue.epoch && row.nextOffset < queue.committedOffset {
                throw DatabaseWentBack()
            }
            guard let row, row.epoch == queue.epoch else {
                if membership != nil {
                    fenced.append(queue.partition)
                    continue
                }
                throw OperatingError(
                    "partition \(queue.partition) of \(plan.topic) was taken over by another worker",
                    remedy: "this worker has changed nothing since; only one may own a partition")
            }
            replayed += try resolve(index, nextOffset: row.nextOffset, &foundCommits)
        }
        return (replayed, fenced)
    }

    /// Believes that a partition stands at `nextOffset`, and takes back what is under way.
    private func resolve(_ index: Int, nextOffset: Int64, _ foundCommits: inout Bool) throws -> Int64 {
        if nextOffset > queues[index].committedOffset {
            foundCommits = true
            try recordFoundCommit(upTo: nextOffset, of: index)
        }
        let replayed = queues[index].unsent - queues[index].head
        queues[index].unsend()
        if mode == .row, !queues[index].isEmpty {
            repeatedExecutions.insert(queues[index].executions[queues[index].head])
        }
        return Int64(replayed)
    }

    private func noteReplayed(_ count: Int64) {
        figures.replayedMessageCount += count
        plan.fault?.addReplayed(count)
    }

    /// Goes back where the database did. Staged messages that it still has are a part of the next cycle.
    private func noteLost(_ index: Int, nextOffset: Int64) {
        let lost = queues[index].committedOffset - nextOffset
        guard lost > 0 else { return }
        noteLost(lost)
        // Samples of the lag have these messages already.
        partitionLags[index].forget(below: queues[index].polledOffset)
        queues[index].goBack(to: nextOffset)
        staged.removeAll { $0.queue == index }
        stagedFromOffsets[queues[index].partition] = nextOffset
    }

    /// A cycle whose commit was answered may be lost with its messages still staged: then it is repeated.
    private func noteLostCycle() throws {
        guard mode == .cycle, staged.isEmpty, !hasStagedLeftovers else { return }
        let count = try store.stagedCount(partitions: queues.map(\.partition))
        guard count > 0 else { return }
        noteLost(count)
        hasStagedLeftovers = true
    }

    /// Counts messages whose commit was answered and that the database has no more.
    func noteLost(_ count: Int64) {
        figures.lostMessageCount += count
        plan.fault?.addLost(count)
    }

    /// What ends its session each time that it is tried would be tried for ever, because each loss is repaired.
    /// - Throws: when nothing has moved over as many recoveries as a transaction may have attempts.
    private func requireProgress(after failure: any Error) throws {
        let offsets = queues.reduce(0) { $0 &+ $1.committedOffset }
        let isIdle =
            queues.allSatisfy(\.isEmpty) && staged.isEmpty && !hasStagedLeftovers && unexpectedBlocks.isEmpty
        guard offsets == offsetsAtRecovery, !isIdle else {
            (fruitlessRecoveries, offsetsAtRecovery) = (0, offsets)
            return
        }
        fruitlessRecoveries += 1
        if fruitlessRecoveries >= plan.retry.maxAttempts {
            throw OperatingError(
                "\(fruitlessRecoveries) recoveries in a row, and no offset moved; the last was after: \(failure)",
                remedy: "look into the server's log for what ends the sessions of workers")
        }
    }

    // MARK: Death

    /// After a death: everything in memory is lost but what was measured, and a new worker claims the partitions. The server
    /// rolls back what was open once it reads that the connection is gone, as after a crash.
    func replace() throws {
        noteBroken()
        if membership != nil { return try replaceMember() }
        close()
        inFlight.removeAll()
        refused.removeAll()
        unexpectedBlocks.removeAll()
        divisions.removeAll()
        refusals.removeAll()
        snapshotTimes.removeAll()
        var foundCommits = false
        var replayed: Int64 = 0
        let policy = ReconnectPolicy(timeout: plan.reconnect.timeout, interval: .milliseconds(20))
        try policy.reconnect(since: monotonicNow(), now: monotonicNow, isStopped: { stop.isSet }) {
            do {
                consumer = try KafkaConsumer(settings: plan.consumerSettings)
                store = try Self.connect(plan, consumer)
                for index in queues.indices {
                    let partition = queues[index].partition
                    // Waits for the dead worker's transaction, which has the row.
                    let claim = try store.claim(partition: partition)
                    try requireMessages(from: claim.nextOffset, in: partition)
                    queues[index].claim(epoch: claim.epoch)
                    // What was committed and never answered is measured now, by whoever looks.
                    replayed += try resolve(index, nextOffset: claim.nextOffset, &foundCommits)
                    noteLost(index, nextOffset: claim.nextOffset)
                }
                _ = try resolveLostCycle()
                try readTables()
            } catch {
                close()
                throw error
            }
        }
        noteReplayed(replayed)
    }

    private func recordFoundCommit(upTo nextOffset: Int64, of index: Int) throws {
        let queue = queues[index]
        let end = queue.offsets[queue.head...].firstIndex { $0 >= nextOffset } ?? queue.offsets.count
        let unit = UnitOfWork(
            range: queue.head..<end, expectedOffset: queue.committedOffset, nextOffset: nextOffset)
        let captured = try store.capturedCount(
            partition: queue.partition, offsets: queue.committedOffset..<nextOffset)
        if mode == .cycle, !queue.isParked(unit) { return noteStaged(unit, of: index) }
        // The latency of a commit that is found ends where it is found: the search is part of what the loss has cost.
        let began = inFlight.first { $0.queue == index }?.began ?? lastBegan
        let found = inFlight.filter { $0.queue == index && $0.unit.nextOffset <= nextOffset }
        noteTaken(found.flatMap { $0.foreseen ?? [] })
        recordCommit(
            of: unit, in: index, began: began, captured: captured, isFirstTry: false, isParked: queue.isParked(unit))
        queues[index].markCommitted(unit)
    }
}
