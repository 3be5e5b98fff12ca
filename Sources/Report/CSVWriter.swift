// CSV as RFC 4180 has it: fixed columns, CRLF at line ends, quotes only where they are needed.
// Runs on the runner's thread.

public import Diagnostics

/// Writes one CSV file with the columns it was made with. The file takes its name at `finish`.
public final class CSVWriter {
    private static let lineEnd = "\r\n"

    private let file: AtomicFile
    private let path: String
    private let columns: [String]

    /// Throws: where `path.partial` can't be created.
    public init(path: String, columns: [String]) throws(OperatingError) {
        precondition(!columns.isEmpty && Set(columns).count == columns.count, "columns need distinct names")
        self.path = path
        self.columns = columns
        file = try AtomicFile(path: path)
        try append(columns)
    }

    /// Adds a row and hands it to the kernel.
    ///
    /// Throws: where it hasn't exactly one field for each column, or the write fails.
    public func append(_ fields: [String]) throws(OperatingError) {
        guard fields.count == columns.count else {
            throw OperatingError("\(path): a row of \(fields.count) fields where there are \(columns.count) columns")
        }
        try file.append(fields.map(CSVWriter.quoted).joined(separator: ",") + CSVWriter.lineEnd)
        try file.flush()
    }

    /// Syncs the file and renames it into its place.
    public func finish() throws(OperatingError) {
        try file.finish()
    }

    /// The same text as a file would have.
    public static func text(columns: [String], rows: [[String]]) -> String {
        ([columns] + rows).map { $0.map(quoted).joined(separator: ",") + lineEnd }.joined()
    }

    /// A field in quotes where it holds a comma, a quote, a line end, or blanks at an end that a reader might trim.
    static func quoted(_ field: String) -> String {
        // Bytes, because CR and LF together are a single Character.
        let needsQuotes = field.utf8.contains { [0x22, 0x2C, 0x0A, 0x0D].contains($0) }
        guard needsQuotes || field.hasPrefix(" ") || field.hasSuffix(" ") else { return field }
        return "\"" + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
