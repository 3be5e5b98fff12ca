// A worker host: joins, and then works for one run after the other, with the workers and on the path of a run on one
// machine. What it is told and what it answers goes through the database. A thread of its own looks after each cell.

import Allocations
import Booking
import Diagnostics
import Foundation
import Hosts
import Kafka
import Measurement
import Model
import Postgres
import Report
import Synchronization
public import Threads

public struct WorkerHost {
    public struct Options: Sendable {
        /// Under which name it joins; nil for that of the machine.
        public var name: String?
        /// Ends with the first run that it took part in.
        public var isOnce = false

        public init() {}
    }

    private let target: Target
    private let options: Options
    private let timing: HostTiming
    private let stop: StopFlag
    private let say: @Sendable (String) -> Void

    public init(_ target: Target, options: Options, stop: StopFlag, say: @escaping @Sendable (String) -> Void) {
        self.init(target, options: options, timing: HostTiming(), stop: stop, say: say)
    }

    init(
        _ target: Target, options: Options, timing: HostTiming, stop: StopFlag,
        say: @escaping @Sendable (String) -> Void
    ) {
        self.target = target
        self.options = options
        self.timing = timing
        self.stop = stop
        self.say = say
    }

    /// Blocks until stopped, or with `isOnce` until a run has ended.
    /// - Throws: `OperatingError` where the host may not join, or may not stay.
    public func run() throws {
        let name = options.name ?? ProcessInfo.processInfo.hostName
        var connection = try PostgresConnection.connect(
            to: target.connection, applicationName: harnessApplicationName)
        defer { connection.close() }
        var store = try HostStore.join(
            name: name, program: .current, cores: MachineDescription.current().coreCount, on: connection,
            timing: timing, isStopped: { stop.isSet })
        let heartbeat = Heartbeat(of: store.host, connection: target.connection, timing: timing)
        defer {
            heartbeat.end()
            try? store.leave()
        }
        say("joined as \(name), waiting for a run")
        var last: String?
        while !stop.isSet {
            if let reason = heartbeat.reasonToEnd { throw OperatingError(reason) }
            do {
                if let task = try store.nextTask() {
                    last = task.runName
                    try work(on: task, store, heartbeat)
                    continue
                }
                if options.isOnce, let run = last, try !store.isAlive(run: run) { return say("the run \(run) is over") }
            } catch let error as PostgresError where error.isConnectionLost {
                // A database that was away for a moment still has this host's name.
                connection.close()
                connection = try ReconnectPolicy().reconnect(
                    since: monotonicNow(), now: monotonicNow, isStopped: { stop.isSet }
                ) { try PostgresConnection.connect(to: target.connection, applicationName: harnessApplicationName) }
                store = HostStore(store.host, on: connection, timing: timing)
            }
            sleepUntil(monotonic: monotonicNow() + timing.lookMs * 1_000_000)
        }
    }

    /// Works on its share of a cell. A failure is the runner's to tell; the host goes on with the next cell.
    /// - Throws: when the runner can't be told how the cell ended. Without any sign from this host it would wait for ever: it is
    ///   told by the host's leaving, or by its silence.
    private func work(on task: HostStore.Task, _ store: HostStore, _ heartbeat: Heartbeat) throws {
        let share = task.share
        say(
            "\(task.runName): \(share.configuration), repetition \(share.repetition): \(share.workers) workers, "
                + "\(share.partitions.count) partitions")
        let cell = HostedCell(task, target: target, host: store.host, timing: timing, stop: stop) {
            heartbeat.reasonToEnd
        }
        do {
            let report = try cell.run(on: store.connection).text()
            try deliver(.done, report, of: task.cell, store)
        } catch {
            let reason = cell.reasonToStop ?? "\(error)"
            say("\(task.runName): \(reason)")
            do {
                // The runner may be gone, and its cell with it: then no row is changed.
                try deliver(.failed, reason, of: task.cell, store)
            } catch {
                throw OperatingError("the runner can't be told how its cell ended here: \(error)")
            }
        }
    }

    /// Says how a cell ended, which may be said twice.
    private func deliver(
        _ state: HostStore.ShareState, _ text: String, of cell: String, _ store: HostStore
    ) throws {
        try target.withFreshSession(isStopped: stop) { connection in
            try HostStore(store.host, on: connection, timing: timing).report(state, of: cell, text)
        }
    }
}

