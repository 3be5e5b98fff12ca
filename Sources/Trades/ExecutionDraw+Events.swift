// The three things that happen to an order besides fills, never mixed: a bust reverses one execution, a cancel gives up what
// is left, a replace changes the quantity.

import Measurement
import Model

/// A request for a block order that was drawn before the session.
struct PlannedRequest: Sendable {
    enum Kind: Sendable {
        case cancel
        /// Shortsighted when it asks for less than is filled by then.
        case replace(isShortsighted: Bool)
    }

    /// It comes before more than this is filled.
    let filledAtMost: Int64
    let kind: Kind
}

extension ExecutionDraw {
    /// A bust follows its execution, or its first bust, within so many events; a late fill its cancel.
    private static let bustDelay: Int64 = 500
    private static let lateFillDelay: Int64 = 50
    /// Busts take back the shares of a block at most so many times, so that a drawing ends even if every trade is busted.
    private static let bustedQuantityFactor: Int64 = 4
    /// Of busts: how many are followed by a second one of the same execution, and by one of no execution at all.
    private static let secondBustPpm: Int64 = 100_000
    private static let unknownBustPpm: Int64 = 50_000
    private static let requestsPerBlock = 3
    private static let furtherRequestPpm: Int64 = 250_000
    /// Of requests for another quantity: how many ask for less than is filled.
    private static let shortsightedPpm: Int64 = 200_000
    /// Of accepted ones: how many raise the quantity where it may be raised, and how many take all that isn't filled.
    private static let raisePpm: Int64 = 400_000
    private static let takeAllPpm: Int64 = 100_000
    /// A buying block may be raised by a quarter of what was routed; its accounts have cash for about that much. A selling
    /// one may not: its accounts have no more shares.
    private static let raisedPercentMaximum: Int64 = 125
    /// Of cancels: how many are followed by a fill that was on its way.
    private static let lateFillPpm: Int64 = 333_333

    private mutating func happens(_ ppm: Int64) -> Bool {
        ppm > 0 && eventRandom.integer(in: 0...999_999) < ppm
    }

    // MARK: Requests

    /// Draws which blocks are replaced and canceled, and how far each will be filled by then.
    mutating func planRequests() {
        guard rates.replacePpm > 0 || rates.cancelPpm > 0 else { return }
        for block in blocks.indices {
            var kinds: [PlannedRequest.Kind] = []
            if happens(rates.replacePpm) {
                repeat {
                    kinds.append(.replace(isShortsighted: happens(Self.shortsightedPpm)))
                } while kinds.count < Self.requestsPerBlock && happens(Self.furtherRequestPpm)
            }
            // Last, because nothing is replaced once it is canceled.
            if happens(rates.cancelPpm) { kinds.append(.cancel) }
            guard !kinds.isEmpty else { continue }
            let levels = kinds.map { _ in eventRandom.integer(in: 0...blocks[block].quantity - 1) }.sorted()
            requests[block] = zip(levels, kinds).map { PlannedRequest(filledAtMost: $0, kind: $1) }.reversed()
            orders[block].nextRequestAt = levels[0]
        }
    }

    func isRequestDue(_ block: Int, before quantity: Int64) -> Bool {
        let level = orders[block].nextRequestAt
        return level != .max && (orders[block].cumQuantity + quantity > level || quantity == remaining[block])
    }

    mutating func request(_ block: Int) -> DrawnEvent {
        let planned = requests[block]?.popLast()
        orders[block].nextRequestAt = requests[block]?.last?.filledAtMost ?? .max
        if case .replace(let isShortsighted) = planned?.kind {
            return replace(block, isShortsighted: isShortsighted)
        }
        return cancel(block)
    }

