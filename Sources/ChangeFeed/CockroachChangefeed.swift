// CockroachDB's change feed behind the common face. The server publishes by itself, in a job: here it is made, watched, paused,
// resumed and cancelled, and the end of a feed is found by the job's high-water mark. Runs on its caller's thread.

import Diagnostics
import Kafka
import Measurement
import Postgres
import Synchronization
import Threads

final class CockroachChangefeed: ChangeFeed {
    /// What is outside: replaced in tests.
    struct Surroundings: Sendable {
        var connect: @Sendable () throws -> any ChangefeedServer
        /// Makes a client of the brokers that tells how many messages the topic holds, as often as it is asked.
        var topicCounter: @Sendable () throws -> () throws -> Int64
        var now: @Sendable () -> Int64 = monotonicNow
        var sleep: @Sendable (_ nanoseconds: Int64) -> Void = { sleepUntil(monotonic: monotonicNow() + $0) }
    }

    let name: String
    private let plan: FeedPlan
    private let sink: KafkaSinkURI
    private let surroundings: Surroundings
    /// What the topic held before the job began; nil until then.
    private let countBefore = Mutex<Int64?>(nil)

    /// Looks at the job this often: each look joins the server's tables of jobs. Towards the end somebody waits for it.
    private static let lookIntervalNs: Int64 = 1_000_000_000
    private static let lookIntervalAtEndNs: Int64 = 200_000_000
    /// A job hears of a command when its node next looks.
    private static let commandTimeoutNs: Int64 = 60_000_000_000

    convenience init(_ plan: FeedPlan, database: String) throws {
        let (info, kafka, topic) = (plan.connection, plan.kafka, plan.topic)
        try self.init(
            plan, database: database,
            Surroundings(
                connect: { try SQLChangefeedServer.connect(to: info) },
                topicCounter: {
                    let admin = try KafkaAdmin(settings: kafka)
                    return { try admin.watermarks(of: topic).reduce(0) { $0 + $1.high } }
                }))
    }

    init(_ plan: FeedPlan, database: String, _ surroundings: Surroundings) throws {
        self.plan = plan
        self.surroundings = surroundings
        name = Self.name(database: database, source: plan.source)
        sink = try KafkaSinkURI(plan.kafka, topic: plan.topic)
    }

    /// By the rules for slots, which are as strict as those for the names of Kafka's clients.
    static func name(database: String, source: FeedSource) -> String {
        FeedSlot(database: database, source: source).name
    }

    /// What isn't confirmed at a checkpoint is published again, and a batch that failed is sent again whole.
    var mayRepeat: Bool { true }

    // MARK: The life of the job

    func create(scanTable: Bool) throws {
        let server = try surroundings.connect()
        defer { server.close() }
        if try server.isRangefeedEnabled() == false {
            throw OperatingError(
                "kv.rangefeed.enabled is off, and a changefeed reads nothing without it",
                remedy: SQLChangefeedServer.rangefeedRemedy)
        }
        let known = try server.topic(ofFeed: name)
        if let known, known != plan.topic {
            throw OperatingError(
                "the feed \(name) publishes to topic \(known)", remedy: "go on with that topic, or drop the feed first")
        }
        let step = try ChangefeedStep(name: name, jobs: try server.jobs(named: name), isKnown: known != nil)
        if step == .replace { try Self.cancel(name, on: server, surroundings) }
        // Not the time of `run`: by then the job has begun.
        let count = try surroundings.topicCounter()()
        countBefore.withLock { $0 = count }
        switch step {
        case .create, .replace:
            try server.create(
                ChangefeedStatement(name: name, source: plan.source, sink: sink, scanTable: scanTable))
        case .resume(let job):
            // A job that is still about to pause refuses to resume.
            try wait(on: server, for: job, "pause") { $0.isPausedForGood || $0.isOver }
            try server.resume(job)
        case .goOn: break
        }
        // Written after the job is made: a kill in between leaves a job without a row, which the next start finds by its name
        // and replaces.
        do {
            try server.note(feed: name, topic: plan.topic)
        } catch {
            try? drop(on: server)
            throw error
        }
    }

    func keep() throws {
        let server = try surroundings.connect()
        defer { server.close() }
        for job in try server.jobs(named: name) where job.state == .running || job.state == .created {
            try server.pause(job.id)
            try wait(on: server, for: job.id, "pause") { $0.isPausedForGood || $0.isOver }
        }
    }

