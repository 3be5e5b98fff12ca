// The services of one machine without a daemon: a private PostgreSQL and a broker, started together and stopped together.
// Blocks the calling thread. Everything that changes what runs happens under the state folder's services lock.

import Diagnostics
import Glibc
import Kafka
import Threads

/// Running services and how to reach them.
public struct EmbeddedServices: Sendable {
    public let state: StateFolder
    /// libpq's `key=value` words; without a secret, because the socket's folder is the protection.
    public let connectionInfo: String
    public let broker: EmbeddedBroker
    /// True if `allocbench services start` started them: this run uses them and leaves them running.
    public let isShared: Bool
    /// What PostgreSQL was started with, for the manifest.
    public let postgresSettings: [String: String]
    /// Sentences on what had to be done in another way than asked for.
    public let notes: [String]
    private let runningGuard: RunningGuard?
    private let choice: BrokerChoice

    public var bootstrapServers: String { broker.bootstrapServers }
    public var brokerKind: ServiceRecord.Kind { broker.kind }

    /// Makes services available in the state folder.
    ///
    /// First ends what a killed harness left. If `services start` has services running there, a run gets those, and a
    /// second `services start` restarts only what is down, on the same data. Otherwise PostgreSQL and the broker are
    /// started side by side; with a run as owner, a guard process stops them should the run be killed.
    /// - Throws: `OperatingError` if a service doesn't start (then none is left running), or if the services there are
    ///   another run's or of another broker kind.
    public static func start(
        in state: StateFolder, broker choice: BrokerChoice, owner: ServiceOwner = .thisRun,
        settings: [String: String] = EmbeddedPostgres.defaultSettings
    ) throws -> EmbeddedServices {
        let lock = try state.lockServices()
        defer { lock.release() }
        try Leftovers.stop(in: state) { !$0.isAlive }
        // A run's standbys beside the services that it shares are no obstacle to others.
        let running = state.records.services.filter { $0.kind != .guardian && $0.kind != .standby }
        if let other = running.first(where: { $0.owner != .servicesStart }) {
            throw OperatingError(
                "the services in \(state.path) belong to \(other.owner)",
                remedy: "wait for it, or use another folder: --state DIR")
        }
        // The mock is what nobody asked for; a Kafka that runs here already is at least as good.
        if let broker = running.first(where: { $0.kind.isBroker }), broker.kind != choice.kind, choice != .mock {
            throw OperatingError(
                "the broker that runs in \(state.path) is a \(broker.kind.rawValue), but a \(choice.kind.rawValue) is wanted",
                remedy: "`allocbench services stop` first, or use another folder: --state DIR")
        }
        let nodeCount = running.count { $0.kind.isBroker }
        if nodeCount > 0, choice.brokerCount > 1, nodeCount != choice.brokerCount {
            throw OperatingError(
                "the Kafka that runs in \(state.path) has \(nodeCount) brokers, but \(choice.brokerCount) are wanted",
                remedy: "`allocbench services stop` first, or use another folder: --state DIR")
        }
        let launch = Launch(state: state, choice: choice, owner: owner, settings: settings)
        let services =
            if running.isEmpty {
                try launch.startAll()
            } else if owner == .servicesStart {
                try launch.completing(running)
            } else {
                try launch.attaching(to: running)
            }
        // What a killed run left of standbys, though none of them runs any more: commits would wait for them.
        if !state.records.services.contains(where: { $0.kind == .standby }) {
            try Standbys.remove(in: state, primary: services.connectionInfo)
        }
        return services
    }

    /// Makes a topic, on either kind of broker.
    public func createTopic(name: String, partitions: Int) throws {
        try broker.createTopic(name: name, partitions: partitions)
    }

    /// Deletes a topic of a real Kafka; the mock keeps it until it stops.
    public func deleteTopic(name: String) throws { try broker.deleteTopic(name: name) }

    /// Ends one of several Kafka nodes as a crash does: the one that leads the first partition of `topic`.
    /// - Returns: its number.
    /// - Throws: `OperatingError` where there are not enough nodes for the others to go on.
    @discardableResult
    public func killBroker(leading topic: String) throws -> Int {
        guard case .kafka(let home, _) = choice, broker.brokerCount >= Self.brokerCountForKilling else {
            throw OperatingError(
                "only one of at least \(Self.brokerCountForKilling) embedded Kafka nodes can be killed")
        }
        let records = state.records.services.filter { $0.kind == .kafka }
        let leader = try KafkaAdmin(settings: broker.clientSettings).leaders(of: topic).first ?? 1
        guard records.indices.contains(Int(leader) - 1) else {
            throw OperatingError("no Kafka node \(leader) is recorded")
        }
        KafkaCluster(home: home, state: state, count: broker.brokerCount)
            .kill(Int(leader), records[Int(leader) - 1].process)
        return Int(leader)
    }

    /// With three copies and writes that wait for two, one may die.
    public static let brokerCountForKilling = 3

    /// Starts those Kafka nodes again that have died, and waits until every copy is up to date. Harmless when none has.
    public func reviveBrokers() throws {
        guard broker.brokerCount > 1 else { return }
        let lock = try state.lockServices()
        defer { lock.release() }
        let records = state.records.services.filter { $0.kind == .kafka }
        guard let recorded = EmbeddedBroker.attach(to: records, in: state), let owner = records.first?.owner else {
            return
        }
        _ = try Launch.reviveBroker(recorded, choice, owner: owner, in: state)
    }

    /// Stops what this run started; leaves alone what `services start` started. Harmless when repeated.
    public func stop() {
        guard !isShared, let runningGuard else { return }
        do {
            let lock = try state.lockServices()
            defer { lock.release() }
            try Leftovers.stop(in: state) { $0 == .thisRun }
            runningGuard.dismiss()
        } catch {
            // The guard does it as soon as this process ends.
        }
    }

    init(
        _ launch: borrowing Launch, postgres: PostgresAddress, broker: EmbeddedBroker, isShared: Bool,
        runningGuard: RunningGuard?
    ) {
        state = launch.state
        connectionInfo = postgres.connectionInfo
        notes = postgres.notes
        self.broker = broker
        self.isShared = isShared
        postgresSettings = launch.settings
        self.runningGuard = runningGuard
        choice = launch.choice
    }
}
