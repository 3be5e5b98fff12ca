// A change feed that publishes on a thread of its own while something writes. Whoever starts one finishes or abandons it.

import ChangeFeed
import Diagnostics
import Glibc
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
    private let isOver = StopFlag()
    private let say: @Sendable (String) -> Void
    private let thread: WorkerThread<FeedFigures>

    /// Makes the feed on the server and starts it. Blocks until it is there, so that nothing written from now on is missed.
    /// - Parameters:
    ///   - scanTable: whether to publish first what stands in the table.
    ///   - window: of which commits the time to the broker counts; nil for all.
    ///   - takeover: who may promote a standby meanwhile; nil if nobody does.
    ///   - say: hears what the user must know and no error tells.
    init(
        to topic: String, keyedBy key: TopicKey, scanTable: Bool = false, window: MeasuredWindow? = nil, target: Target,
        takeover: Takeover? = nil, say: @escaping @Sendable (String) -> Void = sayOnStandardError
    ) throws {
        let feed = try target.changeFeed(of: .executions(keyedBy: key), to: topic, window: window)
        try feed.create(scanTable: scanTable)
        let (end, stop, failure, isReading, isOver) = (end, feedStop, failure, isReading, isOver)
        let info = target.connection
        self.feed = feed
        self.say = say
        thread = WorkerThread(name: "feed") {
            // Whoever waits for it must not wait for a feed that has failed before.
            defer {
                isReading.set()
                isOver.set()
            }
            var earlier = FeedFigures()
            var knownPromotions = takeover?.count ?? 0
            do {
                while true {
                    // What it had done when it failed: to a tenth of a second.
                    var latest = FeedFigures()
                    do {
                        let figures = try feed.run(until: end, stop: stop) {
                            latest = $0
                            if !isReading.isSet { isReading.set() }
                        }
                        earlier.add(figures)
                        return earlier
                    } catch {
                        guard let takeover, let count = takeover.waitForMore(than: knownPromotions), !stop.isSet else {
                            throw error
                        }
                        knownPromotions = count
                        earlier.add(latest)
                        try Self.goOn(feed, until: end, stop: stop, on: info, takeover)
                    }
                }
            } catch {
                failure.set()
                throw error
            }
        }
    }

    /// Whether the topic may hold a row more than once although nothing failed.
    var mayRepeat: Bool { feed.mayRepeat }

    /// A logical slot stays with the primary that it was made on. What it would still have told is found by a scan of the whole
    /// table on the new one; what was published before comes twice, and workers drop it.
    private static func goOn(
        _ feed: any ChangeFeed, until end: FeedEnd, stop: StopFlag, on info: ConnectionInfo, _ takeover: Takeover
    ) throws {
        let lostAt = monotonicNow()
        try ReconnectPolicy().reconnect(since: lostAt, now: monotonicNow, isStopped: { stop.isSet }) {
            try feed.createAnew()
            guard end.isSet else { return }
            // An end that the old primary told may be further than the new one's log.
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            end.set(try FeedPosition.now(on: connection))
        }
        takeover.tell(
            "the feed's slot \(feed.name) was lost with the old primary: it has a new one on the promoted standby and scans the "
                + "whole table; workers drop what they know already")
    }

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
    /// - Parameter runStop: ends the feed where it is; its figures then say nothing.
    func finish(on connection: PostgresConnection, stop runStop: StopFlag) throws -> FeedFigures {
        do {
            return try finish(stop: runStop) { try FeedPosition.now(on: connection) }
        } catch {
            // What a feed that was told to end couldn't end is not what ended the run.
            try requireNotStopped(runStop)
            throw error
        }
    }

    /// - Parameter position: asks the server behind what everything is committed.
    func finish(stop runStop: StopFlag, position: () throws -> FeedPosition) throws -> FeedFigures {
        do {
            end.set(try position())
        } catch {
            abandon()
            throw error
        }
        while !isOver.isSet && !runStop.isSet { sleepThread(for: .milliseconds(1)) }
        if runStop.isSet { feedStop.set() }
        // Nothing is kept for nobody, whether the feed came to its end or failed.
        defer { drop() }
        return try thread.join()
    }

    /// Ends the feed where it is, for something else has failed. Called instead of `finish`.
    func abandon() {
        feedStop.set()
        _ = try? thread.join()
        drop()
    }

    private func drop() { feed.dropOrTell(say) }
}

extension ChangeFeed {
    /// Drops the feed when something else is worth more than a failure in that. The server keeps its log for a slot that stays,
    /// without a limit, so whoever runs this has to know.
    func dropOrTell(_ say: (String) -> Void = sayOnStandardError) {
        do {
            try drop()
        } catch {
            say(
                "the feed \(name) could not be dropped, and the server keeps its log for it (\(error)); "
                    + "remove it with allocbench feed --drop")
        }
    }
}

/// Where nobody is at hand who takes lines for the user.
@Sendable
func sayOnStandardError(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
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
