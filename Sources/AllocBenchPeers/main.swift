// allocbench-peers: paths of AllocBench beside what a user would pick instead; see `make peers` and wiki/Peers.md.

import Diagnostics
import Foundation
import Glibc
import Kafka
import Measurement
import Postgres
import Report
import Scenario
import Threads

/// Runs one pair on services of its own. What goes wrong with it is its result, so that the others still get theirs.
func result(
    of pair: any PeerPair, _ options: PeerOptions, versions: inout [Manifest.Entry], settings: inout [Manifest.Entry]
) -> PairResult {
    let surroundings = PeerSurroundings(kafkaHome: options.kafkaHome, size: options.size)
    if let obstacle = pair.obstacle(surroundings) { return PairResult(pair, .leftOut, note: obstacle) }
    do {
        return try PeerBench.with(
            surroundings, state: "\(options.state)/\(pair.name)", postgresSettings: pair.postgresSettings,
            stop: Interrupt.flag
        ) { bench in
            let result = try PeerRunner.run(pair, on: bench, pairs: options.pairs, say: say)
            // Behind the runs, because a pair may give the database settings of its own.
            try bench.withConnection { connection in
                let database = try connection.query("SELECT version()").text(0, 0) ?? "unknown"
                let own = try connection.serverSettings().map { Manifest.Entry($0.name, $0.value) }
                // The first pair's, and of each other one what differs.
                settings +=
                    settings.isEmpty
                    ? own
                    : own.filter { !settings.contains($0) }.map { Manifest.Entry("\(pair.name): \($0.name)", $0.value) }
                for entry in [
                    Manifest.Entry("database", database), Manifest.Entry("broker", bench.target.brokerKind),
                ] where !versions.contains(entry) { versions.append(entry) }
            }
            versions.append(Manifest.Entry("peer of \(pair.name)", result.peer))
            return result
        }
    } catch {
        return PairResult(pair, .failed, note: "\(error)")
    }
}

/// - Returns: whether every pair that could run has a figure.
func run(_ options: PeerOptions, _ pairs: [any PeerPair]) throws -> Bool {
    let started = Date()
    let name = PeerFolder.name(at: started)
    let folder = try PeerFolder("\(options.results)/\(name)")
    var results: [PairResult] = []
    var settings: [Manifest.Entry] = []
    var versions = [
        Manifest.Entry("allocbench", AllocBench.version),
        Manifest.Entry("libpq", String(PostgresConnection.libraryVersion)),
        Manifest.Entry("librdkafka", KafkaAdmin.libraryVersion),
    ]
    for pair in pairs where options.only?.contains(pair.name) ?? true {
        if Interrupt.flag.isSet { break }
        let result = result(of: pair, options, versions: &versions, settings: &settings)
        print(PeerReport.line(result))
        try folder.append(result)
        results.append(result)
    }
    let isComplete = !results.contains { $0.outcome == .failed }
    func milliseconds(_ date: Date) -> Int64 { Int64(date.timeIntervalSince1970 * 1000) }
    try folder.finish(
        Manifest(
            outcome: Manifest.Outcome(
                Interrupt.flag.isSet ? .interrupted : isComplete ? .complete : .failed,
                runsFinished: results.count { $0.comparison != nil }, runsPlanned: results.count),
            scenarioName: "peers", scenarioPath: "", scenarioText: "", seed: PeerStream.seed,
            commandLine: CommandLine.arguments, build: BuildDescription.current(), versions: versions,
            connection: "embedded", serverSettings: settings, brokerSettings: [],
            machine: MachineDescription.current(), startedAtUnixMs: milliseconds(started),
            endedAtUnixMs: milliseconds(Date()), dataSets: []))
    print("written to \(folder.path)")
    if let wiki = options.wiki, !Interrupt.flag.isSet {
        let order = pairs.map(\.name)
        try PeerReport.part.rewrite(wiki) { PeerReport.table($0, with: results, order: order, run: name) }
    }
    return isComplete
}

do {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if arguments.contains("--help") {
        print(PeerOptions.help)
        exit(0)
    }
    let names = allPairs(.full).map(\.name)
    let options = try PeerOptions(
        arguments, names: names, kafkaHome: ProcessInfo.processInfo.environment["KAFKA_HOME"])
    #if DEBUG
        say("This is a debug build; its figures mean nothing. `make peers` builds for release.")
    #endif
    Interrupt.install()
    exit(try run(options, allPairs(options.size)) ? 0 : 1)
} catch let error as InputError {
    say("\(error)")
    exit(2)
} catch {
    say("allocbench-peers: \(error)")
    exit(1)
}
