// Who gets what of a cell, and whether a host's figures are the same once they have travelled.

import Allocations
import Booking
import Measurement
import Postgres
import Testing

@testable import Hosts

@Suite struct CellShareTests {
    @Test func `every partition and every thread is dealt once, and as evenly as can be`() {
        for hosts in 1...5 {
            for workers in hosts...12 {
                for partitions in hosts...17 {
                    let deals = CellShare.deal(
                        partitions: (0..<Int32(partitions)).map { $0 }, workers: workers, bookingWorkers: 3,
                        among: hosts)
                    let threads = min(workers, partitions)
                    #expect(deals.flatMap(\.partitions).sorted() == (0..<Int32(partitions)).map { $0 })
                    #expect(deals.reduce(0) { $0 + $1.workers } == threads)
                    #expect(deals.reduce(0) { $0 + $1.bookingWorkers } == 3)
                    #expect(deals.allSatisfy { $0.workers >= 1 && $0.partitions.count >= $0.workers })
                    let counts = deals.map(\.workers)
                    #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
                    // Nobody has a partition more for each thread than threads of one process would have.
                    let most = (partitions + threads - 1) / threads
                    #expect(deals.allSatisfy { $0.partitions.count <= most * $0.workers })
                }
            }
        }
    }

    @Test func `a share is read as it was written`() throws {
        let share = CellShare(
            scenario: "name: a\n# äß \"quoted\"\n", scenarioPath: "s.yaml", configuration: "row-w4", repetition: 3,
            ratePerSecond: 1234.5, topic: "t", partitions: [1, 3], endOffsets: [0: 10, 1: 1 << 60, 3: 0],
            firstExecution: 7, workers: 2, bookingWorkers: 1, hostIndex: 1)
        #expect(try CellShare(jsonText: share.jsonText()) == share)
    }

    @Test func `programs are the same by version and commit, as far as both are known`() {
        let one = ProgramIdentity(version: "1.0", commit: "abc")
        #expect(one.isSame(as: one))
        #expect(!one.isSame(as: ProgramIdentity(version: "1.0", commit: "abd")))
        #expect(!one.isSame(as: ProgramIdentity(version: "1.1", commit: "abc")))
        #expect(
            one.isSame(as: ProgramIdentity(version: "1.0", commit: "")), "an installed copy knows its version alone")
    }
}

@Suite struct HostReportTests {
    /// Figures as a worker would have them whose clock stood at `start` when its run began.
    private func figures(seed: UInt64, start: Int64, partition: Int32) -> WorkerFigures {
        var random = SeededRandom(seed: seed)
        var figures = WorkerFigures()
        figures.series.begin(at: start)
        for _ in 0..<3_000 {
            let latency = random.integer(in: 0...5_000_000_000)
            let now = start + random.integer(in: 0...9_000_000_000)
            for stage in WorkerFigures.stages { figures.latencies.record(stage, latency, count: 2) }
            figures.series.record(latency: latency, count: 2, at: now)
            figures.series.recordCommit(retries: 1, at: now)
            figures.lastCommitTime = max(figures.lastCommitTime, now)
        }
        // Beyond what a histogram holds.
        figures.latencies.record(.timeToVisible, -5)
        figures.latencies.record(.timeToVisible, Histogram.highestTrackable + 7)
        figures.messageCount = random.integer(in: 0...1_000_000)
        figures.capturedCount = figures.messageCount - 3
        figures.committedCapturedCount = figures.capturedCount - 1
        figures.snapshotCount = 12
        figures.transactionCount = 3_000
        figures.parkedCount = 2
        figures.retries.record(.serializationFailure, messages: 5, nanoseconds: 77)
        figures.retries.record(.deadlockDetected, messages: 1, nanoseconds: 3)
        figures.ambiguousCommits.committed = 1
        figures.reconnectCount = 4
        figures.replayedMessageCount = 6
        figures.lostMessageCount = 7
        figures.handicapNanoseconds = 8
        figures.partitions[partition] = PartitionFigures()
        figures.partitions[partition]?.messages = figures.messageCount
        figures.partitions[partition]?.lagMaxMessages = 99
        return figures
    }

