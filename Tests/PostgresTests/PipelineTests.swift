// Pipeline mode: order, failures in the middle, and more data than the sockets hold.

import TestSupport
import Testing

@testable import Postgres

@Suite struct PipelineTests {
    @Test func `results come in the order of sending, and a sync commits`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint PRIMARY KEY)")
            try connection.prepare("insert", "INSERT INTO t VALUES ($1::bigint) RETURNING id * 2")
            let buffer = ParameterBuffer()
            try connection.enterPipelineMode()
            #expect(try !connection.hasPipelineResult())
            for id in 1...5 {
                buffer.reset()
                buffer.append(int64: Int64(id))
                try connection.sendPrepared("insert", parameters: buffer, resultFormat: .binary)
            }
            try connection.sendSync()
            #expect(connection.pendingPipelineResultCount == 6)
            for id in 1...5 {
                guard case .result(let result) = try connection.nextPipelineResult() else {
                    Issue.record("expected a result")
                    return
                }
                #expect(result.int64(0, 0) == Int64(id * 2))
            }
            #expect(try isSynced(connection.nextPipelineResult()))
            let observer = try PostgresConnection.connect(to: info)
            #expect(try observer.query("SELECT count(*) FROM t").int64(0, 0) == 5)
            try connection.exitPipelineMode()
            #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
        }
    }

    @Test func `an error in the middle undoes its group, aborts the rest of it and spares the next`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint PRIMARY KEY)")
            try connection.prepare("insert", "INSERT INTO t VALUES ($1::bigint)")
            let buffer = ParameterBuffer()
            try connection.enterPipelineMode()
            for group in [[1, 2, 1, 3], [7, 8]] {
                for id in group {
                    buffer.reset()
                    buffer.append(int64: Int64(id))
                    try connection.sendPrepared("insert", parameters: buffer)
                }
                try connection.sendSync()
            }
            var events: [String] = []
            while connection.pendingPipelineResultCount > 0 {
                switch try connection.nextPipelineResult() {
                case .result(let result): events.append("result \(result.affectedRowCount)")
                case .failed(let error): events.append("failed \(error.sqlState?.rawValue ?? "")")
                case .aborted: events.append("aborted")
                case .synced: events.append("synced")
                }
            }
            #expect(
                events == [
                    "result 1", "result 1", "failed 23505", "aborted", "synced", "result 1", "result 1", "synced",
                ])
            try connection.exitPipelineMode()
            let rows = try connection.query("SELECT id FROM t ORDER BY id")
            #expect((0..<rows.rowCount).map { rows.int64($0, 0) } == [7, 8])
        }
    }

    @Test func `an explicit transaction that fails outlives the sync until it is rolled back`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let none = ParameterBuffer()
            try connection.enterPipelineMode()
            for sql in ["BEGIN", "SELECT 1/0", "COMMIT"] { try connection.sendQuery(sql, parameters: none) }
            try connection.sendSync()
            while connection.pendingPipelineResultCount > 0 { _ = try connection.nextPipelineResult() }
            try connection.exitPipelineMode()
            #expect(connection.isTransactionFailed)
            try connection.rollback()
            #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
        }
    }

    /// Both directions carry far more than the buffers of a socket: 10,000 statements of 2,000 numbers are 240 MB there,
    /// and the answers are 80 MB. Nothing is read before everything is sent.
    @Test(.timeLimit(.minutes(5)))
    func `ten thousand statements with large arrays don't deadlock`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.prepare(
                "echo", "SELECT cardinality($1::bigint[]), ($1::bigint[])[2000], repeat('x', 8000)")
            let buffer = ParameterBuffer()
            try connection.enterPipelineMode()
            for number in 0..<10_000 {
                buffer.reset()
                buffer.append(int64ArrayOf: 2_000) { Int64(number + $0) }
                try connection.sendPrepared("echo", parameters: buffer, resultFormat: .binary)
            }
            try connection.sendSync()
            var wrong = 0
            for number in 0..<10_000 {
                guard case .result(let result) = try connection.nextPipelineResult() else {
                    Issue.record("expected a result")
                    return
                }
                if result.int64(0, 0) != 2_000 || result.int64(0, 1) != Int64(number + 1_999) { wrong += 1 }
            }
            #expect(wrong == 0)
            #expect(try isSynced(connection.nextPipelineResult()))
            try connection.exitPipelineMode()
        }
    }

    @Test func `leaving a pipeline reads what nobody read`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint)")
            let none = ParameterBuffer()
            for _ in 0..<3 {
                try connection.enterPipelineMode()
                try connection.sendQuery("INSERT INTO t VALUES (1)", parameters: none)
                try connection.sendQuery("SELECT generate_series(1, 1000)", parameters: none)
                try connection.exitPipelineMode()
            }
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 3)
        }
    }

    @Test func `a connection lost in a pipeline is thrown and ambiguous`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let killer = try PostgresConnection.connect(to: info)
            let none = ParameterBuffer()
            try connection.enterPipelineMode()
            try connection.sendQuery("SELECT 1", parameters: none)
            try connection.sendSync()
            _ = try connection.nextPipelineResult()
            _ = try connection.nextPipelineResult()
            try killer.query("SELECT pg_terminate_backend($1::int, 5000)", .text("\(connection.backendProcessID)"))
            let error = #expect(throws: PostgresError.self) {
                try connection.sendQuery("INSERT INTO nothing VALUES (1)", parameters: none)
                try connection.sendSync()
                while connection.pendingPipelineResultCount > 0 { _ = try connection.nextPipelineResult() }
            }
            #expect(error?.isConnectionLost == true && error?.isAmbiguous == true)
            #expect(throws: PostgresError.self) { try connection.exitPipelineMode() }
            connection.close()
        }
    }

    private func isSynced(_ event: PipelineEvent) -> Bool {
        if case .synced = event { return true }
        return false
    }

    @Test func `a commit that fails at its sync is a failure of the statement before it`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            // A deferred constraint lets the statement succeed and the commit fail, as serializable isolation may.
            try connection.execute("CREATE TABLE t (a bigint UNIQUE DEFERRABLE INITIALLY DEFERRED)")
            try connection.prepare("insert", "INSERT INTO t VALUES ($1::bigint)")
            try connection.enterPipelineMode()
            for value: Int64 in [1, 1, 2] {
                try connection.sendPrepared("insert", parameters: ParameterBuffer([.int64(value)]))
                try connection.sendSync()
            }
            var outcomes: [[String]] = []
            for _ in 0..<3 {
                let events = try connection.pipelineEventsUpToSync()
                outcomes.append(
                    events.map { event in
                        switch event {
                        case .result: "result"
                        case .failed(let error): error.sqlState?.rawValue ?? "failed"
                        case .aborted: "aborted"
                        case .synced: "synced"
                        }
                    })
            }
            #expect(outcomes == [["result"], ["result", "23505"], ["result"]])
            #expect(connection.pendingPipelineResultCount == 0)
            try connection.exitPipelineMode()
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 2)
        }
    }
}