    private mutating func replace(_ block: Int, isShortsighted: Bool) -> DrawnEvent {
        let order = orders[block]
        if isShortsighted, order.cumQuantity > 1 {
            let quantity = eventRandom.integer(in: 1...order.cumQuantity - 1)
            return event(block, .replaceRejected(requestedQuantity: quantity), at: timeNow())
        }
        let quantity = replacement(block)
        orders[block].quantity = quantity
        orders[block].version += 1
        let (before, left) = (remaining[block], quantity - order.cumQuantity)
        let executions = executionsLeft.map { ($0[block] * left + before / 2) / before }
        let time = setRemaining(left, executions: executions, of: block)
        return event(block, .replaced, at: time)
    }

    /// Another quantity of a block, of which something is left: not below what is filled.
    private mutating func replacement(_ block: Int) -> Int64 {
        let order = orders[block]
        let routed = blocks[block].quantity
        let highest =
            blocks[block].side == .buy
            ? Swift.min(routed * Self.raisedPercentMaximum / 100, QuotaApportionment.totalMaximum) : 0
        // A request that is still to come must find something left.
        let isLastRequest = order.nextRequestAt == .max
        let lowest = Swift.max(1, order.cumQuantity + (isLastRequest ? 0 : 1))
        if highest > order.quantity, happens(Self.raisePpm) || lowest == order.quantity {
            return eventRandom.integer(in: order.quantity + 1...highest)
        }
        if lowest == order.quantity { return lowest }
        return happens(Self.takeAllPpm) ? lowest : eventRandom.integer(in: lowest...order.quantity - 1)
    }

    private mutating func cancel(_ block: Int) -> DrawnEvent {
        orders[block].isCanceled = true
        orders[block].version += 1
        let time = setRemaining(0, executions: 0, of: block)
        if happens(Self.lateFillPpm) {
            let quantity = eventRandom.integer(in: Self.sharesPerExecution)
            postpone(.lateFill(quantity: quantity), of: block, upTo: Self.lateFillDelay)
        }
        return event(block, .canceled, at: time)
    }

    // MARK: Reports that were pending

    mutating func decideBust(of ordinal: Int64, _ block: Int, _ quantity: Int64, _ price: Price) {
        let busted = orders[block].bustedQuantity + quantity
        guard happens(rates.bustPpm), busted <= blocks[block].quantity * Self.bustedQuantityFactor else { return }
        orders[block].bustedQuantity = busted
        postpone(.bust(of: ordinal, quantity: quantity, price: price), of: block, upTo: Self.bustDelay)
    }

    mutating func arrive(_ report: PendingReport) -> DrawnEvent {
        let block = report.block
        switch report.kind {
        case .bust(let ordinal, let quantity, let price):
            return bust(block, of: ordinal, quantity, price)
        case .secondBust(let ordinal): return event(block, .bust(of: ordinal), at: timeNow())
        case .unknownBust: return event(block, .bust(of: nil), at: timeNow())
        case .lateFill(let wanted):
            // A bust may have come in between: then there is room for all that was given up, never for more.
            let quantity = Swift.min(wanted, orders[block].quantity - orders[block].cumQuantity)
            let price = eventRandom.integer(in: blocks[block].low.ticks...blocks[block].high.ticks)
            return fill(block, quantity, Price(ticks: price), at: timeNow())
        }
    }

    private mutating func bust(_ block: Int, of ordinal: Int64, _ quantity: Int64, _ price: Price) -> DrawnEvent {
        orders[block].cumQuantity -= quantity
        orders[block].notionalTicks -= Int128(quantity) * Int128(price.ticks)
        // The shares are open again, unless the order was canceled meanwhile.
        let time: Int64
        if orders[block].isCanceled {
            time = timeNow()
        } else {
            time = setRemaining(
                remaining[block] + quantity, executions: executionsLeft.map { $0[block] + 1 }, of: block)
        }
        if happens(Self.secondBustPpm) { postpone(.secondBust(of: ordinal), of: block, upTo: Self.bustDelay) }
        if happens(Self.unknownBustPpm) { postpone(.unknownBust, of: block, upTo: Self.bustDelay) }
        return event(block, .bust(of: ordinal), at: time)
    }
}
