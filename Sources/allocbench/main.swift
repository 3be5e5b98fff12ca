// Entry point: finds the verb, parses its flags, runs it, and turns errors into one line and an exit status.

import Diagnostics
import Glibc
import Postgres
import Scenario
import Services
import Threads

func overview() -> String {
    let width = (allVerbs.map(\.name.count).max() ?? 0) + 2
    let lines = allVerbs.map { "  " + $0.name + String(repeating: " ", count: width - $0.name.count) + $0.summary }
    return """
        AllocBench \(AllocBench.version): batch cycles or many small transactions? Runs both, proves them right, compares them.

        usage: allocbench VERB [operands] [flags]      allocbench VERB --help

        \(lines.joined(separator: "\n"))

        \(ExitStatus.help)
        """
}

func unknownVerb(_ first: String, _ two: String) -> InputError {
    let names = allVerbs.map(\.name)
    let family = names.filter { $0.hasPrefix(first + " ") }
    let near =
        family.isEmpty
        ? nearestWord(to: two, among: names) ?? nearestWord(to: first, among: names)
        : nearestWord(to: two, among: family) ?? family.joined(separator: ", ")
    return InputError(
        InputFault(
            source: "allocbench", value: family.isEmpty ? first : two,
            expected: near ?? "a verb (allocbench --help lists them)"))
}

/// The verbs of one family, such as `services`; nil where the word is none.
func familyHelp(_ first: String) -> String? {
    let family = allVerbs.filter { $0.name.hasPrefix(first + " ") }
    guard !family.isEmpty else { return nil }
    let width = (family.map(\.name.count).max() ?? 0) + 2
    let lines = family.map { "  " + $0.name + String(repeating: " ", count: width - $0.name.count) + $0.summary }
    return "usage: allocbench \(first) VERB [flags]      allocbench \(first) VERB --help\n\n"
        + lines.joined(separator: "\n")
}

func run(_ arguments: [String]) throws -> ExitStatus {
    switch arguments.first {
    case nil:
        say(overview())
        return .badInput
    case "help" where arguments.count > 1:
        return try run(arguments.dropFirst() + ["--help"])
    case "--help", "-h", "help":
        print(overview())
        return .success
    case "--version":
        print("allocbench \(AllocBench.version)")
        return .success
    case MockBrokerProcess.verb:
        try ServicesCommand.brokerMock(arguments)
        return .success
    case GuardProcess.verb:
        try ServicesCommand.servicesGuard(arguments)
        return .success
    case ServicesCommand.holdVerb:
        try ServicesCommand.servicesHold(arguments)
        return .success
    case let first?:
        // Verbs have one word or two.
        let two = arguments.prefix(2).joined(separator: " ")
        if ["--help", "-h"].contains(arguments.dropFirst().first), let help = familyHelp(first) {
            print(help)
            return .success
        }
        guard let verb = allVerbs.first(where: { $0.name == two }) ?? allVerbs.first(where: { $0.name == first }) else {
            throw unknownVerb(first, two)
        }
        let rest = Array(arguments.dropFirst(verb.name == first ? 1 : 2))
        if rest.contains("--help") || rest.contains("-h") {
            print(verb.helpText)
            return .success
        }
        Interrupt.install()
        return try verb.run(try verb.parse(rest))
    }
}

ProcessArguments.hideSecrets()
do {
    exit(try run(Array(CommandLine.arguments.dropFirst())).rawValue)
} catch let error as InputError {
    // Every line begins with the file or the flag it is about.
    say("\(error)")
    exit(ExitStatus.badInput.rawValue)
} catch let fault as InputFault {
    say("\(fault)")
    exit(ExitStatus.badInput.rawValue)
} catch let error as PostgresError where error.sqlState == .undefinedTable {
    say("allocbench: \(error); create the tables first: allocbench schema create")
    exit(ExitStatus.failure.rawValue)
} catch {
    say("allocbench: \(error)")
    exit(Interrupt.flag.isSet ? ExitStatus.interrupted.rawValue : ExitStatus.failure.rawValue)
}
