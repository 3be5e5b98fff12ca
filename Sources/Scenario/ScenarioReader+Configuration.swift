// Reads one configuration of whichever stage: the values of its fields, whether they fit each other and the rest of the
// scenario, and its name.

import Diagnostics
import Model

/// The value of one field of a configuration.
enum FieldValue: Hashable {
    case number(Int)
    case word(String)
    case parts(perMillion: Int64)
    case snapshots(SnapshotPolicy)
}

extension ScenarioReader {
    /// The key that says what kind of configuration it is.
    var selectorKey: String {
        switch stage {
        case .allocate: "mode"
        case .route: "routing"
        case .execute: "feed"
        }
    }

    /// The modes, or ways of routing, that have this field; empty where all of them do.
    func owners(of key: String) -> [String] {
        switch stage {
        case .allocate: ModeSetting(rawValue: key)?.modes.map(\.rawValue) ?? []
        case .route: ["workers", "batch_size"].contains(key) ? [RoutingWay.eventDriven.rawValue] : []
        case .execute: []
        }
    }

    func belonging(_ owners: [String]) -> String {
        "\(selectorKey)\(owners.count > 1 ? "s" : "") \(list(owners, last: "and"))"
    }

    /// Every field but the name, without those that were refused.
    mutating func fieldValues(_ variant: ConfigurationVariant) -> [String: FieldValue] {
        let selector = required(
            selectorKey, in: variant[selectorKey].map { [selectorKey: $0] } ?? [:],
            line: variant.line, of: "configurations"
        ).flatMap { fieldValue($0) }
        var values: [String: FieldValue] = [:]
        for entry in variant.entries where entry.key != "name" {
            let owners = owners(of: entry.key)
            if case .word(let word)? = selector, !owners.isEmpty, !owners.contains(word) {
                let expected = "a key of \(selectorKey) \(word); \(entry.key) belongs to \(belonging(owners))"
                refuse(entry.line, entry.key, value: valueText(entry.value), expected)
            } else {
                values[entry.key] = entry.key == selectorKey ? selector : fieldValue(entry)
            }
        }
        return values
    }

    mutating func fieldValue(_ entry: YAMLEntry) -> FieldValue? {
        if entry.key == "snapshots" { return snapshotPolicy(entry).map { .snapshots($0) } }
        switch ScenarioFormat.configuration(of: stage)[entry.key]?.form {
        case .integer(let range): return integer(entry, range).map { .number($0) }
        case .words(let words): return word(entry, among: words).map { .word($0) }
        case .share(let range): return partsPerMillion(entry, range).map { .parts(perMillion: $0) }
        case .shortTime(let range): return microseconds(entry, range).map { .number($0) }
        default: preconditionFailure("a field of a configuration is a number, a word, a share or a time")
        }
    }

    private mutating func snapshotPolicy(_ entry: YAMLEntry) -> SnapshotPolicy? {
        let forms = "completion, { parts: 4 }, { executions: 100 } or { interval_ms: 500 }"
        guard case .mapping(let given) = entry.value.content else {
            return word(entry, among: ["completion"], forms: forms) == nil ? nil : .completion
        }
        guard let keys = entries(entry.value, field: entry.key, level: ScenarioFormat.snapshots) else { return nil }
        guard given.count == 1 else {
            refuse(entry.value.line, entry.key, "\(forms): exactly one of them, not \(given.count)")
            return nil
        }
        if let parts = keys["parts"] {
            return integer(parts, Limit.snapshotParts).map { .fraction(parts: Int64($0)) }
        }
        if let executions = keys["executions"] {
            return integer(executions, Limit.snapshotExecutions).map { .executions(Int64($0)) }
        }
        return keys["interval_ms"].flatMap { integer($0, Limit.snapshotIntervalMs) }
            .map { .interval(milliseconds: Int64($0)) }
    }

    // MARK: What the values become

