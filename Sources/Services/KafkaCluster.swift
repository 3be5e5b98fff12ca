// A real Kafka of one to five nodes on loopback, each of them broker and controller in one (KRaft). One node is the rule; several
// show what copies and the death of a broker cost. Blocks the calling thread.

import Diagnostics
import Glibc
import Kafka
import Threads

/// A further listener of an embedded Kafka beside the plain one, as a user's own Kafka has it: for tests of TLS and of users.
public struct BrokerListener: Sendable, Hashable {
    public enum Security: String, Sendable, Hashable {
        case ssl = "SSL"
        case saslPlaintext = "SASL_PLAINTEXT"
        case saslSSL = "SASL_SSL"
    }

    /// Capitals; Kafka's own settings name it.
    public var name: String
    public var security: Security
    /// Private key and certificate in one PEM file, where TLS is spoken.
    public var keystore: String?
    /// Names and passwords for PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. The tool that makes the first node's store is given them as
    /// arguments, so they are for tests alone.
    public var users: [String: String]

    public init(name: String, security: Security, keystore: String? = nil, users: [String: String] = [:]) {
        self.name = name
        self.security = security
        self.keystore = keystore
        self.users = users
    }
}

struct KafkaCluster {
    let home: String
    let state: StateFolder
    let count: Int
    var listeners: [BrokerListener] = []

    static let countMax = 5

    private var nodes: [KafkaNode] {
        (1...count).map { KafkaNode(home: home, folder: state.kafkaFolder(node: $0, of: count), number: $0) }
    }

    /// Where the nodes' common identity stands: a store that was formatted for another cluster would be refused.
    private var clusterFile: String { "\(state.kafkaFolder(node: 1, of: count))/cluster" }

    /// Formats the log folders once, starts all nodes and waits until all of them are there.
    func start() throws -> EmbeddedBroker {
        try KafkaNode.checkDistribution(home)
        for node in nodes { try Files.makeFolder(node.folder) }
        // Another process may take a port between our finding it free and Kafka's binding it.
        for attempt in 1... {
            do {
                return try startOnce()
            } catch let error as OperatingError {
                guard attempt < 3, error.message.contains("Address already in use") else { throw error }
            }
        }
        preconditionFailure("the loop above returns or throws")
    }

    private func startOnce() throws -> EmbeddedBroker {
        let ports = try Self.freePorts(2 * count + listeners.count)
        let (clients, controllers) = (Array(ports[..<count]), Array(ports[count..<2 * count]))
        let further = zip(listeners, ports[(2 * count)...]).map { (listener: $0, port: $1) }
        let voters = nodes.map { "\($0.number)@127.0.0.1:\(controllers[$0.number - 1])" }.joined(separator: ",")
        for node in nodes {
            try node.writeProperties(
                client: clients[node.number - 1], controller: controllers[node.number - 1], voters: voters,
                nodeCount: count, listeners: further)
        }
        let id = try clusterID()
        let users = listeners.reduce(into: [:]) { $0.merge($1.users) { first, _ in first } }
        let started = nodes.map { node in
            WorkerThread(name: "start kafka \(node.number)") {
                try node.formatOnce(cluster: id, users: users)
                return try node.launch()
            }
        }
        // All must have ended before one failure is told.
        let outcomes = started.map { thread in Result { try thread.join() } }
        do {
            let processes = try outcomes.map { try $0.get() }
            let broker = EmbeddedBroker(
                kind: .kafka, addresses: clients.map { "127.0.0.1:\($0)" }, processes: processes, controlSocket: nil,
                listenerAddresses: Dictionary(
                    uniqueKeysWithValues: further.map { ($0.listener.name, "127.0.0.1:\($0.port)") }))
            try waitUntilWhole(broker)
            return broker
        } catch {
            for node in nodes { node.stop(nil) }
            throw error
        }
    }

    /// Different ones, because each is held until all are found.
    private static func freePorts(_ count: Int) throws(OperatingError) -> [UInt16] {
        if count == 0 { return [] }
        let port = try LoopbackPort()
        let rest = try freePorts(count - 1)
        return [port.number] + rest
    }

    /// Ends one node as a crash does, and all it has started.
    func kill(_ number: Int, _ process: ProcessIdentity) { nodes[number - 1].kill(process) }

    /// Starts the nodes that have died, where they were, and waits until every copy is up to date again.
    /// - Returns: their processes, by the number of the node.
    func restart(_ numbers: [Int], of broker: EmbeddedBroker) throws -> [Int: ProcessIdentity] {
        var processes: [Int: ProcessIdentity] = [:]
        for node in nodes where numbers.contains(node.number) { processes[node.number] = try node.launch() }
        try waitUntilWhole(broker)
        return processes
    }

    private func waitUntilWhole(_ broker: EmbeddedBroker) throws {
        let admin = try KafkaAdmin(settings: broker.clientSettings)
        let deadline = ContinuousClock.now.advanced(by: .seconds(60))
        while true {
            if let health = try? admin.health(timeoutMs: 1_000), health.brokers >= count, health.partitionsBehind == 0 {
                return
            }
            guard ContinuousClock.now < deadline else {
                throw OperatingError("not all of \(count) Kafka nodes are there with all their copies after 60 s")
            }
            usleep(50_000)
        }
    }

    private func clusterID() throws(OperatingError) -> String {
        if let id = fileContents(clusterFile)?.split(separator: "\n").first { return String(id) }
        let id = KafkaNode.randomClusterID()
        try Files.replace(clusterFile, with: "\(id)\n")
        return id
    }
}

extension StateFolder {
    /// A store belongs to a cluster of one size, so each size has its own.
    func kafkaFolder(node number: Int, of count: Int) -> String {
        count == 1 ? kafkaFolder : "\(path)/kafka-\(count)/node\(number)"
    }

    /// The properties file of a node, which stands in the command line of its process and of no other.
    func kafkaProperties(node number: Int, of count: Int) -> String {
        "\(kafkaFolder(node: number, of: count))/server.properties"
    }

    /// The marks of every Kafka process that this folder may have.
    var kafkaMarks: Set<String> {
        Set((1...KafkaCluster.countMax).flatMap { count in (1...count).map { kafkaProperties(node: $0, of: count) } })
    }
}
