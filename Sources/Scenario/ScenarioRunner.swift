// Runs a scenario: the same data for every configuration, each on fresh tables and in an order that favours none,
// verification after each, results at the end. Runs on the main thread; the workers have theirs.

import Allocations
import ChangeFeed
import Diagnostics
import Foundation
import Measurement
import Model
import Postgres
public import Report
import Services
import Statistics
public import Threads

public struct ScenarioRunner {
    /// What a run is told beside its scenario.
    public struct Options {
        /// Where the run's own folder is made.
        public var resultsFolder = "results"
        /// A run that was cut and is to be finished; nil begins a new one.
        public var resumed: RunFolder?
        public var commandLine: [String] = []
        /// Of a run that is repeated: other data is refused, other surroundings are told.
        public var repeated: ManifestFile?
        /// How long a cell waits for a worker host that isn't there.
        public var hostWait = Duration.seconds(60)

        public init() {}
    }

    let scenario: ScenarioFile
    let target: Target
    let stop: StopFlag
    let options: Options
    private let report: @Sendable (RunEvent) -> Void

    /// - Parameter report: takes what there is to tell, from several threads.
    public init(
        _ scenario: ScenarioFile, target: Target, options: Options, stop: StopFlag,
        report: @escaping @Sendable (RunEvent) -> Void
    ) {
        self.scenario = scenario
        self.target = target
        self.options = options
        self.stop = stop
        self.report = report
    }

    func say(_ line: String) { report(.note(line)) }

    /// Blocks until every configuration has run every repetition.
    /// - Throws: what makes the run worthless: a service that fails, a stream that isn't whole. A failed verification is no
    ///   error here: its row says so, and the outcome.
    public func run() throws -> RunOutcome {
        let started = Date()
        let runID = options.resumed?.name ?? RunFolder.name(of: scenario.name, at: started)
        var finishedCount = 0
        do {
            return try run(runID, started: started, finishedCount: &finishedCount)
        } catch {
            if finishedCount == 0 { dropUnusedSchemas(runID: runID) }
            throw error
        }
    }

    private func run(_ runID: String, started: Date, finishedCount: inout Int) throws -> RunOutcome {
        let selfCheck = SelfCheck.run()
        try prepareDatabase(runID: runID)
        let servers = try PreparedServers(scenario.servers, target: target) { [report] in report(.note($0)) }
        defer { servers.restore() }
        // A broker may still have the topics of the part that was cut.
        let scope = options.resumed == nil ? runID : "\(runID).\(getpid())"
        if let resumed = options.resumed { try target.deleteTopics(beginningWith: "allocbench.\(resumed.name).") }
        let stage = try makeStageRun(runID: scope, selfCheck: selfCheck, servers: servers)
        defer { stage.close() }
        try requireExpected(stage.fingerprint)
        let cells = Self.order(scenario)
        var manifest = try manifest(started: started, planned: cells.count, stage: stage, selfCheck: selfCheck.entries)
        tellDifferences(manifest)
        let folder: RunFolder
        if let resumed = options.resumed {
            folder = resumed
            manifest = try resumed.resume(manifest, say: say)
            say("\(resumed.journal.cells.count) of \(cells.count) runs are finished already")
        } else {
            folder = try RunFolder.create("\(options.resultsFolder)/\(runID)", scenario: scenario)
            try manifest.write(to: folder.manifestPath)
        }
        // Final tables are the same for every configuration, or something is wrong.
        var firstTables = FirstTables(of: folder.journal.cells)
        let ahead = cells.enumerated().filter { !folder.isFinished($0.element.key) }
        finishedCount = folder.journal.cells.count
        let watch = RunWatch(
            RunTally(finished: cells.count - ahead.count, ahead: ahead.map(\.element.competitor.name)))
        do {
            for (index, cell) in ahead {
                try requireNotStopped(stop)
                let place = CellPlace(
                    index: index + 1, count: cells.count, configuration: cell.competitor.name,
                    repetition: cell.repetition)
                let report = report
                report(.cellStarted(place))
                watch.tell { $0.begin(at: $1) }
                let beganUnixNs = realtimeNow()
                var outcome = try stage.run(cell, orderIndex: index + 1) { progress in
                    report(.cellProgress(place, progress, watch.tell { $0.note(progress, at: $1) }))
                }
                try requireNotStopped(stop)
                outcome.judge(with: &firstTables)
                outcome.writeHistograms(of: cell, beganUnixNs: beganUnixNs)
                try folder.journal.append(outcome.record(of: cell))
                finishedCount += 1
                let summary = outcome.summary
                report(.cellFinished(place, summary, watch.tell { $0.end(summary, at: $1) }))
            }
            manifest.hosts = stage.hostEntries
            return try folder.finish(manifest, scenario: scenario, ending: .complete)
        } catch {
            manifest.hosts = stage.hostEntries
            // What was measured and verified before stays true, and the manifest says that it isn't all.
            let ending = stop.isSet ? Manifest.Outcome.Ending.interrupted : .failed
            if (try? folder.finish(manifest, scenario: scenario, ending: ending)) != nil {
                say(
                    "\(folder.journal.cells.count) of \(cells.count) runs were finished; their rows are in \(folder.path); "
                        + "the same command with --resume goes on with the rest")
            }
            throw error
        }
    }

