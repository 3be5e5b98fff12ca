// The flags by which every verb finds its database and its broker.

import Diagnostics
import Foundation
import Model
import Postgres
import Scenario

enum TargetFlags {
    static let state = Flag(
        "--state", "DIR", "folder of the embedded services (default .allocbench, or ALLOCBENCH_STATE)")
    static let kafkaHome = Flag(
        "--kafka-home", "DIR", "a Kafka distribution instead of the mock broker (or KAFKA_HOME); '' for the mock",
        mayBeEmpty: true)
    static let database = Flag(
        "--database", "CONNINFO", "your PostgreSQL or CockroachDB: a URI, key=value words, or '' for PG* variables",
        mayBeEmpty: true)
    static let name = Flag("--name", "NAME", "database in the embedded PostgreSQL (default allocbench)")
    static let brokers = Flag("--brokers", "HOST:PORT,...", "your Kafka; goes with --database")
    static let topic = Flag("--topic", "NAME", "topic of the executions (default executions)")
    static let topicDefault = "executions"

    static let kafkaProperties = Flag(
        "--kafka-properties", "FILE", "librdkafka's properties as key=value lines; the place of secrets")
    static let kafkaProperty = Flag(
        "--kafka-property", "KEY=VALUE", "one of librdkafka's properties, not a secret; may be repeated",
        isRepeatable: true)

    static let kafka = [kafkaProperties, kafkaProperty]
    static let all = [state, kafkaHome, name, database, brokers] + kafka

    static func options(_ arguments: ParsedArguments) throws(InputError) -> Target.Options {
        var options = Target.Options()
        options.state = arguments.text("--state")
        options.kafkaHome = arguments.text("--kafka-home")
        options.connection = arguments.text("--database")
        options.brokers = arguments.text("--brokers")
        options.kafka = try KafkaOptions(
            file: arguments.text("--kafka-properties"), properties: arguments.texts("--kafka-property"),
            environment: ProcessInfo.processInfo.environment)
        options.kafka.isFeedTransactional = arguments.has("--transactional")
        if let name = arguments.text("--name") { options.database = name }
        return options
    }

    static func date(_ arguments: ParsedArguments) throws(InputError) -> TradeDate? {
        guard let text = arguments.text("--date") else { return nil }
        guard let date = TradeDate(iso: text) else {
            throw InputError(InputFault(source: "--date", value: text, expected: "a day such as 2024-11-14"))
        }
        return date
    }

    /// Opens the target, runs the body with a connection to it, and closes both.
    static func withConnection<R>(
        _ arguments: ParsedArguments, broker: Target.BrokerNeed = .none,
        _ body: (Target, PostgresConnection) throws -> R
    ) throws -> R {
        var options = try options(arguments)
        options.broker = broker
        let target = try Target.open(options)
        defer { target.close() }
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        return try body(target, connection)
    }
}
