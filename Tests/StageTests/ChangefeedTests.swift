// CockroachDB's changefeed without a CockroachDB: the statement against the forms that its grammar accepts, the rows it shows of
// its jobs, and the life of a job with a server that is played.

import Diagnostics
import Glibc
import Kafka
import Measurement
import Model
import Postgres
import Synchronization
import TestSupport
import Testing
import Threads

@testable import ChangeFeed

private let plain = KafkaClientSettings(bootstrapServers: "broker-1:9092,broker-2:9092")

private func statement(_ source: FeedSource, scanTable: Bool = false, _ kafka: KafkaClientSettings = plain) throws
    -> ChangefeedStatement
{
    ChangefeedStatement(
        name: CockroachChangefeed.name(database: "bench", source: source), source: source,
        sink: try KafkaSinkURI(kafka, topic: "executions"), scanTable: scanTable)
}

@Suite struct ChangefeedStatementTests {
    /// The form is one that CockroachDB's own grammar was seen to accept, with $1 for the sink's text.
    @Test func `the statement is the accepted form, keyed by block order and unordered`() throws {
        #expect(
            try statement(.executions).text == """
                CREATE CHANGEFEED FOR TABLE trades.executions INTO $1 WITH OPTIONS
                  (format = 'json', envelope = 'wrapped', updated, key_column = 'block_order_code', unordered, \
                initial_scan = 'no', min_checkpoint_frequency = '1s',
                   kafka_sink_config = '{"ClientID": "allocbench_bench", "Flush": {"MaxMessages": 1000, "Frequency": "5ms"}, \
                "RequiredAcks": "ALL", "Compression": "LZ4"}')
                """)
    }

    @Test func `keyed by execution or request it is the primary key, and nothing is unordered`() throws {
        for source in [FeedSource.executions(keyedBy: .execution), .requests] {
            let text = try statement(source, scanTable: true).text
            #expect(!text.contains("key_column") && !text.contains("unordered"), "\(text)")
            #expect(text.contains("FOR TABLE \(source.table) INTO $1") && text.contains("initial_scan = 'yes'"))
        }
    }

    @Test func `no option comes twice, resolved never beside unordered, and every feed has a name of its own`() throws {
        for source in FeedSource.all {
            let text = try statement(source).text
            let options = text.split(separator: "kafka_sink_config")[0].split(separator: "(")[1].split(separator: ",")
                .map { $0.split(separator: "=")[0].filter { !$0.isWhitespace } }.filter { !$0.isEmpty }
            #expect(Set(options).count == options.count && !options.contains("resolved"), "\(options)")
        }
        let names = FeedSource.all.map { CockroachChangefeed.name(database: "bench", source: $0) }
        #expect(Set(names).count == names.count)
        // One name may begin like another: the job of requests isn't the job of executions.
        let job = ChangefeedJob(id: 1, description: try statement(.requests).text, status: "running")
        #expect(job.isNamed("allocbench_bench_requests") && !job.isNamed("allocbench_bench"))
        #expect(names.allSatisfy { $0.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789_".utf8.contains($0) } })
    }
}

@Suite struct KafkaSinkURITests {
    private static let password = "p&ss=w%rd+/ü'"

    private static func uri(_ properties: [String: String]) throws -> KafkaSinkURI {
        try KafkaSinkURI(
            KafkaClientSettings(bootstrapServers: "b1:9093, b2:9093", properties: properties), topic: "bench.live 1")
    }

    @Test func `brokers and topic make the plain URI`() throws {
        #expect(try Self.uri([:]).unredacted == "kafka://b1:9093,b2:9093?topic_name=bench.live%201")
    }

