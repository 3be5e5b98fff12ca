// JSON with its keys in the order they were given, so that two manifests can be compared line by line.

/// A JSON value; an object keeps the order of its members.
package enum JSON: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var name: String
        package var value: JSON
        package init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    case null
    case bool(Bool)
    case integer(Int64)
    /// Digits as they shall stand: neither a binary fraction nor 64 bits in between.
    case number(String)
    /// Beyond 2⁵³ many readers round a number; as text it stays what it is.
    case string(String)
    case array([JSON])
    case object([Member])

    /// Indented by two blanks a level, with a line end at the end.
    package var text: String {
        var text = ""
        write(to: &text, indent: "")
        return text + "\n"
    }

    private func write(to text: inout String, indent: String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let digits): text += digits
        case .string(let value): text += JSON.quoted(value)
        case .array(let items):
            JSON.write(items, between: ("[", "]"), to: &text, indent: indent) { item, text, inner in
                item.write(to: &text, indent: inner)
            }
        case .object(let members):
            JSON.write(members, between: ("{", "}"), to: &text, indent: indent) { member, text, inner in
                text += JSON.quoted(member.name) + ": "
                member.value.write(to: &text, indent: inner)
            }
        }
    }

    private static func write<Item>(
        _ items: [Item], between brackets: (String, String), to text: inout String, indent: String,
        each: (Item, inout String, String) -> Void
    ) {
        text += brackets.0
        let inner = indent + "  "
        for (index, item) in items.enumerated() {
            text += (index == 0 ? "\n" : ",\n") + inner
            each(item, &text, inner)
        }
        if !items.isEmpty { text += "\n" + indent }
        text += brackets.1
    }

    /// RFC 8259: quotation mark, backslash and U+0000 to U+001F must be escaped, everything else may stand as it is.
    static func quoted(_ value: String) -> String {
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
