// Every failure of this module, as a value: what the server said, and whether it makes sense to try again.

/// What a server or libpq refused to do, and in which state that leaves the caller.
public struct PostgresError: Error, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The server's code; nil where libpq failed by itself.
    public var sqlState: SQLState?
    public var message: String
    public var detail: String?
    public var hint: String?
    /// The constraint that was violated, where the server names one.
    public var constraint: String?
    /// The statement that failed; shown by `debugDescription` only.
    public var statement: String?
    /// Whether the session is gone: nothing more can be asked on this connection.
    public var isConnectionLost: Bool
    /// Whether a statement that commits was on its way when the connection was lost.
    var isLostWhileCommitting: Bool

    public init(
        sqlState: SQLState? = nil, message: String, detail: String? = nil, hint: String? = nil,
        constraint: String? = nil, statement: String? = nil, isConnectionLost: Bool = false,
        isLostWhileCommitting: Bool = false
    ) {
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
        self.hint = hint
        self.constraint = constraint
        self.statement = statement
        self.isConnectionLost = isConnectionLost
        self.isLostWhileCommitting = isLostWhileCommitting
    }

    /// Whether the same transaction, started anew, may well succeed and can't have had an effect so far.
    /// A unique violation is never among these: the key it found may be our own, from an attempt that did commit.
    public var isRetryable: Bool {
        !isAmbiguous && (sqlState == .serializationFailure || sqlState == .deadlockDetected)
    }

    /// Whether the tables refuse a value (classes 22 and 23): repeating the same statements can't help, and of 23505 least of all.
    public var isDataError: Bool {
        guard let sqlState else { return false }
        return sqlState.classCode == "22" || sqlState.classCode == "23"
    }

    /// Whether the effect may or may not be in the database; only a look at it can tell.
    public var isAmbiguous: Bool {
        sqlState == .statementCompletionUnknown || sqlState == .transactionResolutionUnknown
            || (isConnectionLost && isLostWhileCommitting)
    }

    public var description: String {
        var text = sqlState.map { "\($0.rawValue): \(message)" } ?? message
        if let detail { text += "; detail: \(detail)" }
        if let hint { text += "; hint: \(hint)" }
        return text
    }

    public var debugDescription: String { statement.map { "\(description); statement: \($0)" } ?? description }
}
