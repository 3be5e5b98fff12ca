// Servers of the user's: what a target knows of them.

import Postgres
import Scenario
import TestSupport
import Testing

@Suite struct TargetTests {
    /// As with `--database ''`: what feeds make is named after the database, and couldn't be made without its name.
    @Test func `a database that only libpq's defaults name is known by its name`() throws {
        let server = try TemporaryPostgres.maintenanceInfo()
        let maintenance = try PostgresConnection.connect(to: server)
        defer { maintenance.close() }
        try maintenance.execute("CREATE ROLE named_by_default LOGIN")
        try maintenance.execute("CREATE DATABASE named_by_default")
        defer {
            _ = try? maintenance.execute("DROP DATABASE named_by_default WITH (FORCE)")
            _ = try? maintenance.execute("DROP ROLE named_by_default")
        }
        var options = Target.Options()
        // Without a name libpq takes the user's.
        options.connection = server.without("dbname").with("user", "named_by_default").unredacted
        options.broker = .none
        let target = try Target.open(options)
        defer { target.close() }
        #expect(target.connection["dbname"] == "named_by_default")
    }
}
