// One routing worker: takes requests from its partitions as they come and turns them into customer orders and drafts of
// block orders, up to a batch in one transaction. A plain loop on its own thread, with its own connection and consumer.
//
// Offsets are committed to the broker after the database's commit, so a request may come twice: after a kill, after a lost
// answer, from a feed that published it again. The statement marks the requests that it routes and routes only unmarked
// ones, so that a repetition changes nothing.

import Diagnostics
import Glibc
import Kafka
import Measurement
import Model
import Orders
import Postgres
import Threads

final class RequestWorker {
    /// How often offsets are committed while there is work.
    private static let offsetIntervalNs: Int64 = 200_000_000
    private static let routeStatement = "route_requests"
    private static let unroutedStatement = "unrouted_requests"

    private let plan: RequestPlan
    private let end: TopicEnd
    /// The caller's, and the pool's for when another worker failed.
    private let stops: [StopFlag]
    private let consumer: KafkaConsumer
    private var connection: PostgresConnection
    private let decoder = RequestDecoder()
    private let parameters = ParameterBuffer()
    private var random: SeededRandom
    private var figures = RequestFigures()

    /// By partition the offset that the next message must have: a gap means that the broker lost messages.
    private var nextOffsets: [Int32: Int64] = [:]
    private var nextOffsetCommitTime: Int64 = 0
    /// Whether a stop came between a message and its row.
    private var isAbandoned = false
    /// What was polled and isn't routed yet.
    private var requests: [Int64] = []
    /// When each of them was opened, in nanoseconds since 1970; 0 where the feed didn't say.
    private var openedTimes: [Int64] = []

    /// Connects to database and broker, and finds where its partitions stand. Blocks its thread.
    init(_ plan: RequestPlan, end: TopicEnd, stops: [StopFlag], index: Int) throws {
        self.plan = plan
        self.end = end
        self.stops = stops
        random = SeededRandom(seed: plan.seed, stream: 0x726F_7574_6573, UInt64(index))
        connection = try Self.connect(plan)
        consumer = try KafkaConsumer(settings: plan.kafka.with("group.id", plan.group))
        try assign()
    }

    /// Routes until everything before the topic's end is routed, or until a stop is set. Blocks its thread.
    func run() throws -> RequestFigures {
        while !isStopped {
            if try poll() > 0 {
                if !requests.isEmpty { try route() }
                if !isAbandoned, monotonicNow() >= nextOffsetCommitTime { try commitOffsets(waits: false) }
            } else if isAtEnd {
                break
            }
        }
        // Without this commit the next run reads messages again and changes nothing; no reason to fail.
        if !isAbandoned { try? commitOffsets(waits: true) }
        consumer.close()
        connection.close()
        return figures
    }

    private var isStopped: Bool { stops.contains { $0.isSet } }

    private var isAtEnd: Bool {
        guard let ends = end.value else { return false }
        return plan.partitions.allSatisfy { nextOffsets[$0, default: 0] >= ends[$0, default: 0] }
    }

    // MARK: Messages

    private func assign() throws {
        let committed = try settled { try consumer.committed(topic: plan.topic, partitions: plan.partitions) }
        for partition in plan.partitions {
            let marks = try settled { try consumer.watermarks(topic: plan.topic, partition: partition) }
            // What a committed offset beyond the end was meant for is gone, with the topic of then.
            let isKnown = committed[partition].map { (marks.low...marks.high).contains($0) } ?? false
            nextOffsets[partition] = isKnown ? committed[partition] : marks.low
        }
        try consumer.assign(
            plan.partitions.map {
                TopicPartitionOffset(topic: plan.topic, partition: $0, offset: nextOffsets[$0, default: 0])
            })
    }

    /// Asks again while the brokers still agree on who leads the partitions of a topic that was made a moment ago.
    private func settled<Value>(_ ask: () throws -> Value) throws -> Value {
        let passing: Set = [
            KafkaError.Code.notLeaderForPartition, .leaderNotAvailable, .unknownTopicOrPartition, .unknownPartition,
            .unknownTopic,
        ]
        let deadline = monotonicNow() + 10_000_000_000
        while true {
            do {
                return try ask()
            } catch let error as KafkaError
                where passing.contains(error.code) && monotonicNow() < deadline && !isStopped
            {
                sleepThread(for: .milliseconds(20))
            }
        }
    }

    /// Takes what has arrived, up to a batch; waits a moment for the first message only. Returns how many came.
    private func poll() throws -> Int {
        var failure: OperatingError?
        let count = try consumer.pollBatch(max: plan.batchSize, timeoutMs: 10) { message in
            if failure == nil { failure = take(message) }
        }
        if let failure { throw failure }
        return count
    }

