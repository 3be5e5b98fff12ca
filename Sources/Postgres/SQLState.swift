// The five characters by which a server names what went wrong.

/// An SQLSTATE code, as PostgreSQL and CockroachDB send it.
public struct SQLState: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The first two characters, which name the class of the condition: "23" is an integrity constraint violation.
    public var classCode: Substring { rawValue.prefix(2) }
    public var description: String { rawValue }

    public static let connectionException = SQLState(rawValue: "08000")
    public static let connectionFailure = SQLState(rawValue: "08006")
    public static let transactionResolutionUnknown = SQLState(rawValue: "08007")
    public static let numericValueOutOfRange = SQLState(rawValue: "22003")
    public static let invalidTextRepresentation = SQLState(rawValue: "22P02")
    public static let badCopyFileFormat = SQLState(rawValue: "22P04")
    public static let notNullViolation = SQLState(rawValue: "23502")
    public static let foreignKeyViolation = SQLState(rawValue: "23503")
    public static let uniqueViolation = SQLState(rawValue: "23505")
    public static let checkViolation = SQLState(rawValue: "23514")
    public static let inFailedTransaction = SQLState(rawValue: "25P02")
    public static let idleInTransactionTimeout = SQLState(rawValue: "25P03")
    public static let serializationFailure = SQLState(rawValue: "40001")
    public static let statementCompletionUnknown = SQLState(rawValue: "40003")
    public static let deadlockDetected = SQLState(rawValue: "40P01")
    public static let insufficientPrivilege = SQLState(rawValue: "42501")
    public static let syntaxError = SQLState(rawValue: "42601")
    public static let undefinedTable = SQLState(rawValue: "42P01")
    public static let duplicateObject = SQLState(rawValue: "42710")
    public static let undefinedObject = SQLState(rawValue: "42704")
    public static let configurationLimitExceeded = SQLState(rawValue: "53400")
    public static let lockNotAvailable = SQLState(rawValue: "55P03")
    public static let objectInUse = SQLState(rawValue: "55006")
    public static let queryCanceled = SQLState(rawValue: "57014")
    public static let adminShutdown = SQLState(rawValue: "57P01")
    public static let crashShutdown = SQLState(rawValue: "57P02")
    public static let cannotConnectNow = SQLState(rawValue: "57P03")

    /// Conditions after which the server has closed the session, or refuses to open one for now.
    var endsSession: Bool {
        classCode == "08" || self == .adminShutdown || self == .crashShutdown || self == .cannotConnectNow
            || self == .idleInTransactionTimeout
    }
}
