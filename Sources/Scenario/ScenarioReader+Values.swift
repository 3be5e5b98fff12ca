// Single values of a scenario file: numbers, words, names and dates, each refused with its line and what was expected.

import Diagnostics
import Model
import Report

extension ScenarioReader {
    mutating func entries(_ node: YAMLNode, field: String?, level: Level) -> [String: YAMLEntry]? {
        entries(node, field: field, keys: level.names, of: level.owner)
    }

    /// The keys of a mapping; unknown ones are refused with the nearest valid word.
    mutating func entries(
        _ node: YAMLNode, field: String?, keys: [String], of owner: String
    ) -> [String: YAMLEntry]? {
        guard case .mapping(let entries) = node.content else {
            refuse(node.line, field, "a mapping with the keys \(list(keys, last: "and")), not \(form(of: node))")
            return nil
        }
        var known: [String: YAMLEntry] = [:]
        for entry in entries {
            if keys.contains(entry.key) {
                known[entry.key] = entry
            } else {
                let successor = Self.successors[entry.key].flatMap { keys.contains($0.key) ? $0 : nil }
                let hint =
                    successor.map { "; \(entry.key) is called \($0.key) now, such as \($0.example)" }
                    ?? suggestion(entry.key, keys)
                refuse(entry.line, entry.key, "a key of \(owner): \(list(keys, last: "or"))\(hint)")
            }
        }
        return known
    }

    /// Keys of earlier versions: what each is called now, and how its value looks.
    private static let successors = [
        "round_trip_us": (key: "emulated_round_trip", example: "emulated_round_trip: 500us")
    ]

    mutating func required(
        _ key: String, in keys: [String: YAMLEntry], line: Int, of owner: String? = nil
    ) -> YAMLEntry? {
        if let entry = keys[key] { return entry }
        refuse(line, key, "this key\(owner.map { " in \($0)" } ?? ""), which is missing")
        return nil
    }

    mutating func integer(_ entry: YAMLEntry, _ range: ClosedRange<Int>) -> Int? {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let text = plainScalar(entry, expected) else { return nil }
        guard isWholeNumber(text), let number = Int(text), range.contains(number) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return number
    }

    /// A decimal, exactly, in millionths: no digit of it goes through a binary fraction.
    mutating func partsPerMillion(_ entry: YAMLEntry, _ range: ClosedRange<Int64>) -> Int64? {
        let expected =
            "a number from \(parts(range.lowerBound)) to \(parts(range.upperBound)) with at most six decimals, such as 0.05"
        guard let text = plainScalar(entry, expected) else { return nil }
        guard let perMillion = millionths(text), range.contains(perMillion) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return perMillion
    }

    /// A time with its unit, or 0, in microseconds.
    mutating func microseconds(_ entry: YAMLEntry, _ range: ClosedRange<Int>) -> Int? {
        let expected = "a time up to \(range.upperBound / 1000)ms, such as 500us or 2ms, or 0"
        guard let text = plainScalar(entry, expected) else { return nil }
        let unit = text.hasSuffix("us") ? 1 : text.hasSuffix("ms") ? 1000 : nil
        let digits = unit == nil ? text : String(text.dropLast(2))
        guard isWholeNumber(digits), let number = Int(digits), unit != nil || number == 0 else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        let (time, overflow) = number.multipliedReportingOverflow(by: unit ?? 1)
        guard !overflow, range.contains(time) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return time
    }

    /// A decimal without an exponent.
    mutating func number(
        _ entry: YAMLEntry, _ range: ClosedRange<Double>, unit: String? = nil, orZero: Bool = false
    ) -> Double? {
        let what = unit.map { "a number of \($0)" } ?? "a number"
        let expected = "\(what) from \(plain(range.lowerBound)) to \(plain(range.upperBound))\(orZero ? ", or 0" : "")"
        guard let text = plainScalar(entry, expected) else { return nil }
        guard let number = decimal(text), range.contains(number) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return number
    }

    mutating func seedValue(_ entry: YAMLEntry) -> UInt64? {
        let expected = "a whole number from 0 to \(UInt64.max)"
        guard let text = plainScalar(entry, expected) else { return nil }
        guard isWholeNumber(text), let number = UInt64(text) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return number
    }

