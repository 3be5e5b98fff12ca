// The change feed of PostgreSQL: reads logical replication, publishes CockroachDB's envelope, and acknowledges the
// server's log only up to what the broker has acknowledged. One thread, one replication connection, one producer.

public import Kafka
public import Measurement
import Model
public import Postgres
public import Threads

/// Carries the committed new rows of one table to a topic, at least once. Updates and deletions are not published.
public final class ReplicationFeed {
    private let info: ConnectionInfo
    /// How long to wait for the first answer of a broker.
    private let reachTimeoutMs: Int32
    private let slot: FeedSlot
    private let source: FeedSource
    private let window: MeasuredWindow?
    /// How long a slot is waited for that another session reads.
    private let slotWaitMs: Int
    private let producer: KafkaProducer
    private let topic: KafkaTopic
    private var rows: FeedRowEncoder
    /// Of the row at hand.
    private var cells: [PgOutputCell] = []
    private var progress = FeedProgress(from: .zero)
    private var figures = FeedFigures()
    private var commitTimeNs: Int64 = 0
    /// What the scan of this run saw; nil if there was none.
    private var scanned: ScanSnapshot?
    private var isDuplicate = false
    /// Realtime of the server less monotonic of this machine.
    private var serverLessMonotonicNs: Int64 = 0
    private var deliveryFailure: KafkaError?
    /// Of a feed that publishes in transactions of Kafka; nil of one that doesn't.
    private var transactions: FeedTransactions?

    /// - Parameters:
    ///   - info: the database that holds the table; `slot`, which names it, must have been created there.
    ///   - isTransactional: whether to publish in transactions of Kafka, which readers of committed messages see as a whole;
    ///     the server's log is acknowledged behind their commits.
    ///   - window: of which commits the time to the broker counts; nil for all.
    ///   - slotWaitMs: how long to wait for another session that reads the slot: that of a feed which was killed a moment ago
    ///     is there until the server notices.
    public init(
        connection info: ConnectionInfo, kafka: KafkaClientSettings, topic: String, slot: FeedSlot,
        isTransactional: Bool = false, window: MeasuredWindow? = nil, slotWaitMs: Int = 10_000
    ) throws {
        self.slotWaitMs = slotWaitMs
        // Text cells follow the session's settings, and messages must not.
        self.info = info.adding(options: "-c TimeZone=UTC -c DateStyle=ISO,YMD -c extra_float_digits=3")
        self.slot = slot
        source = slot.source
        rows = FeedRowEncoder(source: slot.source)
        self.window = window
        reachTimeoutMs = min(10_000, kafka.unreachableTimeoutMs)
        if isTransactional { transactions = FeedTransactions() }
        producer = try KafkaProducer(
            settings: Self.producerSettings(kafka, slot: slot, topic: topic, isTransactional: isTransactional))
        self.topic = try producer.topic(topic)
    }

    static func producerSettings(
        _ kafka: KafkaClientSettings, slot: FeedSlot, topic: String, isTransactional: Bool
    ) -> KafkaClientSettings {
        // A feed that takes over from one that died has the same id, and so ends what that one left open.
        isTransactional ? kafka.with("transactional.id", "allocbench-\(slot.name)-\(topic)") : kafka
    }

    /// Publishes until everything before `end` is acknowledged, or until `stop` is set and nothing is under way.
    /// Blocks its thread.
    /// - Parameter report: called about ten times a second with the figures so far.
    /// - Throws: `OperatingError` with the remedy where the server's state says why.
    public func run(
        until end: FeedEnd, stop: StopFlag, report: (FeedFigures) -> Void = { _ in }
    ) throws -> FeedFigures {
        try producer.requireReachable(timeoutMs: reachTimeoutMs)
        if transactions != nil { try producer.initTransactions() }
        do {
            return try publish(until: end, stop: stop, report: report)
        } catch {
            // Readers would else wait for the end of the transaction until the broker gives it up.
            if transactions?.isOpen == true { try? producer.abortTransaction() }
            if let error = error as? PostgresError { throw slot.explainedStream(error, connection: info) }
            throw error
        }
    }

