// The SQL of a worker: its prepared statements, its partitions' offset rows, and what it must know before it starts.
// Used by one worker on that worker's thread.

import Diagnostics
import Model
import Postgres

/// One worker's door to the allocations schema.
struct AllocationsStore {
    let connection: PostgresConnection
    let topic: String
    /// What is repeated when the server asks for it.
    let retryMethod: RetryMethod
    /// How often what is read outside of transactions is read again when the server breaks it off.
    let retry: RetryPolicy
    /// Of the session; transactions of the workers have it.
    let isolation: Isolation
    /// Whether nobody else fills this worker's blocks, and the server takes what is sent up to a sync for one transaction: of
    /// PostgreSQL that is documented. By time a snapshot is due when the clock says so, whatever came.
    let foreseesBlocks: Bool

    private static let prepareScript = SQLScript(embedded: PackageResources.prepare_sql)
    private static let rowScript = SQLScript(embedded: PackageResources.row_sql)

    /// Connects and prepares every statement of the mode.
    /// - Parameter idleTransactionLimitMs: of a member of a group: after how long the server ends a transaction whose worker
    ///   stands still; also, its partitions may be taken over at any moment, so that every statement of mode row is fenced.
    static func connect(
        to info: ConnectionInfo, topic: String, configuration: Configuration,
        cockroach: CockroachSettings = CockroachSettings(), retry: RetryPolicy = RetryPolicy(),
        idleTransactionLimitMs: Int64? = nil
    ) throws -> AllocationsStore {
        let connection = try PostgresConnection.connect(to: info, applicationName: "allocbench worker")
        try connection.nameDatabase()
        try connection.preferKeys()
        try connection.execute("SET default_transaction_isolation = '\(configuration.isolation.sql.lowercased())'")
        try AllocationsSource.setSynchronousCommit(configuration.synchronousCommit, on: connection)
        if let limit = idleTransactionLimitMs {
            try connection.execute("SET idle_in_transaction_session_timeout = '\(limit)ms'")
        }
        var isByTime = false
        if case .interval = configuration.snapshots { isByTime = true }
        let store = AllocationsStore(
            connection: connection, topic: topic, retryMethod: cockroach.retry, retry: retry,
            isolation: configuration.isolation,
            foreseesBlocks: !isByTime && configuration.topicKey != .execution && connection.dialect == .postgresql
                && cockroach.retry == .transaction)
        var names = ["take_snapshots", "lock_blocks", "park_block", "park_message", "move_offset"]
        switch configuration.mode {
        case .row:
            names = ["park_block", "park_message", "move_offset"]
            let fence = idleTransactionLimitMs == nil ? [:] : ["fence": "fence_held"]
            for name in rowScript.names {
                try connection.prepare(name, rowScript.statement(name, replacing: fence))
            }
        case .concurrent, .adaptive, .batch:
            names += ["fill_trades", "capture_and_fill"]
            if store.foreseesBlocks { names += WorkerStatements.foreseen }
        case .cycle:
            names += ["stage", "capture_and_fill_staged"]
            if store.foreseesBlocks { names += WorkerStatements.foreseenCycle }
        }
        // Only workers that may have blocks in common lock them in an order: for the others it would be work for nothing.
        let parts = configuration.topicKey == .execution ? ["blocks": "blocks_in_order"] : [:]
        for name in names {
            try connection.prepare(
                name, WorkerStatements.script.statement(name, replacing: parts, for: connection.dialect))
        }
        for one in WorkerStatements.oneRow where names.contains(one.original) {
            try connection.prepare(
                one.name, WorkerStatements.script.statement(one.original, replacing: one.parts, for: connection.dialect)
            )
        }
        try connection.prepare("begin", "BEGIN")
        try connection.prepare("commit", "COMMIT")
        if cockroach.retry == .savepoint {
            for name in ["begin_retryable", "restart", "end_retryable"] {
                try connection.prepare(name, ServerStatements.statement(name, for: connection.dialect))
            }
        }
        // Last, so that only what a worker repeats is disturbed.
        if cockroach.injectsRetryErrors { try connection.injectRetryErrors() }
        return store
    }