    /// Queues one message. Returns why it can't be.
    private func take(_ message: borrowing KafkaMessage) -> OperatingError? {
        let (partition, offset) = (message.partition, message.offset)
        guard let expected = nextOffsets[partition] else { return nil }
        guard offset == expected else {
            return OperatingError(
                "partition \(partition) of \(plan.topic) goes on at offset \(offset) after \(expected): "
                    + "the broker has lost messages",
                remedy: "use a real Kafka (--kafka-home DIR or KAFKA_HOME)")
        }
        nextOffsets[partition] = offset + 1
        switch message.withValue({ decoder.decode($0) }) {
        case .request(let request, let committedAtNs) where request.date == plan.date:
            figures.messageCount += 1
            requests.append(request.id.rawValue)
            openedTimes.append(committedAtNs ?? 0)
        case .request, .routed, .deleted, .resolved:
            figures.skippedCount += 1
        case .malformed(let field):
            figures.reject(RejectedMessage(partition: partition, offset: offset, field: field))
            plan.progress?.addErrors()
        }
        return nil
    }

    private func commitOffsets(waits: Bool) throws {
        nextOffsetCommitTime = monotonicNow() + Self.offsetIntervalNs
        try consumer.commit(
            nextOffsets.map { TopicPartitionOffset(topic: plan.topic, partition: $0.key, offset: $0.value) },
            waits: waits)
    }

    // MARK: Transactions

    /// Routes what is queued, in one transaction unless messages came before their rows could be seen.
    private func route() throws {
        let began = monotonicNow()
        var routed = try routeOnce()
        var (waiting, missing) = routed < Int64(requests.count) ? try unrouted() : ([], [])
        while !(waiting.isEmpty && missing.isEmpty), !isStopped {
            figures.overtakenCount += 1
            if !missing.isEmpty {
                guard monotonicNow() < began + plan.visibilityTimeoutNs else { break }
                sleepThread(for: .milliseconds(1))
            }
            routed += try routeOnce()
            (waiting, missing) = try unrouted()
        }
        // A stop leaves them to the next run: their offsets must stay where they are.
        if !(waiting.isEmpty && missing.isEmpty), isStopped { return isAbandoned = true }
        figures.missingCount += Int64(missing.count)
        record(routed: routed, began: began)
    }

    private func routeOnce() throws -> Int64 {
        let result = try run(Self.routeStatement)
        figures.customerOrderCount += result.int64(0, 1)
        figures.transactionCount += 1
        return result.int64(0, 0)
    }

    /// Requests of the queue that aren't routed: those with a row, and those without.
    private func unrouted() throws -> (waiting: [Int64], missing: [Int64]) {
        let result = try run(Self.unroutedStatement)
        var (waiting, missing): ([Int64], [Int64]) = ([], [])
        for row in 0..<result.rowCount {
            if result.text(row, 1) == "t" {
                waiting.append(result.int64(row, 0))
            } else {
                missing.append(result.int64(row, 0))
            }
        }
        return (waiting, missing)
    }

    /// Runs a statement on the queued requests, repeated as the retry policy says. Repeating is harmless whatever became of
    /// the attempt before.
    private func run(_ statement: String) throws -> QueryResult {
        var attempt = 1
        while true {
            let began = monotonicNow()
            do {
                parameters.reset()
                parameters.append(text: plan.date.description)
                parameters.append(int64Array: requests)
                return try connection.executePrepared(statement, parameters: parameters)
            } catch {
                if let state = error.sqlState {
                    figures.retries.record(
                        state, messages: Int64(requests.count), nanoseconds: monotonicNow() - began)
                    plan.progress?.addRetry()
                }
                if error.isConnectionLost {
                    try reconnect()
                } else {
                    guard error.isRetryable || error.isAmbiguous, attempt < plan.retry.maxAttempts else { throw error }
                    let jitter = Double(random.integer(in: 0...1_000_000)) / 1_000_000
                    sleepThread(for: plan.retry.delay(attempt: attempt, jitter: jitter))
                    attempt += 1
                }
            }
        }
    }

    private func record(routed: Int64, began: Int64) {
        let (now, wall) = (monotonicNow(), wallClockNow())
        figures.routedCount += routed
        plan.progress?.addCommitted(routed)
        figures.transactionLatency.record(now - began)
        for opened in openedTimes where opened > 0 { figures.requestToRouted.record(wall - opened) }
        if figures.firstCommitTime == 0 { figures.firstCommitTime = now }
        figures.lastCommitTime = now
        requests.removeAll(keepingCapacity: true)
        openedTimes.removeAll(keepingCapacity: true)
    }

    private func reconnect() throws {
        connection.close()
        connection = try plan.reconnect.reconnect(
            since: monotonicNow(), now: monotonicNow, isStopped: { isStopped }
        ) { try Self.connect(plan) }
        figures.reconnectCount += 1
        plan.progress?.addErrors()
    }

    private static func connect(_ plan: RequestPlan) throws -> PostgresConnection {
        let connection = try PostgresConnection.connect(to: plan.connection, applicationName: "allocbench routing")
        try connection.prepare(routeStatement, OrdersSource.routeRequestsStatement)
        try connection.prepare(unroutedStatement, OrdersSource.unroutedRequestsStatement)
        return connection
    }
}

/// Nanoseconds since 1970: what the database's commit times are compared with.
private func wallClockNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
}
