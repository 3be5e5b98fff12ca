// The steps by which services come to run, each written down as soon as it is done.
// The caller holds the services lock. PostgreSQL and the broker start on a thread each.

import Diagnostics
import Glibc
import Synchronization
import Threads

/// What of a running PostgreSQL its clients need.
struct PostgresAddress: Sendable {
    let connectionInfo: String
    let notes: [String]
}

struct Launch: Sendable {
    let state: StateFolder
    let choice: BrokerChoice
    let owner: ServiceOwner
    let settings: [String: String]

    /// Starts everything anew. If one of them fails, none is left.
    func startAll() throws -> EmbeddedServices {
        var running: RunningGuard?
        if case .run(let process) = owner {
            let started = try GuardProcess.start(for: process, in: state)
            try record(.guardian, started.process, address: "-")
            running = started
        }
        do {
            let (postgres, broker) = try startBoth()
            return EmbeddedServices(
                self, postgres: postgres, broker: broker, isShared: owner == .servicesStart, runningGuard: running)
        } catch {
            try? Leftovers.stop(in: state) { $0 == owner }
            running?.dismiss()
            throw error
        }
    }

    /// Starts what of the services of `services start` is down.
    func completing(_ running: [ServiceRecord]) throws -> EmbeddedServices {
        let postgres =
            try running.first { $0.kind == .postgres }.map { PostgresAddress(connectionInfo: $0.address, notes: []) }
            ?? startPostgres()
        let broker = try completeBroker(running.filter(\.kind.isBroker))
        return EmbeddedServices(self, postgres: postgres, broker: broker, isShared: true, runningGuard: nil)
    }

    /// Uses the services of `services start`, all of which must be up.
    func attaching(to running: [ServiceRecord]) throws -> EmbeddedServices {
        guard let postgres = running.first(where: { $0.kind == .postgres }),
            let broker = EmbeddedBroker.attach(to: running.filter(\.kind.isBroker), in: state)
        else {
            let down = running.contains { $0.kind == .postgres } ? "the broker" : "PostgreSQL"
            throw OperatingError(
                "\(down) of the services in \(state.path) is down", remedy: "`allocbench services start` restarts it")
        }
        guard broker.processes.allSatisfy(\.isRunning) else {
            throw OperatingError(
                "a Kafka node of the services in \(state.path) is down",
                remedy: "`allocbench services start` restarts it")
        }
        return EmbeddedServices(
            self, postgres: PostgresAddress(connectionInfo: postgres.address, notes: []),
            broker: broker, isShared: true, runningGuard: nil)
    }

    private func startBoth() throws -> (PostgresAddress, EmbeddedBroker) {
        let database = WorkerThread(name: "start postgres") { try startPostgres() }
        let broker = WorkerThread(name: "start broker") { try startBroker() }
        // Both must have ended before either failure is told.
        let outcomes = (Result { try database.join() }, Result { try broker.join() })
        return (try outcomes.0.get(), try outcomes.1.get())
    }

    private func startPostgres() throws -> PostgresAddress {
        try Files.makeFolder(state.postgresFolder, mode: geteuid() == 0 ? 0o711 : 0o700)
        let mark = state.postgresMark.split(separator: "=", maxSplits: 1).map(String.init)
        let server = try EmbeddedPostgres.start(
            dataFolder: state.postgresDataFolder, socketFolder: "\(state.postgresFolder)/socket",
            settings: settings.merging([mark[0]: mark[1]]) { $1 }, logFile: "\(state.postgresFolder)/server.log")
        try record(
            .postgres, ProcessIdentity(pid: server.pid, startTicks: server.startTicks), address: server.connectionInfo)
        return PostgresAddress(connectionInfo: server.connectionInfo, notes: server.notes)
    }

    private func startBroker() throws -> EmbeddedBroker {
        let broker = try EmbeddedBroker.start(choice, in: state)
        for (process, address) in zip(broker.processes, broker.addresses) {
            try record(broker.kind, process, address: address)
        }
        return broker
    }

    /// Starts a broker where none is running, and of several nodes those that are down.
    private func completeBroker(_ records: [ServiceRecord]) throws -> EmbeddedBroker {
        guard let broker = EmbeddedBroker.attach(to: records, in: state) else { return try startBroker() }
        return try Self.reviveBroker(broker, choice, owner: owner, in: state)
    }

    /// Starts those nodes of an embedded Kafka that have died. The caller holds the services lock.
    static func reviveBroker(
        _ broker: EmbeddedBroker, _ choice: BrokerChoice, owner: ServiceOwner, in state: StateFolder
    ) throws -> EmbeddedBroker {
        guard case .kafka(let home, _) = choice, broker.kind == .kafka else { return broker }
        let dead = broker.processes.indices.filter { !broker.processes[$0].isRunning }
        if dead.isEmpty { return broker }
        let cluster = KafkaCluster(home: home, state: state, count: broker.brokerCount)
        let started = try cluster.restart(dead.map { $0 + 1 }, of: broker)
        var processes = broker.processes
        for index in dead { processes[index] = started[index + 1] ?? processes[index] }
        try recording.withLock { _ throws(OperatingError) in
            var records = state.records
            for index in dead {
                records.services.removeAll { $0.kind == .kafka && $0.process == broker.processes[index] }
                records.services.append(
                    ServiceRecord(
                        kind: .kafka, process: processes[index], address: broker.addresses[index],
                        startedAt: Glibc.time(nil), owner: owner))
            }
            // In the order of the nodes, as they were written first.
            let order = broker.addresses
            records.services.sort {
                (order.firstIndex(of: $0.address) ?? -1) < (order.firstIndex(of: $1.address) ?? -1)
            }
            try records.write(state.recordsFile)
        }
        return EmbeddedBroker(
            kind: .kafka, addresses: broker.addresses, processes: processes, controlSocket: nil)
    }

    /// Adds one process to `services.json`. Two threads of this process may do so at once; no other process can.
    private func record(
        _ kind: ServiceRecord.Kind, _ process: ProcessIdentity, address: String
    ) throws(OperatingError) {
        try Self.record(kind, process, address: address, owner: owner, in: state)
    }

    /// The same for a process that is started later than the others.
    static func record(
        _ kind: ServiceRecord.Kind, _ process: ProcessIdentity, address: String, owner: ServiceOwner,
        in state: StateFolder
    ) throws(OperatingError) {
        try recording.withLock { _ throws(OperatingError) in
            var records = state.records
            records.services.append(
                ServiceRecord(
                    kind: kind, process: process, address: address, startedAt: Glibc.time(nil), owner: owner))
            try records.write(state.recordsFile)
        }
    }

    private static let recording = Mutex<Void>(())
}

extension StateFolder {
    /// A setting that means nothing to PostgreSQL and stands in its command line: the mark of this folder's server.
    var postgresMark: String { "allocbench.state=\(path)" }
}
