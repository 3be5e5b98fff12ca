// What a statement's parameter can be.

/// A parameter of a statement. Parameters travel beside the statement, never inside it.
public enum PostgresValue: Sendable, Hashable {
    case null
    /// Sent in binary as a bigint: write `$1::bigint` where the statement would make it another type.
    case int64(Int64)
    /// Sent as text without a type, so that the statement decides: `$1::date` and `$1::decimal` work.
    case text(String)
    case bool(Bool)
    /// Sent in binary as bigint[].
    case int64Array([Int64])
    /// Sent in binary as text[].
    case textArray([String])
    /// Sent in binary as bytea.
    case bytes([UInt8])
}

/// How the values of a result travel.
public enum ResultFormat: Sendable {
    case text, binary

    var code: Int32 { self == .binary ? 1 : 0 }
}

/// The isolation levels that both databases know.
public enum IsolationLevel: String, Sendable, CaseIterable {
    case readCommitted = "READ COMMITTED"
    case repeatableRead = "REPEATABLE READ"
    case serializable = "SERIALIZABLE"
}
