// What a worker polls, and when: from the consumer into the queues of its partitions. What can't be applied is queued to be
// parked, in its place among the others. On the worker's thread.

import Diagnostics
import Kafka
import Measurement
import Model
import Threads

extension AllocationWorker {
    /// Polls without waiting until the queues hold enough. Returns false if no message came.
    func fillQueues() throws -> Bool {
        let polled = try pollForQueues()
        // At once, because what is polled may keep the worker busy to its end.
        try pauseAtEnd()
        return polled
    }

    private func pollForQueues() throws -> Bool {
        if membership != nil { nextPollTime = monotonicNow() + Self.pollIntervalNs }
        // A member that didn't poll would be taken for dead.
        let most = membership == nil ? 0 : 1
        if isPaused { return try poll(max: most, timeoutMs: 0) > 0 }
        let held = queues.reduce(0) { $0 + $1.unsentCount }
        let capacity = max(4096, 2 * unitLimit * queues.count)
        if held < capacity { return try poll(max: capacity - held, timeoutMs: 0) > 0 }
        // Messages that aren't due yet must not keep due ones of another partition from being polled.
        guard !isBacklog, isAnyQueueShort() else { return try poll(max: most, timeoutMs: 0) > 0 }
        return try poll(max: 1024, timeoutMs: 0) > 0
    }

    /// Once the whole stream is polled nothing more comes, and to ask for more each few milliseconds would take processor time
    /// from the database that is measured.
    private func pauseAtEnd() throws {
        guard !isPaused, !queues.isEmpty, let ends = endOffsets,
            queues.allSatisfy({ $0.polledOffset >= ends[$0.partition] ?? 0 })
        else {
            return
        }
        try consumer.pause(
            queues.map { TopicPartitionOffset(topic: plan.topic, partition: $0.partition, offset: $0.polledOffset) })
        isPaused = true
    }

    /// Whether some partition's messages of the next half second may still be with the broker.
    private func isAnyQueueShort() -> Bool {
        let horizon = monotonicNow() + 500_000_000
        return queues.contains { queue in
            let isAtEnd = endOffsets.map { queue.polledOffset >= $0[queue.partition] ?? 0 } ?? false
            return !isAtEnd && (queue.arrivals.last ?? 0) < horizon
        }
    }

    /// Nothing is ready: waits for a message, an arrival, a batch window or the cycle, whichever comes first.
    func idle() throws {
        let now = monotonicNow()
        var wake = now + 20_000_000
        var holdsMessages = false
        for index in queues.indices {
            guard queues[index].unsentCount > 0 else { continue }
            holdsMessages = true
            let arrival = queues[index].arrivals[queues[index].unsent]
            if arrival > now {
                wake = min(wake, arrival)
            } else if mode == .batch, let unit = queues[index].nextUnit(limit: unitLimit, dueBy: now) {
                wake = min(wake, batchDeadline(of: index, unit))
            }
        }
        if mode == .cycle, !staged.isEmpty || hasStagedLeftovers { wake = min(wake, nextCycleTime) }
        if !holdsMessages, wake - now > 2_000_000 {
            _ = try poll(max: 1, timeoutMs: Int32((wake - now) / 1_000_000))
        } else if wake > now {
            // New messages may still come while older ones wait, so never sleep for long.
            sleepUntil(monotonic: min(wake, now + 1_000_000))
        }
    }

    func poll(max: Int, timeoutMs: Int32) throws -> Int {
        if max == 0 { return 0 }
        var fault: OperatingError?
        let polled = try consumer.pollBatch(max: max, timeoutMs: timeoutMs) { message throws(KafkaError) in
            if fault == nil { fault = self.take(message) }
        }
        if let fault { throw fault }
        if !doubtedPartitions.isEmpty { try readDoubtedAgain() }
        return polled
    }

    /// Where a member's first message of a partition stands behind the expected offset, that may be the end of a transaction of
    /// Kafka, or messages that were skipped in a rebalance. So it isn't taken at once: the partition is fetched again from the
    /// expected offset, and only what stands first a second time has nothing before it.
    private func isDoubtful(_ offset: Int64, in queue: PartitionQueue) -> Bool {
        guard plan.mayHaveTransactions, !queue.hasPolled, offset > queue.polledOffset else { return false }
        if doubtedPartitions.contains(queue.partition) { return true }
        if doubtedOffsets[queue.partition] == offset { return false }
        doubtedOffsets[queue.partition] = offset
        doubtedPartitions.insert(queue.partition)
        return true
    }

