// Transactions: what is retried, what isn't, and what nobody can know. The failures are made for real.

import Glibc
import TestSupport
import Testing
import Threads

@testable import Postgres

private struct BodyError: Error {}

@Suite struct TransactionTests {
    @Test func `a transaction commits what its body did and hands its value on`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id int)")
            for level in IsolationLevel.allCases {
                let shown = try connection.transaction(isolation: level) { connection in
                    try connection.query("INSERT INTO t VALUES (1)")
                    #expect(connection.isInTransaction)
                    return try connection.query("SHOW transaction_isolation").text(0, 0)
                }
                #expect(shown == level.rawValue.lowercased())
            }
            #expect(!connection.isInTransaction)
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 3)
        }
    }

    @Test func `a body that throws leaves nothing behind and isn't tried again`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
            var calls = 0
            #expect(throws: BodyError.self) {
                try connection.transaction { connection in
                    calls += 1
                    try connection.query("INSERT INTO t VALUES (1)")
                    throw BodyError()
                }
            }
            #expect(calls == 1 && !connection.isInTransaction)
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
        }
    }

    @Test func `a body that throws inside a pipeline leaves a usable connection and nothing else`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id int)")
            #expect(throws: BodyError.self) {
                try connection.transaction { connection in
                    try connection.enterPipelineMode()
                    try connection.sendQuery("INSERT INTO t VALUES (1)", parameters: ParameterBuffer())
                    throw BodyError()
                }
            }
            #expect(!connection.isInTransaction)
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
        }
    }

    @Test func `a unique violation isn't tried again`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
            var calls = 0
            let error = #expect(throws: PostgresError.self) {
                try connection.transaction { connection in
                    calls += 1
                    try connection.query("INSERT INTO t VALUES (1)")
                }
            }
            #expect(calls == 1 && error?.sqlState == .uniqueViolation)
        }
    }

    /// Write skew: each of two transactions reads what the other writes.
    @Test func `a serialization failure is tried again until it succeeds`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let rival = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (who text, v int); INSERT INTO t VALUES ('a', 1), ('b', 1)")
            var attempts = 0
            var failures: [PostgresError] = []
            var delays: [Duration] = []
            let policy = RetryPolicy(maxAttempts: 5, baseDelay: .milliseconds(8), maxDelay: .seconds(1))
            try connection.transaction(
                isolation: .serializable, retry: policy, random: { 0.5 }, sleep: { delays.append($0) },
                onRetry: { failures.append($0) }
            ) { connection in
                attempts += 1
                let sum = try connection.query("SELECT sum(v) FROM t").int64(0, 0)
                if attempts <= 2 {
                    try rival.transaction(isolation: .serializable) { rival in
                        try rival.query("SELECT sum(v) FROM t")
                        try rival.query("UPDATE t SET v = v + 10 WHERE who = 'b'")
                    }
                }
                try connection.query("UPDATE t SET v = $1 WHERE who = 'a'", .int64(sum))
            }
            #expect(attempts == 3)
            #expect(failures.map(\.sqlState) == [.serializationFailure, .serializationFailure])
            #expect(delays == [.milliseconds(4), .milliseconds(8)])
            #expect(try connection.query("SELECT v FROM t WHERE who = 'a'").int64(0, 0) == 22)
        }
    }

    @Test func `attempts end with the policy, and the last failure is thrown`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            var attempts = 0
            let error = #expect(throws: PostgresError.self) {
                try connection.transaction(retry: RetryPolicy(maxAttempts: 4, baseDelay: .zero)) { connection in
                    attempts += 1
                    try connection.execute("DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '40001'; END $$")
                }
            }
            #expect(attempts == 4 && error?.message == "made up")
            #expect(!connection.isInTransaction)
        }
    }

    @Test func `a deadlock's victim is tried again and both get through`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0), (2, 0)")
            // Who waits shortest finds the deadlock and is its victim.
            try connection.execute("SET deadlock_timeout = '50ms'")
            let (rivalHasOne, weHaveTwo) = (StopFlag(), StopFlag())
            let rival = WorkerThread<Void>(name: "rival") {
                let rival = try PostgresConnection.connect(to: info)
                try rival.execute("SET deadlock_timeout = '60s'")
                try rival.transaction(retry: .never) { rival in
                    try rival.query("UPDATE t SET v = v + 1 WHERE id = 1")
                    rivalHasOne.set()
                    while !weHaveTwo.isSet { usleep(1_000) }
                    try rival.query("UPDATE t SET v = v + 1 WHERE id = 2")
                }
            }
            while !rivalHasOne.isSet { usleep(1_000) }
            var failures: [PostgresError] = []
            try connection.transaction(onRetry: { failures.append($0) }) { connection in
                try connection.query("UPDATE t SET v = v + 1 WHERE id = 2")
                weHaveTwo.set()
                try connection.query("UPDATE t SET v = v + 1 WHERE id = 1")
            }
            try rival.join()
            // Tried again, we may lock the row once more before the rival that waits for it has woken up.
            let states = Set(failures.map(\.sqlState))
            #expect(states == [.deadlockDetected])
            #expect(try connection.query("SELECT min(v), max(v) FROM t").int64(0, 0) == 2)
        }
    }

    @Test func `a failure that the body swallowed comes back at the commit`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id int)")
            let error = #expect(throws: PostgresError.self) {
                try connection.transaction { connection in
                    try connection.query("INSERT INTO t VALUES (1)")
                    _ = try? connection.query("SELECT 1/0")
                    #expect(connection.isTransactionFailed)
                }
            }
            #expect(error?.message.contains("ROLLBACK") == true && error?.sqlState?.rawValue == "22012")
            #expect(error?.isAmbiguous == false)
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
        }
    }

    @Test func `a connection lost at the commit is ambiguous and isn't tried again`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let killer = try PostgresConnection.connect(to: info)
            var calls = 0
            let error = #expect(throws: PostgresError.self) {
                try connection.transaction { connection in
                    calls += 1
                    try connection.query("SELECT 1")
                    try kill(connection, with: killer)
                }
            }
            #expect(calls == 1)
            #expect(error?.isConnectionLost == true && error?.isAmbiguous == true && error?.isRetryable == false)
        }
    }

    @Test func `a connection lost before the commit is not ambiguous, an autocommit statement is`() throws {
        try withTemporaryDatabase { info in
            let killer = try PostgresConnection.connect(to: info)
            let inside = try PostgresConnection.connect(to: info)
            try inside.begin()
            try kill(inside, with: killer)
            let before = try #require(throws: PostgresError.self, performing: { try inside.query("SELECT 1") })
            #expect(before.isConnectionLost && !before.isAmbiguous)
            // Now the client knows; a COMMIT isn't even sent.
            let after = try #require(throws: PostgresError.self, performing: { try inside.execute("COMMIT") })
            #expect(after.isConnectionLost && !after.isAmbiguous)

            let outside = try PostgresConnection.connect(to: info)
            try kill(outside, with: killer)
            let lost = try #require(throws: PostgresError.self, performing: { try outside.query("SELECT 1") })
            #expect(lost.isConnectionLost && lost.isAmbiguous)
        }
    }
}

/// Ends a session from another one and waits until it is gone.
private func kill(_ connection: PostgresConnection, with killer: PostgresConnection) throws {
    let ended = try killer.query("SELECT pg_terminate_backend($1::int, 5000)", .text("\(connection.backendProcessID)"))
    #expect(ended.int64(0, 0) == 1)
}
