// Where a verb works: which database, which broker. Embedded services by default, servers of the user's by options.

import Allocations
import Diagnostics
import Holdings
public import Kafka
import Market
import Orders
public import Postgres
import Reference
public import Services
import Trades

/// A database and a broker that are up.
public struct Target: Sendable {
    /// What a verb wants of the broker.
    public enum BrokerNeed: Sendable {
        /// Nothing: a database alone will do.
        case none
        /// One that may end with the verb.
        case own
        /// One that outlives the verb, as a topic must that another verb made or will read.
        case lasting
    }

    /// What the command line says about where to work.
    public struct Options: Sendable {
        /// The state folder of embedded services; nil for the default.
        public var state: String?
        public var kafkaHome: String?
        /// A URI, key=value words, or nil for the embedded PostgreSQL.
        public var connection: String?
        /// What named `connection`, for refusals: a flag, or a key of the scenario.
        public var connectionSource = "--database"
        /// What a CockroachDB is told.
        public var cockroach = CockroachSettings()
        /// Name of the database in the embedded PostgreSQL.
        public var database = "allocbench"
        /// HOST:PORT,… of a Kafka of the user's; nil for the embedded broker.
        public var brokers: String?
        /// Nodes of the embedded Kafka.
        public var embeddedBrokers = 1
        public var broker = BrokerNeed.own
        /// Of the Kafka's clients and topics, whosever it is.
        public var kafka = KafkaOptions()
        /// Settings of the embedded PostgreSQL beside its own, such as `shared_buffers`.
        public var postgresSettings: [String: String] = [:]

        public init() {}

        private func validateEmbedded() throws {
            try BrokerChoice.requireDistribution(kafkaHome: kafkaHome)
            guard broker != .none else { return }
            let choice = BrokerChoice(kafkaHome: kafkaHome, brokers: embeddedBrokers)
            guard choice.brokerCount == embeddedBrokers else {
                throw InputError(
                    InputFault(
                        source: "servers.embedded_brokers", value: String(embeddedBrokers),
                        expected:
                            "1 of librdkafka's mock; more need a Kafka distribution: --kafka-home DIR or KAFKA_HOME"))
            }
            if let copies = kafka.topic.replication, copies > embeddedBrokers {
                throw InputError(
                    InputFault(
                        source: "servers.kafka.topic.replication", value: String(copies),
                        expected: "at most \(embeddedBrokers), the embedded brokers (servers.embedded_brokers)"))
            }
            if let text = kafka.topic.config["min.insync.replicas"], let inSync = Int(text), inSync > embeddedBrokers {
                throw InputError(
                    InputFault(
                        source: "servers.kafka.topic.min_insync_replicas", value: String(inSync),
                        expected: "at most \(embeddedBrokers), the embedded brokers (servers.embedded_brokers)"))
            }
            // A Kafka that `services start` has started is used without being asked for.
            let isKafkaRunning =
                try StateFolder.isPresent(state)
                && ServicesControl.status(in: StateFolder(state)).contains { $0.record.kind == .kafka && $0.isRunning }
            try kafka.validateEmbedded(isMock: choice.kind == .mockBroker && !isKafkaRunning)
        }

        /// Whether both servers are the user's, as far as they are needed.
        public var isExternal: Bool { connection != nil }

        /// What can be told before anything is made or started.
        public func validate() throws {
            if connection == nil, brokers != nil {
                throw InputError(
                    InputFault(source: "--brokers", expected: "--database with it, or neither for embedded services"))
            }
            if connection != nil, brokers == nil, broker != .none {
                throw InputError(
                    InputFault(
                        source: connectionSource,
                        expected: "--brokers or servers.brokers with it, or neither for embedded services"))
            }
            if let connection { _ = try Target.connectionInfo(connection, source: connectionSource) }
            if let brokers, !KafkaOptions.areAddresses(brokers) {
                throw InputError(
                    InputFault(
                        source: "--brokers", value: brokers,
                        expected: "HOST:PORT of a Kafka, or several with commas between them"))
            }
            if brokers != nil, embeddedBrokers > 1 {
                throw InputError(
                    InputFault(
                        source: "--brokers",
                        expected: "a scenario without servers.embedded_brokers: your own Kafka has its own"))
            }
            if connection != nil, !postgresSettings.isEmpty {
                throw InputError(
                    InputFault(
                        source: connectionSource,
                        expected: "a scenario without servers.settings: your own server keeps its own"))
            }
            if connection == nil { try validateEmbedded() } else { try kafka.validateFiles() }
        }
    }

