// Where a scenario's database is, and what a CockroachDB among them is told.

import Postgres
import Testing

@testable import Scenario

@Suite struct ScenarioDatabaseTests {
    @Test(
        arguments: [
            ("embedded", nil), ("{ database: embedded }", nil),
            ("postgresql://root@db1:26257,db2:26257/bench?sslmode=verify-full&sslrootcert=ca.crt", true),
            ("\"postgres:///bench?host=/run/postgresql\"", true), ("{ database: \"host=db1 dbname=bench\" }", true),
            ("{ database: \"postgresql://bench@db1/bench?passfile=/etc/bench/pass\" }", true),
        ] as [(String, Bool?)])
    func `servers are embedded or a database of one's own`(text: String, isOwn: Bool?) throws {
        let database = try parsed(scenarioText("servers: \(text)")).servers.database
        #expect((database != nil) == (isOwn == true))
        if let database { #expect(text.contains(database)) }
    }

    @Test(arguments: [
        "postgresql://root:hunter2secret@db1/bench", "{ database: \"postgresql://root:hunter2secret@db1/bench\" }",
        "{ database: \"host=db1 password=hunter2secret\" }",
        "\"postgresql://root@db1/bench?password=hunter2secret\"",
        "\"postgresql://root@db1/bench?sslpassword=hunter2secret\"",
    ])
    func `a password is refused with the remedy, and not repeated`(text: String) {
        let refused = refusal(of: scenarioText("servers: \(text)"))
        #expect(
            refused.hasSuffix(
                "expected a URI without a password, for a scenario is kept with its results: set PGPASSWORD, or name a file "
                    + "by PGPASSFILE or passfile="))
        #expect(refused.hasPrefix("s.yaml:1: ") && !refused.contains("hunter2"))
    }

    @Test(arguments: ["cockroach://root@db1/bench", "{ database: http://root:hunter2secret@db1 }"])
    func `an address of another kind is refused`(text: String) {
        let refused = refusal(of: scenarioText("servers: \(text)"))
        #expect(refused.hasSuffix("expected embedded, or a URI such as postgresql://root@db1:26257/bench"))
        #expect(!refused.contains("hunter2"))
    }

    @Test func `what only the embedded database has is refused beside another`() {
        #expect(
            refusal(of: scenarioText("servers: { database: postgresql:///b, standbys: 1, settings: { fsync: off } }"))
                == """
                s.yaml:1: standbys: expected the embedded database with it: your own server keeps its own
                s.yaml:1: settings: expected the embedded database with it: your own server keeps its own
                """)
    }

    @Test func `a cluster is told its settings`() throws {
        let text = """
            servers:
              database: postgresql://root@db1:26257/bench
              cockroachdb: { replicas: 5, range_max_bytes: 67108864, hash_buckets: 24, split_points: 12,
                bulk_load: import, retry: savepoint, inject_retry_errors: true }
            """
        let settings = try #require(try parsed(scenarioText(text)).servers.cockroach)
        #expect(settings.replicas == 5 && settings.rangeBytesMax == 67_108_864)
        #expect(settings.hashBuckets == 24 && settings.splitPoints == 12)
        #expect(settings.bulkLoad == .import && settings.retry == .savepoint && settings.injectsRetryErrors)
        let standard = try #require(try parsed(scenarioText("servers: { cockroachdb: {} }")).servers.cockroach)
        #expect(standard.hashBuckets == 8 && standard.retry == .transaction && !standard.injectsRetryErrors)
        #expect(try parsed(scenarioText()).servers.cockroach == nil)
    }

    @Test(arguments: [
        ("replicas: 0", "replicas: \"0\": expected a whole number from 1 to 15"),
        ("hash_buckets: 1", "hash_buckets: \"1\": expected a whole number from 2 to 2048"),
        ("bulk_load: importt", "bulk_load: \"importt\": expected copy or import; did you mean import?"),
        ("retry: never", "retry: \"never\": expected transaction or savepoint"),
        ("inject_retry_errors: yes", "inject_retry_errors: \"yes\": expected true or false"),
        (
            "inject_retry_errors: true",
            "inject_retry_errors: expected retry: savepoint with it, for without it the server never ends the errors of a "
                + "transaction"
        ),
    ])
    func `what a cluster can't be told is refused`(text: String, message: String) {
        #expect(refusal(of: scenarioText("servers: { cockroachdb: { \(text) } }")) == "s.yaml:1: \(message)")
    }
}