    mutating func competitor(_ variant: ConfigurationVariant, _ values: [String: FieldValue]) -> Competitor? {
        let given = variant["name"]
        guard let prefix = given.map({ identifier($0) }) ?? .some(nil) else { return nil }
        var name = prefix
        if let prefix, !variant.listKeys.isEmpty {
            let keys = ScenarioFormat.configuration(of: stage).names.filter { variant.listKeys.contains($0) }
            name = ([prefix] + keys.compactMap { key in values[key].map { code(key, $0) } }).joined(separator: "-")
        }
        switch stage {
        case .allocate: return configuration(name, values).map(Competitor.allocate)
        case .route:
            guard let way: RoutingWay = values.word("routing") else { return nil }
            return .route(
                RoutingConfiguration(
                    name: name, way: way, workers: values.number("workers"), batchSize: values.number("batch_size")))
        case .execute:
            guard let feed: FeedState = values.word("feed") else { return nil }
            return .execute(ExecuteConfiguration(name: name, feed: feed, batchSize: values.number("batch_size")))
        }
    }

    private func configuration(_ name: String?, _ values: [String: FieldValue]) -> Configuration? {
        guard let mode: Mode = values.word("mode") else { return nil }
        var snapshots = SnapshotPolicy.quarters
        if case .snapshots(let given)? = values["snapshots"] { snapshots = given }
        var handicapPpm: Int64 = 0
        if case .parts(let given)? = values["handicap"] { handicapPpm = given }
        func setting(_ setting: ModeSetting) -> Int? { values.number(setting.rawValue) }
        return Configuration(
            name: name, mode: mode, workers: values.number("workers") ?? Configuration.workersDefault,
            transactionSize: setting(.transactionSize), pipelineDepth: setting(.pipelineDepth),
            batchSize: setting(.batchSize), batchWindowMs: setting(.batchWindowMs),
            cycleIntervalMs: setting(.cycleIntervalMs), isolation: values.word("isolation") ?? .readCommitted,
            snapshots: snapshots,
            bookingWorkers: values.number("booking_workers") ?? Configuration.bookingWorkersDefault,
            topicKey: values.word("topic_key") ?? .standard,
            consumers: values.word("consumers") ?? .standard, assignor: values.word("assignor") ?? .standard,
            synchronousCommit: values.word("synchronous_commit") ?? .standard,
            keyStrategy: values.word("key_strategy") ?? .standard,
            roundTripTimeUs: values.number("emulated_round_trip") ?? 0, partitions: values.number("partitions"),
            handicapPpm: handicapPpm)
    }

    /// What the field of a competitor is, its default included; nil where its mode has no such field.
    func fieldValue(_ key: String, of competitor: Competitor) -> FieldValue? {
        switch competitor {
        case .allocate(let configuration): fieldValue(key, of: configuration)
        case .route(let configuration):
            switch key {
            case "routing": .word(configuration.way.rawValue)
            case "workers" where configuration.way == .eventDriven: .number(configuration.workers)
            case "batch_size" where configuration.way == .eventDriven: .number(configuration.batchSize)
            default: nil
            }
        case .execute(let configuration):
            key == "feed" ? .word(configuration.feed.rawValue) : .number(configuration.batchSize)
        }
    }

    private func fieldValue(_ key: String, of configuration: Configuration) -> FieldValue? {
        if let setting = ModeSetting(rawValue: key) { return configuration.value(of: setting).map { .number($0) } }
        switch key {
        case "mode": return .word(configuration.mode.rawValue)
        case "workers": return .number(configuration.workers)
        case "isolation": return .word(configuration.isolation.rawValue)
        case "snapshots": return .snapshots(configuration.snapshots)
        case "booking_workers": return .number(configuration.bookingWorkers)
        case "partitions": return (configuration.partitions ?? workload.partitions).map { .number($0) }
        case "topic_key": return .word(configuration.topicKey.rawValue)
        case "consumers": return .word(configuration.consumers.rawValue)
        case "assignor": return .word(configuration.assignor.rawValue)
        case "synchronous_commit": return .word(configuration.synchronousCommit.rawValue)
        case "key_strategy": return .word(configuration.keyStrategy.rawValue)
        case "emulated_round_trip": return .number(configuration.roundTripTimeUs)
        case "handicap": return .parts(perMillion: configuration.handicapPpm)
        default: return nil
        }
    }

