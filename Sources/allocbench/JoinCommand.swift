// `allocbench work --join`: a worker host, anywhere that reaches database and broker. What it does, the runner says.

import Diagnostics
import Scenario
import Threads

enum JoinCommand {
    static let join = Flag(
        "--join", "NAME", "as a worker host of `run`: joins, by default under the machine's name, and waits for runs",
        isValueOptional: true)
    private static let once = Flag("--once", nil, "goes with --join: ends with the first run that it took part in")

    static let flags = [join, once]
    /// What the runner says, and nobody else.
    private static let foreignFlags = [
        "--topic", "--mode", "--workers", "--txn-size", "--pipeline-depth", "--batch-size", "--batch-window-ms",
        "--cycle-interval-ms", "--fresh", "--follow", "--group", "--assignor",
    ]

    static func run(_ arguments: ParsedArguments) throws -> ExitStatus {
        for flag in foreignFlags where arguments.has(flag) {
            throw InputError(
                InputFault(
                    source: flag, value: arguments.text(flag), expected: "no such flag with --join: the run says it"))
        }
        var options = WorkerHost.Options()
        if let name = arguments.text(join.name), !name.isEmpty {
            let isName =
                name.count <= 64 && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) }
            guard isName else {
                throw InputError(
                    InputFault(
                        source: join.name, value: name, expected: "1 to 64 letters, digits, dots, dashes or underscores"
                    ))
            }
            options.name = name
        }
        options.isOnce = arguments.has(once.name)
        var targetOptions = try TargetFlags.options(arguments)
        targetOptions.broker = .lasting
        // Of embedded services, the database that `run` works in.
        if !arguments.has("--name") { targetOptions.database = "allocbench_run" }
        let target = try Target.open(targetOptions)
        defer { target.close() }
        try WorkerHost(target, options: options, stop: Interrupt.flag, say: { say($0) }).run()
        return .success
    }

    /// Without --join the other one means nothing.
    static func refuseAlone(_ arguments: ParsedArguments) throws(InputError) {
        guard arguments.has(once.name) else { return }
        throw InputError(InputFault(source: once.name, expected: "--join with it"))
    }
}
