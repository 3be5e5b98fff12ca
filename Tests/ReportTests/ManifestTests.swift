// The manifest as text. Goal: a stable order of keys, valid JSON, and no credential wherever one is put.

import Foundation
import Measurement
import Model
import Testing

@testable import Report

private let secret = "hunter2"

private func makeManifest() -> Manifest {
    var manifest = Manifest(
        outcome: Manifest.Outcome(.interrupted, runsFinished: 2, runsPlanned: 5), scenarioName: "test",
        scenarioPath: "scenarios/test.yaml", scenarioText: "seed: 1\n# \"x\"\\\t\u{1}é\n",
        seed: .max, commandLine: ["allocbench", "run", "scenarios/test.yaml"],
        build: BuildDescription(gitCommit: "abc", gitIsDirty: false, swiftVersion: "6.3", isOptimized: true),
        versions: [.init("allocbench", "0.1.0"), .init("libpq", "15.18")], connection: "host=/tmp dbname=allocbench",
        serverSettings: [.init("wal_level", "logical")], brokerSettings: [],
        machine: MachineDescription(
            cpuModel: "CPU", coreCount: 2, memoryBytes: 1024, kernel: "6.1", architecture: "x86_64",
            operatingSystem: "Debian"),
        startedAtUnixMs: 1_731_576_600_123, endedAtUnixMs: 1_731_576_661_000,
        dataSets: [.init(name: "securities", rowCount: 30, checksum: "a1")])
    manifest.fingerprint = "3:9f"
    manifest.selfCheck = [.init("timer_error_p99_ms", "0.061")]
    return manifest
}

