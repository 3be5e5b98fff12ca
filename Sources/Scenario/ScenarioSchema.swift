// The JSON Schema of a scenario file, made of the same table as the reader's refusals: editors complete and explain keys
// with it. It says less than the reader, which also knows what must fit what; so `allocbench check` is the reader's word.

import Model
import Report

extension ScenarioFormat {
    /// The text of schema/scenario.schema.json.
    static var schemaText: String {
        JSON.object(
            [
                JSON.Member("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
                JSON.Member("title", .string("AllocBench scenario")),
                JSON.Member(
                    "description",
                    .string(
                        "What `allocbench run` compares. `allocbench check FILE` checks more than a schema can say.")),
            ] + members(of: scenario, configurations: false) + [
                JSON.Member("allOf", .array(ScenarioFile.Stage.allCases.map(rule))),
                JSON.Member("$defs", .object(ScenarioFile.Stage.allCases.map(definition))),
            ]
        ).text
    }

    /// What the stage makes of `configurations`, and which keys it doesn't know.
    private static func rule(for stage: ScenarioFile.Stage) -> JSON {
        var condition = [
            JSON.Member("properties", .object([JSON.Member("stage", .object([constant(stage.rawValue)]))]))
        ]
        // Without a word about it the stage is allocate, so only the others need the key.
        if stage != .allocate { condition.append(JSON.Member("required", .array([.string("stage")]))) }
        var properties = [
            JSON.Member("configurations", competitors(of: stage))
        ]
        for key in scenario.keys where !key.stages.contains(stage) {
            properties.append(JSON.Member(key.name, .bool(false)))
        }
        let unknown = workload.keys.filter { !$0.stages.contains(stage) }.map { JSON.Member($0.name, .bool(false)) }
        if !unknown.isEmpty {
            properties.append(JSON.Member("workload", .object([JSON.Member("properties", .object(unknown))])))
        }
        return .object([
            JSON.Member("if", .object(condition)),
            JSON.Member("then", .object([JSON.Member("properties", .object(properties))])),
        ])
    }

    /// A list of configurations, or a matrix of them.
    private static func competitors(of stage: ScenarioFile.Stage) -> JSON {
        let definition = "#/$defs/\(definitionName(of: stage))"
        let level = configuration(of: stage)
        let fields = level.names.filter { $0 != "name" }
            .map { JSON.Member($0, reference("\(definition)/properties/\($0)")) }
        let rule = [
            JSON.Member("type", .string("object")), JSON.Member("properties", .object(fields)),
            JSON.Member("additionalProperties", .bool(false)),
        ]
        let selectors = level.keys.filter(\.isRequired).map { JSON.string($0.name) }
        let whole = list(of: reference(definition), most: Limit.configurationCount)
        let matrix = [
            JSON.Member("matrix", .object(rule + [JSON.Member("required", .array(selectors))])),
            JSON.Member("include", whole),
            JSON.Member("exclude", list(of: .object(rule), most: Limit.matrixProduct)),
        ]
        let product = JSON.object([
            JSON.Member("type", .string("object")), JSON.Member("properties", .object(matrix)),
            JSON.Member("required", .array([.string("matrix")])),
            JSON.Member("additionalProperties", .bool(false)),
        ])
        return .object([JSON.Member("anyOf", .array([whole, product]))])
    }

    private static func definitionName(of stage: ScenarioFile.Stage) -> String { "\(stage.rawValue)_configuration" }

    /// One configuration, in which every field but the name may be a list.
    private static func definition(of stage: ScenarioFile.Stage) -> JSON.Member {
        let level = configuration(of: stage)
        return JSON.Member(
            definitionName(of: stage), .object(members(of: Level(level.owner, level.keys.map(orList)))))
    }

    private static func reference(_ path: String) -> JSON { .object([JSON.Member("$ref", .string(path))]) }

    private static func list(of item: JSON, most: Int) -> JSON {
        .object([
            JSON.Member("type", .string("array")), JSON.Member("minItems", .integer(1)),
            JSON.Member("maxItems", .integer(Int64(most))), JSON.Member("items", item),
        ])
    }

    private static func orList(_ key: Key) -> Key {
        guard key.name != "name" else { return key }
        var key = key
        key.form = .either([key.form, .list(of: key.form, count: 1...Limit.matrixProduct)])
        return key
    }

    private static func members(
        of level: Level, configurations: Bool = true
    ) -> [JSON.Member] {
        let properties = level.keys.map { key in
            var members = [JSON.Member("description", .string(key.about))]
            if configurations || key.name != "configurations" { members += self.members(of: key.form) }
            if let standard = key.standard.map({ "Default: \($0)." }) {
                members[0] = JSON.Member("description", .string("\(key.about) \(standard)"))
            }
            return JSON.Member(key.name, .object(members))
        }
        let required = level.keys.filter(\.isRequired).map { JSON.string($0.name) }
        return [
            JSON.Member("type", .string("object")), JSON.Member("properties", .object(properties)),
        ] + (required.isEmpty ? [] : [JSON.Member("required", .array(required))]) + [
            JSON.Member("additionalProperties", .bool(false))
        ]
    }

    /// What looks like a number to YAML is text all the same where text is expected.
    private static let text = JSON.Member("type", .array([.string("string"), .string("number")]))

    private static func constant(_ word: String) -> JSON.Member { JSON.Member("const", .string(word)) }

    private static func members(of form: Form) -> [JSON.Member] {
        switch form {
        case .integer(let range):
            return [
                JSON.Member("type", .string("integer")), JSON.Member("minimum", .integer(Int64(range.lowerBound))),
                JSON.Member("maximum", .integer(Int64(range.upperBound))),
            ]
        case .seed:
            return [
                JSON.Member("type", .string("integer")), JSON.Member("minimum", .integer(0)),
                JSON.Member("maximum", .number(String(UInt64.max))),
            ]
        case .number(let range):
            return [
                JSON.Member("type", .string("number")), JSON.Member("minimum", .number(plain(range.lowerBound))),
                JSON.Member("maximum", .number(plain(range.upperBound))),
            ]
        case .share(let range):
            return members(of: .number(Double(range.lowerBound) / 1_000_000...Double(range.upperBound) / 1_000_000))
        case .shortTime:
            return [
                text, JSON.Member("pattern", .string("^(0|0us|0ms|[1-9][0-9]*(us|ms))$")),
                JSON.Member("maximum", .integer(0)),
            ]
        case .standbyNames:
            return [
                JSON.Member("type", .string("string")),
                JSON.Member("pattern", .string("^(ANY|FIRST) [1-\(Limit.standbys.upperBound)]$")),
            ]
        case .words(let words):
            // YAML 1.1 reads on and off without quotes as truth values, and editors do so.
            let truths = words.compactMap { ["on": true, "off": false, "true": true, "false": false][$0] }.map {
                JSON.bool($0)
            }
            return [JSON.Member("enum", .array(words.map { JSON.string($0) } + truths))]
        case .name:
            return [
                text, JSON.Member("pattern", .string("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")),
            ]
        case .text: return [text, JSON.Member("minLength", .integer(1))]
        case .day:
            return [
                JSON.Member("type", .string("string")), JSON.Member("pattern", .string("^[0-9]{4}-[0-9]{2}-[0-9]{2}$")),
            ]
        case .list(let form, let count):
            return [
                JSON.Member("type", .string("array")), JSON.Member("minItems", .integer(Int64(count.lowerBound))),
                JSON.Member("maxItems", .integer(Int64(count.upperBound))),
                JSON.Member("items", .object(members(of: form))),
            ]
        case .mapping(let level): return members(of: level)
        case .either(let forms):
            return [JSON.Member("anyOf", .array(forms.map { .object(members(of: $0)) }))]
        case .properties:
            return [
                JSON.Member("type", .string("object")),
                JSON.Member(
                    "additionalProperties",
                    .object([JSON.Member("type", .array(["string", "number", "boolean"].map { JSON.string($0) }))])),
            ]
        case .settings:
            let scalar = JSON.object([
                JSON.Member("type", .array(["string", "number", "boolean"].map { JSON.string($0) }))
            ])
            return [
                JSON.Member("type", .string("object")),
                JSON.Member("properties", .object(Limit.serverSettings.map { JSON.Member($0, scalar) })),
                JSON.Member("additionalProperties", .bool(false)),
            ]
        }
    }
}

extension ScenarioFile {
    /// The JSON Schema of a scenario file.
    public static var schemaText: String { ScenarioFormat.schemaText }
}
