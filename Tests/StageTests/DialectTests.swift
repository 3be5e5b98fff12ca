// What differs between PostgreSQL and CockroachDB. No CockroachDB is at hand, so its statements are held against what its grammar
// refuses, and a server of PostgreSQL's protocol that only pretends to be one notes what it is sent.

import Foundation
import Model
import Postgres
import Synchronization
import TestSupport
import Testing
import Threads
import Trades

@testable import Allocations
@testable import Scenario

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")

/// A file below sql/, and the statements that it has for one dialect, by what names them.
private struct SQLFile {
    let path: String
    let bytes: [UInt8]

    static let all: [SQLFile] = {
        let folder = root.appendingPathComponent("sql")
        let stages = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return stages.sorted().flatMap { stage in
            let files = (try? FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/\(stage)")) ?? []
            return files.sorted().compactMap { file in
                FileManager.default.contents(atPath: "\(folder.path)/\(stage)/\(file)")
                    .map { SQLFile(path: "sql/\(stage)/\(file)", bytes: Array($0)) }
            }
        }
    }()

    /// Named statements by their names; those of a schema by what they make.
    func statements(for dialect: ServerDialect) -> [String: String] {
        let script = SQLScript(embedded: bytes)
        if !script.names.isEmpty {
            return Dictionary(uniqueKeysWithValues: script.names.map { ($0, script[$0, dialect]) })
        }
        let statements = splitStatements(SQLScript.text(of: bytes, for: dialect))
        return Dictionary(uniqueKeysWithValues: statements.map { (Self.made($0), $0) })
    }

    /// The table, index or view that a statement of a schema makes, or else the statement.
    private static func made(_ statement: String) -> String {
        let words = bareSQL(statement).split { $0.isWhitespace || $0 == "(" }.map(String.init)
        guard let kind = words.firstIndex(where: { ["TABLE", "INDEX", "VIEW"].contains($0) }) else {
            return words.joined(separator: " ")
        }
        return words[(kind + 1)...].first { !["IF", "NOT", "EXISTS"].contains($0) }?.lowercased() ?? ""
    }
}

/// SQL in capitals without comments and without what stands in quotes.
private func bareSQL(_ statement: String) -> String {
    var text = ""
    for line in statement.split(separator: "\n") {
        var inQuotes = false
        var previous: Character = " "
        for character in line {
            if character == "'" { inQuotes.toggle() }
            if !inQuotes && previous == "-" && character == "-" {
                text.removeLast()
                break
            }
            if !inQuotes { text.append(character) }
            previous = character
        }
        text.append(" ")
    }
    return text.uppercased()
}

/// What CockroachDB's parser refuses, or its server lacks, as words that follow each other.
private let refusedWords: [[String]] = [
    ["MERGE", "INTO"], ["CREATE", "PUBLICATION"], ["DROP", "PUBLICATION"], ["CREATE", "DOMAIN"], ["DEFERRABLE"],
    ["EXCLUDE", "USING"], ["ON", "COMMIT"], ["LISTEN"], ["NOTIFY"], ["UNLISTEN"], ["VACUUM"], ["LOCK", "TABLE"],
    ["SET", "UNLOGGED"], ["SET", "LOGGED"], ["COLLATE"], ["TABLESAMPLE"], ["VERBOSE"], ["DO"], ["CHECKPOINT"],
    ["ALTER", "SYSTEM"], ["TABLESPACE"], ["FREEZE"], ["PG_CURRENT_WAL_LSN"], ["PG_CURRENT_SNAPSHOT"],
    ["PG_TERMINATE_BACKEND"], ["PG_CREATE_LOGICAL_REPLICATION_SLOT"], ["PG_DROP_REPLICATION_SLOT"],
    ["PG_REPLICATION_SLOTS"], ["PG_PUBLICATION"], ["PG_STAT_ACTIVITY"], ["PG_STAT_DATABASE"], ["PG_STAT_WAL"],
    ["PG_STAT_FORCE_NEXT_FLUSH"], ["PG_STAT_BGWRITER"], ["PG_STAT_CHECKPOINTER"], ["PG_SETTINGS"], ["STARTS_WITH"],
    ["PG_ADVISORY_LOCK"], ["PG_TRY_ADVISORY_LOCK"], ["PG_ADVISORY_XACT_LOCK"], ["ENABLE_SEQSCAN"],
    ["ENABLE_MERGEJOIN"], ["JIT"],
]

/// The refused constructs of a statement.
private func refusedConstructs(of statement: String) -> [String] {
    let words = bareSQL(statement).split { !$0.isLetter && !$0.isNumber && $0 != "_" }.map(String.init)
    return refusedWords.filter { refused in
        words.indices.contains { index in
            guard words[index...].starts(with: refused) else { return false }
            // ON CONFLICT … DO is a clause.
            return refused != ["DO"] || index == 0
        }
    }.map { $0.joined(separator: " ") }
}

@Suite struct DialectTests {
    // MARK: The checker itself

