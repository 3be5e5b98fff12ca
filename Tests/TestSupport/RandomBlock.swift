// Random block orders with everything that can happen to one, for property tests. The same seed gives the same block. It
// shares nothing with the drawing of the trades stage: that one draws a trading day, this one looks for trouble.

public import Measurement
public import Model

/// A block order, the accounts behind it, and the reports on it in the order in which the market makes them.
public struct RandomBlock: Sendable {
    /// How large blocks get. Sizes are spread evenly over their magnitudes, so that most blocks are small.
    public struct Limits: Sendable {
        public var accounts: Int64 = 200
        public var lotsPerAccount: Int64 = 60
        public var lotSize: Int64 = 100
        public var reports: Int64 = 500
        /// Nil draws one of all.
        public var policy: AllocationPolicy?

        public init(policy: AllocationPolicy? = nil) { self.policy = policy }
    }

    public let id: BlockOrderID
    public let side: Side
    public let policy: AllocationPolicy
    public let lotSize: Int64
    public let minimumTicketLots: Int64
    /// In ascending order, with gaps.
    public let accounts: [AccountID]
    public let ordered: [Int64]
    /// The customer order of each account; all different, in any order.
    public let arrivals: [Int64]
    public private(set) var reports: [Execution] = []

    /// Shares that the accounts ordered together.
    public var quantity: Int64 { ordered.reduce(0, +) }

    public init(id: BlockOrderID, random: inout SeededRandom, limits: Limits = Limits()) {
        self.id = id
        side = random.chance(500) ? .buy : .sell
        policy =
            limits.policy
            ?? AllocationPolicy.allCases[Int(random.integer(in: 0...Int64(AllocationPolicy.allCases.count - 1)))]
        let lot = random.magnitude(limits.lotSize)
        lotSize = lot
        minimumTicketLots = random.magnitude(20)
        let count = Int(random.magnitude(limits.accounts))
        // Often everyone wants the same, or almost: that is where ties are.
        let common: Int64? = random.chance(250) ? random.magnitude(limits.lotsPerAccount) : nil
        var ordered: [Int64] = []
        for _ in 0..<count {
            let lots = common.map { $0 + random.integer(in: 0...1) } ?? random.magnitude(limits.lotsPerAccount)
            ordered.append(lots * lot)
        }
        if random.chance(100) { ordered[Int(random.integer(in: 0...Int64(count - 1)))] += random.magnitude(99) }
        self.ordered = ordered
        var account: Int64 = 0
        accounts = ordered.map { _ in
            account += random.magnitude(9)
            return AccountID(account)
        }
        arrivals = (1...Int64(count)).map { id.rawValue * 1_000 + $0 }.shuffled(using: &random)
        reports = Market(block: self, random: random, limits: limits).reports
        // What the market drew with is a copy, so the caller's generator goes on elsewhere.
        _ = random.next()
    }