    @Test func `TLS and SASL become the sink's parameters`() throws {
        let uri = try Self.uri([
            "security.protocol": "SASL_SSL", "ssl.ca.pem": "CERTIFICATE", "ssl.certificate.pem": "OWN",
            "ssl.key.pem": "THE KEY", "sasl.mechanism": "scram-sha-256", "sasl.username": "bench",
            "sasl.password": Self.password, "enable.ssl.certificate.verification": "false", "linger.ms": "5",
        ])
        #expect(
            uri.unredacted
                == "kafka://b1:9093,b2:9093?topic_name=bench.live%201&tls_enabled=true&ca_cert=Q0VSVElGSUNBVEU%3D"
                + "&client_cert=T1dO&client_key=VEhFIEtFWQ%3D%3D&insecure_tls_skip_verify=true&sasl_enabled=true"
                + "&sasl_mechanism=SCRAM-SHA-256&sasl_user=bench&sasl_password=p%26ss%3Dw%25rd%2B%2F%C3%BC%27")
        #expect(
            uri.redacted
                == "kafka://b1:9093,b2:9093?topic_name=bench.live%201&tls_enabled=true&ca_cert=redacted"
                + "&client_cert=redacted&client_key=redacted&insecure_tls_skip_verify=true&sasl_enabled=true"
                + "&sasl_mechanism=SCRAM-SHA-256&sasl_user=redacted&sasl_password=redacted")
    }

    @Test func `certificates are read from their files`() throws {
        let path = "/tmp/allocbench-sink-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).pem"
        let file = try #require(fopen(path, "w"))
        fputs("CERTIFICATE", file)
        fclose(file)
        defer { unlink(path) }
        let uri = try Self.uri(["security.protocol": "ssl", "ssl.ca.location": path])
        #expect(uri.unredacted.hasSuffix("&tls_enabled=true&ca_cert=Q0VSVElGSUNBVEU%3D"))
    }

    @Test func `no secret is in what can be printed, nor in the server's words`() throws {
        let properties = [
            "security.protocol": "sasl_ssl", "sasl.username": "bench", "sasl.password": Self.password,
            "ssl.key.pem": "THE KEY",
        ]
        let uri = try Self.uri(properties)
        var dumped = ""
        dump(uri, to: &dumped)
        let statement = ChangefeedStatement(name: "n", source: .executions, sink: uri, scanTable: true)
        dump(statement, to: &dumped)
        let error = PostgresError(
            sqlState: .cannotConnectNow,
            message: "parse \"\(uri.unredacted)\":\n invalid port; sasl_password was \(Self.password)")
        let shown = [
            "\(uri)", String(reflecting: uri), dumped, "\(statement)", statement.text,
            "\(SQLChangefeedServer.refusal(error, of: statement))",
        ]
        for text in shown {
            #expect(
                !text.contains(Self.password) && !text.contains("p%26ss") && !text.contains("VEhFIEtFWQ"), "\(text)")
            #expect(!text.contains("THE KEY"))
        }
        #expect(!shown[5].contains("\n") && shown[5].hasPrefix("the changefeed n couldn't be made: parse \"kafka://b1"))
    }

    private static let refused: [([String: String], String)] = [
        (["security.protocol": "carrier_pigeon"], "security.protocol carrier_pigeon is none"),
        (
            ["security.protocol": "ssl", "ssl.ca.location": "/nowhere/ca.pem"],
            "ssl.ca.location: /nowhere/ca.pem can't be"
        ),
        (["security.protocol": "ssl", "ssl.key.password": "x"], "only a client key without a password"),
        (["security.protocol": "sasl_ssl", "sasl.mechanism": "GSSAPI"], "sasl.mechanisms GSSAPI isn't made"),
        (["security.protocol": "sasl_ssl", "sasl.username": "me"], "SASL needs sasl.username and sasl.password"),
    ]

    @Test(arguments: refused)
    func `what a changefeed can't be told is refused with its name`(_ properties: [String: String], _ start: String) {
        let text = errorText { _ = try Self.uri(properties) }
        #expect(text.contains(start) && !text.contains("\n"), "\(text)")
    }
}

@Suite struct HybridTimestampTests {
    private static let marks: [(String, Int64, Int64)] = [
        ("1684438482937939878.0000000000", 1_684_438_482_937_939_878, 0),
        ("1684438482937939878", 1_684_438_482_937_939_878, 0),
        ("1684438482937939878.0000000012", 1_684_438_482_937_939_878, 12),
        // A DECIMAL may come without the zeros behind.
        ("1684438482937939878.00000001", 1_684_438_482_937_939_878, 100), ("0.2147483647", 0, 2_147_483_647),
    ]

