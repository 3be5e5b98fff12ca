// What a worker expects of a block, and how it takes that back.

import Measurement
import Model
import Testing

@testable import Allocations

@Suite struct BlockOutlookTests {
    @Test func `what is taken back in the opposite order leaves nothing`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<100 {
            let start = BlockState(orderQuantity: random.integer(in: 1_000...9_000))
            var outlook = BlockOutlook(start)
            /// Per transaction: its trades, and the state that it takes a snapshot of.
            var sent: [(trades: [(Int64, Int64)], due: BlockState?)] = []
            for _ in 0..<random.integer(in: 1...12) {
                let trades = (0..<random.integer(in: 1...4)).map { _ in
                    (random.integer(in: 1...500), random.integer(in: 1...9_000_000))
                }
                for (quantity, ticks) in trades { outlook.expect(trade: quantity, priceTicks: ticks) }
                let isDue = outlook.state.isSnapshotDue(.quarters, elapsedMs: 0)
                sent.append((trades, isDue ? outlook.state : nil))
                if isDue { outlook.expectSnapshot() }
            }
            for (trades, due) in sent.reversed() {
                if let due { outlook = BlockOutlook(due) }
                for (quantity, ticks) in trades { outlook.takeBack(trade: quantity, priceTicks: ticks) }
            }
            #expect(outlook.state == start, "seed \(seed)")
        }
    }

    private func isForeseeable(_ change: (inout BlockState) -> Void) -> Bool {
        var state = BlockState(orderQuantity: 400)
        state.cumQuantity = 300
        state.notionalTicks = 3_000_000
        state.allocatedQuantity = 200
        change(&state)
        return BlockOutlook(state).isForeseeable
    }

    @Test
    func `only a block that is filled for the first time, by amounts that the database's integers hold, is foreseen`() {
        #expect(isForeseeable { _ in })
        #expect(isForeseeable { $0.cumQuantity = 400 })
        #expect(!isForeseeable { $0.cumQuantity = 401 })
        #expect(!isForeseeable { $0.cumQuantity = 199 })
        #expect(!isForeseeable { $0.isCanceled = true })
        #expect(!isForeseeable { $0.allocatedIsFinal = true })
        #expect(!isForeseeable { $0.notionalTicks = Int128(Int64.max) })
        #expect(!isForeseeable { $0.notionalTicks = -1 })
        // A bust of it may have left little behind.
        #expect(!isForeseeable { $0.allocatedNotionalTicks = Int128(Int64.max) + 1 })
    }
}
