// What the server's counters say of work whose amount is known.

import Glibc
import Measurement
import Postgres
import Scenario
import TestSupport
import Testing
import Threads

@Suite struct DatabaseActivityTests {
    @Test func `the counters tell what other sessions did, once they have ended`() throws {
        try withStages(isOwn: true) { info, connection in
            try connection.execute("CREATE TABLE counted (id INT8 PRIMARY KEY, value INT8)")
            try connection.execute("INSERT INTO counted SELECT i, 0 FROM generate_series(1000, 2000) AS i")
            let meter = try #require(try DatabaseMeter.begin(on: connection))
            // The next change of each of those pages puts it into the log whole.
            try connection.execute("CHECKPOINT")
            try connection.execute("UPDATE counted SET value = 0 WHERE id = 1000")
            let worker = WorkerThread(name: "counted") {
                let other = try PostgresConnection.connect(to: info)
                defer { other.close() }
                for id in 1...40 as ClosedRange<Int64> {
                    try other.query("INSERT INTO counted VALUES ($1, 0)", .int64(id))
                }
                try other.execute("UPDATE counted SET value = 1 WHERE id <= 30")
                try other.execute("DELETE FROM counted WHERE id <= 20")
                try other.begin()
                try other.execute("INSERT INTO counted VALUES (100, 0)")
                try other.rollback()
            }
            try worker.join()
            let activity = try meter.end(on: connection)
            #expect(activity.rowsInserted == 41, "a row that is rolled back was inserted, too")
            #expect(activity.rowsUpdated == 31 && activity.rowsDeleted == 20)
            #expect((42...80).contains(activity.commits), "\(activity)")
            #expect(activity.checkpoints >= 1 && activity.walFullPageImages >= 1, "\(activity)")
            #expect(activity.walBytes > 5_000 && activity.deadlocks == 0)
        }
    }

    @Test func `while a session that worked meanwhile stays, rows, commits and log are not told`() throws {
        try withStages(isOwn: true) { info, connection in
            try connection.execute("CREATE TABLE counted (id INT8 PRIMARY KEY)")
            let meter = try #require(try DatabaseMeter.begin(on: connection))
            let other = try PostgresConnection.connect(to: info)
            try other.execute("INSERT INTO counted VALUES (1)")
            let partial = try meter.end(on: connection, waitMs: 30)
            #expect(!partial.isWhole && partial.rowsWritten == nil && partial.commitsPerSync == nil)
            #expect(partial.rowsInserted == 0, "what is at stake")
            other.close()
            let whole = try meter.end(on: connection)
            #expect(whole.isWhole && whole.rowsWritten == 1 && whole.walBytes > 0)
        }
    }

    @Test func `what was done before the first reading is not counted`() throws {
        try withStages(isOwn: true) { info, connection in
            try connection.execute("CREATE TABLE counted (id INT8 PRIMARY KEY)")
            let other = try PostgresConnection.connect(to: info)
            try other.execute("INSERT INTO counted SELECT i FROM generate_series(1, 1000) AS i")
            other.close()
            let meter = try #require(try DatabaseMeter.begin(on: connection))
            try connection.execute("INSERT INTO counted VALUES (2000)")
            #expect(try meter.end(on: connection).rowsInserted == 1, "those of the reader's own session, too")
        }
    }

    @Test func `sessions that wait for a lock are seen, and only while they wait`() throws {
        try withStages(isOwn: true) { info, connection in
            try connection.execute("CREATE TABLE held (id INT8 PRIMARY KEY); INSERT INTO held VALUES (1)")
            let sampler = try #require(try LockSampler(connection: info, intervalMs: 10))
            let start = monotonicNow()
            try connection.begin()
            try connection.execute("UPDATE held SET id = id")
            let waiter = WorkerThread(name: "waiter") {
                let other = try PostgresConnection.connect(to: info)
                defer { other.close() }
                try other.execute("UPDATE held SET id = id")
            }
            usleep(150_000)
            try connection.commit()
            try waiter.join()
            let released = monotonicNow()
            usleep(40_000)
            let found = try sampler.end()
            #expect(found.samples.contains { $0.waiting == 1 && $0.time < released })
            #expect(found.samples.allSatisfy { $0.waiting <= 1 && ($0.time < released || $0.waiting == 0) })
            #expect(found.waitingBySecond(from: start).values.max() == 1 && found.missedCount == 0)
        }
    }
}