    @Test(arguments: marks)
    func `a high-water mark is read with its logical part`(_ text: String, _ wall: Int64, _ logical: Int64) throws {
        let timestamp = try #require(HybridTimestamp(text))
        #expect(timestamp == HybridTimestamp(wallNs: wall, logical: logical))
        #expect(HybridTimestamp(timestamp.description) == timestamp)
    }

    @Test(arguments: [
        "", ".", "1.", ".5", "-1.0", "+1", "1.0.0", "1e9", " 1", "1.00000000000", "99999999999999999999", "now",
    ])
    func `anything else is none`(_ text: String) {
        #expect(HybridTimestamp(text) == nil)
    }

    @Test func `marks are in the order of the clock, its logical part last`() {
        let ascending = ["1.0", "1.0000000001", "2.0", "10.0"].compactMap { HybridTimestamp($0) }
        #expect(ascending.count == 4 && ascending.sorted() == ascending && ascending[0] < ascending[1])
        #expect(ascending[1].description == "1.0000000001")
    }

    private static let intervals: [(String, Int64?)] = [
        ("00:00:03", 3_000_000_000), ("00:00:00.2", 200_000_000), ("01:02:03.000000004", 3_723_000_000_004),
        ("3s", nil), ("00:03", nil), ("", nil), ("00:00:", nil), ("00:00:-1", nil), ("00:00:00.1234567890", nil),
    ]

    @Test(arguments: intervals)
    func `an interval of the cluster's settings is read`(_ text: String, _ nanoseconds: Int64?) {
        #expect(SQLChangefeedServer.nanoseconds(interval: text) == nanoseconds)
    }
}

/// The row of the manual's example (SHOW CHANGEFEED JOB, v24.3), with another sink.
private let documentedRow = [
    "job_id": "866218332400680961",
    "description":
        "CREATE CHANGEFEED FOR TABLE bench.trades.executions INTO 'kafka://b:9092?topic_name=t' WITH OPTIONS "
        + #"(format = 'json', kafka_sink_config = '{"ClientID": "allocbench_bench", "RequiredAcks": "ALL"}', updated)"#,
    "user_name": "root", "status": "running", "running_status": "running: resolved=1684438482.937939878,0",
    "created": "2023-05-18 14:14:16.323465", "started": "2023-05-18 14:14:16.360245",
    "modified": "2023-05-18 19:35:16.120407", "high_water_timestamp": "1684438482937939878.0000000000", "error": "",
    "sink_uri": "kafka://b:9092?topic_name=t", "full_table_names": "{bench.trades.executions}", "topics": "t",
    "format": "json",
]

private func job(
    _ status: String, id: Int64 = 7, highWater: Int64? = nil, error: String = "", name: String = "allocbench_bench"
) -> ChangefeedJob {
    ChangefeedJob(
        id: id, description: ChangefeedStatement.clientID(name), status: status,
        highWater: highWater.map { HybridTimestamp(wallNs: $0) }, error: error)
}

@Suite struct ChangefeedJobTests {
    @Test func `the manual's row is read`() throws {
        let job = try ChangefeedJob(row: documentedRow)
        #expect(job.id == 866_218_332_400_680_961 && job.state == .running && job.error.isEmpty)
        #expect(job.highWater == HybridTimestamp(wallNs: 1_684_438_482_937_939_878))
        #expect(job.isNamed("allocbench_bench") && !job.isNamed("allocbench_benc") && !job.isNamed("bench"))
        #expect(job.runningStatus == "running: resolved=1684438482.937939878,0")
    }

