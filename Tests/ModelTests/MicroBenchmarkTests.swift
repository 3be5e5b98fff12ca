// The benchmarks run, in small: so that they can't rot between two measurements.

import Diagnostics
import Glibc
import Measurement
import TestSupport
import Testing

@testable import allocbench_micro

@Suite struct MicroBenchmarkTests {
    @Test func `every benchmark runs and gives the same result twice`() throws {
        for benchmark in pureBenchmarks {
            let (first, second) = (try benchmark(.tiny), try benchmark(.tiny))
            #expect(!first.isEmpty)
            // Without a run it tells the same names.
            #expect(try names(of: benchmark, .tiny) == first.map(\.name))
            for (one, other) in zip(first, second) {
                #expect(one.name == other.name && one.checksum == other.checksum)
                #expect(one.checksum != 0 && one.nanoseconds > 0, "\(one.name)")
            }
        }
    }

    @Test func `every name picks its benchmark, commas and all, and so does every part of one`() throws {
        let names = try benchmarkNames(.full)
        func picked(_ text: String) throws -> [String] {
            var plan = BenchmarkPlan()
            plan.only = try BenchmarkPlan.words(of: text, among: names)
            return names.filter { plan.takes([$0]) }
        }
        #expect(Set(names).count == names.count)
        for name in names { #expect(try picked(name).allSatisfy { $0.contains(name) } && picked(name).contains(name)) }
        #expect(try picked("decode, bare") == ["decode, bare, CockroachDB's"])
        #expect(try picked("decode,encode").count == 6 && picked("decode, encode").count == 6)
        #expect(try picked("allocate,equal").count == 15 && picked("allocate, equal").count == 3)
        #expect(
            try picked("decode, bare,memory of,worker, batches") == [
                "decode, bare, CockroachDB's", "worker, batches of 128", "memory of a cursor, 1000 accounts",
            ])
        // Whatever the benchmark's name begins with.
        #expect(try picked("time_priority").count == 3)
        #expect(try picked(names.joined(separator: ",")) == names)
    }

    @Test func `what no benchmark's name holds is refused with the names that there are`() throws {
        let names = try benchmarkNames(.full)
        func faults(_ text: String) -> [String] {
            let error = #expect(throws: InputError.self) { try BenchmarkPlan.words(of: text, among: names) }
            return error?.faults.map(\.description) ?? []
        }
        let wanted =
            "expected part of a benchmark's name; they begin with decode, encode, COPY, cursor, allocate, "
            + "snapshots at the quarters, recorder, intended arrival, pipeline round trip, worker, memory of a cursor"
        #expect(faults("copy") == [#"--only: "copy": \#(wanted); did you mean COPY?"#])
        #expect(faults("decode,xyz,,qqqq") == [#"--only: "xyz": \#(wanted)"#, #"--only: "qqqq": \#(wanted)"#])
        #expect(faults(",") == [#"--only: ",": \#(wanted)"#])
    }

    @Test func `wrong flags are told one by one, before anything is measured`() throws {
        func fault(_ arguments: String...) -> String? {
            #expect(throws: InputError.self) { try MicroOptions(arguments) }?.description
        }
        let file = Baseline.path(in: "bench")
        #expect(
            fault("--baseline", "bench/old.csv")
                == #"--baseline: "bench/old.csv": expected check, write or off; the file goes by the machine and is "#
                + file)
        #expect(fault("--size=huge") == #"--size: "huge": expected tiny or full"#)
        #expect(fault("--instructions", "some") == #"--instructions: "some": expected auto, perf, callgrind or none"#)
        #expect(fault("--onyl", "x") == #"--onyl: "x": expected a flag of allocbench-micro (--help)"#)
        #expect(fault("--wiki") == "--wiki: expected a flag and its value (allocbench-micro --help)")
        #expect(
            fault("--only", "decode", "--baseline", "write")
                == #"--only: "decode": expected no --baseline write, for a baseline holds every benchmark"#)
        #expect(
            fault("--size", "tiny", "--baseline", "write") == #"--size: "tiny": expected full with --baseline write"#)
        let options = try MicroOptions(["--only=decode, bare", "--baseline", "off"])
        #expect(options.plan.only == ["decode, bare"] && options.baseline == .off)
    }

    /// A debug build makes one object each time that release builds don't: `make bench` holds those to none.
    @Test func `what a message takes to record allocates one object at most`() {
        #expect(recorderAllocations(events: 1000) <= 1000)
    }

    @Test func `malloc is counted by thread and for each operation`() {
        var kept: [[Int64]] = []
        kept.reserveCapacity(1000)
        let before = ThreadCounts.now
        let figure = measure("arrays", per: "array", runs: 1, on: { 0 }) { _ in
            for number in 0..<1000 as Range<Int64> { kept.append([number, number + 1]) }
            return (1000, 1)
        }
        // Debug builds make more on the way; a sanitizer's build counts nothing.
        #expect(figure.allocations.map { $0 >= 1 } ?? true)
        #expect(kept.count == 1000)
        let libpq = (ThreadCounts.now - before).allocations.libpq
        #expect(libpq == 0)
    }

    @Test func `what is worse than the baseline is told, and noise isn't`() throws {
        func figure(_ nanoseconds: Double, _ allocations: Double?, _ instructions: Double?) -> Figure {
            var figure = Figure(
                name: "a, b", operation: "row", nanoseconds: nanoseconds, nanosecondsBest: nanoseconds, operations: 1,
                runs: 7, checksum: 1)
            figure.allocations = allocations
            figure.instructions = instructions
            return figure
        }
        let folder = TestFolder.root + "/bench-\(getpid())"
        defer { removeFolder(folder) }
        let machine = MachineDescription(
            cpuModel: "A (R) CPU@2", coreCount: 2, memoryBytes: 1, kernel: "", architecture: "", operatingSystem: "")
        let path = Baseline.path(in: folder, for: machine)
        #expect(path == folder + "/baseline-a-r-cpu-2-2.csv")
        #expect(try Baseline.read(path) == nil)
        try Baseline.write([figure(100, 0.5, 2_000)], instructionsBy: "callgrind", to: path)
        let baseline = try #require(try Baseline.read(path))

        func worse(_ figure: Figure, by counter: String = "callgrind") -> Int {
            Baseline.regressions(of: [figure], against: baseline, instructionsBy: counter).count
        }
        #expect(worse(figure(125, 0.5, 2_010)) == 0)
        #expect(worse(figure(150, 0.5, 2_000)) == 1)
        #expect(worse(figure(100, 0.51, 2_000)) == 1)
        #expect(worse(figure(100, 0.5, 2_100)) == 1)
        #expect(worse(figure(100, nil, 2_100), by: "the kernel's counter") == 0)
        #expect(worse(figure(200, 1, 3_000)) == 3)
    }

    @Test func `what is hardly there is told from what isn't`() {
        #expect(decimals(0) == "0" && decimals(0.0004) == "<0.001" && decimals(-0.0004) == "0")
        #expect(decimals(0.0005) == "0.001" && decimals(-0.044) == "-0.044" && decimals(9.001) == "9.001")
    }
}
