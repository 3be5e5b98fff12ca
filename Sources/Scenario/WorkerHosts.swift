// The worker hosts of a run, as its runner sees them: waits for them, hands each its share of a cell, says the start, merges
// what they measured. On the runner's thread; its signs of life come from a thread of their own.

import Allocations
import Booking
import Diagnostics
import Hosts
import Kafka
import Measurement
import Model
import Postgres
import Report
import Services
import Threads

/// What of a cell the hosts are told beside the plan.
struct HostTask {
    let configuration: Configuration
    let repetition: Int
    /// Of a search.
    var ratePerSecond: Double?
}

final class WorkerHosts {
    private let count: Int
    private let scenario: ScenarioFile
    private let wait: Duration
    private let stop: StopFlag
    private let say: (String) -> Void
    private let connection: PostgresConnection
    private let store: RunnerStore
    private let heartbeat: Heartbeat
    private let timing: HostTiming
    /// How a host is started that is missing.
    private let remedy: String
    private var cellCount = 0
    /// Those of the cells so far, by name; whoever took part is asked for first.
    private var known: [String: (host: JoinedHost, figures: HostFigures)] = [:]

    /// Waits for the hosts that a scenario asks for; nil where it asks for none.
    /// - Throws: `OperatingError` that names whom it waited for in vain.
    static func join(_ given: StageInput) throws -> WorkerHosts? {
        guard let count = given.scenario.servers.workerHosts else { return nil }
        let hosts = try WorkerHosts(count, given)
        do {
            let joined = try hosts.gather()
            given.say(
                "worker hosts: \(joined.map { "\($0.name) (\($0.address), \($0.cores) cores)" }.joined(separator: ", "))"
            )
        } catch {
            hosts.close()
            throw error
        }
        return hosts
    }

    private init(_ count: Int, _ given: StageInput, timing: HostTiming = HostTiming()) throws {
        self.count = count
        scenario = given.scenario
        wait = given.hostWait
        stop = given.stop
        say = given.say
        self.timing = timing
        remedy = "start it there: \(given.target.joinCommand)"
        connection = try PostgresConnection.connect(
            to: given.target.connection, applicationName: harnessApplicationName)
        store = try RunnerStore.begin(
            runName: given.runID, program: .current, on: connection, timing: timing)
        heartbeat = Heartbeat(ofRunner: store.session, connection: given.target.connection, timing: timing)
    }

    /// Lets the hosts go. Call it once.
    func close() {
        heartbeat.end()
        try? store.end()
        connection.close()
    }

    /// For the manifest.
    var entries: [Manifest.Entry] {
        known.keys.sorted().compactMap { name in
            guard let (host, figures) = known[name] else { return nil }
            return Manifest.Entry(
                name,
                "\(host.address), \(host.cores) cores, allocbench \(host.program.text), clock offset "
                    + "\(milliseconds(figures.clockOffsetNs)) ms ± \(milliseconds(figures.clockUncertaintyNs)) ms")
        }
    }

    // MARK: Waiting for hosts

    /// As many hosts as the scenario asks for, those first that took part before. Says for whom it waits.
    private func gather() throws -> [JoinedHost] {
        let deadline = ContinuousClock.now.advanced(by: wait)
        var told = ""
        while true {
            try requireGoing()
            let joined = try store.hosts(say: say)
            let chosen = choose(joined)
            if chosen.count == count { return chosen }
            let missing = self.missing(joined)
            guard ContinuousClock.now < deadline else {
                throw OperatingError(
                    "after \(readableSeconds(wait)) s \(missing)",
                    remedy: "\(remedy); or wait longer: --wait-for-hosts SECONDS")
            }
            if missing != told {
                say("\(missing), waiting for up to \(readableSeconds(wait)) s: \(remedy)")
                told = missing
            }
            sleepUntil(monotonic: monotonicNow() + timing.lookMs * 1_000_000)
        }
    }

    private func choose(_ joined: [JoinedHost]) -> [JoinedHost] {
        let before = joined.filter { known[$0.name] != nil }
        let others = joined.filter { known[$0.name] == nil }
        return Array((before + others).prefix(count)).sorted { $0.name < $1.name }
    }