    private func makeStageRun(
        runID: String, selfCheck: SelfCheck, servers: PreparedServers
    ) throws -> any StageRun {
        var given = StageInput(
            scenario: scenario, target: target, runID: runID, stop: stop, servers: servers, say: say)
        given.hostWait = options.hostWait
        return switch scenario.stage {
        case .allocate: try AllocateStage(given, selfCheck: selfCheck)
        case .route: try RouteStage(given)
        case .execute: try ExecuteStage(given)
        }
    }

    /// Each repetition goes through all configurations, in an order in which a drift of the machine favours none of them.
    static func order(_ scenario: ScenarioFile) -> [Cell] {
        let competitors = scenario.competitors
        let order: ExperimentOrder =
            switch scenario.order {
            case .abba: .abba
            case .latinSquare: .latinSquare(seed: scenario.seed)
            }
        return order.cells(configurations: competitors.count, repetitions: scenario.repetitions)
            .map { Cell(competitor: competitors[$0.configuration], repetition: $0.repetition) }
    }

    // MARK: Surroundings

    /// A run begins with empty schemas. In the embedded server they are this program's; elsewhere rows are never dropped.
    private func prepareDatabase(runID: String) throws {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        try scenario.requireServer(on: connection)
        if target.services != nil {
            // The lock on the state folder is ours, so whoever still reads the slot is what a killed run left.
            try ChangeFeeds.dropAll(connection: target.connection)
            try Schemas.drop(on: connection)
        } else {
            let taken = try Schemas.present(on: connection)
            if !taken.isEmpty, try isLeft(of: runID, on: connection) {
                try ChangeFeeds.dropAll(connection: target.connection)
                try Schemas.drop(on: connection)
            } else if !taken.isEmpty {
                throw OperatingError(
                    "the database has schemas of these names already: \(taken.joined(separator: ", "))",
                    remedy:
                        "give a run a database of its own, or drop them with all their rows: allocbench schema drop "
                        + "--database '\(target.connection.redacted)'")
            }
        }
        try Schemas.create(on: connection, cockroach: target.cockroach)
        // Whose schemas these are, so that the run can be resumed on a database that isn't this program's.
        try connection.markRun(Self.mark(of: runID))
    }

    /// After a run that failed before anything was finished: on a server that isn't this program's, the schemas would only keep
    /// the next run out.
    private func dropUnusedSchemas(runID: String) {
        guard target.services == nil, let connection = try? PostgresConnection.connect(to: target.connection) else {
            return
        }
        defer { connection.close() }
        guard (try? isLeft(of: runID, on: connection)) == true else { return }
        try? ChangeFeeds.dropAll(connection: target.connection)
        try? Schemas.drop(on: connection)
    }

    /// Whether the schemas are those of a part of this run that was cut.
    private func isLeft(of runID: String, on connection: PostgresConnection) throws -> Bool {
        try connection.runMark() == Self.mark(of: runID)
    }

    /// A run's name has letters, digits and dashes alone.
    private static func mark(of runID: String) -> String { "allocbench run \(runID)" }

    private func requireExpected(_ fingerprint: String) throws {
        guard let expected = options.repeated?.fingerprint, expected != fingerprint else { return }
        throw OperatingError(
            "the run to repeat worked on data with the fingerprint \(expected), this one would on \(fingerprint)",
            remedy: "bring back the same price files and the version of allocbench that its manifest names")
    }

    /// A repeated run may be repeated elsewhere, but not without saying so.
    private func tellDifferences(_ manifest: Manifest) {
        for difference in options.repeated?.differences(from: manifest.surroundings) ?? [] {
            say("not as in the run that is repeated: \(difference)")
        }
        if let doubt = options.repeated?.doubt(about: manifest.surroundings) {
            say("the run that is repeated: \(doubt)")
        }
    }
}

extension ScenarioFile {
    /// Refuses what the server can't do of what the scenario asks, before anything is written.
    func requireServer(on connection: PostgresConnection) throws {
        guard servers.cockroach == nil || connection.dialect == .cockroachdb else {
            throw OperatingError(
                "the scenario's servers.cockroachdb says what a CockroachDB is to do, and the server is \(connection.server)",
                remedy: "leave it out, or name a CockroachDB in servers.database or --database")
        }
        for isolation in Isolation.allCases where configurations.contains(where: { $0.isolation == isolation }) {
            guard let level = IsolationLevel(rawValue: isolation.sql) else { continue }
            try connection.requireIsolation(level)
        }
    }
}
