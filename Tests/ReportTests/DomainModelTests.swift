// The wiki's drawings of the tables. Goal: every table and column that sql/ makes is drawn, and nothing else.

import Foundation
import Testing

@Suite struct DomainModelTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// The columns by table of a schema's CREATE TABLE statements; a column is a line of its own that begins with its name.
    private static func columns(ofSchema sql: String) -> [String: [String]] {
        var tables: [String: [String]] = [:]
        var table: String?
        for line in sql.split(separator: "\n").map(String.init) {
            if let match = line.firstMatch(of: /^CREATE TABLE (?:IF NOT EXISTS )?[a-z_]+\.([a-z_]+) \(/) {
                table = String(match.output.1)
                tables[table ?? ""] = []
            } else if line.hasPrefix(")") {
                table = nil
            } else if let table, let match = line.firstMatch(of: /^ +([a-z_]+) +[A-Z]/) {
                tables[table, default: []].append(String(match.output.1))
            }
        }
        return tables
    }

    /// The same of the entities of a page's section.
    private static func columns(ofDrawing section: Substring) -> [String: [String]] {
        var tables: [String: [String]] = [:]
        var table: String?
        for line in section.split(separator: "\n").map(String.init) {
            if let match = line.firstMatch(of: /^    ([a-z_]+) \{$/) {
                table = String(match.output.1)
                tables[table ?? ""] = []
            } else if line == "    }" {
                table = nil
            } else if let table, let match = line.firstMatch(of: /^        [A-Z0-9_]+ ([a-z_]+)/) {
                tables[table, default: []].append(String(match.output.1))
            }
        }
        return tables
    }

    @Test(arguments: ["reference", "market", "holdings", "orders", "trades", "allocations"])
    func `every table and column of a stage is drawn`(stage: String) throws {
        let expected = try Self.columns(ofSchema: Self.text("sql/\(stage)/schema.sql"))
        #expect(!expected.isEmpty, "the schema was read")
        let page = try Self.text("wiki/DomainModel.md")
        let heading = "\n## \(stage.prefix(1).uppercased())\(stage.dropFirst())\n"
        let begin = try #require(page.range(of: heading), "wiki/DomainModel.md has a part for \(stage)")
        let rest = page[begin.upperBound...]
        let drawn = Self.columns(ofDrawing: rest[..<(rest.range(of: "\n## ")?.lowerBound ?? rest.endIndex)])
        #expect(Set(drawn.keys) == Set(expected.keys), "tables of \(stage)")
        for (table, columns) in expected {
            #expect(drawn[table] == columns, "columns of \(stage).\(table) in wiki/DomainModel.md")
        }
    }
}
