// A file of SQL, cut into the statements that the code asks for by name.

/// The statements of one .sql file. A line `-- name: some_name` starts a statement; what stands above the first such line
/// is a header for readers. A line `-- part: some_name` starts text that several statements share: it stands in each of them
/// where a line says `-- insert: some_name`.
public struct SQLScript: Sendable {
    /// The names in the order of the file.
    public let names: [String]
    /// The text above the first name.
    public let header: String
    private let statements: [String: String]
    private let sections: [String: [Substring]]

    /// Cuts up a file that was embedded into the program. Two statements of one name are a programming error and trap.
    public init(embedded bytes: [UInt8]) {
        var names: [String] = []
        var sections: [String: [Substring]] = [:]
        var header: [Substring] = []
        var current: String?
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
            if let name = Self.word(behind: "-- name:", in: line) ?? Self.word(behind: "-- part:", in: line) {
                precondition(sections[name] == nil, "two statements are named \(name)")
                sections[name] = []
                current = name
                if line.hasPrefix("-- name:") { names.append(name) }
            } else if let current {
                sections[current]?.append(line)
            } else {
                header.append(line)
            }
        }
        self.names = names
        self.header = Self.trimmed(header)
        self.sections = sections
        statements = Dictionary(
            uniqueKeysWithValues: names.map { ($0, Self.trimmed(Self.completed(sections[$0] ?? [], with: sections))) })
    }

    /// The statement of that name as it can stand inside another: without its semicolon.
    public func fragment(_ name: String) -> String {
        let statement = self[name]
        let end = statement.lastIndex { $0 != ";" && !$0.isWhitespace }
        return end.map { String(statement[...$0]) } ?? ""
    }

    /// The statement of that name with other parts than its own: `replacing` says which one stands in whose place.
    public func statement(_ name: String, replacing parts: [String: String]) -> String {
        // Traps for a name that the file doesn't have.
        let own = self[name]
        return parts.isEmpty
            ? own : Self.trimmed(Self.completed(sections[name] ?? [], with: sections, replacing: parts))
    }

    /// The lines with every part in its place.
    private static func completed(
        _ lines: [Substring], with sections: [String: [Substring]], replacing parts: [String: String] = [:]
    ) -> [Substring] {
        lines.flatMap { line in
            guard let name = word(behind: "-- insert:", in: line) else { return [line] }
            guard let part = sections[parts[name] ?? name] else {
                preconditionFailure("no part is named \(parts[name] ?? name)")
            }
            return completed(part, with: sections, replacing: parts)
        }
    }

    /// The statement of that name; a name that the file doesn't have is a programming error and traps.
    public subscript(name: String) -> String {
        guard let statement = statements[name] else {
            preconditionFailure("no statement is named \(name), only \(names.joined(separator: ", "))")
        }
        return statement
    }

    private static func word(behind prefix: String, in line: Substring) -> String? {
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
