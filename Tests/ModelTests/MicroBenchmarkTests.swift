// The benchmarks run, in small: so that they can't rot between two measurements.

import Testing

@testable import allocbench_micro

@Suite struct MicroBenchmarkTests {
    @Test func `every benchmark runs and gives the same result twice`() {
        for benchmark in [lotByLot, jumps, snapshots, recorder, arrivals] {
            let (first, second) = (benchmark(.tiny), benchmark(.tiny))
            #expect(!first.isEmpty)
            for (one, other) in zip(first, second) {
                #expect(one.name == other.name && one.checksum == other.checksum)
                #expect(one.checksum != 0 && one.nanoseconds > 0, "\(one.name)")
            }
        }
    }

    @Test func `what a message takes to record allocates nothing`() {
        // Tests on other threads allocate meanwhile, or free; a recorder that did would show each time.
        let hasQuietRound = (0..<50).contains { _ in recorderAllocatedBytes(events: 1000) == 0 }
        #expect(hasQuietRound)
    }

    @Test func `numbers are printed in groups of three`() {
        #expect(thousands(0) == "0")
        #expect(thousands(999) == "999")
        #expect(thousands(2_000_000.7) == "2,000,000")
        #expect(thousands(12_345) == "12,345")
    }
}
