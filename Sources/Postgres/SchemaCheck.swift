// Compares the tables of a database with the DDL they should have been made by. The DDL of a stage is the only place
// that names its columns, so the check can't fall behind it. Runs on the thread of its connection.

/// The tables and columns that a DDL script declares, in the types of `information_schema`.
public struct SchemaDeclaration: Sendable, Equatable {
    public struct Column: Sendable, Equatable {
        public let name: String
        /// `bigint`, `text`, `numeric(18,4)`, `_int8` for an array: as `differences` reads it from the catalogue.
        public let type: String
        public let isNullable: Bool
    }

    public struct Table: Sendable, Equatable {
        public let schema: String
        public let name: String
        public let columns: [Column]
    }

    public let tables: [Table]

    /// Reads every `CREATE TABLE` of the script. It understands the DDL this project writes, not all of SQL.
    public init(ddl bytes: [UInt8]) {
        self.init(ddl: String(decoding: bytes, as: UTF8.self))
    }

    public init(ddl: String) {
        let text = ddl.split(separator: "\n", omittingEmptySubsequences: false)
            .map { SchemaDeclaration.withoutComment($0) }
            .joined(separator: "\n")
        tables = splitOutsideParentheses(text, at: ";").compactMap { SchemaDeclaration.table($0) }
    }

    /// What stands in the database otherwise than declared: one line each, empty when nothing does.
    public func differences(on connection: PostgresConnection) throws(PostgresError) -> [String] {
        var lines: [String] = []
        for table in tables {
            let found = try SchemaDeclaration.columns(of: table, on: connection)
            let name = "\(table.schema).\(table.name)"
            guard !found.isEmpty else {
                lines.append("\(name): the table is missing")
                continue
            }
            lines += table.differences(from: found).map { "\(name)\($0)" }
        }
        return lines
    }

    private static func columns(
        of table: Table, on connection: PostgresConnection
    ) throws(PostgresError) -> [Column] {
        let result = try connection.query(
            """
            SELECT column_name::TEXT, data_type::TEXT, udt_name::TEXT, is_nullable::TEXT,
                   numeric_precision::TEXT, numeric_scale::TEXT, character_maximum_length::TEXT
            FROM information_schema.columns
            WHERE table_schema = $1 AND table_name = $2
            ORDER BY ordinal_position
            """, .text(table.schema), .text(table.name))
        return (0..<result.rowCount).map { row in
            func text(_ column: Int) -> String { result.text(row, column) ?? "" }
            let type =
                switch text(1).lowercased() {
                case "array", "user-defined": text(2)
                case "numeric": result.isNull(row, 4) ? "numeric" : "numeric(\(text(4)),\(text(5)))"
                case "character varying":
                    result.isNull(row, 6) ? "character varying" : "character varying(\(text(6)))"
                case let plain: plain
                }
            return Column(name: text(0), type: type, isNullable: text(3) == "YES")
        }
    }

    // MARK: Reading DDL

    private static func withoutComment(_ line: Substring) -> Substring {
        var inQuotes = false
        var previous: Character = " "
        for index in line.indices {
            if line[index] == "'" { inQuotes.toggle() }
            if !inQuotes && previous == "-" && line[index] == "-" { return line[..<line.index(before: index)] }
            previous = line[index]
        }
        return line
    }

    private static func table(_ statement: String) -> Table? {
        guard let open = statement.firstIndex(of: "("), let close = closingParenthesis(statement, from: open) else {
            return nil
        }
        var head = words(statement[..<open])
        guard head.starts(with: ["CREATE", "TABLE"]) else { return nil }
        head.removeFirst(2)
        if head.starts(with: ["IF", "NOT", "EXISTS"]) { head.removeFirst(3) }
        let name = (head.first ?? "").lowercased().split(separator: ".")
        guard name.count == 2 else { return nil }
        let entries = splitOutsideParentheses(String(statement[statement.index(after: open)..<close]), at: ",")
        let keyColumns = Set(entries.flatMap { primaryKeyColumns($0) })
        return Table(
            schema: String(name[0]), name: String(name[1]),
            columns: entries.compactMap { column($0, keyColumns: keyColumns) })
    }

    private static let constraintWords: Set = [
        "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "CONSTRAINT", "INDEX", "FAMILY",
    ]
    private static let typeEndWords: Set = [
        "NOT", "NULL", "PRIMARY", "UNIQUE", "CHECK", "DEFAULT", "REFERENCES", "GENERATED", "AS", "CONSTRAINT",
    ]

