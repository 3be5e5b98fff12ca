// The figures of a CockroachDB, asked of a PostgreSQL that has tables of the same names and columns as its own catalogue.

import Postgres
import TestSupport
import Testing

@testable import Scenario

@Suite struct ClusterFiguresTests {
    private static let version = ServerVersion(
        serverVersion: "13.0.0", cockroachVersion: "CockroachDB CCL v24.1.3 (x86_64-pc-linux-gnu)")

    private static func metrics(_ commits: Int, _ serializable: Int, _ pushed: Int) -> String {
        """
        {"sql.txn.commit.count": \(commits), "txn.restarts.serializable": \(serializable),
         "txn.restarts.txnpush": \(pushed), "txn.restarts-count": 7}
        """
    }

    @Test func `commits and restarts of all nodes are summed up, those of nodes that are gone are not`() throws {
        try withStages(isOwn: true) { _, connection in
            try connection.execute(
                """
                CREATE SCHEMA crdb_internal;
                CREATE TABLE crdb_internal.kv_node_status (node_id INT8, updated_at TIMESTAMP, metrics JSONB);
                INSERT INTO crdb_internal.kv_node_status VALUES
                  (1, now() AT TIME ZONE 'UTC' + INTERVAL '1 hour', '\(Self.metrics(100, 1, 2))'),
                  (2, now() AT TIME ZONE 'UTC' + INTERVAL '1 hour', '\(Self.metrics(50, 0, 0))'),
                  (3, '2024-01-01', '\(Self.metrics(9000, 9000, 9000))');
                """)
            let meter = try #require(try DatabaseMeter.begin(on: connection, as: Self.version))
            try connection.execute(
                "UPDATE crdb_internal.kv_node_status SET metrics = '\(Self.metrics(180, 4, 3))' WHERE node_id = 1")
            let activity = try meter.end(on: connection)
            #expect(activity.commits == 80 && activity.restarts == 4 && activity.isWhole)
            #expect(activity.rowsWritten == nil, "a cluster doesn't count rows")
            // A node that hasn't written its figures down since may have more of them.
            try connection.execute(
                """
                UPDATE crdb_internal.kv_node_status SET updated_at = now() AT TIME ZONE 'UTC' - INTERVAL '5 seconds'
                WHERE node_id = 2
                """)
            #expect(try meter.end(on: connection, waitMs: 0).isWhole == false)
        }
    }

    @Test func `transactions that wait are counted, each once`() throws {
        try withStages(isOwn: true) { _, connection in
            try connection.execute(
                """
                CREATE SCHEMA crdb_internal;
                CREATE TABLE crdb_internal.cluster_locks
                  (database_name TEXT, txn_id UUID, granted BOOL, contended BOOL);
                INSERT INTO crdb_internal.cluster_locks
                SELECT d, md5(t::TEXT)::UUID, g, true
                FROM (VALUES (current_database(), 1, true), (current_database(), 2, false),
                             (current_database(), 2, false), (current_database(), 3, false), ('other', 4, false))
                  AS l (d, t, g);
                """)
            let waiting = ServerStatements.statement("waiting_sessions", for: .cockroachdb)
            #expect(try connection.number(waiting) == 2)
        }
    }

    @Test(arguments: ServerDialect.allCases)
    func `whose tables these are is told by either way`(_ dialect: ServerDialect) throws {
        try withStages(isOwn: true) { _, connection in
            let mark = ServerStatements.statement("mark_run", for: dialect)
            #expect(try connection.lines(ServerStatements.statement("run_mark", for: dialect)) == ["null"])
            try connection.execute(mark)
            #expect(try connection.lines(ServerStatements.statement("run_mark", for: dialect)) == [":mark"])
        }
    }
}
