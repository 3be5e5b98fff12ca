// As much of a JSON Schema validator as the project's own schema needs, to prove that it and the reader agree.

import Foundation

@testable import Scenario

struct JSONSchema {
    private let root: Any

    init(_ text: String) throws { root = try JSONSerialization.jsonObject(with: Data(text.utf8)) }

    /// What is wrong with a YAML tree: a path and a keyword each.
    func faults(in node: YAMLNode) -> [String] { faults(value(of: node), root, "") }

    /// As YAML 1.2 reads plain scalars.
    private func value(of node: YAMLNode) -> Any {
        switch node.content {
        case .mapping(let entries):
            Dictionary(entries.map { ($0.key, value(of: $0.value)) }, uniquingKeysWith: { first, _ in first })
        case .sequence(let items): items.map { value(of: $0) }
        case .scalar(let text, let isPlain): isPlain ? Double(text).map { $0 as Any } ?? text : text
        }
    }

    private func faults(_ value: Any, _ schema: Any, _ path: String) -> [String] {
        if let isAllowed = schema as? Bool { return isAllowed ? [] : ["\(path): not allowed"] }
        guard let schema = schema as? [String: Any] else { return ["\(path): no schema"] }
        var faults: [String] = []
        for (keyword, rule) in schema where !holds(keyword, rule, value) { faults.append("\(path): \(keyword)") }
        if let object = value as? [String: Any] {
            let properties = schema["properties"] as? [String: Any] ?? [:]
            for (key, member) in object {
                if let rule = properties[key] {
                    faults += self.faults(member, rule, "\(path)/\(key)")
                } else if schema["additionalProperties"] as? Bool == false {
                    faults.append("\(path)/\(key): unknown")
                }
            }
        }
        if let items = value as? [Any], let rule = schema["items"] {
            for (index, item) in items.enumerated() { faults += self.faults(item, rule, "\(path)/\(index)") }
        }
        if let reference = schema["$ref"] as? String { faults += self.faults(value, definition(reference), path) }
        for rule in schema["allOf"] as? [Any] ?? [] { faults += self.faults(value, rule, path) }
        if let condition = schema["if"], self.faults(value, condition, path).isEmpty, let then = schema["then"] {
            faults += self.faults(value, then, path)
        }
        return faults
    }

    /// What `#/$defs/name/…` stands for.
    private func definition(_ reference: String) -> Any {
        reference.split(separator: "/").dropFirst().reduce(root) { ($0 as? [String: Any])?[String($1)] ?? false }
    }

    private func holds(_ keyword: String, _ rule: Any, _ value: Any) -> Bool {
        switch keyword {
        case "type": ([rule as? String].compactMap(\.self) + (rule as? [String] ?? [])).contains { hasType(value, $0) }
        case "enum": (rule as? [Any] ?? []).contains { equal($0, value) }
        case "const": equal(rule, value)
        case "required":
            (value as? [String: Any]).map { object in (rule as? [String] ?? []).allSatisfy { object[$0] != nil } }
                ?? true
        case "minimum": (value as? Double).map { $0 >= (number(rule)) } ?? true
        case "maximum": (value as? Double).map { $0 <= (number(rule)) } ?? true
        case "minItems": (value as? [Any]).map { $0.count >= (rule as? Int ?? 0) } ?? true
        case "maxItems": (value as? [Any]).map { $0.count <= (rule as? Int ?? 0) } ?? true
        case "minLength": (value as? String).map { $0.count >= (rule as? Int ?? 0) } ?? true
        case "pattern":
            (value as? String).map { $0.range(of: rule as? String ?? "", options: .regularExpression) != nil } ?? true
        case "anyOf": (rule as? [Any] ?? []).contains { faults(value, $0, "").isEmpty }
        default: true
        }
    }

    /// JSON has numbers beyond 63 bits.
    private func number(_ rule: Any) -> Double { (rule as? NSNumber)?.doubleValue ?? .nan }

    private func hasType(_ value: Any, _ type: String) -> Bool {
        switch type {
        case "object": value is [String: Any]
        case "array": value is [Any]
        case "string": value is String
        case "number": value is Double
        case "integer": (value as? Double).map { $0 == $0.rounded() } ?? false
        default: false
        }
    }

    private func equal(_ one: Any, _ other: Any) -> Bool {
        if let one = one as? String { return one == other as? String }
        return false
    }
}
