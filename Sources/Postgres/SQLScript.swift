// A file of SQL, cut into the statements that the code asks for by name.

/// The statements of one .sql file. A line `-- name: some_name` starts a statement; what stands above the first such line
/// is a header for readers.
public struct SQLScript: Sendable {
    /// The names in the order of the file.
    public let names: [String]
    /// The text above the first name.
    public let header: String
    private let statements: [String: String]

    /// Cuts up a file that was embedded into the program. Two statements of one name are a programming error and trap.
    public init(embedded bytes: [UInt8]) {
        var names: [String] = []
        var statements: [String: String] = [:]
        var header: [Substring] = []
        var lines: [Substring] = []
        func finish() {
            guard let name = names.last else { return header = lines }
            statements[name] = Self.trimmed(lines)
        }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
            guard let name = Self.name(in: line) else {
                lines.append(line)
                continue
            }
            finish()
            precondition(!names.contains(name), "two statements are named \(name)")
            names.append(name)
            lines = []
        }
        finish()
        self.names = names
        self.header = Self.trimmed(header)
        self.statements = statements
    }

    /// The statement of that name; a name that the file doesn't have is a programming error and traps.
    public subscript(name: String) -> String {
        guard let statement = statements[name] else {
            preconditionFailure("no statement is named \(name), only \(names.joined(separator: ", "))")
        }
        return statement
    }

    private static func name(in line: Substring) -> String? {
        let prefix = "-- name:"
        guard line.hasPrefix(prefix) else { return nil }
        return String(line.dropFirst(prefix.count).filter { !$0.isWhitespace })
    }

    private static func trimmed(_ lines: [Substring]) -> String {
        let text = lines.joined(separator: "\n")
        guard let start = text.firstIndex(where: { !$0.isWhitespace }),
            let end = text.lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(text[start...end])
    }
}
