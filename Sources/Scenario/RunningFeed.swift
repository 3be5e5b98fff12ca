// A change feed that publishes on a thread of its own while something writes. Whoever starts one finishes or abandons it.

import ChangeFeed
import Diagnostics
import Measurement
import Model
import Postgres
import Threads

/// Publishes executions as they are committed, from a slot of its own until it is told where to end.
final class RunningFeed: Sendable {
    private let slot: FeedSlot
    private let info: ConnectionInfo
    private let end = FeedEnd()
    private let feedStop = StopFlag()
    private let failure = StopFlag()
    private let isReading = StopFlag()
    private let thread: WorkerThread<FeedFigures>

    /// Makes the slot and starts the feed. Blocks until the slot is there, so that nothing written from now on is missed.
    /// - Parameters:
    ///   - scanTable: whether to publish first what stands in the table.
    ///   - window: of which commits the time to the broker counts; nil for all.
    init(
        to topic: String, keyedBy key: TopicKey, scanTable: Bool = false, window: MeasuredWindow? = nil, target: Target
    ) throws {
        guard let database = target.connection["dbname"], let kafka = target.kafka else {
            throw OperatingError("a change feed needs a database by name and a broker")
        }
        let slot = FeedSlot(database: database, source: .executions(keyedBy: key))
        let info = target.connection
        try slot.create(topic: topic, scanTable: scanTable, connection: info)
        let isTransactional = target.isFeedTransactional
        let (end, stop, failure, isReading) = (end, feedStop, failure, isReading)
        self.slot = slot
        self.info = info
        thread = WorkerThread(name: "feed") {
            // Whoever waits for it must not wait for a feed that has failed before.
            defer { isReading.set() }
            do {
                return try ReplicationFeed(
                    connection: info, kafka: kafka, topic: topic, slot: slot, isTransactional: isTransactional,
                    window: window
                ).run(until: end, stop: stop) { _ in if !isReading.isSet { isReading.set() } }
            } catch {
                failure.set()
                throw error
            }
        }
    }

    /// Waits until the feed reads the log, or has failed. Before, it connects and scans.
    func waitUntilReading() {
        while !isReading.isSet { sleepThread(for: .milliseconds(1)) }
    }

    /// Lets the feed end where it is. It is still finished or abandoned by whoever started it.
    func stop() { feedStop.set() }

    /// Whether the feed has failed; `finish` throws its error.
    var hasFailed: Bool { failure.isSet }

    /// Waits until the broker has everything that is committed by now, and drops the slot. Blocks; called once.
    func finish(on connection: PostgresConnection) throws -> FeedFigures {
        do {
            end.set(try Self.logPosition(on: connection))
        } catch {
            abandon()
            throw error
        }
        // No log is kept for nobody, whether the feed came to its end or failed.
        defer { try? slot.drop(connection: info) }
        return try thread.join()
    }

    /// Ends the feed where it is, for something else has failed. Called instead of `finish`.
    func abandon() {
        feedStop.set()
        _ = try? thread.join()
        try? slot.drop(connection: info)
    }

    static func logPosition(on connection: PostgresConnection) throws -> LSN {
        guard let text = try connection.query("SELECT pg_current_wal_lsn()").text(0, 0), let position = LSN(text) else {
            throw OperatingError("the server doesn't tell its log position")
        }
        return position
    }
}
