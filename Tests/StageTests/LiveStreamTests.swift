// Executions on their way to the workers, recorded or live: the same rows, and in the end the same tables.

import Allocations
import Booking
import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
import Report
import TestSupport
import Testing
import Threads
import Trades

@testable import ChangeFeed
@testable import Scenario

/// A seeded and routed database, and a broker.
private struct LiveBench {
    let scenario: ScenarioFile
    let target: Target
    let connection: PostgresConnection
    let orders: SeededOrders

    func record(_ topic: String, executions: Int64? = nil) throws -> RecordedStream {
        try RecordedStream.record(
            orders, executions: executions, of: scenario, topic: topic, target: target, stop: StopFlag(), say: { _ in })
    }

    /// Workers and bookers on a topic of the given shape, from empty tables to what the verifier finds in them.
    func process<R>(
        _ topic: RecordedTopic, _ configuration: Configuration,
        _ body: (WorkerPlan, BookingPlan) throws -> (R, ends: [Int32: Int64])
    ) throws -> (result: R, differences: [String], sums: [String: String]) {
        let tables = try CellTables.prepare(topic, configuration, target: target, on: connection)
        let plan = WorkerPlan(
            connection: target.connection, kafka: try #require(target.kafka), topic: topic.topic,
            partitions: topic.partitions, configuration: configuration, book: try AllocationsSource.book(on: connection)
        )
        let (result, ends) = try body(plan, BookingPlan(connection: target.connection, workers: 1))
        return (
            result, try tables.verify(ends: ends, on: connection).differenceLines,
            try AllocationsVerification.checksums(on: connection)
        )
    }

    func replay(
        _ topic: RecordedTopic, _ configuration: Configuration
    ) throws -> (result: DrainResult, differences: [String], sums: [String: String]) {
        try process(topic, configuration) { plan, bookings in
            var plan = plan
            plan.endOffsets = topic.ends
            return (try WorkerPool.run(plan, bookings: bookings, stop: StopFlag()), topic.ends)
        }
    }

    /// Keeps everybody else from writing executions for a while, once there are so many.
    func lockExecutions(afterCount count: Int64, nanoseconds: Int64) -> WorkerThread<Void> {
        let info = target.connection
        return WorkerThread(name: "lock") {
            let other = try PostgresConnection.connect(to: info)
            defer { other.close() }
            // Those of the recorded stream are forgotten first.
            let counting = "SELECT count(*) FROM trades.executions"
            let first = try other.number(counting)
            while try other.number(counting) == first { sleepThread(for: .milliseconds(1)) }
            while try other.number(counting) < count { sleepThread(for: .milliseconds(1)) }
            try other.execute("BEGIN; LOCK TABLE trades.executions IN SHARE ROW EXCLUSIVE MODE")
            sleepThread(for: .nanoseconds(nanoseconds))
            try other.commit()
        }
    }

    /// Slots and feeds that were left behind.
    var leftovers: [String] {
        get throws {
            try connection.lines(
                """
                SELECT slot_name FROM pg_replication_slots WHERE database = current_database()
                UNION ALL SELECT slot_name FROM trades.change_feeds UNION ALL SELECT pubname FROM pg_publication
                """)
        }
    }
}

private func withOrders<R>(
    executions: Int = 2_000, _ configurations: [Configuration] = [Configuration(mode: .adaptive, workers: 2)],
    on kind: BrokerKind = .mock, _ body: (LiveBench) throws -> R
) throws -> R {
    var scenario = try ScenarioFile.parse(
        text: """
            seed: 19
            workload: { executions: \(executions), blocks: 16, accounts_per_block: 4, partitions: 4, busts: 0.02,
                        replaces: 0.2, cancels: 0.2 }
            configurations: [ { mode: adaptive, workers: 2 } ]
            """, path: "live.yaml")
    scenario.configurations = configurations
    return try withStages(isOwn: true) { info, connection in
        let broker = try TemporaryBroker.shared(kind)
        var target = Target(connection: info, kafka: broker.settings, services: nil, brokerKind: kind.rawValue)
        target.makeTopic = { try broker.createTopic($0, partitions: $1) }
        let orders = try SeededOrders.make(scenario, topic: "", target: target, stop: StopFlag(), say: { _ in })
        return try body(LiveBench(scenario: scenario, target: target, connection: connection, orders: orders))
    }
}

