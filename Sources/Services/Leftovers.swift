// Stops services and strikes them off the records. The caller holds the services lock; blocks its thread.

import Diagnostics
import Glibc

enum Leftovers {
    /// Stops every recorded service whose owner `isDoomed`, and every process that carries this folder's mark without
    /// being recorded: whoever started it was killed before it could write it down.
    static func stop(in state: StateFolder, owners isDoomed: (ServiceOwner) -> Bool) throws(OperatingError) {
        var records = state.records
        let doomed = records.services.filter { isDoomed($0.owner) }
        let kept = records.services.filter { !isDoomed($0.owner) && $0.isRunning }
        // Standbys first: a primary that is stopped waits for them.
        let inOrder = doomed.filter { $0.kind == .standby } + doomed.filter { $0.kind != .standby }
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
        case .kafka: KafkaNode.stop(state: state, process)
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
        let brokers = MarkedProcesses.find(state.path) + MarkedProcesses.find(state.kafkaProperties)
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
