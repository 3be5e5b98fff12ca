// A change feed that publishes on a thread of its own while something writes. Whoever starts one finishes or abandons it.

import ChangeFeed
import Diagnostics
import Measurement
import Model
import Postgres
import Threads

/// Publishes executions as they are committed, until it is told where to end.
final class RunningFeed: Sendable {
    private let feed: any ChangeFeed
    private let end = FeedEnd()
    private let feedStop = StopFlag()
    private let failure = StopFlag()
    private let isReading = StopFlag()
    private let thread: WorkerThread<FeedFigures>

    /// Makes the feed on the server and starts it. Blocks until it is there, so that nothing written from now on is missed.
    /// - Parameters:
    ///   - scanTable: whether to publish first what stands in the table.
    ///   - window: of which commits the time to the broker counts; nil for all.
    init(
        to topic: String, keyedBy key: TopicKey, scanTable: Bool = false, window: MeasuredWindow? = nil, target: Target
    ) throws {
        let feed = try target.changeFeed(of: .executions(keyedBy: key), to: topic, window: window)
        try feed.create(scanTable: scanTable)
        let (end, stop, failure, isReading) = (end, feedStop, failure, isReading)
        self.feed = feed
        thread = WorkerThread(name: "feed") {
            // Whoever waits for it must not wait for a feed that has failed before.
            defer { isReading.set() }
            do {
                return try feed.run(until: end, stop: stop) { _ in if !isReading.isSet { isReading.set() } }
            } catch {
                failure.set()
                throw error
            }
        }
    }

    /// Whether the topic may hold a row more than once although nothing failed.
    var mayRepeat: Bool { feed.mayRepeat }

    /// Waits until the feed reads what is committed, or has failed. Before, it connects and scans.
    func waitUntilReading() {
        while !isReading.isSet { sleepThread(for: .milliseconds(1)) }
    }

    /// Lets the feed end where it is. It is still finished or abandoned by whoever started it.
    func stop() { feedStop.set() }

    /// Whether the feed has failed; `finish` throws its error.
    var hasFailed: Bool { failure.isSet }

    /// Waits until the broker has everything that is committed by now, and drops the feed: nothing is published any more when
    /// this returns. Blocks; called once.
    func finish(on connection: PostgresConnection) throws -> FeedFigures {
        do {
            end.set(try FeedPosition.now(on: connection))
        } catch {
            abandon()
            throw error
        }
        // Nothing is kept for nobody, whether the feed came to its end or failed.
        defer { try? feed.drop() }
        return try thread.join()
    }

    /// Ends the feed where it is, for something else has failed. Called instead of `finish`.
    func abandon() {
        feedStop.set()
        _ = try? thread.join()
        try? feed.drop()
    }
}

extension Target {
    /// The change feed of this target's server.
    func changeFeed(
        of source: FeedSource, to topic: String, window: MeasuredWindow? = nil
    ) throws -> any ChangeFeed {
        guard let kafka else { throw OperatingError("a change feed needs a broker") }
        return try FeedPlan(
            connection: connection, kafka: kafka, topic: topic, source: source, isTransactional: isFeedTransactional,
            window: window
        ).makeFeed()
    }
}
