// What breaks while workers run, when, and how long they take to be over it. On a thread of its own beside them.

import Allocations
import Diagnostics
import Measurement
import Postgres

/// What became of one planned fault.
public struct FaultFigures: Sendable, Equatable {
    public let kind: ScenarioFile.FaultPlan.Kind
    /// When it was planned and when it came, after the start; nil if the run was over before.
    public let plannedAtNs: Int64
    public let atNs: Int64?
    /// From the fault until every partition that it concerned was past the messages that were due at the fault; with a
    /// backlog, until the first commit of each of them. Nil when the run or the next fault came first, or when nothing was
    /// left to do and so nothing broke.
    public let recoveredAfterNs: Int64?
    /// Messages that were in a transaction at the fault, weren't committed, and were processed again.
    public let replayedMessages: Int64
    /// Messages committed between fault and recovery that had been captured before.
    public let duplicates: Int64
    /// Messages whose commit was answered before the fault, that the database didn't have after it, and that were processed
    /// again.
    public let lostMessages: Int64
}

struct FaultScript {
    let faults: [ScenarioFile.FaultPlan]
    let workers: [WorkerFault]
    let connection: ConnectionInfo
    /// Who promotes a standby; nil where no fault asks for it.
    var takeover: Takeover?
    /// Nil where there is no broker to spare.
    var broker: BrokerFault?

    private static let lookIntervalNs: Int64 = 2_000_000

    /// Breaks one thing after the other. Blocks until the last one is over, or until the run is.
    /// - Returns: what became of each; those that the run was over before never came, which has to be told.
    func run(after line: StartingLine, isOver: () -> Bool) throws -> [FaultFigures] {
        let faults = faults.sorted { $0.atNs < $1.atNs }
        if faults.isEmpty { return [] }
        let figures = try strike(faults, after: line, isOver: isOver)
        return figures + faults[figures.count...].map { FaultFigures(thatNeverCame: $0) }
    }

    private func connect() throws -> PostgresConnection {
        try PostgresConnection.connect(to: connection, applicationName: "allocbench faults")
    }

    private func strike(
        _ faults: [ScenarioFile.FaultPlan], after line: StartingLine, isOver: () -> Bool
    ) throws -> [FaultFigures] {
        // Connected before the start, so that a fault doesn't wait for it.
        var session = try connect()
        defer { session.close() }
        while line.start == 0 {
            if isOver() { return [] }
            sleepUntil(monotonic: monotonicNow() + Self.lookIntervalNs)
        }
        var figures: [FaultFigures] = []
        var victim = 0
        for (index, fault) in faults.enumerated() {
            while monotonicNow() < line.start + fault.atNs {
                if isOver() { return figures }
                sleepUntil(monotonic: min(line.start + fault.atNs, monotonicNow() + Self.lookIntervalNs))
            }
            if isOver() { return figures }
            let now = monotonicNow()
            let concerned: [WorkerFault]
            switch fault.kind {
            case .killWorker:
                // In turn, so that a second fault finds another worker.
                concerned = [workers[victim % workers.count]]
                victim += 1
                concerned[0].begin(at: now, killing: true)
            case .terminateBackends:
                concerned = workers
                for worker in concerned { worker.begin(at: now, killing: false) }
                try AllocationsSource.terminateWorkers(on: session)
            case .killBroker:
                guard let broker else { throw OperatingError("there is no broker to kill") }
                concerned = workers
                let dead = try broker.kill()
                try broker.waitForLeaders(without: dead, isOver: isOver)
                // What piled up meanwhile is due by now, so to be past it is to have recovered.
                let ledAgain = monotonicNow()
                for worker in concerned { worker.beginStall(until: ledAgain) }
            case .promoteStandby:
                concerned = workers
                for worker in concerned { worker.begin(at: now, killing: false) }
                guard let takeover else { throw OperatingError("there is no standby to be promoted") }
                try takeover.perform()
                session = try connect()
            }
            let next = index + 1 < faults.count ? line.start + faults[index + 1].atNs : Int64.max
            while monotonicNow() < next, !isOver(), !concerned.allSatisfy(\.isSettled) {
                sleepUntil(monotonic: monotonicNow() + Self.lookIntervalNs)
            }
            figures.append(FaultFigures(fault, at: now, start: line.start, concerned: concerned))
        }
        return figures
    }
}

extension WorkerFault {
    /// Whether nothing more is to be expected of this worker.
    fileprivate var isSettled: Bool { recoveryTime != nil || hasWorkerEnded }
}

extension FaultFigures {
    fileprivate init(_ fault: ScenarioFile.FaultPlan, at now: Int64, start: Int64, concerned: [WorkerFault]) {
        kind = fault.kind
        plannedAtNs = fault.atNs
        atNs = now - start
        // A worker that had ended by then has nothing to recover; one that hasn't recovered keeps the fault open.
        let isOpen = concerned.contains { $0.recoveryTime == nil && !$0.hasWorkerEnded }
        recoveredAfterNs = isOpen ? nil : concerned.compactMap(\.recoveryTime).max().map { $0 - now }
        replayedMessages = concerned.reduce(0) { $0 + $1.replayedMessageCount }
        duplicates = concerned.reduce(0) { $0 + $1.duplicateCount }
        lostMessages = concerned.reduce(0) { $0 + $1.lostMessageCount }
    }

    fileprivate init(thatNeverCame fault: ScenarioFile.FaultPlan) {
        kind = fault.kind
        plannedAtNs = fault.atNs
        atNs = nil
        recoveredAfterNs = nil
        replayedMessages = 0
        duplicates = 0
        lostMessages = 0
    }
}
