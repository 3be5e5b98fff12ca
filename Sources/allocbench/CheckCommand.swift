// `allocbench check FILE ...`: what scenario files say, without running them.

import Diagnostics
import Scenario

enum CheckCommand {
    static let check = Verb(
        name: "check", summary: "Checks scenario files and tells what each would run, without running anything.",
        operands: ["FILE", "..."], operandCount: 0...10_000,
        flags: [
            Flag("--schema", nil, "prints the JSON Schema of scenario files, for editors"),
            Flag("--securities", "FILE", "as for run"),
            Flag("--prices", "DIR", "as for run"),
        ]
    ) { arguments in
        let paths = arguments.operands
        if arguments.has("--schema") {
            guard paths.isEmpty else {
                throw InputError(
                    InputFault(source: "--schema", value: paths.joined(separator: " "), expected: "no FILE beside it"))
            }
            print(ScenarioFile.schemaText, terminator: "")
            return .success
        }
        guard !paths.isEmpty else {
            throw InputError(InputFault(source: "allocbench check", expected: "FILE, one or several"))
        }
        // A fault in one file doesn't keep the others from being checked: all are told in one go.
        var faults: [InputFault] = []
        var omittedCount = 0
        for path in paths {
            do throws(InputError) {
                let scenario = try ScenarioFile.load(
                    path: path, securitiesFile: arguments.text("--securities"), pricesFolder: arguments.text("--prices")
                )
                print(scenario.summary)
            } catch {
                faults += error.faults
                omittedCount += error.omittedCount
            }
        }
        if !faults.isEmpty { throw InputError(faults, omittedCount: omittedCount) }
        return .success
    }
}
