// Looks once a second how many sessions of the database wait for a lock. On a thread of its own with its own connection.

import Measurement
public import Postgres
import Threads

/// How many sessions waited, and when that was seen.
public struct LockSamples: Sendable, Equatable {
    public struct Sample: Sendable, Equatable {
        /// On the monotonic clock.
        public let time: Int64
        public let waiting: Int
    }

    public var samples: [Sample] = []
    /// Looks that failed, such as when the database was away.
    public var missedCount = 0

    /// By second from `start`, on the monotonic clock, the most that were seen waiting in it.
    public func waitingBySecond(from start: Int64) -> [Int64: Int] {
        var seconds: [Int64: Int] = [:]
        for sample in samples where sample.time >= start {
            seconds[(sample.time - start) / 1_000_000_000, default: 0] = max(
                seconds[(sample.time - start) / 1_000_000_000] ?? 0, sample.waiting)
        }
        return seconds
    }
}

/// A running sampler. Whoever starts one ends it.
public final class LockSampler: Sendable {
    private let stop = StopFlag()
    private let thread: WorkerThread<LockSamples>

    /// Connects and takes the first look; nil where this user may not see what sessions wait for.
    public init?(connection info: ConnectionInfo, intervalMs: Int64 = 1_000) throws {
        let first = try PostgresConnection.connect(to: info, applicationName: "allocbench locks")
        defer { first.close() }
        do {
            try first.openFigures()
            _ = try first.waitingSessionCount()
        } catch {
            guard error.sqlState == .insufficientPrivilege else { throw error }
            return nil
        }
        let stop = stop
        thread = WorkerThread(name: "locks") { Self.sample(info, intervalMs: intervalMs, until: stop) }
    }

    /// Ends the looking. Blocks for a moment; call it once.
    public func end() throws -> LockSamples {
        stop.set()
        return try thread.join()
    }

    /// A look that fails is no reason to fail what is looked at: the next one connects anew.
    private static func sample(_ info: ConnectionInfo, intervalMs: Int64, until stop: StopFlag) -> LockSamples {
        var found = LockSamples()
        var connection: PostgresConnection?
        defer { connection?.close() }
        var next = monotonicNow()
        while !stop.isSet {
            do {
                let open =
                    try connection ?? PostgresConnection.connect(to: info, applicationName: "allocbench locks")
                if connection == nil { try open.openFigures() }
                connection = open
                // Before the question: what is seen to wait did so at this time or later.
                let time = monotonicNow()
                found.samples.append(LockSamples.Sample(time: time, waiting: try open.waitingSessionCount()))
            } catch {
                found.missedCount += 1
                connection?.close()
                connection = nil
            }
            next += intervalMs * 1_000_000
            while !stop.isSet, monotonicNow() < next {
                sleepUntil(monotonic: min(next, monotonicNow() + 20_000_000))
            }
        }
        return found
    }
}