    @Test func `columns that a version lacks are missed only where they are needed`() throws {
        var row = documentedRow
        for name in ["running_status", "full_table_names", "topics", "high_water_timestamp", "error"] {
            row[name] = nil
        }
        let job = try ChangefeedJob(row: row)
        #expect(job.highWater == nil && job.state == .running)
        row["high_water_timestamp"] = "0.0000000000"
        #expect(try ChangefeedJob(row: row).highWater == nil, "no progress yet")
        row["high_water_timestamp"] = "soon"
        #expect(
            errorText { _ = try ChangefeedJob(row: row) }.contains("job 866218332400680961 has a high-water mark that"))
        row["high_water_timestamp"] = nil
        row["status"] = nil
        #expect(errorText { _ = try ChangefeedJob(row: row) }.contains("has no status in this version"))
    }

    @Test func `every word of the server is a state of the job`() {
        let states: [(String, ChangefeedJob.State, Bool)] = [
            ("pending", .created, false), ("running", .running, false), ("retry-running", .running, false),
            ("pause-requested", .paused, false), ("paused", .paused, false), ("failed", .failed, true),
            ("revert-failed", .failed, true), ("reverting", .dropped, false), ("retry-reverting", .dropped, false),
            ("cancel-requested", .dropped, false), ("canceled", .dropped, true), ("succeeded", .ended, true),
            ("a word of later", .running, false),
        ]
        for (word, state, isOver) in states {
            #expect(job(word).state == state && job(word).isOver == isOver, "\(word)")
        }
        #expect(job("reverting", error: "boom").state == .failed)
    }

    // MARK: What making a feed comes to

    @Test func `a feed is made, resumed or gone on with, by what is there`() throws {
        func step(_ jobs: [ChangefeedJob], isKnown: Bool = false) throws -> ChangefeedStep {
            try ChangefeedStep(name: "n", jobs: jobs, isKnown: isKnown)
        }
        #expect(try step([]) == .create)
        #expect(try step([job("canceled"), job("failed", id: 6)]) == .create, "what is over is no hindrance")
        #expect(try step([job("paused")], isKnown: true) == .resume(7))
        #expect(try step([job("pause-requested")], isKnown: true) == .resume(7))
        #expect(try step([job("running"), job("canceled", id: 6)], isKnown: true) == .goOn(7))
        #expect(try step([job("running"), job("canceled", id: 6)]) == .replace, "whose topic nobody knows")
        #expect(try step([job("cancel-requested")]) == .create)
        #expect(try step([job("pending")], isKnown: true) == .goOn(7))
        let several = errorText { _ = try step([job("running", id: 8), job("paused")], isKnown: true) }
        #expect(several.contains("there are 2 changefeeds called n: jobs 8, 7; drop them"), "\(several)")
        let lost = errorText {
            _ = try step([job("failed", error: "no\nspace"), job("canceled", id: 6)], isKnown: true)
        }
        #expect(lost.contains("the changefeed n is not finished, but job 7 failed: no space; drop the feed"), "\(lost)")
        #expect(errorText { _ = try step([], isKnown: true) }.contains("but its job is gone; drop the feed"))
    }

    // MARK: Watching

    @Test func `a job is watched until its high-water mark has passed the end`() throws {
        var watch = ChangefeedWatch(name: "n", floorNs: 7)
        let end = HybridTimestamp(wallNs: 1000, logical: 3)
        func look(_ job: ChangefeedJob, _ now: Int64, _ end: HybridTimestamp?) throws -> ChangefeedWatch.Verdict {
            try watch.observe(job, at: HybridTimestamp(wallNs: 1100), end: end, now: now)
        }
        #expect(try look(job("pending"), 1, nil) == .wait && !watch.isRunning && watch.lag == nil)
        #expect(try look(job("running"), 2, nil) == .wait && watch.isRunning && watch.lag == nil)
        #expect(try look(job("running", highWater: 400), 3, nil) == .wait)
        #expect(watch.lag == ChangefeedLag(job: 7, lastNs: 700, maximumNs: 700, floorNs: 7))
        #expect(try look(job("running", highWater: 999), 4, end) == .wait)
        #expect(try look(job("running", highWater: 1000), 5, end) == .wait, "the logical part counts")
        #expect(try look(job("running", highWater: 1001), 6, end) == .complete)
        #expect(watch.lag == ChangefeedLag(job: 7, lastNs: 99, maximumNs: 700, floorNs: 7))
    }

    private static let stopped: [(ChangefeedJob?, String)] = [
        (job("paused"), "the changefeed n (job 7) was paused; RESUME JOB 7"),
        (job("paused", error: "disk\nfull"), "the changefeed n (job 7) was paused: disk full; RESUME JOB 7"),
        (
            job("failed", error: "\"executions\" was truncated"),
            "(job 7) failed: \"executions\" was truncated; cure that"
        ),
        (job("failed"), "(job 7) failed: the server doesn't say why"),
        (job("canceled"), "(job 7) was cancelled; start"),
        (job("cancel-requested"), "(job 7) was cancelled"), (job("succeeded"), "has ended by itself: succeeded"),
        (nil, "the changefeed n is gone from the server; start the feed again"),
    ]

    @Test(arguments: stopped)
    func `what stops a job is told in one line`(_ job: ChangefeedJob?, _ part: String) {
        var watch = ChangefeedWatch(name: "n", floorNs: 0)
        let text = errorText {
            _ = try watch.observe(job, at: HybridTimestamp(wallNs: 1), end: nil, now: 0)
        }
        #expect(text.contains(part) && !text.contains("\n"), "\(text)")
    }

    @Test func `a job that stands still is given up with what it says of itself`() throws {
        var watch = ChangefeedWatch(name: "n", floorNs: 0)
        let stuck = ChangefeedJob(
            id: 7, description: "", status: "running", runningStatus: "retryable error: dial tcp:\n lookup broker",
            highWater: HybridTimestamp(wallNs: 5))
        func look(_ job: ChangefeedJob, _ now: Int64) throws {
            _ = try watch.observe(job, at: HybridTimestamp(wallNs: 9), end: nil, now: now)
        }
        let limit = ChangefeedWatch.stallLimitNs
        try look(job("running"), 0)
        try look(stuck, limit)
        try look(stuck, 2 * limit)
        let text = errorText { try look(stuck, 2 * limit + 1) }
        #expect(
            text.contains("has not moved for 180 s: retryable error: dial tcp:  lookup broker; can every node"),
            "\(text)")
        #expect(!text.contains("\n"))
    }
}

