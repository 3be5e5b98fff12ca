// What a cell takes from the machine and from the database: read before and after it, never inside.
// On the runner's thread; sessions that wait for locks are counted by a thread of its own.

import Measurement
import Postgres
import Report
import Services

struct UsageMeter {
    private let target: Target
    private let own: ProcessUsage?
    private let databaseCPUSeconds: Double?
    private let activity: DatabaseMeter?
    private let locks: LockSampler?

    /// Begins to count, with a peak of memory of its own.
    /// - Parameter connection: reads the server's counters, and is the only other session of the database.
    init(_ target: Target, on connection: PostgresConnection) throws {
        self.target = target
        activity = try DatabaseMeter.begin(on: connection)
        locks = try LockSampler(connection: target.connection)
        ProcessUsage.resetOwnPeak()
        own = ProcessUsage.own()
        databaseCPUSeconds = UsageMeter.databaseUsage(target)
    }

    /// Ends the counting of what was not finished, after a failure.
    func abandon() { _ = try? locks?.end() }

    /// What was used, and by second from `start` (on the monotonic clock) how many sessions waited for a lock.
    /// - Parameter isSameServer: whether `connection` leads where that of the beginning led: not after a promotion.
    func finish(
        on connection: PostgresConnection, start: Int64, isSameServer: Bool = true
    ) throws -> (summary: ResourceSummary, lockWaits: [Int64: Int]?) {
        var summary = ResourceSummary()
        let now = ProcessUsage.own()
        summary.harnessCPUSeconds = (now?.cpuSeconds ?? 0) - (own?.cpuSeconds ?? 0)
        summary.harnessPeakResidentBytes = now?.peakResidentBytes ?? 0
        // Another server's counters begin elsewhere, and the processor time of the first went with it.
        if isSameServer {
            summary.databaseCPUSeconds = UsageMeter.databaseUsage(target).flatMap { end in
                databaseCPUSeconds.map { end - $0 }
            }
        }
        let waits = try locks?.end().waitingBySecond(from: start)
        summary.lockWaits = waits.map { Int64($0.values.reduce(0, +)) }
        if isSameServer, let activity = try activity?.end(on: connection) { summary.add(activity) }
        return (summary, waits)
    }

    /// Processor seconds of the embedded PostgreSQL and its standbys so far.
    private static func databaseUsage(_ target: Target) -> Double? {
        guard let services = target.services else { return nil }
        let servers = ServicesControl.status(in: services.state).filter {
            ($0.record.kind == .postgres || $0.record.kind == .standby) && $0.isRunning
        }
        let seconds = servers.compactMap { ProcessUsage.ofTree(root: $0.record.process.pid)?.cpuSeconds }
        return seconds.isEmpty ? nil : seconds.reduce(0, +)
    }
}

extension ResourceSummary {
    /// Takes what the server counted.
    fileprivate mutating func add(_ activity: DatabaseActivity) {
        guard activity.dialect == .postgresql else {
            serverRestarts = activity.isWhole ? activity.restarts : nil
            return
        }
        // Sessions bring these home together with their rows.
        walBytes = activity.isWhole ? activity.walBytes : nil
        walFullPageImages = activity.isWhole ? activity.walFullPageImages : nil
        rowsWritten = activity.rowsWritten
        commitsPerSync = activity.commitsPerSync
        deadlocks = activity.deadlocks
        checkpoints = activity.checkpoints
    }
}
