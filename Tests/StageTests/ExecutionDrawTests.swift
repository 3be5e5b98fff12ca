// The drawing of executions as a pure sequence: sums, bounds and repeatability over random blocks with a printed seed.

import Diagnostics
import Measurement
import Model
import Testing
import Trades

private func block(_ id: Int64, _ quantity: Int64, low: Int64 = 95_000, high: Int64 = 105_000) -> FillableBlock {
    FillableBlock(
        id: BlockOrderID(id), code: "B\(id)", quantity: quantity, low: Price(ticks: low), high: Price(ticks: high))
}

private func randomBlocks(_ random: inout SeededRandom) -> [FillableBlock] {
    (1...random.integer(in: 1...20)).map { id in
        let low = random.integer(in: 1...1_000_000)
        let sizes: [ClosedRange<Int64>] = [1...49, 50...99, 450...560, 1...20_000]
        return block(
            id, random.integer(in: sizes[Int(random.integer(in: 0...3))]), low: low,
            high: low + random.integer(in: 0...5_000))
    }
}

/// Least and most executions of 50 to 500 shares that fill these blocks.
private func bounds(_ blocks: [FillableBlock]) -> ClosedRange<Int64> {
    blocks.reduce(0) { $0 + ($1.quantity + 499) / 500 }...blocks.reduce(0) { $0 + max(1, $1.quantity / 50) }
}

private func expectSound(_ drawn: [DrawnExecution], _ blocks: [FillableBlock], _ comment: Comment) {
    var filled = [Int64](repeating: 0, count: blocks.count)
    var time: Int64 = -1
    var isSound = true
    for execution in drawn {
        let block = blocks[execution.block]
        filled[execution.block] += execution.quantity
        // Only a block that is smaller than an execution may be filled by a smaller one.
        isSound = isSound && (min(50, block.quantity)...500).contains(execution.quantity)
        isSound = isSound && (block.low...block.high).contains(execution.price)
        isSound = isSound && execution.sessionTimeUs >= time
        time = execution.sessionTimeUs
    }
    #expect(isSound, comment)
    #expect(filled == blocks.map(\.quantity), comment)
    #expect(time < ExecutionDraw.sessionLengthUs, comment)
}

@Suite struct ExecutionDrawTests {
    @Test func `a free drawing fills every block exactly with 50 to 500 shares at prices of the day`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for round in 0..<150 {
            let blocks = randomBlocks(&random)
            expectSound(Array(try ExecutionDraw(blocks: blocks, seed: random.next())), blocks, "seed \(seed), \(round)")
        }
    }

    @Test func `a drawing of a wanted number has exactly that many`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for round in 0..<150 {
            let blocks = randomBlocks(&random)
            let possible = bounds(blocks)
            let count = [possible.lowerBound, possible.upperBound, random.integer(in: possible)][round % 3]
            let drawn = Array(try ExecutionDraw(blocks: blocks, seed: random.next(), count: count))
            #expect(drawn.count == Int(count), "seed \(seed), round \(round)")
            expectSound(drawn, blocks, "seed \(seed), round \(round)")
        }
    }

    @Test func `a seed gives one drawing, of which a shorter one is the beginning`() throws {
        let blocks = [block(1, 10_000), block(2, 30_000), block(3, 77)]
        let whole = Array(try ExecutionDraw(blocks: blocks, seed: 5))
        var again = try ExecutionDraw(blocks: blocks, seed: 5)
        #expect((0..<40).compactMap { _ in again.next() } == Array(whole.prefix(40)))
        var copy = again
        #expect(Array(copy) == Array(whole.dropFirst(40)))
        #expect(copy.next() != nil, "iterating a sequence of value type doesn't use it up")
        #expect(Array(try ExecutionDraw(blocks: blocks, seed: 6)) != whole)
    }

    @Test func `larger blocks are drawn more often, and all of them mixed`() throws {
        let drawn = Array(try ExecutionDraw(blocks: [block(1, 90_000), block(2, 10_000)], seed: 1))
        let early = drawn.prefix(drawn.count / 2)
        let share = Double(early.count { $0.block == 0 }) / Double(early.count)
        #expect(share > 0.8 && share < 0.98)
        #expect(early.contains { $0.block == 1 })
    }

    @Test(arguments: [1, 49, 50, 99, 500, 549] as [Int64]) func `blocks of one or two executions are complete`(
        _ shares: Int64
    ) throws {
        for seed in 0..<50 as Range<UInt64> {
            let drawn = Array(try ExecutionDraw(blocks: [block(1, shares)], seed: seed))
            #expect(drawn.reduce(0) { $0 + $1.quantity } == shares)
            #expect(drawn.allSatisfy { $0.quantity >= min(50, shares) && $0.quantity <= 500 })
        }
    }

    @Test func `a number that can't fill the blocks is refused with the numbers that can`() throws {
        let blocks = [block(1, 1_000), block(2, 501), block(3, 30)]
        for count: Int64 in [-1, 0, 4, 32] {
            let fault = #expect(throws: InputFault.self) { try ExecutionDraw(blocks: blocks, seed: 1, count: count) }
            #expect(
                fault?.description
                    == "executions: \"\(count)\": expected 5 to 31, so that 3 blocks are filled by 50 to 500 shares each"
            )
        }
        #expect(Array(try ExecutionDraw(blocks: blocks, seed: 1, count: 5)).count == 5)
        #expect(Array(try ExecutionDraw(blocks: blocks, seed: 1, count: 31)).count == 31)
    }

    @Test func `no blocks give no executions`() throws {
        #expect(Array(try ExecutionDraw(blocks: [], seed: 1)) == [])
        #expect(throws: InputFault.self) { try ExecutionDraw(blocks: [], seed: 1, count: 1) }
    }

    @Test func `a range of one price gives that price`() throws {
        let drawn = Array(try ExecutionDraw(blocks: [block(1, 5_000, low: 7, high: 7)], seed: 1))
        #expect(drawn.allSatisfy { $0.price == Price(ticks: 7) })
    }
}
