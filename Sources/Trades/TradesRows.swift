// The rows of the trades stage as Swift sees them.

public import Measurement
public import Model

/// A block order to be filled, with the day's price range of its security.
public struct FillableBlock: Sendable, Equatable {
    public let id: BlockOrderID
    public let code: String
    public let side: Side
    /// Shares, above 0.
    public let quantity: Int64
    public let low: Price
    public let high: Price

    public init(id: BlockOrderID, code: String, side: Side, quantity: Int64, low: Price, high: Price) {
        self.id = id
        self.code = code
        self.side = side
        self.quantity = quantity
        self.low = low
        self.high = high
    }
}

/// How often something else happens than a fill, in millionths.
public struct EventRates: Sendable, Equatable {
    /// Chance of a trade to be busted.
    public var bustPpm: Int64
    /// Chance of a block order that another quantity is requested for it, once or more often.
    public var replacePpm: Int64
    /// Chance of a block order to be canceled before it is filled.
    public var cancelPpm: Int64

    public static let none = EventRates()

    public init(bustPpm: Int64 = 0, replacePpm: Int64 = 0, cancelPpm: Int64 = 0) {
        self.bustPpm = bustPpm
        self.replacePpm = replacePpm
        self.cancelPpm = cancelPpm
    }
}

/// What happens to a block order, as it is drawn: an execution report without its key, or a request that is rejected.
public struct DrawnEvent: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case trade(quantity: Int64, price: Price)
        /// Reverses the trade that was drawn as event `of`; nil is an execution that never was.
        case bust(of: Int64?)
        case canceled
        case replaced
        /// A request for fewer shares than are filled. It makes no report.
        case replaceRejected(requestedQuantity: Int64)
    }

    /// Its place in the drawing, from 0.
    public let ordinal: Int64
    /// Position of its block in the list that was drawn from.
    public let block: Int
    public let kind: Kind
    /// Where the order stands after the event.
    public let orderVersion: Int64
    public let orderQuantity: Int64
    public let cumQuantity: Int64
    /// Microseconds since the session opened.
    public let sessionTimeUs: Int64

    /// Busts of executions that never were name numbers from here on, far above what is ever drawn.
    public static let unknownExecutionBase: Int64 = 1 << 62

    /// The report of this event; nil for a rejected request.
    /// - Parameter id: the key of the event with an ordinal.
    public func execution(of blocks: [FillableBlock], id: (Int64) -> ExecutionID) -> Execution? {
        let own = id(ordinal)
        func report(
            _ type: ExecType, reference: ExecutionID? = nil, quantity: Int64 = 0, price: Price = Price(ticks: 0)
        ) -> Execution {
            Execution(
                id: own, type: type, reference: reference, blockOrder: blocks[block].id, orderVersion: orderVersion,
                orderQuantity: orderQuantity, quantity: quantity, price: price)
        }
        switch kind {
        case .trade(let quantity, let price): return report(.trade, quantity: quantity, price: price)
        case .bust(let of):
            // With the bust's own key in it, no two busts name the same unknown execution.
            return report(
                .tradeCancel, reference: of.map(id) ?? ExecutionID(Self.unknownExecutionBase + own.rawValue))
        case .canceled: return report(.canceled)
        case .replaced: return report(.replaced)
        case .replaceRejected: return nil
        }
    }
}

/// The state in which a block order ended.
public struct BlockOutcome: Sendable, Equatable {
    /// Filled or canceled.
    public let ordStatus: OrdStatus
    public let orderVersion: Int64
    public let orderQuantity: Int64
    public let cumQuantity: Int64
    public let leavesQuantity: Int64
    /// Rounded to the tick, halves up; 0 without a live execution.
    public let averagePrice: Price
}

/// How often each kind of event was drawn.
public struct EventCounts: Sendable, Equatable {
    public var trades: Int64 = 0
    /// Those of unknown and of already busted executions included.
    public var busts: Int64 = 0
    public var cancels: Int64 = 0
    public var replaces: Int64 = 0
    /// Requests without a report.
    public var rejectedRequests: Int64 = 0

    public init() {}

    /// Rows of `trades.executions`.
    public var reports: Int64 { trades + busts + cancels + replaces }

    mutating func add(_ other: EventCounts) {
        trades += other.trades
        busts += other.busts
        cancels += other.cancels
        replaces += other.replaces
        rejectedRequests += other.rejectedRequests
    }

    /// What is here and wasn't in `earlier`, a part of it.
    func subtracting(_ earlier: EventCounts) -> EventCounts {
        var rest = self
        rest.trades -= earlier.trades
        rest.busts -= earlier.busts
        rest.cancels -= earlier.cancels
        rest.replaces -= earlier.replaces
        rest.rejectedRequests -= earlier.rejectedRequests
        return rest
    }

    public mutating func note(_ event: DrawnEvent) {
        switch event.kind {
        case .trade: trades += 1
        case .bust: busts += 1
        case .canceled: cancels += 1
        case .replaced: replaces += 1
        case .replaceRejected: rejectedRequests += 1
        }
    }
}

/// How long it took to write executions.
public struct ExecutionFigures: Sendable, Equatable {
    /// Per execution report: how late the transaction that wrote it began, from its intended arrival or the answer of the
    /// commit before, whichever was later, in nanoseconds. The executor's own delay: a database that takes long to commit isn't
    /// in it. Empty without a schedule, as the next two are.
    public var scheduleLag = Histogram()
    /// The same from its intended arrival alone, the wait for the commit before included.
    public var dueToBegun = Histogram()
    /// From its intended arrival to the answer of its commit.
    public var dueToCommitted = Histogram()
    /// Per transaction: from its begin to the answer of its commit, in nanoseconds.
    public var transactionLatency = Histogram()
    public var transactionCount: Int64 = 0
    /// From when the schedule counts, on the monotonic clock; 0 if nothing was to be written.
    public var startTime: Int64 = 0
    /// When the last commit was answered; 0 if nothing was written.
    public var lastCommitTime: Int64 = 0
    /// When writing went on behind a lost connection: what was due before waited for the database.
    var resumedTime: Int64 = 0

    public init() {}

    /// Notes a transaction of which the commit was answered.
    /// - Parameters:
    ///   - dues: the intended arrivals of its execution reports; empty without a schedule.
    ///   - window: which of them count in the histograms by message; nil for all.
    mutating func noteTransaction(dues: [Int64], began: Int64, committed: Int64, window: MeasuredWindow? = nil) {
        let measured = window?.membership(at: committed)
        for due in dues where measured?.contains(arrival: due) ?? true {
            scheduleLag.record(began - max(due, lastCommitTime, resumedTime))
            dueToBegun.record(began - due)
            dueToCommitted.record(committed - due)
        }
        lastCommitTime = committed
        transactionLatency.record(committed - began)
        transactionCount += 1
    }

    /// From the start to the last commit.
    public var elapsedNanoseconds: Int64 { lastCommitTime == 0 ? 0 : lastCommitTime - startTime }
}

/// What drawing executions did.
public struct ExecutionSummary: Sendable, Equatable {
    /// What was written now, by kind.
    public let written: EventCounts
    /// Execution reports of the date that stood there before.
    public let resumedCount: Int64
    public let firstExecution: ExecutionID
    /// Whether every block order is filled or canceled.
    public let isComplete: Bool
    public let figures: ExecutionFigures

    /// Execution reports written now.
    public var writtenCount: Int64 { written.reports }
}