    public let connection: ConnectionInfo
    /// What topics are made with, and held to where they are there already.
    var topicSettings = TopicSettings()
    /// Whether the change feed publishes in transactions of Kafka.
    public private(set) var isFeedTransactional = false
    /// Nil where a verb needs no broker.
    public let kafka: KafkaClientSettings?
    /// Nil when both servers are the user's.
    public let services: EmbeddedServices?
    public let brokerKind: String
    /// What a CockroachDB is told; of no meaning to PostgreSQL.
    public var cockroach = CockroachSettings()
    /// Makes a topic on a broker that has no admin interface: librdkafka's mock in this process. Its topics go with it.
    var makeTopic: (@Sendable (String, Int) throws -> Void)?

    /// Reaches the servers, and starts embedded ones where none are named.
    /// - Throws: `OperatingError` or the server's own refusal when one can't be reached.
    public static func open(_ options: Options) throws -> Target {
        try options.validate()
        if let text = options.connection {
            let kafka = options.brokers.map {
                KafkaClientSettings(bootstrapServers: $0, properties: options.kafka.properties(isEmbedded: false))
            }
            var info = try connectionInfo(text, source: options.connectionSource)
            // Before anything is written to the database; the database first, because it refuses sooner.
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            try connection.requireSupportedServer()
            // What feeds make is named after the database, which libpq may have taken from its environment.
            if info["dbname"] == nil, let name = try connection.query("SELECT current_database()").text(0, 0) {
                info = info.with(database: name)
            }
            if let kafka, options.broker != .none { try KafkaAdmin(settings: kafka).requireReachable() }
            return Target(
                connection: info, topicSettings: options.kafka.topic,
                isFeedTransactional: options.kafka.isFeedTransactional, kafka: kafka, services: nil,
                brokerKind: "kafka",
                cockroach: options.cockroach)
        }
        if options.broker == .lasting { try requireLastingServices(options.state) }
        let services = try EmbeddedServices.start(
            in: StateFolder(options.state),
            broker: BrokerChoice(kafkaHome: options.kafkaHome, brokers: options.embeddedBrokers),
            settings: EmbeddedPostgres.defaultSettings.merging(options.postgresSettings) { $1 })
        do {
            if services.isShared, !options.postgresSettings.isEmpty {
                throw OperatingError(
                    "the scenario sets \(options.postgresSettings.keys.sorted().joined(separator: ", ")), but the services in "
                        + "\(services.state.path) run already, with other settings",
                    remedy: "`allocbench services stop` first, or use another folder: --state DIR")
            }
            try options.kafka.validateEmbedded(isMock: services.brokerKind == .mockBroker)
            var kafka = services.broker.clientSettings
            kafka.properties = options.kafka.properties(isEmbedded: true)
            let server = try ConnectionInfo(services.connectionInfo)
            try createDatabase(options.database, on: server)
            return Target(
                connection: server.with(database: options.database), topicSettings: options.kafka.topic,
                isFeedTransactional: options.kafka.isFeedTransactional, kafka: kafka, services: services,
                brokerKind: services.brokerKind.rawValue)
        } catch {
            services.stop()
            throw error
        }
    }

    public func close() { services?.stop() }

    private static func connectionInfo(_ text: String, source: String) throws(InputError) -> ConnectionInfo {
        do {
            return try ConnectionInfo(text)
        } catch {
            // The text itself may hold a password.
            throw InputError(
                InputFault(
                    source: source, expected: "a URI or key=value words as libpq has them: \(error.message)"))
        }
    }

    /// A broker that a verb starts for itself ends with it, and the mock's topics with the broker.
    private static func requireLastingServices(_ state: String?) throws {
        let isThere = StateFolder.isPresent(state)
        if isThere,
            try ServicesControl.status(in: StateFolder(state)).contains(where: { $0.record.owner == .servicesStart })
        {
            return
        }
        throw OperatingError("no services are running", remedy: "start them first: allocbench services start")
    }

