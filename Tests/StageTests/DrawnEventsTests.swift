// Goal: busts, replaces and cancels are drawn as an exchange would report them. Method: a ledger that knows only the events
// walks random drawings in their order, with a printed seed, and checks every rule at every event.

import Measurement
import Model
import Testing

@testable import Trades

private func randomBlocks(_ random: inout SeededRandom, _ count: ClosedRange<Int64> = 1...20) -> [FillableBlock] {
    (1...random.integer(in: count)).map { id in
        let low = random.integer(in: 1...1_000_000)
        let sizes: [ClosedRange<Int64>] = [1...49, 50...99, 450...560, 1...20_000]
        return FillableBlock(
            id: BlockOrderID(id), code: "B\(id)", side: random.integer(in: 0...1) == 0 ? .buy : .sell,
            quantity: random.integer(in: sizes[Int(random.integer(in: 0...3))]), low: Price(ticks: low),
            high: Price(ticks: low + random.integer(in: 0...5_000)))
    }
}

private func randomRates(_ random: inout SeededRandom) -> EventRates {
    func rate() -> Int64 {
        let rates: [Int64] = [0, 20_000, 300_000, 1_000_000]
        return rates[Int(random.integer(in: 0...3))]
    }
    return EventRates(bustPpm: rate(), replacePpm: rate(), cancelPpm: rate())
}

/// What the events make of the blocks, and every rule that one of them broke.
private struct Ledger {
    struct Trade {
        let block: Int
        let quantity: Int64
        let notional: Int128
        var isBusted = false
    }

    let blocks: [FillableBlock]
    var trades: [Int64: Trade] = [:]
    var versions: [Int64]
    var quantities: [Int64]
    var filled: [Int64]
    var notionals: [Int128]
    var canceled: [Bool]
    var time: Int64 = 0
    var count: Int64 = 0
    var faults: [String] = []
    // What happened, by kind.
    var bustedTrades = 0
    var secondBusts = 0
    var unknownBusts = 0
    var bustsAfterCancel = 0
    var lateFills = 0
    var raised = 0
    var lowered = 0
    var replacedToFilled = 0
    var rejected = 0

    init(_ blocks: [FillableBlock]) {
        self.blocks = blocks
        versions = blocks.map { _ in 0 }
        quantities = blocks.map(\.quantity)
        filled = blocks.map { _ in 0 }
        notionals = blocks.map { _ in 0 }
        canceled = blocks.map { _ in false }
    }

    mutating func require(_ isTrue: Bool, _ rule: String) {
        if !isTrue { faults.append("event \(count): \(rule)") }
    }

    mutating func apply(_ event: DrawnEvent) {
        let block = event.block
        require(event.ordinal == count, "ordinals follow each other")
        require(event.sessionTimeUs >= time, "time goes back")
        require((0..<ExecutionDraw.sessionLengthUs).contains(event.sessionTimeUs), "outside the session")
        time = event.sessionTimeUs
        switch event.kind {
        case .trade(let quantity, let price): trade(event, quantity, price)
        case .bust(let of): bust(event, of)
        case .canceled:
            require(!canceled[block], "canceled twice")
            require(filled[block] < quantities[block], "canceled with nothing left")
            canceled[block] = true
            versions[block] += 1
        case .replaced: replaced(event)
        case .replaceRejected(let quantity):
            require(quantity > 0 && quantity < filled[block], "rejected although not below what is filled")
            require(!canceled[block], "a request for a canceled order")
            rejected += 1
        }
        require(event.orderVersion == versions[block], "versions are 1, 2, 3 …")
        require(event.orderQuantity == quantities[block], "another order quantity")
        require(event.cumQuantity == filled[block], "another filled quantity")
        require(filled[block] >= 0 && filled[block] <= quantities[block], "more filled than ordered")
        count += 1
    }