    private func expectEqual(_ one: WorkerFigures, _ other: WorkerFigures) {
        #expect(one.latencies == other.latencies)
        #expect(one.series == other.series)
        #expect(one.lag == other.lag)
        #expect(one.retries == other.retries)
        #expect(one.ambiguousCommits == other.ambiguousCommits)
        #expect(one.partitions == other.partitions)
        let counts = { (figures: WorkerFigures) in
            [
                figures.transactionCount, figures.messageCount, figures.capturedCount, figures.committedCapturedCount,
                figures.snapshotCount, figures.parkedCount, figures.reconnectCount, figures.replayedMessageCount,
                figures.lostMessageCount, figures.handicapNanoseconds, figures.lastCommitTime,
            ]
        }
        #expect(counts(one) == counts(other))
    }

    private func report(_ figures: WorkerFigures, start: Int64) -> HostReport {
        HostReport(
            figures: FiguresRecord(figures, start: start), bookings: nil, committedInWindow: nil, drainNs: 1,
            cpuSeconds: 0.25, peakResidentBytes: 3, clockOffsetNs: -4, clockUncertaintyNs: 5, clockDriftNs: -6)
    }

    @Test func `merged figures of two hosts are those that threads of one process would have had`() throws {
        // Two clocks that know nothing of each other, and the runner's own.
        let (startA, startB, start) = (Int64(1_000), Int64(77_000_000_000_000), Int64(5_000_000_000))
        let texts = [
            try report(figures(seed: 1, start: startA, partition: 0), start: startA).text(),
            try report(figures(seed: 2, start: startB, partition: 1), start: startB).text(),
        ]
        var merged = WorkerFigures()
        for text in texts { merged.merge(try HostReport(text: text).figures.figures(start: start)) }
        var expected = figures(seed: 1, start: start, partition: 0)
        expected.merge(figures(seed: 2, start: start, partition: 1))
        // Never recorded here, so that its stages are those of a worker, too.
        expectEqual(merged, expected)
        #expect(merged.timeToVisible.percentile(99) == expected.timeToVisible.percentile(99))
        #expect(merged.timeToVisible.clippedCount == 4)
    }

    @Test func `a host that had nothing to do reports nothing, and its clock's doubts`() throws {
        let report = try HostReport(text: report(WorkerFigures(), start: 9).text())
        let figures = try report.figures.figures(start: 40)
        var nothing = WorkerFigures()
        nothing.series.begin(at: 40)
        expectEqual(figures, nothing)
        #expect(report.startUncertaintyNs == 11)
        #expect(report.cpuSeconds == 0.25)
    }

    @Test func `bookings travel with their histogram and their times`() throws {
        var figures = BookingFigures()
        figures.latencies.record(.allocatedToBooked, 123_456)
        figures.bookedBlockCount = 3
        figures.accountBookingCount = 9
        figures.retries.record(.serializationFailure, messages: 2, nanoseconds: 5)
        figures.lastCommitTime = 1_500
        let result = BookingResult(figures: figures, startTime: 900, workers: 2)
        let text = try BookingRecord(result, start: 1_000).jsonText()
        let read = try BookingRecord(jsonText: text).result(start: 50_000)
        #expect(read.figures.latency == figures.latency)
        #expect(read.figures.retries == figures.retries)
        #expect(read.figures.lastCommitTime == 50_500)
        #expect(read.startTime == 49_900)
        #expect(read.elapsedNanoseconds() == result.elapsedNanoseconds())
        #expect([read.figures.bookedBlockCount, read.figures.accountBookingCount, Int64(read.workers)] == [3, 9, 2])
    }

    @Test(arguments: ["", "{}", "{\"figures\":{}}"])
    func `what is no report is refused`(text: String) {
        #expect(throws: (any Error).self) { try HostReport(text: text) }
    }
}
