// A file of SQL, cut into the statements that the code asks for by name.

/// The statements of one .sql file. A line `-- name: some_name` starts a statement; what stands above the first such line
/// is a header for readers. A line `-- part: some_name` starts text that several statements share: it stands in each of them
/// where a line says `-- insert: some_name`.
///
/// What follows a line `-- only postgresql:` or `-- only cockroachdb:` is said to that server alone, up to the next such line,
/// to `-- both:`, or to the end of the statement or part. So the two dialects stand side by side, and what they have in common
/// stands there once.
public struct SQLScript: Sendable {
    /// The names in the order of the file.
    public let names: [String]
    /// The text above the first name.
    public let header: String
    private let statements: [ServerDialect: [String: String]]
    private let sections: [String: [Line]]

    private struct Line {
        let text: Substring
        /// Nil for a line of both.
        let dialect: ServerDialect?
    }

    /// Cuts up a file that was embedded into the program. Two statements of one name are a programming error and trap.
    public init(embedded bytes: [UInt8]) {
        var names: [String] = []
        var sections: [String: [Line]] = [:]
        var header: [Substring] = []
        var current: String?
        for line in Self.lines(of: String(decoding: bytes, as: UTF8.self)) {
            if let name = Self.word(behind: "-- name:", in: line.text) ?? Self.word(behind: "-- part:", in: line.text) {
                precondition(sections[name] == nil, "two statements are named \(name)")
                sections[name] = []
                current = name
                if line.text.hasPrefix("-- name:") { names.append(name) }
            } else if let current {
                sections[current]?.append(line)
            } else {
                header.append(line.text)
            }
        }
        self.names = names
        self.header = Self.trimmed(header)
        self.sections = sections
        var statements: [ServerDialect: [String: String]] = [:]
        for dialect in ServerDialect.allCases {
            statements[dialect] = Dictionary(
                uniqueKeysWithValues: names.map { name in
                    (name, Self.trimmed(Self.completed(sections[name] ?? [], for: dialect, with: sections)))
                })
        }
        self.statements = statements
    }

    /// A whole file as one dialect has it, without the lines that tell the dialects apart.
    public static func text(of bytes: [UInt8], for dialect: ServerDialect) -> String {
        trimmed(
            lines(of: String(decoding: bytes, as: UTF8.self)).filter { $0.dialect == nil || $0.dialect == dialect }
                .map(\.text)) + "\n"
    }

    // MARK: Statements

    /// The statement of that name, which is the same in both dialects. A name that the file doesn't have is a programming
    /// error and traps; so is one whose statement depends on the server, which must be asked for with the server's dialect.
    public subscript(name: String) -> String {
        let statement = self[name, .postgresql]
        precondition(!isVarying(name), "the statement \(name) depends on the server")
        return statement
    }

    /// The statement of that name as the server understands it.
    public subscript(name: String, dialect: ServerDialect) -> String {
        guard let statement = statements[dialect]?[name] else {
            preconditionFailure("no statement is named \(name), only \(names.joined(separator: ", "))")
        }
        return statement
    }

    /// Whether the statement depends on the server.
    public func isVarying(_ name: String) -> Bool { self[name, .postgresql] != self[name, .cockroachdb] }

    /// The statement of that name as it can stand inside another: without its semicolon.
    public func fragment(_ name: String) -> String {
        let statement = self[name]
        let end = statement.lastIndex { $0 != ";" && !$0.isWhitespace }
        return end.map { String(statement[...$0]) } ?? ""
    }

    /// The statement of that name with other parts than its own: `replacing` says which one stands in whose place.
    public func statement(
        _ name: String, replacing parts: [String: String], for dialect: ServerDialect = .postgresql
    ) -> String {
        // Traps for a name that the file doesn't have.
        let own = self[name, dialect]
        return parts.isEmpty
            ? own
            : Self.trimmed(Self.completed(sections[name] ?? [], for: dialect, with: sections, replacing: parts))
    }

    // MARK: Lines

    private static func lines(of text: String) -> [Line] {
        var lines: [Line] = []
        var dialect: ServerDialect?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if let word = word(behind: "-- only ", in: line) {
                guard word.hasSuffix(":"), let named = ServerDialect(rawValue: String(word.dropLast())) else {
                    preconditionFailure("no dialect is named \(word)")
                }
                dialect = named
                continue
            }
            if word(behind: "-- both:", in: line) != nil {
                dialect = nil
                continue
            }
            if line.hasPrefix("-- name:") || line.hasPrefix("-- part:") { dialect = nil }
            lines.append(Line(text: line, dialect: dialect))
        }
        return lines
    }

    /// The lines of one dialect with every part in its place.
    private static func completed(
        _ lines: [Line], for dialect: ServerDialect, with sections: [String: [Line]],
        replacing parts: [String: String] = [:]
    ) -> [Substring] {
        lines.flatMap { line -> [Substring] in
            guard line.dialect == nil || line.dialect == dialect else { return [] }
            guard let name = word(behind: "-- insert:", in: line.text) else { return [line.text] }
            guard let part = sections[parts[name] ?? name] else {
                preconditionFailure("no part is named \(parts[name] ?? name)")
            }
            return completed(part, for: dialect, with: sections, replacing: parts)
        }
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

/// Cuts a text of several statements at their semicolons; each keeps the comments above it, and none its semicolon.
/// It understands the SQL that this project writes: quotes and comments, no dollar quoting.
public func splitStatements(_ text: String) -> [String] {
    var statements: [String] = []
    var statement = ""
    var hasContent = false
    var inQuotes = false
    var inComment = false
    var previous: Character = " "
    for character in text {
        if inComment {
            if character == "\n" { inComment = false }
        } else if inQuotes {
            if character == "'" { inQuotes = false }
        } else if character == ";" {
            if hasContent { statements.append(trimmedText(statement)) }
            (statement, hasContent, previous) = ("", false, " ")
            continue
        } else if character == "'" {
            inQuotes = true
            hasContent = true
        } else if character == "-", previous == "-" {
            inComment = true
        } else if !character.isWhitespace, character != "-" {
            hasContent = true
        }
        statement.append(character)
        previous = character
    }
    if hasContent { statements.append(trimmedText(statement)) }
    return statements
}

private func trimmedText(_ text: String) -> String {
    guard let start = text.firstIndex(where: { !$0.isWhitespace }),
        let end = text.lastIndex(where: { !$0.isWhitespace })
    else { return "" }
    return String(text[start...end])
}