    mutating func date(_ entry: YAMLEntry) -> TradeDate? {
        let expected = "a day of the calendar such as 2024-11-14"
        guard let text = scalar(entry, expected) else { return nil }
        guard let date = TradeDate(iso: text) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return date
    }

    mutating func word(_ entry: YAMLEntry, among words: [String], forms: String? = nil) -> String? {
        let expected = forms ?? list(words, last: "or")
        guard let text = scalar(entry, expected) else { return nil }
        guard words.contains(text) else {
            refuse(entry.value.line, entry.key, value: text, expected + suggestion(text, words))
            return nil
        }
        return text
    }

    mutating func word<Word: RawRepresentable<String> & CaseIterable>(_ entry: YAMLEntry, _: Word.Type) -> Word? {
        word(entry, among: Word.allCases.map(\.rawValue)).flatMap(Word.init(rawValue:))
    }

    /// A name becomes a folder and a column of a CSV, so its letters are few.
    mutating func identifier(_ entry: YAMLEntry) -> String? {
        let expected = "1 to 64 letters, digits, dots, dashes or underscores, the first a letter or a digit"
        guard let text = scalar(entry, expected) else { return nil }
        let first = text.first.map { $0.isLetter || $0.isNumber } ?? false
        guard first, text.count <= 64, text.allSatisfy(isNameLetter) else {
            refuse(entry.value.line, entry.key, value: text, expected)
            return nil
        }
        return text
    }

    mutating func string(_ entry: YAMLEntry) -> String? { scalar(entry, "text") }

    /// Text in any style that is not empty.
    mutating func scalar(_ entry: YAMLEntry, _ expected: String) -> String? {
        guard case .scalar(let text, let isPlain) = entry.value.content, !isNull(text, isPlain: isPlain) else {
            refuse(entry.value.line, entry.key, "\(expected), not \(form(of: entry.value))")
            return nil
        }
        return text
    }

    /// A scalar without quotes: the only one that is a number.
    mutating func plainScalar(_ entry: YAMLEntry, _ expected: String) -> String? {
        guard let text = scalar(entry, expected) else { return nil }
        guard case .scalar(_, isPlain: true) = entry.value.content else {
            refuse(entry.value.line, entry.key, value: text, "\(expected), not text in quotes")
            return nil
        }
        return text
    }
}

/// Millionths as the decimal that they are.
func parts(_ perMillion: Int64) -> String { plain(Double(perMillion) / 1_000_000) }

func isNull(_ text: String, isPlain: Bool) -> Bool {
    text.isEmpty || isPlain && ["~", "null", "Null", "NULL"].contains(text)
}

func form(of node: YAMLNode) -> String {
    switch node.content {
    case .scalar(let text, let isPlain): isNull(text, isPlain: isPlain) ? "an empty value" : "\"\(text.prefix(60))\""
    case .sequence(let items): items.isEmpty ? "an empty list" : "a list"
    case .mapping: "a mapping"
    }
}

func valueText(_ node: YAMLNode) -> String? {
    if case .scalar(let text, _) = node.content { text } else { nil }
}

/// Digits without a leading zero, which YAML 1.1 would read as octal, and with at most a minus before them.
func isWholeNumber(_ text: String) -> Bool {
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    return !digits.isEmpty && digits.utf8.allSatisfy { (48...57).contains($0) }
        && (digits == "0" || !digits.hasPrefix("0"))
}

/// Digits with at most one point among them: no exponent, no `nan`, no `inf`.
func decimal(_ text: String) -> Double? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }) else {
        return nil
    }
    return Double(text)
}

/// `0.05` is 50,000: digits, with a point and one to six more behind them or without. At most 9 in front are read.
private func millionths(_ text: String) -> Int64? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), decimal(text) != nil, parts[0].count <= 9, let whole = Int64(parts[0]) else {
        return nil
    }
    guard parts.count == 2 else { return whole * 1_000_000 }
    let digits = parts[1]
    guard digits.count <= 6, let fraction = Int64(digits + String(repeating: "0", count: 6 - digits.count)) else {
        return nil
    }
    return whole * 1_000_000 + fraction
}

func isNameLetter(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || "._-".contains(character))
}

func suggestion(_ word: String, _ words: [String]) -> String {
    nearestWord(to: word, among: words).map { "; did you mean \($0)?" } ?? ""
}

/// `a, b or c`.
func list(_ words: [String], last conjunction: String) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " \(conjunction) \(last)"
}
