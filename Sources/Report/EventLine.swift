// One JSON object on one line, for programs that follow a run.

/// An event with its fields in the order given.
public struct EventLine: Sendable {
    private var members: [JSON.Member]

    /// - Parameter event: the word in the field `event`.
    public init(_ event: String) { members = [.init("event", .string(event))] }

    public mutating func add(_ name: String, _ value: String?) {
        members.append(.init(name, value.map(JSON.string) ?? .null))
    }

    public mutating func add(_ name: String, _ value: Int64?) {
        members.append(.init(name, value.map(JSON.integer) ?? .null))
    }

    public mutating func add(_ name: String, _ value: Bool) { members.append(.init(name, .bool(value))) }

    public mutating func add(_ name: String, _ values: [String]) {
        members.append(.init(name, .array(values.map(JSON.string))))
    }

    /// Without a line end.
    public var text: String {
        "{" + members.map { JSON.quoted($0.name) + ":" + compact($0.value) }.joined(separator: ",") + "}"
    }

    private func compact(_ value: JSON) -> String {
        if case .array(let items) = value { return "[" + items.map(compact).joined(separator: ",") + "]" }
        return String(value.text.dropLast())
    }
}
