// A way to break the tables; the ways themselves are in the files beside this one, by what they break.

/// One way to break the tables, and who must notice.
struct Mutation {
    let what: String
    let sql: String
    let findings: Set<String>

    init(_ what: String, _ findings: Set<String>, _ sql: String) {
        self.what = what
        self.sql = sql
        self.findings = findings
    }

    static let all = captures + fills + allocations + bookings + messages

    // The oracle's checks, beside those of verify.sql.
    static let blocksOracle = "blocks_differ_from_oracle"
    static let oracle = "allocations_differ_from_oracle"
    static let bookingsOracle = "bookings_differ_from_oracle"
}
