// How times of a server are brought to our clock, and which transactions a scan has seen. Without a server.

import Measurement
import Testing

@testable import ChangeFeed

private let machine = ClockOffset(realtimeLessMonotonicNs: 1_000_000, uncertaintyNs: 10)

@Suite struct FeedClockTests {
    @Test func `a server's clock is read in the middle of the shortest round trip`() {
        let clock = ServerClock(
            .shortest([
                .init(askedNs: 0, serverNs: 900_000, answeredNs: 80_000),
                .init(askedNs: 100_000, serverNs: 5_110_000, answeredNs: 120_000),
                .init(askedNs: 200_000, serverNs: 0, answeredNs: 290_000),
            ]), machine: machine)
        #expect(clock.offsetNs == 5_000_000 && clock.uncertaintyNs == 10_000)
        #expect(!clock.isCommon && clock.appliedOffsetNs == 5_000_000)
        #expect(clock.serverLessMonotonicNs == 6_000_000)
    }

    @Test func `what the clock moved until the end is uncertain, too`() {
        var clock = ServerClock(.init(askedNs: 0, serverNs: 20_000, answeredNs: 30_000), machine: machine)
        #expect(clock.spanUncertaintyNs == 15_000)
        clock.noteDrift(ClockOffset(realtimeLessMonotonicNs: 999_300, uncertaintyNs: 10))
        #expect(clock.driftNs == -700 && clock.spanUncertaintyNs == 15_700 && clock.uncertaintyNs == 15_000)
    }

    @Test func `an offset within what is uncertain is taken for one clock`() {
        let near = ServerClock(.init(askedNs: 0, serverNs: 20_000, answeredNs: 30_000), machine: machine)
        #expect(near.offsetNs == 5_000 && near.uncertaintyNs == 15_000)
        #expect(near.isCommon && near.appliedOffsetNs == 0 && near.serverLessMonotonicNs == 1_000_000)
    }

    @Test(arguments: [
        ("100:105:102", [99, 100, 101, 103, 104] as [UInt32], [102, 105, 106] as [UInt32]),
        ("7:7:", [6], [7, 8]),
        // The log has the lower half of a number only: here it begins anew after the snapshot.
        ("4294967295:4294967296:", [4_294_967_295], [0, 1]),
        ("8589934593:8589934595:8589934594", [0, 1, 4_294_967_290], [2, 3]),
    ])
    func `a snapshot sees what had committed before it`(_ text: String, _ seen: [UInt32], _ unseen: [UInt32]) throws {
        let snapshot = try #require(ScanSnapshot(text))
        for transaction in seen { #expect(snapshot.contains(transaction), "\(transaction)") }
        for transaction in unseen { #expect(!snapshot.contains(transaction), "\(transaction)") }
        #expect(ScanSnapshot("100:x:") == nil && ScanSnapshot("") == nil)
    }
}
