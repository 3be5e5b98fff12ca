// Goal: generated rows obey the checks of their tables, depend on nothing but seed and key, and look like a market.

import Diagnostics
import Holdings
import Market
import Model
import Reference
import Seeding
import Testing

@Suite struct GeneratorTests {
    @Test func `trading days are weekdays that end on 14 November 2024`() {
        let dates = PriceGenerator(seed: 1, dayCount: 250).dates
        #expect(dates.count == 250)
        #expect(dates.last?.description == "2024-11-14")
        #expect(dates == dates.sorted() && Set(dates).count == 250)
        #expect(dates.allSatisfy { !$0.isWeekend })
        #expect(PriceGenerator(seed: 1, dayCount: 5).dates.map(\.description).first == "2024-11-08")
    }

    @Test func `every generated price bar is consistent, in whole cents, and some volumes are 0`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        let generator = PriceGenerator(seed: seed, dayCount: 400)
        var zeroVolumes = 0
        var moves = 0
        for key in 1...50 {
            let prices = generator.prices(of: SecurityID(Int64(key)))
            #expect(prices.map(\.date) == generator.dates)
            for price in prices {
                #expect(
                    price.low.ticks > 0 && price.low <= price.open && price.open <= price.high
                        && price.low <= price.close && price.close <= price.high && price.volume >= 0, "seed \(seed)")
                #expect(price.open.ticks % 100 == 0 && price.close.ticks % 100 == 0)
                zeroVolumes += price.volume == 0 ? 1 : 0
                moves += price.open != price.close ? 1 : 0
            }
        }
        #expect(zeroVolumes > 100 && moves > 10_000, "seed \(seed)")
    }

    @Test func `a history depends on seed and key alone`() {
        let prices = PriceGenerator(seed: 1, dayCount: 30).prices(of: SecurityID(3))
        #expect(prices == PriceGenerator(seed: 1, dayCount: 30).prices(of: SecurityID(3)))
        #expect(prices != PriceGenerator(seed: 2, dayCount: 30).prices(of: SecurityID(3)))
        #expect(prices.map(\.open) != PriceGenerator(seed: 1, dayCount: 30).prices(of: SecurityID(4)).map(\.open))
    }

    /// Pins the ticks: another machine or version must draw the same.
    @Test func `the walk of seed 1 starts where it always started`() {
        let first = PriceGenerator(seed: 1, dayCount: 3).prices(of: SecurityID(1))
        #expect(
            first.map { "\($0.open) \($0.high) \($0.low) \($0.close) \($0.volume)" } == [
                "26.5700 26.8500 26.3400 26.5100 3256968", "26.4100 26.5300 26.3500 26.4500 730702",
                "26.4400 26.6200 26.0100 26.1500 865830",
            ])
    }

    @Test func `generated securities have distinct symbols and keys from 1`() {
        let securities = (0..<2_000).map { SecurityGenerator(seed: 5, count: 2_000).security(at: $0) }
        #expect(Set(securities.map(\.symbol)).count == 2_000)
        #expect(securities.map(\.id.rawValue) == Array(1...2_000))
        #expect(Set(securities.map(\.sector)).count > 4)
    }

    @Test func `sizes have names and a misspelt name gets the nearest`() throws {
        #expect(SeedSizes.names == ["tiny", "small", "medium", "large"])
        for name in SeedSizes.names { try SeedSizes(name: name).validate() }
        let medium = try SeedSizes(name: "medium")
        #expect(medium.securities == 500 && medium.days == 250 && medium.accounts == 10_000)
        #expect(medium.accounts * medium.positionsPerAccount == 500_000)
        let near = #expect(throws: InputFault.self) { try SeedSizes(name: "medum") }
        #expect(
            near?.description
                == "--size: \"medum\": expected tiny, small, medium or large; did you mean \"medium\"?")
        let far = #expect(throws: InputFault.self) { try SeedSizes(name: "gigantic") }
        #expect(far?.description == "--size: \"gigantic\": expected tiny, small, medium or large")
    }

    @Test func `impossible sizes are refused, each with its flag`() throws {
        let sizes = SeedSizes(
            securities: 0, days: -1, managers: 2, managerGroups: 3, accounts: 0, positionsPerAccount: 9)
        let error = #expect(throws: InputError.self) { try sizes.validate() }
        #expect(
            error?.faults.map(\.description) == [
                "--securities-count: \"0\": expected 1 to 100000",
                "--days: \"-1\": expected 1 to 20000",
                "--manager-groups: \"3\": expected 1 to 2, the number of managers",
                "--accounts: \"0\": expected 1 to 100000000",
                "--positions-per-account: \"9\": expected 1 to 1, the number of securities",
            ])
        var tooMany = SeedSizes.tiny
        tooMany.positionsPerAccount = 21
        let one = #expect(throws: InputError.self) { try tooMany.validate() }
        #expect(
            one?.faults.map(\.description) == [
                "--positions-per-account: \"21\": expected 1 to 20, the number of securities"
            ])
    }

    @Test func `a routing day outside the generated history is refused`() throws {
        var plan = SeedPlan(seed: 1, sizes: .tiny)
        plan.routingDate = TradeDate(iso: "2024-11-10")
        let error = #expect(throws: InputError.self) { try plan.prepare() }
        #expect(
            error?.description == "--date: \"2024-11-10\": expected a weekday from 2024-10-18 to 2024-11-14")
    }
}
