// The benchmarks that need a server run, in small: so that they can't rot between two measurements.

import Postgres
import TestSupport
import Testing

@testable import allocbench_micro

@Suite struct ServerBenchmarkTests {
    @Test func `what goes to a server and back is measured, to the last row`() throws {
        let server = BenchmarkServer(info: try TemporaryPostgres.maintenanceInfo())
        for benchmark in serverBenchmarks {
            let figures = try benchmark.run(.tiny, server)
            #expect(figures.map(\.name) == benchmark.names)
            #expect(!figures.isEmpty && figures.allSatisfy { $0.checksum != 0 && $0.operations > 0 })
        }
        // It throws unless each of its workers has captured every message.
        let figures = try working(.tiny, on: server)
        #expect(figures.map(\.name) == workingNames)
        #expect(figures.count == 3 && figures.allSatisfy { $0.operations == BenchmarkSize.tiny.workerMessages })
        // Per message of the steady state; a debug build allocates for what an optimized one keeps on the stack.
        if ThreadCounts.isCounting {
            #expect(figures.allSatisfy { ($0.allocations ?? 0) < 200 })
            // Of so few messages all batches may be in the drain that is taken off.
            #expect(figures.prefix(2).allSatisfy { ($0.libraryAllocations ?? 0) > 0 })
        }
    }
}
