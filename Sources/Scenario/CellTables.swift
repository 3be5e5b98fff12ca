// The tables that a cell of stage allocate works on. Used on the runner's thread.

import Allocations
import Holdings
import Model
import Postgres

/// The tables of one cell: fresh before it, verified after it.
struct CellTables {
    let topic: String
    /// Of the positions as if nothing had been booked.
    private let positions: String

    /// Empties what the cell before left, so that every cell begins with the same tables and positions.
    static func prepare(
        _ topic: RecordedTopic, _ configuration: Configuration, target: Target, on connection: PostgresConnection
    ) throws -> CellTables {
        try Schemas.emptyStages(behind: .trades, on: connection)
        try AllocationsSource.setKeyStrategy(configuration.keyStrategy, on: connection)
        let positions = try HoldingsBooking.unbookedPositionsDigest(on: connection)
        try AllocationsSource.receive(on: connection, topic: topic.topic, partitions: topic.ends.count)
        try AllocationsSource.split(target.cockroach, on: connection)
        // A checkpoint in the middle of one configuration and not of the next would be measured as theirs.
        if target.services != nil { try connection.execute("CHECKPOINT") }
        return CellTables(topic: topic.topic, positions: positions)
    }

    func verify(ends: [Int32: Int64], on connection: PostgresConnection) throws -> [CheckResult] {
        let (checks, now) = try connection.readingAtOneTime {
            (
                try Verifier.verify(on: connection, topic: topic, topicEnds: ends),
                try HoldingsBooking.unbookedPositionsDigest(on: connection)
            )
        }
        let difference = CheckResult.Difference(
            subject: "positions less what was booked", expected: positions, actual: now)
        return checks + [
            CheckResult(
                name: "positions_differ_from_movements", differenceCount: positions == now ? 0 : 1,
                first: positions == now ? [] : [difference])
        ]
    }
}
