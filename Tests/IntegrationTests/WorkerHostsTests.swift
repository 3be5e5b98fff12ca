// Runs whose workers are in other processes: what they need, what becomes of them when a host or the runner dies, and what
// they end with. The hosts are the same two processes all along, but for the one that is killed.

import Foundation
import Glibc
import Postgres
import Services
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct WorkerHostsTests {
    /// Takes four seconds, so that there is time to kill somebody in the middle.
    private static let paced = """
        name: paced
        servers: { worker_hosts: 2 }
        workload: { executions: 800, blocks: 8, accounts_per_block: 4, partitions: 4 }
        load: { model: open, rate: 200 }
        configurations: [{ name: paced, mode: adaptive, workers: 4 }]
        """

    private static let quick = """
        name: quick
        servers: { worker_hosts: 2 }
        workload: { executions: 600, blocks: 10, accounts_per_block: 4, partitions: 4, busts: 0.05 }
        configurations:
          - { name: batch, mode: batch, workers: 3, batch_size: 32, booking_workers: 2 }
          - { name: spread, mode: concurrent, workers: 4, txn_size: 8, topic_key: execution, booking_workers: 0 }
        """

    private func join(_ name: String, in place: Place) throws -> RunningProgram {
        let host = try place.start(["work", "--join", name])
        try #require(host.waitFor("joined as \(name), waiting for a run"), "\(host.errors)")
        return host
    }

    /// Starts the paced scenario and returns in the middle of it.
    private func startPaced(in place: Place, _ flags: [String] = []) throws -> RunningProgram {
        let run = try place.start(["run", "paced.yaml"] + flags)
        try #require(run.waitFor("executed 800"), "\(run.errors)")
        let watch = try place.connect("allocbench_run")
        defer { watch.close() }
        // What was captured is in tables that are empty until the workers of the hosts start.
        let isInTheMiddle = try eventually {
            try !run.isRunning
                || watch.query("SELECT count(*) FROM allocations.captured_trades").int64(0, 0) > 20
        }
        try #require(isInTheMiddle && run.isRunning, "\(run.errors)")
        return run
    }

    /// Ends the sessions on which hosts idle beside the cell: nobody notices until there is a report to be made. Everybody else's
    /// session has something to say at least every half second.
    private func endIdleSessions(count: Int64, in place: Place) throws {
        let watch = try place.connect("allocbench_run")
        defer { watch.close() }
        var ended: Int64 = 0
        let areEnded = try eventually {
            ended += try watch.query(
                """
                SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE application_name = 'allocbench harness' AND state = 'idle'
                  AND clock_timestamp() - state_change > INTERVAL '2 seconds'
                """
            ).int64(0, 0)
            return ended >= count
        }
        try #require(areEnded, "\(ended) of \(count)")
    }

    @Test func `hosts that are missing, killed and left alone, and a run that is right in the end`() throws {
        try withPlace { place in
            try place.write("paced.yaml", Self.paced)
            try place.write("quick.yaml", Self.quick)
            try place.succeed("services", "start")

            // Nobody is there, then one.
            let alone = try place.run("run", "quick.yaml", "--wait-for-hosts", "1")
            #expect(alone.status == 1)
            let remedy = "start it there: allocbench work --join NAME --state \(place.state)"
            #expect(
                alone.errorLines.last == "allocbench: after 1.00 s 0 of 2 worker hosts have joined; \(remedy); or wait "
                    + "longer: --wait-for-hosts SECONDS")
            let alpha = try join("alpha", in: place)
            let waiting = try place.start(["run", "quick.yaml"])
            try #require(waiting.waitFor("1 of 2 worker hosts has joined (alpha), waiting for up to 60"))
            waiting.signal(SIGINT)
            #expect(try waiting.wait(seconds: 20).status == 130)

            // One is killed in the middle of a cell, and restarted before the run is resumed.
            let killed = try join("beta", in: place)
            let run = try startPaced(in: place)
            killed.killNow()
            let cut = try run.wait()
            #expect(cut.status == 1)
            #expect(cut.errorLines.last == "allocbench: worker host beta is lost: no sign of life for 10 s")
            #expect(cut.errors.contains("the same command with --resume goes on with the rest"))
            let beta = try join("beta", in: place)
            let resuming = try startPaced(in: place, ["--resume"])
            try endIdleSessions(count: 2, in: place)
            let resumed = try resuming.wait()
            #expect(resumed.status == 0 || resumed.status == 5, "\(resumed.errors)")
            #expect(alpha.waitFor("the runner gave the cell up"), "\(alpha.errors)")
            let paced = try place.onlyResult()
            #expect(try rows(ofCSV: place.read("\(paced)/runs.csv")).map { $0["verified"] } == ["true"])

            // The runner is killed: its hosts notice, and serve the next one.
            let doomed = try startPaced(in: place, ["--results", "doomed"])
            doomed.killNow()
            for host in [alpha, beta] {
                #expect(host.waitFor("no sign of life from the runner for 10 s: its workers here are ended"))
            }
            let last = try place.run("run", "quick.yaml", "--results", "last")
            #expect(last.status == 0 || last.status == 5, "\(last.errors)")
            try expectMerged(place, try place.onlyResult(in: "last"), last.output)

            for host in [alpha, beta] {
                host.signal(SIGINT)
                #expect(try host.wait(seconds: 20).status == 0, "\(host.errors)")
            }
            #expect(try place.value("SELECT count(*) FROM harness.hosts", in: "allocbench_run") == "0")
            #expect(try place.value("SELECT count(*) FROM harness.shares", in: "allocbench_run") == "0")
        }
    }

    /// Everything counts once, whichever host did it, and the files say who did what.
    private func expectMerged(_ place: Place, _ folder: String, _ output: String) throws {
        let runs = try rows(ofCSV: place.read("\(folder)/runs.csv"))
        #expect(runs.map { $0["verified"] } == ["true", "true"])
        #expect(Set(runs.map { $0["final_tables"] }).count == 1)
        let hosts = try rows(ofCSV: place.read("\(folder)/hosts.csv"))
        let latencies = try rows(ofCSV: place.read("\(folder)/latency.csv"))
        let partitions = try rows(ofCSV: place.read("\(folder)/partitions.csv"))
        for (run, workers) in zip(runs, [["2", "1"], ["2", "2"]]) {
            let name = run["configuration"]
            let own = hosts.filter { $0["configuration"] == name }
            #expect(own.map { $0["host"] } == ["alpha", "beta"])
            #expect(own.map { $0["workers"] } == workers)
            let messages = own.compactMap { Int($0["messages"] ?? "") }
            let all = partitions.filter { $0["configuration"] == name }.compactMap { Int($0["messages"] ?? "") }
            #expect(messages.allSatisfy { $0 > 0 } && messages.reduce(0, +) == all.reduce(0, +))
            // The counts of merged histograms, not of one.
            let visible = latencies.first { $0["configuration"] == name && $0["stage"] == "time_to_visible" }
            #expect(visible?["count"] == String(messages.reduce(0, +)))
            for host in own {
                #expect(Double(host["clock_uncertainty_ms"] ?? "") ?? 0 > 0, "an estimate is never sure")
                #expect(abs(Double(host["clock_offset_ms"] ?? "") ?? 1e9) < 1000)
            }
            #expect(Double(run["clock_uncertainty_ms"] ?? "") ?? 0 > 0)
        }
        let named = try manifest(place.read("\(folder)/manifest.json"))["worker_hosts"] as? [String: String]
        #expect(named?.keys.sorted() == ["alpha", "beta"])
        #expect(named?["beta"]?.contains(", clock offset ") == true)
        #expect(output.contains("\nHosts: alpha "))
    }

    // MARK: Namespaces

    /// Why this machine can't be five hosts; nil if it can.
    private static let obstacle: String? = {
        if geteuid() != 0 { return "network namespaces need root" }
        if BrokerKind.kafkaHome == nil { return "the broker of five hosts is a real Kafka: set KAFKA_HOME" }
        let name = "abtest\(getpid())"
        guard let made = try? ChildProcess.run(["ip", "netns", "add", name]) else { return "there is no program ip" }
        guard made.status == 0 else { return "no network namespaces can be made: \(made.output)" }
        _ = try? ChildProcess.run(["ip", "netns", "del", name])
        return nil
    }()

    @Test(.enabled(if: obstacle == nil, "\(obstacle ?? "")"))
    func `five network namespaces with an address each: verified, merged, and nothing is left`() throws {
        try withPlace { place in
            try place.write("quick.yaml", Self.quick)
            let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appendingPathComponent("scripts/run-in-namespaces").path
            let program = try place.startProgram(
                [script, "quick.yaml"],
                environment: [
                    "ALLOCBENCH": Place.executable, "KAFKA_HOME": BrokerKind.kafkaHome ?? "",
                    "KAFKA_JVM_PERFORMANCE_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
                ])
            let end = try program.wait(seconds: 150)
            #expect(end.status == 0 || end.status == 5, "\(end.errors)")
            let folder = try place.onlyResult()
            #expect(try rows(ofCSV: place.read("\(folder)/runs.csv")).map { $0["verified"] } == ["true", "true"])
            let addresses = Set(try rows(ofCSV: place.read("\(folder)/hosts.csv")).compactMap { $0["address"] })
            #expect(addresses.count == 2 && addresses.allSatisfy { $0.hasPrefix("10.") }, "\(addresses)")
            let left = try ChildProcess.run(["ip", "netns", "list"]).output
            #expect(!left.contains("ab\(program.pid)-"), "\(left)")
        }
    }
}
