// How one benchmark is run and what it says. Single-threaded; the clock counts the CPU time of the thread, so that another
// process on the same core doesn't count. (It still shares caches and clock rate.)

import Glibc

/// One line of the result.
struct Figure: Sendable {
    let name: String
    /// Median and best over the runs.
    let nanoseconds: Double
    let nanosecondsBest: Double
    /// What one operation is: lot, move, snapshot.
    let operation: String
    /// Of everything that was computed: two builds that differ here don't do the same work, and no work can be left out.
    let checksum: UInt64
    var note = ""

    var perSecond: Double { 1e9 / nanoseconds }
}

/// How much is measured: everything in some seconds, or so little that a test can run it.
struct BenchmarkSize: Sendable {
    let runs: Int
    /// Operations of one run, at most.
    let operationsMaximum: Int64
    /// Accounts of the blocks that are measured.
    let blockSizes: [Int]

    static let full = BenchmarkSize(runs: 7, operationsMaximum: 1_000_000, blockSizes: [20, 200, 1_000, 5_000, 20_000])
    static let tiny = BenchmarkSize(runs: 1, operationsMaximum: 100, blockSizes: [5])
}

/// Measures `body` several times on a state that is made anew each time, outside the measurement.
/// - Parameter body: does the work, and returns the number of operations and a checksum of what they gave.
func measure<State>(
    _ name: String, per operation: String, runs: Int, on make: () -> State,
    _ body: (inout State) -> (operations: Int64, checksum: UInt64)
) -> Figure {
    var nanoseconds: [Double] = []
    var checksum: UInt64 = 0
    for _ in 0..<runs {
        var state = make()
        let start = threadCPUNow()
        let (operations, sum) = body(&state)
        nanoseconds.append(Double(threadCPUNow() - start) / Double(max(1, operations)))
        checksum = sum
    }
    nanoseconds.sort()
    return Figure(
        name: name, nanoseconds: nanoseconds[nanoseconds.count / 2], nanosecondsBest: nanoseconds[0],
        operation: operation, checksum: checksum)
}

/// Nanoseconds that this thread has run.
private func threadCPUNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
