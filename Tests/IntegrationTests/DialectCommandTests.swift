// The program against a server that pretends to be a CockroachDB: what its verbs send there, and what they refuse.

import Postgres
import Synchronization
import TestSupport
import Testing

@Suite struct DialectCommandTests {
    @Test func `schema show prints either dialect without a server`() throws {
        try withPlace { place in
            let shown = try place.run("schema", "show", "--dialect", "cockroachdb", state: false)
            #expect(shown.status == 0 && shown.output.contains("USING HASH WITH (bucket_count = 8)"))
            let plain = try place.run("schema", "show", state: false)
            #expect(plain.status == 0 && !plain.output.contains("HASH"))
            let wrong = try place.run("schema", "show", "--dialect", "cockroach", state: false)
            #expect(
                wrong.status == 2
                    && wrong.errors.contains(
                        "--dialect: \"cockroach\": expected one of postgresql, cockroachdb (did you mean cockroachdb?)")
            )
        }
    }

    @Test func `schemas are made and dropped on a CockroachDB in its own words`() throws {
        let server = try ScriptedServer { sql in sql.contains("current_database()") ? .rows([["bench"]]) : nil }
        defer { server.close() }
        let address = "postgresql://root@127.0.0.1:\(server.port)/bench?sslmode=disable"
        try withPlace { place in
            let made = try place.run("schema", "create", "--database", address, state: false)
            #expect(made.status == 0 && made.errors == "", "\(made.errors)")
            let dropped = try place.run("schema", "drop", "--database", address, state: false)
            #expect(dropped.status == 0 && dropped.errors == "", "\(dropped.errors)")
        }
        let sent = server.statements
        #expect(sent.filter { $0.contains("USING HASH") }.count == 6)
        #expect(
            sent.filter { $0.hasPrefix("DROP SCHEMA IF EXISTS") }.count == 7, "of six stages, and of the worker hosts")
        #expect(sent.allSatisfy { !$0.contains("pg_replication_slots") && !$0.contains("PUBLICATION") })
    }

    /// The database stands in the scenario, which the command line gives no other. Nothing is written before the refusal.
    @Test func `a run refuses a level of isolation that the cluster doesn't give`() throws {
        let server = try ScriptedServer(version: "CockroachDB CCL v23.2.1 (x)") { sql in
            sql.contains("SHOW transaction_isolation") ? .rows([["serializable"]]) : nil
        }
        defer { server.close() }
        let brokers = try TemporaryBroker.shared().bootstrapServers
        try withPlace { place in
            try place.write(
                "s.yaml",
                """
                servers: postgresql://root@127.0.0.1:\(server.port)/bench?sslmode=disable
                workload: { executions: 100, blocks: 2 }
                configurations: [{ mode: batch }]
                """)
            let alone = try place.run("run", "s.yaml", state: false)
            #expect(alone.status == 2)
            let expected =
                "servers.database: expected --brokers or servers.brokers with it, or neither for embedded services"
            #expect(alone.errors.contains(expected), "\(alone.errors)")
            let run = try place.run("run", "s.yaml", "--brokers", brokers, state: false)
            #expect(run.status == 1)
            let refusal =
                "CockroachDB v23.2.1 runs transactions that ask for READ COMMITTED as SERIALIZABLE; SET CLUSTER SETTING "
                + "sql.txn.read_committed_isolation.enabled = true, or give the configurations isolation: serializable"
            #expect(run.errors.contains(refusal), "\(run.errors)")
            #expect(place.names(in: "results").isEmpty)
        }
        #expect(server.statements.allSatisfy { !$0.contains("CREATE") && !$0.contains("DROP") })
        #expect(server.statements.contains("BEGIN ISOLATION LEVEL READ COMMITTED"))
    }
}