    private static func createDatabase(_ name: String, on server: ConnectionInfo) throws {
        let connection = try PostgresConnection.connect(to: server)
        defer { connection.close() }
        try connection.requireSupportedServer()
        guard try connection.query("SELECT 1 FROM pg_database WHERE datname = $1", .text(name)).rowCount == 0 else {
            return
        }
        do {
            try connection.execute("CREATE DATABASE \(quotedIdentifier(name))")
        } catch {
            // A worker host may make it at the same moment.
            guard try connection.query("SELECT 1 FROM pg_database WHERE datname = $1", .text(name)).rowCount == 1 else {
                throw error
            }
        }
    }

    static func quotedIdentifier(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    // MARK: Topics

    /// Of members of a consumer group. The mock broker lets every rebalance but the first wait for the session timeout.
    public func groupSettings(_ kafka: KafkaClientSettings) -> KafkaClientSettings {
        guard brokerKind == ServiceRecord.Kind.mockBroker.rawValue, kafka.properties["session.timeout.ms"] == nil else {
            return kafka
        }
        return kafka.with("session.timeout.ms", "4000").with("heartbeat.interval.ms", "500")
    }

    /// Makes a topic, as the scenario wants its topics; on a Kafka by its admin interface.
    /// - Throws: `topicAlreadyExists` among others: what is there is somebody's.
    public func createTopic(_ name: String, partitions: Int) throws {
        if let makeTopic { return try makeTopic(name, partitions) }
        if let services, services.brokerKind == .mockBroker {
            return try services.createTopic(name: name, partitions: partitions)
        }
        try admin().createTopic(name, partitions: partitions, settings: topicSettings)
    }

    /// Makes a topic that others may have made already. One that is there is left as it is, and used only if it is as wanted.
    /// - Parameters:
    ///   - partitions: how many it must have; nil where that isn't stated.
    ///   - count: with how many it is made where it isn't stated.
    ///   - settings: what else is stated.
    /// - Returns: how many partitions it has.
    @discardableResult
    public func ensureTopic(
        _ name: String, partitions: Int?, otherwise count: Int, settings: TopicSettings? = nil
    ) throws -> Int {
        var target = self
        if let settings { target.topicSettings = settings }
        let isMock = makeTopic != nil || services?.brokerKind == .mockBroker
        if isMock, !target.topicSettings.isEmpty {
            throw OperatingError(
                "librdkafka's mock has no settings of topics",
                remedy: "use a real Kafka: --kafka-home DIR or KAFKA_HOME")
        }
        guard let found = try partitionCount(of: name) else {
            try target.createTopic(name, partitions: partitions ?? count)
            return partitions ?? count
        }
        let description =
            isMock
            ? TopicDescription(partitions: found, replication: 1, config: [:])
            : try admin().describeTopic(name) ?? TopicDescription(partitions: found, replication: 1, config: [:])
        let differences = target.topicSettings.differences(from: description, partitions: partitions)
        guard differences.isEmpty else {
            throw OperatingError(
                "the topic \(name) is there already, but \(differences.joined(separator: ", "))",
                remedy: "use another topic, or change what is asked for; it is never altered from here")
        }
        return found
    }

    /// Deletes what a part of this run that was killed has left: topics that begin with `prefix`, which no other run's do.
    func deleteTopics(beginningWith prefix: String) throws {
        guard makeTopic == nil, services?.brokerKind != .mockBroker else { return }
        for topic in try admin().topics(beginningWith: prefix) { try? deleteTopic(topic) }
    }

    /// How an embedded Kafka node can be killed that matters to a topic; nil where the brokers aren't ours.
    func brokerFault(topic: String) -> BrokerFault? { services.map { BrokerFault(services: $0, topic: topic) } }

    /// Starts those embedded Kafka nodes again that a fault has killed, so that the next cell finds them.
    func reviveBrokers() throws { try services?.reviveBrokers() }

    public func deleteTopic(_ name: String) throws {
        if makeTopic != nil || services?.brokerKind == .mockBroker { return }
        try admin().deleteTopic(name)
    }

    /// Partitions of a topic; nil if there is none of that name.
    public func partitionCount(of topic: String) throws -> Int? { try admin().partitionCount(of: topic) }

    /// By partition the offset behind its last message.
    /// - Parameter mayHaveTransactions: whether somebody may have written in transactions of Kafka, whose ends take offsets; nil
    ///   where that is this target's own feed, if anybody.
    /// - Throws: when the broker has dropped messages: what is left of the stream is not the stream.
    public func completeTopicEnds(_ topic: String, mayHaveTransactions: Bool? = nil) throws -> [Int32: Int64] {
        try completeContent(of: topic, mayHaveTransactions: mayHaveTransactions).ends
    }

    /// The same with the number of messages.
    public func completeContent(of topic: String, mayHaveTransactions: Bool? = nil) throws -> TopicContent {
        let admin = try admin()
        try admin.requireComplete(topic: topic)
        let isMock = makeTopic != nil || services?.brokerKind == .mockBroker
        if !isMock, mayHaveTransactions ?? isFeedTransactional { return try admin.content(of: topic) }
        let marks = try admin.watermarks(of: topic)
        return TopicContent(
            ends: Dictionary(uniqueKeysWithValues: marks.enumerated().map { (Int32($0), $1.high) }),
            messageCount: marks.reduce(0) { $0 + $1.high })
    }

    private func admin() throws -> KafkaAdmin {
        guard let kafka else { throw OperatingError("this needs a broker") }
        return try KafkaAdmin(settings: kafka)
    }
}

/// The six schemas together.
public enum Schemas {
    /// In the order in which a stage needs what the one before it holds.
    private static let all: [any StageSchema.Type] = [
        ReferenceSchema.self, MarketSchema.self, HoldingsSchema.self, OrdersSchema.self, TradesSchema.self,
        AllocationsSchema.self,
    ]

