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
    /// What was found isn't the limit but the least that it can be: the search met nothing that fails above it.
    public var isRateLowerBound: Bool
    /// The configuration's settings by column, without columns that the file lacks.
    public var settings: [String: String] = [:]

    public init(
        configuration: String, repetition: Int, isValid: Bool = true, isVerified: Bool = true,
        metrics: [String: Double], isRateLowerBound: Bool = false
    ) {
        self.configuration = configuration
        self.repetition = repetition
        self.isValid = isValid
        self.isVerified = isVerified
        self.metrics = metrics
        self.isRateLowerBound = isRateLowerBound
    }

    /// The metric that is then a lower bound.
    static let rateMetric = "sustained_rate_per_s"

    /// The columns that every runs.csv has.
    static let requiredColumns = ["format_version", "configuration", "repetition", "verified"]

    /// A row of runs.csv; `bounds` come from the searches' probes. A missing `validity` means valid: before version 3 nothing was marked.
    ///
    /// Throws: the first field that isn't what its column holds, with `source` and `line` in it.
    public init(
        _ fields: RunFields, bounds: RateBounds = RateBounds(), source: String, line: Int? = nil
    ) throws(InputFault) {
        func fault(_ field: String, _ expected: String) -> InputFault {
            InputFault(source: source, line: line, field: field, value: fields[field], expected: expected)
        }
        guard !fields.configuration.isEmpty else { throw fault("configuration", "the name of a configuration") }
        guard fields.repetition >= 1 else { throw fault("repetition", "a whole number from 1") }
        guard let isVerified = Bool(fields["verified"]) else { throw fault("verified", "true or false") }
        guard ["", "valid", "invalid"].contains(fields["validity"]) else {
            throw fault("validity", "valid or invalid")
        }
        var figures: [String: Double] = [:]
        for name in Metric.all.map(\.name) + ["executions"] where !fields[name].isEmpty {
            guard let value = fields.number(name), value.isFinite, value >= 0 else {
                throw fault(name, "a number from 0")
            }
            figures[name] = value
        }
        if let executions = figures.removeValue(forKey: "executions"), executions > 0,
            let seconds = figures.removeValue(forKey: "database_cpu_s"), figures["database_cpu_us_per_execution"] == nil
        {
            // Before version 3 there was only the sum; of the two one is enough.
            figures["database_cpu_us_per_execution"] = seconds / executions * 1e6
        }
        self.init(
            configuration: fields.configuration, repetition: fields.repetition, isValid: fields.isValid,
            isVerified: isVerified, metrics: figures,
            isRateLowerBound: bounds.isLowerBound(
                RunKey(configuration: fields.configuration, repetition: fields.repetition)))
        for name in RunRow.settingColumnNames where fields.has(name) { settings[name] = fields[name] }
    }
}
