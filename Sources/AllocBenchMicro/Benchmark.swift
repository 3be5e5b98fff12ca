// How one benchmark is run and what it says. Single-threaded; the clock counts the CPU time of the thread, so that another
// process on the same core doesn't count. (It still shares caches and clock rate.) What waits for a server is measured by
// the wall clock instead.

import CCounters
import Glibc

/// One line of the result.
struct Figure: Sendable {
    let name: String
    /// What one operation is: lot, move, snapshot.
    let operation: String
    /// Median and best over the runs.
    let nanoseconds: Double
    let nanosecondsBest: Double
    var clock = BenchmarkClock.processor
    /// What the program itself asked of malloc for one operation, and what libpq and librdkafka asked for on its thread; nil
    /// where that isn't counted.
    var allocations: Double?
    var libraryAllocations: Double?
    /// Outside of the kernel; nil where nothing counts them.
    var instructions: Double?
    /// Of one run.
    let operations: Int64
    let runs: Int
    /// Of everything that was computed: two builds that differ here don't do the same work, and no work can be left out.
    let checksum: UInt64
    var note = ""

    var perSecond: Double { 1e9 / nanoseconds }
}

/// Which time an operation takes.
enum BenchmarkClock: String, Sendable {
    /// That the thread has run.
    case processor = "cpu"
    /// That went by.
    case wall

    var now: Int64 {
        var time = timespec()
        clock_gettime(self == .processor ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// How much is measured: everything in some seconds, or so little that a test can run it.
struct BenchmarkSize: Sendable {
    var runs: Int
    /// Operations of one run, at most.
    var operationsMaximum: Int64
    /// Accounts of the blocks that are measured.
    var blockSizes: [Int]
    /// Operations of one run of what goes to a server.
    var serverOperations: Int64
    /// Messages that a worker processes, behind as many tenths of them to warm up.
    var workerMessages: Int64

    static let full = BenchmarkSize(
        runs: 7, operationsMaximum: 1_000_000, blockSizes: [20, 200, 1_000, 5_000, 20_000], serverOperations: 20_000,
        workerMessages: 100_000)
    static let tiny = BenchmarkSize(
        runs: 1, operationsMaximum: 100, blockSizes: [5], serverOperations: 16, workerMessages: 200)
    /// For callgrind, which is fifty times as slow and counts exactly: the second run is the one that counts.
    static let counted = BenchmarkSize(
        runs: 2, operationsMaximum: 20_000, blockSizes: full.blockSizes, serverOperations: 200, workerMessages: 0)
}

/// Measures `body` several times on a state that is made anew each time, outside the measurement.
/// - Parameters:
///   - runs: none only tells the figure's name.
///   - body: does the work, and returns the number of operations and a checksum of what they gave.
func measure<State>(
    _ name: String, per operation: String, runs: Int, clock: BenchmarkClock = .processor,
    on make: () throws -> State,
    _ body: (inout State) throws -> (operations: Int64, checksum: UInt64)
) rethrows -> Figure {
    guard runs > 0 else {
        return Figure(
            name: name, operation: operation, nanoseconds: .nan, nanosecondsBest: .nan, clock: clock, operations: 0,
            runs: 0, checksum: 0)
    }
    var nanoseconds: [Double] = []
    var instructions: [Double] = []
    var counts = ThreadCounts()
    var last: (operations: Int64, checksum: UInt64) = (0, 0)
    for _ in 0..<runs {
        var state = try make()
        let countsBefore = ThreadCounts.now
        let instructionsBefore = InstructionCounter.now
        let start = clock.now
        counters_measurement_begins()
        last = try body(&state)
        counters_measurement_ends()
        let end = clock.now
        let instructionsAfter = InstructionCounter.now
        // Of the last run alone: what the first one makes once and for all is no part of an operation.
        counts = ThreadCounts.now - countsBefore
        let operations = Double(max(1, last.operations))
        nanoseconds.append(Double(end - start) / operations)
        if let before = instructionsBefore, let after = instructionsAfter {
            instructions.append(Double(after - before) / operations)
        }
    }
    nanoseconds.sort()
    instructions.sort()
    let operations = Double(max(1, last.operations))
    return Figure(
        name: name, operation: operation, nanoseconds: nanoseconds[nanoseconds.count / 2],
        nanosecondsBest: nanoseconds[0], clock: clock,
        allocations: ThreadCounts.isCounting ? Double(counts.allocations.program) / operations : nil,
        libraryAllocations: ThreadCounts.isCounting ? Double(counts.allocations.libraries) / operations : nil,
        instructions: instructions.isEmpty ? nil : instructions[instructions.count / 2],
        operations: last.operations, runs: runs, checksum: last.checksum)
}
