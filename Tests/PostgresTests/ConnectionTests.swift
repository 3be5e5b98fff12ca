// Sessions: how they are opened, what they answer, and how they fail.

import Glibc
import TestSupport
import Testing
import Threads

@testable import Postgres

@Suite struct ConnectionTests {
    @Test func `a parameter travels beside the statement, whatever is in it`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let nasty = "'; DROP TABLE t; -- \t\n\\ \u{1F600} é"
            let result = try connection.query(
                "SELECT $1::text, $2::bigint + 1, $3::boolean, $4::text, $5::bytea", .text(nasty), .int64(41),
                .bool(true), .null, .bytes([0, 255, 10]))
            #expect(result.text(0, 0) == nasty)
            #expect(result.int64(0, 1) == 42)
            #expect(result.int64(0, 2) == 1)
            #expect(result.isNull(0, 3) && result.text(0, 3) == nil && result.optionalInt64(0, 3) == nil)
            #expect(result.text(0, 4) == "\\x00ff0a")
            #expect(result.rowCount == 1 && result.columnCount == 5 && result.columnName(4) == "bytea")
        }
    }

    @Test func `whole numbers of every width read the same in text and in binary`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let sql = """
                SELECT (-7)::int2, (-70000)::int4, $1::int8, false, true, 'täxt'::text, NULL::int8
                """
            for format in [ResultFormat.text, .binary] {
                let row = try connection.query(sql, parameters: [.int64(Int64.min)], resultFormat: format)
                #expect((0..<5).map { row.int64(0, $0) } == [-7, -70000, Int64.min, 0, 1])
                #expect(row.text(0, 5) == "täxt")
                #expect(row.bytes(0, 5) == Array("täxt".utf8))
                #expect(row.optionalInt64(0, 6) == nil)
            }
        }
    }

    @Test func `arrays arrive whole, the empty and the awkward ones too`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let numbers: [Int64] = [Int64.max, Int64.min, 0, -1] + (0..<1_000).map { $0 }
            let texts = ["", "{a,b}", "NULL", "\"quoted\"", "back\\slash", "ü\n\t"]
            let result = try connection.query(
                """
                SELECT (SELECT sum(v::numeric) FROM unnest($1::bigint[]) v), cardinality($1::bigint[]),
                       $2::text[] = ARRAY['', '{a,b}', 'NULL', '"quoted"', E'back\\\\slash', E'ü\\n\\t'],
                       cardinality($3::bigint[]), cardinality($4::text[])
                """, .int64Array(numbers), .textArray(texts), .int64Array([]), .textArray([]))
            #expect(result.text(0, 0) == "499498")
            #expect(result.int64(0, 1) == 1_004)
            #expect(result.int64(0, 2) == 1)
            #expect(result.int64(0, 3) == 0 && result.int64(0, 4) == 0)
        }
    }

    @Test func `text takes the type that the statement gives it`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (day date, price decimal(10, 4))")
            let inserted = try connection.query(
                "INSERT INTO t VALUES ($1, $2)", .text("2024-02-29"), .text("12.3400"))
            #expect(inserted.affectedRowCount == 1 && inserted.commandTag == "INSERT 0 1")
            let found = try connection.query("SELECT price FROM t WHERE day = $1", .text("2024-02-29"))
            #expect(found.text(0, 0) == "12.3400")
        }
    }

    @Test func `text with a zero byte is refused, not cut`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let error = #expect(throws: PostgresError.self) {
                try connection.query("SELECT $1::text", .text("before\0after"))
            }
            #expect(error?.sqlState?.classCode == "22")
            #expect(try connection.query("SELECT $1::text", .text("")).text(0, 0) == "")
        }
    }

    @Test func `a prepared statement runs with a buffer that is used again and doesn't grow`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint PRIMARY KEY, name text)")
            try connection.prepare(
                "insert", "INSERT INTO t SELECT * FROM unnest($1::bigint[], $2::text[]) RETURNING id")
            let buffer = ParameterBuffer()
            var capacity: Int?
            for round in 0..<20 {
                buffer.reset()
                buffer.append(int64ArrayOf: 500) { Int64(round * 500 + $0) }
                buffer.append(textArrayOf: 500) { "name \($0)" }
                let result = try connection.executePrepared("insert", parameters: buffer, resultFormat: .binary)
                #expect(result.rowCount == 500 && result.int64(499, 0) == Int64(round * 500 + 499))
                capacity = capacity ?? buffer.capacity
                #expect(buffer.capacity == capacity)
            }
            let count = try connection.query("SELECT count(*), count(DISTINCT name) FROM t")
            #expect(count.int64(0, 0) == 10_000 && count.int64(0, 1) == 500)
            let error = #expect(throws: PostgresError.self) {
                try connection.executePrepared("insert", parameters: [.int64Array([1]), .textArray(["again"])])
            }
            #expect(error?.statement?.hasPrefix("INSERT INTO t") == true)
        }
    }

    @Test func `several statements in one text are one transaction`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)")
            #expect(throws: PostgresError.self) { try connection.execute("DELETE FROM t; SELECT 1/0") }
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 2)
        }
    }

    @Test func `an SQL error names code, message, detail, hint and constraint`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id int CONSTRAINT only_one PRIMARY KEY); INSERT INTO t VALUES (1)")
            let unique = try #require(
                throws: PostgresError.self, performing: { try connection.query("INSERT INTO t VALUES ($1)", .int64(1)) }
            )
            #expect(unique.sqlState == .uniqueViolation && unique.constraint == "only_one")
            #expect(unique.detail == "Key (id)=(1) already exists.")
            #expect(!unique.isRetryable && !unique.isAmbiguous && !unique.isConnectionLost)
            #expect(!unique.description.contains("INSERT"))
            #expect(unique.debugDescription.contains("INSERT INTO t VALUES ($1)"))

            let unknown = try #require(
                throws: PostgresError.self, performing: { try connection.query("SELECT coutn(*) FROM t") })
            #expect(unknown.sqlState?.rawValue == "42883" && unknown.hint != nil)
            let syntax = try #require(throws: PostgresError.self, performing: { try connection.execute("SELEC 1") })
            #expect(syntax.sqlState == .syntaxError && syntax.sqlState?.classCode == "42")
        }
    }

    @Test func `a server that isn't there is a lost connection, not an ambiguous one`() throws {
        for text in ["host=/nonexistent password=hunter2", "postgresql://u:hunter2@127.0.0.1:1/d"] {
            let info = try ConnectionInfo(text)
            let error = try #require(
                throws: PostgresError.self, performing: { _ = try PostgresConnection.connect(to: info) })
            #expect(error.isConnectionLost && !error.isAmbiguous && !error.isRetryable)
            #expect(error.message.contains("failed"))
            #expect(!String(reflecting: error).contains("hunter2"))
        }
    }

    @Test func `a database that isn't there, a user and a parameter that nobody knows are refused`() throws {
        try withTemporaryDatabase { info in
            let missing = try #require(
                throws: PostgresError.self,
                performing: { _ = try PostgresConnection.connect(to: info.with(database: "no such database")) })
            #expect(missing.message.contains("no such database"))
            #expect(throws: PostgresError.self) { _ = try PostgresConnection.connect(to: info.with("user", "nobody")) }
            #expect(throws: PostgresError.self) { _ = try PostgresConnection.connect(to: info.with("colour", "red")) }
        }
    }

    @Test func `a connection tells its server and its own name`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info, applicationName: "worker 3")
            #expect(connection.serverVersion.hasPrefix("1"))
            #expect(connection.parameterStatus("server_encoding") == "UTF8")
            #expect(connection.parameterStatus("no such parameter") == nil)
            #expect(!connection.isCockroachDB && PostgresConnection.libraryVersion >= 140_000)
            let row = try connection.query("SELECT pg_backend_pid(), current_setting('application_name')")
            #expect(row.int64(0, 0) == Int64(connection.backendProcessID))
            #expect(row.text(0, 1) == "worker 3")
            let named = try PostgresConnection.connect(to: info.with("application_name", "mine"))
            #expect(try named.query("SELECT current_setting('application_name')").text(0, 0) == "mine")
        }
    }

    @Test func `a closed connection says so, in every call`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            connection.close()
            connection.close()
            let calls: [() throws -> Void] = [
                { try connection.execute("SELECT 1") }, { try connection.query("SELECT 1") },
                { try connection.prepare("p", "SELECT 1") }, { try connection.executePrepared("p") },
                { try connection.begin() }, { try connection.enterPipelineMode() },
                { try connection.copyIn("COPY t FROM STDIN") { _ in } },
                { try connection.copyOut("COPY t TO STDOUT") { _ in } },
                { try connection.cancelToken().cancel() },
            ]
            for call in calls {
                #expect(throws: PostgresError.self) { try call() }
            }
            let error = try #require(throws: PostgresError.self, performing: { try connection.execute("SELECT 1") })
            #expect(error.isConnectionLost && !error.isAmbiguous && error.message.contains("closed"))
        }
    }

    @Test func `another thread cancels a statement and the connection lives on`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let token = connection.cancelToken()
            let pid = connection.backendProcessID
            let canceller = WorkerThread<Void>(name: "canceller") {
                let watcher = try PostgresConnection.connect(to: info)
                while try watcher.query(
                    "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", .int64(Int64(pid))
                ).rowCount == 0 { usleep(5_000) }
                try token.cancel()
            }
            let error = try #require(
                throws: PostgresError.self, performing: { try connection.query("SELECT pg_sleep(30)") })
            try canceller.join()
            #expect(error.sqlState == .queryCanceled && !error.isConnectionLost && !error.isRetryable)
            #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
        }
    }
}