    @Test(arguments: [
        "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "CREATE PUBLICATION p FOR TABLE t",
        "CREATE DOMAIN d AS int", "CREATE TABLE t (a int REFERENCES u DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE t (a int, EXCLUDE USING gist (a WITH =))", "CREATE TEMP TABLE t (a int) ON COMMIT DROP",
        "LISTEN c", "NOTIFY c", "VACUUM t", "LOCK TABLE t", "lock\n  table t", "ALTER TABLE t SET UNLOGGED",
        "CREATE TABLE t (a text COLLATE \"C\")", "SELECT 1 FROM t TABLESAMPLE system (1)",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT 1", "DO $$ BEGIN END $$", "SELECT pg_current_wal_lsn()", "CHECKPOINT",
        "SELECT pg_try_advisory_lock(1)", "SELECT starts_with('a', 'b')",
    ])
    func `what CockroachDB refuses is found`(statement: String) {
        #expect(refusedConstructs(of: statement).count == 1, "\(refusedConstructs(of: statement))")
    }

    @Test(arguments: [
        "INSERT INTO t AS x (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = x.a + excluded.a WHERE x.a < 5",
        "INSERT INTO t (a) VALUES ('LOCK TABLE t') ON CONFLICT DO NOTHING -- VACUUM later",
        "CREATE TABLE t (a INT8 PRIMARY KEY) WITH (fillfactor = 70)", "SELECT a FROM t FOR NO KEY UPDATE",
        "ALTER TABLE t SPLIT AT VALUES (100), (200)", "BEGIN ISOLATION LEVEL READ COMMITTED", "ANALYZE t",
        "CANCEL SESSIONS IF EXISTS SELECT session_id FROM [SHOW CLUSTER SESSIONS]",
    ])
    func `what it accepts is not`(statement: String) {
        #expect(refusedConstructs(of: statement) == [])
    }

    // MARK: sql/

    @Test func `no statement for CockroachDB has what it refuses`() {
        #expect(SQLFile.all.count > 25)
        for file in SQLFile.all {
            for (name, statement) in file.statements(for: .cockroachdb) {
                #expect(refusedConstructs(of: statement) == [], "\(file.path) \(name)")
            }
        }
    }

    /// Every CREATE TABLE has its own primary key there: without one a table gets a hidden column.
    @Test func `both dialects declare the same tables and columns`() {
        for file in SQLFile.all where file.path.hasSuffix("/schema.sql") {
            let tables = ServerDialect.allCases.map { dialect in
                SchemaDeclaration(ddl: SQLScript.text(of: file.bytes, for: dialect)).tables
            }
            #expect(tables[0] == tables[1] && !tables[0].isEmpty, "\(file.path)")
            for statement in splitStatements(SQLScript.text(of: file.bytes, for: .cockroachdb))
            where statement.contains("CREATE TABLE") {
                #expect(bareSQL(statement).split(separator: "PRIMARY KEY").count == 2, "\(statement)")
            }
        }
    }

    @Test func `the wiki lists every statement that differs, and no other`() throws {
        var differing: Set<String> = []
        for file in SQLFile.all {
            let (ours, theirs) = (file.statements(for: .postgresql), file.statements(for: .cockroachdb))
            for name in Set(ours.keys).union(theirs.keys)
            where bareSQL(ours[name] ?? "") != bareSQL(theirs[name] ?? "") {
                differing.insert("\(file.path) \(name)")
            }
        }
        let page = try String(contentsOf: root.appendingPathComponent("wiki/Dialects.md"), encoding: .utf8)
        let listed = page.split(separator: "\n").compactMap { line -> String? in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 3, cells[0].hasPrefix("`sql/"), !cells[2].isEmpty else { return nil }
            return cells[0...1].joined(separator: " ").filter { $0 != "`" }
        }
        #expect(Set(listed) == differing)
        #expect(listed.count == Set(listed).count, "each once")
        #expect(differing.count > 15)
    }

