// Stage allocate: every configuration processes the same executions, on fresh tables of the allocations stage.
// Runs on the main thread; the workers have theirs.

import Allocations
import Booking
import ChangeFeed
import Diagnostics
import Kafka
import Measurement
import Model
import Postgres
import Report
import Services
import Threads
import Trades

final class AllocateStage: StageRun {
    private let given: StageInput
    private let selfCheck: SelfCheck
    private let orders: SeededOrders
    private let stream: RecordedStream
    /// The processes that the workers are in; nil where they are threads of this one.
    private let hosts: WorkerHosts?
    /// What the harness alone can take, by the shape of the work.
    private var ceilings: [SinkShape: Double] = [:]
    /// Cells so far, so that the topic of each live one has a name of its own.
    private var liveCellCount = 0
    private var groupCount = 0

    private struct SinkShape: Hashable {
        let partitions: Int
        let key: TopicKey
        let workers: Int
    }

    /// Seeds, routes, executes and publishes: what the cells have in common. Blocks.
    init(_ given: StageInput, selfCheck: SelfCheck) throws {
        self.given = given
        self.selfCheck = selfCheck
        // First of all, so that nobody waits for data to be made before hearing that a host is missing.
        hosts = try WorkerHosts.join(given)
        do {
            orders = try given.makeOrders()
            stream = try RecordedStream.record(
                orders, of: given.scenario, topic: given.topic("executions"), target: given.target, stop: given.stop,
                say: given.say)
        } catch {
            hosts?.close()
            throw error
        }
    }

    var fingerprint: String { stream.fingerprint }

    var brokerEntries: [Manifest.Entry] {
        stream.topics.map { topic in
            Manifest.Entry(
                "messages in \(topic.ends.count) partitions keyed by \(topic.key.rawValue)", String(topic.messageCount))
        }
    }

    var hostEntries: [Manifest.Entry] { hosts?.entries ?? [] }

    func close() {
        hosts?.close()
        stream.deleteTopics(target: given.target)
    }

    func run(
        _ cell: Cell, orderIndex: Int, progress: @escaping @Sendable (CellProgress) -> Void
    ) throws -> CellOutcome {
        guard case .allocate(let configuration) = cell.competitor else {
            preconditionFailure("stage allocate runs configurations of its own")
        }
        var run = MeasuredRun(cell: cell, configuration: configuration, orderIndex: orderIndex, progress: progress)
        switch given.scenario.load {
        case .backlog:
            return try measure(run, stream)
        case .open(let open):
            run.schedule = open.schedule
            run.through = open.through
            return try measure(run, stream)
        case .search(let load):
            run.through = load.through
            return try search(run, load)
        }
    }

    // MARK: Search

    private func search(_ run: MeasuredRun, _ load: ScenarioFile.SearchLoad) throws -> CellOutcome {
        let probes = RateProbes(
            load: load, executionsMaximum: stream.execution.writtenCount, key: run.cell.key)
        return try probes.search(
            measure: { plan in
                try requireNotStopped(given.stop)
                var run = run
                run.schedule = plan.schedule
                run.probeRate = plan.ratePerSecond
                run.executions = plan.executions
                guard load.through == .topic else { return try measure(run, stream) }
                liveCellCount += 1
                let stream = try RecordedStream.record(
                    orders, executions: plan.executions, of: given.scenario.only(run.configuration),
                    topic: given.topic("probe\(liveCellCount)"), target: given.target, stop: given.stop, say: { _ in })
                defer { stream.deleteTopics(target: given.target) }
                return try measure(run, stream)
            }, say: given.say)
    }

    // MARK: One measured run

    /// What one run of a configuration is given; of a search there are several in a cell.
    private struct MeasuredRun {
        let cell: Cell
        let configuration: Configuration
        let orderIndex: Int
        let progress: @Sendable (CellProgress) -> Void
        var schedule = ArrivalSchedule.backlog
        var through = ScenarioFile.Through.topic
        /// Of a search.
        var probeRate: Double?
        /// Nil for the whole stream.
        var executions: Int64?
    }

    /// What came of it, whichever way the executions took.
    private struct Processed {
        var drain: DrainResult
        var executions: Int64
        var ends: [Int32: Int64]
        var feed: FeedFigures?
        /// Of whoever committed the executions on schedule.
        var executor: ExecutionFigures?
        /// Of the worker hosts, where the workers were in those.
        var hosts: [HostFigures] = []

