// What a comparison takes of a run: its configuration, its repetition and its figures.

public import Diagnostics

/// One configuration in one repetition.
public struct ComparedRun: Sendable, Equatable {
    public var configuration: String
    /// From 1.
    public var repetition: Int
    /// False where the generator was the limit: such a run is counted and never compared.
    public var isValid: Bool
    public var isVerified: Bool
    /// By the metric's name; without those that the run has no value of.
    public var metrics: [String: Double]

    public init(
        configuration: String, repetition: Int, isValid: Bool = true, isVerified: Bool = true,
        metrics: [String: Double]
    ) {
        self.configuration = configuration
        self.repetition = repetition
        self.isValid = isValid
        self.isVerified = isVerified
        self.metrics = metrics
    }

    /// The columns that every runs.csv has.
    static let requiredColumns = ["format_version", "configuration", "repetition", "verified"]

    /// A row of runs.csv by column name. A missing `validity` means valid: before version 3 nothing was marked.
    ///
    /// Throws: the first field that isn't what its column holds, with `source` and `line` in it.
    public init(_ cells: [String: String], source: String, line: Int? = nil) throws(InputFault) {
        func fault(_ field: String, _ expected: String) -> InputFault {
            InputFault(source: source, line: line, field: field, value: cells[field], expected: expected)
        }
        guard let configuration = cells["configuration"], !configuration.isEmpty else {
            throw fault("configuration", "the name of a configuration")
        }
        guard let repetition = cells["repetition"].flatMap({ Int($0) }), repetition >= 1 else {
            throw fault("repetition", "a whole number from 1")
        }
        guard let isVerified = cells["verified"].flatMap({ Bool($0) }) else {
            throw fault("verified", "true or false")
        }
        let validity = cells["validity"] ?? "valid"
        guard validity == "valid" || validity == "invalid" else { throw fault("validity", "valid or invalid") }
        var figures: [String: Double] = [:]
        for name in Metric.all.map(\.name) + ["executions"] {
            guard let text = cells[name], !text.isEmpty else { continue }
            guard let value = Double(text), value.isFinite, value >= 0 else { throw fault(name, "a number from 0") }
            figures[name] = value
        }
        let executions = figures.removeValue(forKey: "executions")
        if let executions, executions > 0, let seconds = figures["database_cpu_s"] {
            // One figure for the same thing is enough.
            figures["database_cpu_s"] = nil
            figures[Metric.databaseCPUPerThousand] = seconds / executions * 1000
        }
        self.init(
            configuration: configuration, repetition: repetition, isValid: validity == "valid", isVerified: isVerified,
            metrics: figures)
    }
}
