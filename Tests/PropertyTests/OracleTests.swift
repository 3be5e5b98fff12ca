// Goal: the engine's tables are the oracle's, row by row, and the oracle itself obeys the definitions.

import Allocations
import Measurement
import Model
import Oracle
import TestSupport
import Testing

@Suite struct OracleTests {
    @Test func `the engine's tables are the oracle's`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            let (state, truth) = (this.tables.state, this.oracle)
            guard state.cumQuantity == truth.cumQuantity, state.notionalTicks == truth.notionalTicks,
                state.executionCount == truth.executionCount, state.orderQuantity == truth.orderQuantity,
                state.isCanceled == truth.isCanceled, this.tables.orderVersion == truth.orderVersion,
                state.ordStatus.rawValue == truth.ordStatus, state.isFinal == truth.isFinal
            else { return "\(state) instead of \(truth): \(this.summary)" }
            let expected = truth.allocations(at: this.tables.snapshots.map(\.cumQuantity))
            for (snapshot, held) in zip(this.tables.snapshots, expected) {
                let price = RoundedPrice(notionalTicks: snapshot.notionalTicks, quantity: snapshot.cumQuantity)
                guard snapshot.held == held, snapshot.averagePrice.ticks == price.ticks else {
                    return "\(snapshot) instead of \(held) at \(price): \(this.summary)"
                }
            }
            guard let booking = this.tables.booking else {
                return truth.isBooked ? "not booked: \(this.summary)" : nil
            }
            let isSame =
                booking.ordStatus.rawValue == truth.ordStatus && booking.orderQuantity == truth.orderQuantity
                && booking.cumQuantity == truth.cumQuantity && booking.notionalTicks == truth.notionalTicks
                && booking.averagePrice.ticks == truth.averagePrice.ticks
                && booking.held == truth.bookings.map(\.allocatedQuantity)
            return isSame ? nil : "\(booking) instead of \(truth): \(this.summary)"
        }
    }

    @Test func `the oracle's division is the engine's at every quantity up to three rounds of a small block`() {
        Properties.hold { random in
            var limits = RandomBlock.Limits()
            (limits.accounts, limits.lotsPerAccount, limits.lotSize, limits.reports) = (8, 9, 4, 1)
            let drawn = RandomBlock(id: BlockOrderID(1), random: &random, limits: limits)
            let quantities = Array(0...min(3 * drawn.quantity, 200))
            let expected = BlockTruth(drawn.blockOrder).allocations(at: quantities)
            for (quantity, held) in zip(quantities, expected) {
                let divided = drawn.block.division.allocate(quantity)
                guard divided == held else {
                    return
                        "\(divided) instead of \(held) at \(quantity) of \(drawn.ordered) by \(drawn.policy.rawValue), "
                        + "lots of \(drawn.lotSize), ticket \(drawn.minimumTicketLots), arrivals \(drawn.arrivals)"
                }
            }
            return nil
        }
    }

    @Test func `the quota method gives every lot to the largest weight by held + 1 below the upper quota`() {
        // Three accounts of 5, 3 and 1, lot by lot, worked out by hand.
        let order = BlockOrder(
            id: 1, orderQuantity: 9,
            legs: [(1, 5), (2, 3), (3, 1)].map { BlockOrder.Leg(account: $0, quantity: $1, arrival: $0) })
        let steps = BlockTruth(order).allocations(at: Array(0...9))
        #expect(
            steps == [
                [0, 0, 0], [1, 0, 0], [1, 1, 0], [2, 1, 0], [3, 1, 0], [3, 2, 0], [4, 2, 0],
                // Two ties, which the first account wins.
                [4, 3, 0], [5, 3, 0], [5, 3, 1],
            ])
    }

    @Test func `a settlement is due on the next business day`() {
        // 1970-01-01 was a Thursday.
        let days = [(0, 1), (1, 4), (2, 4), (3, 4), (4, 5), (20_041, 20_042), (20_042, 20_045)]
        for (trade, settlement) in days {
            let truth = BlockTruth(BlockOrder(id: 1, tradeDay: Int64(trade), orderQuantity: 1))
            #expect(truth.settlementDay == Int64(settlement), "\(trade)")
        }
    }
}