@Suite struct ManifestTests {
    @Test func `a manifest is the same text for the same run`() {
        #expect(
            makeManifest().json == #"""
                {
                  "format_version": 2,
                  "outcome": {
                    "ending": "interrupted",
                    "runs_finished": 2,
                    "runs_planned": 5
                  },
                  "started_at": "2024-11-14T09:30:00.123Z",
                  "resumed_at": null,
                  "ended_at": "2024-11-14T09:31:01.000Z",
                  "command_line": [
                    "allocbench",
                    "run",
                    "scenarios/test.yaml"
                  ],
                  "scenario": {
                    "name": "test",
                    "path": "scenarios/test.yaml",
                    "seed": "18446744073709551615",
                    "text": "seed: 1\n# \"x\"\\\t\u0001é\n",
                    "securities_file": null,
                    "prices_folder": null
                  },
                  "build": {
                    "git_commit": "abc",
                    "git_dirty": false,
                    "swift": "6.3",
                    "optimized": true
                  },
                  "versions": {
                    "allocbench": "0.1.0",
                    "libpq": "15.18"
                  },
                  "connection": "host=/tmp dbname=allocbench",
                  "server_settings": {
                    "wal_level": "logical"
                  },
                  "broker_settings": {},
                  "machine": {
                    "cpu_model": "CPU",
                    "cores": 2,
                    "memory_bytes": 1024,
                    "architecture": "x86_64",
                    "kernel": "6.1",
                    "operating_system": "Debian"
                  },
                  "data_sets": [
                    {
                      "name": "securities",
                      "rows": 30,
                      "checksum": "a1"
                    }
                  ],
                  "fingerprint": "3:9f",
                  "self_check": {
                    "timer_error_p99_ms": "0.061"
                  },
                  "worker_hosts": {}
                }

                """#)
    }

    @Test func `the written file is JSON and what couldn't be found out is null`() throws {
        try withTemporaryFolder { folder in
            var manifest = makeManifest()
            manifest.build = BuildDescription(gitCommit: nil, gitIsDirty: nil, swiftVersion: "6.3", isOptimized: false)
            try manifest.write(to: folder + "manifest.json")
            let data = try Data(contentsOf: URL(fileURLWithPath: folder + "manifest.json"))
            let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            let scenario = try #require(object["scenario"] as? [String: Any])
            #expect(scenario["text"] as? String == manifest.scenarioText)
            let build = try #require(object["build"] as? [String: Any])
            #expect(build["git_commit"] is NSNull)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["manifest.json"])
        }
    }

    @Test func `a manifest that is read back tells what differs: program, machine, settings`() throws {
        try withTemporaryFolder { folder in
            var manifest = makeManifest()
            manifest.serverSettings.append(.init("ssl_passphrase_command", secret))
            try manifest.write(to: folder + "manifest.json")
            let begun = try #require(ManifestFile.read(folder + "manifest.json"))
            #expect(begun.differences(from: manifest.surroundings) == [], "not even what is removed from it")
            manifest.build.gitIsDirty = true
            manifest.machine.memoryBytes = 2048
            manifest.machine.kernel = "6.2"
            manifest.serverSettings = [.init("shared_buffers", "256MB")]
            #expect(
                begun.differences(from: manifest.surroundings) == [
                    "git_dirty was false, is true", "kernel was 6.1, is 6.2", "memory_bytes was 1024, is 2048",
                    "server setting shared_buffers was the default, is 256MB",
                    "server setting ssl_passphrase_command was (removed), is the default",
                    "server setting wal_level was logical, is the default",
                ])
            #expect(begun.doubt(about: manifest.surroundings) == nil, "a difference is more than a doubt")
        }
    }

    @Test func `of two programs from changed sources nobody can tell whether they are the same`() throws {
        try withTemporaryFolder { folder in
            var manifest = makeManifest()
            manifest.build.gitIsDirty = true
            try manifest.write(to: folder + "manifest.json")
            let begun = try #require(ManifestFile.read(folder + "manifest.json"))
            #expect(begun.differences(from: manifest.surroundings) == [])
            #expect(begun.doubt(about: manifest.surroundings)?.contains("differ from commit abc") == true)
        }
    }

    @Test func `no credential survives, wherever it was put`() {
        var manifest = makeManifest()
        manifest.connection = "postgresql://app:\(secret)@db/x?sslpassword=\(secret)"
        manifest.commandLine = [
            "allocbench", "run", "--database", "host=db password=\(secret) user=app", "--password", secret,
            "--kafka-property", "sasl.password=\(secret)", "--sasl-password=\(secret)", "file.yaml",
        ]
        manifest.serverSettings = [
            .init("ssl_passphrase_command", secret), .init("primary_conninfo", "PASSWORD = '\(secret) x'"),
        ]
        manifest.brokerSettings = [
            .init("sasl.password", secret), .init("ssl.key.password", secret), .init("bootstrap.servers", "b:9092"),
            .init("sasl.jaas.config", "… required username=\"u\" password=\"\(secret)\";"),
        ]
        manifest.scenarioText = "name: x\npassword: \(secret) and more\nseed: 2\n"
        let text = manifest.json
        #expect(!text.contains(secret))
        #expect(text.contains("\"sasl.password\": \"(removed)\""))
        #expect(text.contains("postgresql://app:(removed)@db/x?sslpassword=(removed)"))
        #expect(text.contains("host=db password=(removed) user=app"))
        #expect(text.contains("\"--password\",\n    \"(removed)\",\n    \"--kafka-property\""))
        #expect(text.contains("\"file.yaml\""))
        #expect(text.contains("name: x\\npassword: (removed)\\nseed: 2\\n"))
        #expect(text.contains("\"bootstrap.servers\": \"b:9092\""))
    }

    @Test(arguments: [
        ("password=x", "password=(removed)"), ("password='a b' host=h", "password=(removed) host=h"),
        ("password='it\\'s' host=h", "password=(removed) host=h"),
        ("password=a\\ b host=h", "password=(removed) host=h"),
        ("PGPASSWORD=x psql", "PGPASSWORD=(removed) psql"), ("{\"password\":\"x\",\"a\":1}", "{\"password\":(removed)"),
        ("kafka://u:p@h:9092", "kafka://u:(removed)@h:9092"),
        ("postgres://u:p@ss/w:rd@h/d", "postgres://u:(removed)@h/d"),
        ("postgres://u@h:5432/d", "postgres://u@h:5432/d"), ("host=h user=password", "host=h user=password"),
        ("https://h:8080/x", "https://h:8080/x"), ("", ""), ("rate: 5\nname: x", "rate: 5\nname: x"),
        ("a=password=x", "a=password=(removed)"),
    ])
    func `a secret is cut out and its surroundings stay`(text: String, redacted: String) {
        #expect(Redaction.text(text) == redacted)
    }

    @Test func `redaction twice is redaction once`() {
        let text = "postgres://u:p@h/d password='x y' token=z"
        #expect(Redaction.text(Redaction.text(text)) == Redaction.text(text))
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"), (-86_400_000, "1969-12-31T00:00:00.000Z"),
    ])
    func `a time is written in UTC`(unixMs: Int64, text: String) {
        #expect(utc(unixMs: unixMs) == text)
    }

    @Test func `git answers for a repository and is silent elsewhere`() throws {
        try withTemporaryFolder { folder in
            let odd = folder + "it's odd; $(x)"
            try FileManager.default.createDirectory(atPath: odd, withIntermediateDirectories: true)
            #expect(BuildDescription.git("rev-parse HEAD", in: odd) == nil)
            #expect(BuildDescription.git("init -q", in: odd) == "")
            #expect(BuildDescription.git("rev-parse --show-toplevel", in: odd)?.hasSuffix("it's odd; $(x)") == true)
        }
        #expect(!BuildDescription.current().swiftVersion.isEmpty)
    }
}