    private mutating func trade(_ event: DrawnEvent, _ quantity: Int64, _ price: Price) {
        let block = event.block
        require((1...500).contains(quantity), "a fill of \(quantity)")
        require((blocks[block].low...blocks[block].high).contains(price), "a price outside the day's")
        let notional = Int128(quantity) * Int128(price.ticks)
        trades[event.ordinal] = Trade(block: block, quantity: quantity, notional: notional)
        filled[block] += quantity
        notionals[block] += notional
        if canceled[block] { lateFills += 1 }
    }

    private mutating func bust(_ event: DrawnEvent, _ of: Int64?) {
        guard let of else {
            unknownBusts += 1
            return
        }
        guard let trade = trades[of] else { return require(false, "a bust of what is no earlier trade") }
        require(trade.block == event.block, "a bust of another block's trade")
        if trade.isBusted {
            secondBusts += 1
            return
        }
        trades[of]?.isBusted = true
        filled[event.block] -= trade.quantity
        notionals[event.block] -= trade.notional
        bustedTrades += 1
        if canceled[event.block] { bustsAfterCancel += 1 }
    }

    private mutating func replaced(_ event: DrawnEvent) {
        let block = event.block
        require(!canceled[block], "replaced after a cancel")
        require(event.orderQuantity >= filled[block] && event.orderQuantity > 0, "replaced below what is filled")
        let highest = blocks[block].side == .buy ? blocks[block].quantity * 5 / 4 : blocks[block].quantity
        require(event.orderQuantity <= highest, "raised too far")
        if event.orderQuantity > quantities[block] { raised += 1 }
        if event.orderQuantity < quantities[block] { lowered += 1 }
        if event.orderQuantity == filled[block] { replacedToFilled += 1 }
        quantities[block] = event.orderQuantity
        versions[block] += 1
    }

    mutating func expectEnd(_ outcomes: [BlockOutcome]) {
        for block in blocks.indices {
            let outcome = outcomes[block]
            require(canceled[block] || filled[block] == quantities[block], "block \(block) ends neither way")
            require(outcome.ordStatus == (canceled[block] ? .canceled : .filled), "block \(block): status")
            require(outcome.leavesQuantity == 0, "block \(block): leaves")
            require(
                (outcome.orderVersion, outcome.orderQuantity, outcome.cumQuantity)
                    == (versions[block], quantities[block], filled[block]), "block \(block): outcome")
            let (twice, shares) = (2 * notionals[block], Int128(filled[block]))
            let price = filled[block] == 0 ? 0 : (twice + shares) / (2 * shares)
            require(Int128(outcome.averagePrice.ticks) == price, "block \(block): average price")
        }
    }
}

private func ledger(
    _ blocks: [FillableBlock], seed: UInt64, count: Int64? = nil, rates: EventRates
) throws -> Ledger {
    var ledger = Ledger(blocks)
    var draw = try ExecutionDraw(blocks: blocks, seed: seed, count: count, rates: rates)
    while let event = draw.next() { ledger.apply(event) }
    #expect(draw.isFinished)
    ledger.expectEnd(draw.outcomes)
    return ledger
}

private func drawn(seed: UInt64, rates: EventRates) throws -> Ledger {
    try ledger(manyBlocks, seed: seed, rates: rates)
}

/// 2,000 blocks of 20 executions or so.
private let manyBlocks = (1...2_000).map { id in
    FillableBlock(
        id: BlockOrderID(id), code: "B\(id)", side: id % 2 == 0 ? .buy : .sell, quantity: 3_000 + id,
        low: Price(ticks: 5),
        high: Price(ticks: 9))
}

