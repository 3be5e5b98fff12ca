// `allocbench run FILE` and `allocbench check FILE`.

import Diagnostics
import Glibc
import Report
import Scenario
import Services

enum RunCommand {
    static let run = Verb(
        name: "run", summary: "Runs a scenario: compares its configurations on one recorded stream, verifies each run.",
        operands: ["FILE"],
        flags: [
            Flag("--results", "DIR", "where the run's folder is made (default results)"),
            Flag("--securities", "FILE", "real securities instead of generated ones; goes with --prices"),
            Flag("--prices", "DIR", "a folder with one price file per symbol"),
            TargetFlags.state, TargetFlags.kafkaHome, TargetFlags.database, TargetFlags.brokers,
        ]
    ) { arguments in
        let scenario = try load(arguments)
        var options = TargetFlags.options(arguments)
        options.database = "allocbench_run"
        try options.validate()
        let results = arguments.text("--results") ?? "results"
        try requireWritable(results)
        if options.isExternal { return try run(scenario, options, results: results) }
        // The lock keeps two runs out of one folder; it ends with the process, however that ends.
        let lock = try StateFolder(options.state).lockRun()
        defer { lock.release() }
        return try run(scenario, options, results: results)
    }

    private static func run(
        _ scenario: ScenarioFile, _ options: Target.Options, results: String
    ) throws -> ExitStatus {
        let target = try Target.open(options)
        defer { target.close() }
        for note in target.services?.notes ?? [] { say(note) }
        let outcome = try ScenarioRunner(
            scenario, target: target, resultsFolder: results, commandLine: CommandLine.arguments,
            stop: Interrupt.flag, say: say
        ).run()
        print(outcome.table, terminator: "")
        print("\nresults: \(outcome.folder)/runs.csv, verify.csv, manifest.json")
        return outcome.isVerified ? .success : .differencesFound
    }

    static let check = Verb(
        name: "check", summary: "Checks a scenario file without running it.", operands: ["FILE"],
        flags: [
            Flag("--securities", "FILE", "as for run"),
            Flag("--prices", "DIR", "as for run"),
        ]
    ) { arguments in
        let scenario = try load(arguments)
        print("\(scenario.path): \(scenario.configurationCount) configurations, \(scenario.repetitions) repetitions")
        return .success
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
