// What a scenario's text says about the work itself, apart from the configurations that compete on it: two runs can be
// compared only where all of this agrees.

public import Diagnostics
import Measurement
import Model
import Report

/// The keys of a scenario that make its workload: each with its value as the program understands it, and as it was written.
public struct WorkloadIdentity: Sendable {
    /// What the runs were asked to do. `servers` is not among them: to compare two of those is a good question.
    private static let keys = ["stage", "seed", "workload", "load", "warm_up", "measured", "faults"]

    /// As written, by dotted path, such as `workload.accounts_per_block`.
    public let values: [String: String]
    /// With every default, and in one way of writing; nil for a text that this version of the program wouldn't run.
    public let understood: [String: String]?
    /// The configurations that the scenario names; nil where `understood` is.
    public let configurations: [String]?

    /// Reads the text that a manifest keeps.
    ///
    /// Throws: where the text is no YAML. Otherwise it needn't be a scenario: another version of the program may know other
    /// keys.
    public init(text: String, path: String) throws(InputError) {
        var values: [String: String] = [:]
        if case .mapping(let entries) = try YAMLDocument(bytes: Array(text.utf8), path: path).root.content {
            for entry in entries where WorkloadIdentity.keys.contains(entry.key) {
                WorkloadIdentity.collect(entry.value, at: entry.key, into: &values)
            }
        }
        // A default that is written out is the same as one that isn't.
        if values["load"] == nil, !values.keys.contains(where: { $0.hasPrefix("load.") }) { values["load"] = "backlog" }
        values["stage"] = values["stage"] ?? ScenarioFile.Stage.allocate.rawValue
        values["seed"] = values["seed"] ?? String(ScenarioFile.seedDefault)
        self.values = values
        let scenario = try? ScenarioFile.parse(text: text, path: path)
        understood = scenario?.workloadValues
        configurations = scenario?.competitors.map(\.name)
    }

    /// `backlog`, `open` or `search`.
    public var loadModel: String {
        let model = values["load.model"] ?? values["load"] ?? "backlog"
        // What `open` was called once.
        return model == "paced" ? "open" : model
    }

    /// The first key that differs, in alphabetical order, with both values; nil where the workloads agree. Of two scenarios
    /// that can be understood it is the meaning that counts, else what was written.
    public func difference(from other: WorkloadIdentity) -> (key: String, own: String?, other: String?)? {
        var (own, others) = (values, other.values)
        if let understood, let theirs = other.understood { (own, others) = (understood, theirs) }
        return Set(own.keys).union(others.keys).sorted().first { own[$0] != others[$0] }.map {
            ($0, own[$0], others[$0])
        }
    }

    private static func collect(_ node: YAMLNode, at path: String, into values: inout [String: String]) {
        switch node.content {
        case .scalar(let text, _): values[path] = text
        case .sequence(let items):
            for (index, item) in items.enumerated() { collect(item, at: "\(path)[\(index)]", into: &values) }
        case .mapping(let entries):
            for entry in entries { collect(entry.value, at: "\(path).\(entry.key)", into: &values) }
        }
    }
}

extension ScenarioFile {
    /// Everything that makes the workload, by the keys of the scenario. Real data is missing here: wherever it lay, its
    /// checksums are in the manifest.
    var workloadValues: [String: String] {
        var values: [String: String] = [:]
        values["stage"] = stage.rawValue
        values["seed"] = String(seed)
        values["workload.executions"] = String(workload.executions)
        values["workload.blocks"] = String(workload.blocks)
        values["workload.accounts_per_block"] = String(workload.accountsPerBlock)
        values["workload.partitions"] = String(workload.partitions)
        values["workload.route_date"] = workload.routeDate.map { "\($0)" } ?? "none"
        values["workload.busts"] = parts(workload.bustPpm)
        values["workload.replaces"] = parts(workload.replacePpm)
        values["workload.cancels"] = parts(workload.cancelPpm)
        let policies = workload.allocationPolicies.map(\.rawValue)
        values["workload.allocation_policies"] = policies.joined(separator: ", ")
        values["workload.minimum_ticket_lots"] = String(workload.minimumTicketLots)
        values["workload.lot_size"] = String(workload.lotSize)
        values["workload.routing"] = workload.routing.rawValue
        values["workload.skew"] = "uniform"
        values["warm_up"] = text(window.warmUp)
        values["measured"] = window.measured.map { text($0) } ?? "the rest"
        let blows = faults.map { fault in "\(fault.kind.rawValue) at \(plain(Double(fault.atNs) / 1e9)) s" }
        values["faults"] = blows.joined(separator: ", ")
        if case .zipf(let thetaPpm) = workload.skew {
            values["workload.skew"] = "zipf \(parts(thetaPpm))"
        }
        switch load {
        case .backlog: values["load.model"] = "backlog"
        case .open(let open):
            values["load.model"] = "open"
            values["load.through"] = open.through.rawValue
            values["load.arrivals"] = "\(open.schedule)"
        case .search(let search):
            values["load.model"] = "search"
            values["load.through"] = search.through.rawValue
            values["load.p99_ms"] = plain(search.p99LimitMs)
            values["load.lag_max_ms"] = plain(search.lagLimitMs)
            values["load.from"] = plain(search.lowRate)
            values["load.to"] = plain(search.highRateLimit)
            values["load.precision"] = plain(search.precision)
            values["load.probe_seconds"] = plain(search.probeSeconds)
        }
        return values
    }

    private func text(_ extent: WindowPlan.Extent) -> String {
        switch extent {
        case .none: "none"
        case .count(let count): "\(count) executions"
        case .nanoseconds(let length): "\(plain(Double(length) / 1e9)) s"
        }
    }
}
