// A changefeed's job as CockroachDB shows it, and what follows from it. Values without connection or clock.

import Diagnostics

/// A row of SHOW CHANGEFEED JOBS.
struct ChangefeedJob: Sendable, Equatable {
    /// What the job does, whatever word the server has for it.
    enum State: Sendable, Equatable {
        /// Can transition to: running, failed, dropped.
        case created
        /// Can transition to: paused, failed, dropped, ended. A job that tries again after an error is running, too.
        case running
        /// Can transition to: running, failed, dropped.
        case paused
        /// What it is left in by an error that no new attempt can cure.
        case failed
        /// Cancelled, or about to be.
        case dropped
        /// Done: of a changefeed with an end only, so none of ours.
        case ended
    }

    let id: Int64
    /// The statement that made it, without the secrets of its sink.
    let description: String
    /// The server's word.
    let status: String
    /// What it is at; while it tries again, why.
    let runningStatus: String
    /// Everything up to here is in the broker; nil until the first checkpoint.
    let highWater: HybridTimestamp?
    let error: String

    init(
        id: Int64, description: String, status: String, runningStatus: String = "", highWater: HybridTimestamp? = nil,
        error: String = ""
    ) {
        self.id = id
        self.description = description
        self.status = status
        self.runningStatus = runningStatus
        self.highWater = highWater
        self.error = error
    }

    /// Reads a row by the names of its columns, because versions differ in which there are and in what order.
    init(row: [String: String]) throws(OperatingError) {
        func text(_ name: String) throws(OperatingError) -> String {
            if let text = row[name] { return text }
            throw OperatingError("SHOW CHANGEFEED JOBS has no \(name) in this version of CockroachDB")
        }
        guard let id = Int64(try text("job_id")) else {
            throw OperatingError("SHOW CHANGEFEED JOBS has a job_id that is no number")
        }
        var highWater: HybridTimestamp?
        if let mark = row["high_water_timestamp"], !mark.isEmpty {
            highWater = HybridTimestamp(mark)
            guard highWater != nil else {
                throw OperatingError("job \(id) has a high-water mark that is no timestamp: \(mark)")
            }
        }
        self.init(
            id: id, description: try text("description"), status: try text("status"),
            runningStatus: row["running_status"] ?? "",
            // A job without progress may say zero.
            highWater: highWater.flatMap { $0.wallNs > 0 ? $0 : nil }, error: row["error"] ?? "")
    }

    /// https://www.cockroachlabs.com/docs/stable/show-jobs lists the words.
    var state: State {
        switch status {
        case "pending": .created
        case "running", "retry-running": .running
        case "pause-requested", "paused": .paused
        case "failed", "revert-failed": .failed
        case "reverting", "retry-reverting": error.isEmpty ? .dropped : .failed
        case "cancel-requested", "canceled": .dropped
        case "succeeded": .ended
        // A word of a later version: what the job does is seen from its high-water mark.
        default: .running
        }
    }

    /// Whether nothing can follow any more: it neither publishes nor waits.
    var isOver: Bool { ["failed", "revert-failed", "canceled", "succeeded"].contains(status) }

    var isPausedForGood: Bool { status == "paused" }

    func isNamed(_ name: String) -> Bool { description.contains(ChangefeedStatement.clientID(name)) }
}

/// What making a feed comes to, given what is on the server.
enum ChangefeedStep: Equatable {
    /// There is none: make one.
    case create
    /// There is one of this name that no row tells of: its process was killed before it had written down what the feed publishes
    /// to. Which topic that is nobody knows for sure, so it is cancelled and one is made.
    case replace
    /// An earlier feed was kept: go on with it.
    case resume(Int64)
    /// It runs already: a killed process left it, and nothing was lost.
    case goOn(Int64)

