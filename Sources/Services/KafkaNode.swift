// One node of a real Kafka, broker and controller in one (KRaft), on loopback only.
// Blocks the calling thread. Its log folder outlives it: a node that is started again has its topics.

import Diagnostics
import Glibc
import Kafka

struct KafkaNode {
    let home: String
    let state: StateFolder

    private var serverLog: String { "\(state.kafkaFolder)/server.log" }
    private var logFolder: String { "\(state.kafkaFolder)/data" }
    /// Written when the log folder was formatted to the end.
    private var formattedMarker: String { "\(state.kafkaFolder)/formatted" }

    /// Formats the log folder once, starts the node and waits until it answers.
    func start() throws -> EmbeddedBroker {
        try checkDistribution()
        try Files.makeFolder(state.kafkaFolder)
        // Another process may take a port between our finding it free and Kafka's binding it.
        for attempt in 1... {
            let size = fileSize(serverLog)
            let address = try writeProperties()
            try formatOnce()
            do {
                return try launch(address, logFrom: size)
            } catch let error as OperatingError {
                guard attempt < 3, error.message.contains("Address already in use") else { throw error }
            }
        }
        preconditionFailure("the loop above returns or throws")
    }

    /// The script that a folder lacks to be a distribution; nil if it has all.
    static func missingScript(of home: String) -> String? {
        ["kafka-storage.sh", "kafka-server-start.sh"].first { access("\(home)/bin/\($0)", X_OK) != 0 }
    }

    private func checkDistribution() throws(OperatingError) {
        if let script = Self.missingScript(of: home) {
            throw OperatingError(
                "\(home) is not a Kafka distribution: it has no bin/\(script)",
                remedy: "name the folder of one with --kafka-home or KAFKA_HOME")
        }
        let javaHome = getenv("JAVA_HOME").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        let java = javaHome.map { "\($0)/bin/java" } ?? "java"
        guard (try? ChildProcess.run([java, "-version"]))?.status == 0 else {
            throw OperatingError(
                "Kafka needs Java 17 or later, and \(java) can't be started",
                remedy: "install the Debian package default-jre-headless")
        }
    }

    /// Complete by itself, so that it works with any distribution of Kafka 3.3 or later.
    private func writeProperties() throws(OperatingError) -> String {
        let client = try LoopbackPort()
        let controller = try LoopbackPort()
        let address = "127.0.0.1:\(client.number)"
        let properties = [
            ("process.roles", "broker,controller"), ("node.id", "1"),
            ("controller.quorum.voters", "1@127.0.0.1:\(controller.number)"),
            ("listeners", "PLAINTEXT://\(address),CONTROLLER://127.0.0.1:\(controller.number)"),
            ("advertised.listeners", "PLAINTEXT://\(address)"),
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("controller.listener.names", "CONTROLLER"), ("inter.broker.listener.name", "PLAINTEXT"),
            ("log.dirs", logFolder), ("auto.create.topics.enable", "false"), ("delete.topic.enable", "true"),
            ("default.replication.factor", "1"), ("min.insync.replicas", "1"),
            ("offsets.topic.replication.factor", "1"), ("offsets.topic.num.partitions", "1"),
            ("transaction.state.log.replication.factor", "1"), ("transaction.state.log.num.partitions", "1"),
            ("transaction.state.log.min.isr", "1"), ("group.initial.rebalance.delay.ms", "0"),
            // A benchmark's topic must still be whole when it is verified, however late.
            ("log.retention.ms", "-1"), ("log.retention.bytes", "-1"),
        ]
        let text = properties.map { "\($0.0)=\($0.1)\n" }.joined()
        try Files.replace(state.kafkaProperties, with: "# Written at every start.\n" + text)
        return address
    }

    private func formatOnce() throws(OperatingError) {
        if Files.exists(formattedMarker) { return }
        removeTree(logFolder)
        let (status, output) = try ChildProcess.run(
            ["\(home)/bin/kafka-storage.sh", "format", "-t", Self.randomClusterID(), "-c", state.kafkaProperties],
            environment: environment)
        guard status == 0 else {
            let words = output.split(separator: "\n").suffix(3).joined(separator: " | ")
            throw OperatingError("kafka-storage.sh format failed with status \(status): \(words)")
        }
        try Files.replace(formattedMarker, with: "\(home)\n")
    }

    private func launch(_ address: String, logFrom start: Int) throws -> EmbeddedBroker {
        let pid = try ChildProcess.spawnDetached(
            ["\(home)/bin/kafka-server-start.sh", state.kafkaProperties], standardOutput: serverLog,
            standardError: serverLog, environment: environment)
        let process = ProcessIdentity(pid: pid, startTicks: ChildProcess.processStartTicks(pid) ?? 0)
        let admin = try KafkaAdmin(settings: KafkaClientSettings(bootstrapServers: address))
        let deadline = ContinuousClock.now.advanced(by: .seconds(60))
        while true {
            if process.isRunning, (try? admin.requireReachable(timeoutMs: 500)) != nil { break }
            guard process.isRunning, ContinuousClock.now < deadline else {
                let reason = process.isRunning ? "no answer after 60 s" : "it ended"
                Self.stop(state: state, process)
                throw OperatingError("Kafka didn't start (\(reason)): \(logTail(from: start))")
            }
        }
        return EmbeddedBroker(kind: .kafka, bootstrapServers: address, process: process, controlSocket: nil)
    }

    /// Ends the node: what was spawned and whatever it spawned, which is known by the properties file it was given.
    static func stop(state: StateFolder, _ process: ProcessIdentity?) {
        let found = MarkedProcesses.find(state.kafkaProperties)
        let all = found + (process.map { [$0] } ?? []).filter { !found.contains($0) }
        MarkedProcesses.end(all, [(SIGTERM, .seconds(20)), (SIGKILL, .seconds(10))])
    }

    /// The caller's, and a folder for the logs that Apache's scripts would otherwise put into the distribution.
    private var environment: [String: String] {
        var variables: [String: String] = ["LOG_DIR": "\(state.kafkaFolder)/logs", "KAFKA_HEAP_OPTS": "-Xmx512m"]
        let inherited = [
            "PATH", "HOME", "LANG", "JAVA_HOME", "KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS",
        ]
        for name in inherited {
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        return variables
    }

    /// The last lines of this start; stack frames say little to a user.
    private func logTail(from start: Int) -> String {
        let text = String(decoding: (fileContents(serverLog) ?? "").utf8.dropFirst(start), as: UTF8.self)
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("\tat ") }.suffix(6)
        if lines.isEmpty { return "it wrote nothing to \(serverLog)" }
        return "\(serverLog) ends with:\n" + lines.joined(separator: "\n")
    }

    /// 16 random bytes in URL-safe base64 without padding, as `kafka-storage.sh random-uuid` makes them; not beginning
    /// with a dash, which would read as an option.
    private static func randomClusterID() -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let first = digits.dropLast(2).randomElement().map(String.init) ?? "A"
        let middle = (0..<20).compactMap { _ in digits.randomElement() }
        // 22 digits hold 132 bits: the last one has only its two upper bits to itself.
        let last = ["A", "Q", "g", "w"].randomElement() ?? "A"
        return first + String(middle) + last
    }
}
