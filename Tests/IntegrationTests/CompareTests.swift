// `allocbench compare` on folders of results that the test writes: no service is started.

import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct CompareTests {
    /// Five repetitions of `row` and of `c8`, which is twice as fast; `factor` is the speed of the machine.
    private func write(
        _ name: String, to place: Place, factor: Double = 1, seed: Int = 42, accounts: Int = 20, workers: Int = 8,
        ending: String = "complete"
    ) throws {
        var lines = ["format_version,scenario,configuration,repetition,executions_per_s,verified,validity,workers"]
        for repetition in 1...5 {
            let noise = 1 + Double(repetition % 3 - 1) / 100
            lines.append("3,t,row,\(repetition),\(1000 * factor * noise),true,valid,4")
            lines.append("3,t,c8,\(repetition),\(2000 * factor / noise),true,valid,\(workers)")
        }
        try place.write("\(name)/runs.csv", lines.joined(separator: "\r\n") + "\r\n")
        let text = "seed: \(seed)\\nworkload: { executions: 10, accounts_per_block: \(accounts) }\\nload: backlog"
        try place.write(
            "\(name)/manifest.json",
            """
            {"scenario": {"name": "t", "seed": "\(seed)", "text": "\(text)"}, "data_sets": [],
             "outcome": {"ending": "\(ending)", "runs_finished": 10, "runs_planned": 12},
             "versions": {"database": "PostgreSQL \(factor == 1 ? 15 : 16)"}}
            """)
    }

    @Test func `within a run each configuration is compared with the first, or with the one named`() throws {
        try withPlace { place in
            try write("a", to: place)
            let compared = try place.run("compare", "a", "--csv", "x.csv", state: false)
            #expect(compared.status == 0 && compared.errors == "")
            #expect(compared.output.contains("throughput, executions/s, more is better, against row\n"))
            #expect(compared.output.contains("Recommended: c8. It has 1.992 times the throughput of row"))
            #expect(compared.output.hasSuffix("\ncomparisons: x.csv\n"))
            let csv = try place.read("x.csv")
            #expect(csv.hasPrefix("format_version,baseline,candidate,metric,"))
            #expect(csv.contains("\r\n2,row,c8,executions_per_s,executions/s,true,5,"))
            let named = try place.run("compare", "--baseline", "c8", "a/", state: false)
            #expect(named.output.contains("Recommended: c8, the baseline."))
            let unknown = try place.run("compare", "a", "--baseline", "c88", state: false)
            #expect(unknown.status == 2 && unknown.output == "")
            #expect(
                unknown.errorLines == [
                    #"--baseline: "c88": expected a configuration of a: row, c8; did you mean c8?"#
                ])
        }
    }

    @Test func `two runs of the same workload are compared, of different ones refused`() throws {
        try withPlace { place in
            try write("a", to: place)
            try write("b", to: place, factor: 0.9)
            let compared = try place.run("compare", "a", "b", state: false)
            #expect(compared.status == 0)
            #expect(compared.output.contains("b/row: throughput worse, 0.900 times"))
            #expect(compared.output.contains("  versions.database: PostgreSQL 15 and PostgreSQL 16\n"))
            try write("c", to: place, accounts: 30)
            let other = try place.run("compare", "a", "c", state: false)
            #expect(other.status == 2 && other.output == "")
            #expect(
                other.errorLines == [
                    #"c/manifest.json: workload.accounts_per_block: "30": expected the workload of a, where it is "20""#
                ])
            try write("d", to: place, seed: 43)
            let seed = try place.run("compare", "a", "d", state: false)
            #expect(seed.errorLines == [#"d/manifest.json: seed: "43": expected the workload of a, where it is "42""#])
            try write("e", to: place, workers: 16)
            let settings = try place.run("compare", "a", "e", state: false)
            #expect(settings.status == 2)
            #expect(
                settings.errorLines == [
                    #"e/runs.csv: workers of c8: "16": expected the settings that c8 has in a, where it is "8""#
                ])
            try write("f", to: place, ending: "interrupted")
            let cut = try place.run("compare", "a", "f", state: false)
            #expect(cut.status == 0)
            #expect(
                cut.output.hasPrefix(
                    "f was cut (interrupted), with 10 of 12 runs in runs.csv. Missing: row in repetition 6; c8 in repetition 6. "
                ),
                "\(cut.output)")
            let baseline = try place.run("compare", "a", "b", "--baseline", "row", state: false)
            #expect(
                baseline.errorLines == ["--baseline: expected one run; of two runs the first is the baseline"])
        }
    }

    @Test func `what is no run is refused`() throws {
        try withPlace { place in
            let none = try place.run("compare", state: false)
            #expect(none.errorLines == ["allocbench compare: expected RUN [RUN]"])
            let three = try place.run("compare", "a", "b", "c", state: false)
            #expect(three.errorLines == [#"allocbench compare: "a b c": expected RUN [RUN]"#])
            let nothing = try place.run("compare", "a", state: false)
            #expect(nothing.status == 2)
            #expect(
                nothing.errorLines == [
                    "a: expected a folder of results, such as results/quickstart-20241114-153000-4711"
                ])
        }
    }
}