// MARK: The feed with a server that is played

/// One cluster with its jobs. Its clock goes with every look at it.
private final class PlayedServer: ChangefeedServer, Sendable {
    struct Life {
        var jobs: [ChangefeedJob] = []
        var topics: [String: String] = [:]
        var said: [String] = []
        var clock: Int64 = 1_000_000_000_000
        var isRangefeedEnabled: Bool? = true
        var topicCount: Int64 = 40
        /// A job hears of a command at the next look at it.
        var heardOf: [Int64: String] = [:]
        var refusal: PostgresError?
        var isHighWaterStuck = false
        var sessionCount = 0
        var topicCounterCount = 0
        /// How many of the next looks at the jobs find their session lost.
        var lostLookCount = 0
    }

    let life = Mutex(Life())

    func isRangefeedEnabled() throws -> Bool? { life.withLock { $0.isRangefeedEnabled } }
    func closedTimestampLagNs() throws -> Int64 { 6_000_000_000 }

    func jobs(named name: String) throws -> [ChangefeedJob] {
        try life.withLock { life in
            if life.lostLookCount > 0 {
                life.lostLookCount -= 1
                throw PostgresError(message: "the node has gone", isConnectionLost: true)
            }
            life.clock += 1_000_000_000
            let shown = life.jobs.filter { $0.isNamed(name) }.sorted { $0.id > $1.id }
            life.jobs = life.jobs.map { job in
                let status =
                    life.heardOf.removeValue(forKey: job.id) ?? (job.status == "pending" ? "running" : job.status)
                let isMoving = status == "running" && !life.isHighWaterStuck
                if isMoving { life.topicCount += 10 }
                return ChangefeedJob(
                    id: job.id, description: job.description, status: status,
                    highWater: isMoving ? HybridTimestamp(wallNs: life.clock - 7_000_000_000) : job.highWater,
                    error: job.error)
            }
            return shown
        }
    }

