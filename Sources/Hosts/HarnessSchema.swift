// The harness schema, as `sql/harness/` declares it: the one place where a runner and its worker hosts meet.

public import Postgres

public enum HarnessSchema: StageSchema {
    public static var ddl: [UInt8] { PackageResources.schema_sql }
    public static var dropStatements: [UInt8] { PackageResources.drop_sql }

    static let script = SQLScript(embedded: PackageResources.hosts_sql)

    /// Creates what is missing. Hosts and a runner may do so at the same moment; whoever comes second finds it made. Blocks.
    public static func createTogether(on connection: PostgresConnection) throws {
        var attempt = 1
        while try connection.query(script["is_created"]).rowCount == 0 {
            do {
                try create(on: connection)
            } catch let error as PostgresError where attempt < 10 && !error.isConnectionLost {
                // IF NOT EXISTS looks before it writes, and the catalogue's unique indexes refuse the slower of two.
                attempt += 1
                sleepThread(for: .milliseconds(50))
            }
        }
    }
}
