// A run that is killed again and again, resumed, and repeated. What it ends with is what a run ends with that wasn't.

import Postgres
import Services
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct ResumeTests {
    private static let cellCount = 24
    private static let scenario = """
        name: matrix
        seed: 5
        repetitions: 2
        workload: { executions: 200, blocks: 8, accounts_per_block: 4, partitions: 4, busts: 0.05 }
        configurations:
          matrix: { mode: [concurrent, adaptive, batch], workers: [1, 2, 3, 4] }
        """

    /// What doesn't depend on the machine's speed.
    private static let steadyColumns = [
        "format_version", "scenario", "stage", "configuration", "repetition", "order_index", "mode", "workers",
        "partitions", "executions", "duplicates", "waiting_busts", "final_tables", "verified", "validity",
    ]

    private func steady(_ csv: String) throws -> [[String]] {
        try rows(ofCSV: csv).map { row in Self.steadyColumns.map { row[$0] ?? "missing" } }
    }

    @Test func `a run killed twice with -9 and resumed ends in the table of one that wasn't`() throws {
        try withPlace { place in
            try place.write("matrix.yaml", Self.scenario)
            for (flags, line) in [([], "[6/"), (["--resume"], "[12/")] {
                let run = try place.start(["run", "matrix.yaml"] + flags)
                try #require(run.waitFor(line), "\(run.errors)")
                run.killNow()
                #expect(place.leftovers(seconds: 30) == [])
            }
            let folder = try place.onlyResult()
            let manifestText = try place.read("\(folder)/manifest.json")
            let outcome = try manifest(manifestText)["outcome"] as? [String: Any]
            #expect(outcome?["ending"] as? String == "unfinished")
            #expect(outcome?["runs_finished"] as? Int ?? 0 > 0, "those of the part before")
            // What a kill in the middle of a line leaves is cut off, and its cell is repeated.
            let journal = try place.read("\(folder)/journal.jsonl")
            try place.write("\(folder)/journal.jsonl", journal + "{\"configuration\":\"half")
            let done = journal.split(separator: "\n").count
            #expect((12..<Self.cellCount).contains(done), "\(done)")

            let last = try place.run("run", "matrix.yaml", "--resume")
            #expect(last.status == 0, "\(last.errors)")
            #expect(last.errors.contains("\(done) of \(Self.cellCount) runs are finished already"))
            #expect(try place.onlyResult() == folder)

            let uncut = try place.run("run", "matrix.yaml", "--results", "uncut", "-q")
            #expect(uncut.status == 0, "\(uncut.errors)")
            #expect(uncut.errors == "", "-q tells nothing that is as it should be")
            let other = try place.onlyResult(in: "uncut")
            let (resumed, whole) = (
                try steady(place.read("\(folder)/runs.csv")), try steady(place.read("\(other)/runs.csv"))
            )
            #expect(resumed.count == Self.cellCount)
            #expect(resumed == whole)
            #expect(place.names(in: folder) == place.names(in: other))

            let none = try place.run("run", "matrix.yaml", "--resume")
            #expect(none.status == 2)
            #expect(
                none.errors.hasPrefix("--resume: expected a run of matrix in results that was cut"), "\(none.errors)")
        }
    }

    @Test func `on a server of the user's own a killed run is resumed, and another run's tables are left alone`() throws
    {
        try withPlace { place in
            // Without a feed there is no topic, which only a real Kafka would make.
            let text = """
                stage: execute
                repetitions: 4
                workload: { executions: 400, blocks: 8, accounts_per_block: 4 }
                configurations: [{ name: alone, feed: none, batch_size: 1 }]

                """
            try place.write("own.yaml", "name: own\n" + text)
            try place.write("other.yaml", "name: other\n" + text)
            try place.succeed("services", "start")
            let servers = try place.ownServers("mine")
            func run(_ words: String...) throws -> FinishedProgram {
                try place.start(["run"] + words + servers, state: false).wait()
            }
            let cut = try place.start(["run", "own.yaml"] + servers, state: false)
            try #require(cut.waitFor("[2/4]"), "\(cut.errors)")
            cut.killNow()
            let folder = try place.onlyResult()
            let done = try place.read("\(folder)/journal.jsonl").split(separator: "\n").count
            let mark = try place.value("SELECT obj_description('trades'::REGNAMESPACE)", in: "mine")
            #expect(mark == "allocbench run \(folder.dropFirst("results/".count))")

            func expectRefusal(_ refused: FinishedProgram, _ what: Comment) throws {
                #expect(refused.status == 1, what)
                #expect(refused.errors.contains("has schemas of these names already"), "\(refused.errors)")
                #expect(try place.value("SELECT count(*) > 0 FROM orders.block_orders", in: "mine") == "t", what)
                #expect(try place.onlyResult() == folder, what)
            }
            try expectRefusal(run("other.yaml"), "these are the tables of a run of another scenario")
            try expectRefusal(run("own.yaml"), "a new run of the same scenario is another run")
            let connection = try place.connect("mine")
            try connection.execute("COMMENT ON SCHEMA trades IS 'allocbench run own-20240101-000000-1'")
            try expectRefusal(run("own.yaml", "--resume"), "another run has used the database since")
            try connection.execute("COMMENT ON SCHEMA trades IS '\(mark)'")
            connection.close()

            let last = try run("own.yaml", "--resume")
            #expect(last.status == 0, "\(last.errors)")
            #expect(last.errors.contains("\(done) of 4 runs are finished already"), "\(last.errors)")
            let rows = try rows(ofCSV: place.read("\(folder)/runs.csv"))
            #expect(rows.map { $0["repetition"] } == (1...4).map(String.init))
            #expect(rows.allSatisfy { $0["verified"] == "true" })
            #expect(Set(rows.map { $0["final_tables"] }).count == 1)
        }
    }

    @Test func `a run is repeated from its folder, on the same data, and its events are JSON`() throws {
        try withPlace { place in
            try place.write(
                "workloads/small.yaml", "executions: 300\nblocks: 6\naccounts_per_block: 3\npartitions: 2\n")
            try place.write(
                "once.yaml",
                """
                name: once
                seed: 9
                workload: workloads/small.yaml
                configurations: [{ mode: adaptive, workers: 1 }]
                """)
            let first = try place.run("run", "once.yaml", "-q")
            #expect(first.status == 0, "\(first.errors)")
            let folder = try place.onlyResult()
            // Everything that the run needs is in its folder.
            try place.write("workloads/small.yaml", "executions: 1\n")
            let again = try place.run("rerun", folder, "--results", "again", "--json")
            #expect(again.status == 0, "\(again.errors)")
            let repeated = try place.onlyResult(in: "again")
            #expect(
                try steady(place.read("\(repeated)/runs.csv")) == steady(place.read("\(folder)/runs.csv")))
            let events = try again.output.split(separator: "\n").map { try manifest(String($0)) }
            let words = events.compactMap { $0["event"] as? String }
            #expect(words.last == "finished")
            #expect(words.contains("cell_started") && words.contains("cell_finished"))
            let progress = try #require(events.last { $0["event"] as? String == "cell_progress" })
            #expect(progress["unit"] as? String == "messages")
            #expect(progress["messages"] as? Int == progress["messages_expected"] as? Int)
            for field in ["rate_per_s", "lag_messages", "retries", "errors", "elapsed_ms", "remaining_s"] {
                #expect(progress[field] is Int, "\(field)")
            }
            let finished = try #require(events.first { $0["event"] as? String == "cell_finished" })
            #expect(["cells_done", "cells_left", "cells_bad"].map { finished[$0] as? Int } == [1, 0, 0])

            let exported = try place.run("export", ".", "--csv", "all.csv", state: false)
            #expect(exported.status == 2, "no run lies there itself")
            let joining = try place.run("export", "results", "--csv", "all.csv", state: false)
            #expect(joining.status == 0, "\(joining.errors)")
            let joined = try rows(ofCSV: place.read("all.csv"))
            #expect(joined.map { $0["run"] } == [String(folder.dropFirst("results/".count))])

            let changed = try place.read("\(folder)/manifest.json").replacing(
                "\"fingerprint\": \"", with: "\"fingerprint\": \"x")
            try place.write("\(folder)/manifest.json", changed)
            let refused = try place.run("rerun", folder, "--results", "refused")
            #expect(refused.status == 1)
            #expect(
                refused.errors.contains("the run to repeat worked on data with the fingerprint x"), "\(refused.errors)")
            #expect(place.names(in: "refused") == [])
        }
    }
}