    func create(_ statement: ChangefeedStatement) throws {
        try life.withLock { life in
            if let refusal = life.refusal { throw SQLChangefeedServer.refusal(refusal, of: statement) }
            life.said.append("create \(statement.name) scan=\(statement.scanTable)")
            life.jobs.append(
                ChangefeedJob(id: Int64(life.jobs.count + 1), description: statement.text, status: "pending"))
        }
    }

    private func command(_ verb: String, _ job: Int64, _ requested: String, _ done: String) {
        life.withLock { life in
            life.said.append("\(verb) \(job)")
            life.jobs = life.jobs.map {
                guard $0.id == job else { return $0 }
                return ChangefeedJob(
                    id: $0.id, description: $0.description, status: requested, highWater: $0.highWater, error: $0.error)
            }
            life.heardOf[job] = done
        }
    }

    func pause(_ job: Int64) throws { command("pause", job, "pause-requested", "paused") }
    func resume(_ job: Int64) throws { command("resume", job, "running", "running") }
    func cancel(_ job: Int64) throws { command("cancel", job, "cancel-requested", "canceled") }
    func clusterTime() throws -> HybridTimestamp { life.withLock { HybridTimestamp(wallNs: $0.clock) } }
    func topic(ofFeed name: String) throws -> String? { life.withLock { $0.topics[name] } }
    func note(feed name: String, topic: String) throws { life.withLock { $0.topics[name] = topic } }
    func forget(feed name: String) throws { _ = life.withLock { $0.topics.removeValue(forKey: name) } }
    func close() {}

    /// A feed of this cluster, whose waits take no time.
    func feed(_ source: FeedSource = .executions, topic: String = "executions") throws -> CockroachChangefeed {
        let info = try ConnectionInfo("host=nowhere dbname=bench")
        let plan = FeedPlan(connection: info, kafka: plain, topic: topic, source: source)
        let elapsed = Mutex<Int64>(0)
        return try CockroachChangefeed(
            plan, database: "bench",
            CockroachChangefeed.Surroundings(
                connect: { [self] in
                    life.withLock { $0.sessionCount += 1 }
                    return self
                },
                topicCounter: { [self] in
                    life.withLock { $0.topicCounterCount += 1 }
                    return { self.life.withLock { $0.topicCount } }
                },
                now: { elapsed.withLock { $0 } }, sleep: { span in elapsed.withLock { $0 += span } }))
    }

    var said: [String] { life.withLock { $0.said } }
    var statuses: [String] { life.withLock { $0.jobs.map(\.status) } }
}

