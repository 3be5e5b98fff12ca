// COPY in both directions: exact values, failures half way.

import TestSupport
import Testing

@testable import Postgres

private struct BodyError: Error {}

@Suite struct CopyTests {
    private static let awkward = [
        "", "tab\there", "line\nbreak", "return\rhere", "back\\slash", "\\N", "\\.", "äöü €😀", "'\"",
    ]

    @Test func `what is copied in reads back exactly`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint, name text, price decimal(20, 4), ok boolean, day date)")
            let ticks: [Int64] = [0, 1, -1, 123_400, -9_999, 10_000, Int64.max, Int64.min, 42]
            let count = try connection.copyIn("COPY t FROM STDIN") { writer in
                for (index, name) in Self.awkward.enumerated() {
                    writer.int64(Int64(index) - 1)
                    writer.text(name)
                    writer.decimal(ticks: ticks[index])
                    writer.bool(index % 3 == 0)
                    writer.date(year: 2024, month: index + 1, day: 3 * index + 1)
                    try writer.endRow()
                }
                writer.int64(Int64.min)
                for _ in 0..<4 { writer.null() }
                try writer.endRow()
                #expect(writer.rowCount == 10)
            }
            #expect(count == 10)
            let rows = try connection.query(
                "SELECT id, name, (price * 10000)::text, ok, to_char(day, 'YYYYMMDD') FROM t WHERE name IS NOT NULL ORDER BY id"
            )
            #expect((0..<9).map { rows.int64($0, 0) } == Array(-1..<8))
            #expect((0..<9).map { rows.text($0, 1) } == Self.awkward)
            #expect((0..<9).map { rows.text($0, 2) } == ticks.map { "\($0).0000" })
            #expect((0..<9).map { rows.int64($0, 3) == 1 } == (0..<9).map { $0 % 3 == 0 })
            let days = ["0101", "0204", "0307", "0410", "0513", "0616", "0719", "0822", "0925"]
            #expect((0..<9).map { rows.text($0, 4) } == days.map { "2024" + $0 })
            let null = try connection.query(
                "SELECT price IS NULL AND ok IS NULL FROM t WHERE name IS NULL AND id = $1", .int64(Int64.min))
            #expect(null.rowCount == 1 && null.int64(0, 0) == 1)
        }
    }

    @Test func `many rows go in blocks and come back out`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint, name text)")
            let count = try connection.copyIn("COPY t (id, name) FROM STDIN") { writer in
                for id in 0..<100_000 {
                    writer.int64(Int64(id))
                    writer.text("a name of some length, number \(id)")
                    try writer.endRow()
                }
            }
            #expect(count == 100_000)
            var sum = 0
            var lines = 0
            try connection.copyOut("COPY (SELECT id, name FROM t WHERE id < 1000 ORDER BY id) TO STDOUT") { line in
                let columns = String(decoding: line, as: UTF8.self).split(separator: "\t")
                sum += Int(columns[0]) ?? 0
                lines += 1
                #expect(columns[1].hasSuffix("number \(columns[0])\n"))
            }
            #expect(lines == 1_000 && sum == 499_500)
            #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
        }
    }

    @Test func `a body that throws leaves the table empty and the connection usable`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint)")
            #expect(throws: BodyError.self) {
                try connection.copyIn("COPY t FROM STDIN") { writer in
                    for id in 0..<50_000 {
                        writer.int64(Int64(id))
                        try writer.endRow()
                    }
                    throw BodyError()
                }
            }
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
        }
    }

    @Test func `a row that the server refuses names its line`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint PRIMARY KEY, CHECK (id < 5))")
            func copy(_ ids: [String]) throws {
                try connection.copyIn("COPY t FROM STDIN") { writer in
                    for id in ids {
                        writer.text(id)
                        try writer.endRow()
                    }
                }
            }
            func state(_ ids: [String]) -> SQLState? {
                #expect(throws: PostgresError.self) { try copy(ids) }?.sqlState
            }
            #expect(state(["1", "x"]) == .invalidTextRepresentation)
            #expect(state(["1", "1"]) == .uniqueViolation)
            #expect(state(["1", "7"]) == .checkViolation)
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 0)
            try copy(["1"])
        }
    }

    @Test func `a statement that isn't the right COPY is refused`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint); INSERT INTO t SELECT generate_series(1, 1000)")
            #expect(throws: PostgresError.self) { try connection.copyIn("SELECT 1") { _ in } }
            #expect(throws: PostgresError.self) { try connection.copyIn("COPY t TO STDOUT") { _ in } }
            #expect(throws: PostgresError.self) { try connection.copyOut("COPY t FROM STDIN") { _ in } }
            #expect(throws: PostgresError.self) { try connection.execute("COPY t FROM STDIN") }
            #expect(throws: PostgresError.self) { try connection.query("COPY t TO STDOUT") }
            let missing = #expect(throws: PostgresError.self) {
                try connection.copyIn("COPY nothing FROM STDIN") { _ in }
            }
            #expect(missing?.sqlState == .undefinedTable)
            #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == 1_000)
        }
    }

    @Test func `a reader that throws ends the copy out, and an error half way is thrown`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            var lines = 0
            #expect(throws: BodyError.self) {
                try connection.copyOut("COPY (SELECT generate_series(1, 10000)) TO STDOUT") { _ in
                    lines += 1
                    if lines == 3 { throw BodyError() }
                }
            }
            #expect(lines == 3)
            let error = #expect(throws: PostgresError.self) {
                try connection.copyOut("COPY (SELECT 1 / (g - 50) FROM generate_series(1, 100) g) TO STDOUT") { _ in }
            }
            #expect(error?.sqlState?.rawValue == "22012")
            #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
        }
    }

    @Test func `a connection lost inside a COPY is told`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let killer = try PostgresConnection.connect(to: info)
            try connection.execute("CREATE TABLE t (id bigint)")
            let error = #expect(throws: PostgresError.self) {
                try connection.copyIn("COPY t FROM STDIN") { writer in
                    try killer.query(
                        "SELECT pg_terminate_backend($1::int, 5000)", .text("\(connection.backendProcessID)"))
                    for id in 0..<500_000 {
                        writer.int64(Int64(id))
                        try writer.endRow()
                    }
                }
            }
            #expect(error?.isConnectionLost == true && error?.isAmbiguous == false)
            #expect(try killer.query("SELECT count(*) FROM t").int64(0, 0) == 0)
        }
    }
}
