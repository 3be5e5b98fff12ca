// One check of one run: a row of verify.csv. A plain value.

/// What one check of the verifier found.
public struct VerifyRow: Sendable, Equatable {
    public static let columnNames = ["configuration", "repetition", "check", "differences", "first_difference"]

    public var configuration: String
    /// From 1.
    public var repetition: Int
    /// The name of the check, such as `fills_match_executions`.
    public var check: String
    /// 0 is what every check should find.
    public var differences: Int64
    /// The first of them in words; nil when there is none.
    public var firstDifference: String?

    public init(
        configuration: String, repetition: Int, check: String, differences: Int64, firstDifference: String? = nil
    ) {
        self.configuration = configuration
        self.repetition = repetition
        self.check = check
        self.differences = differences
        self.firstDifference = firstDifference
    }

    public var fields: [String] {
        [configuration, String(repetition), check, String(differences), firstDifference ?? ""]
    }
}
