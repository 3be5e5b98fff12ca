// Goal: a connection through the proxy takes the emulated time, once per round trip, and is otherwise the same connection.
// Method: a real server for what PostgreSQL says, sockets of the test's own for halves of a connection.

import Diagnostics
import Glibc
import Measurement
import Postgres
import TestSupport
import Testing
import Threads

@testable import Services

/// Calls `body` with a proxy to a new database.
private func withProxy(_ roundTripTimeUs: Int, _ body: (RoundTripProxy) throws -> Void) throws {
    try withTemporaryDatabase { info in
        let proxy = try RoundTripProxy.start(to: info, roundTripTimeUs: roundTripTimeUs)
        defer { proxy.stop() }
        try body(proxy)
    }
}

private func durationsMs(_ count: Int, _ body: () throws -> Void) rethrows -> [Double] {
    try (0..<count).map { _ in
        let start = monotonicNow()
        try body()
        return Double(monotonicNow() - start) / 1e6
    }.sorted()
}

/// The sockets of a proxy, its listener among them, as the kernel lists them.
private func socketCount(_ proxy: RoundTripProxy) throws -> Int {
    let folder = try #require(proxy.connectionInfo["host"])
    let sockets = try ChildProcess.run(["cat", "/proc/net/unix"]).output.split(separator: "\n")
    return sockets.filter { $0.contains("\(folder)/.s.PGSQL") }.count
}

/// Calls `body` with a proxy to a listening socket of the test's own.
private func withFakeServer(
    roundTripTimeUs: Int = 2_000, _ body: (borrowing UnixSocket, RoundTripProxy) throws -> Void
) throws {
    let folder = "/tmp/allocbench-fake-\(getpid())"
    mkdir(folder, 0o700)
    let path = "\(folder)/.s.PGSQL.5432"
    defer {
        unlink(path)
        rmdir(folder)
    }
    let listener = try UnixSocket.listen(at: path)
    let proxy = try RoundTripProxy.start(to: ConnectionInfo("host=\(folder)"), roundTripTimeUs: roundTripTimeUs)
    defer { proxy.stop() }
    try body(listener, proxy)
}

private func connect(_ proxy: RoundTripProxy) throws -> UnixSocket {
    let folder = try #require(proxy.connectionInfo["host"])
    return try UnixSocket.connect(to: "\(folder)/.s.PGSQL.5432", timeoutMs: 5_000)
}

