// `allocbench scale` on folders of results that the test writes: no service is started.

import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct ScaleTests {
    private static let columns =
        "workers, partitions, txn_size, pipeline_depth, batch_size, blocks, accounts_per_block or executions"

    /// A run with 1 to 4 workers, each twice as fast as the one before.
    private func write(_ run: String, to place: Place) throws {
        var lines = ["format_version,configuration,repetition,executions_per_s,verified,validity,workers,partitions"]
        for workers in [1, 2, 4] { lines.append("6,w\(workers),1,\(1000 * workers),true,valid,\(workers),8") }
        try place.write("\(run)/runs.csv", lines.joined(separator: "\r\n") + "\r\n")
    }

    private func expectRefusal(_ place: Place, _ arguments: [String], says line: String) throws {
        let run = try place.start(["scale"] + arguments, state: false).wait(seconds: 10)
        #expect(run.status == 2 && run.output == "")
        #expect(run.errorLines == [line])
    }

    @Test func `a column that is missing or unknown is answered with those that there are`() throws {
        try withPlace { place in
            try write("curve/run", to: place)
            let columns = Self.columns
            try expectRefusal(place, ["curve"], says: "--by: expected a column: \(columns)")
            try expectRefusal(place, ["curve", "--by"], says: "--by: expected a value: \(columns)")
            try expectRefusal(place, ["curve", "--by", ""], says: "--by: expected a value: \(columns)")
            try expectRefusal(place, ["curve", "--by", "mode"], says: #"--by: "mode": expected a column: "# + columns)
            try expectRefusal(
                place, ["curve", "--by", "worker"],
                says: #"--by: "worker": expected a column: "# + "\(columns); did you mean workers?")
        }
    }

    @Test func `a column in which nothing differs is answered with those in which something does`() throws {
        try withPlace { place in
            try write("curve/run", to: place)
            let none = "expected verified, valid runs that differ in it and in nothing else; there are none"
            try expectRefusal(
                place, ["curve", "--by", "partitions"],
                says: "curve: partitions: \(none), but some for --by workers")
            #expect(try place.run("scale", "curve", "--by", "workers", state: false).status == 0)
        }
    }

    @Test func `a folder of curves is answered with the curves in it`() throws {
        try withPlace { place in
            for curve in ["blocks", "workers"] { try write("curves/\(curve)/run", to: place) }
            let wanted = "expected a folder of runs, or a run, with runs.csv in it"
            try expectRefusal(
                place, ["curves", "--by", "workers"],
                says: "curves: \(wanted), such as curves/blocks, curves/workers")
        }
    }
}
