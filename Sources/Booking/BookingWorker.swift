// One booking worker: a plain loop on its own thread with its own connection: take, book, record. It runs beside the
// allocation workers and meets them only in the outbox, so that a slow booking never holds a fill.

import Allocations
import Diagnostics
import Holdings
public import Measurement
public import Model
public import Postgres
import Threads

/// Everything booking workers are told before they start.
public struct BookingPlan: Sendable {
    public static let blocksPerTransactionDefault = 32

    public var connection: ConnectionInfo
    public var workers: Int
    /// What one transaction takes at most.
    public var blocksPerTransaction = BookingPlan.blocksPerTransactionDefault
    public var retry = RetryPolicy(maxAttempts: 50)
    /// How a lost connection is sought again.
    public var reconnect = ReconnectPolicy()
    /// Seeds the jitter of back-off.
    public var seed: UInt64 = 0
    /// What commits wait for, as the configuration under test has it; nil for what the server says. It is the only setting of a
    /// configuration's sessions that bookings share: they are READ COMMITTED under every one.
    public var synchronousCommit: SynchronousCommit?
    /// Hears of retries and lost connections; nil tells nobody.
    public var progress: WorkerProgress?

    public init(connection: ConnectionInfo, workers: Int) {
        self.connection = connection
        self.workers = workers
    }
}

/// Runs one plan to its end, as one of its workers.
final class BookingWorker {
    private let plan: BookingPlan
    private let noMoreSnapshots: StopFlag
    private let isStopped: () -> Bool
    private var transaction: BookingTransaction
    private var random: SeededRandom
    private var taken = TakenBlocks()
    private var attempt = 1
    /// Transactions still to be made with one block each, to find the one that can't be booked.
    private var singleCount = 0
    private(set) var figures = BookingFigures()

    private static let idleMin: Int64 = 1_000_000
    private static let idleMax: Int64 = 20_000_000

    /// Connects. Blocks.
    /// - Parameters:
    ///   - index: which of the plan's workers this is.
    ///   - noMoreSnapshots: set once nobody will request a booking any more: the worker ends with the outbox empty.
    init(_ plan: BookingPlan, index: Int, noMoreSnapshots: StopFlag, isStopped: @escaping () -> Bool) throws {
        self.plan = plan
        self.noMoreSnapshots = noMoreSnapshots
        self.isStopped = isStopped
        random = SeededRandom(seed: plan.seed, stream: UInt64(index))
        transaction = try BookingTransaction(
            connectingTo: plan.connection, synchronousCommit: plan.synchronousCommit)
    }

    func close() { transaction.connection.close() }

    /// Books until there is no more to book, or until stopped.
    func run() throws {
        var idle = Self.idleMin
        while !isStopped() {
            // Read before the outbox is: a request that came before the flag is seen then.
            let isLast = noMoreSnapshots.isSet
            do {
                if try bookOnce() {
                    idle = Self.idleMin
                    continue
                }
                if isLast, try isOutboxEmpty() { return }
            } catch let error as PostgresError where error.isConnectionLost || error.isAmbiguous {
                try reconnect(after: error)
                continue
            }
            // Blocks that another worker has taken come back if it fails.
            sleepUntil(monotonic: monotonicNow() + idle)
            idle = min(2 * idle, Self.idleMax)
        }
    }

    // MARK: Booking

    /// One attempt at one transaction. Returns false if there was nothing to book.
    private func bookOnce() throws -> Bool {
        taken = TakenBlocks()
        let began = monotonicNow()
        do {
            let limit = singleCount > 0 ? 1 : plan.blocksPerTransaction
            guard let booked = try transaction.run(limit: limit, noting: { taken = $0 }) else { return false }
            record(booked)
            attempt = 1
            singleCount = max(0, singleCount - 1)
        } catch let error as PostgresError where error.isRetryable && !error.isConnectionLost {
            try backOff(after: error, began: began)
        } catch let error as PostgresError where error.isDataError {
            try isolate(after: error)
        } catch let fault as BookingFault {
            throw try explained(fault)
        }
        return true
    }

    private func record(_ booked: BookedBlocks) {
        figures.lastCommitTime = monotonicNow()
        figures.transactionCount += 1
        for block in booked.taken.blocks {
            figures.latencies.record(.allocatedToBooked, (booked.committedAtUs - block.requestedAtUs) * 1000)
            guard block.isBooked else {
                figures.unbookedBlockCount += 1
                continue
            }
            figures.bookedBlockCount += 1
            figures.accountBookingCount += Int64(block.accounts.count { booked.taken.quantities[$0] > 0 })
        }
    }

    private func isOutboxEmpty() throws -> Bool {
        try transaction.outsidePipeline { try AllocationsBooking.isOutboxEmpty(on: $0) }
    }

    // MARK: Failures

    private func backOff(after error: PostgresError, began: Int64) throws {
        guard let state = error.sqlState, attempt < plan.retry.maxAttempts else { throw error }
        figures.retries.record(
            state, messages: Int64(taken.blocks.count), nanoseconds: monotonicNow() - began)
        plan.progress?.addRetry()
        let jitter = Double(random.integer(in: 0...1_000_000)) / 1_000_000
        sleepThread(for: plan.retry.delay(attempt: attempt, jitter: jitter))
        attempt += 1
    }

    /// The database refuses something of these blocks. Says what, if it is a movement; else the blocks are taken one by one,
    /// and the one that is refused alone is named.
    private func isolate(after error: PostgresError) throws {
        let movements = PositionMovements(taken)
        let faults = try transaction.outsidePipeline { try HoldingsBooking.faults(in: movements, on: $0) }
        if let first = faults.first { throw OperatingError("\(first)", remedy: Self.remedy) }
        guard taken.blocks.count > 1 else {
            let head = taken.blocks.first.map { "block order \($0.id) can't be booked: " } ?? ""
            throw OperatingError("\(head)\(error)", remedy: Self.remedy)
        }
        singleCount = taken.blocks.count
    }

    private func explained(_ fault: BookingFault) throws -> OperatingError {
        let strays = try transaction.outsidePipeline { try AllocationsBooking.strayAccounts(of: fault.block, on: $0) }
        let note = strays.first.map { "; account \($0) has allocations without being behind it" } ?? ""
        return OperatingError("\(fault)\(note)", remedy: Self.remedy)
    }

    private static let remedy = "its request stays in allocations.booking_outbox; allocbench verify compares the tables"

    /// Whether the lost transaction was committed or not makes no difference: either its requests are gone with it, or they
    /// are still there.
    private func reconnect(after error: PostgresError) throws {
        if error.isAmbiguous { figures.ambiguousCommits.unknown += 1 }
        transaction.connection.close()
        if isStopped() { return }
        do {
            transaction = try plan.reconnect.reconnect(since: monotonicNow(), now: monotonicNow, isStopped: isStopped) {
                try BookingTransaction(connectingTo: plan.connection, synchronousCommit: plan.synchronousCommit)
            }
            figures.reconnectCount += 1
            plan.progress?.addErrors()
        } catch let failure as PostgresError where isStopped() && plan.reconnect.isPassing(failure) {
            // A worker that was stopped meanwhile ends; it needs no connection for that.
        }
    }
}
