// The cursor equals the division itself wherever it goes, and tells every change and nothing else.

import Measurement
import Model
import Testing

@Suite struct DivisionCursorTests {
    /// Moves the cursor, checks what it tells, and returns the sum of changes.
    private func move(
        _ cursor: inout DivisionCursor, _ told: inout [Int64], to filled: Int64, _ context: String
    ) {
        var previous = -1
        var (isAscending, isChange, isExact) = (true, true, true)
        cursor.move(to: filled) { account, delta, cumulative in
            isAscending = isAscending && account > previous
            isChange = isChange && delta != 0
            isExact = isExact && told[account] + delta == cumulative
            previous = account
            told[account] = cumulative
        }
        #expect(isAscending && isChange && isExact, "\(context), to \(filled)")
        #expect(cursor.filled == filled)
    }

    @Test(arguments: AllocationPolicy.allCases)
    func `on random walks forward and back the cursor equals the division`(_ policy: AllocationPolicy) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<30 {
            let block = DrawnBlock.drawn(by: &random, policy: policy, accountsMaximum: 40, lotsMaximum: 60)
            let division = block.division
            var cursor = DivisionCursor(division)
            var told = block.ordered.map { _ in Int64(0) }
            var filled: Int64 = 0
            var path = "seed \(seed), \(block), path"
            for _ in 0..<40 {
                let step = random.integer(in: 1...max(1, block.total / random.integer(in: 1...40)))
                switch random.integer(in: 0...9) {
                case 0: filled = max(0, filled - step)
                case 1: filled = random.integer(in: 0...block.total)
                case 2: filled = random.integer(in: 0...20) == 0 ? filled + block.total : filled
                default: filled += step
                }
                if filled > block.total && random.integer(in: 0...3) > 0 { filled = block.total }
                path += " \(filled)"
                move(&cursor, &told, to: filled, path)
                #expect(told == division.allocate(filled), "\(path)")
                let held = told.indices.map { cursor.held(by: $0) }
                #expect(held == told, "\(path)")
            }
        }
    }

    @Test func `lot by lot the cursor equals the quota method's definition`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<60 {
            let block = DrawnBlock.drawn(by: &random, policy: .proRata, accountsMaximum: 20, lotsMaximum: 40)
            let reference = DivisionReference(block)
            var cursor = DivisionCursor(block.division)
            var told = block.ordered.map { _ in Int64(0) }
            for filled in stride(from: reference.lotSize, through: 2 * block.total, by: Int64.Stride(reference.lotSize))
            {
                move(&cursor, &told, to: filled, "seed \(seed), \(block)")
                #expect(told == reference.allocate(filled), "seed \(seed), \(block), filled \(filled)")
            }
        }
    }

    @Test func `a jump and the steps end in the same state, for skewed blocks too`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for round in 0..<4 {
            // Orders over several magnitudes: the tiny ones decide where a jump may begin.
            let accounts = random.integer(in: 2...30)
            let ordered = (0..<accounts).map { _ in
                let magnitude: Int64 = [1, 10, 100, 1_000][Int(random.integer(in: 0...3))]
                return random.integer(in: 1...magnitude)
            }
            let block = DrawnBlock(
                policy: .proRata, lotSize: 1, minimumTicketLots: 1, ordered: ordered,
                arrivals: ordered.indices.map(Int64.init))
            let division = block.division
            var stepping = DivisionCursor(division)
            for filled in 1...block.total {
                stepping.move(to: filled) { _, _, _ in }
                // A fresh cursor jumps; so does one that comes back from the end.
                if filled % (1 + block.total / 30) == 0 {
                    let held = ordered.indices.map { stepping.held(by: $0) }
                    #expect(division.allocate(filled) == held, "seed \(seed), round \(round), \(block), \(filled)")
                    var returning = stepping
                    returning.move(to: block.total) { _, _, _ in }
                    returning.move(to: filled) { _, _, _ in }
                    let returned = ordered.indices.map { returning.held(by: $0) }
                    #expect(returned == held, "seed \(seed), round \(round), \(block), \(filled)")
                    // And its queues go on as if it had never been elsewhere.
                    let further = min(block.total, filled + 7)
                    returning.move(to: further) { _, _, _ in }
                    let continued = ordered.indices.map { returning.held(by: $0) }
                    #expect(continued == division.allocate(further), "seed \(seed), round \(round), \(block)")
                }
            }
        }
    }

    @Test func `a thousand accounts, from snapshot to snapshot with busts`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        let ordered = (0..<1_000).map { _ in random.integer(in: 1...400) * 100 }
        let block = DrawnBlock(
            policy: .proRata, lotSize: 100, minimumTicketLots: 1, ordered: ordered, arrivals: ordered)
        let division = block.division
        var cursor = DivisionCursor(division)
        var told = ordered.map { _ in Int64(0) }
        var filled: Int64 = 0
        for step in 0..<8 {
            filled += random.integer(in: 1...(2 * block.total / 6))
            if step % 3 == 2 { filled -= random.integer(in: 1...(filled / 3)) }
            filled = min(filled, block.total)
            move(&cursor, &told, to: filled, "seed \(seed)")
            #expect(told == division.allocate(filled), "seed \(seed), step \(step), filled \(filled)")
            for (held, order) in zip(told, ordered) {
                #expect(abs(held * block.total - filled * order) < 100 * block.total, "seed \(seed), filled \(filled)")
            }
        }
    }

    @Test func `the largest blocks are followed without overflow`() {
        let largest = QuotaApportionment.totalMaximum
        for ordered: [Int64] in [[largest], [1, largest - 1], [largest / 2, largest / 2], [1, 1, largest - 2]] {
            let block = DrawnBlock(
                policy: .proRata, lotSize: 1, minimumTicketLots: 1, ordered: ordered, arrivals: ordered)
            var cursor = DivisionCursor(block.division)
            var told = ordered.map { _ in Int64(0) }
            for filled in [1, 999, largest / 2, largest - 1, largest, 5 * largest + 3, 7, 0] {
                move(&cursor, &told, to: filled, "\(block)")
                #expect(told.reduce(0, +) == filled)
                #expect(told == block.division.allocate(filled))
            }
        }
    }

    @Test func `standing still tells nothing`() {
        let block = DrawnBlock(
            policy: .proRata, lotSize: 10, minimumTicketLots: 1, ordered: [50, 30], arrivals: [1, 2])
        var cursor = DivisionCursor(block.division)
        var calls = 0
        cursor.move(to: 0) { _, _, _ in calls += 1 }
        cursor.move(to: 35) { _, _, _ in calls += 1 }
        #expect(calls == 2)
        cursor.move(to: 35) { _, _, _ in calls += 1 }
        #expect(calls == 2)
    }

    @Test func `a copy of a cursor goes its own way`() {
        let block = DrawnBlock(
            policy: .proRata, lotSize: 1, minimumTicketLots: 1, ordered: [50, 30, 20], arrivals: [1, 2, 3])
        var cursor = DivisionCursor(block.division)
        cursor.move(to: 40) { _, _, _ in }
        var copy = cursor
        copy.move(to: 99) { _, _, _ in }
        #expect((0..<3).map { cursor.held(by: $0) } == block.division.allocate(40))
        #expect((0..<3).map { copy.held(by: $0) } == block.division.allocate(99))
    }

    @Test func `an account costs at most 48 bytes`() {
        for policy in AllocationPolicy.allCases {
            let block = DrawnBlock(
                policy: policy, lotSize: 1, minimumTicketLots: 1, ordered: [5, 3], arrivals: [1, 2])
            #expect(DivisionCursor(block.division).bytesPerAccount <= 48)
        }
    }
}