    /// Of one partition, or of all: what was seen before it was claimed or read anew proves nothing of what comes then.
    func forgetDoubts(of partition: Int32? = nil) {
        guard let partition else {
            doubtedOffsets.removeAll()
            doubtedPartitions.removeAll()
            return
        }
        doubtedOffsets[partition] = nil
        doubtedPartitions.remove(partition)
    }

    private func readDoubtedAgain() throws {
        let doubted = queues.filter { doubtedPartitions.contains($0.partition) }
        doubtedPartitions.removeAll()
        try consumer.assign(
            doubted.map { TopicPartitionOffset(topic: plan.topic, partition: $0.partition, offset: $0.polledOffset) })
    }

    /// Decodes one message into its partition's queue. Returns what makes going on impossible.
    private func take(_ message: borrowing KafkaMessage) -> OperatingError? {
        guard let index = queueIndexes[message.partition] else { return nil }
        let offset = message.offset
        let expected = queues[index].polledOffset
        if membership != nil, offset != expected, isDoubtful(offset, in: queues[index]) { return nil }
        guard offset == expected || (plan.mayHaveTransactions && offset > expected) else {
            return OperatingError(
                "partition \(message.partition) of \(plan.topic): expected offset \(expected), "
                    + "the broker gave \(offset): it has dropped messages",
                remedy: "use more partitions, fewer executions, or a real Kafka (KAFKA_HOME)")
        }
        let now = monotonicNow()
        switch message.withValue({ decoder.decode($0) }) {
        case .execution(let execution):
            guard let position = plan.book.position(of: execution.blockOrder) else {
                park(message, of: nil, in: index, reason: "unknown block order \(execution.blockOrder)", polled: now)
                return nil
            }
            let sequence = execution.id.rawValue - plan.firstExecution.rawValue
            if let reason = reasonToPark(position, partition: message.partition, offset: offset) {
                park(message, of: position, in: index, reason: reason, polled: now)
            } else if sequence > sequenceLimit {
                park(
                    message, of: position, in: index, reason: "execution \(execution.id) is not due in this run",
                    polled: now)
            } else {
                let arrival = plan.schedule.intendedArrival(sequence: sequence, start: startTime)
                if plan.measuresPublishing {
                    recordPolled(arrival: arrival, at: now, publishedMs: message.timestampMs)
                }
                // With a backlog the samples go to the topic's end, polled or not.
                if !isBacklog { partitionLags[index].add(arrival: arrival, offset: offset) }
                if membership != nil { blockPartitions[position] = message.partition }
                queues[index].append(
                    execution, bookPosition: position, offset: offset, arrival: arrival, polled: now)
            }
        case .deleted, .resolved:
            queues[index].skip(offset: offset)
        case .malformed(let field):
            park(message, of: nil, in: index, reason: "malformed message: \(field)", polled: now)
        }
        return nil
    }

    /// Why a message of a known block can't be applied; nil if it can.
    private func reasonToPark(_ position: Int, partition: Int32, offset: Int64) -> String? {
        if !parkedCodes.isEmpty, parkedCodes.contains(plan.book.blocks[position].code) {
            return ParkedMessage.blockIsParked
        }
        return refusals.isEmpty ? nil : refusals[partition]?[offset]
    }

    private func park(
        _ message: borrowing KafkaMessage, of position: Int?, in index: Int, reason: String, polled: Int64
    ) {
        let code: String
        if let position {
            code = plan.book.blocks[position].code
        } else if plan.configuration.topicKey == .execution {
            // The key says nothing of the block then; a message that doesn't name one parks itself alone.
            code = message.withValue { EnvelopeDecoder.blockCode(in: $0) } ?? ""
        } else {
            code = message.withKey { key in
                // The key is the JSON array that a changefeed makes of the column: ["B20241114-0000001"].
                String(decoding: key.filter { !#"[]" "#.utf8.contains($0) }, as: UTF8.self)
            }
        }
        parkedCodes.insert(code)
        queues[index].append(
            parked: ParkedMessage(blockCode: code, reason: reason, value: message.withValue { Array($0) }),
            offset: message.offset, arrival: startTime, polled: polled)
    }
}
