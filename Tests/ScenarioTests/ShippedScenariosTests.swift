// What comes with the project: every scenario is accepted, every example of the wiki as well, and the schema that editors
// use is the one that the program prints, with which all of them agree.

import Foundation
import Model
import Report
import Testing

@testable import Scenario

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
    .standardizedFileURL

private func scenarioPaths() throws -> [String] {
    let folder = root.appendingPathComponent("scenarios").path
    return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }.sorted()
        .map { "\(folder)/\($0)" }
}

/// The blocks of the wiki that are whole scenarios: fenced with ```yaml.
private func wikiExamples() throws -> [(line: Int, text: String)] {
    let page = try String(contentsOf: root.appendingPathComponent("wiki/Scenarios.md"), encoding: .utf8)
    var examples: [(line: Int, text: String)] = []
    var begin: Int?
    let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
        if line == "```yaml" {
            begin = index + 1
        } else if line == "```", let first = begin {
            examples.append((first + 1, lines[first..<index].joined(separator: "\n") + "\n"))
            begin = nil
        }
    }
    return examples
}

/// Files that the examples of the wiki name.
private let exampleFiles = [
    "wiki/workloads/large.yaml": "executions: 200000\nblocks: 500\npartitions: 16\n",
    "wiki/servers/quorum.yaml": "standbys: 2\nsettings: { shared_buffers: 256MB }\n",
]

@Suite struct ShippedScenariosTests {
    @Test func `every scenario that comes with the project is accepted under its file's name`() throws {
        let paths = try scenarioPaths()
        #expect(paths.count >= 17)
        for path in paths {
            let file = try ScenarioFile.load(path: path)
            #expect(path.hasSuffix("/\(file.name).yaml"))
            #expect(!file.description.isEmpty, "\(file.name)")
            #expect(file.configurationCount > 1, "\(file.name)")
            #expect(file.summary.hasPrefix("\(path): \(file.configurationCount) configurations, "))
        }
    }

    @Test func `every scenario begins with the schema, its question and how to read the answer`() throws {
        for path in try scenarioPaths() {
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            #expect(lines[0] == "# yaml-language-server: $schema=../schema/scenario.schema.json", "\(path)")
            #expect(lines[1].hasPrefix("# Question: "), "\(path)")
            #expect(lines.contains { $0.hasPrefix("# How to read ") }, "\(path)")
        }
    }

    @Test func `the schema in the project is the one that the program prints`() throws {
        let committed = try String(
            contentsOf: root.appendingPathComponent("schema/scenario.schema.json"), encoding: .utf8)
        let isSame = committed == ScenarioFile.schemaText
        #expect(isSame, "allocbench check --schema > schema/scenario.schema.json")
    }

    @Test func `the schema accepts what the reader accepts`() throws {
        let schema = try JSONSchema(ScenarioFile.schemaText)
        for path in try scenarioPaths() {
            let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
            let faults = schema.faults(in: try YAMLDocument(bytes: bytes, path: path).root)
            #expect(faults == [], "\(path)")
        }
        for example in try wikiExamples() {
            let document = try YAMLDocument(bytes: Array(example.text.utf8), path: "wiki")
            #expect(schema.faults(in: document.root) == [], "line \(example.line)")
        }
    }

