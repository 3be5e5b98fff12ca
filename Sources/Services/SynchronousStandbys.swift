// For how many standbys a commit waits, as PostgreSQL's `synchronous_standby_names` says it without the names. A plain value.

/// A quorum, or the first of a list.
public struct SynchronousStandbys: Sendable, Hashable, CustomStringConvertible {
    public enum Choice: String, Sendable {
        /// Any so many of them.
        case any = "ANY"
        /// The first so many that stream, by number.
        case first = "FIRST"
    }

    public let choice: Choice
    public let count: Int

    public init(_ choice: Choice, _ count: Int) {
        precondition(count > 0, "commits wait for nobody by having no such value")
        self.choice = choice
        self.count = count
    }

    /// Reads `ANY 1` or `FIRST 2`; nil for anything else, the names of standbys included: those are the harness's.
    public init?(_ text: String) {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2, let choice = Choice(rawValue: String(words[0])), let count = Int(words[1]), count > 0,
            String(count) == words[1]
        else { return nil }
        self.init(choice, count)
    }

    public var description: String { "\(choice.rawValue) \(count)" }

    /// The same among fewer standbys; nil where none is left.
    func among(_ standbyCount: Int) -> SynchronousStandbys? {
        standbyCount == 0 ? nil : SynchronousStandbys(choice, min(count, standbyCount))
    }

    /// As the setting has it.
    func setting(of names: [String]) -> String { "\(self) (\(names.joined(separator: ", ")))" }
}