    /// A field in a name: `w4`, `b128`, `ser`. The same codes as in names that are generated whole, and those of defaults.
    private func code(_ key: String, _ value: FieldValue) -> String {
        switch value {
        case .snapshots(let policy): return policy.name
        case .parts(let perMillion): return "\(key)\(perMillion)ppm"
        case .word(let word):
            switch key {
            case "isolation": return ["read_committed": "rc", "repeatable_read": "rr"][word] ?? "ser"
            case "topic_key": return "key\(word)"
            case "synchronous_commit": return "sync_\(word)"
            default: return word
            }
        case .number(let number):
            switch key {
            case "workers": return "w\(number)"
            case "txn_size": return "t\(number)"
            case "pipeline_depth": return "d\(number)"
            case "batch_size": return "b\(number)"
            case "batch_window_ms": return "ms\(number)"
            case "cycle_interval_ms": return "i\(number)"
            case "booking_workers": return "book\(number)"
            case "partitions": return "p\(number)"
            case "emulated_round_trip": return "rtt\(number)us"
            default: return "\(key)\(number)"
            }
        }
    }

    // MARK: What must fit

    /// Whether what could be read of a configuration fits the rest of the scenario; refuses what doesn't.
    mutating func fits(_ values: [String: FieldValue], _ variant: ConfigurationVariant) -> Bool {
        let faultCount = faults.count
        if stage == .allocate || values["routing"] == .word(RoutingWay.eventDriven.rawValue) {
            checkWorkers(values, variant)
        }
        checkTopicKey(values, variant)
        checkGroup(values, variant)
        checkSynchronousCommit(values, variant)
        return faults.count == faultCount
    }

    /// Partitions are assigned to workers for good, so a worker beyond their number would have none.
    private mutating func checkWorkers(_ values: [String: FieldValue], _ variant: ConfigurationVariant) {
        let entry = variant["workers"]
        let given = entry == nil ? Configuration.workersDefault : values.number("workers")
        let partitions = variant["partitions"] == nil ? workload.partitions : values.number("partitions")
        guard let workers = given, let partitions, workers > partitions else { return }
        let why = "each worker needs a partition of its own (partitions: \(partitions))"
        let origin = entry == nil ? "; a configuration without workers has \(workers)" : ""
        refuse(
            entry?.value.line ?? variant.line, "workers", value: String(workers),
            "at most \(partitions): \(why)\(origin)")
    }

    private mutating func checkTopicKey(_ values: [String: FieldValue], _ variant: ConfigurationVariant) {
        guard values["mode"] == .word(Mode.row.rawValue),
            values["topic_key"] == .word(TopicKey.execution.rawValue), values["workers"] != .number(1),
            let entry = variant["topic_key"]
        else { return }
        let expected =
            "block_order, or workers: 1: mode row has no transaction that could keep two workers off one block"
        refuse(entry.value.line, entry.key, value: valueText(entry.value), expected)
    }

    private mutating func checkGroup(_ values: [String: FieldValue], _ variant: ConfigurationVariant) {
        let isGroup = values["consumers"] == .word(PartitionSource.group.rawValue)
        if !isGroup, let entry = variant["assignor"] {
            let expected = "consumers: group with it; assigned partitions need no assignor"
            refuse(entry.value.line, entry.key, value: valueText(entry.value), expected)
        }
        if isGroup, let entry = variant["consumers"], faultPlans.contains(where: { $0.kind == .killWorker }) {
            let expected =
                "assigned where a fault is kill_worker: a group notices a dead member only after its session timeout"
            refuse(entry.value.line, entry.key, value: valueText(entry.value), expected)
        }
    }

    private mutating func checkSynchronousCommit(_ values: [String: FieldValue], _ variant: ConfigurationVariant) {
        guard servers.standbys == 0, let entry = variant["synchronous_commit"],
            [SynchronousCommit.remoteWrite, .remoteApply].contains(where: {
                values[entry.key] == .word($0.rawValue)
            })
        else { return }
        let expected = "off, local or on, or a standby to wait for (servers: { standbys: 1 })"
        refuse(entry.value.line, entry.key, value: valueText(entry.value), expected)
    }
}

extension [String: FieldValue] {
    fileprivate func number(_ key: String) -> Int? {
        if case .number(let number)? = self[key] { number } else { nil }
    }

    fileprivate func word<Word: RawRepresentable<String>>(_ key: String) -> Word? {
        if case .word(let word)? = self[key] { Word(rawValue: word) } else { nil }
    }
}