        /// From the last commit of an execution to the broker's acknowledgement of the last message.
        var feedCatchUpNanoseconds: Int64? {
            guard let feed, let executor, executor.lastCommitTime > 0 else { return nil }
            return max(0, feed.lastPublishedTime - executor.lastCommitTime)
        }
    }

    private func measure(_ run: MeasuredRun, _ stream: RecordedStream) throws -> CellOutcome {
        let configuration = run.configuration
        var topic = stream.topic(for: configuration)
        if run.through == .feed {
            liveCellCount += 1
            topic = topic.renamed(given.topic("live\(liveCellCount)"))
        }
        try given.servers?.makeWhole()
        let promotes = given.scenario.faults.contains { $0.kind == .promoteStandby }
        let takeover = promotes ? given.servers?.takeover : nil
        var connection = try PostgresConnection.connect(to: given.target.connection)
        defer { connection.close() }
        let tables = try CellTables.prepare(topic, configuration, target: given.target, on: connection)
        defer { try? AllocationsSource.setKeyStrategy(.natural, on: connection) }
        // What the proxy itself costs must not be a difference between two round trip times.
        let proxy =
            !given.scenario.emulatesNetwork
            ? nil
            : try RoundTripProxy.start(to: given.target.connection, roundTripTimeUs: configuration.roundTripTimeUs)
        defer { proxy?.stop() }

        let window = MeasuredWindow(plan: given.scenario.window, schedule: run.schedule)
        let counters = WorkerProgress()
        var plan = try plan(
            for: run, topic, connection: proxy?.connectionInfo ?? given.target.connection, on: connection)
        plan.window = window
        plan.progress = counters
        plan.firstExecution = stream.execution.firstExecution

        let meter = try UsageMeter(given.target, on: connection)
        let expected = run.executions ?? topic.messageCount
        // Workers don't see what is due and still on its way through the feed.
        let due = { @Sendable [schedule = run.schedule] (now: Int64) in
            window.startTime.map { min(expected, schedule.dueCount(at: now, start: $0)) } ?? 0
        }
        let processed: Processed
        do {
            processed = try ProgressClock.during(
                counters, .messages, expected: expected, isWholeCell: !given.scenario.isSearch,
                due: run.through == .feed ? due : nil, report: run.progress
            ) { try process(plan, run, stream, topic, takeover) }
        } catch {
            meter.abandon()
            // The next run over the same services finds them whole; what failed is worth more than why this does.
            try? given.target.reviveBrokers()
            throw error
        }
        // Nobody works behind it any more, and only now it tells how late it was.
        proxy?.stop()
        let isSameServer = takeover?.count ?? 0 == 0
        if !isSameServer {
            connection.close()
            connection = try PostgresConnection.connect(to: given.target.connection)
        }
        let (resources, lockWaits) = try meter.finish(
            on: connection, start: processed.drain.startTime, isSameServer: isSameServer)
        try given.target.reviveBrokers()
        try requireNotStopped(given.stop)

        var row = RunRow(
            scenario: given.scenario.name, competitor: .allocate(configuration), repetition: run.cell.repetition,
            orderIndex: run.orderIndex, partitions: topic.ends.count, load: load(of: run))
        row.blocks = given.scenario.workload.blocks
        row.accountsPerBlock = given.scenario.workload.accountsPerBlock
        row.resources = resources
        row.add(processed.hosts)
        row.waitingBusts = try AllocationsVerification.waitingBustCount(on: connection)
        row.fill(from: processed.drain)
        row.committedToPublished = processed.feed.flatMap { LatencySummary($0.committedToPublished) }
        row.feedCatchUpNanoseconds = processed.feedCatchUpNanoseconds
        row.proxyLatenessP99Nanoseconds = proxy?.figures.latenessP99Ns
        if let clock = processed.feed?.clock {
            row.clockOffsetNanoseconds = clock.offsetNs
            row.clockUncertaintyNanoseconds = clock.spanUncertaintyNs
        }
        // What this process reaches with consumers alone says nothing of others.
        if run.through == .topic, hosts == nil {
            row.sinkCeilingPerSecond = try ceiling(
                of: topic, workers: configuration.workers, nearing: processed.drain.messagesPerSecond)
        }
        row.scheduleLagP99Nanoseconds = scheduleLag(processed, run)
        row.processedExecutions = processed.executions
        row.invalidReason = emptyWindow(row, window, processed, run) ?? validity(of: row, processed, run).reason
        var outcome = CellOutcome(row: row)
        outcome.drainNanoseconds = max(0, processed.drain.figures.lastCommitTime - processed.drain.startTime)
        try connection.readingAtOneTime {
            outcome.checks = try tables.verify(ends: processed.ends, on: connection)
            if run.through == .feed, let check = try stream.check(liveExecutions: run.executions, on: connection) {
                outcome.checks.append(check)
            }
            outcome.finalTables = try AllocationsVerification.checksums(on: connection)
        }
        outcome.checks.append(
            .answeredCommitsLost(
                messages: processed.drain.figures.lostMessageCount, executions: takeover?.lostExecutionCount ?? 0))
        outcome.add(processed.drain, key: run.cell.key, lockWaits: lockWaits)
        outcome.addHistogram(.committedToPublished, processed.feed?.committedToPublished)
        outcome.addHistogram(.dueToCommitted, processed.executor?.dueToCommitted)
        outcome.addHistogram(.scheduleLag, processed.executor?.scheduleLag)
        outcome.tables[.hosts] = processed.hosts.map { ResultTable.hosts.row(run.cell.key, $0.fields) }
        return outcome
    }