    private func publish(until end: FeedEnd, stop: StopFlag, report: (FeedFigures) -> Void) throws -> FeedFigures {
        guard try prepare(stop: stop) else {
            if transactions?.isOpen == true { try? producer.abortTransaction() }
            return figures
        }
        let replication = try ReplicationConnection.connect(to: info, applicationName: "allocbench feed")
        defer { replication.close() }
        try startStream(on: replication, stop: stop)
        var nextReportTime = monotonicNow()
        var framesSinceServe = 0
        while true {
            let hasReceived = try replication.receive(timeoutMs: progress.isIdle ? 20 : 1) { frame in
                try handle(frame, from: replication)
            }
            if hasReceived {
                framesSinceServe += 1
                if framesSinceServe < 256 { continue }
            }
            framesSinceServe = 0
            try serveDeliveries(timeoutMs: 0)
            let now = monotonicNow()
            if transactions?.isDue(at: now, isQuiet: !hasReceived) == true { try commitTransaction() }
            let end = end.logPosition
            if now >= nextReportTime || (end != nil && progress.isIdle) {
                nextReportTime = now + 100_000_000
                try acknowledge(to: replication, requestReply: end != nil)
                report(figures)
            }
            if let end, progress.flushedLSN >= end { break }
            if stop.isSet {
                // What is on its way is waited for; a transaction that was read only in part stays unacknowledged.
                if transactions != nil {
                    try commitTransaction()
                } else {
                    try producer.flush(timeoutMs: 30_000) { tag, delivery in
                        note(tag, delivery, at: monotonicNow())
                    }
                }
                if let deliveryFailure { throw deliveryFailure }
                break
            }
        }
        try acknowledge(to: replication, requestReply: false)
        figures.clock?.noteDrift()
        return figures
    }

    // MARK: Stream

    /// Waits for a slot that is in use.
    private func startStream(on replication: ReplicationConnection, stop: StopFlag) throws {
        let deadline = monotonicNow() + Int64(slotWaitMs) * 1_000_000
        var isStarted = false
        while !isStarted {
            do {
                try replication.startReplication(slot: slot.name, publication: slot.publication)
                isStarted = true
            } catch {
                guard error.sqlState == .objectInUse, monotonicNow() < deadline, !stop.isSet else { throw error }
                sleepUntil(monotonic: monotonicNow() + 50_000_000)
            }
        }
    }

    private func handle(_ frame: ReplicationFrame, from replication: ReplicationConnection) throws {
        switch frame {
        case .keepalive(let walEnd, _, let replyRequested):
            progress.skip(to: walEnd)
            if replyRequested { try acknowledge(to: replication, requestReply: false) }
        case .xLogData(_, _, _, let payload):
            switch try PgOutputMessage(payload, cells: &cells) {
            case .begin(_, let commitTimeUs, let transaction):
                commitTimeNs = (commitTimeUs + microsecondsFrom1970To2000) * 1000
                progress.begin(committedNs: commitTimeNs)
                isDuplicate = scanned?.contains(transaction) ?? false
            case .commit(let endLSN):
                figures.transactionCount += 1
                progress.commit(endLSN: endLSN)
            case .relation(let relation):
                try rows.note(relation)
            case .insert(let oid):
                try rows.encode(cells, ofRelation: oid, in: payload, committedNs: commitTimeNs)
                if isDuplicate { figures.duplicateCount += 1 }
                try produce(tag: progress.send())
            case .other:
                break
            }
        }
    }

    private func produce(tag: UInt64) throws {
        if transactions?.add(at: monotonicNow()) == true { try producer.beginTransaction() }
        try rows.envelope.key.withUnsafeBytes { key in
            try rows.envelope.value.withUnsafeBytes { value in
                try producer.produce(topic: topic, key: key, value: value, tag: tag)
                figures.byteCount += Int64(key.count + value.count)
            }
        }
    }

    private func serveDeliveries(timeoutMs: Int32) throws {
        // All that are handed over at once are noticed at once.
        var now: Int64 = 0
        try producer.poll(timeoutMs: timeoutMs) { tag, delivery in
            if now == 0 { now = monotonicNow() }
            note(tag, delivery, at: now)
        }
        if let deliveryFailure { throw deliveryFailure }
    }

