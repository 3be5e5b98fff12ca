// The drawing of executions as a pure sequence: sums, bounds and repeatability over random blocks with a printed seed.

import Diagnostics
import Measurement
import Model
import Testing
import Trades

private func block(
    _ id: Int64, _ quantity: Int64, low: Int64 = 95_000, high: Int64 = 105_000, side: Side = .buy
) -> FillableBlock {
    FillableBlock(
        id: BlockOrderID(id), code: "B\(id)", side: side, quantity: quantity, low: Price(ticks: low),
        high: Price(ticks: high))
}

private func randomBlocks(_ random: inout SeededRandom) -> [FillableBlock] {
    (1...random.integer(in: 1...20)).map { id in
        let low = random.integer(in: 1...1_000_000)
        let sizes: [ClosedRange<Int64>] = [1...49, 50...99, 450...560, 1...20_000]
        return block(
            id, random.integer(in: sizes[Int(random.integer(in: 0...3))]), low: low,
            high: low + random.integer(in: 0...5_000), side: random.integer(in: 0...1) == 0 ? .buy : .sell)
    }
}

/// Least and most executions of 50 to 500 shares that fill these blocks.
private func bounds(_ blocks: [FillableBlock]) -> ClosedRange<Int64> {
    blocks.reduce(0) { $0 + ($1.quantity + 499) / 500 }...blocks.reduce(0) { $0 + max(1, $1.quantity / 50) }
}

extension DrawnEvent {
    fileprivate var fill: (quantity: Int64, price: Price)? {
        if case .trade(let quantity, let price) = kind { (quantity, price) } else { nil }
    }
}

private func expectSound(_ drawn: [DrawnEvent], _ blocks: [FillableBlock], _ comment: Comment) {
    var filled = [Int64](repeating: 0, count: blocks.count)
    var time: Int64 = -1
    var isSound = true
    for (place, event) in drawn.enumerated() {
        let block = blocks[event.block]
        guard let (quantity, price) = event.fill else {
            isSound = false
            continue
        }
        filled[event.block] += quantity
        // Only a block that is smaller than an execution may be filled by a smaller one.
        isSound = isSound && (min(50, block.quantity)...500).contains(quantity)
        isSound = isSound && (block.low...block.high).contains(price)
        isSound = isSound && event.sessionTimeUs >= time && event.ordinal == place
        isSound = isSound && event.orderVersion == 0 && event.orderQuantity == block.quantity
        isSound = isSound && event.cumQuantity == filled[event.block]
        time = event.sessionTimeUs
    }
    #expect(isSound, comment)
    #expect(filled == blocks.map(\.quantity), comment)
    #expect(time < ExecutionDraw.sessionLengthUs, comment)
}

/// Block, quantity, price in ticks and time of the fills of seed 5, as they were drawn before anything else could be drawn.
private let recorded = [
    "0 227 101640 0",
    "0 86 100011 1046247784",
    "1 477 100629 1442623596",
    "1 334 96485 3641126649",
    "0 127 96810 5180539688",
    "1 140 97938 5765885365",
    "0 344 96013 6411148315",
    "0 129 102002 7996651565",
    "0 321 100121 8591215284",
    "1 89 101836 10070711049",
    "0 90 104604 10480913925",
    "1 428 96698 10895725822",
    "0 69 99701 12868386842",
    "0 171 101052 13186409296",
    "0 244 95006 13974551900",
    "0 302 99643 15099153043",
    "2 77 104803 16491077407",
    "0 127 97680 16845972030",
    "1 252 104834 17431317707",
    "0 240 104673 18592791018",
    "0 127 100610 19698956076",
    "0 396 101459 20284301753",
    "1 280 102702 22109474098",
]

private let recordedCounted = ["0 227 101640", "0 86 100011", "1 477 100629", "1 334 96485"]

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

    @Test func `the fills of a seed are what they always were`() throws {
        let drawn = Array(
            try ExecutionDraw(blocks: [block(1, 3_000), block(2, 2_000), block(3, 77, side: .sell)], seed: 5))
        #expect(
            drawn.map { "\($0.block) \($0.fill?.quantity ?? 0) \($0.fill?.price.ticks ?? 0) \($0.sessionTimeUs)" }
                == recorded)
        let counted = Array(try ExecutionDraw(blocks: [block(1, 3_000), block(2, 2_000)], seed: 5, count: 20))
        #expect(
            counted.prefix(4).map { "\($0.block) \($0.fill?.quantity ?? 0) \($0.fill?.price.ticks ?? 0)" }
                == recordedCounted)
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
            #expect(drawn.reduce(0) { $0 + ($1.fill?.quantity ?? 0) } == shares)
            #expect(drawn.allSatisfy { (min(50, shares)...500).contains($0.fill?.quantity ?? 0) })
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
        #expect(drawn.allSatisfy { $0.fill?.price == Price(ticks: 7) })
    }
}