    /// Takes a partition over: raises its epoch, so that whoever had it can change nothing any more.
    func claim(partition: Int32) throws -> (epoch: Int64, nextOffset: Int64) {
        let claim = { (connection: PostgresConnection) throws in
            try connection.query(
                Self.prepareScript["claim_partition"], .text(topic), .int64(Int64(partition)))
        }
        let result: QueryResult
        switch connection.dialect {
        case .postgresql:
            // At a stricter level than this the claim would fail whenever the old owner has just moved the row.
            result = try connection.transaction(isolation: .readCommitted, body: claim)
        case .cockroachdb:
            // That level may be switched off there; a statement that is a transaction by itself the server repeats by itself,
            // as far as it can.
            result = try repeating { try claim(connection) }
        }
        guard result.rowCount == 1 else {
            throw OperatingError(
                "allocations.consumer_offsets has no row for topic \(topic) partition \(partition)",
                remedy: "prepare the allocations tables for this topic")
        }
        return (result.int64(0, 0), result.int64(0, 1))
    }

    /// Where the partition stands now; nil if its row is gone.
    func offset(of partition: Int32) throws -> (epoch: Int64, nextOffset: Int64)? {
        let result = try read("read_offset", .text(topic), .int64(Int64(partition)))
        return result.rowCount == 1 ? (result.int64(0, 0), result.int64(0, 1)) : nil
    }

    /// Where each partition of the topic stands now.
    func offsets() throws -> [Int32: Int64] {
        let result = try read("read_offsets", .text(topic))
        return Dictionary(
            uniqueKeysWithValues: (0..<result.rowCount).map { (Int32(result.int64($0, 0)), result.int64($0, 1)) })
    }

    /// Blocks, by position in the book, of which messages came by these partitions.
    func partitions(ofBlocksIn partitions: [Int32], book: BlockBook) throws -> [(block: Int, partition: Int32)] {
        let result = try read("partitions_of_blocks", .int64Array(partitions.map { Int64($0) }))
        return (0..<result.rowCount).compactMap { row in
            book.position(of: BlockOrderID(result.int64(row, 0))).map { ($0, Int32(result.int64(row, 1))) }
        }
    }

    /// Executions captured for the first time from these offsets.
    func capturedCount(partition: Int32, offsets: Range<Int64>) throws -> Int64 {
        try read(
            "captured_count", .int64(Int64(partition)), .int64(offsets.lowerBound), .int64(offsets.upperBound)
        ).int64(0, 0)
    }

    /// Every block that something has happened to, by its position in the book.
    func blockStates(of book: BlockBook) throws -> [(block: Int, state: BlockState)] {
        let result = try read("block_states")
        return try (0..<result.rowCount).compactMap { row in
            try book.position(of: BlockOrderID(result.int64(row, 0))).map {
                ($0, try BlockState(result.rows, row: row, column: 0))
            }
        }
    }

    /// Codes of the blocks that wait for someone to look at a message of theirs.
    func parkedBlocks() throws -> Set<String> {
        let result = try read("parked_blocks")
        return Set((0..<result.rowCount).compactMap { result.text($0, 0) })
    }

    /// What another mode left half done can only be finished by that mode; say so instead of losing it.
    func requireNothingUnfinished(of mode: Mode, partitions: [Int32]) throws {
        if mode != .row {
            let unfilled = try read("unfilled_count").int64(0, 0)
            let halfWritten = try read("half_written_count").int64(0, 0)
            if unfilled > 0 || halfWritten > 0 {
                throw OperatingError(
                    "mode row left \(unfilled) captured trades unfilled and \(halfWritten) snapshots half written",
                    remedy: "go on with mode row")
            }
        }
        if mode != .cycle {
            let staged = try stagedCount(partitions: partitions)
            if staged > 0 {
                throw OperatingError("mode cycle left \(staged) staged messages", remedy: "go on with mode cycle")
            }
        }
    }

