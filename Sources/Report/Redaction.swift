// Keeps credentials out of what is published. Pure functions over text; where it is unclear whether a word belongs
// to a secret it is removed, because a manifest can lose a word but not take one back.

import Diagnostics

/// Takes secrets out of names, texts and command lines.
enum Redaction {
    static let mark = "(removed)"

    /// The value of a named setting.
    static func value(_ value: String, of key: String) -> String {
        isSecretName(key) ? mark : text(value)
    }

    /// Any text: `password=…` and `password: …` in it, and what stands between the `:` and the `@` of an address.
    static func text(_ text: String) -> String {
        assignments(in: userInfo(in: text))
    }

    /// Arguments as they were given, without the values of options like `--password`.
    static func arguments(_ arguments: [String]) -> [String] {
        var kept: [String] = []
        var removesNext = false
        for argument in arguments {
            kept.append(removesNext ? mark : text(argument))
            removesNext = argument.hasPrefix("-") && !argument.contains("=") && isSecretName(argument)
        }
        return kept
    }

    /// `scheme://user:secret@host` without the secret. The last `@` before a blank ends it, because a password that
    /// wasn't percent-encoded may hold one.
    private static func userInfo(in text: String) -> String {
        let pattern = #/(://[^\s:@/]*):\S*@/#
        return text.replacing(pattern) { match in "\(match.output.1):\(mark)@" }
    }

    /// `key=value` up to a blank outside quotes, as libpq cuts it; `key: value` to the end of the line, as YAML does.
    private static func assignments(in text: String) -> String {
        let pattern =
            #/
            (?<key>[A-Za-z0-9_.\-]+) (?<sign>["']?\s*=\s*|["']?\s*:\s+|["']\s*:\s*)
            (?<value> '(?:\\.|''|[^'\\])*' | "(?:\\.|[^"\\])*" | (?:\\.|[^\s\\])+ )
            (?<rest>[^\n]*)
            /#
        var result = ""
        var remaining = text[...]
        while let match = remaining.firstMatch(of: pattern) {
            result += remaining[..<match.range.lowerBound]
            guard isSecretName(match.output.key) else {
                // Goes on behind the key, because its value may hold assignments of its own.
                result += match.output.key
                remaining = remaining[match.output.key.endIndex...]
                continue
            }
            result += match.output.key + match.output.sign + mark
            let endsAtLine = match.output.sign.contains(":")
            remaining = remaining[(endsAtLine ? match.output.rest : match.output.value).endIndex...]
        }
        return result + remaining
    }
}
