// One booking transaction: take blocks out of the outbox, book them, move positions, commit. Everything it does is a function
// of the blocks' last snapshots, so doing it again changes nothing; a crash before its commit leaves the outbox as it was.
// On the connection's thread.

import Allocations
import Diagnostics
import Holdings
import Model
import Postgres

/// What a committed transaction did.
struct BookedBlocks {
    let taken: TakenBlocks
    /// The server's clock behind the commit, in microseconds since 1970.
    let committedAtUs: Int64
}

/// A session that books. Three round trips a transaction: take; write; commit.
struct BookingTransaction {
    let connection: PostgresConnection
    private let parameters = ParameterBuffer(capacity: 65_536)
    private let noParameters = ParameterBuffer(capacity: 64)

    /// Connects and prepares every statement.
    /// - Parameter synchronousCommit: what commits wait for; nil for what the server says.
    init(connectingTo info: ConnectionInfo, synchronousCommit: SynchronousCommit? = nil) throws {
        connection = try PostgresConnection.connect(to: info, applicationName: "allocbench booking")
        try connection.nameDatabase()
        if let synchronousCommit { try AllocationsSource.setSynchronousCommit(synchronousCommit, on: connection) }
        try connection.preferKeys()
        let isolation =
            connection.server.skipsLockedWronglyUnderReadCommitted
            ? IsolationLevel.serializable : IsolationLevel.readCommitted
        try connection.prepare("begin_booking", "BEGIN ISOLATION LEVEL \(isolation.rawValue)")
        try connection.prepare("commit", "COMMIT")
        try connection.prepare("rollback", "ROLLBACK")
        try connection.prepare("clock", "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::INT8")
        try AllocationsBooking.prepare(on: connection)
        try HoldingsBooking.prepare(on: connection)
        try connection.enterPipelineMode()
    }

    /// Books up to `limit` blocks. Nil if no block was to be had.
    /// - Parameter noting: hears what was taken before anything is written, for whoever has to explain a failure.
    func run(limit: Int, noting: (TakenBlocks) -> Void) throws -> BookedBlocks? {
        do {
            try connection.sendPrepared("begin_booking", parameters: noParameters)
            try AllocationsBooking.sendTake(limit: limit, on: connection, parameters: parameters)
            guard let answer = try answers().last else { preconditionFailure("take answers") }
            let taken = try AllocationsBooking.taken(answer)
            if taken.blocks.isEmpty {
                try rollback()
                return nil
            }
            noting(taken)
            let movements = PositionMovements(taken)
            try AllocationsBooking.sendBook(taken, on: connection, parameters: parameters)
            try HoldingsBooking.sendMove(movements, on: connection, parameters: parameters)
            guard try answers().allSatisfy(HoldingsBooking.isComplete) else {
                throw OperatingError("a position was removed while a booking moved it")
            }
            try connection.sendPrepared("commit", parameters: noParameters)
            try connection.sendPrepared("clock", parameters: noParameters)
            guard let clock = try answers().last else { preconditionFailure("the clock answers") }
            return BookedBlocks(taken: taken, committedAtUs: clock.int64(0, 0))
        } catch {
            // Without a connection there is nothing to roll back, and the error at hand says so.
            if connection.isInTransaction { try? rollback() }
            throw error
        }
    }

    /// Runs `body`, which sends statements one by one.
    func outsidePipeline<R>(_ body: (PostgresConnection) throws -> R) throws -> R {
        try connection.exitPipelineMode()
        let result = try body(connection)
        try connection.enterPipelineMode()
        return result
    }

    private func rollback() throws {
        try connection.sendPrepared("rollback", parameters: noParameters)
        _ = try answers()
    }

    /// Sends what waits and reads all results; the first failure is thrown once they are read.
    private func answers() throws -> [QueryResult] {
        try connection.sendSync()
        var results: [QueryResult] = []
        var failure: PostgresError?
        for event in try connection.pipelineEventsUpToSync() {
            switch event {
            case .result(let result): results.append(result)
            case .failed(let error): failure = failure ?? error
            case .aborted, .synced: break
            }
        }
        if let failure { throw failure }
        return results
    }
}

extension PositionMovements {
    /// What positions have to move for these blocks: nothing for a block that isn't booked.
    init(_ taken: TakenBlocks) {
        self.init()
        for block in taken.blocks {
            for index in block.accounts {
                let quantity = block.isBooked ? taken.quantities[index] : 0
                append(
                    block: block.id, account: taken.accounts[index], security: block.security,
                    quantity: block.side == .buy ? quantity : -quantity)
            }
        }
    }
}
