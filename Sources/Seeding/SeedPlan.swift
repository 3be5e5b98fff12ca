// What to seed, and the check of all of it before a database is touched. Price files are read on worker threads.

import CSV
public import Diagnostics
public import Holdings
import Market
public import Model
public import Reference
import Threads

/// What the tables of reference, market and holdings are to be made from.
public struct SeedPlan: Sendable {
    public enum Market: Sendable {
        case generated(securities: Int, days: Int)
        /// A file of securities and a folder with one price file per symbol.
        case files(securities: String, prices: String)
    }

    public enum Holdings: Sendable {
        /// Drifts of a few per cent; `SeedSizes` says how many rows.
        case natural(managers: Int, managerGroups: Int, accounts: Int, positionsPerAccount: Int)
        /// Exactly the block orders that a benchmark wants.
        case workload(WorkloadShape)
    }

    public var seed: UInt64
    public var market: Market
    public var holdings: Holdings
    /// The day whose opens the holdings are made for; nil for the last day that has a price.
    public var routingDate: TradeDate?
    /// How many shares make a lot.
    public var lotSizes = LotSizes.single

    public init(
        seed: UInt64, market: Market, holdings: Holdings, routingDate: TradeDate? = nil, lotSizes: LotSizes = .single
    ) {
        self.lotSizes = lotSizes
        self.seed = seed
        self.market = market
        self.holdings = holdings
        self.routingDate = routingDate
    }

    /// Everything generated, in the given sizes.
    public init(seed: UInt64, sizes: SeedSizes) {
        self.init(
            seed: seed, market: .generated(securities: sizes.securities, days: sizes.days), holdings: sizes.holdings)
    }

    /// Reads and checks every input. Throws all faults, up to a limit, in one error. Blocks; no database is involved.
    public func prepare(parallelism: Int = 2) throws(InputError) -> PreparedSeed {
        switch market {
        case .generated(let count, let days): try prepareGenerated(count: count, days: days)
        case .files(let securities, let prices):
            try prepareFiles(securities: securities, prices: prices, parallelism: parallelism)
        }
    }

    private func prepareGenerated(count: Int, days: Int) throws(InputError) -> PreparedSeed {
        let generator = PriceGenerator(seed: seed, dayCount: days)
        let date = routingDate ?? PriceGenerator.lastDate
        guard let day = generator.dates.firstIndex(of: date) else {
            throw InputError(
                InputFault(
                    source: "--date", value: date.description,
                    expected: "a weekday from \(generator.dates[0]) to \(PriceGenerator.lastDate)"))
        }
        let securities = inLots((0..<count).map { SecurityGenerator(seed: seed, count: count).security(at: $0) })
        let tradable = securities.map { self.tradable($0, open: generator.prices(of: $0.id)[day].open) }
        let holdings = try source(of: tradable)
        return PreparedSeed(
            seed: seed, routingDate: date, securities: securities,
            prices: .generated(generator), priceRowCounts: securities.map { _ in days },
            holdings: holdings, groups: holdings.groups(),
            marketWords: "generator: \(count) securities x \(days) days, lots of \(lotSizes)")
    }

    private func prepareFiles(
        securities path: String, prices folder: String, parallelism: Int
    ) throws(InputError) -> PreparedSeed {
        var faults = FaultCollector()
        let securities = inLots(SecurityFile.read(path: path, faults: &faults))
        let ids = Dictionary(uniqueKeysWithValues: securities.map { ($0.symbol, $0.id) })
        // A faulty file of securities must not make every price file look like a stranger.
        let files = PriceFolder.files(
            in: folder, securityIDs: faults.isEmpty ? ids : nil, securitiesPath: path, faults: &faults)
        let routingDate = routingDate
        let summaries = onWorkers(parallelism, itemCount: files.count) { files[$0].validate(openOn: routingDate) }
        summaries.forEach { faults.add($0.faults) }
        try faults.throwIfAny()

        guard let date = routingDate ?? summaries.compactMap(\.lastDate).max() else {
            throw InputError(InputFault(source: folder, expected: "a day with a price, found none"))
        }
        let byID = Dictionary(uniqueKeysWithValues: securities.map { ($0.id, $0) })
        let tradable = summaries.compactMap { summary -> TradableSecurity? in
            let open = routingDate == nil && summary.lastDate == date ? summary.openOnLastDate : summary.openOnDate
            guard let open, let security = byID[summary.securityID] else { return nil }
            return self.tradable(security, open: open)
        }
        guard !tradable.isEmpty else {
            throw InputError(
                InputFault(
                    source: "--date", value: date.description,
                    expected: "a day on which a file of \(folder) has a price"))
        }
        let holdings = try source(of: tradable.sorted { $0.id < $1.id })
        return PreparedSeed(
            seed: seed, routingDate: date, securities: securities, prices: .files(files),
            priceRowCounts: summaries.map(\.rowCount), holdings: holdings, groups: holdings.groups(),
            marketWords: "files: \(securities.count) securities, \(files.count) price files, lots of \(lotSizes)")
    }

    private func inLots(_ securities: [Security]) -> [Security] {
        securities.map { security in
            var security = security
            security.lotSize = lotSizes.lotSize(of: security.id, seed: seed)
            return security
        }
    }

    private func tradable(_ security: Security, open: Price) -> TradableSecurity {
        TradableSecurity(id: security.id, open: open, lotSize: security.lotSize, sector: security.sector)
    }

    private func source(of tradable: [TradableSecurity]) throws(InputError) -> HoldingsSource {
        do {
            switch holdings {
            case .natural(let managers, let groups, let accounts, let positions):
                return .natural(
                    try NaturalHoldings(
                        seed: seed, securities: tradable, managerCount: managers, managerGroupCount: groups,
                        accountCount: accounts, positionsPerAccount: positions))
            case .workload(let shape):
                return .workload(try WorkloadHoldings(seed: seed, securities: tradable, shape: shape))
            }
        } catch { throw InputError(error) }
    }
}

extension SeedSizes {
    /// The part of the sizes that files don't bring with them.
    public var holdings: SeedPlan.Holdings {
        .natural(
            managers: managers, managerGroups: managerGroups, accounts: accounts,
            positionsPerAccount: positionsPerAccount)
    }
}

/// A plan that was found good: what will be loaded, and how many rows of it.
public struct PreparedSeed: Sendable {
    enum Prices: Sendable {
        case generated(PriceGenerator)
        case files([PriceFile])
    }

    public let seed: UInt64
    public let routingDate: TradeDate
    public let securities: [Security]
    let prices: Prices
    /// By security when generated, by file otherwise.
    let priceRowCounts: [Int]
    public let holdings: HoldingsSource
    let groups: [RebalancingGroup]
    /// What the securities and prices are made from, in words.
    let marketWords: String

    public var priceCount: Int { priceRowCounts.reduce(0, +) }

    /// Rows by table, in the order they are loaded.
    public var rowCounts: [(table: String, rows: Int)] {
        [
            ("reference.securities", securities.count), ("holdings.managers", holdings.managerCount),
            ("orders.rebalancing_groups", groups.count),
            ("orders.group_targets", groups.reduce(0) { $0 + $1.targets.count }),
            ("market.daily_prices", priceCount), ("holdings.accounts", holdings.accountCount),
            ("holdings.positions", holdings.positionCount),
        ]
    }

    /// Hands over the prices of one security or file.
    func forEachPrice(inUnit unit: Int, _ body: (DailyPrice) throws -> Void) throws {
        switch prices {
        case .generated(let generator): try generator.prices(of: securities[unit].id).forEach(body)
        case .files(let files): try files[unit].forEach(body)
        }
    }
}
