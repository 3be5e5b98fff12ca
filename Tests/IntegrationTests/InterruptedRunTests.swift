// A run that is stopped in the middle: by Ctrl-C in order, by kill -9 without a word. What was finished stays true, no
// process stays, and the state folder is as good as before.

import Glibc
import Postgres
import Services
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct InterruptedRunTests {
    /// Starts the slow scenario and returns in the middle of its second configuration.
    private func startSlow(in place: Place) throws -> RunningProgram {
        try place.write("slow.yaml", Fixture.slow)
        let run = try place.start(["run", "slow.yaml"])
        try #require(run.waitFor("[1/2]"), "\(run.errors)")
        // The tables of the first one are full until they are emptied for the second.
        let watch = try place.connect("allocbench_run")
        defer { watch.close() }
        let isInTheMiddle = try eventually {
            (100..<3000).contains(try watch.query("SELECT count(*) FROM allocations.captured_trades").int64(0, 0))
        }
        try #require(isInTheMiddle && run.isRunning, "\(run.errors)")
        return run
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `Ctrl-C and TERM stop a run in order and keep the rows of what was finished`(signal: Int32) throws {
        try withPlace { place in
            let run = try startSlow(in: place)
            run.signal(signal)
            let end = try run.wait(seconds: 20)
            #expect(end.status == 130, "\(end.errors)")
            #expect(end.output == "", "a table of half a run")
            #expect(place.leftovers() == [])
            let folder = try place.onlyResult()
            #expect(
                Array(end.errorLines.suffix(2)) == [
                    "1 of 2 runs were finished; their rows are in \(folder); "
                        + "the same command with --resume goes on with the rest",
                    "allocbench: interrupted",
                ])
            #expect(place.names(in: folder) == resultFiles)
            let rows = try rows(ofCSV: place.read("\(folder)/runs.csv"))
            #expect(rows.map { $0["configuration"] } == ["quick"])
            #expect(rows.map { $0["verified"] } == ["true"])
            let outcome = try manifest(place.read("\(folder)/manifest.json"))["outcome"] as? [String: Any]
            #expect(outcome?["ending"] as? String == "interrupted")
            #expect(outcome?["runs_finished"] as? Int == 1)
            #expect(outcome?["runs_planned"] as? Int == 2)
        }
    }

    @Test func `Ctrl-C doesn't wait for a database that is gone`() throws {
        try withPlace { place in
            let run = try startSlow(in: place)
            try place.killPostgres()
            usleep(500_000)
            #expect(run.isRunning, "workers seek their connection again: \(run.errors)")
            run.signal(SIGINT)
            let end = try run.wait(seconds: 10)
            #expect(end.status == 130)
            #expect(try rows(ofCSV: place.read("\(place.onlyResult())/runs.csv")).count == 1)
            #expect(place.leftovers() == [])
        }
    }

    @Test func `kill -9 of a run takes its services with it, and the next run in its folder succeeds`() throws {
        try withPlace { place in
            let run = try startSlow(in: place)
            run.killNow()
            // The guard stops them; nobody else does.
            #expect(place.leftovers(seconds: 30) == [])
            let folder = try place.onlyResult()
            #expect(place.names(in: folder) == ["journal.jsonl", "manifest.json", "scenario.yaml"])
            try place.write("tiny.yaml", Fixture.tiny)
            let next = try place.run("run", "tiny.yaml", "--results", "next")
            #expect(next.status == 0, "\(next.errors)")
            #expect(place.leftovers() == [])
        }
    }

    @Test func `kill -9 of a run on started services leaves a stream that work finishes with nothing lost or twice`()
        throws
    {
        try withPlace { place in
            try place.succeed("services", "start")
            let run = try startSlow(in: place)
            run.killNow()
            let database = "allocbench_run"
            let topic = try place.value("SELECT min(topic) FROM allocations.consumer_offsets", in: database)
            let unfinished = try place.run("verify", "--name", database, "--topic", topic)
            #expect(unfinished.status == 3)
            #expect(unfinished.output.contains("FAIL executions_not_captured"))
            let wrongMode = try place.run("work", "--name", database, "--topic", topic, "--mode", "cycle")
            // Mode row may have been between capturing a trade and filling its block; then only mode row can go on.
            if wrongMode.status != 0 {
                #expect(wrongMode.errors.contains("go on with mode row"), "\(wrongMode.errors)")
                try place.succeed("work", "--name", database, "--topic", topic, "--mode", "row")
            }
            try place.succeed("book", "--name", database)
            try place.succeed("verify", "--name", database, "--topic", topic)

            // While the stream is recorded, a slot is being read.
            try place.write("tiny.yaml", Fixture.tiny)
            let recording = try place.start(["run", "slow.yaml"])
            try #require(recording.waitFor("routed"), "\(recording.errors)")
            recording.killNow()
            let next = try place.run("run", "tiny.yaml", "--results", "next")
            #expect(next.status == 0, "\(next.errors)")
            #expect(try place.value("SELECT count(*) FROM pg_replication_slots", in: database) == "0")
            #expect(try place.run("services", "status").status == 0)
        }
    }
}
