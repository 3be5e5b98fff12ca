// `allocbench services start|status|stop`, and the hidden verbs by which services start this program again.
// Runs on the main thread. Prints plain lines; errors are thrown to the entry point.

import Diagnostics
import Glibc
import Services

enum ServicesCommand {
    /// Hidden: holds services as a run does, until its input ends.
    static let holdVerb = "services-hold"

    static let startVerb = Verb(
        name: "services start", summary: "Starts an embedded PostgreSQL and broker that stay until they are stopped.",
        flags: [
            TargetFlags.state, TargetFlags.kafkaHome,
            Flag(
                "--embedded-brokers", "N",
                "nodes of the real Kafka, 1 to 5 (default 1); more than 1 need a distribution"),
        ]
    ) { arguments in
        let count = try arguments.integer("--embedded-brokers", in: BrokerChoice.brokerCounts) ?? 1
        try start(state: arguments.text("--state"), kafkaHome: arguments.text("--kafka-home"), brokers: count)
        return .success
    }

    static let statusVerb = Verb(
        name: "services status", summary: "Tells what runs in the state folder; status 1 if anything is down.",
        flags: [TargetFlags.state]
    ) { arguments in
        try status(state: arguments.text("--state")) ? .success : .failure
    }

    static let stopVerb = Verb(
        name: "services stop", summary: "Stops what runs in the state folder.", flags: [TargetFlags.state]
    ) { arguments in
        try stop(state: arguments.text("--state"))
        return .success
    }

    /// - Parameters:
    ///   - stateOption: the value of `--state`.
    ///   - kafkaHome: the value of `--kafka-home`.
    static func start(state stateOption: String?, kafkaHome: String?, brokers: Int = 1) throws {
        try BrokerChoice.requireDistribution(kafkaHome: kafkaHome)
        let choice = BrokerChoice(kafkaHome: kafkaHome, brokers: brokers)
        guard brokers == choice.brokerCount else {
            throw InputError(
                InputFault(
                    source: "--embedded-brokers", value: String(brokers),
                    expected: "1 of librdkafka's mock; more need a Kafka distribution: --kafka-home DIR or KAFKA_HOME"))
        }
        let state = try StateFolder(stateOption)
        let services = try EmbeddedServices.start(
            in: state, broker: choice, owner: .servicesStart)
        for note in services.notes { print(note) }
        printStatus(of: state)
    }

    /// - Returns: whether all services that are recorded, and at least one, are running.
    @discardableResult
    static func status(state stateOption: String?) throws -> Bool {
        guard StateFolder.isPresent(stateOption) else {
            print("no services: there is no state folder")
            return false
        }
        let state = try StateFolder(stateOption)
        printStatus(of: state)
        let services = ServicesControl.status(in: state)
        return !services.isEmpty && services.allSatisfy(\.isRunning)
    }

    static func stop(state stateOption: String?) throws {
        guard StateFolder.isPresent(stateOption) else { return print("nothing was running: there is no state folder") }
        let state = try StateFolder(stateOption)
        let stopped = try ServicesControl.stop(in: state)
        for service in stopped { print("stopped \(service.kind.rawValue) (pid \(service.process.pid))") }
        if stopped.isEmpty { print("nothing was running in \(state.path)") }
    }

    // MARK: Hidden verbs

    /// `broker-mock --control PATH --state DIR`; the state folder only marks the process.
    static func brokerMock(_ arguments: [String]) throws {
        try MockBrokerProcess.run(controlSocket: value(of: "--control", in: arguments))
    }

    /// `services-guard --state DIR --owner PID --owner-start TICKS`.
    static func servicesGuard(_ arguments: [String]) throws {
        guard let pid = Int32(try value(of: "--owner", in: arguments)),
            let ticks = UInt64(try value(of: "--owner-start", in: arguments))
        else { throw InputError(InputFault(source: "--owner", expected: "a process id and its start")) }
        try GuardProcess.run(
            state: StateFolder(value(of: "--state", in: arguments)),
            owner: ProcessIdentity(pid: pid, startTicks: ticks))
    }

    /// `services-hold --state DIR [--kafka-home DIR]`: has services as a run has them until standard input ends; what the
    /// tests kill.
    static func servicesHold(_ arguments: [String]) throws {
        let state = try StateFolder(value(of: "--state", in: arguments))
        let run = try state.lockRun()
        defer { run.release() }
        let kafkaHome = arguments.contains("--kafka-home") ? try value(of: "--kafka-home", in: arguments) : ""
        let services = try EmbeddedServices.start(in: state, broker: BrokerChoice(kafkaHome: kafkaHome))
        // A line that a reader behind a pipe or a file sees at once.
        let line = Array("ready\n".utf8)
        write(STDOUT_FILENO, line, line.count)
        var byte: UInt8 = 0
        while read(STDIN_FILENO, &byte, 1) > 0 {}
        services.stop()
    }

    private static func value(of flag: String, in arguments: [String]) throws -> String {
        guard let index = arguments.firstIndex(of: flag), index + 1 < arguments.count else {
            throw InputError(InputFault(source: flag, expected: "a value"))
        }
        return arguments[index + 1]
    }

    // MARK: Output

    /// One line a service: kind, state, pid, address, since when, whose.
    private static func printStatus(of state: StateFolder) {
        let services = ServicesControl.status(in: state)
        if services.isEmpty { print("no services in \(state.path)") }
        for service in services {
            let record = service.record
            let kind = record.kind.rawValue.padded(to: 12)
            let condition = service.isRunning ? "up  " : "down"
            print(
                "\(kind) \(condition) pid \(String(record.process.pid).padded(to: 8)) since \(clock(record.startedAt))"
                    + "  owner: \(record.owner)  \(record.address)")
        }
    }

    /// Local time, to the second.
    private static func clock(_ seconds: Int) -> String {
        var moment = time_t(seconds)
        var parts = tm()
        localtime_r(&moment, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let count = strftime(&text, text.count, "%Y-%m-%d %H:%M:%S", &parts)
        return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