    /// `1 of 2 worker hosts has joined (alpha); beta, which took part before, is missing`.
    private func missing(_ joined: [JoinedHost]) -> String {
        let here = joined.map(\.name).sorted()
        let gone = known.keys.filter { !here.contains($0) }.sorted()
        let names = here.isEmpty ? "" : " (\(here.joined(separator: ", ")))"
        let before = gone.isEmpty ? "" : "; \(gone.joined(separator: ", ")) took part before and isn't there"
        return "\(here.count) of \(count) worker hosts \(here.count == 1 ? "has" : "have") joined\(names)\(before)"
    }

    private func requireGoing() throws {
        try requireNotStopped(stop)
        if let reason = heartbeat.reasonToEnd { throw OperatingError("the run can't go on: \(reason)") }
    }

    // MARK: A cell

    /// Runs a cell's workers on the hosts. Blocks until all of them have ended and what they led to is booked.
    /// - Throws: what went wrong on the host where something did first; the others are stopped then.
    func drain(_ plan: WorkerPlan, _ task: HostTask) throws -> (DrainResult, [HostFigures]) {
        let hosts = try gather()
        cellCount += 1
        let cell = "\(store.session)/\(cellCount)"
        let deals = CellShare.deal(
            partitions: plan.partitions, workers: plan.configuration.workers,
            bookingWorkers: plan.configuration.bookingWorkers, among: count)
        let shares = hosts.enumerated().map { index, host in
            (host: host, share: share(of: deals[index], index, plan, task))
        }
        try store.begin(cell: cell, shares)
        do {
            try wait(for: .ready, in: cell, withinDeadline: true, plan.progress)
            // The hosts hear of it while it is ahead, and so does this clock.
            let clock = try HostClock.measure(on: connection)
            let start = clock.monotonic(serverUs: try store.start(cell: cell))
            plan.window?.begin(at: start)
            try wait(for: .drained, in: cell, plan.progress)
            try store.set(.closing, of: cell)
            let standings = try wait(for: .done, in: cell, plan.progress)
            let result = try merge(standings, shares, plan, start: start)
            try store.remove(cell: cell)
            return result
        } catch {
            // Whatever the others are doing, they stop.
            try? store.set(.ended, of: cell)
            throw error
        }
    }

    private func share(of deal: CellShare.Deal, _ index: Int, _ plan: WorkerPlan, _ task: HostTask) -> CellShare {
        CellShare(
            scenario: scenario.selfContainedText, scenarioPath: scenario.path, configuration: task.configuration.name,
            repetition: task.repetition, ratePerSecond: task.ratePerSecond, topic: plan.topic,
            partitions: deal.partitions, endOffsets: plan.endOffsets ?? [:],
            firstExecution: plan.firstExecution.rawValue, workers: deal.workers, bookingWorkers: deal.bookingWorkers,
            hostIndex: index)
    }

    /// Blocks until every host is as far as `state`.
    @discardableResult
    private func wait(
        for state: HostStore.ShareState, in cell: String, withinDeadline: Bool = false, _ progress: WorkerProgress?
    ) throws -> [RunnerStore.Standing] {
        let deadline = ContinuousClock.now.advanced(by: wait)
        var counted = ProgressCounts()
        if let progress { counted = progress.counts }
        while true {
            try requireGoing()
            let standings = try store.standings(inCell: cell)
            for standing in standings { try requireWorking(standing) }
            progress?.advance(from: &counted, to: standings.map(\.progress))
            let late = standings.filter { !$0.state.isAtLeast(state) }.map(\.name).sorted()
            if late.isEmpty { return standings }
            if withinDeadline, ContinuousClock.now >= deadline {
                throw OperatingError(
                    "after \(readableSeconds(wait)) s the workers of \(late.joined(separator: ", ")) aren't ready",
                    remedy: "look there whether database and broker can be reached")
            }
            let pause = state == .ready ? timing.lookBeforeStartMs : timing.lookMs
            sleepUntil(monotonic: monotonicNow() + pause * 1_000_000)
        }
    }

    private func requireWorking(_ standing: RunnerStore.Standing) throws {
        if standing.state == .failed {
            throw OperatingError("worker host \(standing.name): \(standing.report ?? "failed")")
        }
        if standing.state == .done { return }
        guard standing.isThere, standing.isHeard else {
            let seconds = timing.lostAfterMs / 1000
            throw OperatingError(
                "worker host \(standing.name) is lost: "
                    + (standing.isThere ? "no sign of life for \(seconds) s" : "it has left in the middle of a cell"))
        }
    }