    private func process(
        _ plan: WorkerPlan, _ run: MeasuredRun, _ stream: RecordedStream, _ topic: RecordedTopic, _ takeover: Takeover?
    ) throws -> Processed {
        var bookings = BookingPlan(beside: plan, workers: run.configuration.bookingWorkers)
        let beside = bookings.workers == 0 ? nil : bookings
        var processed: Processed
        if run.through == .feed {
            let live = try LiveStream.run(
                plan, bookings: beside, faults: given.scenario.faults, takeover: takeover, orders: orders,
                executions: run.executions,
                target: given.target, stop: given.stop)
            processed = Processed(
                drain: live.drain, executions: live.execution.writtenCount, ends: live.ends, feed: live.feed,
                executor: live.execution.figures)
        } else if let hosts {
            let task = HostTask(
                configuration: run.configuration, repetition: run.cell.repetition, ratePerSecond: run.probeRate)
            let (drain, figures) = try hosts.drain(plan, task)
            processed = Processed(
                drain: drain, executions: stream.execution.writtenCount,
                ends: try given.target.completeTopicEnds(topic.topic), hosts: figures)
        } else {
            let drain = try WorkerPool.run(
                plan, bookings: beside, faults: given.scenario.faults, takeover: takeover,
                broker: given.target.brokerFault(topic: topic.topic), stop: given.stop)
            processed = Processed(
                drain: drain, executions: stream.execution.writtenCount,
                ends: try given.target.completeTopicEnds(topic.topic))
        }
        guard beside == nil else { return processed }
        try requireNotStopped(given.stop)
        bookings.workers = 1
        processed.drain.bookings = try BookingPool.run(bookings, stop: given.stop)
        return processed
    }

    private func plan(
        for run: MeasuredRun, _ topic: RecordedTopic, connection info: ConnectionInfo, on connection: PostgresConnection
    ) throws -> WorkerPlan {
        guard let kafka = given.target.kafka else { throw OperatingError("a run needs a broker") }
        var plan = WorkerPlan(
            of: run.configuration, repetition: run.cell.repetition, scenario: given.scenario, topic: topic.topic,
            partitions: topic.partitions, connection: info, kafka: kafka,
            book: try AllocationsSource.book(on: connection))
        plan.endOffsets = topic.ends
        plan.cockroach = given.target.cockroach
        plan.mayHaveTransactions = given.target.isFeedTransactional
        plan.schedule = run.schedule
        plan.measuresPublishing = run.through == .feed
        if run.configuration.consumers == .group {
            // One of its own, so that nobody waits for members of the cell before to be missed.
            groupCount += 1
            plan.group = KafkaGroup(
                name: "\(topic.topic).\(groupCount)",
                assignor: KafkaAssignor(rawValue: run.configuration.assignor.rawValue) ?? .cooperativeSticky)
            plan.kafka = given.target.groupSettings(kafka)
            plan.startsTogether = true
        }
        return plan
    }

    private func load(of run: MeasuredRun) -> LoadSummary {
        var summary = given.scenario.loadSummary
        summary.offeredRatePerSecond = run.schedule.ratePerSecond
        return summary
    }

    // MARK: The harness's own part

