// What a user reads when their input is refused: one line per fault that names the file, the line, the field,
// the value and what was expected. No throwing code here and no I/O: callers collect faults and throw once.

/// One fault in something a user gave us: a file, a flag or a key.
public struct InputFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file, or the command-line flag, the fault is in.
    public let source: String
    /// Line in the file, from 1; nil where lines mean nothing.
    public let line: Int?
    /// Column name or key; nil where the fault is the whole line.
    public let field: String?
    /// The value as it stood, shortened to 60 characters.
    public let value: String?
    /// What was expected instead, in words that fit after "expected".
    public let expected: String

    public init(source: String, line: Int? = nil, field: String? = nil, value: String? = nil, expected: String) {
        self.source = source
        self.line = line
        self.field = field
        self.value = value.map { $0.count > 60 ? String($0.prefix(57)) + "..." : $0 }
        self.expected = expected
    }

    /// `prices/ABBV.csv:17: High: "12,5": expected a price such as 12.50`
    public var description: String {
        var text = source
        if let line { text += ":\(line)" }
        if let field { text += ": \(field)" }
        if let value { text += ": \"\(value)\"" }
        return text + ": expected " + expected
    }
}

/// All the faults of one input, found in one go.
public struct InputError: Error, Sendable, CustomStringConvertible {
    public let faults: [InputFault]
    /// How many more there were than `faults` holds; nil when the reader stopped counting.
    public let omittedCount: Int

    public init(_ faults: [InputFault], omittedCount: Int = 0) {
        self.faults = faults
        self.omittedCount = omittedCount
    }

    public init(_ fault: InputFault) {
        self.init([fault])
    }

    public var description: String {
        var lines = faults.map(\.description)
        if omittedCount > 0 { lines.append("... and \(omittedCount) more faults") }
        return lines.joined(separator: "\n")
    }
}