    // MARK: Figures

    private func merge(
        _ standings: [RunnerStore.Standing], _ shares: [(host: JoinedHost, share: CellShare)], _ plan: WorkerPlan,
        start: Int64
    ) throws -> (DrainResult, [HostFigures]) {
        var reports: [(host: JoinedHost, workers: Int, report: HostReport, figures: WorkerFigures)] = []
        for (host, share) in shares {
            guard let text = standings.first(where: { $0.name == host.name })?.report else {
                throw OperatingError("worker host \(host.name) has sent no figures")
            }
            do {
                let report = try HostReport(text: text)
                reports.append((host, share.workers, report, try report.figures.figures(start: start)))
            } catch {
                throw OperatingError("the figures of worker host \(host.name) can't be read: \(error)")
            }
        }
        var figures = WorkerFigures()
        for report in reports { figures.merge(report.figures) }
        var result = DrainResult(figures, of: plan, start: start, faults: [])
        // Here nobody has committed anything, so this process' window has counted nothing.
        let counts = reports.compactMap(\.report.committedInWindow)
        if counts.count == reports.count { result.committedMessageCount = counts.reduce(0, +) }
        result.bookings = try merge(reports.compactMap(\.report.bookings), start: start)
        let seconds = Double(result.elapsedNanoseconds) / 1e9
        let hosts = reports.map { host, workers, report, figures in
            let messages = report.committedInWindow ?? figures.messageCount
            return HostFigures(
                name: host.name, address: host.address, workers: workers, messages: messages,
                messagesPerSecond: seconds > 0 ? Double(messages) / seconds : 0,
                finishedNs: figures.lastCommitTime == 0 ? nil : figures.lastCommitTime - start,
                cpuSeconds: report.cpuSeconds, cores: host.cores, drainNs: report.drainNs,
                peakResidentBytes: report.peakResidentBytes, clockOffsetNs: report.clockOffsetNs,
                clockUncertaintyNs: report.startUncertaintyNs)
        }
        for (entry, host) in zip(hosts, shares.map(\.host)) { known[host.name] = (host, entry) }
        return (result, hosts)
    }

    private func merge(_ bookings: [BookingRecord], start: Int64) throws -> BookingResult? {
        var merged: BookingResult?
        for record in bookings {
            let result = try record.result(start: start)
            guard var sum = merged else {
                merged = result
                continue
            }
            sum.figures.merge(result.figures)
            sum.startTime = max(sum.startTime, result.startTime)
            sum.workers += result.workers
            merged = sum
        }
        return merged
    }
}

extension HostStore.ShareState {
    /// Whether a host in this state is past `other`.
    func isAtLeast(_ other: HostStore.ShareState) -> Bool { rank >= other.rank }

    private var rank: Int {
        switch self {
        case .assigned: 0
        case .taken: 1
        case .ready: 2
        case .drained: 3
        case .done: 4
        case .failed: -1
        }
    }
}

extension WorkerProgress {
    /// Adds what the hosts have told since the last look.
    func advance(from counted: inout ProgressCounts, to hosts: [ProgressCounts]) {
        var sum = ProgressCounts()
        for host in hosts {
            sum.committed += host.committed
            sum.lag += host.lag
            sum.retries += host.retries
            sum.errors += host.errors
        }
        addCommitted(max(0, sum.committed - counted.committed))
        changeLag(by: sum.lag - counted.lag)
        for _ in 0..<max(0, sum.retries - counted.retries) { addRetry() }
        addErrors(max(0, sum.errors - counted.errors))
        counted = sum
    }
}

extension ProgramIdentity {
    /// This program.
    static var current: ProgramIdentity {
        ProgramIdentity(version: AllocBench.version, commit: BuildDescription.current().gitCommit ?? "")
    }
}

extension Target {
    /// How a worker host reaches the same servers; without a password, which nobody must read.
    var joinCommand: String {
        if let services { return "allocbench work --join NAME --state \(services.state.path)" }
        let brokers = kafka?.bootstrapServers ?? ""
        let isSecured = kafka?.properties.keys.contains(where: KafkaClientSettings.isSecurity) ?? false
        return "allocbench work --join NAME --database '\(connection.redacted)' --brokers \(brokers)"
            + (isSecured ? " --kafka-properties FILE" : "")
    }
}