@Suite struct DrawnEventsTests {
    @Test func `every block ends filled or canceled, by the rules of the market at every event`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for round in 0..<150 {
            let blocks = randomBlocks(&random)
            let rates = randomRates(&random)
            let least = blocks.reduce(0) { $0 + ($1.quantity + 499) / 500 }
            let most = blocks.reduce(0) { $0 + max(1, $1.quantity / 50) }
            let count = round % 2 == 0 ? nil : random.integer(in: least...most)
            let ledger = try ledger(blocks, seed: random.next(), count: count, rates: rates)
            #expect(ledger.faults.isEmpty, "seed \(seed), round \(round): \(ledger.faults.prefix(3))")
        }
    }

    @Test func `the rates come out as asked for, and everything that may happen does`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let rates = EventRates(bustPpm: 50_000, replacePpm: 300_000, cancelPpm: 100_000)
        let ledger = try drawn(seed: seed, rates: rates)
        #expect(ledger.faults.isEmpty, "seed \(seed): \(ledger.faults.prefix(3))")
        let busts = Double(ledger.bustedTrades) / Double(ledger.trades.count)
        #expect(abs(busts - 0.05) < 0.01, "seed \(seed): \(busts)")
        let cancels = Double(ledger.canceled.count { $0 }) / 2_000
        #expect(abs(cancels - 0.1) < 0.04, "seed \(seed): \(cancels)")
        let second = Double(ledger.secondBusts) / Double(ledger.bustedTrades)
        #expect(abs(second - 0.1) < 0.05, "seed \(seed): \(second)")
        let unknown = Double(ledger.unknownBusts) / Double(ledger.bustedTrades)
        #expect(abs(unknown - 0.05) < 0.04, "seed \(seed): \(unknown)")
        // The rarest of these comes about a handful of times in a draw, and so now and then in none: of several one has each.
        var happened = [0, 0, 0, 0, 0, 0]
        for draw in 0..<5 {
            let other = draw == 0 ? ledger : try drawn(seed: seed &+ UInt64(draw), rates: rates)
            let counts = [
                other.bustsAfterCancel, other.lateFills, other.raised, other.lowered, other.replacedToFilled,
                other.rejected,
            ]
            for (index, count) in counts.enumerated() { happened[index] += count }
            if happened.allSatisfy({ $0 > 0 }) { break }
        }
        #expect(happened.allSatisfy { $0 > 0 }, "seed \(seed): \(happened)")
    }

    @Test func `as many blocks get a request for another quantity as asked for`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var requested = Set<Int>()
        var rejected = 0
        var requests = 0
        for event in try ExecutionDraw(blocks: manyBlocks, seed: seed, rates: EventRates(replacePpm: 200_000)) {
            switch event.kind {
            case .replaced: requests += 1
            case .replaceRejected:
                requests += 1
                rejected += 1
            default: continue
            }
            requested.insert(event.block)
        }
        let share = Double(requested.count) / 2_000
        #expect(abs(share - 0.2) < 0.05, "seed \(seed): \(share)")
        #expect(requests > requested.count, "seed \(seed): some blocks more than once")
        let rejectedShare = Double(rejected) / Double(requests)
        #expect(abs(rejectedShare - 0.2) < 0.08, "seed \(seed): \(rejectedShare)")
    }

    @Test func `rates of 0 leave the fills as they are, and make a wanted number exact`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let plain = Array(try ExecutionDraw(blocks: manyBlocks, seed: seed, count: 30_000))
        let drawn = Array(try ExecutionDraw(blocks: manyBlocks, seed: seed, count: 30_000, rates: EventRates()))
        #expect(plain == drawn && drawn.count == 30_000, "seed \(seed)")
        // Up to the first correction the fills are the same with any rates.
        let rates = EventRates(bustPpm: 10_000, replacePpm: 10_000, cancelPpm: 10_000)
        let corrected = Array(try ExecutionDraw(blocks: manyBlocks, seed: seed, count: 30_000, rates: rates))
        let beginning = corrected.prefix { if case .trade = $0.kind { true } else { false } }
        #expect(!beginning.isEmpty && beginning.elementsEqual(plain.prefix(beginning.count)), "seed \(seed)")
    }

    @Test func `a wanted number is what comes out of the fills that no correction touches`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let ledger = try ledger(manyBlocks, seed: seed, count: 40_000, rates: EventRates(bustPpm: 100_000))
        #expect(ledger.faults.isEmpty, "seed \(seed): \(ledger.faults.prefix(3))")
        // Every busted execution is made up for by one more, but where 50 to 500 shares each don't allow it.
        let expected = 40_000 + ledger.bustedTrades
        #expect(abs(ledger.trades.count - expected) < expected / 100, "seed \(seed): \(ledger.trades.count)")
    }

    @Test func `a drawing ends even if every trade is busted and every block is replaced and canceled`() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        for rates in [
            EventRates(bustPpm: 1_000_000), EventRates(replacePpm: 1_000_000), EventRates(cancelPpm: 1_000_000),
            EventRates(bustPpm: 1_000_000, replacePpm: 1_000_000, cancelPpm: 1_000_000),
        ] {
            let ledger = try ledger(Array(manyBlocks.prefix(100)), seed: seed, rates: rates)
            #expect(ledger.faults.isEmpty, "seed \(seed): \(ledger.faults.prefix(3))")
            if rates.cancelPpm > 0 { #expect(ledger.canceled.allSatisfy { $0 }, "seed \(seed)") }
        }
    }

    @Test func `what is pending has a bound, however long the drawing is`() throws {
        let block = FillableBlock(
            id: BlockOrderID(1), code: "B1", side: .buy, quantity: 1_000_000, low: Price(ticks: 5),
            high: Price(ticks: 9))
        var draw = try ExecutionDraw(blocks: [block], seed: 1, rates: EventRates(bustPpm: 1_000_000))
        var most = 0
        while draw.next() != nil { most = max(most, draw.pending.count) }
        #expect(most < 1_000, "\(most)")
    }

    @Test func `a seed gives one drawing of corrections, of which a shorter one is the beginning`() throws {
        let blocks = Array(manyBlocks.prefix(30))
        let rates = EventRates(bustPpm: 100_000, replacePpm: 300_000, cancelPpm: 300_000)
        let whole = Array(try ExecutionDraw(blocks: blocks, seed: 5, rates: rates))
        var again = try ExecutionDraw(blocks: blocks, seed: 5, rates: rates)
        #expect((0..<200).compactMap { _ in again.next() } == Array(whole.prefix(200)))
        #expect(Array(again) == Array(whole.dropFirst(200)))
        #expect(Array(try ExecutionDraw(blocks: blocks, seed: 6, rates: rates)) != whole)
    }

    @Test func `an event becomes a report with the keys that it is given, a rejected request none`() throws {
        let blocks = Array(manyBlocks.prefix(40))
        let rates = EventRates(bustPpm: 200_000, replacePpm: 800_000, cancelPpm: 300_000)
        var unknown = Set<ExecutionID>()
        for event in try ExecutionDraw(blocks: blocks, seed: 5, rates: rates) {
            let report = event.execution(of: blocks) { ExecutionID(1000 + 2 * $0) }
            if case .replaceRejected = event.kind {
                #expect(report == nil)
                continue
            }
            let execution = try #require(report)
            #expect(execution.id == ExecutionID(1000 + 2 * event.ordinal))
            #expect(execution.blockOrder == blocks[event.block].id)
            #expect(execution.orderVersion == event.orderVersion && execution.orderQuantity == event.orderQuantity)
            switch event.kind {
            case .trade(let quantity, let price):
                #expect(execution.type == .trade && execution.quantity == quantity && execution.price == price)
            case .bust(let of?):
                #expect(execution.type == .tradeCancel && execution.reference == ExecutionID(1000 + 2 * of))
            case .bust:
                let reference = try #require(execution.reference)
                #expect(reference.rawValue > DrawnEvent.unknownExecutionBase)
                #expect(unknown.insert(reference).inserted, "no two busts name the same unknown execution")
            case .canceled: #expect(execution.type == .canceled && execution.quantity == 0)
            default: #expect(execution.type == .replaced && execution.price.ticks == 0)
            }
        }
        #expect(!unknown.isEmpty)
    }
}
