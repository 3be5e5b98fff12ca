// Stops services and strikes them off the records. The caller holds the services lock; blocks its thread.

import Diagnostics
import Glibc

enum Leftovers {
    /// Stops every recorded service whose owner `isDoomed`, and every process that carries this folder's mark without
    /// being recorded: whoever started it was killed before it could write it down.
    static func stop(in state: StateFolder, owners isDoomed: (ServiceOwner) -> Bool) throws(OperatingError) {
        var records = state.records
        let doomed = records.services.filter { isDoomed($0.owner) }
        let spared = records.services.filter { !isDoomed($0.owner) }
        // A dead node of a Kafka that lives is still part of it, and may be started again.
        let hasKafka = spared.contains { $0.kind == .kafka && $0.isRunning }
        let kept = spared.filter { $0.isRunning || $0.kind == .kafka && hasKafka }
        // Standbys first: a primary that is stopped waits for them.
        let inOrder = doomed.filter { $0.kind == .standby } + doomed.filter { $0.kind != .standby }
        // All nodes of a Kafka at once: one that is left alone waits for the others before it lets go of its data.
        let nodes = inOrder.filter { $0.kind == .kafka }
        if nodes.count > 1 {
            MarkedProcesses.end(nodes.map(\.process), [(SIGTERM, .seconds(20)), (SIGKILL, .seconds(10))])
        }
        for record in inOrder where record.process.pid != getpid() {
            stop(record.kind, record.process, in: state)
        }
        let keptProcesses = Set(kept.map(\.process))
        endUnrecorded(in: state, except: keptProcesses)
        if !kept.contains(where: { $0.kind == .mockBroker }) { state.removeMockSocket() }
        records.services = kept
        try records.write(state.recordsFile)
    }

    /// Stops one service, gently first.
    static func stop(_ kind: ServiceRecord.Kind, _ process: ProcessIdentity, in state: StateFolder) {
        switch kind {
        case .postgres: EmbeddedPostgres.stop(pid: process.pid, startTicks: process.startTicks, mode: .fast)
        case .standby: EmbeddedPostgres.stopStandby(process)
        case .mockBroker: MarkedProcesses.end([process], [(SIGTERM, .seconds(5)), (SIGKILL, .seconds(5))])
        case .kafka: MarkedProcesses.end([process], [(SIGTERM, .seconds(20)), (SIGKILL, .seconds(10))])
        case .guardian: MarkedProcesses.end([process], [(SIGKILL, .seconds(5))])
        }
    }

    private static func endUnrecorded(in state: StateFolder, except kept: Set<ProcessIdentity>) {
        // What a kept service has started is part of it: a server process that PostgreSQL forked a moment ago still has the
        // server's own command line.
        let keptPIDs = Set(kept.map(\.pid))
        func isLeft(_ process: ProcessIdentity) -> Bool {
            !kept.contains(process) && !(ChildProcess.parent(of: process.pid).map(keptPIDs.contains) ?? false)
        }
        let brokers = MarkedProcesses.find(anyOf: state.kafkaMarks.union([state.path]))
        MarkedProcesses.end(brokers.filter(isLeft), [(SIGTERM, .seconds(10)), (SIGKILL, .seconds(5))])
        // SIGTERM would let PostgreSQL wait for its clients; SIGINT disconnects them.
        let unfinishedCluster = "--pgdata=\(state.postgresDataFolder).unfinished"
        let unfinishedStandbys = Standbys.numbers.map { "--pgdata=\(state.standbyFolder($0))/data.unfinished" }
        let databases = ([state.postgresMark, unfinishedCluster] + unfinishedStandbys).flatMap(MarkedProcesses.find)
        MarkedProcesses.end(
            databases.filter(isLeft),
            [(SIGINT, .seconds(20)), (SIGQUIT, .seconds(5)), (SIGKILL, .seconds(5))])
    }
}