@Suite struct CockroachChangefeedTests {
    @Test func `a feed is made, watched to its end, and dropped`() throws {
        let server = PlayedServer()
        let feed = try server.feed()
        #expect(feed.name == "allocbench_bench" && feed.mayRepeat)
        try feed.create(scanTable: false)
        #expect(server.said == ["create allocbench_bench scan=false"])
        #expect(server.life.withLock { $0.topics } == ["allocbench_bench": "executions"])

        let end = FeedEnd()
        var reports: [FeedFigures] = []
        let figures = try feed.run(until: end, stop: StopFlag()) { figures in
            reports.append(figures)
            // Known only while it runs, as in a run.
            if reports.count == 3 {
                end.set(.clock(HybridTimestamp(wallNs: server.life.withLock { $0.clock } + 5_000_000_000)))
            }
        }
        #expect(reports.count > 5 && figures.publishedCount > 0)
        #expect(
            figures.publishedCount == server.life.withLock { $0.topicCount } - 40,
            "what the topic held before is no figure")
        let lag = try #require(figures.lag)
        #expect(
            lag.job == 1 && lag.floorNs == 7_000_000_000 && lag.lastNs >= 7_000_000_000 && lag.maximumNs >= lag.lastNs)
        #expect(figures.lastPublishedTime > 0 && figures.committedToPublished.count == 0)

        try feed.drop()
        #expect(server.statuses == ["canceled"] && server.life.withLock { $0.topics.isEmpty })
        try feed.drop()
        #expect(server.said == ["create allocbench_bench scan=false", "cancel 1"], "what isn't there is fine")
    }

    @Test func `a feed that is kept is paused, and the next one resumes it`() throws {
        let server = PlayedServer()
        try server.feed().create(scanTable: true)
        let stop = StopFlag()
        stop.set()
        _ = try server.feed().run(until: FeedEnd(), stop: stop) { _ in }
        try server.feed().keep()
        #expect(server.statuses == ["paused"])
        try server.feed().keep()
        #expect(server.said.filter { $0 == "pause 1" }.count == 1, "once is enough")
        let other = errorText { try server.feed(topic: "other").create(scanTable: true) }
        #expect(
            other.contains("the feed allocbench_bench publishes to topic executions; go on with that topic"), "\(other)"
        )
        try server.feed().create(scanTable: true)
        #expect(server.said.last == "resume 1" && server.statuses == ["running"])
        // Another table's feed is another's.
        try server.feed(.requests).create(scanTable: false)
        #expect(server.said.last == "create allocbench_bench_requests scan=false")
    }

    @Test func `a feed that was just told to pause is resumed once it has`() throws {
        let server = PlayedServer()
        try server.feed().create(scanTable: false)
        _ = try server.jobs(named: "allocbench_bench")
        try server.pause(1)
        try server.feed().create(scanTable: false)
        #expect(server.said.suffix(2) == ["pause 1", "resume 1"] && server.statuses == ["running"])
    }

    @Test func `what a killed process left is found by its name and cancelled, and nothing else is`() throws {
        let server = PlayedServer()
        try server.feed().create(scanTable: false)
        try server.feed(.executions(keyedBy: .execution)).create(scanTable: false)
        // Between the job and its row the process was killed.
        try server.forget(feed: "allocbench_bench")
        let usersOwn = ChangefeedJob(
            id: 77, description: "CREATE CHANGEFEED FOR TABLE bench.trades.executions INTO 'kafka://b'",
            status: "running")
        let otherDatabase = job("running", id: 78, name: "allocbench_bench2")
        server.life.withLock { $0.jobs += [usersOwn, otherDatabase] }
        // It may have published to another topic.
        try server.feed(topic: "other").create(scanTable: false)
        #expect(server.said.suffix(2) == ["cancel 1", "create allocbench_bench scan=false"])
        #expect(server.life.withLock { $0.topics["allocbench_bench"] } == "other")
        try CockroachChangefeed.dropAll(database: "bench", on: server)
        #expect(server.statuses == ["canceled", "canceled", "running", "running", "canceled"])
        #expect(server.life.withLock { $0.topics.isEmpty })
    }

    @Test func `nothing is made while rangefeeds are off, and the remedy is told`() throws {
        let server = PlayedServer()
        server.life.withLock { $0.isRangefeedEnabled = false }
        let text = errorText { try server.feed().create(scanTable: false) }
        #expect(
            text == "kv.rangefeed.enabled is off, and a changefeed reads nothing without it; "
                + "SET CLUSTER SETTING kv.rangefeed.enabled = true, as an administrator of the cluster")
        #expect(server.said.isEmpty)
        // Who may not see the setting may still make a changefeed, and hears the server's own words otherwise.
        server.life.withLock { $0.isRangefeedEnabled = nil }
        try server.feed().create(scanTable: false)
        #expect(server.said.count == 1)
    }

    @Test(arguments: [
        ("42501", "user bench requires the CHANGEFEED privilege", "GRANT CHANGEFEED ON TABLE trades.executions"),
        ("XX000", "rangefeeds require the kv.rangefeed.enabled setting", "SET CLUSTER SETTING kv.rangefeed.enabled"),
        (
            "57P03", "connecting to kafka: broker-1:9092:\nkafka: client has run out of brokers",
            "every node of the database"
        ),
        ("XX000", "unable to dial: dial tcp: lookup b1,b2: no such host", "name one broker only"),
    ]) func `what the server refuses is one line with the remedy, and leaves nothing`(
        _ state: String, _ message: String, _ remedy: String
    ) throws {
        let server = PlayedServer()
        server.life.withLock { $0.refusal = PostgresError(sqlState: SQLState(rawValue: state), message: message) }
        let text = errorText { try server.feed().create(scanTable: false) }
        #expect(
            text.hasPrefix("the changefeed allocbench_bench couldn't be made: ") && text.contains(remedy), "\(text)")
        #expect(!text.contains("\n") && server.life.withLock { $0.topics.isEmpty })
    }

    @Test func `a job that fails under way ends the feed with its error, and can be dropped`() throws {
        let server = PlayedServer()
        let feed = try server.feed()
        try feed.create(scanTable: false)
        let text = errorText {
            _ = try feed.run(until: FeedEnd(), stop: StopFlag()) { _ in
                server.life.withLock {
                    $0.jobs = [
                        ChangefeedJob(
                            id: 1, description: $0.jobs[0].description, status: "failed",
                            error: "\"executions\" was truncated")
                    ]
                }
            }
        }
        #expect(text.contains("(job 1) failed: \"executions\" was truncated; cure that"), "\(text)")
        #expect(
            errorText { try feed.create(scanTable: false) }.contains("but job 1 failed"), "not scanned again by chance")
        try feed.drop()
        try feed.create(scanTable: true)
        #expect(server.said.last == "create allocbench_bench scan=true")
    }

    @Test func `a node that dies under the watch costs another session, and one client of the brokers looks all along`()
        throws
    {
        let server = PlayedServer()
        let feed = try server.feed()
        try feed.create(scanTable: false)
        server.life.withLock { ($0.sessionCount, $0.topicCounterCount) = (0, 0) }
        let stop = StopFlag()
        var lookCount = 0
        _ = try feed.run(until: FeedEnd(), stop: stop) { _ in
            lookCount += 1
            if lookCount == 2 { server.life.withLock { $0.lostLookCount = 3 } }
            if lookCount == 5 { stop.set() }
        }
        #expect(lookCount > 5 && server.life.withLock { $0.sessionCount } == 4, "the first, and one after each loss")
        #expect(server.life.withLock { $0.topicCounterCount } == 1)
        server.life.withLock { $0.lostLookCount = .max }
        let text = errorText { _ = try feed.run(until: FeedEnd(), stop: StopFlag()) { _ in } }
        #expect(text.contains("the node has gone"), "\(text)")
    }

    @Test func `a command that no node hears of is given up after a minute`() throws {
        let server = PlayedServer()
        let feed = try server.feed()
        try feed.create(scanTable: false)
        _ = try server.jobs(named: feed.name)
        let deaf = DeafServer(server)
        let info = try ConnectionInfo("host=nowhere dbname=bench")
        let elapsed = Mutex<Int64>(0)
        let hung = try CockroachChangefeed(
            FeedPlan(connection: info, kafka: plain, topic: "executions", source: .executions), database: "bench",
            CockroachChangefeed.Surroundings(
                connect: { deaf }, topicCounter: { { 0 } }, now: { elapsed.withLock { $0 } },
                sleep: { span in elapsed.withLock { $0 += span } }))
        let message = errorText { try hung.drop() }
        #expect(
            message.contains("job 1 of the changefeed allocbench_bench should be cancelled, and is running after 60 s"))
    }
}

/// Takes every command and lets nothing come of it.
private struct DeafServer: ChangefeedServer {
    private let server: PlayedServer
    init(_ server: PlayedServer) { self.server = server }

    func isRangefeedEnabled() throws -> Bool? { true }
    func closedTimestampLagNs() throws -> Int64 { 0 }
    func jobs(named name: String) throws -> [ChangefeedJob] { try server.jobs(named: name) }
    func create(_ statement: ChangefeedStatement) throws {}
    func pause(_ job: Int64) throws {}
    func resume(_ job: Int64) throws {}
    func cancel(_ job: Int64) throws {}
    func clusterTime() throws -> HybridTimestamp { try server.clusterTime() }
    func topic(ofFeed name: String) throws -> String? { nil }
    func note(feed name: String, topic: String) throws {}
    func forget(feed name: String) throws {}
    func close() {}
}