/// One that the server doesn't let go of.
private struct StuckFeed: ChangeFeed {
    let name = "stuck"
    let mayRepeat = false
    func create(scanTable: Bool) {}
    func run(until end: FeedEnd, stop: StopFlag, report: (FeedFigures) -> Void) -> FeedFigures { FeedFigures() }
    func keep() {}
    func drop() throws { throw OperatingError("in use") }
}

@Suite struct LiveStreamTests {
    @Test(arguments: BrokerKind.best)
    func `a live run ends in the same verified tables as a replayed one, and tells where the time went`(
        _ kind: BrokerKind
    ) throws {
        let configuration = Configuration(mode: .concurrent, workers: 2)
        try withOrders([configuration], on: kind) { bench in
            let stream = try bench.record("live-replayed-\(kind)")
            let topic = stream.topic(for: configuration)
            let replayed = try bench.replay(topic, configuration)
            #expect(replayed.differences.isEmpty, "\(replayed.differences)")

            let schedule = ArrivalSchedule.uniform(ratePerSecond: 2_000)
            let liveTopic = RecordedTopic(topic: "live-live-\(kind)", key: .blockOrder, ends: topic.ends)
            let live = try bench.process(liveTopic, configuration) { plan, bookings in
                var plan = plan
                plan.schedule = schedule
                // Others have the table in the middle of the stream: what is due waits where no worker sees it.
                let lock = bench.lockExecutions(afterCount: 300, nanoseconds: 700_000_000)
                let result = try LiveStream.run(
                    plan, bookings: bookings, orders: bench.orders, target: bench.target, stop: StopFlag())
                try lock.join()
                return (result, result.ends)
            }
            #expect(live.differences.isEmpty, "\(live.differences)")
            #expect(live.sums == replayed.sums)
            let clock = try #require(live.result.clock)
            #expect(abs(clock.offsetNs) < 1_000_000_000 && clock.spanUncertaintyNs > 0)
            // What was executed is compared once nothing is measured any more.
            let check = try #require(try stream.check(liveExecutions: nil, on: bench.connection))
            #expect(check.differenceCount == 0, "\(check)")
            try bench.connection.execute("DELETE FROM trades.executions WHERE execution_id = 7")
            #expect(try stream.check(liveExecutions: nil, on: bench.connection)?.differenceCount == 1)
            let isCompared = try stream.check(liveExecutions: 100, on: bench.connection) != nil
            #expect(!isCompared)

            let (result, count) = (live.result, stream.execution.writtenCount)
            let (figures, execution) = (result.drain.figures, result.execution.figures)
            #expect(figures.messageCount == count && figures.timeToVisible.count == count)
            #expect(execution.dueToCommitted.count == count)
            #expect(execution.scheduleLag.count == count && execution.startTime == result.drain.startTime)
            // Two thousand a second: the last one is due after about a second, and nothing is visible before it is due.
            let due = Double(count - 1) / 2_000
            #expect(Double(result.drain.elapsedNanoseconds) / 1e9 >= due, "\(due) s")
            #expect(figures.timeToVisible.min > 0)
            expectExactLag(figures, schedule: schedule, count: count)
            let behind = figures.lag.samples.map(\.messages).max() ?? 0
            #expect(behind > 500, "\(behind): what the executor couldn't commit was due all the same")
            let published = result.feed.committedToPublished
            #expect(published.count == count && result.feed.publishedCount == count)
            #expect(published.percentile(50) < 2_000_000_000 && published.clippedCount == 0)
            #expect(try bench.leftovers.isEmpty)
            stream.deleteTopics(target: bench.target)
        }
    }

    @Test func `the stream is recorded once for each shape of a topic, and can be recorded again`() throws {
        let standard = Configuration(mode: .batch, workers: 2)
        let spread = Configuration(mode: .adaptive, workers: 3, topicKey: .execution, partitions: 3)
        let other = Configuration(mode: .cycle, workers: 1, partitions: 4)
        try withOrders(executions: 900, [standard, spread, other]) { bench in
            let stream = try bench.record("shapes-1")
            #expect(
                stream.topics.map(\.ends.count) == [4, 3] && stream.topics.map(\.key) == [.blockOrder, .execution])
            #expect(stream.topic(for: other) == stream.topics[0] && stream.topic(for: spread) == stream.topics[1])
            let broker = try TemporaryBroker.shared()
            let messages = try stream.topics.map { try broker.messages($0.topic) }
            let ids = messages.map { $0.compactMap(\.executionID).sorted() }
            #expect(ids[0] == ids[1] && Int64(ids[0].count) == stream.execution.writtenCount)
            #expect(messages[1].allSatisfy { message in message.key == message.executionID.map { "[\($0)]" } })

            // Workers that share the blocks end in the same tables.
            let (first, second) = (
                try bench.replay(stream.topics[0], standard), try bench.replay(stream.topics[1], spread)
            )
            #expect(
                first.differences.isEmpty && second.differences.isEmpty, "\(first.differences) \(second.differences)")
            #expect(first.sums == second.sums)

