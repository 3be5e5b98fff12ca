// The command line: a verb, its flags and its operands. Everything wrong with it is told before anything starts.

import Diagnostics

/// A flag of a verb, as `--help` shows it.
struct Flag: Sendable {
    let name: String
    /// What stands for its value in the help; nil for a flag without one.
    let value: String?
    let help: String
    /// Whether `''` means something.
    let mayBeEmpty: Bool
    /// Whether the value may be left out; the flag then has an empty one.
    let isValueOptional: Bool
    /// Whether it may be given more than once.
    let isRepeatable: Bool
    /// The only values that there are; empty where these aren't a few words.
    let words: [String]

    init(
        _ name: String, _ value: String? = nil, _ help: String, mayBeEmpty: Bool = false, isValueOptional: Bool = false,
        isRepeatable: Bool = false, words: [String] = []
    ) {
        self.isRepeatable = isRepeatable
        self.words = words
        self.name = name
        self.value = value
        self.help = help
        self.mayBeEmpty = mayBeEmpty || isValueOptional
        self.isValueOptional = isValueOptional
    }

    /// What is said where the value is missing.
    fileprivate var valueFault: InputFault {
        InputFault(source: name, expected: "a value: \(words.isEmpty ? value ?? "" : oneOf(words))")
    }
}

/// `a, b or c`.
func oneOf(_ words: [String]) -> String {
    guard words.count > 1, let last = words.last else { return words.joined() }
    return "\(words.dropLast().joined(separator: ", ")) or \(last)"
}

/// A verb: what `--help` says of it, and what it does.
struct Verb: Sendable {
    let name: String
    let summary: String
    /// Operands, as the help shows them, such as `FILE`; those in brackets may be left out, and stand last.
    var operands: [String] = []
    /// How many there may be; nil where the help shows each of them.
    var operandCount: ClosedRange<Int>?
    var flags: [Flag] = []
    /// Returns the exit status.
    let run: @Sendable (ParsedArguments) throws -> ExitStatus

    func parse(_ arguments: [String]) throws(InputError) -> ParsedArguments {
        var faults: [InputFault] = []
        var values: [String: String] = [:]
        var repeated: [String: [String]] = [:]
        var operandsFound: [String] = []
        var index = 0
        var hasUnknownFlag = false
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            guard argument.hasPrefix("-"), argument != "-" else {
                operandsFound.append(argument)
                continue
            }
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            guard let flag = flags.first(where: { $0.name == parts[0] }) else {
                let near = nearestWord(to: parts[0], among: flags.map(\.name) + ["--help"])
                faults.append(
                    InputFault(
                        source: "allocbench \(name)", value: parts[0],
                        expected: near ?? "a flag of this verb (allocbench \(name) --help)"))
                hasUnknownFlag = true
                continue
            }
            if values[flag.name] != nil, !flag.isRepeatable {
                faults.append(InputFault(source: flag.name, expected: "to be given once"))
            }
            if flag.value == nil {
                if parts.count == 2 {
                    faults.append(InputFault(source: flag.name, value: parts[1], expected: "no value"))
                }
                values[flag.name] = ""
            } else if parts.count == 2 {
                values[flag.name] = parts[1]
            } else if index < arguments.count, !arguments[index].hasPrefix("--") {
                values[flag.name] = arguments[index]
                index += 1
            } else if flag.isValueOptional {
                values[flag.name] = ""
            } else {
                faults.append(flag.valueFault)
            }
            if flag.isRepeatable, let value = values[flag.name] { repeated[flag.name, default: []].append(value) }
        }
        for flag in flags where flag.value != nil && !flag.mayBeEmpty && values[flag.name] == "" {
            faults.append(flag.valueFault)
        }
        // Behind a flag that isn't known, a value can't be told from an operand.
        let required = operands.count { !$0.hasPrefix("[") }
        let count = operandCount ?? required...operands.count
        if !count.contains(operandsFound.count), !hasUnknownFlag {
            faults.append(
                InputFault(
                    source: "allocbench \(name)",
                    value: operandsFound.isEmpty ? nil : operandsFound.joined(separator: " "),
                    expected: operands.isEmpty ? "no operand" : operands.joined(separator: " ")))
        }
        if !faults.isEmpty { throw InputError(faults) }
        return ParsedArguments(values: values, repeated: repeated, operands: operandsFound)
    }

    var helpText: String {
        let usage = (["usage: allocbench \(name)"] + operands + (flags.isEmpty ? [] : ["[flags]"])).joined(
            separator: " ")
        let left = flags.map { flag in
            "  \(flag.name)" + (flag.value.map { flag.isValueOptional ? " [\($0)]" : " \($0)" } ?? "")
        }
        let width = (left.map(\.count).max() ?? 0) + 2
        let lines = zip(left, flags).map { $0 + String(repeating: " ", count: width - $0.count) + $1.help }
        return ([usage, "", summary] + (lines.isEmpty ? [] : [""] + lines)).joined(separator: "\n")
    }
}

