// What must be in the tables, computed from the messages by the definitions. This module imports nothing, neither the engine
// nor the shared model, so that no mistake of theirs can be repeated here by calling them. Pure values, on any thread.

/// One row of `trades.executions`, as plain numbers.
public struct ExecutionReport: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case trade(quantity: Int64, priceTicks: Int64)
        /// The execution that never happened.
        case bust(of: Int64)
        case cancel(version: Int64, orderQuantity: Int64)
        case replace(version: Int64, orderQuantity: Int64)
    }

    public var id: Int64
    public var block: Int64
    public var kind: Kind

    public init(id: Int64, block: Int64, kind: Kind) {
        self.id = id
        self.block = block
        self.kind = kind
    }
}

/// The blocks with the accounts behind them, and what the messages seen so far make of them.
public struct AllocationOracle: Sendable {
    /// By block.
    public private(set) var blocks: [Int64: BlockTruth]
    /// Executions of which a bust was seen.
    public private(set) var bustedExecutions: Set<Int64> = []

    public init(blocks: [BlockOrder]) {
        self.blocks = Dictionary(uniqueKeysWithValues: blocks.map { ($0.id, BlockTruth($0)) })
    }

    /// Takes a whole list of messages, in any order and with any repetition.
    public init(blocks: [BlockOrder], reports: some Sequence<ExecutionReport>) {
        self.init(blocks: blocks)
        var seen: Set<Int64> = []
        let once = reports.filter { seen.insert($0.id).inserted }
        for report in once { noteChange(report) }
        for report in once { countTrade(report) }
    }

    public var blockIDs: [Int64] { blocks.keys.sorted() }

    /// Notes a bust, cancel or replace; repeating it changes nothing. Trades are left to `countTrade`.
    public mutating func noteChange(_ report: ExecutionReport) {
        switch report.kind {
        case .trade: break
        case .bust(let execution): bustedExecutions.insert(execution)
        case .cancel(let version, let quantity):
            blocks[report.block]?.note(version: version, orderQuantity: quantity, isCancel: true)
        case .replace(let version, let quantity):
            blocks[report.block]?.note(version: version, orderQuantity: quantity, isCancel: false)
        }
    }

    /// Counts a trade, unless it is busted. Every bust must have been noted before, and no trade may come twice: so a
    /// stream of any length is judged without remembering its executions.
    public mutating func countTrade(_ report: ExecutionReport) {
        guard case .trade(let quantity, let priceTicks) = report.kind, !bustedExecutions.contains(report.id) else {
            return
        }
        blocks[report.block]?.count(quantity: quantity, priceTicks: priceTicks)
    }
}