            let sink = try SinkCeiling.measure(
                stream.topics[1], workers: 2, kafka: broker.settings, stop: StopFlag())
            #expect(sink.messageCount == stream.topics[1].messageCount && sink.otherCount == 0)
            #expect((sink.messagesPerSecond ?? 0) > 0)

            // Fewer executions leave blocks partially filled, which is no difference.
            let part = try bench.record("shapes-2", executions: 300)
            #expect(part.execution.writtenCount == 300 && part.fingerprint != stream.fingerprint)
            let partial = try bench.replay(part.topic(for: standard), standard)
            #expect(partial.differences.isEmpty, "\(partial.differences)")
            #expect(try bench.record("shapes-3").fingerprint == stream.fingerprint)
            #expect(try bench.leftovers.isEmpty)
        }
    }

    @Test func `a live run that is stopped, and one that can't execute, leave nothing behind`() throws {
        let configuration = Configuration(mode: .concurrent, workers: 2)
        try withOrders(executions: 500, [configuration]) { bench in
            let topic = RecordedTopic(topic: "live-stopped", key: .blockOrder, ends: [0: 0, 1: 0])
            let stop = StopFlag()
            let stopper = WorkerThread(name: "stopper") {
                sleepUntil(monotonic: monotonicNow() + 700_000_000)
                stop.set()
            }
            #expect(throws: Interrupted.self) {
                _ = try bench.process(topic, configuration) { plan, bookings in
                    var plan = plan
                    plan.schedule = .uniform(ratePerSecond: 20)
                    let result = try LiveStream.run(
                        plan, bookings: bookings, orders: bench.orders, target: bench.target, stop: stop)
                    return (result, result.ends)
                }
            }
            try stopper.join()
            #expect(try bench.leftovers.isEmpty)

            var plan = bench.orders.executionPlan
            plan.count = 1
            let impossible = SeededOrders(
                seed: bench.orders.seed, routing: bench.orders.routing, executionPlan: plan)
            let failing = RecordedTopic(topic: "live-failing", key: .blockOrder, ends: [0: 0, 1: 0])
            let text = errorText {
                _ = try bench.process(failing, configuration) { plan, bookings in
                    let result = try LiveStream.run(
                        plan, bookings: bookings, orders: impossible, target: bench.target, stop: StopFlag())
                    return (result, result.ends)
                }
            }
            #expect(text.contains("blocks are filled by 50 to 500 shares each"), "\(text)")
            #expect(try bench.leftovers.isEmpty)
        }
    }

    @Test func `executing whose feed fails leaves nothing behind, not even who looks for locks`() throws {
        try withOrders(executions: 300) { bench in
            try bench.connection.execute(
                """
                CREATE FUNCTION trades.end_feeds() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  PERFORM pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name = 'allocbench feed'
                    AND pid IN (SELECT active_pid FROM pg_replication_slots WHERE database = current_database());
                  RETURN NULL;
                END $$
                """)
            try bench.connection.execute(
                """
                CREATE TRIGGER end_feeds AFTER INSERT ON trades.executions
                FOR EACH STATEMENT EXECUTE FUNCTION trades.end_feeds()
                """)
            let text = errorText {
                _ = try ExecuteRun.run(
                    ExecuteConfiguration(feed: .running, batchSize: 100), orders: bench.orders, topic: "execute-failed",
                    partitions: 2, target: bench.target, stop: StopFlag())
            }
            #expect(!text.isEmpty)
            #expect(try bench.leftovers.isEmpty)
            // The server takes a moment to forget a session that was closed.
            let looking =
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'allocbench locks' "
                + "AND datname = current_database()"
            let deadline = monotonicNow() + 2_000_000_000
            while try bench.connection.number(looking) > 0, monotonicNow() < deadline {
                sleepThread(for: .milliseconds(5))
            }
            #expect(try bench.connection.number(looking) == 0)
        }
    }

    @Test func `a run that is stopped doesn't wait for the end of its feed`() throws {
        try withOrders(executions: 20) { bench in
            try bench.target.createTopic("stopped-feed", partitions: 1)
            let feed = try RunningFeed(to: "stopped-feed", keyedBy: .standard, target: bench.target)
            feed.waitUntilReading()
            let stop = StopFlag()
            let stopper = WorkerThread(name: "stop") {
                sleepThread(for: .milliseconds(20))
                stop.set()
            }
            // Nothing will ever be committed so far.
            _ = try feed.finish(stop: stop) { .log(LSN(rawValue: .max)) }
            try stopper.join()
            #expect(try bench.leftovers.isEmpty)
        }
    }

    @Test func `a feed that can't be dropped is told of with the remedy`() {
        var said: [String] = []
        StuckFeed().dropOrTell { said.append($0) }
        #expect(
            said == [
                "the feed stuck could not be dropped, and the server keeps its log for it (in use); "
                    + "remove it with allocbench feed --drop"
            ])
    }

    @Test func `a topic whose last messages the broker doesn't show yet is looked at again, for two seconds`() throws {
        var (now, lookCount): (Int64, Int64) = (0, 0)
        func look(_ wanted: Int64) -> Int64 {
            (now, lookCount) = (0, 0)
            let content = lookAgain(
                whileBelow: wanted, now: { now }, sleep: { now += Int64($0 / .nanoseconds(1)) }
            ) {
                lookCount += 1
                return TopicContent(ends: [:], messageCount: min(lookCount, 3))
            }
            return content.messageCount
        }
        let enough = look(3)
        #expect(enough == 3 && lookCount == 3)
        let tooFew = look(4)
        #expect(tooFew == 3 && now == 2_000_000_000)
    }

    @Test func `the fingerprint of stage execute has the executions in it`() throws {
        let scenario = try ScenarioFile.parse(
            text: """
                seed: 19
                stage: execute
                workload: { executions: 200, blocks: 4, accounts_per_block: 2, partitions: 2 }
                configurations: [ { name: alone, feed: none } ]
                """, path: "execute.yaml")
        try withStages(isOwn: true) { info, connection in
            let target = Target(
                connection: info, kafka: nil, services: nil, brokerKind: BrokerKind.mock.rawValue)
            let stage = try ExecuteStage(
                StageInput(scenario: scenario, target: target, runID: "x", stop: StopFlag(), say: { _ in }))
            #expect(try stage.orders.fingerprint(on: connection) == stage.fingerprint)
            let cell = Cell(competitor: .execute(scenario.executeConfigurations[0]), repetition: 1)
            let outcome = try stage.run(cell, orderIndex: 0, progress: { _ in })
            #expect(outcome.checks.differenceLines.isEmpty)
            #expect(try stage.orders.fingerprint(on: connection) == stage.fingerprint)
            try TradesStore.truncate(on: connection)
            #expect(try stage.orders.fingerprint(on: connection) != stage.fingerprint)
        }
    }

    @Test
    func `executing costs what it costs with nothing, a slot and a feed in the database, and leaves the same rows`()
        throws
    {
        try withOrders(executions: 1_000) { bench in
            var checksums: Set<String> = []
            for feed in FeedState.allCases {
                let result = try ExecuteRun.run(
                    ExecuteConfiguration(feed: feed, batchSize: 50), orders: bench.orders, topic: "execute-\(feed)",
                    partitions: 4, target: bench.target, stop: StopFlag())
                #expect(result.checks.differenceLines.isEmpty)
                checksums.insert(result.checksum)
                let (count, figures) = (result.execution.writtenCount, result.execution.figures)
                #expect(figures.transactionCount == (count + 49) / 50)
                #expect(figures.transactionLatency.count == figures.transactionCount)
                #expect((result.executionsPerSecond ?? 0) > 0 && (result.resources.walBytes ?? 0) > count * 50)
                #expect(result.resources.rowsWritten ?? 0 >= count)
                #expect(
                    (result.feed != nil) == (feed == .running)
                        && (result.catchUpNanoseconds != nil) == (feed == .running))
                #expect(result.topicMessageCount == (feed == .running ? count : nil))
                #expect(result.feed.map { $0.committedToPublished.count } == (feed == .running ? count : nil))
                #expect(try bench.leftovers.isEmpty)
            }
            #expect(checksums.count == 1)
        }
    }
}
