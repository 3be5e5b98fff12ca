// The command line of allocbench-micro.

import Diagnostics

enum InstructionSource: String, CaseIterable { case auto, perf, callgrind, none }
enum BaselineUse: String, CaseIterable { case check, write, off }

struct MicroOptions {
    var plan = BenchmarkPlan()
    /// What the plan takes, as it was given; nil for all.
    var only: String?
    var isTiny = false
    var instructions = InstructionSource.auto
    var baseline = BaselineUse.check
    var baselineFolder = "bench"
    var wiki: String?
    var state = ".allocbench/bench"
    /// Of a child under callgrind: reports what it ran, and uses its parent's server.
    var isCallgrindChild = false
    var connection: String?

    static let help = """
        usage: allocbench-micro [flags]
          --only TEXT[,TEXT]        only benchmarks whose names hold one of these; ', ' is part of a name
          --size tiny|full          how much is measured; tiny says that everything runs (default full)
          --instructions auto|perf|callgrind|none
                                    who counts them: the kernel, or a second run under valgrind where the kernel can't
          --baseline check|write|off
                                    compares with the baseline of this kind of machine, or makes it (default check)
          --baseline-folder DIR     where baselines are (default bench)
          --wiki FILE               rewrites the page's table
          --state DIR               holds the private PostgreSQL (default .allocbench/bench)

        exit status: 0 nothing is worse than the baseline, or there is none; 1 something failed; 2 wrong flags;
        4 something is worse than the baseline
        """

    /// - Throws: `InputError` for what is wrong with them, before anything is measured.
    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--callgrind-child" {
                isCallgrindChild = true
                continue
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let value = parts.count == 2 ? parts[1] : rest.popFirst() else {
                throw InputError(
                    InputFault(source: argument, expected: "a flag and its value (allocbench-micro --help)"))
            }
            try set(parts[0], value)
        }
        plan.size = isTiny ? .tiny : .full
        if baseline == .write { try requireWhole() }
        if let only { plan.only = try BenchmarkPlan.words(of: only, among: try benchmarkNames(plan.size)) }
    }

    private mutating func set(_ flag: String, _ value: String) throws(InputError) {
        func fault(_ expected: String) -> InputError {
            InputError(InputFault(source: flag, value: value, expected: expected))
        }
        switch flag {
        case "--only": only = value
        case "--size":
            guard ["tiny", "full"].contains(value) else { throw fault("tiny or full") }
            isTiny = value == "tiny"
        case "--instructions":
            guard let source = InstructionSource(rawValue: value) else {
                throw fault("auto, perf, callgrind or none")
            }
            instructions = source
        case "--baseline":
            guard let use = BaselineUse(rawValue: value) else {
                throw fault(
                    "check, write or off; the file goes by the machine and is \(Baseline.path(in: baselineFolder))")
            }
            baseline = use
        case "--baseline-folder": baselineFolder = value
        case "--wiki": wiki = value
        case "--state": state = value
        case "--connection": connection = value
        default: throw fault("a flag of allocbench-micro (--help)")
        }
    }

    /// What was measured in small or in part is no baseline.
    private func requireWhole() throws(InputError) {
        if let only {
            throw InputError(
                InputFault(
                    source: "--only", value: only, expected: "no --baseline write, for a baseline holds every benchmark"
                ))
        }
        if isTiny {
            throw InputError(InputFault(source: "--size", value: "tiny", expected: "full with --baseline write"))
        }
    }
}
