// allocbench-micro: what the parts of the harness's own path cost, each alone: time, allocations and instructions.
//
// The figures compare builds on one machine. They are no throughput of the harness: that is what `allocbench run` measures.

import Diagnostics
import Glibc
import Measurement
import Postgres
import Report
import Services
import Synchronization
import Threads

/// A line of the result, at once, whoever reads it.
private func show(_ line: String) { say(line, to: STDOUT_FILENO) }

/// The benchmarks' server, started when it is first asked for. A signal stops it, too.
private final class ServerPlace: Sendable {
    private let started = Mutex<BenchmarkServer?>(nil)
    private let folder: String

    init(folder: String) { self.folder = folder }

    /// nil where there is no PostgreSQL, which is said once.
    func server() -> BenchmarkServer? {
        started.withLock { started in
            if let server = started { return server }
            do {
                started = try BenchmarkServer(folder: folder)
            } catch {
                say("left out: the pipeline, COPY to the server and the worker need a PostgreSQL: \(error)")
            }
            return started
        }
    }

    func stop() { started.withLock { $0.take()?.stop() } }

    /// Before any other thread is made, so that all of them inherit the mask and only the watcher takes the signal.
    func stopOnSignal() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let waited = signals
        // It ends with the process; there is nothing to join.
        _ = WorkerThread<Void>(name: "signals") {
            var signal: Int32 = 0
            var waited = waited
            while sigwait(&waited, &signal) != 0 {}
            self.stop()
            _exit(130)
        }
    }
}

private func runChild(_ options: MicroOptions) throws {
    var plan = BenchmarkPlan()
    plan.only = options.plan.only
    plan.size = .counted
    plan.includesWorkers = false
    let server = try options.connection.map { try BenchmarkServer(info: ConnectionInfo($0)) }
    _ = try runBenchmarks(plan, server: { server }, ran: { show(Callgrind.record(of: $0)) })
}

/// Instructions by a second run under valgrind; empty where that isn't asked for or can't be.
private func countedInstructions(
    _ options: MicroOptions, _ place: ServerPlace, folder: String
) throws -> [String: Double] {
    guard Callgrind.isInstalled else {
        say("instructions: the kernel has no counter for them here, and valgrind isn't installed: the column is empty")
        return [:]
    }
    // The worker is left out of that run, so there may be nothing to run.
    let server = options.plan.takes(serverBenchmarks.flatMap(\.names)) ? place.server() : nil
    guard try server != nil || options.plan.takes(pureBenchmarks.flatMap({ try names(of: $0, .counted) })) else {
        return [:]
    }
    say("instructions: counted by callgrind, which runs the same in small; this takes a minute or two")
    var arguments = options.only.map { ["--only", $0] } ?? []
    if let server { arguments += ["--connection", server.text] }
    return try Callgrind.instructions(folder: folder, arguments: arguments)
}

/// - Returns: the exit status.
private func run(_ options: MicroOptions) throws -> Int32 {
    let state = try StateFolder(options.state)
    let lock = try state.lockRun()
    defer { lock.release() }
    let place = ServerPlace(folder: state.path)
    place.stopOnSignal()
    defer { place.stop() }
    var instructionsBy = ""
    var instructions: [String: Double] = [:]
    if options.instructions == .auto || options.instructions == .perf, InstructionCounter.open() {
        instructionsBy = "the kernel's counter"
    } else if options.instructions == .perf {
        say("instructions: the kernel has no counter for them here; try --instructions callgrind")
    } else if options.instructions != .none, !options.isTiny {
        instructions = try countedInstructions(options, place, folder: state.path)
        if !instructions.isEmpty { instructionsBy = "callgrind" }
    }
    show(
        "CPU time of the thread, median and best of \(options.plan.size.runs) runs; allocations and instructions per operation"
    )
    show(tableHead)
    let counted = instructions
    func completed(_ figure: Figure) -> Figure {
        var figure = figure
        figure.instructions = figure.instructions ?? counted[figure.name]
        return figure
    }
    let figures = try runBenchmarks(
        options.plan, server: { place.server() }, tell: { show(line(of: completed($0))) }
    ).map(completed)
    if options.plan.takes([cursorMemory]) {
        let bytes = cursorBytesPerAccount(accounts: options.isTiny ? 10 : 1_000).map(oneDecimal) ?? "unknown"
        show("\(cursorMemory): \(bytes) bytes/account")
    }
    if let wiki = options.wiki {
        let table = WikiTable.text(figures, instructionsBy: instructionsBy)
        try WikiTable.part.rewrite(wiki) { _ in "\n\(table)" }
    }
    return try judge(figures, options, instructionsBy: instructionsBy)
}

private func judge(_ figures: [Figure], _ options: MicroOptions, instructionsBy: String) throws -> Int32 {
    let path = Baseline.path(in: options.baselineFolder)
    // What was measured in small or in part is no baseline, and not worth a comparison in time.
    if options.baseline == .off || options.isTiny { return 0 }
    if options.baseline == .write {
        try Baseline.write(figures, instructionsBy: instructionsBy, to: path)
        show("\(path): written")
        return 0
    }
    guard let baseline = try Baseline.read(path) else {
        show("no baseline for this kind of machine: \(path) would be it; `make bench BASELINE=write` makes it")
        return 0
    }
    if options.plan.only.isEmpty {
        for line in Baseline.differences(of: figures, against: baseline) { show(line) }
    }
    // Without a PostgreSQL nothing may be left, and nothing is no better than the baseline.
    if figures.isEmpty {
        show("\(path): nothing to compare with it was measured")
        return 0
    }
    let worse = Baseline.regressions(of: figures, against: baseline, instructionsBy: instructionsBy)
    for line in worse { show("worse: \(line)") }
    show(worse.isEmpty ? "\(path): nothing is worse" : "\(path): \(worse.count) figures are worse")
    return worse.isEmpty ? 0 : 4
}

private func main() -> Int32 {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if arguments.contains("--help") {
        show(MicroOptions.help)
        return 0
    }
    do {
        let options = try MicroOptions(arguments)
        #if DEBUG
            say("This is a debug build; its times mean nothing. `make bench` builds for release.")
        #endif
        if !options.isCallgrindChild { return try run(options) }
        try runChild(options)
        return 0
    } catch let error as InputError {
        say("\(error)")
        return 2
    } catch {
        say("allocbench-micro: \(error)")
        return 1
    }
}

exit(main())