    /// - Parameters:
    ///   - jobs: all of the feed's name, the latest first.
    ///   - isKnown: whether the database has a row that says so of a feed that isn't finished.
    init(name: String, jobs: [ChangefeedJob], isKnown: Bool) throws(OperatingError) {
        let live = jobs.filter { !$0.isOver && $0.state != .dropped }
        guard isKnown else {
            self = live.isEmpty ? .create : .replace
            return
        }
        guard live.count <= 1 else {
            throw OperatingError(
                "there are \(live.count) changefeeds called \(name): jobs "
                    + live.map { String($0.id) }.joined(separator: ", "),
                remedy: "drop them (allocbench feed --drop) and start again")
        }
        guard let job = live.first else {
            let failed = jobs.first { $0.state == .failed }
            let reason = failed.map { "job \($0.id) failed: \(oneLine($0.error))" } ?? "its job is gone"
            throw OperatingError(
                "the changefeed \(name) is not finished, but \(reason)",
                remedy: "drop the feed (allocbench feed --drop) and start it again: it scans the whole table")
        }
        self = job.state == .paused ? .resume(job.id) : .goOn(job.id)
    }
}

/// Watches a job from one look to the next.
struct ChangefeedWatch {
    enum Verdict: Equatable {
        /// Look again later.
        case wait
        /// Everything before the end is in the broker.
        case complete
    }

    /// So long a high-water mark may stand still before the feed is given up: brokers and nodes come back within it.
    static let stallLimitNs: Int64 = 180_000_000_000

    let name: String
    let floorNs: Int64
    private(set) var lag: ChangefeedLag?
    private(set) var isRunning = false
    private var highWater: HybridTimestamp?
    /// When the high-water mark last moved, on the monotonic clock.
    private var movedTime: Int64?

    init(name: String, floorNs: Int64) {
        self.name = name
        self.floorNs = floorNs
    }

    /// - Parameters:
    ///   - job: nil where the server has none of that name.
    ///   - clusterTime: of the same look.
    ///   - end: nil while nobody knows it.
    ///   - now: on the monotonic clock.
    /// - Throws: what the user must do something about, in one line.
    mutating func observe(
        _ job: ChangefeedJob?, at clusterTime: HybridTimestamp, end: HybridTimestamp?, now: Int64
    ) throws(OperatingError) -> Verdict {
        guard let job else {
            throw OperatingError(
                "the changefeed \(name) is gone from the server",
                remedy: "start the feed again: it scans the whole table")
        }
        switch job.state {
        case .created: break
        case .running: isRunning = true
        case .paused:
            let reason = job.error.isEmpty ? "" : ": \(oneLine(job.error))"
            throw OperatingError(
                "the changefeed \(name) (job \(job.id)) was paused\(reason)",
                remedy: "RESUME JOB \(job.id), or start the feed again: it goes on from its high-water mark")
        case .failed:
            throw OperatingError(
                "the changefeed \(name) (job \(job.id)) failed: \(oneLine(job.error))",
                remedy: "cure that, drop the feed (allocbench feed --drop) and start it again")
        case .dropped:
            throw OperatingError(
                "the changefeed \(name) (job \(job.id)) was cancelled",
                remedy: "start the feed again: it scans the whole table")
        case .ended:
            throw OperatingError("the changefeed \(name) (job \(job.id)) has ended by itself: \(job.status)")
        }
        try note(job, at: clusterTime, now: now)
        if let end, let highWater, highWater >= end { return .complete }
        return .wait
    }

    private mutating func note(
        _ job: ChangefeedJob, at clusterTime: HybridTimestamp, now: Int64
    ) throws(OperatingError) {
        if let mark = job.highWater {
            let behind = max(0, clusterTime.wallNs - mark.wallNs)
            lag = ChangefeedLag(
                job: job.id, lastNs: behind, maximumNs: max(behind, lag?.maximumNs ?? 0), floorNs: floorNs)
        }
        if movedTime == nil || job.highWater != highWater {
            movedTime = now
            highWater = job.highWater
        } else if now - (movedTime ?? now) > Self.stallLimitNs {
            let status = job.runningStatus.isEmpty ? "it doesn't say why" : oneLine(job.runningStatus)
            throw OperatingError(
                "the changefeed \(name) (job \(job.id)) has not moved for \(Self.stallLimitNs / 1_000_000_000) s: \(status)",
                remedy: "can every node of the database reach the brokers under the names given here? "
                    + "SHOW CHANGEFEED JOB \(job.id) has more")
        }
    }
}

/// Servers write their errors over several lines.
func oneLine(_ text: String) -> String {
    let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
    return line.isEmpty ? "the server doesn't say why" : String(line.prefix(500))
}