extension Target {
    /// Asks or says something that may be repeated, on a session of its own, for as long as a database is waited for: one that
    /// has idled beside a cell may have been lost meanwhile, and nobody would have noticed.
    fileprivate func withFreshSession<R>(
        isStopped stop: StopFlag, _ body: (PostgresConnection) throws -> R
    ) throws -> R {
        try ReconnectPolicy().reconnect(since: monotonicNow(), now: monotonicNow, isStopped: { stop.isSet }) {
            let connection = try PostgresConnection.connect(
                to: self.connection, applicationName: harnessApplicationName)
            defer { connection.close() }
            return try body(connection)
        }
    }
}

/// One cell on one host.
private final class HostedCell: Sendable {
    private let task: HostStore.Task
    private let target: Target
    private let host: JoinedHost
    private let timing: HostTiming
    private let stop: StopFlag
    private let lossOfPlace: @Sendable () -> String?

    private let cellStop = StopFlag()
    /// All workers of this host have ended; all workers of all hosts have; nobody looks after the cell any more.
    private let drained = StopFlag()
    private let closing = StopFlag()
    private let isOver = StopFlag()
    private let reason = Mutex<String?>(nil)
    private let clock = Mutex<HostClock?>(nil)
    /// What this process had taken when its workers were ready.
    private let usageAtStart = Mutex<ProcessUsage?>(nil)

    init(
        _ task: HostStore.Task, target: Target, host: JoinedHost, timing: HostTiming, stop: StopFlag,
        lossOfPlace: @escaping @Sendable () -> String?
    ) {
        self.task = task
        self.target = target
        self.host = host
        self.timing = timing
        self.stop = stop
        self.lossOfPlace = lossOfPlace
    }

    /// Why the workers were stopped from outside; nil if they weren't.
    var reasonToStop: String? { reason.withLock { $0 } }

    private func end(_ text: String) {
        reason.withLock { $0 = $0 ?? text }
        cellStop.set()
    }

    /// Blocks until the workers of all hosts have ended and this one's have booked what was left.
    /// - Parameter connection: for what is read before the start; afterwards nobody looks whether it is still there.
    func run(on connection: PostgresConnection) throws -> HostReport {
        let counters = WorkerProgress()
        let (plan, window) = try plan(counters, on: connection)
        var bookings = BookingPlan(beside: plan, workers: task.share.bookingWorkers)
        // Workers of one number on two hosts must not draw the same delays.
        bookings.seed &+= UInt64(task.share.hostIndex) << 32
        ProcessUsage.resetOwnPeak()
        var watch: WorkerThread<Void>?
        var usageAtEnd: ProcessUsage?
        var drainNs: Int64 = 0
        defer {
            isOver.set()
            try? watch?.join()
        }
        let drain = try WorkerPool.run(
            plan, bookings: bookings.workers == 0 ? nil : bookings, isCalled: true,
            onLine: { line in
                watch = WorkerThread(name: "cell") { [self] in
                    do { try look(after: line, counters) } catch { end("\(error)") }
                    line.abandonUnlessStarted()
                }
            },
            whenDrained: { result in
                usageAtEnd = ProcessUsage.own()
                drainNs = max(0, monotonicNow() - result.startTime)
                drained.set()
                while !closing.isSet && !cellStop.isSet {
                    sleepUntil(monotonic: monotonicNow() + timing.lookBeforeStartMs * 1_000_000)
                }
                if cellStop.isSet { throw Interrupted() }
            }, stop: cellStop)
        if cellStop.isSet { throw Interrupted() }
        isOver.set()
        try watch?.join()
        watch = nil
        guard let before = clock.withLock({ $0 }) else { throw OperatingError("the start was never said") }
        let after = try target.withFreshSession(isStopped: stop) { try HostClock.measure(on: $0) }
        return HostReport(
            figures: FiguresRecord(drain.figures, start: drain.startTime),
            bookings: drain.bookings.map { BookingRecord($0, start: drain.startTime) },
            committedInWindow: window.committedCount, drainNs: drainNs,
            cpuSeconds: (usageAtEnd?.cpuSeconds ?? 0) - (usageAtStart.withLock { $0 }?.cpuSeconds ?? 0),
            peakResidentBytes: usageAtEnd?.peakResidentBytes ?? 0, clockOffsetNs: before.offsetNs(ClockOffset.sample()),
            clockUncertaintyNs: before.uncertaintyNs, clockDriftNs: after.driftNs(since: before))
    }