    /// The reports as they may arrive: some of them again, in another order, cut into transactions.
    public func delivery(_ random: inout SeededRandom) -> [[Execution]] {
        var messages = reports
        if random.chance(600) {
            for report in reports where random.chance(100) {
                for _ in 0..<random.magnitude(3) { messages.append(report) }
            }
        }
        switch random.integer(in: 0...3) {
        case 0: messages.sort { $0.id < $1.id }
        case 1:
            // Almost in order: nothing is more than a few places away.
            let places = messages.sorted { $0.id < $1.id }.enumerated().map {
                (place: Int64($0) + random.integer(in: 0...8), message: $1)
            }
            messages = places.sorted { ($0.place, $0.message.id) < ($1.place, $1.message.id) }.map(\.message)
        case 2: messages = messages.sorted { $0.id > $1.id }
        default: messages.shuffle(using: &random)
        }
        let largest = random.magnitude(Int64(messages.count))
        var transactions: [[Execution]] = []
        var rest = messages[...]
        while !rest.isEmpty {
            let size = Int(random.integer(in: 1...largest))
            transactions.append(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        return transactions
    }
}

extension SeededRandom {
    /// True so many times in a thousand.
    public mutating func chance(_ perThousand: Int64) -> Bool { integer(in: 1...1_000) <= perThousand }

    /// A number from 1 to `maximum`, every power of two as likely as the next.
    public mutating func magnitude(_ maximum: Int64) -> Int64 {
        let bits = Int64(Int64.bitWidth - maximum.leadingZeroBitCount - 1)
        let low = Int64(1) << integer(in: 0...bits)
        return integer(in: low...min(2 * low - 1, maximum))
    }
}

/// What the market makes of one block order: it knows what is live, what is left and whether a change is legal.
private struct Market {
    let block: RandomBlock
    var random: SeededRandom
    let limits: RandomBlock.Limits
    var reports: [Execution] = []
    private var nextID: Int64
    private var cumQuantity: Int64 = 0
    private var orderQuantity: Int64
    private var version: Int64 = 0
    private var isCanceled = false
    private var trades: [(id: ExecutionID, quantity: Int64, isLive: Bool)] = []
    private let basePrice: Int64
    private let priceRange: Int64

    init(block: RandomBlock, random: SeededRandom, limits: RandomBlock.Limits) {
        self.block = block
        self.random = random
        self.limits = limits
        nextID = block.id.rawValue * 1_000_000
        orderQuantity = block.quantity
        basePrice = self.random.magnitude(20_000_000)
        priceRange = self.random.chance(200) ? 0 : self.random.magnitude(10_000)
        run()
    }

    private mutating func run() {
        let count = random.magnitude(limits.reports)
        let usual = max(1, 2 * block.quantity / count)
        let trouble = random.integer(in: 0...300)
        for _ in 0..<count {
            guard random.chance(trouble) else {
                fill(random.integer(in: 1...usual))
                continue
            }
            switch random.integer(in: 0...9) {
            case 0...5: bust()
            case 6...7: replace()
            case 8: if random.chance(300) { cancel() }
            default: report(.tradeCancel, reference: ExecutionID(nextID + 500_000))
            }
        }
        // Most blocks end filled.
        if random.chance(600) { fill(orderQuantity - cumQuantity) }
        if reports.isEmpty { fill(1) }
    }

    private mutating func fill(_ wanted: Int64) {
        let room = orderQuantity - cumQuantity
        // After a cancel only what was on its way still comes.
        guard room > 0, wanted > 0, !isCanceled || random.chance(100) else { return }
        let quantity = min(wanted, room)
        cumQuantity += quantity
        trades.append((ExecutionID(nextID + 1), quantity, true))
        report(.trade, quantity: quantity, price: Price(ticks: basePrice + random.integer(in: 0...priceRange)))
    }

    /// Of any execution, the one that is busted already included.
    private mutating func bust() {
        guard !trades.isEmpty else { return }
        let index = Int(random.integer(in: 0...Int64(trades.count - 1)))
        if trades[index].isLive { cumQuantity -= trades[index].quantity }
        trades[index].isLive = false
        report(.tradeCancel, reference: trades[index].id)
    }

    private mutating func replace() {
        guard !isCanceled else { return }
        let lowest = max(1, cumQuantity)
        let highest = max(lowest, random.chance(300) ? 3 * block.quantity : block.quantity)
        orderQuantity = random.chance(150) ? lowest : random.integer(in: lowest...highest)
        version += 1
        report(.replaced)
    }

    private mutating func cancel() {
        // A filled order has nothing left to cancel.
        guard !isCanceled, cumQuantity < orderQuantity else { return }
        isCanceled = true
        version += 1
        report(.canceled)
    }

    private mutating func report(
        _ type: ExecType, reference: ExecutionID? = nil, quantity: Int64 = 0, price: Price = Price(ticks: 0)
    ) {
        nextID += 1
        reports.append(
            Execution(
                id: ExecutionID(nextID), type: type, reference: reference, blockOrder: block.id,
                orderVersion: version, orderQuantity: orderQuantity, quantity: quantity, price: price))
    }
}