    /// Which of the schemas are there, by name.
    public static func present(on connection: PostgresConnection) throws -> [String] {
        let names = try connection.query(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name = ANY ($1::TEXT[]) ORDER BY 1",
            .textArray(["reference", "market", "holdings", "orders", "trades", "allocations"]))
        return (0..<names.rowCount).compactMap { names.text($0, 0) }
    }

    /// Creates what is missing.
    public static func create(
        on connection: PostgresConnection, cockroach settings: CockroachSettings = CockroachSettings()
    ) throws {
        for schema in all { try schema.create(on: connection, cockroach: settings) }
    }

    /// The text that `create` would send, by stage; nothing is connected.
    public static func text(for dialect: ServerDialect) -> String {
        all.map { schema in
            schema.statements(for: dialect).map { $0 + ";\n" }.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    public static func drop(on connection: PostgresConnection) throws {
        for schema in all.reversed() { try schema.drop(on: connection) }
    }

    /// How the database differs from `sql/`: one line per table or column.
    public static func check(on connection: PostgresConnection) throws -> [String] {
        try all.flatMap { try $0.check(on: connection) }
    }

    /// Whose rows are about to be replaced.
    public enum ReplacedStage: Sendable { case holdings, orders, trades }

    /// Empties every stage behind `stage`: its rows were made from rows that are about to mean something else.
    /// In the transaction that its caller has begun, or else in its own.
    ///
    /// On CockroachDB, where TRUNCATE is a schema change and those want a transaction each, only putting back the positions is
    /// one transaction unless the caller has begun one. Whoever is interrupted in between does all of it again.
    public static func emptyStages(behind stage: ReplacedStage, on connection: PostgresConnection) throws {
        if connection.isInTransaction {
            try connection.keepTransactionOverSchemaChanges()
        } else if connection.dialect == .postgresql {
            return try connection.transaction { try emptyStages(behind: stage, on: $0) }
        }
        try AllocationsSource.truncate(on: connection)
        // Bookings go with the allocations, so what they moved goes back.
        if connection.isInTransaction {
            try HoldingsBooking.restorePositions(on: connection)
        } else {
            try connection.transaction { try HoldingsBooking.restorePositions(on: $0) }
        }
        if stage != .trades { try TradesStore.truncate(on: connection) }
        if stage == .holdings { try OrdersSource.truncate(on: connection) }
    }
}
