// `allocbench run` from end to end: what it writes, what it prints, and that nothing of it remains.

import Foundation
import Glibc
import Postgres
import Services
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct RunTests {
    private static let checkNames = [
        "executions_not_captured", "captured_without_execution", "offsets_differ_from_topic",
        "allocations_differ_from_oracle", "answered_commits_lost",
    ]

    @Test(arguments: BrokerKind.best)
    func `a run compares all five modes, verified, in a table and in files, and leaves no process`(
        broker: BrokerKind
    ) throws {
        try withPlace(broker) { place in
            try place.write("tiny.yaml", Fixture.tiny)
            let run = try place.run("run", "tiny.yaml")
            #expect(run.status == 0, "\(run.errors)")
            // By itself, before the end of the place stops anything.
            #expect(place.leftovers() == [])

            let folder = try place.onlyResult()
            #expect(place.names(in: folder) == resultFiles)
            try expectResults(of: place, in: folder, broker)
            for mode in ["row", "concurrent", "adaptive", "batch", "cycle"] {
                #expect(run.output.contains("\n\(mode)-w"), "\(mode) is missing in\n\(run.output)")
            }
            #expect(run.output.contains("\nthroughput, executions/s, more is better, against row"), "\(run.output)")
            #expect(run.output.contains("results: \(folder)/runs.csv"))
        }
    }

    @Test func `with corrections, every mode ends in the same tables, whichever way requests were routed`() throws {
        try withPlace { place in
            var digests: Set<String?> = []
            for routing in ["set_based", "event_driven"] {
                try place.write("\(routing).yaml", Fixture.corrections(routing: routing))
                let run = try place.run("run", "\(routing).yaml")
                #expect(run.status == 0, "\(run.errors)\(run.output)")
                let name = try #require(place.names(in: "results").first { $0.hasPrefix(routing.prefix(3)) })
                let runs = try rows(ofCSV: place.read("results/\(name)/runs.csv"))
                #expect(runs.count == 5)
                for row in runs {
                    #expect(row["verified"] == "true")
                    #expect(Int(row["booked_blocks"] ?? "").map { $0 >= 100 } == true, "\(row)")
                    digests.insert(row["final_tables"])
                }
            }
            #expect(digests.count == 1 && digests.first??.isEmpty == false, "\(digests)")
        }
    }

    private func expectResults(of place: Place, in folder: String, _ broker: BrokerKind) throws {
        let runs = try rows(ofCSV: place.read("\(folder)/runs.csv"))
        #expect(runs.map { $0["mode"] } == ["row", "concurrent", "adaptive", "batch", "cycle"])
        for row in runs {
            #expect(row["verified"] == "true")
            #expect(row["executions"] == "600")
            for column in ["executions_per_s", "time_to_visible_p50_ms", "time_to_visible_max_ms", "transactions"] {
                #expect(Double(row[column] ?? "").map { $0 > 0 } == true, "\(column): \(row[column] ?? "")")
            }
        }
        let checks = try rows(ofCSV: place.read("\(folder)/verify.csv"))
        #expect(checks.allSatisfy { $0["differences"] == "0" })
        for name in Self.checkNames { #expect(checks.count { $0["check"] == name } == 5, "\(name)") }

        let manifest = try manifest(place.read("\(folder)/manifest.json"))
        for key in [
            "format_version", "started_at", "ended_at", "command_line", "scenario", "build", "versions", "connection",
            "server_settings", "broker_settings", "machine", "data_sets",
        ] { #expect(manifest[key] != nil, "\(key)") }
        let outcome = try #require(manifest["outcome"] as? [String: Any])
        #expect(outcome["ending"] as? String == "complete")
        #expect(outcome["runs_finished"] as? Int == 5)
        let versions = try #require(manifest["versions"] as? [String: String])
        #expect(versions["broker"] == (broker == .mock ? "mock broker" : "kafka"))
        #expect(versions["database"]?.hasPrefix("PostgreSQL") == true)
        let scenario = try #require(manifest["scenario"] as? [String: Any])
        #expect(scenario["seed"] as? String == "7")
        #expect(scenario["text"] as? String == Fixture.tiny)
        let settings = try #require(manifest["server_settings"] as? [String: String])
        #expect(settings["wal_level"] == "logical")
    }

    @Test func `two harnesses in two folders don't meet, and a second run in one folder is told who is there`() throws {
        try withPlace { first in
            try withPlace { second in
                try first.write("slow.yaml", Fixture.slow)
                try second.write("tiny.yaml", Fixture.tiny)
                let slow = try first.start(["run", "slow.yaml"])
                let other = try second.start(["run", "tiny.yaml"])
                try #require(slow.waitFor("[1/2]"), "\(slow.errors)")
                let refused = try first.run("run", "slow.yaml")
                #expect(refused.status == 1)
                #expect(refused.output == "")
                #expect(
                    refused.errorLines == [
                        "allocbench: the run with pid \(slow.pid) is using the state folder \(first.state); "
                            + "wait for it, or use another folder: --state DIR"
                    ])
                #expect(try other.wait().status == 0)
                #expect(try slow.wait().status == 0)
            }
        }
    }

    @Test func `a stream that the mock broker can't hold is an error that says so, and no result`() throws {
        try withPlace { place in
            try place.write(
                "long.yaml",
                """
                workload: { executions: 130000, blocks: 10, accounts_per_block: 4, partitions: 1 }
                configurations:
                  - { mode: batch, workers: 1, batch_size: 1024 }
                """)
            let run = try place.run("run", "long.yaml")
            #expect(run.status == 1)
            #expect(run.output == "", "a table, although the input was truncated")
            let last = try #require(run.errorLines.last)
            let pattern =
                #/^allocbench: topic "\S+" is incomplete: partition 0 lost its oldest \d+ of 130000 messages; /#
            #expect(last.contains(pattern), "\(last)")
            #expect(last.contains("5 MiB") && last.contains("KAFKA_HOME"), "\(last)")
            #expect(place.names(in: "results") == [])
        }
    }

    @Test(.enabled(if: getuid() == 0, "only root can become somebody else; the other tests run as this user anyway"))
    func `a user who isn't root runs it too`() throws {
        try withPlace { place in
            try place.write("tiny.yaml", Fixture.tiny)
            // The build may lie in a folder that is closed to others.
            let program = "\(place.path)/allocbench"
            try FileManager.default.copyItem(atPath: Place.executable, toPath: program)
            let nobody = try #require(getpwnam("nobody"), "no user nobody").pointee
            #expect(chown(place.path, nobody.pw_uid, nobody.pw_gid) == 0)
            let run = try place.startProgram(
                [
                    "setpriv", "--reuid", "nobody", "--regid", String(nobody.pw_gid), "--clear-groups",
                    program, "run", "tiny.yaml", "--state", place.state,
                ], environment: ["ALLOCBENCH_EXECUTABLE": program, "HOME": "/nonexistent", "USER": "nobody"]
            ).wait()
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.contains("executions/s"))
            #expect(place.leftovers() == [])
        }
    }

    @Test(.enabled(if: BrokerKind.kafkaHome != nil, "KAFKA_HOME is not set: the mock takes no CreateTopics request"))
    func `servers of the user's own are used, and a password is kept out of everything`() throws {
        try withPlace(.kafka) { place in
            try place.write("tiny.yaml", Fixture.tiny)
            try place.succeed("services", "start")
            let servers = try place.ownServers("mine", password: "hunter2secret")
            // What fails before anything is finished leaves nothing that keeps the next run out.
            try place.write("copies.yaml", Fixture.tiny + "servers: { kafka: { topic: { replication: 3 } } }\n")
            let failed = try place.start(["run", "copies.yaml", "--results", "failed"] + servers, state: false).wait()
            #expect(failed.status == 1 && failed.errors.contains("INVALID_REPLICATION_FACTOR"), "\(failed.errors)")
            let arguments = ["run", "tiny.yaml"] + servers
            let run = try place.start(arguments, state: false).wait()
            #expect(run.status == 0, "\(run.errors)")
            let folder = try place.onlyResult()
            let texts =
                try [run.output, run.errors] + place.names(in: folder).map { try place.read("\(folder)/\($0)") }
            #expect(!texts.joined().contains("hunter2"))
            #expect(texts.joined().contains("dbname=mine"))
            #expect(!place.names().contains(".allocbench"), "a state folder although nothing is embedded")
            // The tables are the user's to drop.
            let again = try place.start(arguments, state: false).wait()
            #expect(again.status == 1)
            #expect(again.errors.contains("has schemas of these names already"), "\(again.errors)")
            #expect(again.errors.contains("allocbench schema drop --database '"))
            #expect(again.errors.contains("dbname=mine") && !again.errors.contains("hunter2"), "\(again.errors)")
        }
    }
}
