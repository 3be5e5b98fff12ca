// What the manifest of a run says before its first cell: scenario, versions, servers, machine and data.

import Diagnostics
import Foundation
import Kafka
import Measurement
import Model
import Postgres
import Report
import Seeding
import Services

extension ScenarioRunner {
    /// A manifest names data by a path that holds in every folder.
    private static func absolute(_ path: String?) -> String? {
        path.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
    }

    func manifest(
        started: Date, planned: Int, stage: any StageRun, selfCheck: [Manifest.Entry]
    ) throws -> Manifest {
        let connection = try PostgresConnection.connect(to: target.connection)
        defer { connection.close() }
        let settings = try connection.serverSettings()
        var manifest = Manifest(
            outcome: Manifest.Outcome(.unfinished, runsFinished: 0, runsPlanned: planned),
            scenarioName: scenario.name, scenarioPath: scenario.path, scenarioText: scenario.text, seed: scenario.seed,
            commandLine: options.commandLine, build: BuildDescription.current(),
            versions: [
                Manifest.Entry("allocbench", AllocBench.version),
                Manifest.Entry("libpq", String(PostgresConnection.libraryVersion)),
                Manifest.Entry("librdkafka", KafkaAdmin.libraryVersion),
                Manifest.Entry("libyaml", ScenarioFile.yamlVersion),
                Manifest.Entry("database", try connection.query("SELECT version()").text(0, 0) ?? "unknown"),
                Manifest.Entry("broker", target.brokerKind),
            ],
            // Where the embedded server's socket lies says nothing of a run.
            connection: target.services == nil
                ? target.connection.redacted : "embedded, dbname=\(target.connection["dbname"] ?? "")",
            serverSettings: settings.map { Manifest.Entry($0.name, $0.value) },
            brokerSettings: [Manifest.Entry("bootstrap.servers", target.kafka?.bootstrapServers ?? "")]
                + kafkaEntries + stage.brokerEntries,
            machine: MachineDescription.current(), startedAtUnixMs: Int64(started.timeIntervalSince1970 * 1000),
            endedAtUnixMs: Int64(started.timeIntervalSince1970 * 1000), dataSets: try dataSets(on: connection))
        manifest.fingerprint = stage.fingerprint
        manifest.selfCheck = selfCheck
        manifest.securitiesFile = Self.absolute(scenario.workload.securitiesFile)
        manifest.pricesFolder = Self.absolute(scenario.workload.pricesFolder)
        return manifest
    }

    /// What clients and topics were told beyond the defaults; of secrets only that there were some.
    private var kafkaEntries: [Manifest.Entry] {
        var entries = (target.kafka?.redactedProperties ?? [:]).sorted { $0.key < $1.key }.map {
            Manifest.Entry($0.key, $0.value)
        }
        if let services = target.services, services.broker.brokerCount > 1 {
            entries.append(Manifest.Entry("brokers", String(services.broker.brokerCount)))
        }
        if let copies = target.topicSettings.replication {
            entries.append(Manifest.Entry("topic replication", String(copies)))
        }
        entries += target.topicSettings.config.sorted { $0.key < $1.key }.map {
            Manifest.Entry("topic \($0.key)", $0.value)
        }
        if target.isFeedTransactional { entries.append(Manifest.Entry("transactional feed", "true")) }
        return entries
    }

    private func dataSets(on connection: PostgresConnection) throws -> [Manifest.DataSet] {
        let counts = try SeedLoader.rowCounts(on: connection)
        let checksums = try SeedLoader.tableChecksums(on: connection)
        return counts.keys.sorted().map {
            Manifest.DataSet(name: $0, rowCount: Int64(counts[$0] ?? 0), checksum: checksums[$0] ?? "")
        }
    }
}