    /// Statements within the program's text, file by file. Those that only PostgreSQL gets stand where the server is known.
    @Test func `no statement in the program is one that CockroachDB refuses, but where the server is PostgreSQL`()
        throws
    {
        let ofPostgreSQL = [
            // Logical replication, and the log's position.
            "Postgres/ReplicationConnection.swift", "Scenario/RunningFeed.swift", "Scenario/EventRouting.swift",
            "allocbench/PipelineCommands.swift",
            // Checkpoints of the embedded server, and counters of a server that was asked for its version.
            "Scenario/CellTables.swift", "Scenario/ExecuteRun.swift", "Scenario/RouteStage.swift",
            "Scenario/DatabaseActivity.swift",
        ]
        let folder = root.appendingPathComponent("Sources")
        let walk = try #require(FileManager.default.enumerator(atPath: folder.path))
        var statementCount = 0
        for case let path as String in walk where path.hasSuffix(".swift") {
            // What makes and runs the embedded PostgreSQL, and what reads logical replication, speaks to that alone.
            let isOfPostgreSQL = ["Services/", "ChangeFeed/", "AllocBenchPeers/", "AllocBenchMicro/"].contains(
                where: path.hasPrefix)
            if isOfPostgreSQL || ofPostgreSQL.contains(path) { continue }
            let text = try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
            for literal in Self.literals(in: text) where Self.isStatement(literal) {
                statementCount += 1
                #expect(refusedConstructs(of: literal) == [], "\(path): \(literal)")
            }
        }
        #expect(statementCount > 20)
    }

    /// The texts between quotation marks, those of several lines as well.
    private static func literals(in source: String) -> [String] {
        var literals: [String] = []
        var parts = source.components(separatedBy: "\"\"\"")
        for index in parts.indices where index % 2 == 1 {
            literals.append(parts[index])
            parts[index] = ""
        }
        for line in parts.joined(separator: " ").split(separator: "\n") where !line.contains("//") {
            let pieces = line.components(separatedBy: "\"")
            literals += pieces.indices.filter { $0 % 2 == 1 }.map { pieces[$0] }
        }
        return literals
    }

    private static func isStatement(_ text: String) -> Bool {
        let words = text.split { !$0.isLetter && $0 != "_" }.map(String.init)
        let verbs: Set = [
            "SELECT", "INSERT", "UPDATE", "DELETE", "SET", "SHOW", "CREATE", "DROP", "ALTER", "BEGIN", "COMMIT",
            "ROLLBACK", "COPY", "ANALYZE", "CHECKPOINT", "TRUNCATE", "LOCK", "COMMENT", "VACUUM", "WITH", "RESET",
        ]
        return verbs.contains(words.first ?? "")
    }

    // MARK: What is made

    @Test func `schema show is what schema create sends`() {
        let (ours, theirs) = (Schemas.text(for: .postgresql), Schemas.text(for: .cockroachdb))
        #expect(!ours.contains("HASH") && !ours.contains("-- only") && !ours.contains("STORING"))
        #expect(theirs.contains("PRIMARY KEY (execution_id) USING HASH WITH (bucket_count = 8)"))
        #expect(theirs.contains("STORING (alloc_trans_type") && !theirs.contains("-- only"))
        #expect(!theirs.contains(":hash_buckets") && !theirs.contains("CONFIGURE ZONE"))
        for text in [ours, theirs] {
            #expect(text.split(separator: "CREATE SCHEMA IF NOT EXISTS").count == 7)
        }
    }

    @Test func `what a scenario says of a cluster is in its tables`() {
        var settings = CockroachSettings()
        settings.hashBuckets = 24
        settings.replicas = 5
        settings.rangeBytesMax = 67_108_864
        let statements = AllocationsSchema.statements(for: .cockroachdb, cockroach: settings)
        let table = statements.firstIndex { $0.contains("CREATE TABLE IF NOT EXISTS allocations.captured_trades") }
        #expect(table.map { statements[$0].contains("bucket_count = 24") } == true)
        #expect(
            table.map { statements[$0 + 1] }
                == "ALTER TABLE allocations.captured_trades CONFIGURE ZONE USING range_min_bytes = 16777216, "
                + "range_max_bytes = 67108864, num_replicas = 5")
        let tables = statements.filter { $0.contains("CREATE TABLE") }
        #expect(statements.filter { $0.contains("CONFIGURE ZONE") }.count == tables.count && tables.count > 10)
        #expect(AllocationsSchema.statements(for: .postgresql, cockroach: settings).allSatisfy { !$0.contains("ZONE") })
    }

