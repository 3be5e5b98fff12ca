// The wiki's reference of scenario files. Goal: every key of the format with its range and default as the reader has them,
// and none that isn't there.

import Foundation
import Model
import Report
import Testing

@testable import Scenario

@Suite struct ConfigurationDictionaryTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "../.."
    )
    .standardizedFileURL
    private static let page = root.appendingPathComponent("wiki/Configuration.md")
    private static let begin = "<!-- scenario keys: begin -->\n"
    private static let end = "<!-- scenario keys: end -->"

    /// With ALLOCBENCH_WRITE_DICTIONARY set the page is brought up to date instead.
    @Test func `the configuration reference holds every key of the format as the code has it`() throws {
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        let first = try #require(text.range(of: Self.begin), "the page marks where the keys begin")
        let last = try #require(text.range(of: Self.end), "the page marks where the keys end")
        let wanted = KeyReference().markdown
        if ProcessInfo.processInfo.environment["ALLOCBENCH_WRITE_DICTIONARY"] != nil {
            let updated = text[..<first.upperBound] + wanted + text[last.lowerBound...]
            try Data(updated.utf8).write(to: Self.page)
        } else {
            let isCurrent = text[first.upperBound..<last.lowerBound] == wanted[...]
            #expect(isCurrent, "write it anew: ALLOCBENCH_WRITE_DICTIONARY=1 swift test --filter DictionaryTests")
        }
    }

    @Test func `the scenario of the Kubernetes manifests is accepted`() throws {
        let file = try ScenarioFile.load(
            path: Self.root.appendingPathComponent("deploy/kubernetes/scenarios/cluster.yaml").path)
        #expect(file.name == "cluster")
        #expect(file.configurationCount > 1)
    }
}

/// The levels of the format as tables, each behind the one that it belongs to.
private struct KeyReference {
    private var sections: [(title: String, level: Level)] = []

    init() {
        sections.append(("A scenario", ScenarioFormat.scenario))
        for key in ScenarioFormat.scenario.keys where key.name != "configurations" { add(key.form, "`\(key.name)`") }
        sections.append(("`configurations`", ScenarioFormat.configuration))
        for key in ScenarioFormat.configuration.keys { add(key.form, "`configurations`: `\(key.name)`") }
        sections.append(("`configurations` of `stage: route`", ScenarioFormat.routingConfiguration))
        sections.append(("`configurations` of `stage: execute`", ScenarioFormat.executeConfiguration))
    }

    private mutating func add(_ form: Form, _ path: String) {
        switch form {
        case .mapping(let level):
            let model = level["model"].flatMap { key -> String? in
                if case .words(let words) = key.form { words.first } else { nil }
            }
            let title = path + (model.map { " with `model: \($0)`" } ?? "")
            // Windows have the same keys at their beginning and in their middle: one table for both.
            if let index = sections.firstIndex(where: { $0.level.owner == level.owner && $0.level.names == level.names }
            ) {
                sections[index].title += ", \(title)"
                return
            }
            sections.append((title, level))
            for key in level.keys { add(key.form, "\(path): `\(key.name)`") }
        case .list(let form, _): add(form, path)
        case .either(let forms): for form in forms { add(form, path) }
        default: break
        }
    }

    var markdown: String {
        var text = ""
        for (title, level) in sections {
            text += "\n### \(title)\n\n| key | default | what it may be | meaning |\n| --- | --- | --- | --- |\n"
            for key in level.keys {
                let standard = key.standard.map { "`\($0)`" } ?? (key.isRequired ? "required" : "")
                text += "| `\(key.name)` | \(standard) | \(words(for: key.form)) | \(meaning(of: key)) |\n"
            }
        }
        return text + "\n"
    }

    private func meaning(_ about: String) -> String { about.replacingOccurrences(of: "|", with: "\\|") }

    private func meaning(of key: Key) -> String {
        let stages = ScenarioFile.Stage.allCases
        guard key.stages.count < stages.count else { return meaning(key.about) }
        let names = stages.filter { key.stages.contains($0) }.map { "`\($0.rawValue)`" }
        return meaning(key.about) + " Stage \(names.joined(separator: ", "))."
    }

    private func words(for form: Form) -> String {
        switch form {
        case .integer(let range): "\(number(range.lowerBound)) to \(number(range.upperBound))"
        case .seed: "0 to \(UInt64.max)"
        case .number(let range): "\(plain(range.lowerBound)) to \(plain(range.upperBound))"
        case .share(let range):
            "\(plain(Double(range.lowerBound) / 1_000_000)) to \(plain(Double(range.upperBound) / 1_000_000))"
        case .shortTime(let range): "0, or a time such as `500us` or `2ms`, up to \(range.upperBound / 1000) ms"
        case .standbyNames: "`ANY` or `FIRST` and a number up to that of the standbys, such as `ANY 1`"
        case .words(let words): words.map { "`\($0)`" }.joined(separator: ", ")
        case .name: "a name: letters, digits, `.`, `-`, `_`, at most 64"
        case .day: "a day: `2024-11-14`"
        case .list(let form, let count):
            "list of \(number(count.lowerBound)) to \(number(count.upperBound)): \(words(for: form))"
        case .mapping(let level): mapping(level)
        case .either(let forms): forms.map { words(for: $0) }.joined(separator: "; or ")
        case .settings:
            Limit.serverSettings.map { "`\($0)`" }.joined(separator: ", ") + ", each with PostgreSQL's own value"
        case .properties: "any of librdkafka's properties with its value"
        default: "text"
        }
    }

    /// A few keys stand in line, many in a table of their own.
    private func mapping(_ level: Level) -> String {
        if case .words(let words)? = level["model"]?.form {
            return "`{ model: \(words[0])\(level.keys.count > 1 ? ", …" : "") }`"
        }
        return level.keys.count > 4 ? "a mapping, below" : "`{ \(level.names.joined(separator: ", ")) }`"
    }

    /// 100,000,000 is easier to read than 100000000.
    private func number(_ value: Int) -> String {
        let digits = String(value)
        guard digits.count > 3 else { return digits }
        var groups: [Substring] = []
        var rest = digits[...]
        while rest.count > 3 {
            groups.insert(rest.suffix(3), at: 0)
            rest = rest.dropLast(3)
        }
        return ([rest] + groups).joined(separator: ",")
    }
}