    /// What consumers alone reach with the topic: the most of what was measured of its shape, because whatever else the machine
    /// did meanwhile can only have lowered it. Measured once, and again as long as a run came so near that it would be
    /// condemned, for a short topic is drained in a few milliseconds, and one moment's disturbance is many of those.
    private func ceiling(of topic: RecordedTopic, workers: Int, nearing throughput: Double) throws -> Double? {
        guard let kafka = given.target.kafka else { return nil }
        let shape = SinkShape(partitions: topic.ends.count, key: topic.key, workers: workers)
        var passes = ceilings[shape] == nil ? 0 : 1
        while passes < Self.ceilingPassesMax {
            if let known = ceilings[shape], throughput <= HarnessValidity.ceilingShareMax * known { break }
            let figures = try SinkCeiling.measure(topic, workers: workers, kafka: kafka, stop: given.stop)
            if let measured = figures.messagesPerSecond { ceilings[shape] = max(measured, ceilings[shape] ?? 0) }
            passes += 1
        }
        return ceilings[shape]
    }

    private static let ceilingPassesMax = 5

    /// Of an open load: how late the harness offered what was due. Through the feed that is the executor's own lag.
    private func scheduleLag(_ processed: Processed, _ run: MeasuredRun) -> Int64? {
        guard run.schedule != .backlog else { return nil }
        let lag = processed.executor?.scheduleLag ?? processed.drain.figures.latencies[.scheduleLag]
        return lag.count == 0 ? nil : lag.percentile(99)
    }

    /// Why nothing was measured; nil where something was.
    private func emptyWindow(
        _ row: RunRow, _ window: MeasuredWindow, _ processed: Processed, _ run: MeasuredRun
    ) -> String? {
        guard row.timeToVisible == nil || row.elapsedNanoseconds == 0 else { return nil }
        guard !run.schedule.isBacklog else {
            return window.reasonForNothing(lastTime: processed.drain.figures.lastCommitTime, isByArrival: false)
        }
        let last = run.schedule.intendedArrival(
            sequence: max(0, processed.executions - 1), start: processed.drain.startTime)
        return window.reasonForNothing(lastTime: last, isByArrival: true)
    }

    private func validity(of row: RunRow, _ processed: Processed, _ run: MeasuredRun) -> HarnessValidity {
        HarnessValidity.judge(
            HarnessFigures(
                scheduleLagP99Ns: row.scheduleLagP99Nanoseconds, generator: run.through == .feed ? .executor : .workers,
                scheduleLagBoundNs: given.scenario.scheduleLagBoundNs,
                timerErrorP99Ns: selfCheck.timerError.p99Ns,
                offeredRatePerSecond: run.schedule.ratePerSecond,
                throughputPerSecond: processed.drain.messagesPerSecond, ceilingPerSecond: row.sinkCeilingPerSecond,
                proxyLatenessP99Ns: row.proxyLatenessP99Nanoseconds,
                roundTripTimeNs: Int64(run.configuration.roundTripTimeUs) * 1000,
                busiestHost: processed.hosts.busiest.map { .init(name: $0.name, cpuShare: $0.cpuShare) }))
    }
}

extension MeasuredWindow {
    /// Why nothing was measured, of a window in which nothing is.
    /// - Parameters:
    ///   - lastTime: the last thing that could have counted: a commit, or of an open load an intended arrival.
    ///   - isByArrival: which of the two it is.
    func reasonForNothing(lastTime: Int64, isByArrival: Bool) -> String {
        if plan == .everything { return "The run had nothing to process." }
        // The transaction that opens a window isn't in it; an arrival at its opening is.
        guard let openingTime, isByArrival ? openingTime <= lastTime : openingTime < lastTime else {
            return
                "The run was over before its warm-up, so nothing was measured: shorten the warm-up or lengthen the stream."
        }
        return isByArrival
            ? "No execution was due in the measured part, so nothing was measured: lengthen `measured`."
            : "Nothing was committed in the measured part, though there were commits after it: lengthen `measured`."
    }
}

extension ScenarioFile {
    fileprivate var loadSummary: LoadSummary {
        switch load {
        case .backlog: LoadSummary(model: "backlog", through: "topic")
        case .open(let open): LoadSummary(model: "open", through: open.through.rawValue)
        case .search(let search): LoadSummary(model: "search", through: search.through.rawValue)
        }
    }

    /// Whether a cell is many probes.
    fileprivate var isSearch: Bool {
        if case .search = load { true } else { false }
    }

    /// What the scenario allows the harness to be late; nil where it says nothing.
    var scheduleLagBoundNs: Int64? {
        guard case .open(let open) = load else { return nil }
        return open.scheduleLagLimitMs.map { nanoseconds($0 / 1000) }
    }

    /// The same scenario for one configuration, so that only its topic is recorded.
    fileprivate func only(_ configuration: Configuration) -> ScenarioFile {
        var scenario = self
        scenario.configurations = [configuration]
        return scenario
    }
}
