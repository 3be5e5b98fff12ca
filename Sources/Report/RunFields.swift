// A row of runs.csv as text, from this run, its journal, or a file of another run: what tables and comparisons read.

/// The fields of one run by column.
public struct RunFields: Sendable, Equatable {
    private let values: [String: String]

    /// - Parameters:
    ///   - columns: as the head of the file names them.
    ///   - fields: as many.
    public init(columns: [String], fields: [String]) {
        values = Dictionary(zip(columns, fields)) { first, _ in first }
    }

    public init(_ row: RunRow) {
        self.init(columns: RunRow.columnNames, fields: row.fields)
    }

    public init(_ cell: CellRecord) {
        self.init(columns: RunRow.columnNames, fields: cell.run)
    }

    /// Empty where the column is missing.
    public subscript(column: String) -> String { values[column] ?? "" }

    public func has(_ column: String) -> Bool { values[column] != nil }

    /// Nil where the column is empty or holds no number.
    public func number(_ column: String) -> Double? { Double(self[column]) }

    public var configuration: String { self["configuration"] }
    /// From 1.
    public var repetition: Int { Int(self["repetition"]) ?? 0 }
    public var isVerified: Bool { self["verified"] == "true" }
    public var isValid: Bool { self["validity"] != "invalid" }
}
