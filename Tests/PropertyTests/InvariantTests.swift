// Goal: the invariants I1 to I12 of the specification, each for random blocks: 1 to 200 accounts, lots of 1 to 100, 1 to 500
// reports with busts, replaces, cancels and late fills, delivered in any order, with duplicates, in any cut.
// Method: the engine's values on tables in memory; what must hold is computed here or by the oracle, never by the engine.

import Allocations
import Measurement
import Model
import Oracle
import TestSupport
import Testing
import Trades

@Suite struct InvariantTests {
    @Test func `I1: what is allocated of a block is what is live of it`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            if let fault = this.tables.historyFault { return "\(fault): \(this.summary)" }
            for snapshot in this.tables.snapshots where snapshot.held.reduce(0, +) != snapshot.cumQuantity {
                return "\(snapshot.held) allocated of \(snapshot.cumQuantity): \(this.summary)"
            }
            let live = this.liveTrades.reduce(0) { $0 + $1.quantity }
            guard this.tables.state.isFinal, this.tables.allocated.reduce(0, +) != live else { return nil }
            return "\(this.tables.allocated) allocated of \(live) live: \(this.summary)"
        }
    }

    @Test func `I2: nobody gets less than nothing or more than ordered, in every round of the order`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            let ordered = this.random.ordered
            for snapshot in this.tables.snapshots {
                let rounds = snapshot.cumQuantity / this.random.quantity
                let isWhole = snapshot.cumQuantity % this.random.quantity == 0
                for (held, order) in zip(snapshot.held, ordered) {
                    let highest = (isWhole ? rounds : rounds + 1) * order
                    guard (rounds * order...highest).contains(held) else {
                        return "\(held) of \(order) at \(snapshot.cumQuantity): \(this.summary)"
                    }
                }
            }
            return nil
        }
    }

    @Test func `I3: nothing is filled beyond the order, and what leaves is what is open of it`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            let state = this.tables.state
            guard let last = this.random.reports.last else { return nil }
            let isCanceled = this.random.reports.contains { $0.type == .canceled }
            let live = this.liveTrades.reduce(0) { $0 + $1.quantity }
            if state.isOverfilled || state.cumQuantity != live || state.orderQuantity != last.orderQuantity {
                return "\(live) filled of \(last.orderQuantity), not \(state): \(this.summary)"
            }
            let leaves = isCanceled ? 0 : last.orderQuantity - live
            let status: OrdStatus =
                isCanceled ? .canceled : live == 0 ? .new : leaves == 0 ? .filled : .partiallyFilled
            guard state.leavesQuantity == leaves, state.ordStatus == status, state.isFinal == (leaves == 0) else {
                return "\(status) leaves \(leaves), not \(state): \(this.summary)"
            }
            return nil
        }
    }

    @Test func `I4: every account has the one average price, to the nearest tick`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            for snapshot in this.tables.snapshots {
                let (price, quantity) = (Int128(snapshot.averagePrice.ticks), Int128(snapshot.cumQuantity))
                let twiceOff = 2 * (snapshot.notionalTicks - price * quantity)
                // Halves are rounded up, so half a tick is never left over.
                guard quantity == 0 ? price == 0 : twiceOff >= -quantity && twiceOff < quantity else {
                    return "\(price) ticks for \(snapshot.notionalTicks) / \(quantity): \(this.summary)"
                }
            }
            guard this.tables.state.isFinal, let last = this.tables.snapshots.last else { return nil }
            let live = this.liveTrades.reduce(Int128(0)) { $0 + Int128($1.quantity) * Int128($1.price.ticks) }
            return last.notionalTicks == live ? nil : "\(last.notionalTicks) of \(live): \(this.summary)"
        }
    }

    @Test func `I5: accounts' money and the residual are the executions' money`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            for snapshot in this.tables.snapshots where snapshot.cumQuantity > 0 {
                let price = AveragePrice(notionalTicks: snapshot.notionalTicks, quantity: snapshot.cumQuantity)
                let paid = snapshot.held.reduce(Int128(0)) { $0 + Int128($1) * Int128(snapshot.averagePrice.ticks) }
                guard paid + price.residualTicks == snapshot.notionalTicks,
                    2 * price.residualTicks.magnitude <= snapshot.cumQuantity.magnitude
                else {
                    return "\(paid) + \(price.residualTicks) of \(snapshot.notionalTicks): \(this.summary)"
                }
            }
            return nil
        }
    }

    @Test func `I6: repeating any prefix, or everything, changes no row`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            var again = this.tables
            for transaction in this.delivery {
                again.apply(transaction, to: this.block, this.snapshots, elapsedMs: 1_000)
            }
            if again != this.tables { return "all again: \(this.summary)" }
            // After a kill the feed starts again at an earlier place: a part comes twice, in another cut.
            let place = Int(random.integer(in: 0...Int64(this.delivery.count)))
            let restart = Int(random.integer(in: 0...Int64(place)))
            let delivery = this.delivery[..<place] + [Array(this.delivery[restart...].joined())]
            let resumed = PropertyCase.process(this.random, this.block, this.snapshots, Array(delivery), &random)
            return resumed.final == this.tables.final ? nil : "again from \(restart) at \(place): \(this.summary)"
        }
    }

    @Test func `I7: the order of arrival leaves no trace`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            let (inOrder, other) = (this.inOrder(nil, &random).final, this.redelivered(&random).final)
            return (MemoryTables.difference(this.tables.final, inOrder) ?? MemoryTables.difference(other, inOrder)).map
            {
                "\($0) in order: \(this.summary)"
            }
        }
    }

    @Test func `I8: a busted execution never happened`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            let busted = Set(this.random.reports.compactMap(\.reference))
            let kept = this.random.reports.filter { $0.type != .tradeCancel && !busted.contains($0.id) }
            let (without, with) = (this.inOrder(kept, &random), this.tables)
            let isSame =
                with.state.cumQuantity == without.state.cumQuantity
                && with.state.notionalTicks == without.state.notionalTicks
                && with.state.executionCount == without.state.executionCount
                && with.final.lastSnapshot == without.final.lastSnapshot && with.booking == without.booking
            guard isSame else {
                return "\(with.final.stateText) with, \(without.final.stateText) without: \(this.summary)"
            }
            // Recorded, every one, also those of unknown and of already busted executions.
            let busts = this.random.reports.filter { $0.type == .tradeCancel }
            return busts.allSatisfy { with.changes[$0.id] == .tradeCancel } ? nil : "a bust is lost: \(this.summary)"
        }
    }

    @Test func `I9: pro rata nobody is ever a lot away from the exact proportion, nor loses shares to a fill`() {
        Properties.hold { random in
            let policy: AllocationPolicy = random.chance(700) ? .proRata : .largestRemainder
            let this = PropertyCase(&random, limits: RandomBlock.Limits(policy: policy))
            let (ordered, total) = (this.random.ordered, Int128(this.random.quantity))
            let lot = ordered.allSatisfy { $0 % this.random.lotSize == 0 } ? this.random.lotSize : 1
            var previous: [Int64]?
            for snapshot in this.tables.snapshots {
                // By largest remainder all odd shares go to one account, though two may be due.
                let isOdd = policy == .largestRemainder && snapshot.cumQuantity % this.random.quantity % lot != 0
                let bound = total * Int128(lot) * (isOdd ? 2 : 1)
                for (held, order) in zip(snapshot.held, ordered) {
                    let distance = Int128(held) * total - Int128(snapshot.cumQuantity) * Int128(order)
                    guard distance.magnitude < bound.magnitude else {
                        return "\(held) of \(order) at \(snapshot.cumQuantity): \(this.summary)"
                    }
                }
                if policy == .proRata, !snapshot.followsBust, let previous,
                    zip(previous, snapshot.held).contains(where: { $0 > $1 })
                {
                    return "\(previous) fell to \(snapshot.held): \(this.summary)"
                }
                previous = snapshot.held
            }
            return nil
        }
    }

    @Test func `I10: every report is in the inbox once, and what is live of an ended block is allocated`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            let reports = this.random.reports
            let trades = Set(reports.filter { $0.type == .trade }.map(\.id))
            let captured = Set(this.tables.trades.filter { $0.value.quantity != nil }.keys)
            let others = Set(reports.filter { $0.type != .trade }.map(\.id))
            if captured != trades || Set(this.tables.changes.keys) != others { return "inbox: \(this.summary)" }
            // Whoever waits is named by a bust, and is no execution.
            let waiting = Set(this.tables.trades.filter { $0.value.quantity == nil }.keys)
            if waiting != Set(reports.compactMap(\.reference)).subtracting(trades) { return "waiting: \(this.summary)" }
            let isAllocated = this.tables.snapshots.last?.isFinal ?? false
            guard this.tables.state.isFinal, !this.liveTrades.isEmpty, !isAllocated else { return nil }
            return "\(this.liveTrades.count) live executions are not allocated: \(this.summary)"
        }
    }

    @Test func `I11: a replace below what is filled is rejected with its reason, and never becomes a report`() throws {
        Properties.hold { random in
            let blocks = (1...random.magnitude(8)).map { id in
                FillableBlock(
                    id: BlockOrderID(id), code: "B\(id)", side: random.chance(500) ? .buy : .sell,
                    quantity: random.magnitude(20_000),
                    low: Price(ticks: 90_000), high: Price(ticks: 110_000))
            }
            let rates = EventRates(bustPpm: 100_000, replacePpm: 1_000_000, cancelPpm: 200_000)
            guard let draw = try? ExecutionDraw(blocks: blocks, seed: random.next(), rates: rates) else {
                return "the drawing is refused"
            }
            var versions = blocks.map { _ in Int64(0) }
            for event in draw {
                switch event.kind {
                case .replaceRejected(let wanted):
                    guard wanted < event.cumQuantity, event.orderVersion == versions[event.block] else {
                        return "\(event) was rejected"
                    }
                    let report = event.execution(of: blocks) { ExecutionID($0) }
                    if report != nil { return "\(event) is reported" }
                case .replaced, .canceled:
                    guard event.orderQuantity >= event.cumQuantity, event.orderVersion == versions[event.block] + 1
                    else { return "\(event) was accepted" }
                    versions[event.block] += 1
                case .trade, .bust: break
                }
            }
            return nil
        }
    }

    /// On one database; CockroachDB needs a server of its own. The same in SQL is `WorkerPropertyTests`.
    @Test func `I12: single transactions and one batch end in the same tables`() {
        Properties.hold { random in
            let this = PropertyCase(&random)
            let messages = this.delivery.joined()
            let single = PropertyCase.process(this.random, this.block, this.snapshots, messages.map { [$0] }, &random)
            let batch = PropertyCase.process(this.random, this.block, this.snapshots, [Array(messages)], &random)
            return MemoryTables.difference(single.final, batch.final).map { "\($0) in one batch: \(this.summary)" }
        }
    }
}
