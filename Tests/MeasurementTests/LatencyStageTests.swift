// The words of latency.csv, and that stages neither mix nor lose anything.

import Testing

@testable import Measurement

@Suite struct LatencyStageTests {
    @Test func `the stages have these words, which result files depend on`() {
        #expect(
            LatencyStage.allCases.map(\.rawValue) == [
                "time_to_visible", "due_to_committed", "committed_to_published", "published_to_polled",
                "polled_to_begun", "begun_to_committed", "committed_to_allocated", "allocated_to_booked", "txn_latency",
                "txn_first_try",
                "schedule_lag",
            ])
    }

    @Test func `each stage has a place of its own and a sentence that says what it measures`() {
        #expect(LatencyStage.allCases.map(\.index) == Array(0..<LatencyStage.allCases.count))
        #expect(Set(LatencyStage.allCases.map(\.meaning)).count == LatencyStage.allCases.count)
        for stage in LatencyStage.allCases { #expect(stage.meaning.hasSuffix("."), "\(stage)") }
    }

    @Test func `what a stage leaves out is said with it`() {
        #expect(
            LatencyStage.committedToAllocated.meaning.contains("Not measured where the topic is keyed by execution"))
        #expect(LatencyStage.publishedToPolled.meaning.hasPrefix("From the producer's timestamp"))
    }

    @Test func `a duration counts in its stage alone`() {
        var latencies = StageLatencies()
        for stage in LatencyStage.allCases {
            latencies.record(stage, Int64(stage.index) * 1000, count: Int64(stage.index) + 1)
        }
        for stage in LatencyStage.allCases {
            #expect(latencies[stage].count == Int64(stage.index) + 1)
            #expect(latencies[stage].max == Int64(stage.index) * 1000)
        }
        latencies.reset()
        #expect(latencies == StageLatencies())
    }

    @Test func `a merge adds counts and brings the stages that are missing`() {
        var feed = StageLatencies(stages: [.committedToPublished])
        feed.record(.committedToPublished, 5)
        var worker = StageLatencies(stages: [.timeToVisible, .committedToPublished])
        worker.record(.timeToVisible, 7, count: 3)
        worker.record(.committedToPublished, 9)
        feed.merge(worker)
        #expect(feed.stages == [.timeToVisible, .committedToPublished])
        #expect(feed[.timeToVisible].count == 3)
        #expect(feed[.committedToPublished].count == 2)
        #expect(feed[.scheduleLag].count == 0)
        feed.merge(worker[.timeToVisible], into: .timeToVisible)
        feed.merge(worker[.timeToVisible], into: .scheduleLag)
        #expect(feed[.timeToVisible].count == 6)
        #expect(feed[.scheduleLag].count == 3)
    }
}
