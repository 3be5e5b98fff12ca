// What a run tells while it goes on. The runner makes these; whoever prints them decides how.

/// Which cell, of how many.
public struct CellPlace: Sendable, Equatable {
    /// From 1, in the order of the whole run; what a resumed run skips counts.
    public let index: Int
    public let count: Int
    public let configuration: String
    /// From 1.
    public let repetition: Int

    public init(index: Int, count: Int, configuration: String, repetition: Int) {
        self.index = index
        self.count = count
        self.configuration = configuration
        self.repetition = repetition
    }
}

/// Where a cell stands, about once a second.
public struct CellProgress: Sendable, Equatable {
    /// Messages whose effect is committed.
    public var messages: Int64
    /// Of how many; nil where that isn't known beforehand.
    public var messagesExpected: Int64?
    /// Over the last interval.
    public var ratePerSecond: Double
    /// Messages that are due and not committed.
    public var lagMessages: Int64
    public var retries: Int64

    public init(
        messages: Int64, messagesExpected: Int64?, ratePerSecond: Double, lagMessages: Int64, retries: Int64
    ) {
        self.messages = messages
        self.messagesExpected = messagesExpected
        self.ratePerSecond = ratePerSecond
        self.lagMessages = lagMessages
        self.retries = retries
    }
}

/// How a cell ended.
public struct CellSummary: Sendable, Equatable {
    public var isVerified: Bool
    /// Nil for a valid one.
    public var invalidReason: String?
    /// `20000 executions in 0.12 s, 166666/s, verified`.
    public var sentence: String
    /// The checks that found something, with their first differences.
    public var differences: [String]
    /// What is left of the run, from the cells so far.
    public var remaining: Duration
}

public enum RunEvent: Sendable {
    /// Something that was done or is worth knowing.
    case note(String)
    case cellStarted(CellPlace)
    case cellProgress(CellPlace, CellProgress)
    case cellFinished(CellPlace, CellSummary)
}
