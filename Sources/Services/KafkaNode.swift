// One node of a real Kafka, broker and controller in one (KRaft), on loopback only.
// Blocks the calling thread. Its log folder outlives it: a node that is started again has its topics. See KafkaCluster.

import Diagnostics
import Glibc
import Kafka

struct KafkaNode: Sendable {
    let home: String
    /// Holds all that the node keeps.
    let folder: String
    /// Its id in the cluster, from 1.
    let number: Int

    private var serverLog: String { "\(folder)/server.log" }
    private var logFolder: String { "\(folder)/data" }
    var properties: String { "\(folder)/server.properties" }
    /// Written when the log folder was formatted to the end.
    private var formattedMarker: String { "\(folder)/formatted" }

    /// The script that a folder lacks to be a distribution; nil if it has all.
    static func missingScript(of home: String) -> String? {
        ["kafka-storage.sh", "kafka-server-start.sh"].first { access("\(home)/bin/\($0)", X_OK) != 0 }
    }

    static func checkDistribution(_ home: String) throws(OperatingError) {
        if let script = missingScript(of: home) {
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
    func writeProperties(
        client: UInt16, controller: UInt16, voters: String, nodeCount: Int,
        listeners: [(listener: BrokerListener, port: UInt16)]
    ) throws(OperatingError) {
        let copies = String(min(3, nodeCount))
        // With three copies a write waits for two, so that one broker may die and nothing that was acknowledged with it.
        let inSync = nodeCount >= 3 ? "2" : "1"
        let clients =
            ["PLAINTEXT://127.0.0.1:\(client)"] + listeners.map { "\($0.listener.name)://127.0.0.1:\($0.port)" }
        let protocols =
            ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"]
            + listeners.map { "\($0.listener.name):\($0.listener.security.rawValue)" }
        var properties = [
            ("process.roles", "broker,controller"), ("node.id", String(number)), ("controller.quorum.voters", voters),
            ("listeners", (clients + ["CONTROLLER://127.0.0.1:\(controller)"]).joined(separator: ",")),
            ("advertised.listeners", clients.joined(separator: ",")),
            ("listener.security.protocol.map", protocols.joined(separator: ",")),
            ("controller.listener.names", "CONTROLLER"), ("inter.broker.listener.name", "PLAINTEXT"),
            ("log.dirs", logFolder), ("auto.create.topics.enable", "false"), ("delete.topic.enable", "true"),
            ("default.replication.factor", copies), ("min.insync.replicas", inSync),
            ("offsets.topic.replication.factor", copies), ("offsets.topic.num.partitions", "1"),
            ("transaction.state.log.replication.factor", copies), ("transaction.state.log.num.partitions", "1"),
            ("transaction.state.log.min.isr", inSync), ("group.initial.rebalance.delay.ms", "0"),
            // A benchmark's topic must still be whole when it is verified, however late.
            ("log.retention.ms", "-1"), ("log.retention.bytes", "-1"),
        ]
        for (listener, _) in listeners { properties += Self.security(of: listener) }
        let text = properties.map { "\($0.0)=\($0.1)\n" }.joined()
        // Readable by its owner alone: it may hold passwords.
        try Files.replace(self.properties, with: "# Written at every start.\n" + text)
    }

    private static func security(of listener: BrokerListener) -> [(String, String)] {
        let prefix = "listener.name.\(listener.name.lowercased())"
        var properties: [(String, String)] = []
        if let keystore = listener.keystore {
            properties += [("\(prefix).ssl.keystore.type", "PEM"), ("\(prefix).ssl.keystore.location", keystore)]
        }
        guard !listener.users.isEmpty else { return properties }
        let module = "org.apache.kafka.common.security"
        let users = listener.users.sorted { $0.key < $1.key }.map { " user_\($0.key)=\"\($0.value)\"" }.joined()
        properties.append(("\(prefix).sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"))
        properties.append(("\(prefix).plain.sasl.jaas.config", "\(module).plain.PlainLoginModule required\(users);"))
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            properties.append(("\(prefix).\(mechanism).sasl.jaas.config", "\(module).scram.ScramLoginModule required;"))
        }
        return properties
    }

    /// - Parameter users: of SCRAM, whose verifiers stand in the store from its beginning.
    func formatOnce(cluster: String, users: [String: String]) throws(OperatingError) {
        if Files.exists(formattedMarker) { return }
        removeTree(logFolder)
        let (status, output) = try ChildProcess.run(
            ["\(home)/bin/kafka-storage.sh", "format", "-t", cluster, "-c", properties]
                + users.sorted { $0.key < $1.key }.flatMap { name, password in
                    ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap {
                        ["--add-scram", "\($0)=[name=\(name),password=\(password)]"]
                    }
                },
            environment: environment)
        guard status == 0 else {
            let words = output.split(separator: "\n").suffix(3).joined(separator: " | ")
            throw OperatingError("kafka-storage.sh format failed with status \(status): \(words)")
        }
        try Files.replace(formattedMarker, with: "\(home)\n")
    }

    /// Starts the node as its properties say and waits until it is up.
    func launch() throws -> ProcessIdentity {
        let start = fileSize(serverLog)
        let pid = try ChildProcess.spawnDetached(
            ["\(home)/bin/kafka-server-start.sh", properties], standardOutput: serverLog,
            standardError: serverLog, environment: environment)
        let process = ProcessIdentity(pid: pid, startTicks: ChildProcess.processStartTicks(pid) ?? 0)
        let deadline = ContinuousClock.now.advanced(by: .seconds(60))
        let admin = try KafkaAdmin(settings: KafkaClientSettings(bootstrapServers: try ownAddress()))
        while true {
            if process.isRunning, (try? admin.requireReachable(timeoutMs: 500)) != nil { return process }
            guard process.isRunning, ContinuousClock.now < deadline else {
                let reason = process.isRunning ? "no answer after 60 s" : "it ended"
                stop(process)
                throw OperatingError("Kafka didn't start (\(reason)): \(logTail(from: start))")
            }
        }
    }

    /// Where its plain listener is, by its properties.
    private func ownAddress() throws(OperatingError) -> String {
        let line = (fileContents(properties) ?? "").split(separator: "\n").first {
            $0.hasPrefix("advertised.listeners=")
        }
        guard let address = line?.split(separator: "=").last?.split(separator: ",").first,
            address.hasPrefix("PLAINTEXT://")
        else { throw OperatingError("\(properties) names no address", remedy: "delete the folder of that file") }
        return String(address.dropFirst("PLAINTEXT://".count))
    }

    /// Ends the node: what was spawned and whatever it spawned, which is known by the properties file it was given.
    func stop(_ process: ProcessIdentity?) { Self.end(marks: [properties], process, gently: true) }

    /// Ends the node as a crash does.
    func kill(_ process: ProcessIdentity?) { Self.end(marks: [properties], process, gently: false) }

    static func end(marks: Set<String>, _ process: ProcessIdentity?, gently: Bool) {
        let found = MarkedProcesses.find(anyOf: marks)
        let all = found + (process.map { [$0] } ?? []).filter { !found.contains($0) }
        let kill = (SIGKILL, Duration.seconds(10))
        MarkedProcesses.end(all, gently ? [(SIGTERM, .seconds(20)), kill] : [kill])
    }

    /// The caller's, and a folder for the logs that Apache's scripts would otherwise put into the distribution.
    private var environment: [String: String] {
        var variables: [String: String] = ["LOG_DIR": "\(folder)/logs", "KAFKA_HEAP_OPTS": "-Xmx512m"]
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
    static func randomClusterID() -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let first = digits.dropLast(2).randomElement().map(String.init) ?? "A"
        let middle = (0..<20).compactMap { _ in digits.randomElement() }
        // 22 digits hold 132 bits: the last one has only its two upper bits to itself.
        let last = ["A", "Q", "g", "w"].randomElement() ?? "A"
        return first + String(middle) + last
    }
}