    private static func column(_ entry: String, keyColumns: Set<String>) -> Column? {
        let parts = words(entry)
        guard let first = parts.first, !constraintWords.contains(first.uppercased()) else { return nil }
        let type = parts.dropFirst().prefix { !typeEndWords.contains($0.uppercased()) }.joined(separator: " ")
        let rest = parts.map { $0.uppercased() }
        let isRequired =
            keyColumns.contains(first.lowercased()) || follows("NOT", "NULL", in: rest)
            || follows("PRIMARY", "KEY", in: rest)
        return Column(name: first.lowercased(), type: catalogueType(type), isNullable: !isRequired)
    }

    private static func primaryKeyColumns(_ entry: String) -> [String] {
        let parts = words(entry)
        let start = parts.first?.uppercased() == "CONSTRAINT" ? 2 : 0
        guard parts.count > start + 1, parts[start].uppercased() == "PRIMARY",
            let open = entry.firstIndex(of: "("), let close = closingParenthesis(entry, from: open)
        else { return [] }
        return entry[entry.index(after: open)..<close].split(separator: ",").compactMap {
            words($0).first?.lowercased()
        }
    }

    private static func follows(_ first: String, _ second: String, in words: [String]) -> Bool {
        zip(words, words.dropFirst()).contains { $0 == first && $1 == second }
    }

    /// The name under which the catalogue lists a type that the DDL spells in the common short way.
    private static func catalogueType(_ written: String) -> String {
        let type = written.lowercased().filter { $0 != " " || !written.contains("(") }
        if type.hasSuffix("[]") {
            let element = String(type.dropLast(2))
            return "_" + (["bigint": "int8", "int": "int4", "integer": "int4", "boolean": "bool"][element] ?? element)
        }
        let short = [
            "int8": "bigint", "int4": "integer", "int": "integer", "int2": "smallint", "bool": "boolean",
            "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone",
            "float8": "double precision", "decimal": "numeric", "varchar": "character varying",
        ]
        if let name = short[type] { return name }
        guard let open = type.firstIndex(of: "(") else { return type }
        let base = String(type[..<open])
        // The catalogue keeps no precision of a time stamp in its type's name.
        if base.hasPrefix("timestamp") { return short[base] ?? base }
        return (short[base] ?? base) + type[open...]
    }
}

extension SchemaDeclaration.Table {
    /// How `found` differs from this table; each line starts where the table's name ends.
    func differences(from found: [SchemaDeclaration.Column]) -> [String] {
        var lines: [String] = []
        let foundByName = Dictionary(found.map { ($0.name, $0) }) { first, _ in first }
        for column in columns {
            guard let other = foundByName[column.name] else {
                lines.append(".\(column.name): the column is missing, expected \(column.type)")
                continue
            }
            if other.type != column.type {
                lines.append(".\(column.name): is \(other.type), expected \(column.type)")
            }
            if other.isNullable != column.isNullable {
                lines.append(
                    ".\(column.name): \(other.isNullable ? "allows" : "refuses") NULL, expected otherwise")
            }
        }
        let declared = Set(columns.map(\.name))
        // CockroachDB lists the hidden column of a hash-sharded index here.
        for other in found where !declared.contains(other.name) && !other.name.hasPrefix("crdb_internal") {
            lines.append(".\(other.name): an unexpected column")
        }
        return lines
    }
}

private func words(_ text: some StringProtocol) -> [String] {
    var words: [String] = []
    var depth = 0
    var word = ""
    for character in text {
        if character.isWhitespace && depth == 0 {
            if !word.isEmpty { words.append(word) }
            word = ""
            continue
        }
        if character == "(" { depth += 1 }
        if character == ")" { depth -= 1 }
        word.append(character)
    }
    return word.isEmpty ? words : words + [word]
}

private func closingParenthesis(_ text: String, from open: String.Index) -> String.Index? {
    var depth = 0
    for index in text[open...].indices {
        if text[index] == "(" { depth += 1 }
        if text[index] == ")" { depth -= 1 }
        if depth == 0 { return index }
    }
    return nil
}

private func splitOutsideParentheses(_ text: String, at separator: Character) -> [String] {
    var parts = [""]
    var depth = 0
    for character in text {
        if character == "(" { depth += 1 }
        if character == ")" { depth -= 1 }
        if character == separator && depth == 0 {
            parts.append("")
        } else {
            parts[parts.count - 1].append(character)
        }
    }
    return parts
}
