// Faults that are not the user's input: a service that doesn't start, a feed that lost its slot.

/// Something outside this program failed in a foreseen way: one line that says what, and one that says the remedy.
public struct OperatingError: Error, Sendable, CustomStringConvertible {
    public let message: String
    public let remedy: String?

    public init(_ message: String, remedy: String? = nil) {
        self.message = message
        self.remedy = remedy
    }

    public var description: String { remedy.map { "\(message); \($0)" } ?? message }
}
