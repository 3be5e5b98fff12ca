// Entry point: finds the verb, parses its flags, runs it, and turns errors into one line and an exit status.

import Glibc
import Services

let arguments = Array(CommandLine.arguments.dropFirst())

func option(_ name: String) -> String? {
    arguments.firstIndex(of: name).flatMap { $0 + 1 < arguments.count ? arguments[$0 + 1] : nil }
}

do {
    switch (arguments.first, arguments.dropFirst().first) {
    case (MockBrokerProcess.verb, _): try ServicesCommand.brokerMock(arguments)
    case (GuardProcess.verb, _): try ServicesCommand.servicesGuard(arguments)
    case ("services-hold", _): try ServicesCommand.servicesHold(arguments)
    case ("services", "start"):
        try ServicesCommand.start(state: option("--state"), kafkaHome: option("--kafka-home"))
    case ("services", "status"): exit(try ServicesCommand.status(state: option("--state")) ? 0 : 1)
    case ("services", "stop"): try ServicesCommand.stop(state: option("--state"))
    default: print("allocbench")
    }
} catch {
    let line = Array("allocbench: \(error)\n".utf8)
    write(STDERR_FILENO, line, line.count)
    exit(1)
}
