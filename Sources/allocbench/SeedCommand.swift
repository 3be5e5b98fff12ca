// `allocbench seed`: fills reference, market and holdings, and the rebalancing groups of orders. Runs on the main thread; the loader has its own threads.

import Diagnostics
import Glibc
import Holdings
import Measurement
import Model
import Postgres
import Reference
import Report
import Seeding
import Threads

enum SeedCommand {
    struct Options {
        /// With files, only the part that is about managers, accounts and positions counts.
        var sizes = SeedSizes.small
        /// Instead of the holdings of `sizes`: holdings that route into exactly these blocks.
        var workload: WorkloadShape?
        var seed: UInt64 = 1
        /// Both or neither.
        var securitiesFile: String?
        var pricesFolder: String?
        /// The day whose opens the holdings are made for; nil for the last one.
        var routingDate: TradeDate?
        /// How many shares make a lot.
        var lotSizes = LotSizes.single
        /// Connections that load side by side.
        var parallelism = 2
        /// Empties tables that hold rows instead of refusing them.
        var replace = false
        /// No progress, only the summary.
        var quiet = false
        /// Ends the seed when set; nothing stays in the tables.
        var stop = StopFlag()
    }

    /// Reads and checks all input; nothing is connected yet.
    static func prepare(_ options: Options) throws -> PreparedSeed {
        try plan(options).prepare(parallelism: options.parallelism)
    }

    static func load(_ prepared: PreparedSeed, to info: ConnectionInfo, options: Options) throws {
        let start = monotonicNow()
        let display = ProgressDisplay(isTerminal: isatty(STDERR_FILENO) == 1)
        let summary = try SeedLoader(connectionInfo: info, parallelism: options.parallelism).load(
            prepared, replace: options.replace, stop: options.stop
        ) { progress in
            if !options.quiet { display.show(progress) }
        }
        display.finish()
        let seconds = Double(monotonicNow() - start) / 1e9
        for line in summaryLines(summary, seconds: seconds) { print(line) }
    }

    private static func plan(_ options: Options) throws -> SeedPlan {
        if !(1...64).contains(options.parallelism) {
            throw InputError(
                InputFault(source: "--parallel", value: String(options.parallelism), expected: "1 to 64"))
        }
        let market: SeedPlan.Market
        var sizes = options.sizes
        switch (options.securitiesFile, options.pricesFolder) {
        case (let securities?, let prices?):
            market = .files(securities: securities, prices: prices)
            // How many securities have a price is known once the files are read; it is checked then.
            sizes.securities = max(1, sizes.positionsPerAccount)
            sizes.days = 1
        case (nil, nil): market = .generated(securities: sizes.securities, days: sizes.days)
        case (_?, nil):
            throw InputError(
                InputFault(source: "--securities", expected: "--prices beside it, a folder of price files"))
        case (nil, _?):
            throw InputError(InputFault(source: "--prices", expected: "--securities beside it, a file of securities"))
        }
        if let workload = options.workload {
            return SeedPlan(
                seed: options.seed, market: market, holdings: .workload(workload), routingDate: options.routingDate,
                lotSizes: options.lotSizes)
        }
        try sizes.validate()
        return SeedPlan(
            seed: options.seed, market: market, holdings: sizes.holdings, routingDate: options.routingDate,
            lotSizes: options.lotSizes)
    }

    private static func summaryLines(_ summary: SeedSummary, seconds: Double) -> [String] {
        let width = summary.tables.map(\.table.count).max() ?? 0
        let numberWidth = summary.tables.map { grouped($0.rows).count }.max() ?? 0
        let rows = summary.tables.map { table in
            "\(padded(table.table, width))  \(leftPadded(grouped(table.rows), numberWidth)) rows"
        }
        let perSecond = Int(Double(summary.rowCount) / max(seconds, 0.001))
        return rows + [
            "seeded \(grouped(summary.rowCount)) rows in \(tenths(seconds)) s, \(grouped(perSecond)) rows/s; "
                + "route with --date \(summary.routingDate)"
        ]
    }
}

/// Shows progress on standard error: one line that is drawn over on a terminal, a line now and then elsewhere.
private final class ProgressDisplay {
    private let isTerminal: Bool
    private let start = monotonicNow()
    private var lastPlainLine = monotonicNow()
    private var hasBar = false

    init(isTerminal: Bool) { self.isTerminal = isTerminal }

    func show(_ progress: SeedProgress) {
        let isDone = progress.rowsDone == progress.rowsTotal
        if isTerminal {
            hasBar = true
            write("\r" + progressBar(progress, width: 30) + "\u{1B}[K")
        } else if isDone || monotonicNow() - lastPlainLine >= 2_000_000_000 {
            lastPlainLine = monotonicNow()
            let parts = progress.tables.map { "\($0.name) \($0.rowsDone)/\($0.rowsTotal)" }
            write("seed: \(tenths(Double(monotonicNow() - start) / 1e9)) s: \(parts.joined(separator: ", "))\n")
        }
    }

    func finish() {
        if hasBar { write("\n") }
    }

    /// C's `stderr` is a mutable global, which Swift 6 refuses; its descriptor is the same file, unbuffered.
    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
    }
}

private func progressBar(_ progress: SeedProgress, width: Int) -> String {
    let total = max(progress.rowsTotal, 1)
    let filled = min(width, progress.rowsDone * width / total)
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    let current = progress.tables.first { $0.rowsDone < $0.rowsTotal }?.name ?? "done"
    return "[\(bar)] \(progress.rowsDone * 100 / total)% \(grouped(progress.rowsDone))"
        + "/\(grouped(progress.rowsTotal)) rows  \(current)"
}

private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

private func leftPadded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

private func tenths(_ seconds: Double) -> String { decimal(seconds, decimals: 1) }