@Suite(.serialized, .timeLimit(.minutes(5))) struct RoundTripProxyTests {
    private static let lastWords = "terminating connection due to administrator command"

    /// Lower bounds alone: how long a busy machine takes beyond them says nothing of the proxy.
    @Test func `each of so many statements takes a round trip, and a pipeline of twenty takes one`() throws {
        try withProxy(5_000) { proxy in
            let connection = try PostgresConnection.connect(to: proxy.connectionInfo)
            let start = monotonicNow()
            let single = try durationsMs(20) { try connection.execute("SELECT 1") }
            #expect(Double(monotonicNow() - start) / 1e6 >= 20 * 5)
            #expect(single[0] >= 5, "\(single)")

            try connection.prepare("one", "SELECT 1")
            let buffer = ParameterBuffer()
            try connection.enterPipelineMode()
            let pipeline = try durationsMs(9) {
                for _ in 0..<20 { try connection.sendPrepared("one", parameters: buffer) }
                try connection.sendSync()
                let answers = try connection.pipelineEventsUpToSync().count
                #expect(answers >= 20)
            }
            #expect(pipeline[0] >= 5, "\(pipeline)")
            // How late it was is told once it has ended: at most by what a statement took beyond its round trip.
            #expect(proxy.figures.latenessP99Ns == nil)
            proxy.stop()
            let lateness = try #require(proxy.figures.latenessP99Ns)
            #expect(lateness > 0 && lateness < 1_000_000_000, "\(lateness) ns")
        }
    }

    /// What would multiply the time is a proxy that waits for an answer before it passes on what follows: then this server,
    /// which answers nothing before it has everything, would wait for ever.
    @Test func `requests that don't wait for each other don't wait at the proxy either`() throws {
        try withFakeServer(roundTripTimeUs: 20_000) { listener, proxy in
            let client = try connect(proxy)
            let server = try listener.accept(timeoutMs: 5_000)
            let start = monotonicNow()
            for number in 0..<50 {
                client.write(line: "request \(number)")
                // So that they don't come in at once: each is a piece of its own, with a time of its own.
                usleep(100)
            }
            for number in 0..<50 { #expect(server.readLine() == "request \(number)") }
            #expect(Double(monotonicNow() - start) / 1e6 >= 10)
            for number in 0..<50 { server.write(line: "answer \(number)") }
            for number in 0..<50 { #expect(client.readLine() == "answer \(number)") }
            #expect(Double(monotonicNow() - start) / 1e6 >= 20)
            // One after the other they take a round trip each.
            let second = monotonicNow()
            for number in 0..<5 {
                client.write(line: "request \(number)")
                #expect(server.readLine() == "request \(number)")
                server.write(line: "answer \(number)")
                #expect(client.readLine() == "answer \(number)")
            }
            #expect(Double(monotonicNow() - second) / 1e6 >= 5 * 20)
        }
    }

    @Test func `without a round trip time a connection is as it was, and so are cancel requests`() throws {
        try withProxy(0) { proxy in
            let connection = try PostgresConnection.connect(to: proxy.connectionInfo)
            let token = connection.cancelToken()
            let canceling = WorkerThread(name: "cancel") {
                usleep(50_000)
                try token.cancel()
            }
            let error = #expect(throws: PostgresError.self) { try connection.execute("SELECT pg_sleep(20)") }
            #expect(error?.sqlState == .queryCanceled)
            try canceling.join()
            let answer = try connection.query("SELECT 42").int64(0, 0)
            #expect(answer == 42)
            #expect(proxy.figures.connectionCount == 2)
        }
    }

    @Test func `a big COPY arrives whole both ways`() throws {
        try withProxy(1_000) { proxy in
            let connection = try PostgresConnection.connect(to: proxy.connectionInfo)
            try connection.execute("CREATE UNLOGGED TABLE t (id bigint, text text)")
            let text = String(repeating: "allocation ", count: 40)
            let count: Int64 = 10_000
            try connection.copyIn("COPY t FROM STDIN") { writer in
                for id in 0..<count {
                    writer.int64(id)
                    writer.text(text)
                    try writer.endRow()
                }
            }
            let sum = "SELECT md5(string_agg(id || ':' || text, ',' ORDER BY id)) FROM t"
            let expected = "SELECT md5(string_agg(i || ':' || $1, ',' ORDER BY i)) FROM generate_series(0, $2) AS i"
            let (found, wanted) = (
                try connection.query(sum).text(0, 0),
                try connection.query(expected, .text(text), .int64(count - 1)).text(0, 0)
            )
            #expect(found == wanted)
            var rows: Int64 = 0
            var size = 0
            try connection.copyOut("COPY (SELECT * FROM t ORDER BY id) TO STDOUT") { row in
                if row.starts(with: "\(rows)\t\(text)".utf8) { rows += 1 }
                size += row.count
            }
            #expect(rows == count)
            let figures = proxy.figures
            #expect(figures.bytesToServer > size && figures.bytesFromServer > size)
        }
    }

    @Test func `many connections at once are all served, and leave nothing`() throws {
        try withProxy(2_000) { proxy in
            let info = proxy.connectionInfo.with("application_name", "many")
            let threads = (0..<64).map { number in
                WorkerThread(name: "client") {
                    let connection = try PostgresConnection.connect(to: info)
                    var sum: Int64 = 0
                    for round in 0..<5 {
                        sum += try connection.query("SELECT $1::bigint", .int64(Int64(number + round))).int64(0, 0)
                    }
                    connection.close()
                    return sum
                }
            }
            for (number, thread) in threads.enumerated() {
                let sum = try thread.join()
                #expect(sum == Int64(5 * number + 10))
            }
            let isClosed = try eventually { try socketCount(proxy) == 1 }
            #expect(isClosed)
            let observer = try PostgresConnection.connect(to: TemporaryPostgres.maintenanceInfo())
            let isGone = try eventually {
                try observer.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'many'").int64(0, 0)
                    == 0
            }
            #expect(isGone)
            // A thread, its clock and its folder end with the proxy, whoever is still connected.
            let late = try PostgresConnection.connect(to: proxy.connectionInfo)
            proxy.stop()
            proxy.stop()
            #expect(throws: PostgresError.self) { try late.execute("SELECT 1") }
            let left = try socketCount(proxy)
            #expect(left == 0)
            let folder = try #require(proxy.connectionInfo["host"])
            #expect(access(folder, F_OK) != 0)
            #expect(proxy.figures.cpuTimeNs > 0)
        }
    }

    @Test func `a client learns that the server closed its session, or isn't there`() throws {
        try withProxy(1_000) { proxy in
            let connection = try PostgresConnection.connect(to: proxy.connectionInfo)
            let observer = try PostgresConnection.connect(to: TemporaryPostgres.maintenanceInfo())
            let backend = PostgresValue.int64(Int64(connection.backendProcessID))
            try observer.query("SELECT pg_terminate_backend($1::int, 5000)", backend)
            let error = #expect(throws: PostgresError.self) { try connection.execute("SELECT 1") }
            // The server's last words have come through. Their SQLSTATE is lost behind the proxy as it is without one: `PQexec`
            // hands out the last of several results, and that is libpq's own one on the end that comes after those words.
            #expect(error?.isConnectionLost == true && error?.message.contains(Self.lastWords) == true)
        }
        let nowhere = try RoundTripProxy.start(to: ConnectionInfo("host=/tmp/nowhere"), roundTripTimeUs: 0)
        defer { nowhere.stop() }
        let error = #expect(throws: PostgresError.self) { try PostgresConnection.connect(to: nowhere.connectionInfo) }
        #expect(error?.isConnectionLost == true)
    }

    @Test func `in a pipeline the code of the server's last words arrives, too`() throws {
        try withProxy(1_000) { proxy in
            let connection = try PostgresConnection.connect(to: proxy.connectionInfo)
            let backend = PostgresValue.int64(Int64(connection.backendProcessID))
            try connection.enterPipelineMode()
            try connection.sendQuery("SELECT pg_sleep(20)", parameters: ParameterBuffer())
            try connection.sendSync()
            let observer = try PostgresConnection.connect(to: TemporaryPostgres.maintenanceInfo())
            let isSleeping = try eventually {
                try observer.query(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = $1", backend
                )
                .int64(0, 0) == 1
            }
            #expect(isSleeping)
            try observer.query("SELECT pg_terminate_backend($1::int, 5000)", backend)
            let error = #expect(throws: PostgresError.self) {
                for case .failed(let error) in try connection.pipelineEventsUpToSync() { throw error }
            }
            #expect(error?.sqlState == .adminShutdown && error?.isConnectionLost == true)
        }
    }

    @Test func `when the server restarts, clients learn it and new connections work`() throws {
        let folder = "\(TestFolder.root)/allocbench-restart-\(getpid())"
        mkdir(folder, 0o711)
        defer { removeFolder(folder) }
        func start() throws -> EmbeddedPostgres {
            try EmbeddedPostgres.start(
                dataFolder: "\(folder)/data", socketFolder: "\(folder)/socket",
                settings: EmbeddedPostgres.defaultSettings.merging(["fsync": "off", "shared_buffers": "16MB"]) { $1 },
                logFile: "\(folder)/log")
        }
        var server = try start()
        defer { server.stop(mode: .immediate) }
        let proxy = try RoundTripProxy.start(to: ConnectionInfo(server.connectionInfo), roundTripTimeUs: 1_000)
        defer { proxy.stop() }
        let connections = try (0..<3).map { _ in try PostgresConnection.connect(to: proxy.connectionInfo) }
        server.stop()
        let refused = #expect(throws: PostgresError.self) { try PostgresConnection.connect(to: proxy.connectionInfo) }
        #expect(refused?.isConnectionLost == true)
        server = try start()
        let new = try PostgresConnection.connect(to: proxy.connectionInfo)
        let answer = try new.query("SELECT 42").int64(0, 0)
        #expect(answer == 42)
        for connection in connections {
            let error = #expect(throws: PostgresError.self) { try connection.execute("SELECT 1") }
            #expect(error?.isConnectionLost == true && error?.message.contains(Self.lastWords) == true)
        }
    }

    @Test func `one half of a connection may end before the other`() throws {
        try withFakeServer { listener, proxy in
            let client = try connect(proxy)
            let server = try listener.accept(timeoutMs: 5_000)
            client.write(line: "all I have")
            shutdown(client.descriptor, Int32(SHUT_WR))
            #expect(server.readLine() == "all I have")
            #expect(server.readLine() == nil)
            server.write(line: "thank you")
            #expect(client.readLine() == "thank you")
        }
    }

    @Test func `what is on the way when a server dies still arrives`() throws {
        try withFakeServer { listener, proxy in
            let client = try connect(proxy)
            do {
                let server = try listener.accept(timeoutMs: 5_000)
                server.write(line: "FATAL: good bye")
            }
            #expect(client.readLine() == "FATAL: good bye")
            #expect(client.readLine() == nil)
        }
    }

    @Test(arguments: [
        ("host=db.example.com sslmode=require", "(sslmode=require)"),
        ("postgresql://db.example.com/x?sslmode=verify-full", "(sslmode=verify-full)"),
        ("host=db gssencmode=require", "(gssencmode=require)"),
        ("host=db channel_binding=require", "(channel_binding=require)"),
        ("host=a,b", "one server"), ("service=x", "service=x"), ("host=no.such.host.invalid", "address"),
    ]) func `what the proxy can't stand in for is refused`(_ text: String, _ words: String) throws {
        let info = try ConnectionInfo(text)
        let error = #expect(throws: OperatingError.self) { try RoundTripProxy.start(to: info, roundTripTimeUs: 1) }
        #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }

    @Test func `clients keep the user, the database and the password of the target`() throws {
        let target = try ConnectionInfo("host=127.0.0.1 port=26257 user=u password=secret1 dbname=d sslmode=prefer")
        let proxy = try RoundTripProxy.start(to: target, roundTripTimeUs: 10)
        defer { proxy.stop() }
        let info = proxy.connectionInfo
        #expect(info["user"] == "u" && info["password"] == "secret1" && info["dbname"] == "d")
        #expect(info["sslmode"] == "disable" && info["gssencmode"] == "disable" && info["hostaddr"] == nil)
        #expect(!proxy.connectionInfo.description.contains("secret1"))
    }
}
