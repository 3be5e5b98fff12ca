// Sessions: how they are opened, what they answer, and how they fail.

import TestSupport
import Testing

@testable import Postgres

@Suite struct ConnectionTests {
    @Test func `a parameter travels beside the statement, whatever is in it`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            let nasty = "'; DROP TABLE t; -- \t\n\\ \u{1F600} é"
            let result = try connection.query(
                "SELECT $1::text, $2::bigint + 1, $3::boolean", .text(nasty), .int64(41), .bool(true))
            #expect(result.text(0, 0) == nasty)
            #expect(result.int64(0, 1) == 42)
            #expect(result.int64(0, 2) == 1)
        }
    }
}
