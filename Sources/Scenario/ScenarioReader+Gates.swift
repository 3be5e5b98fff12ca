// Reads `gates:`, what configurations must reach, and `faults:`, what breaks while a run goes on.

import Diagnostics
import Measurement
import Model
import Report
import Services

extension ScenarioReader {
    /// After the configurations, whose names gates refer to.
    mutating func readGates(_ entry: YAMLEntry) {
        let example = "- { configuration: NAME, max_p99_ms: 50 }"
        guard let items = items(entry, Limit.gateCount, "a list of gates, such as \(example)", "gates") else { return }
        for item in items {
            if let gate = gate(item, field: entry.key) { gates.append(gate) }
        }
    }

    private mutating func gate(_ item: YAMLNode, field: String) -> ScenarioFile.GateRule? {
        let faultCount = faults.count
        guard let keys = entries(item, field: field, level: ScenarioFormat.gate) else { return nil }
        let configuration = keys["configuration"].flatMap { nameOfConfiguration($0) }
        let kinds = ["max_p99_ms", "min_executions_per_s", "min_ratio_to"]
        let given = kinds.filter { keys[$0] != nil }
        guard given.count == 1, let kind = given.first, let limit = keys[kind] else {
            refuse(item.line, field, "exactly one of \(list(kinds, last: "and")) in a gate, not \(given.count)")
            return nil
        }
        if kind != "min_ratio_to" {
            for key in ["ratio", "metric"] {
                guard let entry = keys[key] else { continue }
                refuse(entry.line, key, value: valueText(entry.value), "min_ratio_to with it, which alone has one")
            }
        }
        let rule: ScenarioFile.GateRule.Rule?
        switch kind {
        case "max_p99_ms": rule = number(limit, Limit.milliseconds).map { .maxP99Ms($0) }
        case "min_executions_per_s": rule = number(limit, Limit.gateRate).map { .minExecutionsPerSecond($0) }
        default:
            let ratio = keys["ratio"].flatMap { number($0, Limit.gateRatio) } ?? 1
            let metric = keys["metric"].flatMap { word($0, ScenarioFile.GateRule.Metric.self) }
            if case .search = load, let metric, metric != .sustainedRatePerSecond, let entry = keys["metric"] {
                refuse(
                    entry.value.line, entry.key, value: metric.rawValue,
                    "sustained_rate_per_s beside load search: its other figures are of probes at different rates")
            }
            let other = nameOfConfiguration(limit)
            if let other, other == configuration {
                refuse(limit.value.line, limit.key, value: other, "another configuration than the gate's own")
            }
            rule = other.map { .minRatio(to: $0, ratio: ratio, metric: metric) }
        }
        guard let rule, faults.count == faultCount else { return nil }
        return ScenarioFile.GateRule(configuration: configuration, rule: rule)
    }

    /// The name of one that competes. Where configurations were refused it can't be judged and is taken as it stands.
    private mutating func nameOfConfiguration(_ entry: YAMLEntry) -> String? {
        guard let name = scalar(entry, "the name of a configuration") else { return nil }
        let names = competitors.map(\.name)
        guard areConfigurationsComplete, !names.contains(name) else { return name }
        let some = names.count > 12 ? names.prefix(12) + ["…"] : names[...]
        let expected = "the name of a configuration: \(some.joined(separator: ", "))\(suggestion(name, names))"
        refuse(entry.value.line, entry.key, value: name, expected)
        return nil
    }

    mutating func readFaults(_ entry: YAMLEntry) {
        let example = "- { at_seconds: 2, kind: kill_worker }"
        guard let items = items(entry, Limit.faultCount, "a list of faults, such as \(example)", "faults") else {
            return
        }
        if case .search = load {
            return refuse(entry.line, entry.key, "no faults beside load search: a probe that is broken finds no rate")
        }
        var plans: [ScenarioFile.FaultPlan] = []
        for item in items {
            guard let keys = entries(item, field: entry.key, level: ScenarioFormat.fault) else { continue }
            let time = required("at_seconds", in: keys, line: item.line, of: entry.key)
            let seconds = time.flatMap { number($0, Limit.seconds) }
            let kindEntry = required("kind", in: keys, line: item.line, of: entry.key)
            let kind = kindEntry.flatMap { word($0, ScenarioFile.FaultPlan.Kind.self) }
            guard let time, let seconds else { continue }
            let atNs = nanoseconds(seconds)
            if let end = streamEndNs, atNs >= end {
                let expected =
                    "a time before the last execution arrives, after \(plain(Double(end / 1_000_000) / 1000)) s"
                refuse(time.value.line, time.key, value: valueText(time.value), expected)
            }
            if kind == .killBroker, let kindEntry = keys["kind"] {
                let count = EmbeddedServices.brokerCountForKilling
                if servers.embeddedBrokers < count {
                    refuse(
                        kindEntry.value.line, kindEntry.key, value: "kill_broker",
                        "servers with embedded_brokers: \(count) or more, of which the others go on")
                } else if plans.contains(where: { $0.kind == .killBroker }) {
                    refuse(
                        kindEntry.value.line, kindEntry.key, value: "kill_broker",
                        "one dead broker a run: writes wait for two of three copies")
                }
            }
            if let kindEntry, kind == .promoteStandby,
                plans.count(where: { $0.kind == .promoteStandby }) >= servers.standbys
            {
                let expected =
                    "a standby for each promotion, which none of standbys: \(servers.standbys) is left for"
                refuse(kindEntry.value.line, kindEntry.key, value: valueText(kindEntry.value), expected)
            }
            if let kind { plans.append(ScenarioFile.FaultPlan(atNs: atNs, kind: kind)) }
        }
        // A stable order: what is given twice for one time happens in the order of the file.
        faultPlans = plans.enumerated().sorted { ($0.element.atNs, $0.offset) < ($1.element.atNs, $1.offset) }
            .map(\.element)
    }

    /// The items of a list that isn't empty and not beyond reason.
    mutating func items(
        _ entry: YAMLEntry, _ range: ClosedRange<Int>, _ expected: String, _ plural: String
    ) -> [YAMLNode]? {
        guard case .sequence(let items) = entry.value.content, !items.isEmpty else {
            refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
            return nil
        }
        guard items.count <= range.upperBound else {
            refuse(entry.line, entry.key, value: String(items.count), "at most \(range.upperBound) \(plural)")
            return nil
        }
        return items
    }
}
