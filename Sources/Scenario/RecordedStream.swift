// Makes the stream that every configuration of a scenario gets: seeds, routes, executes, and carries the executions
// through the change feed into a topic that stays as it is. Runs on the main thread; the feed has a thread of its own.

import ChangeFeed
import Diagnostics
import Holdings
import Kafka
import Model
import Orders
import Postgres
import Reference
import Seeding
import Threads
import Trades

/// A topic that holds every execution of a scenario, and what it was made from.
struct RecordedStream {
    let topic: String
    /// By partition the offset behind its last message.
    let ends: [Int32: Int64]
    let routing: RoutingSummary
    let execution: ExecutionSummary
    let feed: FeedFigures
    let seed: SeedSummary

    var partitions: [Int32] { ends.keys.sorted() }

    /// Blocks. Leaves no slot behind, whether it succeeds or throws.
    static func record(
        _ scenario: ScenarioFile, topic: String, target: Target, stop: StopFlag, say: (String) -> Void
    ) throws -> RecordedStream {
        let seed = try seed(scenario, target: target, stop: stop)
        say("seeded \(seed.rowCount) rows in \(seconds(seed.duration)) s")
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        let routing = try route(scenario, seed.routingDate, topic: topic, target: target, on: connection, stop: stop)
        say(
            "routed \(routing.date): \(routing.customerOrderCount) customer orders in \(routing.blockOrderCount) block orders, "
                + "\(routing.quantity) shares")
        guard let database = target.connection["dbname"], let kafka = target.kafka else {
            throw OperatingError("a run needs a database by name and a broker")
        }
        try target.createTopic(topic, partitions: scenario.workload.partitions)
        let slot = FeedSlot(database: database)
        try slot.create(topic: topic, scanTable: false, connection: target.connection)
        defer { try? slot.drop(connection: target.connection) }

        let end = FeedEnd()
        let feedStop = StopFlag()
        let (connectionInfo, topicName) = (target.connection, topic)
        let feed = WorkerThread(name: "feed") {
            try ReplicationFeed(connection: connectionInfo, kafka: kafka, topic: topicName, slot: slot)
                .run(until: end, stop: feedStop)
        }
        var plan = ExecutionPlan(date: routing.date, seed: scenario.seed)
        plan.count = Int64(scenario.workload.executions)
        plan.bustPpm = scenario.workload.bustPpm
        plan.replacePpm = scenario.workload.replacePpm
        plan.cancelPpm = scenario.workload.cancelPpm
        let execution: ExecutionSummary
        do {
            execution = try TradesStore.execute(plan, on: connection, stop: stop) { _ in }
            end.set(try currentPosition(on: connection))
        } catch {
            feedStop.set()
            _ = try? feed.join()
            throw error
        }
        let figures = try feed.join()
        try requireNotStopped(stop)
        say(
            "executed \(execution.writtenCount) and published them to \(scenario.workload.partitions) partitions of \(topic)"
        )
        let ends = try target.completeTopicEnds(topic)
        let held = ends.values.reduce(0, +)
        guard held >= execution.writtenCount else {
            throw OperatingError("the topic \(topic) holds \(held) messages of \(execution.writtenCount) executions")
        }
        return RecordedStream(
            topic: topic, ends: ends, routing: routing, execution: execution, feed: figures, seed: seed)
    }

    /// Makes the block orders in the way that the workload asks for.
    private static func route(
        _ scenario: ScenarioFile, _ date: TradeDate, topic: String, target: Target, on connection: PostgresConnection,
        stop: StopFlag
    ) throws -> RoutingSummary {
        let workload = scenario.workload
        var plan = RoutingPlan(date: date)
        plan.policies = workload.allocationPolicies
        plan.minimumTicketLots = workload.minimumTicketLots
        guard workload.routing == .eventDriven else { return try OrdersSource.route(plan, on: connection) }
        let requests = EventRoutingPlan(
            plan, topic: topic + ".requests", partitions: workload.partitions,
            workers: min(RoutingConfiguration.workersDefault, workload.partitions))
        defer { try? target.deleteTopic(requests.topic) }
        return try EventRouting.route(requests, target: target, on: connection, stop: stop).summary
    }

    /// - Parameter securities: how many are generated; nil leaves two block orders to each.
    static func seed(
        _ scenario: ScenarioFile, securities count: Int? = nil, target: Target, stop: StopFlag
    ) throws -> SeedSummary {
        let workload = scenario.workload
        // An execution has 275 shares on average.
        let shares = Int64(workload.executions) * 275 / Int64(workload.blocks) / workload.lotSize * workload.lotSize
        let shape = try WorkloadShape(
            blocks: workload.blocks, accountsPerBlock: workload.accountsPerBlock, sharesPerBlock: shares...shares)
        let market: SeedPlan.Market =
            if let securities = workload.securitiesFile, let prices = workload.pricesFolder {
                .files(securities: securities, prices: prices)
            } else {
                .generated(securities: count ?? min(500, (workload.blocks + 1) / 2), days: 20)
            }
        let plan = SeedPlan(
            seed: scenario.seed, market: market, holdings: .workload(shape), routingDate: workload.routeDate,
            lotSizes: .fixed(workload.lotSize))
        return try SeedLoader(connectionInfo: target.connection).load(plan.prepare(), stop: stop)
    }

    private static func currentPosition(on connection: PostgresConnection) throws -> LSN {
        guard let text = try connection.query("SELECT pg_current_wal_lsn()").text(0, 0), let position = LSN(text) else {
            throw OperatingError("the server doesn't tell its log position")
        }
        return position
    }
}

/// Ends a run in order when the user asks for it.
struct Interrupted: Error, CustomStringConvertible {
    let description = "interrupted"
}

func requireNotStopped(_ stop: StopFlag) throws {
    if stop.isSet { throw Interrupted() }
}

func seconds(_ duration: Duration) -> String {
    let hundredths = Int(duration / .milliseconds(10))
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
}
