// What needs no server: connection texts, log positions, retry delays, scripts, error classes.

import TestSupport
import Testing

@testable import Postgres

@Suite struct ConnectionInfoTests {
    @Test func `a URI and key=value words mean the same`() throws {
        let uri = try ConnectionInfo("postgresql://ann@db.example:5433/bench?connect_timeout=3")
        let words = try ConnectionInfo("dbname=bench connect_timeout=3 port=5433 user=ann host=db.example")
        #expect(uri == words)
        #expect(uri["host"] == "db.example" && uri["port"] == "5433" && uri["sslmode"] == nil)
        #expect(uri.with(database: "other")["dbname"] == "other")
        #expect(uri.with("dbname", "bench") == words)
        #expect(try ConnectionInfo("")["host"] == nil)
    }

    @Test func `awkward values survive being written and read again`() throws {
        let info = try ConnectionInfo("host=/tmp").with("dbname", "it's a \\ test").with("user", "").with(
            "password", "a b")
        #expect(try ConnectionInfo(info.unredacted) == info)
    }

    @Test func `a machine that vanishes is noticed unless the user has said when`() throws {
        let own = try ConnectionInfo("host=db keepalives_idle=60").withLossNoticed()
        #expect(own["tcp_user_timeout"] == "30000" && own["keepalives_idle"] == "60")
        #expect(own["keepalives_interval"] == "5" && own["keepalives_count"] == "3")
    }

    @Test func `options of ours stand behind the user's`() throws {
        let own = try ConnectionInfo("options='-c work_mem=8MB'").adding(options: "-c TimeZone=UTC")
        #expect(own["options"] == "-c work_mem=8MB -c TimeZone=UTC")
    }

    @Test func `no text made of an info shows its password`() throws {
        let info = try ConnectionInfo("postgresql://ann:hunter2@db.example/bench?sslpassword=hunter3")
        #expect(info["password"] == "hunter2")
        var dumped = ""
        dump(info, to: &dumped)
        for text in [info.redacted, info.description, "\(info)", String(reflecting: info), dumped, "\([info])"] {
            #expect(text.contains("db.example") && !text.contains("hunter"))
        }
        #expect(info.redact("no such user ann with hunter2") == "no such user ann with ***")
    }

    @Test(arguments: [
        "hunter2", "postgres:hunter2@localhost", "postgresql://ann:hunter2%zz@host/d", "host=x password=a hunter2=1",
        "postgresql://ann:hunter2@[::1/d", "password='hunter2", "postgresql://ann:\"hunter2@[/x\"", "host=a 'hunter2",
        "postgresql://ann:pw@host/d?hunter2=1", "postgresql://ann:hunter2@host:1:2/d?a",
    ])
    func `a text that can't be read is refused without showing what may be its password`(text: String) throws {
        let error = try #require(throws: PostgresError.self, performing: { _ = try ConnectionInfo(text) })
        #expect(error.message.hasPrefix("bad connection text: ") && error.message.count > 30)
        #expect(!String(reflecting: error).contains("hunter2") && !"\(error)".contains("hunter2"))
    }

    @Test func `a misspelt parameter is named where no secret can be meant`() throws {
        let error = try #require(throws: PostgresError.self, performing: { _ = try ConnectionInfo("hots=db port=1") })
        #expect(error.message.contains("\"hots\""))
    }
}

@Suite struct LSNTests {
    @Test(arguments: [("0/0", 0), ("16/B374D848", 0x16_B374_D848), ("FFFFFFFF/FFFFFFFF", UInt64.max)])
    func `a position is written as the server writes it`(text: String, value: UInt64) {
        #expect(LSN(text)?.rawValue == value)
        #expect(LSN(rawValue: value).description == text)
    }

    @Test(arguments: ["", "/", "1", "1/", "/1", "1/2/3", "x/1", "123456789/0", "+1/0", " 1/0"])
    func `anything else isn't a position`(text: String) { #expect(LSN(text) == nil) }

    @Test func `positions are ordered by value, not by text`() throws {
        #expect(try #require(LSN("9/0")) < #require(LSN("10/0")))
    }
}

@Suite struct RetryPolicyTests {
    @Test func `the limit doubles up to the longest delay, and jitter takes a part of it`() {
        let policy = RetryPolicy(maxAttempts: 9, baseDelay: .milliseconds(10), maxDelay: .milliseconds(100))
        let limits = (1...6).map { policy.delay(attempt: $0, jitter: 1) }
        #expect(limits == [10, 20, 40, 80, 100, 100].map { .milliseconds($0) })
        #expect(policy.delay(attempt: 3, jitter: 0) == .zero)
        #expect(policy.delay(attempt: 3, jitter: 0.25) == .milliseconds(10))
        #expect(policy.delay(attempt: 1_000_000, jitter: 0.5) == .milliseconds(50))
        #expect(policy.delay(attempt: 1, jitter: 7) == .milliseconds(10))
    }

    @Test func `a base above the longest delay is cut to it`() {
        let policy = RetryPolicy(maxAttempts: 2, baseDelay: .seconds(9), maxDelay: .seconds(1))
        #expect(policy.delay(attempt: 1, jitter: 1) == .seconds(1))
    }
}

@Suite struct PostgresErrorTests {
    @Test(arguments: [
        ("40001", true, false), ("40P01", true, false), ("23505", false, false), ("40003", false, true),
        ("08007", false, true), ("57014", false, false), ("08006", false, false),
    ])
    func `only a rollback by the server is retried, only an unknown outcome is ambiguous`(
        code: String, isRetryable: Bool, isAmbiguous: Bool
    ) {
        let error = PostgresError(sqlState: SQLState(rawValue: code), message: "m")
        #expect(error.isRetryable == isRetryable)
        #expect(error.isAmbiguous == isAmbiguous)
    }

    @Test func `a word that ends a transaction is found in a text, and not within other words`() {
        #expect(PostgresConnection.mayCommit("update t set a = 1; commit"))
        #expect(PostgresConnection.mayCommit("END;"))
        #expect(!PostgresConnection.mayCommit("UPDATE t SET committed = 1, weekend = 2"))
    }
}

@Suite struct SQLScriptTests {
    @Test func `a script is cut at its names`() {
        let script = SQLScript(
            embedded: Array(
                "-- What this is.\n\n-- name: first\nSELECT 1;\n\n-- name: second_one\n-- why\nSELECT 2\n".utf8))
        #expect(script.names == ["first", "second_one"])
        #expect(script.header == "-- What this is.")
        #expect(script["first"] == "SELECT 1;")
        #expect(script["second_one"] == "-- why\nSELECT 2")
    }

    @Test func `a part may stand in the place of another`() {
        let script = SQLScript(
            embedded: Array("-- part: a\n1\n-- part: b\n2\n-- name: s\nSELECT\n-- insert: a\n;".utf8))
        #expect(script["s"].split(whereSeparator: \.isNewline) == ["SELECT", "1", ";"])
        let other = script.statement("s", replacing: ["a": "b"])
        #expect(other.split(whereSeparator: \.isNewline) == ["SELECT", "2", ";"])
    }

    @Test func `a script without names is all header`() {
        let script = SQLScript(embedded: Array("SELECT 1".utf8))
        #expect(script.names.isEmpty && script.header == "SELECT 1")
    }
}