    /// The plan that the runner would have made for itself, with this host's part of the partitions and threads.
    private func plan(
        _ counters: WorkerProgress, on connection: PostgresConnection
    ) throws -> (WorkerPlan, MeasuredWindow) {
        let share = task.share
        let scenario = try ScenarioFile.parse(text: share.scenario, path: share.scenarioPath)
        guard var configuration = scenario.configurations.first(where: { $0.name == share.configuration }),
            let kafka = target.kafka
        else { throw OperatingError("the scenario has no configuration \(share.configuration)") }
        configuration.workers = share.workers
        // The file of secrets that a scenario names is the runner's; a host is given its own on its command line, which wins.
        var clients = kafka
        clients.properties.merge(scenario.servers.kafka.properties) { own, _ in own }
        var plan = WorkerPlan(
            of: configuration, repetition: share.repetition, scenario: scenario, topic: share.topic,
            partitions: share.partitions, connection: target.connection, kafka: clients,
            book: try AllocationsSource.book(on: connection))
        plan.mayHaveTransactions = scenario.servers.kafka.isFeedTransactional
        plan.cockroach = scenario.servers.cockroach ?? CockroachSettings()
        plan.endOffsets = share.endOffsets
        plan.firstExecution = ExecutionID(share.firstExecution)
        plan.schedule = share.ratePerSecond.map { .uniform(ratePerSecond: $0) } ?? scenario.arrivals
        let window = MeasuredWindow(plan: scenario.window, schedule: plan.schedule)
        plan.window = window
        plan.progress = counters
        return (plan, window)
    }

    // MARK: Looking after the cell

    /// Says how far the workers are, and hears when they start, when all are through, and whether anybody still wants them.
    private func look(after line: StartingLine, _ counters: WorkerProgress) throws {
        let connection = try PostgresConnection.connect(
            to: target.connection, applicationName: harnessApplicationName)
        defer { connection.close() }
        let store = HostStore(host, on: connection, timing: timing)
        var told = HostStore.ShareState.taken
        var nextProgress: Int64 = 0
        while !isOver.isSet && !cellStop.isSet {
            if stop.isSet { return end("interrupted there") }
            if let reason = lossOfPlace() { return end(reason) }
            if told == .taken, line.isReady {
                // In the quiet before the start a round trip is as short as it gets.
                let clock = try HostClock.measure(on: connection)
                self.clock.withLock { $0 = clock }
                usageAtStart.withLock { $0 = ProcessUsage.own() }
                try store.report(.ready, of: task.cell)
                told = .ready
            }
            switch try store.state(ofCell: task.cell) {
            case .gathering: break
            case .started(let serverUs): try start(line, serverUs: serverUs)
            case .closing: closing.set()
            case .ended: return end("the runner gave the cell up")
            case .runnerLost:
                return end(
                    "no sign of life from the runner for \(timing.lostAfterMs / 1000) s: its workers here are ended")
            }
            if told == .ready, drained.isSet {
                try store.report(counters.counts, of: task.cell)
                try store.report(.drained, of: task.cell)
                told = .drained
            }
            if line.start != 0, monotonicNow() >= nextProgress {
                try store.report(counters.counts, of: task.cell)
                nextProgress = monotonicNow() + 1_000_000_000
            }
            let isRunning = line.start != 0 && !drained.isSet
            let pause = isRunning ? timing.lookMs : timing.lookBeforeStartMs
            sleepUntil(monotonic: monotonicNow() + pause * 1_000_000)
        }
    }

    /// The common start on this machine's clock. Too late is too late: these workers would begin behind the others.
    private func start(_ line: StartingLine, serverUs: Int64) throws {
        guard line.start == 0, line.isReady, let clock = clock.withLock({ $0 }) else { return }
        let start = clock.monotonic(serverUs: serverUs)
        let now = monotonicNow()
        guard start > now else {
            return end("heard of the start \(milliseconds(now - start)) ms too late")
        }
        line.call(at: start)
    }
}
