// What a scenario may say about its Kafka, beside the other keys of `servers:`. Plain values.

import Kafka

extension Limit {
    static let embeddedBrokers = 1...5
    static let topicCopies = 1...5
    /// In milliseconds; -1 keeps messages for ever.
    static let retentionMs = -1...3_155_760_000_000
    static let topicBytes = -1...1_099_511_627_776
    static let flushMessages = 1...1_000_000_000
}

extension ScenarioFormat {
    static let kafka = Level(
        "kafka",
        [
            Key(
                "properties", .properties,
                "Any property of librdkafka that is no secret, such as fetch.wait.max.ms: 50."),
            Key(
                "properties_file", .text,
                "A file of key=value lines, the place of secrets. Relative to the scenario's folder."),
            Key("topic", .mapping(topic), "What the topics are made with; the brokers' defaults where it isn't said."),
            Key(
                "transactional_feed", .words(["true", "false"]),
                "Whether the change feed publishes in transactions of Kafka.", standard: "false"),
        ])

    static let topic = Level(
        "topic",
        [
            Key("replication", .integer(Limit.topicCopies), "Copies of each partition."),
            Key("min_insync_replicas", .integer(Limit.topicCopies), "Copies that a write waits for."),
            Key("retention_ms", .integer(Limit.retentionMs), "How long messages are kept; -1 for ever."),
            Key("retention_bytes", .integer(Limit.topicBytes), "How much of a partition is kept; -1 for all."),
            Key(
                "segment_bytes", .integer(14...Int(Int32.max)),
                "The size of a partition's files; Kafka 4 wants 1,048,576 at least."),
            Key("max_message_bytes", .integer(1...Int(Int32.max)), "The largest batch of messages."),
            Key("flush_messages", .integer(Limit.flushMessages), "After how many messages they are forced to disk."),
        ])

    /// Kafka's name of a key of `topic`.
    static func topicSetting(_ key: String) -> String { key.split(separator: "_").joined(separator: ".") }
}

extension ScenarioReader {
    mutating func readBrokers(_ keys: [String: YAMLEntry]) {
        if let entry = keys["brokers"] {
            let expected = "embedded, or HOST:PORT,... of a Kafka"
            if let text = scalar(entry, expected), text != "embedded" {
                if KafkaOptions.areAddresses(text) {
                    servers.brokers = text
                } else {
                    refuse(entry.value.line, entry.key, value: text, expected)
                }
            }
        }
        if let entry = keys["embedded_brokers"] {
            servers.embeddedBrokers = integer(entry, Limit.embeddedBrokers) ?? servers.embeddedBrokers
            if servers.brokers != nil {
                refuse(entry.line, entry.key, "no embedded brokers beside a Kafka of your own in brokers")
            }
        }
        if let entry = keys["kafka"] { readKafka(entry) }
    }

    private mutating func readKafka(_ entry: YAMLEntry) {
        guard let keys = entries(entry.value, field: entry.key, level: ScenarioFormat.kafka) else { return }
        if let entry = keys["properties"] { readProperties(entry) }
        if let entry = keys["properties_file"] { servers.kafka.propertiesFile = string(entry) }
        if let entry = keys["topic"] { readTopic(entry) }
        if let entry = keys["transactional_feed"] {
            servers.kafka.isFeedTransactional = word(entry, among: ["true", "false"]) == "true"
        }
    }

    private mutating func readProperties(_ entry: YAMLEntry) {
        guard case .mapping(let properties) = entry.value.content else {
            let expected = "a mapping of librdkafka's properties, such as { fetch.wait.max.ms: 50 }"
            return refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
        }
        for property in properties {
            // Judged by its name first: what isn't allowed here may be a secret, and its value is told nowhere.
            guard let value = scalar(property, "a value") else { continue }
            if let expected = KafkaPropertySource.scenario.refusal(of: property.key, value: value) {
                refuse(property.line, property.key, expected)
            } else {
                servers.kafka.properties[property.key] = value
            }
        }
    }

    private mutating func readTopic(_ entry: YAMLEntry) {
        guard let keys = entries(entry.value, field: entry.key, level: ScenarioFormat.topic) else { return }
        for key in ScenarioFormat.topic.keys {
            guard let entry = keys[key.name], case .integer(let range) = key.form else { continue }
            guard let number = integer(entry, range) else { continue }
            if key.name == "replication" {
                servers.kafka.topic.replication = number
            } else {
                servers.kafka.topic.config[ScenarioFormat.topicSetting(key.name)] = String(number)
            }
        }
        if let entry = keys["min_insync_replicas"], let copies = servers.kafka.topic.replication,
            let least = servers.kafka.topic.config["min.insync.replicas"].flatMap({ Int($0) }), least > copies
        {
            refuse(entry.value.line, entry.key, value: String(least), "at most \(copies), the topic's replication")
        }
    }
}
