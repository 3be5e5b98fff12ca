// What a scenario's text says about the work itself, apart from the configurations that compete on it: two runs can be
// compared only where all of this agrees.

public import Diagnostics

/// The keys of a scenario that make its workload, each with its value as it was written.
public struct WorkloadIdentity: Sendable, Equatable {
    /// What the runs were asked to do. `servers` is not among them: to compare two of those is a good question.
    private static let keys = ["stage", "seed", "workload", "load", "warm_up", "measured", "faults"]

    /// By dotted path, such as `workload.accounts_per_block`.
    public let values: [String: String]

    /// Reads the text that a manifest keeps.
    ///
    /// Throws: where the text is no YAML. Keys are not checked: another version of the program may know others.
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
    }

    /// `backlog`, `open` or `search`.
    public var loadModel: String {
        let model = values["load.model"] ?? values["load"] ?? "backlog"
        // What `open` was called once.
        return model == "paced" ? "open" : model
    }

    /// The first key that differs, in alphabetical order, with both values; nil where the workloads agree.
    public func difference(from other: WorkloadIdentity) -> (key: String, own: String?, other: String?)? {
        Set(values.keys).union(other.values.keys).sorted().first { values[$0] != other.values[$0] }.map {
            ($0, values[$0], other.values[$0])
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