/// What the process ends with.
enum ExitStatus: Int32 {
    case success = 0
    /// Something outside failed: a service, a connection, a file that can't be written.
    case failure = 1
    /// The command line, a scenario or a data file is wrong; nothing was done.
    case badInput = 2
    /// Verification found differences: there is no result.
    case differencesFound = 3
    /// A gate of the scenario was missed: every run is right, and too slow.
    case gateFailed = 4
    /// The harness was the limit of a run: it says nothing about the database.
    case invalidRuns = 5
    /// Ended by Ctrl-C or TERM.
    case interrupted = 130

    static let help = """
        exit status: 0 success; 1 a service, connection or file failed; 2 wrong input, nothing was done;
        3 verification found differences; 4 a gate was missed; 5 a run is invalid: the harness was the limit;
        130 interrupted
        """
}

/// Flags and operands, each flag known to its verb.
struct ParsedArguments {
    private let values: [String: String]
    private let repeated: [String: [String]]
    let operands: [String]

    init(values: [String: String], repeated: [String: [String]] = [:], operands: [String]) {
        self.values = values
        self.repeated = repeated
        self.operands = operands
    }

    func text(_ flag: String) -> String? { values[flag] }
    /// All values of a flag that may be given more than once.
    func texts(_ flag: String) -> [String] { repeated[flag] ?? [] }
    func has(_ flag: String) -> Bool { values[flag] != nil }

    func integer(_ flag: String, in range: ClosedRange<Int>) throws(InputError) -> Int? {
        guard let text = values[flag] else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw InputError(
                InputFault(
                    source: flag, value: text,
                    expected: "a whole number from \(range.lowerBound) to \(range.upperBound)"))
        }
        return value
    }

    /// A number whose range is checked later, together with what it must fit.
    func integer(_ flag: String) throws(InputError) -> Int? {
        guard let text = values[flag] else { return nil }
        guard let value = Int(text) else {
            throw InputError(InputFault(source: flag, value: text, expected: "a whole number"))
        }
        return value
    }

    func seed() throws(InputError) -> UInt64? {
        guard let text = values["--seed"] else { return nil }
        guard let value = UInt64(text) else {
            throw InputError(
                InputFault(source: "--seed", value: text, expected: "a whole number from 0 to \(UInt64.max)"))
        }
        return value
    }

    func rate(_ flag: String) throws(InputError) -> Double? {
        guard let text = values[flag] else { return nil }
        guard let value = Double(text), value >= 0.001, value <= 1e9 else {
            throw InputError(InputFault(source: flag, value: text, expected: "a rate per second above 0"))
        }
        return value
    }

    /// A decimal from 0 to 1, in millionths.
    func probabilityPpm(_ flag: String) throws(InputError) -> Int64? {
        guard let text = values[flag] else { return nil }
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let decimals = parts.count == 2 ? parts[1] : "0"
        let digits = (parts[0] + decimals).utf8
        let isDecimal = !parts[0].isEmpty && !decimals.isEmpty && decimals.utf8.count <= 6 && digits.count <= 9
        guard isDecimal, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let whole = Int64(parts[0]),
            let part = Int64(decimals + String(repeating: "0", count: 6 - decimals.utf8.count)),
            whole * 1_000_000 + part <= 1_000_000
        else {
            throw InputError(
                InputFault(
                    source: flag, value: text,
                    expected: "a probability from 0 to 1 with at most six decimals, such as 0.05"))
        }
        return whole * 1_000_000 + part
    }

    func word<Word: RawRepresentable & CaseIterable>(
        _ flag: String, _: Word.Type
    ) throws(InputError) -> Word? where Word.RawValue == String {
        guard let text = values[flag] else { return nil }
        if let word = Word(rawValue: text) { return word }
        let words = Word.allCases.map(\.rawValue)
        let near = nearestWord(to: text, among: words).map { " (did you mean \($0)?)" } ?? ""
        throw InputError(
            InputFault(source: flag, value: text, expected: "one of \(words.joined(separator: ", "))\(near)"))
    }
}
