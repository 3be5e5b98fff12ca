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

/// Where the load of a cell stands: once a second, and when it is over.
public struct CellProgress: Sendable, Equatable {
    /// What is counted: messages of stage allocate, executions of stage execute, requests of stage route.
    public enum Unit: String, Sendable {
        case messages, executions, requests
    }

    public var unit: Unit
    /// How many of them are committed.
    public var done: Int64
    /// Of how many; nil where that isn't known beforehand.
    public var expected: Int64?
    /// Over the last interval.
    public var ratePerSecond: Double
    /// Messages that are due and not committed; nil where nothing falls due.
    public var lag: Int64?
    /// Failed attempts that were repeated.
    public var retries: Int64
    /// Connections lost and found again, messages parked or rejected.
    public var errors: Int64
    /// Since the load began.
    public var elapsed: Duration
    /// Whether the cell ends with what is expected; a probe of a search is only a part of one.
    public var isWholeCell = true

    public init(
        unit: Unit, done: Int64, expected: Int64?, ratePerSecond: Double, lag: Int64?, retries: Int64, errors: Int64,
        elapsed: Duration, isWholeCell: Bool = true
    ) {
        self.unit = unit
        self.done = done
        self.expected = expected
        self.ratePerSecond = ratePerSecond
        self.lag = lag
        self.retries = retries
        self.errors = errors
        self.elapsed = elapsed
        self.isWholeCell = isWholeCell
    }

    /// How much of the cell's load is done, from 0 to 1; nil where that isn't known.
    var share: Double? {
        guard isWholeCell, let expected, expected > 0 else { return nil }
        return min(1, Double(done) / Double(expected))
    }

    /// `838 of 1500 messages, 499/s, lag 4, 0 retries, 0 errors`.
    public var sentence: String {
        let share = expected.map { " of \($0)" } ?? ""
        let lag = lag.map { ", lag \($0)" } ?? ""
        return "\(done)\(share) \(unit.rawValue), \(Int(ratePerSecond))/s\(lag), \(retries) retries, \(errors) errors"
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

    var isGood: Bool { isVerified && invalidReason == nil }
}

/// How far a run is, and what went wrong in it so far.
public struct RunStanding: Sendable, Equatable {
    /// Cells that have ended, those that a resumed run found finished included.
    public var cellsDone = 0
    /// The one under way included.
    public var cellsLeft = 0
    /// Cells of this process that failed verification or are INVALID.
    public var badCells = 0
    /// Of all cells of this process, the one under way included.
    public var retries: Int64 = 0
    public var errors: Int64 = 0
    /// Until the last cell has ended; nil while nothing says how long.
    public var remaining: Duration?

    public init() {}

    /// `; about 40 s left`, or nothing.
    public var remainingWords: String {
        guard let remaining, remaining >= .seconds(1) else { return "" }
        let seconds = remaining.components.seconds
        return seconds < 100 ? "; about \(seconds) s left" : "; about \((seconds + 30) / 60) min left"
    }
}

public enum RunEvent: Sendable {
    /// Something that was done or is worth knowing.
    case note(String)
    case cellStarted(CellPlace)
    case cellProgress(CellPlace, CellProgress, RunStanding)
    case cellFinished(CellPlace, CellSummary, RunStanding)
}
