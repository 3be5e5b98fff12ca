// What `allocbench check` tells of a scenario: what would run, how often, and under which names.

import Glibc
import Kafka
import Measurement
import Model
import Report

extension ScenarioFile {
    /// Configurations × repetitions.
    public var runCount: Int { configurationCount * repetitions }

    /// A few lines: the counts first, every name at the end.
    public var summary: String {
        let counts = [
            counted(configurationCount, "configuration"), counted(repetitions, "repetition"), counted(runCount, "run"),
        ]
        var lines = ["\(path): \(counts.joined(separator: ", "))"]
        func add(_ title: String, _ text: String) {
            lines.append("  " + title + String(repeating: " ", count: max(1, 10 - title.count)) + text)
        }
        add("stage", "\(stage.rawValue), order \(order.rawValue), seed \(seed)")
        add("workload", workloadText)
        if servers != Servers() { add("servers", serversText) }
        if stage == .allocate {
            add("load", loadText)
            add("measured", windowText)
        }
        for gate in gates { add("gate", gate.text) }
        for fault in faults { add("fault", "\(fault.kind.rawValue) after \(plain(Double(fault.atNs) / 1e9)) s") }
        for (index, competitor) in competitors.enumerated() { add(index == 0 ? "names" : "", competitor.name) }
        return lines.joined(separator: "\n")
    }

    private var workloadText: String {
        var parts = [
            counted(workload.executions, "execution"), counted(workload.blocks, "block"),
            counted(workload.accountsPerBlock, "account") + " a block", counted(workload.partitions, "partition"),
        ]
        if case .zipf(let thetaPpm) = workload.skew { parts.append("Zipf \(plain(Double(thetaPpm) / 1_000_000))") }
        return parts.joined(separator: ", ")
    }

    private var serversText: String {
        let settings = servers.settings.map { "\($0.name) = \($0.value)" }
        let hosts = servers.workerHosts.map { [counted($0, "worker host")] } ?? []
        var brokers: [String] = []
        if let own = servers.brokers { brokers.append("Kafka at \(own)") }
        if servers.embeddedBrokers > 1 { brokers.append(counted(servers.embeddedBrokers, "broker")) }
        if let copies = servers.kafka.topic.replication { brokers.append("replication = \(copies)") }
        let topic = servers.kafka.topic.config.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }
        let properties = servers.kafka.properties.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }
        if servers.kafka.isFeedTransactional { brokers.append("transactional feed") }
        let waiting = servers.synchronousStandbys.map { ["commits wait for \($0)"] } ?? []
        var parts = [servers.database ?? counted(servers.standbys, "standby")] + waiting + hosts + settings
        if servers.cockroach != nil { parts.append("settings of CockroachDB") }
        return (parts + brokers + topic + properties).joined(separator: ", ")
    }

    private var loadText: String {
        switch load {
        case .backlog: return "backlog"
        case .open(let open):
            let end = streamEndNs(open.schedule)
            return "open, \(open.schedule) through the \(open.through.rawValue), for \(plain(end)) s"
        case .search(let search):
            let range = "from \(plain(search.lowRate)) to \(plain(search.highRateLimit.rounded(.down)))/s"
            return
                "search \(range) for a p99 of \(plain(search.p99LimitMs)) ms through the \(search.through.rawValue); "
                + "a run is about \(search.probeCountEstimate) probes of \(plain(search.probeSeconds)) s"
        }
    }

    /// In seconds, to a tenth.
    private func streamEndNs(_ schedule: ArrivalSchedule) -> Double {
        let end = schedule.intendedArrival(sequence: Int64(workload.executions) - 1, start: 0)
        return (Double(end) / 1e8).rounded() / 10
    }

    private var windowText: String {
        func text(_ extent: WindowPlan.Extent?) -> String? {
            switch extent {
            case .count(let count): counted(Int(count), "execution")
            case .nanoseconds(let length): "\(plain(Double(length) / 1e9)) s"
            case .some(.none), nil: nil
            }
        }
        let warmUp = text(window.warmUp).map { " after a warm-up of \($0)" }
        return (text(window.measured) ?? (warmUp == nil ? "everything" : "the rest")) + (warmUp ?? "")
    }
}

extension ScenarioFile.SearchLoad {
    /// Doublings up to the highest rate, halvings down to the precision, two confirmations: at most about so many.
    var probeCountEstimate: Int {
        let doublings = highRateLimit > lowRate ? Int(log2(highRateLimit / lowRate).rounded(.up)) : 0
        return 1 + doublings + Int(log2(1 / precision).rounded(.up)) + 2
    }
}

extension ScenarioFile.GateRule {
    /// As `check` tells it: `a: p99 at most 50 ms`.
    var text: String {
        let whom = configuration ?? "every configuration"
        switch rule {
        case .maxP99Ms(let limit): return "\(whom): p99 at most \(plain(limit)) ms"
        case .minExecutionsPerSecond(let limit): return "\(whom): at least \(plain(limit)) executions/s"
        case .minRatio(let other, let ratio, let metric):
            let what = metric.map { " in \($0.rawValue)" } ?? ""
            return "\(whom): at least \(plain(ratio)) times as good as \(other)\(what)"
        }
    }
}

/// `1 run`, `2 runs`, `2 standbys`.
private func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