    /// Stages trades, which `body` writes, and moves the partition's offset, in one transaction.
    /// - Throws: a data error as well if the offset isn't `expected`, or the partition belongs to another worker.
    func stage(
        from partition: Int32, epoch: Int64, expected: Int64, next: Int64, body: (inout CopyWriter) throws -> Void
    ) throws {
        // What one message of the simple protocol holds is one transaction. Kafka allows no quotes in names of topics.
        let advance = "EXECUTE advance_offset('\(topic)', \(partition), \(epoch), \(expected), \(next))"
        try connection.copyIn("\(advance);\n\(WorkerStatements.script["copy_staged"])", body: body)
    }

    /// Messages that wait for the next cycle.
    func stagedCount(partitions: [Int32]) throws -> Int64 {
        try read(WorkerStatements.script, "staged_count", [.int64Array(partitions.map { Int64($0) })]).int64(0, 0)
    }

    // MARK: Reading

    private func read(_ name: String, _ parameters: PostgresValue...) throws -> QueryResult {
        try read(Self.prepareScript, name, parameters)
    }

    /// Reads, outside of a transaction, what others write meanwhile: never given up because of them. A transaction of a worker
    /// is repeated as a unit of work; around this there is none that could be.
    private func read(_ script: SQLScript, _ name: String, _ parameters: [PostgresValue]) throws -> QueryResult {
        let statement = script[name]
        return try repeating {
            guard isolation == .serializable, connection.dialect == .postgresql else {
                return try connection.query(statement, parameters: parameters)
            }
            // Under SERIALIZABLE even who only reads may be broken off, each time anew as long as others write.
            try connection.begin(isolation: .readCommitted)
            let result: QueryResult
            do {
                result = try connection.query(statement, parameters: parameters)
            } catch {
                if connection.isInTransaction { try? connection.rollback() }
                throw error
            }
            // Not COMMIT: there is nothing to be in doubt about if the connection is lost here.
            try connection.rollback()
            return result
        }
    }

    /// Repeats what the server breaks off, as the retry policy says.
    private func repeating<R>(_ body: () throws -> R) throws -> R {
        var attempt = 1
        while true {
            do {
                return try body()
            } catch let error as PostgresError where error.isRetryable && attempt < retry.maxAttempts {
                sleepThread(for: retry.delay(attempt: attempt, jitter: Double.random(in: 0..<1)))
                attempt += 1
            }
        }
    }
}

extension BlockState {
    /// Reads the columns of the part `state`, which begin with the block's id at `column`; in text or binary.
    /// - Throws: when a notional is none that executions add up to; no statement of ours writes one.
    init(_ rows: borrowing ResultRows, row: Int, column: Int) throws {
        self.init(orderQuantity: rows.int64(row, column + 4))
        cumQuantity = rows.int64(row, column + 1)
        notionalTicks = try Self.ticks(rows, row, column + 2, "notional", ofBlockIn: column)
        executionCount = rows.int64(row, column + 3)
        isCanceled = rows.int64(row, column + 5) != 0
        snapshotNumber = rows.int64(row, column + 6)
        allocatedQuantity = rows.int64(row, column + 7)
        allocatedNotionalTicks = try Self.ticks(rows, row, column + 8, "allocated_notional", ofBlockIn: column)
        allocatedExecutionCount = rows.int64(row, column + 9)
        allocatedIsFinal = rows.int64(row, column + 10) != 0
        allocatedIsCanceled = rows.int64(row, column + 11) != 0
    }

    private static func ticks(
        _ rows: borrowing ResultRows, _ row: Int, _ position: Int, _ name: String, ofBlockIn column: Int
    ) throws -> Int128 {
        guard let ticks = rows.withBytes(row, position, { Price.ticks(decimal: $0) }) ?? nil else {
            let found = rows.text(row, position) ?? "NULL"
            throw OperatingError(
                "block order \(rows.int64(row, column)) has the \(name) \(found) in allocations.block_fills, which no "
                    + "executions add up to",
                remedy: "something else writes this table; allocbench verify compares it with the executions")
        }
        return ticks
    }
}
