// Every policy against its definition, and the bounds that each of them promises.

import Measurement
import Model
import Testing

@Suite struct BlockDivisionTests {
    @Test(arguments: AllocationPolicy.allCases)
    func `every filled quantity of random blocks equals the policy's definition`(_ policy: AllocationPolicy) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<60 {
            let block = DrawnBlock.drawn(by: &random, policy: policy, accountsMaximum: 12, lotsMaximum: 25)
            let (division, reference) = (block.division, DivisionReference(block))
            #expect(division.lotSize == reference.lotSize, "seed \(seed), \(block)")
            for lots in 0...block.total / division.lotSize {
                var filled = lots * division.lotSize
                // An odd number of shares in between, where the lot leaves room for one.
                if division.lotSize > 1 { filled += random.integer(in: 0...(division.lotSize - 1)) }
                filled = min(filled, block.total)
                #expect(
                    division.allocate(filled) == reference.allocate(filled), "seed \(seed), \(block), filled \(filled)")
            }
        }
    }

    @Test(arguments: AllocationPolicy.allCases)
    func `every policy gives out exactly what is filled, never more than ordered, and all at the end`(
        _ policy: AllocationPolicy
    ) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<25 {
            let block = DrawnBlock.drawn(by: &random, policy: policy, accountsMaximum: 200, lotsMaximum: 500)
            let division = block.division
            #expect(division.allocate(0) == block.ordered.map { _ in 0 })
            #expect(division.allocate(block.total) == block.ordered, "seed \(seed), \(block)")
            for _ in 0..<10 {
                let filled = random.integer(in: 0...block.total)
                let allocated = division.allocate(filled)
                #expect(allocated.reduce(0, +) == filled, "seed \(seed), \(block), filled \(filled)")
                let isWithin = zip(allocated, block.ordered).allSatisfy { (0...$1).contains($0) }
                #expect(isWithin, "seed \(seed), \(block), filled \(filled)")
            }
        }
    }

    @Test(arguments: AllocationPolicy.allCases)
    func `beyond the total every account gets its whole order again before the rest is divided`(
        _ policy: AllocationPolicy
    ) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<50 {
            let block = DrawnBlock.drawn(by: &random, policy: policy, accountsMaximum: 10, lotsMaximum: 20)
            let (division, reference) = (block.division, DivisionReference(block))
            for _ in 0..<10 {
                let filled = random.integer(in: block.total...(4 * block.total))
                let allocated = division.allocate(filled)
                #expect(allocated == reference.allocate(filled), "seed \(seed), \(block), filled \(filled)")
                #expect(allocated.reduce(0, +) == filled, "seed \(seed), \(block), filled \(filled)")
            }
        }
    }

    @Test(arguments: AllocationPolicy.allCases.filter { !$0.mayTakeBack })
    func `no account loses a share while fills arrive`(_ policy: AllocationPolicy) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<40 {
            let block = DrawnBlock.drawn(by: &random, policy: policy, accountsMaximum: 15, lotsMaximum: 30)
            let division = block.division
            let step = max(1, block.total / 300)
            var previous = division.allocate(0)
            for filled in stride(from: step, through: 2 * block.total, by: Int64.Stride(step)) {
                let allocated = division.allocate(filled)
                let neverFell = zip(previous, allocated).allSatisfy { $0 <= $1 }
                #expect(neverFell, "seed \(seed), \(block), filled \(filled)")
                previous = allocated
            }
        }
    }

    @Test(arguments: [AllocationPolicy.proRata, .largestRemainder])
    func `pro rata and largest remainders stay within one lot of the exact proportion`(_ policy: AllocationPolicy) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<100 {
            let block = DrawnBlock.drawn(by: &random, policy: policy, accountsMaximum: 50, lotsMaximum: 300)
            let (division, total) = (block.division, block.total)
            // Odd shares too: what goes beyond whole lots must not break the bound of the quota method either.
            let isWhole = policy == .largestRemainder
            for _ in 0..<20 {
                var filled = random.integer(in: 0...total)
                if isWhole { filled -= filled % division.lotSize }
                for (allocated, ordered) in zip(division.allocate(filled), block.ordered) {
                    let deviation = abs(allocated * total - filled * ordered)
                    #expect(deviation < division.lotSize * total, "seed \(seed), \(block), filled \(filled)")
                }
            }
        }
    }

    @Test func `under a minimum ticket at most one account holds less than it`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        var smallTickets = 0
        for _ in 0..<200 {
            let block = DrawnBlock.drawn(
                by: &random, policy: .proRataMinimumTicket, accountsMaximum: 30, lotsMaximum: 12)
            let division = block.division
            for _ in 0..<10 {
                let filled = random.integer(in: 0...(block.total / division.lotSize)) * division.lotSize
                let allocated = division.allocate(filled)
                let small = block.ordered.indices.filter {
                    allocated[$0] > 0
                        && allocated[$0] < min(block.ordered[$0], block.minimumTicketLots * division.lotSize)
                }
                #expect(small.count <= 1, "seed \(seed), \(block), filled \(filled): \(allocated)")
                smallTickets += small.count
            }
        }
        #expect(smallTickets > 0, "the case must occur: seed \(seed)")
    }

    @Test func `a receiver that cannot reach its minimum is passed over for one that can`() {
        // Of 10 lots, 100 : 40 : 30 get 6 : 2 : 2 by the quota method. The minimum of 3 takes both small shares.
        let block = DrawnBlock(
            policy: .proRataMinimumTicket, lotSize: 1, minimumTicketLots: 3, ordered: [100, 40, 30],
            arrivals: [9, 8, 7])
        #expect(DivisionReference.byQuota(block.ordered)[10] == [6, 2, 2])
        // The last account came first, was itself below the minimum, and takes all four lots.
        #expect(block.division.allocate(10) == [6, 0, 4])
        // With a minimum of 5 it cannot reach that, nor can the second: both are passed over.
        var stricter = block
        stricter.minimumTicketLots = 5
        #expect(stricter.division.allocate(10) == [10, 0, 0])
        // Where nobody has a share to keep, the first to arrive holds the small ticket.
        #expect(stricter.division.allocate(2) == [0, 0, 2])
    }

    @Test func `a minimum ticket of one lot is pro rata`() {
        let ordered: [Int64] = [500, 1_300, 200, 900]
        for filled in stride(from: Int64(0), through: 2_900, by: 50) {
            let minimum = division(.proRataMinimumTicket, lot: 100, ordered).allocate(filled)
            #expect(minimum == division(.proRata, lot: 100, ordered).allocate(filled))
        }
    }

    @Test func `the largest remainders take a share back, the quota method doesn't`() {
        #expect(division(.largestRemainder, [5, 3, 1]).allocate(4) == [2, 1, 1])
        #expect(division(.largestRemainder, [5, 3, 1]).allocate(5) == [3, 2, 0])
        #expect(AllocationPolicy.largestRemainder.mayTakeBack)
        let (four, five) = (division(.proRata, [5, 3, 1]).allocate(4), division(.proRata, [5, 3, 1]).allocate(5))
        #expect(zip(four, five).allSatisfy { $0 <= $1 })
    }

    @Test func `the minimum ticket may take shares back, and says so`() {
        // The first account holds what the second's small share gave up, until that share reaches its minimum.
        let block = DrawnBlock(
            policy: .proRataMinimumTicket, lotSize: 1, minimumTicketLots: 2, ordered: [4, 4], arrivals: [2, 1])
        #expect(block.division.allocate(3) == [3, 0])
        #expect(block.division.allocate(4) == [2, 2])
        #expect(AllocationPolicy.proRataMinimumTicket.mayTakeBack)
    }

    @Test func `ties go to the smallest account, under every policy`() {
        let ordered: [Int64] = [10, 10, 10]
        for policy in [AllocationPolicy.proRata, .proRataMinimumTicket, .equal, .largestRemainder] {
            #expect(division(policy, ordered).allocate(1) == [1, 0, 0], "\(policy)")
            #expect(division(policy, ordered).allocate(2) == [1, 1, 0], "\(policy)")
            #expect(division(policy, ordered).allocate(4) == [2, 1, 1], "\(policy)")
        }
        // One customer order for all three: arrival is a tie too.
        let together = DrawnBlock(
            policy: .timePriority, lotSize: 1, minimumTicketLots: 1, ordered: ordered, arrivals: [7, 7, 7])
        #expect(together.division.allocate(15) == [10, 5, 0])
    }

    @Test func `time priority fills the earlier order first, whatever its account`() {
        let block = DrawnBlock(
            policy: .timePriority, lotSize: 100, minimumTicketLots: 1, ordered: [300, 200, 400],
            arrivals: [30, 10, 20])
        #expect(block.division.allocate(200) == [0, 200, 0])
        #expect(block.division.allocate(650) == [50, 200, 400])
        #expect(block.division.allocate(249) == [0, 200, 49])
    }

    @Test func `equal rounds pass over whoever is satisfied`() {
        #expect(division(.equal, [1, 5, 2, 5]).allocate(9) == [1, 3, 2, 3])
        #expect(division(.equal, [1, 5, 2, 5]).allocate(8) == [1, 3, 2, 2])
        #expect(division(.equal, lot: 100, [100, 500, 200]).allocate(650) == [100, 350, 200])
    }

    @Test func `one odd order makes the whole block divisible in single shares`() {
        #expect(division(.proRata, lot: 100, [300, 300]).lotSize == 100)
        #expect(division(.proRata, lot: 100, [300, 300]).allocate(150) == [100, 50])
        #expect(division(.proRata, lot: 100, [300, 301]).lotSize == 1)
        #expect(division(.proRata, lot: 100, [300, 301]).allocate(150) == [75, 75])
    }

    @Test func `odd shares go to the account that gets the next lot`() {
        let block = division(.proRata, lot: 100, [500, 300, 100])
        for lots: Int64 in 0..<9 {
            let (before, after) = (block.allocate(lots * 100), block.allocate(lots * 100 + 100))
            let next = before.indices.first { after[$0] > before[$0] }
            for odd: Int64 in [1, 50, 99] {
                var expected = before
                expected[next!] += odd
                #expect(block.allocate(lots * 100 + odd) == expected)
            }
        }
    }

    @Test(arguments: AllocationPolicy.allCases)
    func `the largest block of a thousand accounts is divided without overflow`(_ policy: AllocationPolicy) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        var ordered = (0..<999).map { _ in random.integer(in: 1...2_000_000) }
        ordered.append(QuotaApportionment.totalMaximum - ordered.reduce(0, +))
        let block = DrawnBlock(
            policy: policy, lotSize: 1, minimumTicketLots: 1_000, ordered: ordered,
            arrivals: ordered.indices.map { Int64($0 * 7_919 % 1_000) })
        let division = block.division
        #expect(division.total == 2_000_000_000)
        for filled in [1, 2_000_000_000, 7_777_777_777, 2_000_001_000] {
            #expect(division.allocate(Int64(filled)).reduce(0, +) == Int64(filled), "seed \(seed), filled \(filled)")
        }
    }

    @Test(arguments: AllocationPolicy.allCases)
    func `a thousand accounts equal the definition`(_ policy: AllocationPolicy) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        let block = DrawnBlock(
            policy: policy, lotSize: 10, minimumTicketLots: 2,
            ordered: (0..<1_000).map { _ in random.integer(in: 1...3) * 10 },
            arrivals: (0..<1_000).map { _ in random.integer(in: 1...1_000_000) })
        let (division, reference) = (block.division, DivisionReference(block))
        for _ in 0..<4 {
            let filled = random.integer(in: 0...(3 * block.total))
            #expect(division.allocate(filled) == reference.allocate(filled), "seed \(seed), filled \(filled)")
        }
    }

    private func division(_ policy: AllocationPolicy, lot: Int64 = 1, _ ordered: [Int64]) -> BlockDivision {
        BlockDivision(
            policy: policy, lotSize: lot, minimumTicketLots: 1, ordered: ordered,
            arrivals: ordered.indices.map(Int64.init)
        )
    }
}
