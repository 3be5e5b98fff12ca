// Reads `servers:`: what the embedded servers are made of, or where the user's own are.

import Diagnostics
import Measurement
import Model
import Postgres
import Services

extension ScenarioReader {
    /// `servers: embedded` and `servers: URI` are short for a mapping with nothing but a database. Returns false for anything
    /// else: a mapping, or the path of a file.
    mutating func readDatabaseAlone(_ entry: YAMLEntry) -> Bool {
        guard case .scalar(let text, _) = entry.value.content, text == "embedded" || text.contains("://") else {
            return false
        }
        readDatabase(entry)
        return true
    }

    mutating func readServers(_ entry: YAMLEntry) {
        guard let keys = entries(entry.value, field: entry.key, level: ScenarioFormat.servers) else { return }
        if let entry = keys["database"] { readDatabase(entry) }
        if let entry = keys["standbys"] { servers.standbys = integer(entry, Limit.standbys) ?? servers.standbys }
        if let entry = keys["synchronous_standby_names"] { readSynchronousStandbys(entry) }
        if let entry = keys["settings"] { readSettings(entry) }
        if let entry = keys["cockroachdb"] { readCockroach(entry) }
        if let entry = keys["worker_hosts"] {
            servers.workerHosts = integer(entry, Limit.workerHosts)
            workerHostsPlace = (source, entry.line)
        }
        readBrokers(keys)
        guard servers.database != nil else { return }
        for key in ["standbys", "settings"] {
            guard let entry = keys[key], key == "settings" || servers.standbys > 0 else { continue }
            refuse(entry.line, key, "the embedded database with it: your own server keeps its own")
        }
    }

    /// What is refused here is never told in full: it may hold a password.
    private mutating func readDatabase(_ entry: YAMLEntry) {
        let expected = "embedded, or a URI such as postgresql://root@db1:26257/bench"
        guard let text = scalar(entry, expected) else { return }
        if text == "embedded" { return }
        if text.contains("://"), !text.hasPrefix("postgresql://"), !text.hasPrefix("postgres://") {
            return refuse(entry.value.line, entry.key, expected)
        }
        do throws(PostgresError) {
            let info = try ConnectionInfo(text)
            guard !info.holdsSecret else {
                return refuse(
                    entry.value.line, entry.key,
                    "a URI without a password, for a scenario is kept with its results: set PGPASSWORD, or name a file by "
                        + "PGPASSFILE or passfile=")
            }
            servers.database = text
        } catch {
            refuse(entry.value.line, entry.key, "\(expected): \(error.message)")
        }
    }

    private mutating func readCockroach(_ entry: YAMLEntry) {
        guard let keys = entries(entry.value, field: entry.key, level: ScenarioFormat.cockroach) else { return }
        var settings = CockroachSettings()
        if let entry = keys["replicas"] { settings.replicas = integer(entry, Limit.replicas) }
        if let entry = keys["range_max_bytes"] { settings.rangeBytesMax = integer(entry, Limit.rangeBytesMax) }
        if let entry = keys["hash_buckets"] {
            settings.hashBuckets = integer(entry, Limit.hashBuckets) ?? settings.hashBuckets
        }
        if let entry = keys["split_points"] {
            settings.splitPoints = integer(entry, Limit.splitPoints) ?? settings.splitPoints
        }
        if let entry = keys["bulk_load"] { settings.bulkLoad = word(entry, BulkLoad.self) ?? settings.bulkLoad }
        if let entry = keys["retry"] { settings.retry = word(entry, RetryMethod.self) ?? settings.retry }
        if let entry = keys["inject_retry_errors"], let word = word(entry, among: ["true", "false"]) {
            settings.injectsRetryErrors = word == "true"
            if settings.injectsRetryErrors, settings.retry != .savepoint {
                refuse(
                    entry.line, entry.key,
                    "retry: savepoint with it, for without it the server never ends the errors of a transaction")
            }
        }
        servers.cockroach = settings
    }

    /// What workers can't do from other hosts is refused before anything starts, in one line each. Once all else is read.
    mutating func checkWorkerHosts() {
        guard let hosts = servers.workerHosts, let place = workerHostsPlace else { return }
        func refuse(_ expected: String) {
            self.refuse(
                InputFault(
                    source: place.source, line: place.line, field: "worker_hosts", value: String(hosts),
                    expected: expected))
        }
        guard stage == .allocate else { return refuse("stage allocate with it: only its workers run on other hosts") }
        switch load {
        case .open(let open) where open.through == .feed: refuse("through: topic with it, not feed: \(Self.feedReason)")
        case .search(let search) where search.through == .feed:
            refuse("through: topic with it, not feed: \(Self.feedReason)")
        case .backlog where window.isByCount:
            refuse("warm_up and measured in seconds with it: workers of several hosts have no common count of commits")
        default: break
        }
        if !faultPlans.isEmpty { refuse("no faults with it: what breaks, breaks in the runner's own workers") }
        for case .allocate(let configuration) in competitors {
            let partitions = configuration.partitions ?? workload.partitions ?? ScenarioFile.Workload.partitionsDefault
            if configuration.roundTripTimeUs > 0 {
                refuse(
                    "no emulated round trip with it, as \(configuration.name) has: hosts have a network of their own")
            }
            if configuration.consumers == .group {
                refuse(
                    "consumers: assigned with it, not group as \(configuration.name) has: the runner deals partitions out"
                )
            }
            if min(configuration.workers, partitions) < hosts {
                refuse(
                    "a worker and a partition at least for each host; \(configuration.name) has \(configuration.workers) workers "
                        + "for \(partitions) partitions")
            }
        }
    }

    private static let feedReason = "the end of a live stream is known to the runner's own workers alone"

    private mutating func readSynchronousStandbys(_ entry: YAMLEntry) {
        let most = Limit.standbys.upperBound
        let expected =
            "ANY or FIRST and a number from 1 to \(most), such as ANY 1: the standbys' names are the harness's"
        guard let text = scalar(entry, expected) else { return }
        guard let wanted = SynchronousStandbys(text), wanted.count <= most else {
            return refuse(entry.value.line, entry.key, value: text, expected)
        }
        guard wanted.count <= servers.standbys else {
            let fitting = "at most as many standbys as there are (standbys: \(servers.standbys))"
            return refuse(entry.value.line, entry.key, value: text, fitting)
        }
        servers.synchronousStandbys = wanted
    }

    private mutating func readSettings(_ entry: YAMLEntry) {
        guard case .mapping(let settings) = entry.value.content else {
            let expected = "a mapping of PostgreSQL's settings, such as { shared_buffers: 256MB }"
            return refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
        }
        for setting in settings {
            guard Limit.serverSettings.contains(setting.key) else {
                refuse(setting.line, setting.key, refusal(ofSetting: setting.key))
                continue
            }
            let expected = "a value of at most 100 printable characters, such as 256MB, on or 0.9"
            guard let value = scalar(setting, expected) else { continue }
            guard value.count <= 100, value.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
                refuse(setting.value.line, setting.key, value: value, expected)
                continue
            }
            servers.settings.append(ScenarioFile.Servers.Setting(name: setting.key, value: value))
        }
    }

    private func refusal(ofSetting name: String) -> String {
        if name == "synchronous_commit" { return "this setting as a field of the configurations, not of the servers" }
        let known = Limit.serverSettings
        return "a setting that a scenario may change: \(list(known, last: "or"))\(suggestion(name, known))"
    }
}

extension WindowPlan {
    fileprivate var isByCount: Bool {
        [warmUp, measured].contains { if case .count? = $0 { true } else { false } }
    }
}