    func drop() throws {
        let server = try surroundings.connect()
        defer { server.close() }
        try drop(on: server)
    }

    private func drop(on server: any ChangefeedServer) throws {
        try Self.cancel(name, on: server, surroundings)
        try server.forget(feed: name)
    }

    /// Cancels whatever carries the feeds of a database, a killed process's included. Nothing is published any more when it returns.
    static func dropAll(database: String, on server: some ChangefeedServer) throws {
        let surroundings = Surroundings(connect: { throw OperatingError("no second session") }, topicCounter: { { 0 } })
        for source in FeedSource.all {
            let name = name(database: database, source: source)
            try cancel(name, on: server, surroundings)
            try server.forget(feed: name)
        }
    }

    private static func cancel(
        _ name: String, on server: any ChangefeedServer, _ surroundings: Surroundings
    ) throws {
        let jobs = try server.jobs(named: name).filter { !$0.isOver }
        for job in jobs {
            // One that is being cancelled already would refuse.
            if job.state != .dropped { try server.cancel(job.id) }
        }
        for job in jobs {
            try wait(on: server, for: job.id, of: name, "be cancelled", surroundings) { $0.isOver }
        }
    }

    private func wait(
        on server: any ChangefeedServer, for job: Int64, _ what: String, until isDone: (ChangefeedJob) -> Bool
    ) throws {
        try Self.wait(on: server, for: job, of: name, what, surroundings, until: isDone)
    }

    private static func wait(
        on server: any ChangefeedServer, for job: Int64, of name: String, _ what: String,
        _ surroundings: Surroundings, until isDone: (ChangefeedJob) -> Bool
    ) throws {
        let deadline = surroundings.now() + commandTimeoutNs
        while let found = try server.jobs(named: name).first(where: { $0.id == job }), !isDone(found) {
            guard surroundings.now() < deadline else {
                throw OperatingError(
                    "job \(job) of the changefeed \(name) should \(what), and is \(found.status) after "
                        + "\(commandTimeoutNs / 1_000_000_000) s",
                    remedy: "SHOW CHANGEFEED JOB \(job) says why; allocbench feed --drop tries again")
            }
            surroundings.sleep(lookIntervalAtEndNs)
        }
    }

    // MARK: Watching

    func run(until end: FeedEnd, stop: StopFlag, report: (FeedFigures) -> Void) throws -> FeedFigures {
        var server = try surroundings.connect()
        defer { server.close() }
        // One client for all looks: each makes threads and connections of its own.
        let topicCount = try surroundings.topicCounter()
        let floor = try server.closedTimestampLagNs() + ChangefeedStatement.checkpointIntervalNs
        var watch = ChangefeedWatch(name: name, floorNs: floor)
        var figures = FeedFigures()
        let before: Int64
        if let known = countBefore.withLock({ $0 }) { before = known } else { before = try topicCount() }
        while true {
            let position = end.clockPosition
            // Before the job is asked: of a stop in between, nothing is held against the job.
            let isStopped = stop.isSet
            let (job, time) = try look(through: &server, stop: stop)
            let verdict = try watch.observe(job, at: time, end: position, now: surroundings.now())
            // After the look at the job: what its high-water mark covers is in the topic.
            let published = try topicCount() - before
            if published > figures.publishedCount {
                figures.publishedCount = published
                figures.lastPublishedTime = surroundings.now()
            }
            figures.lag = watch.lag
            if watch.isRunning { report(figures) }
            if verdict == .complete || isStopped { return figures }
            surroundings.sleep(position == nil ? Self.lookIntervalNs : Self.lookIntervalAtEndNs)
        }
    }

    /// The job and the cluster's time. The job is the cluster's and runs on without this session, whose node may die: then
    /// another session is made.
    private func look(
        through server: inout any ChangefeedServer, stop: StopFlag
    ) throws -> (ChangefeedJob?, HybridTimestamp) {
        var isLost = false
        return try ReconnectPolicy().reconnect(
            since: surroundings.now(), now: surroundings.now, isStopped: { stop.isSet },
            sleep: { surroundings.sleep(Int64($0 / .nanoseconds(1))) }
        ) {
            if isLost {
                server.close()
                server = try surroundings.connect()
            }
            isLost = true
            return (try server.jobs(named: name).first, try server.clusterTime())
        }
    }
}
