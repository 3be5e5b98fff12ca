// Telling the servers apart: by what each reports, without one of them.

import TestSupport
import Testing
import Threads

@testable import Postgres

@Suite struct ServerDialectTests {
    private static func version(_ server: String?, _ cockroach: String? = nil) -> ServerVersion {
        ServerVersion(serverVersion: server, cockroachVersion: cockroach)
    }

    @Test(arguments: [
        ("13.0", 13, 0, true), ("15.18 (Debian 15.18-0+deb12u1)", 15, 18, true), ("17beta2", 17, 2, true),
        ("17.6", 17, 6, true), ("12.22", 12, 22, false), ("18.1", 18, 1, false), ("9.6.24", 9, 6, false),
        ("EnterpriseDB", 0, 0, false),
    ])
    func `PostgreSQL is told by its version`(text: String, major: Int, minor: Int, isSupported: Bool) {
        let version = Self.version(text)
        #expect(version.dialect == .postgresql)
        #expect(version.major == major && version.minor == minor)
        #expect(version.isSupported == isSupported)
    }

    @Test(arguments: [
        ("CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built 2023/09/27 01:53:43, go1.19.10)", 23, 1, true),
        ("CockroachDB CCL v25.2.0-rc.1 (aarch64-unknown-linux-gnu, built 2025/05/01 00:00:00, go1.23.7)", 25, 2, true),
        ("CockroachDB OSS v26.3.0", 26, 3, true),
        ("CockroachDB CCL v22.2.19 (x86_64-pc-linux-gnu)", 22, 2, false),
        ("CockroachDB CCL v3.0.0", 3, 0, false),
        ("something else", 0, 0, false),
    ])
    func `CockroachDB is told by the setting that only it reports`(
        text: String, major: Int, minor: Int, isSupported: Bool
    ) {
        // Whatever it is, CockroachDB calls itself 13.0.0 where PostgreSQL has its version.
        let version = Self.version("13.0.0", text)
        #expect(version.dialect == .cockroachdb)
        #expect(version.major == major && version.minor == minor)
        #expect(version.isSupported == isSupported)
    }

    @Test(arguments: [
        ("v23.1.30", true), ("v23.2.20", true), ("v24.1.4", true), ("v24.1.5", false), ("v24.1.12", false),
        ("v24.2.2", true), ("v24.2.3", false), ("v24.3.0", false), ("v26.1.0", false),
    ])
    func `versions that skip locked rows wrongly are known`(text: String, isWrong: Bool) {
        #expect(Self.version("13.0.0", "CockroachDB CCL \(text) (x)").skipsLockedWronglyUnderReadCommitted == isWrong)
        #expect(!Self.version("15.18").skipsLockedWronglyUnderReadCommitted)
    }

    @Test func `a version is told with its server's name`() {
        #expect(Self.version("15.18 (Debian)").description == "PostgreSQL 15.18")
        #expect(Self.version("13.0.0", "CockroachDB CCL v24.1.3 (x)").description == "CockroachDB v24.1.3")
        #expect(Self.version(nil).description == "PostgreSQL unknown")
        #expect(Self.version("13.0.0", "CockroachDB CCL v24.1.3 (x)") >= (24, 1))
        #expect(!(Self.version("13.0.0", "CockroachDB CCL v24.1.3 (x)") >= (24, 2)))
    }

    @Test func `the server of the tests is one that is supported`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            #expect(connection.dialect == .postgresql && connection.server.major >= 13)
            try connection.requireSupportedServer()
        }
    }
}

@Suite struct DialectScriptTests {
    private static let script = SQLScript(
        embedded: Array(
            """
            -- A header.
            -- name: same
            SELECT 1;
            -- name: clause
            CREATE TABLE t (
              a INT8,
            -- only postgresql:
              PRIMARY KEY (a)
            -- only cockroachdb:
              PRIMARY KEY (a) USING HASH
            -- both:
            );
            -- name: whole
            -- only postgresql:
            SELECT pg_x();
            -- only cockroachdb:
            SELECT 2;
            -- name: with_part
            SELECT
            -- insert: list
            ;
            -- part: list
            -- only postgresql:
            3
            -- only cockroachdb:
            4
            -- name: one_sided
            -- only cockroachdb:
            SET x = 1;
            """.utf8))

    @Test func `both dialects stand side by side, and what they share stands once`() {
        let script = Self.script
        #expect(script.names == ["same", "clause", "whole", "with_part", "one_sided"])
        #expect(script["same"] == "SELECT 1;" && !script.isVarying("same"))
        #expect(script["same", .cockroachdb] == "SELECT 1;")
        #expect(script["clause", .postgresql] == "CREATE TABLE t (\n  a INT8,\n  PRIMARY KEY (a)\n);")
        #expect(script["clause", .cockroachdb] == "CREATE TABLE t (\n  a INT8,\n  PRIMARY KEY (a) USING HASH\n);")
        #expect(script["whole", .postgresql] == "SELECT pg_x();" && script["whole", .cockroachdb] == "SELECT 2;")
        #expect(script.isVarying("whole") && script.isVarying("with_part"), "through the part that it has")
        #expect(script["with_part", .cockroachdb] == "SELECT\n4\n;")
        #expect(script["one_sided", .postgresql] == "" && script["one_sided", .cockroachdb] == "SET x = 1;")
    }

