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
        public var broker = BrokerNeed.own
        /// Settings of the embedded PostgreSQL beside its own, such as `shared_buffers`.
        public var postgresSettings: [String: String] = [:]

        public init() {}

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
                        source: connectionSource, expected: "--brokers with it, or neither for embedded services"))
            }
            if let connection { _ = try Target.connectionInfo(connection, source: connectionSource) }
            if connection != nil, !postgresSettings.isEmpty {
                throw InputError(
                    InputFault(
                        source: connectionSource,
                        expected: "a scenario without servers.settings: your own server keeps its own"))
            }
            if connection == nil { try BrokerChoice.requireDistribution(kafkaHome: kafkaHome) }
        }
    }

    public let connection: ConnectionInfo
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
            let kafka = options.brokers.map { KafkaClientSettings(bootstrapServers: $0) }
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
                connection: info, kafka: kafka, services: nil, brokerKind: "kafka", cockroach: options.cockroach)
        }
        if options.broker == .lasting { try requireLastingServices(options.state) }
        let services = try EmbeddedServices.start(
            in: StateFolder(options.state), broker: BrokerChoice(kafkaHome: options.kafkaHome),
            settings: EmbeddedPostgres.defaultSettings.merging(options.postgresSettings) { $1 })
        do {
            if services.isShared, !options.postgresSettings.isEmpty {
                throw OperatingError(
                    "the scenario sets \(options.postgresSettings.keys.sorted().joined(separator: ", ")), but the services in "
                        + "\(services.state.path) run already, with other settings",
                    remedy: "`allocbench services stop` first, or use another folder: --state DIR")
            }
            let server = try ConnectionInfo(services.connectionInfo)
            try createDatabase(options.database, on: server)
            return Target(
                connection: server.with(database: options.database), kafka: services.broker.clientSettings,
                services: services, brokerKind: services.brokerKind.rawValue)
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

    /// Makes a topic; on the user's own Kafka by its admin interface.
    public func createTopic(_ name: String, partitions: Int) throws {
        if let makeTopic { return try makeTopic(name, partitions) }
        if let services { return try services.createTopic(name: name, partitions: partitions) }
        try admin().createTopic(name, partitions: partitions)
    }

    public func deleteTopic(_ name: String) throws {
        if makeTopic != nil { return }
        if let services { return try services.deleteTopic(name: name) }
        try admin().deleteTopic(name)
    }

    /// Partitions of a topic; nil if there is none of that name.
    public func partitionCount(of topic: String) throws -> Int? { try admin().partitionCount(of: topic) }

    /// By partition the offset behind its last message.
    /// - Throws: when the broker has dropped messages: what is left of the stream is not the stream.
    public func completeTopicEnds(_ topic: String) throws -> [Int32: Int64] {
        let admin = try admin()
        try admin.requireComplete(topic: topic)
        let marks = try admin.watermarks(of: topic)
        return Dictionary(uniqueKeysWithValues: marks.enumerated().map { (Int32($0), $1.high) })
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