    private func note(_ tag: UInt64, _ delivery: KafkaProducer.Delivery, at now: Int64) {
        switch delivery {
        case .success:
            // Before its transaction is committed nobody sees it, and it may yet be taken back.
            if transactions != nil {
                transactions?.hold(tag)
            } else {
                published(tag, at: now)
            }
        case .failure(let error):
            // The log stays unacknowledged, so a new start publishes the message again.
            deliveryFailure = deliveryFailure ?? error
        }
    }

    /// The broker has a message for good.
    private func published(_ tag: UInt64, at now: Int64) {
        figures.publishedCount += 1
        figures.lastPublishedTime = now
        guard tag != 0 else { return }
        let committed = progress.acknowledge(tag) - serverLessMonotonicNs
        if window?.membership(at: now).contains(arrival: committed) ?? true {
            figures.committedToPublished.record(now - committed)
        }
    }

    /// Ends the transaction of Kafka that is open, if one is: behind it the log may be acknowledged up to its last message.
    private func commitTransaction() throws {
        guard transactions?.isOpen == true else { return }
        try producer.commitTransaction()
        // The commit has waited for every message, so all reports are there.
        try serveDeliveries(timeoutMs: 0)
        let now = monotonicNow()
        for tag in transactions?.commit() ?? [] { published(tag, at: now) }
    }

    private func acknowledge(to replication: ReplicationConnection, requestReply: Bool) throws {
        let flushed = progress.flushedLSN
        try replication.sendStatus(written: flushed, flushed: flushed, applied: flushed, reply: requestReply)
    }

    /// What is done on an ordinary connection before the stream begins.
    /// - Returns: whether there is a stream to be read; false where the feed was stopped before.
    private func prepare(stop: StopFlag) throws -> Bool {
        let connection = try PostgresConnection.connect(to: info, applicationName: "allocbench feed")
        defer { connection.close() }
        do {
            try scanIfNeeded(on: connection, stop: stop)
        } catch is ScanStopped {
            return false
        }
        let clock = try ServerClock.measure(on: connection)
        figures.clock = clock
        serverLessMonotonicNs = clock.serverLessMonotonicNs
        return true
    }

    // MARK: First scan

    /// Publishes the rows that stood in the table before the slot was made. A scan that was cut starts over; rows that
    /// were written meanwhile are published by the stream as well, and consumers drop what they know.
    private func scanIfNeeded(on connection: PostgresConnection, stop: StopFlag) throws {
        guard try !slot.isScanCompleted(on: connection) else { return }
        try connection.begin(isolation: .repeatableRead)
        defer { if connection.isInTransaction { try? connection.rollback() } }
        let list = source.columns.map(\.name).joined(separator: ", ")
        commitTimeNs = Int64(try connection.query("SELECT (extract(epoch FROM now()) * 1000000000)::INT8").int64(0, 0))
        scanned = ScanSnapshot(try connection.query("SELECT pg_current_snapshot()").text(0, 0) ?? "")
        let rows = "SELECT \(list) FROM \(source.table) ORDER BY \(source.orderColumn)"
        try connection.copyOut("COPY (\(rows)) TO STDOUT") { row in
            try publishScanned(row)
            figures.scannedCount += 1
            if figures.scannedCount % 1024 == 0 {
                try serveDeliveries(timeoutMs: 0)
                if stop.isSet { throw ScanStopped() }
            }
            if transactions?.isDue(at: monotonicNow(), isQuiet: false) == true { try commitTransaction() }
        }
        if transactions != nil {
            try commitTransaction()
        } else {
            while producer.outstandingCount > 0 {
                if stop.isSet { throw ScanStopped() }
                try serveDeliveries(timeoutMs: 20)
            }
        }
        if let deliveryFailure { throw deliveryFailure }
        try connection.commit()
        try slot.markScanCompleted(on: connection)
    }

    private func publishScanned(_ row: UnsafeRawBufferPointer) throws {
        try rows.encode(scanned: row, committedNs: commitTimeNs)
        try produce(tag: 0)
    }
}

/// The feed was stopped in the middle of its first scan, which the next one begins again.
private struct ScanStopped: Error {}

/// PostgreSQL counts from 2000-01-01.
private let microsecondsFrom1970To2000: Int64 = 946_684_800_000_000
