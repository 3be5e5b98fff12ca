// The average price: exact to the tick, and nothing is lost to rounding.

import Measurement
import Model
import Testing

@Suite struct AveragePriceTests {
    @Test(arguments: [
        (30, 3, 10, 0), (31, 3, 10, 1), (32, 3, 11, -1), (1, 2, 1, -1), (3, 2, 2, -1), (5, 2, 3, -1), (7, 4, 2, -1),
        (9, 4, 2, 1), (0, 5, 0, 0), (10, 4, 3, -2), (6, 4, 2, -2),
    ]) func `an average is the nearest tick, halves go up, and the rest is kept`(
        _ notional: Int, _ quantity: Int64, _ price: Int64, _ residual: Int
    ) {
        let average = AveragePrice(notionalTicks: Int128(notional), quantity: quantity)
        #expect(average.price == Price(ticks: price))
        #expect(average.residualTicks == Int128(residual))
    }

    @Test func `the residual conserves cash and is at most half a tick per share`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<20_000 {
            let quantity = random.integer(in: 1...([10, 1_000, 2_000_000_000][Int(random.integer(in: 0...2))]))
            let price = random.integer(
                in: 1...([7, 1_000_000, 999_999_999_999_999_999][Int(random.integer(in: 0...2))]))
            // Between price × quantity − quantity and price × quantity: every rounding there is.
            let notional = Int128(price) * Int128(quantity) - Int128(random.integer(in: 0...quantity))
            let average = AveragePrice(notionalTicks: notional, quantity: quantity)
            let booked = Int128(average.price.ticks) * Int128(quantity) + average.residualTicks
            #expect(booked == notional, "seed \(seed)")
            #expect(2 * average.residualTicks.magnitude <= UInt128(quantity), "seed \(seed)")
            // Halves go up: a residual of exactly plus half a tick per share would have been rounded the other way.
            #expect(2 * average.residualTicks < Int128(quantity), "seed \(seed)")
        }
    }

    @Test func `one price for all executions leaves no residual`() {
        let average = AveragePrice(notionalTicks: 110_000 * 1_234_567, quantity: 110_000)
        #expect(average == AveragePrice(notionalTicks: 2 * 110_000 * 1_234_567, quantity: 220_000))
        #expect(average.residualTicks == 0)
    }
}
