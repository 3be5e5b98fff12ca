// The program as a whole against a Kafka that wants TLS and a user: a verified run, and a password that is nowhere but in its file.

import Foundation
import Postgres
import Services
import TestSupport
import Testing

@Suite(.enabled(if: BrokerKind.available.contains(.kafka), "needs KAFKA_HOME"))
struct SecureKafkaTests {
    private static let executable: String = {
        if let variable = ProcessInfo.processInfo.environment["ALLOCBENCH_EXECUTABLE"] { return variable }
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return own.deletingLastPathComponent().appendingPathComponent("allocbench").path
    }()

    private static let scenario = """
        name: secure
        workload: { executions: 200, blocks: 5, accounts_per_block: 3, partitions: 2 }
        servers: { kafka: { transactional_feed: true, topic: { replication: 1, retention_ms: -1 } } }
        configurations: [{ mode: batch, workers: 2 }]

        """

    @Test func `a run over TLS with a user is verified, and its password is in nothing that others see`() throws {
        let password = TemporaryBroker.password
        let broker = try TemporaryBroker.shared(.kafka)
        let address = try #require(broker.listeners[.users])
        let folder = "\(TestFolder.root)/allocbench-secure-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { removeFolder(folder) }
        try Self.scenario.write(toFile: "\(folder)/s.yaml", atomically: true, encoding: .utf8)
        func properties(_ name: String, password: String) throws {
            let authority = try Certificates.shared().authority
            let text = """
                security.protocol=SASL_SSL
                ssl.ca.location=\(authority)
                sasl.mechanism=\(TemporaryBroker.mechanism)
                sasl.username=\(TemporaryBroker.user)
                sasl.password=\(password)

                """
            try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
        try properties("good.properties", password: password)
        try properties("wrong.properties", password: "not-\(password)")
        try withTemporaryDatabase { info in
            func start(_ file: String, log: String) throws -> Int32 {
                try ChildProcess.spawnDetached(
                    [
                        Self.executable, "run", "s.yaml", "--database", info.unredacted, "--brokers", address,
                        "--kafka-properties", file, "--state", "\(folder)/state",
                    ], standardOutput: "\(folder)/\(log)", standardError: "\(folder)/\(log)", workingFolder: folder)
            }
            /// Waits for the end, looking at every process list meanwhile.
            func wait(_ pid: Int32) -> Int32 {
                var status: Int32 = 0
                while waitpid(pid, &status, WNOHANG) == 0 {
                    #expect(processes(naming: password) == [])
                    usleep(50_000)
                }
                return (status >> 8) & 0xFF
            }
            let status = wait(try start("good.properties", log: "good.log"))
            let log = contents(of: "\(folder)/good.log")
            #expect(status == 0, "\(log)")
            let holding = try ChildProcess.run(["grep", "-rlF", "--", password, folder]).output
            #expect(
                holding.split(separator: "\n").sorted() == [
                    "\(folder)/good.properties", "\(folder)/wrong.properties",
                ], "\(holding)")
            let manifest = try ChildProcess.run(["sh", "-c", "cat \(folder)/results/*/manifest.json"]).output
            #expect(manifest.contains("sasl.username") && manifest.contains("SASL_SSL"), "\(manifest)")

            let refused = wait(try start("wrong.properties", log: "wrong.log"))
            let told = contents(of: "\(folder)/wrong.log").split(separator: "\n")
            #expect(refused == 1)
            #expect(told.count == 1 && told.first?.contains("the broker refused the user") == true, "\(told)")
        }
    }

    @Test func `a secret on the command line is refused before anything starts`() throws {
        // Not the broker's, which the other test seeks in every process list at the same time.
        let secret = "closed-sesame-\(getpid())"
        let (status, output) = try ChildProcess.run([
            Self.executable, "run", "s.yaml", "--kafka-property", "sasl.password=\(secret)",
        ])
        // The scenario isn't there either, so only the order of the two could hide the refusal.
        #expect(status == 2)
        #expect(!output.contains(secret))
    }
}
