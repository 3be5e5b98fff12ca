// Goal: a generated name says what differs from the defaults and nothing else, so that names stay short and unique.

import Model
import Testing

@Suite struct ConfigurationNameTests {
    @Test func `dimensions at their defaults don't show in a generated name`() {
        let plain = Configuration(mode: .concurrent)
        #expect(plain.name == "concurrent-w4-t1-d1")
        #expect(plain.roundTripTimeUs == 0)
        #expect(plain.partitions == nil)
        #expect(plain.handicapPpm == 0)
    }

    @Test func `each dimension of the servers shows where it differs from its default`() {
        let all = Configuration(
            mode: .concurrent, topicKey: .execution, synchronousCommit: .off, keyStrategy: .uuid7,
            roundTripTimeUs: 500, partitions: 8, handicapPpm: 100_000)
        #expect(all.name == "concurrent-w4-t1-d1-keyexecution-sync_off-uuid7-rtt500us-p8-handicap100000ppm")
        #expect(Configuration(mode: .row, synchronousCommit: .remoteApply).name == "row-w4-sync_remote_apply")
        #expect(Configuration(mode: .row, keyStrategy: .sequence).name == "row-w4-sequence")
    }

    @Test func `raw values are the words of the scenario file`() {
        #expect(TopicKey.allCases.map(\.rawValue) == ["block_order", "execution"])
        #expect(SynchronousCommit.allCases.map(\.rawValue) == ["off", "local", "remote_write", "on", "remote_apply"])
        #expect(KeyStrategy.allCases.map(\.rawValue) == ["natural", "sequence", "uuid4", "uuid7"])
    }
}