    @Test func `every example of the wiki is accepted`() throws {
        let examples = try wikiExamples()
        #expect(examples.count >= 6)
        for example in examples {
            let text = example.text
            #expect(throws: Never.self, "line \(example.line)") {
                try ScenarioFile.parse(text: text, path: "wiki/Scenarios.md", files: exampleFiles)
            }
        }
    }

    @Test func `every key of the format stands in the wiki`() throws {
        let page = try String(contentsOf: root.appendingPathComponent("wiki/Scenarios.md"), encoding: .utf8)
        for level in levels {
            for key in level.keys { #expect(page.contains("`\(key.name)`"), "\(level.owner): \(key.name)") }
        }
        for name in Limit.serverSettings { #expect(page.contains("`\(name)`"), "\(name)") }
    }

    // MARK: The table and the reader

    private var levels: [Level] {
        [
            ScenarioFormat.scenario, ScenarioFormat.workload, ScenarioFormat.skew, ScenarioFormat.servers,
            ScenarioFormat.open, ScenarioFormat.phase, ScenarioFormat.search, ScenarioFormat.extent,
            ScenarioFormat.gate, ScenarioFormat.fault, ScenarioFormat.snapshots, ScenarioFormat.configuration,
            ScenarioFormat.routingConfiguration, ScenarioFormat.executeConfiguration,
        ]
    }

    /// A scenario in which the level has one key with this value, and what else it needs to be read.
    private func scenario(_ level: Level, _ key: String, _ value: String) -> String {
        func text(_ head: String = "", _ workload: String = "", _ configurations: String = "[{ mode: row }]") -> String
        {
            scenarioText(head, workload: "executions: 2000, blocks: 10" + workload, configurations: configurations)
        }
        let pair = "\(key): \(value)"
        switch level.owner {
        case "a scenario": return text(pair)
        case "workload":
            let needed = ["executions: 2000", "blocks: 10"].filter { !$0.hasPrefix(key + ":") }
            return scenarioText(workload: (needed + [pair]).joined(separator: ", "))
        case "skew": return text("", ", skew: { \(pair) }")
        case "servers": return text("servers: { \(pair) }")
        case "load":
            let isSearch = level["p99_ms"] != nil
            return text("load: { model: \(isSearch ? "search" : "open"), \(pair) }")
        case "a phase":
            return text(
                "load: { model: open, phases: [{ \(key == "to" ? "seconds: 1, from: 1, " : key == "from" ? "seconds: 1, to: 1, " : key == "seconds" ? "rate: 1, " : "")\(pair) }] }"
            )
        case "a part of a run": return text("warm_up: { \(pair) }")
        case "a gate":
            let needed = ["ratio", "metric"].contains(key) ? "min_ratio_to: row-w4, " : ""
            return text("gates: [{ \(needed)\(pair) }]")
        case "a fault": return text("faults: [{ \(pair) }]")
        case "snapshots": return text("", "", "[{ mode: row, snapshots: { \(pair) } }]")
        default:
            if level["routing"] != nil {
                return text("stage: route", "", "[{ \(key == "routing" ? "" : "routing: event_driven, ")\(pair) }]")
            }
            if level["feed"] != nil {
                return text("stage: execute", "", "[{ \(key == "feed" ? "" : "feed: none, ")\(pair) }]")
            }
            let mode = ModeSetting(rawValue: key)?.modes.first?.rawValue ?? "batch"
            return text("", "", "[{ \(key == "mode" ? "" : "mode: \(mode), ")\(pair) }]")
        }
    }

    /// The faults on exactly this value.
    private func faults(_ level: Level, _ key: String, _ value: String) -> [String] {
        refusal(of: scenario(level, key, value)).split(separator: "\n").map(String.init)
            .filter {
                $0.contains(": \(key): \"\(value)\": expected ") && $0.contains("a number")
                    || $0.contains(": \(key): \"\(value)\": expected a whole number")
            }
    }

    @Test func `the reader's ranges are those of the table, and so of the schema`() {
        for level in levels {
            for key in level.keys {
                switch key.form {
                case .integer(let range):
                    let below = faults(level, key.name, String(range.lowerBound - 1))
                    let above = faults(level, key.name, String(range.upperBound + 1))
                    let expected = "expected a whole number from \(range.lowerBound) to \(range.upperBound)"
                    #expect(below.count == 1 && below[0].hasSuffix(expected), "\(level.owner): \(key.name)")
                    #expect(above.count == 1 && above[0].hasSuffix(expected), "\(level.owner): \(key.name)")
                    #expect(faults(level, key.name, String(range.lowerBound)) == [], "\(level.owner): \(key.name)")
                    #expect(faults(level, key.name, String(range.upperBound)) == [], "\(level.owner): \(key.name)")
                case .number(let range):
                    let isPhaseRate = level.owner == "a phase" && key.name != "seconds"
                    let above = faults(level, key.name, plain(range.upperBound + 1))
                    #expect(above.count == 1 && above[0].contains("to \(plain(range.upperBound))"), "\(key.name)")
                    #expect(faults(level, key.name, plain(range.upperBound)) == [], "\(key.name)")
                    if !isPhaseRate { #expect(faults(level, key.name, "0").count == 1, "\(level.owner): \(key.name)") }
                    #expect(faults(level, key.name, plain(range.lowerBound)) == [], "\(level.owner): \(key.name)")
                case .share(let range):
                    let most = plain(Double(range.upperBound) / 1_000_000)
                    #expect(faults(level, key.name, "2.1").first?.contains(" to \(most) ") == true)
                    #expect(faults(level, key.name, most) == [], "\(level.owner): \(key.name)")
                case .words(let words) where key.name != "model":
                    let text = refusal(of: scenario(level, key.name, "nonsense"))
                    #expect(
                        text.contains("\(key.name): \"nonsense\": expected \(list(words, last: "or"))"), "\(key.name)")
                default: continue
                }
            }
        }
    }
}
