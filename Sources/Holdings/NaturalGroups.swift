// The groups that natural holdings are rebalanced in: one per preferred sector, then one per risk class and band of net
// asset value. Pure: whole numbers, no database, any thread.

import Measurement
import Model

struct NaturalGroups {
    let seed: UInt64
    let securities: [TradableSecurity]
    /// Securities in each group's targets.
    let targetCount: Int

    private static let sectorGroupLimit = 6
    /// Accounts worth less, without a preference for one of the sectors, are in no group.
    private static let leastTicks = 500_000 * Price.ticksPerUnit
    private static let bandTicks = 3_000_000 * Price.ticksPerUnit

    /// In the order of ids: the first whose criteria an account meets is its own.
    func groups() -> [RebalancingGroup] {
        var groups: [RebalancingGroup] = []
        for sector in largestSectors() {
            var group = group(at: groups.count, name: "\(sector) preferred", sector: sector)
            group.sectorPreference = sector
            groups.append(group)
        }
        for risk in RiskClass.allCases {
            for isLarge in [false, true] {
                let name = "\(isLarge ? "Large" : "Small"), \(risk.rawValue.lowercased()) risk"
                var group = group(at: groups.count, name: name, sector: nil)
                group.riskClass = risk
                group.minimumTicks = isLarge ? Self.bandTicks : Self.leastTicks
                group.maximumTicks = isLarge ? nil : Self.bandTicks
                groups.append(group)
            }
        }
        return groups
    }

    /// Those with the most securities; of equally large ones the first by name.
    private func largestSectors() -> [String] {
        let counts = Dictionary(grouping: securities.map(\.sector)) { $0 }.mapValues(\.count)
        return sectors(of: securities).sorted { (counts[$0, default: 0], $1) > (counts[$1, default: 0], $0) }
            .prefix(Self.sectorGroupLimit).sorted()
    }

    private func group(at index: Int, name: String, sector: String?) -> RebalancingGroup {
        var random = SeededRandom(seed: seed, stream: HoldingsSource.Stream.groups, UInt64(index))
        let drawn = drawnSecurities(sector: sector, &random)
        // Tenths, fifths or thirds of an average weight: with 20 positions 0.4 to 1.4 % of the net asset value.
        let share = random.integer(in: 75...90)
        let mean = TargetWeight.unitsPerWhole * share / 100 / Int64(max(drawn.count, 1))
        let tolerance = mean / [10, 5, 3][Int(random.integer(in: 0...2))]
        let parts = drawn.map { _ in random.integer(in: 500...1_500) }
        let whole = max(parts.reduce(0, +), 1)
        let targets = zip(drawn, parts).map { security, part in
            RebalancingGroup.Target(
                securityID: security.id,
                weight: TargetWeight(units: TargetWeight.unitsPerWhole * share / 100 * part / whole))
        }
        return RebalancingGroup(
            id: Int64(index + 1), name: name, tolerance: TargetWeight(units: tolerance), targets: targets)
    }

    /// In the order of keys; with a sector, up to two thirds are of it.
    private func drawnSecurities(sector: String?, _ random: inout SeededRandom) -> [TradableSecurity] {
        var shuffled = securities
        for last in stride(from: shuffled.count - 1, to: 0, by: -1) {
            shuffled.swapAt(last, Int(random.integer(in: 0...Int64(last))))
        }
        let preferred = sector.map { sector in shuffled.filter { $0.sector == sector } } ?? []
        let others = sector.map { sector in shuffled.filter { $0.sector != sector } } ?? shuffled
        let first = Array(preferred.prefix(targetCount * 2 / 3))
        let drawn = (first + others + preferred.dropFirst(first.count)).prefix(targetCount)
        return drawn.sorted { $0.id < $1.id }
    }
}