    @Test func `a file without names has a text in each dialect`() {
        let bytes = Array("A;\n-- only postgresql:\nB;\n-- only cockroachdb:\nC;\n-- both:\nD;\n".utf8)
        #expect(SQLScript.text(of: bytes, for: .postgresql) == "A;\nB;\nD;\n")
        #expect(SQLScript.text(of: bytes, for: .cockroachdb) == "A;\nC;\nD;\n")
    }

    @Test func `statements end at semicolons, not at those in quotes and comments`() {
        #expect(splitStatements("") == [] && splitStatements(" ;; -- nothing;\n") == [])
        #expect(
            splitStatements("SELECT ';', 'it''s';\n-- one; two\nSELECT 2 - 1; -- end")
                == ["SELECT ';', 'it''s'", "-- one; two\nSELECT 2 - 1"])
    }

    @Test(
        arguments: [
            (0, 10, []), (1, 10, [5]), (2, 9, [3, 6]), (4, 3, [1, 2]), (3, 1, []), (3, 0, []),
        ] as [(Int, Int, [Int64])])
    func `tables are split into parts of as many keys`(points: Int, keys: Int, expected: [Int64]) {
        var settings = CockroachSettings()
        settings.splitPoints = points
        #expect(settings.splitKeys(among: (0..<keys).map { Int64($0) }) == expected)
        #expect(CockroachSettings.splitStatements(of: "a.b", at: expected).count == (expected.isEmpty ? 0 : 2))
    }
}

@Suite struct SavepointRetryTests {
    /// Two transactions take the same two rows in opposite orders. The server breaks one; where that is ours, going back to the
    /// savepoint gives up what it had locked, and the same transaction goes on.
    @Test func `a deadlock is resolved within the transaction`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            try connection.execute(
                "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0), (2, 0)")
            let (hasSecond, wantsFirst) = (StopFlag(), StopFlag())
            let rival = WorkerThread(name: "rival") {
                let rival = try PostgresConnection.connect(to: info)
                defer { rival.close() }
                // It never looks for deadlocks, so ours is the one that is broken.
                try rival.execute("SET deadlock_timeout = '600s'")
                try rival.begin()
                try rival.query("UPDATE t SET v = v + 10 WHERE id = 2")
                hasSecond.set()
                while !wantsFirst.isSet { sleepThread(for: .milliseconds(1)) }
                try rival.query("UPDATE t SET v = v + 10 WHERE id = 1")
                try rival.commit()
            }
            while !hasSecond.isSet { sleepThread(for: .milliseconds(1)) }
            let watcher = try PostgresConnection.connect(to: info)
            defer { watcher.close() }
            try connection.execute("SET deadlock_timeout = '10ms'")
            var failures: [SQLState?] = []
            var transactions: Set<String> = []
            try connection.transaction(
                method: .savepoint, sleep: { _ in }, onRetry: { failures.append($0.sqlState) }
            ) { connection in
                // Else ours might take the first row again before the rival, which waits for it, is awake.
                while try !failures.isEmpty && watcher.waitingSessionCount() > 0 { sleepThread(for: .milliseconds(1)) }
                try connection.query("UPDATE t SET v = v + 1 WHERE id = 1")
                transactions.insert(try connection.query("SELECT now()::TEXT").text(0, 0) ?? "")
                if failures.isEmpty {
                    wantsFirst.set()
                    // Whoever waits last finds the deadlock.
                    while try watcher.waitingSessionCount() == 0 { sleepThread(for: .milliseconds(1)) }
                }
                try connection.query("UPDATE t SET v = v + 1 WHERE id = 2")
            }
            try rival.join()
            #expect(failures == [.deadlockDetected])
            #expect(transactions.count == 1, "now() is the time at which a transaction began")
            #expect(try connection.query("SELECT sum(v) FROM t WHERE v = 11").int64(0, 0) == 22)
        }
    }

    /// PostgreSQL keeps a transaction's snapshot, so there going back can't help: after the savepoint's attempts the transaction
    /// begins anew.
    @Test func `a serialization failure that the savepoint doesn't help begins the transaction anew`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            let rival = try PostgresConnection.connect(to: info)
            defer { rival.close() }
            try connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0)")
            var bodies = 0
            var failures: [SQLState?] = []
            try connection.transaction(
                isolation: .serializable, retry: RetryPolicy(maxAttempts: 20), method: .savepoint, sleep: { _ in },
                onRetry: { failures.append($0.sqlState) }
            ) { connection in
                bodies += 1
                let value = try connection.query("SELECT v FROM t").int64(0, 0)
                if bodies == 1 { try rival.query("UPDATE t SET v = v + 10") }
                try connection.query("UPDATE t SET v = $1", .int64(value + 1))
            }
            let restarts = CockroachSettings.savepointRestartsMax
            #expect(bodies == restarts + 2 && failures == Array(repeating: .serializationFailure, count: restarts + 1))
            #expect(try connection.query("SELECT v FROM t").int64(0, 0) == 11)
        }
    }

    @Test func `attempts by savepoint end with the policy, too`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            let error = #expect(throws: PostgresError.self) {
                try connection.transaction(retry: RetryPolicy(maxAttempts: 3), method: .savepoint, sleep: { _ in }) {
                    _ = try $0.query("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$")
                }
            }
            #expect(error?.sqlState == .serializationFailure && !connection.isInTransaction)
        }
    }
}
