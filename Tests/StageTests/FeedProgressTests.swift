// How far the log is safe in the broker: never ahead of a message that the broker hasn't acknowledged.

import Measurement
import Postgres
import Testing

@testable import ChangeFeed

private func lsn(_ value: UInt64) -> LSN { LSN(rawValue: value) }

@Suite struct FeedProgressTests {
    @Test func `a transaction counts once all its messages are acknowledged and its commit came by`() {
        var progress = FeedProgress(from: lsn(10))
        progress.begin()
        let first = progress.send()
        let second = progress.send()
        progress.acknowledge(first)
        progress.acknowledge(second)
        #expect(progress.flushedLSN == lsn(10) && !progress.isIdle, "its commit is still to come")
        progress.commit(endLSN: lsn(20))
        #expect(progress.flushedLSN == lsn(20) && progress.isIdle)
    }

    @Test func `a later transaction waits for an earlier one`() {
        var progress = FeedProgress(from: .zero)
        progress.begin()
        let early = progress.send()
        progress.commit(endLSN: lsn(5))
        progress.begin()
        let late = progress.send()
        progress.commit(endLSN: lsn(9))
        progress.acknowledge(late)
        #expect(progress.flushedLSN == .zero)
        progress.acknowledge(early)
        #expect(progress.flushedLSN == lsn(9) && progress.isIdle)
    }

    @Test func `what holds nothing for us is skipped only while nothing is under way`() {
        var progress = FeedProgress(from: .zero)
        progress.skip(to: lsn(7))
        #expect(progress.flushedLSN == lsn(7))
        progress.begin()
        progress.skip(to: lsn(8))
        #expect(progress.flushedLSN == lsn(7), "the transaction's messages are still to come")
        let tag = progress.send()
        progress.commit(endLSN: lsn(9))
        progress.skip(to: lsn(20))
        #expect(progress.flushedLSN == lsn(7))
        progress.acknowledge(tag)
        progress.skip(to: lsn(8))
        #expect(progress.flushedLSN == lsn(9), "a position never goes back")
    }

    @Test func `an empty transaction is done with its commit`() {
        var progress = FeedProgress(from: .zero)
        progress.begin()
        progress.commit(endLSN: lsn(3))
        #expect(progress.flushedLSN == lsn(3) && progress.isIdle)
    }

    @Test func `acknowledgements in any order never move the position past an open message`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<20 {
            var progress = FeedProgress(from: .zero)
            /// By end position, in commit order: the tags that are not acknowledged yet.
            var open: [(end: UInt64, tags: [UInt64])] = []
            var position: UInt64 = 0
            var isSound = true
            for _ in 0..<3_000 {
                if random.integer(in: 0...9) < 4 {
                    progress.begin()
                    let tags = (0..<random.integer(in: 0...4)).map { _ in progress.send() }
                    position += UInt64(random.integer(in: 1...50))
                    progress.commit(endLSN: lsn(position))
                    open.append((position, tags))
                } else if let index = open.indices.filter({ !open[$0].tags.isEmpty }).randomElement(using: &random) {
                    let which = Int(random.integer(in: 0...Int64(open[index].tags.count - 1)))
                    progress.acknowledge(open[index].tags.remove(at: which))
                }
                while let first = open.first, first.tags.isEmpty,
                    open.count > 1 || first.end <= progress.flushedLSN.rawValue
                {
                    open.removeFirst()
                }
                let limit = open.first { !$0.tags.isEmpty }.map { $0.end - 1 } ?? position
                isSound = isSound && progress.flushedLSN.rawValue <= limit
            }
            #expect(isSound, "seed \(seed)")
            for tag in open.flatMap(\.tags) { progress.acknowledge(tag) }
            #expect(progress.isIdle && progress.flushedLSN == lsn(position), "seed \(seed)")
        }
    }
}
