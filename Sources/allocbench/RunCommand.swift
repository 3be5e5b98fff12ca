// `allocbench run FILE` and `allocbench rerun RUN`.

import Diagnostics
import Glibc
import Postgres
import Report
import Scenario
import Services
import Threads

enum RunCommand {
    private static let flags =
        [
            Flag("--results", "DIR", "where the run's folder is made (default results)"),
            Flag("--json", nil, "progress as one JSON object a line on standard output, instead of text"),
            Flag("-q", nil, "no progress: only the results, and what is wrong"),
            Flag("--wait-for-hosts", "SECONDS", "how long to wait for each missing worker host (default 60)"),
            TargetFlags.state, TargetFlags.kafkaHome, TargetFlags.database, TargetFlags.brokers,
        ] + TargetFlags.kafka

    static let run = Verb(
        name: "run", summary: "Runs a scenario: compares its configurations on one recorded stream, verifies each run.",
        operands: ["FILE"],
        flags: [
            Flag("--resume", nil, "goes on with the newest run of this scenario that was cut"),
            Flag("--securities", "FILE", "real securities instead of generated ones; goes with --prices"),
            Flag("--prices", "DIR", "a folder with one price file per symbol"),
        ] + flags
    ) { arguments in
        let options = try options(arguments)
        return try run(try load(arguments), options, arguments)
    }

    static let rerun = Verb(
        name: "rerun", summary: "Repeats a run from its folder: the same scenario on the same data, in a new folder.",
        operands: ["RUN"], flags: flags
    ) { arguments in
        let folder = arguments.operands[0]
        guard let manifest = ManifestFile.read("\(folder)/manifest.json") else {
            throw InputError(
                InputFault(source: folder, expected: "a folder of results with a manifest.json of this version"))
        }
        var options = try options(arguments)
        // Other data would answer another question.
        options.repeated = manifest
        let scenario = try ScenarioFile.load(
            path: "\(folder)/scenario.yaml", securitiesFile: manifest.securitiesFile,
            pricesFolder: manifest.pricesFolder, name: manifest.scenarioName)
        return try run(scenario, options, arguments)
    }

    /// What the command line alone says, and is refused before a file is read.
    private static func options(_ arguments: ParsedArguments) throws -> ScenarioRunner.Options {
        var options = ScenarioRunner.Options()
        if let seconds = try arguments.integer("--wait-for-hosts", in: 1...86_400) {
            options.hostWait = .seconds(seconds)
        }
        return options
    }

    private static func run(
        _ scenario: ScenarioFile, _ given: ScenarioRunner.Options, _ arguments: ParsedArguments
    ) throws -> ExitStatus {
        var options = given
        options.resultsFolder = arguments.text("--results") ?? "results"
        options.commandLine = CommandLine.arguments
        var targetOptions = try TargetFlags.options(arguments)
        try targetOptions.kafka.add(scenario)
        targetOptions.brokers = targetOptions.brokers ?? scenario.servers.brokers
        targetOptions.embeddedBrokers = scenario.servers.embeddedBrokers
        targetOptions.database = "allocbench_run"
        if targetOptions.connection == nil, let database = scenario.servers.database {
            targetOptions.connection = database
            targetOptions.connectionSource = "servers.database"
        }
        targetOptions.cockroach = scenario.servers.cockroach ?? CockroachSettings()
        for setting in scenario.servers.settings { targetOptions.postgresSettings[setting.name] = setting.value }
        try targetOptions.validate()
        try requireWritable(options.resultsFolder)
        let printer = ProgressPrinter(arguments.has("--json") ? .json : arguments.has("-q") ? .quiet : .text)
        let isResuming = arguments.has("--resume")
        if targetOptions.isExternal { return try run(scenario, options, isResuming, targetOptions, printer) }
        // The lock keeps two runs out of one folder; it ends with the process, however that ends.
        let lock = try StateFolder(targetOptions.state).lockRun()
        defer { lock.release() }
        return try run(scenario, options, isResuming, targetOptions, printer)
    }

    private static func run(
        _ scenario: ScenarioFile, _ given: ScenarioRunner.Options, _ isResuming: Bool, _ targetOptions: Target.Options,
        _ printer: ProgressPrinter
    ) throws -> ExitStatus {
        var options = given
        // Under the lock, because opening a journal cuts off what a kill left of its last line.
        if isResuming { options.resumed = try RunFolder.unfinished(scenario, in: options.resultsFolder) }
        let target = try Target.open(targetOptions)
        defer { target.close() }
        for note in target.services?.notes ?? [] { printer.print(.note(note)) }
        let outcome = try ScenarioRunner(
            scenario, target: target, options: options, stop: Interrupt.flag, report: printer.print
        ).run()
        printer.finish(outcome)
        if !outcome.isVerified { return .differencesFound }
        if !outcome.isValid { return .invalidRuns }
        return outcome.failedGateCount > 0 ? .gateFailed : .success
    }

    /// Makes the folder of results if it is missing: not to be able to write them must show before the work.
    private static func requireWritable(_ folder: String) throws(OperatingError) {
        let made = mkdir(folder, 0o777) == 0 || errno == EEXIST
        guard made, access(folder, W_OK | X_OK) == 0 else {
            throw OperatingError(
                "can't write results to \(folder): \(String(cString: strerror(errno)))",
                remedy: "name another folder: --results DIR")
        }
    }

    private static func load(_ arguments: ParsedArguments) throws(InputError) -> ScenarioFile {
        try ScenarioFile.load(
            path: arguments.operands[0], securitiesFile: arguments.text("--securities"),
            pricesFolder: arguments.text("--prices"))
    }
}