    // MARK: What is sent

    @Test func `a CockroachDB is told the schemas one statement at a time`() throws {
        let pretender = try Pretender()
        defer { pretender.close() }
        let connection = pretender.connection
        #expect(connection.dialect == .cockroachdb && connection.server.description == "CockroachDB v24.1.3")
        try connection.requireSupportedServer()
        try Schemas.create(on: connection)
        let sent = pretender.sent
        #expect(sent.count > 30 && sent.allSatisfy { splitStatements($0).count == 1 })
        #expect(sent.contains { $0.contains("USING HASH") } && sent.allSatisfy { !$0.contains(":hash") })
        try connection.markRun("allocbench run r1")
        #expect(pretender.sent.last?.hasSuffix("\nCOMMENT ON TABLE trades.drawings IS 'allocbench run r1';") == true)
        try Schemas.drop(on: connection)
        #expect(pretender.refusals == [])
    }

    @Test func `an unsupported version is refused in one line`() throws {
        let pretender = try Pretender("CockroachDB CCL v22.2.19 (x86_64-pc-linux-gnu)")
        defer { pretender.close() }
        let error = #expect(throws: PostgresError.self) { try pretender.connection.requireSupportedServer() }
        #expect(
            error.map { "\($0)" }
                == "the server is CockroachDB v22.2.19, which isn't supported: use PostgreSQL 13 to 17 and "
                + "CockroachDB v23.1 or later")
    }

    @Test func `the verifier reads everything of one time`() throws {
        let pretender = try Pretender { sql in
            if sql.contains("cluster_logical_timestamp") { return .rows([["1731594600000000000.0000000007"]]) }
            return sql.contains("SELECT") && !sql.hasPrefix("COPY") ? .rows([]) : nil
        }
        defer { pretender.close() }
        var waited: [Duration] = []
        let checks = try pretender.connection.readingAtOneTime(sleep: { waited.append($0) }) {
            try Verifier.verify(on: pretender.connection, topic: "t", topicEnds: [0: 1])
        }
        #expect(waited == [.milliseconds(500)], "the clocks of a cluster differ by no more")
        #expect(checks.count > 20 && checks.isClean)
        let sent = pretender.sent
        let begin = sent.firstIndex { $0.contains("AS OF SYSTEM TIME '1731594600000000000.0000000007'") }
        #expect(begin == 3 && sent.last == "COMMIT" && sent.count > 40)
        #expect(
            sent.filter { $0.contains("BEGIN") || $0 == "COMMIT" }.count == 4, "one transaction behind another")
        #expect(pretender.refusals == [])
    }

    @Test func `what a cell does between its runs is sent in CockroachDB's words`() throws {
        let pretender = try Pretender { sql in
            if sql.contains("SELECT NOT EXISTS") { return .rows([["t"]]) }
            if sql.contains("SELECT block_order_id, block_order_code, intended_quantity") {
                return .rows((1...9).map { ["\($0)", "B\($0)", "1", "pro_rata", "1", "1"] })
            }
            return nil
        }
        defer { pretender.close() }
        let connection = pretender.connection
        try Schemas.emptyStages(behind: .trades, on: connection)
        let first = pretender.sent.map { String($0.split(separator: " ").first ?? "") }
        #expect(first.first == "TRUNCATE" && first.filter { $0 == "BEGIN" }.count == 1)
        #expect(pretender.sent.contains { $0.contains("DELETE FROM holdings.position_movements") })
        try AllocationsSource.setKeyStrategy(.sequence, on: connection)
        #expect(pretender.sent.contains { $0.contains("DEFAULT unique_rowid()") })
        #expect(pretender.sent.contains { $0.contains("@captured_trades_by_capture_key CASCADE") })
        try AllocationsSource.terminateWorkers(on: connection)
        let ending = pretender.sent.last ?? ""
        #expect(ending.contains("CANCEL SESSIONS IF EXISTS"))
        // Of a cluster with many databases, those in this one.
        #expect(ending.contains("'allocbench worker in ' || current_database()"))
        var settings = CockroachSettings()
        settings.splitPoints = 2
        try AllocationsSource.split(settings, on: connection)
        #expect(
            pretender.sent.suffix(2) == [
                "ALTER TABLE allocations.allocations SPLIT AT VALUES (4), (7)",
                "ALTER TABLE allocations.allocations SCATTER",
            ])
        #expect(pretender.refusals == [])
    }

    @Test func `TRUNCATE belongs to the transaction that its caller has begun`() throws {
        let pretender = try Pretender()
        defer { pretender.close() }
        try pretender.connection.transaction { try Schemas.emptyStages(behind: .holdings, on: $0) }
        let sent = pretender.sent
        #expect(sent.first == "BEGIN" && sent.last == "COMMIT")
        #expect(sent[1].contains("SET LOCAL autocommit_before_ddl = off"))
        #expect(pretender.refusals == [])
        let older = try Pretender("CockroachDB CCL v23.2.1 (x)")
        defer { older.close() }
        try older.connection.transaction { try Schemas.emptyStages(behind: .holdings, on: $0) }
        #expect(older.sent.allSatisfy { !$0.contains("autocommit_before_ddl") }, "it came with v24.1")
    }

    @Test(arguments: [
        (
            "v23.2.1", IsolationLevel.readCommitted,
            "CockroachDB v23.2.1 runs transactions that ask for READ COMMITTED as SERIALIZABLE; SET CLUSTER SETTING "
                + "sql.txn.read_committed_isolation.enabled = true, or give the configurations isolation: serializable"
        ),
        (
            "v23.1.11", IsolationLevel.readCommitted,
            "CockroachDB v23.1.11 runs transactions that ask for READ COMMITTED as SERIALIZABLE, the only level it has; "
                + "give the configurations isolation: serializable"
        ),
        (
            "v24.3.0", IsolationLevel.repeatableRead,
            "CockroachDB v24.3.0 runs transactions that ask for REPEATABLE READ as SERIALIZABLE; SET CLUSTER SETTING "
                + "sql.txn.repeatable_read_isolation.enabled = true, or give the configurations isolation: serializable"
        ),
    ])
    func `a level that the server silently makes stricter is refused`(
        version: String, level: IsolationLevel, refusal: String
    ) throws {
        let pretender = try Pretender("CockroachDB CCL \(version) (x)") { sql in
            sql.contains("SHOW transaction_isolation") ? .rows([["serializable"]]) : nil
        }
        defer { pretender.close() }
        let error = #expect(throws: PostgresError.self) { try pretender.connection.requireIsolation(level) }
        #expect(error?.message == refusal)
        #expect(pretender.sent.first == "BEGIN ISOLATION LEVEL \(level.rawValue)")
        try pretender.connection.requireIsolation(.serializable)
    }

    @Test(arguments: Mode.allCases)
    func `a worker's session goes back to its savepoint and has errors injected last`(mode: Mode) throws {
        let pretender = try Pretender()
        defer { pretender.close() }
        var settings = CockroachSettings()
        settings.retry = .savepoint
        settings.injectsRetryErrors = true
        let store = try AllocationsStore.connect(
            to: pretender.server.connectionInfo, topic: "t", configuration: Configuration(mode: mode, workers: 1),
            cockroach: settings)
        defer { store.connection.close() }
        let sent = pretender.sent
        #expect(sent.last?.contains("SET inject_retry_errors_enabled = true") == true && sent.count > 8)
        for statement in ["SAVEPOINT cockroach_restart", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT"] {
            #expect(sent.contains { $0.contains(statement) }, "\(statement)")
        }
        #expect(sent.allSatisfy { !$0.contains("synchronous_commit") } && pretender.refusals == [])
        #expect(sent.contains { $0.contains("|| ' in ' || current_database()") })
        // A transaction of its own, that no injected error meets.
        _ = try? store.claim(partition: 0)
        #expect(pretender.sent.last?.contains("SET epoch = greatest(epoch + 1") == true)
    }

    /// A statement takes two answers there: what its columns are, and its rows.
    @Test func `a claim and a read that a cluster breaks off are repeated`() throws {
        let failures = Mutex(["UPDATE allocations.consumer_offsets": 2, "SELECT epoch, next_offset": 2])
        let pretender = try Pretender { sql in
            let isBroken = failures.withLock { failures in
                guard let name = failures.keys.first(where: { sql.contains($0) }), failures[name, default: 0] > 0 else {
                    return false
                }
                failures[name, default: 0] -= 1
                return true
            }
            if isBroken { return .failure(sqlState: "40001", message: "restart transaction") }
            return sql.contains("next_offset") ? .rows([["3", "5"]]) : nil
        }
        defer { pretender.close() }
        var store = try AllocationsStore.connect(
            to: pretender.server.connectionInfo, topic: "t", configuration: Configuration(mode: .cycle, workers: 1))
        #expect(try store.claim(partition: 0).nextOffset == 5)
        #expect(try store.offset(of: 0)?.epoch == 3)
        store.connection.close()
        failures.withLock { $0["SELECT epoch, next_offset"] = 2 }
        store = try AllocationsStore.connect(
            to: pretender.server.connectionInfo, topic: "t", configuration: Configuration(mode: .cycle, workers: 1),
            retry: .never)
        defer { store.connection.close() }
        #expect(throws: PostgresError.self) { try store.offset(of: 0) }
    }

    @Test func `what a scenario says of a cluster is refused by a PostgreSQL`() throws {
        let text = """
            servers: { cockroachdb: { retry: savepoint, inject_retry_errors: true } }
            workload: { executions: 2000, blocks: 10 }
            configurations: [{ mode: row, isolation: serializable }]
            """
        let scenario = try ScenarioFile.parse(text: text, path: "s.yaml")
        try withStages { _, connection in
            let refused = errorText { try scenario.requireServer(on: connection) }
            #expect(
                refused
                    == "the scenario's servers.cockroachdb says what a CockroachDB is to do, and the server is "
                    + "\(connection.server); leave it out, or name a CockroachDB in servers.database or --database")
        }
        let pretender = try Pretender { $0.contains("SHOW transaction_isolation") ? .rows([["serializable"]]) : nil }
        defer { pretender.close() }
        try scenario.requireServer(on: pretender.connection)
    }

    @Test func `executions that CockroachDB breaks off at their commit are written again, the same ones`() throws {
        let commits = Mutex(0)
        let pretender = try Pretender { sql in
            if sql.contains("b.block_order_code, b.side") {
                return .rows([["1", "B1", "BUY", "900", "95000", "105000"]])
            }
            if sql.contains("greatest((SELECT") { return .rows([["1"]]) }
            // The first commit is that of the drawing.
            guard sql == "COMMIT",
                commits.withLock({
                    $0 += 1; return $0
                }) == 2
            else { return nil }
            return .failure(sqlState: "40001", message: "restart transaction: RETRY_SERIALIZABLE")
        }
        defer { pretender.close() }
        var plan = ExecutionPlan(date: tradingDay, seed: 5)
        plan.count = 4
        let summary = try TradesStore.execute(plan, on: pretender.connection, stop: StopFlag()) { _ in }
        #expect(summary.writtenCount == 4 && summary.isComplete)
        // Executions and how the block ended, twice each.
        let copied = pretender.server.copied
        #expect(copied.count == 4 && Array(copied[..<2]) == Array(copied[2...]))
        #expect(copied[0].split(separator: "\n").count == 4)
        #expect(pretender.sent.filter { $0 == "ROLLBACK" }.count == 1 && pretender.sent.last == "COMMIT")
        #expect(pretender.refusals == [])
    }

    @Test func `a file of rows is uploaded in pieces`() throws {
        let pretender = try Pretender { $0.contains("current_database") ? .rows([["bench"]]) : nil }
        defer { pretender.close() }
        let file = try pretender.connection.upload("daily_prices-0.tsv") { writer in
            writer.int64(7)
            writer.text("a")
            try writer.endRow()
        }
        #expect(file == "userfile://bench.public.allocbench/daily_prices-0.tsv")
        #expect(pretender.sent.last?.contains("destination = '\(file)'") == true)
        // "7\ta\n" as one BYTEA.
        #expect(pretender.server.copied == ["\\\\x3709610a\n"])
        try pretender.connection.forgetUploads()
        #expect(pretender.refusals == [])
    }
}

/// A server that pretends to be a CockroachDB, and a connection to it.
private struct Pretender {
    let server: ScriptedServer
    let connection: PostgresConnection

    init(
        _ version: String = "CockroachDB CCL v24.1.3 (x86_64-pc-linux-gnu, built 2024/08/01 12:00:00, go1.22.5)",
        answer: @escaping @Sendable (String) -> ScriptedServer.Answer? = { _ in nil }
    ) throws {
        server = try ScriptedServer(version: version, answer: answer)
        connection = try PostgresConnection.connect(to: server.connectionInfo)
    }

    var sent: [String] { server.statements }

    /// What of all that was sent CockroachDB would refuse.
    var refusals: [String] { sent.flatMap { statement in refusedConstructs(of: statement) } }

    func close() {
        connection.close()
        server.close()
    }
}
