// The verbs that run one stage at a time: schema, seed, route, execute. `run` does the same by itself.

import ChangeFeed
import Diagnostics
import Holdings
import Hosts
import Market
import Measurement
import Model
import Orders
import Postgres
import Reference
import Routing
import Scenario
import Seeding
import Services
import Threads
import Trades

enum StageCommands {
    static let schemaCreate = Verb(
        name: "schema create", summary: "Creates the six schemas where they are missing.", flags: TargetFlags.all
    ) { arguments in
        try TargetFlags.withConnection(arguments) { _, connection in try Schemas.create(on: connection) }
        return .success
    }

    static let schemaShow = Verb(
        name: "schema show", summary: "Prints what schema create sends, without a server.",
        flags: [Flag("--dialect", "NAME", "postgresql (default) or cockroachdb")]
    ) { arguments in
        print(Schemas.text(for: try arguments.word("--dialect", ServerDialect.self) ?? .postgresql), terminator: "")
        return .success
    }

    static let schemaDrop = Verb(
        name: "schema drop",
        summary: "Drops the six schemas with all their rows, that of the worker hosts, and the change feeds.",
        flags: TargetFlags.all
    ) { arguments in
        try TargetFlags.withConnection(arguments) { target, connection in
            let dropped = try Schemas.present(on: connection)
            try ChangeFeeds.dropAll(connection: target.connection)
            try Schemas.drop(on: connection)
            try HarnessSchema.drop(on: connection)
            let place = target.services.map {
                "the embedded database \(arguments.text("--name") ?? "allocbench") in \($0.state.path)"
            }
            print(
                "dropped \(dropped.isEmpty ? "nothing" : dropped.joined(separator: ", ")): \(place ?? target.connection.redacted)"
            )
        }
        return .success
    }

    static let schemaCheck = Verb(
        name: "schema check", summary: "Compares the database's tables with sql/; status 3 if they differ.",
        flags: TargetFlags.all
    ) { arguments in
        let differences = try TargetFlags.withConnection(arguments) { _, connection in
            try Schemas.check(on: connection)
        }
        differences.forEach { print($0) }
        if differences.isEmpty { print("the six schemas are as sql/ declares them") }
        return differences.isEmpty ? .success : .differencesFound
    }

    static let seed = Verb(
        name: "seed", summary: "Fills reference, market, holdings and groups: generated, or from files.",
        flags: [
            Flag("--size", "NAME", "tiny, small (default), medium or large"),
            Flag("--securities-count", "N", "securities, instead of the size's"),
            Flag("--days", "N", "days of prices"),
            Flag("--managers", "N", "managers"),
            Flag("--manager-groups", "N", "groups of managers; each aggregates its own block orders"),
            Flag("--accounts", "N", "accounts"),
            Flag("--positions-per-account", "N", "positions of each account"),
            Flag("--seed", "N", "seed of the generator (default 1)"),
            Flag("--lot-size", "N", "shares in a lot of every security, or mixed (default 1)"),
            Flag("--securities", "FILE", "real securities: a CSV; goes with --prices"),
            Flag("--prices", "DIR", "real prices: a folder with one CSV per symbol"),
            Flag("--date", "DAY", "the day whose opens the holdings are made for (default: the last one)"),
            Flag("--parallel", "N", "connections that load side by side (default 2)"),
            Flag("--replace", nil, "empties tables that hold rows, and the stages behind them"),
            Flag("--quiet", nil, "no progress"),
        ] + TargetFlags.all
    ) { arguments in
        var options = SeedCommand.Options()
        options.sizes = try sizes(arguments)
        options.seed = try arguments.seed() ?? 1
        if let text = arguments.text("--lot-size") {
            options.lotSizes = try LotSizes(text, source: "--lot-size")
        }
        options.securitiesFile = arguments.text("--securities")
        options.pricesFolder = arguments.text("--prices")
        options.routingDate = try TargetFlags.date(arguments)
        options.parallelism = try arguments.integer("--parallel", in: 1...64) ?? 2
        options.replace = arguments.has("--replace")
        options.quiet = arguments.has("--quiet")
        options.stop = Interrupt.flag
        let prepared = try SeedCommand.prepare(options)
        try TargetFlags.withConnection(arguments) { target, connection in
            try Schemas.create(on: connection)
            try SeedCommand.load(prepared, to: target.connection, options: options)
            // Only once the replacement stands: a refusal before it must leave everything as it was.
            if options.replace { try Schemas.emptyStages(behind: .holdings, on: connection) }
        }
        return .success
    }

    static let route = Verb(
        name: "route", summary: "Routes a trading day: accounts that drifted from their targets become block orders.",
        flags: [
            Flag("--date", "DAY", "the trade date (default: the last day that has prices)"),
            Flag("--policy", "NAMES", "how fills will be divided; several names go to the blocks in turn"),
            Flag("--minimum-ticket", "N", "lots that pro_rata_min_ticket gives an account at least (default 1)"),
            Flag("--replace", nil, "routes a day again; empties executions and allocations"),
            Flag("--events", nil, "by a change feed, a topic and routing workers instead of set-based; same tables"),
            Flag("--workers", "N", "routing workers (default \(RoutingConfiguration.workersDefault))"),
            Flag("--batch-size", "N", "requests a transaction (default \(RoutingConfiguration.batchSizeDefault))"),
            Flag("--topic", "NAME", "topic of the requests (default \(EventRoutingPlan.topicDefault))"),
            Flag("--partitions", "N", "partitions of the topic, when it is made (default 8)"),
        ] + TargetFlags.all
    ) { arguments in
        let wanted = try TargetFlags.date(arguments)
        let policies = try policies(arguments)
        let minimumTicketLots = try arguments.integer("--minimum-ticket", in: 1...1_000_000)
        let events = try eventFlags(arguments)
        let need = events == nil ? Target.BrokerNeed.none : .own
        let summary = try TargetFlags.withConnection(arguments, broker: need) { target, connection in
            try Schemas.create(on: connection)
            try SeedLoader.requireComplete(on: connection)
            var plan = RoutingPlan(date: try day(wanted, on: connection))
            plan.replace = arguments.has("--replace")
            plan.policies = policies
            plan.policyReason = "chosen by --policy"
            plan.minimumTicketLots = Int64(minimumTicketLots ?? 1)
            let forget = { (connection: PostgresConnection) in
                try Schemas.emptyStages(behind: .orders, on: connection)
            }
            guard var requests = events else {
                return try OrdersSource.route(plan, on: connection, onReplace: forget)
            }
            requests.routing = plan
            let result = try EventRouting.route(
                requests, target: target, on: connection, stop: Interrupt.flag, onReplace: forget)
            printFigures(result)
            return result.summary
        }
        print(
            "\(summary.date): \(summary.groupCount) groups, \(summary.requestCount) requests, "
                + "\(summary.customerOrderCount) customer orders, \(summary.blockOrderCount) block orders, "
                + "\(summary.quantity) shares")
        for (outcome, count) in summary.outcomes.sorted(by: { $0.key < $1.key }) {
            print("  left alone, \(outcome): \(count)")
        }
        return .success
    }

    /// How requests travel; nil unless `--events` is there.
    private static func eventFlags(_ arguments: ParsedArguments) throws -> EventRoutingPlan? {
        guard arguments.has("--events") else {
            for flag in ["--workers", "--batch-size", "--topic", "--partitions"] where arguments.has(flag) {
                throw InputError(InputFault(source: flag, value: arguments.text(flag), expected: "--events with it"))
            }
            return nil
        }
        // The date is known only when the database is.
        var plan = EventRoutingPlan(RoutingPlan(date: TradeDate(dayNumber: 0)))
        plan.topic = arguments.text("--topic") ?? plan.topic
        plan.partitions = try arguments.integer("--partitions", in: 1...256) ?? plan.partitions
        plan.workers = try arguments.integer("--workers", in: 1...256) ?? min(plan.workers, plan.partitions)
        plan.batchSize = try arguments.integer("--batch-size", in: 1...10_000) ?? plan.batchSize
        guard plan.workers <= plan.partitions || !arguments.has("--partitions") else {
            throw InputError(
                InputFault(
                    source: "--workers", value: String(plan.workers),
                    expected: "at most \(plan.partitions), the partitions of \(plan.topic)"))
        }
        return plan
    }

    private static func printFigures(_ result: EventRoutingResult) {
        let figures = result.figures
        for rejected in figures.rejected { print("  rejected: \(rejected)") }
        print(
            "\(figures.routedCount) requests routed by events in \(result.elapsedNanoseconds / 1_000_000) ms: "
                + "\(figures.transactionCount) transactions, \(figures.retryCount) retries, "
                + "\(figures.duplicateCount) duplicates, \(figures.rejectedCount) malformed messages")
    }

    static let execute = Verb(
        name: "execute",
        summary: "Draws executions of 50 to 500 shares until every block order of the day is filled or canceled.",
        flags: [
            Flag("--date", "DAY", "the trade date (default: the last day that has prices)"),
            Flag("--seed", "N", "seed of the drawing (default 1)"),
            Flag("--count", "N", "exactly so many executions, when nothing is corrected (default: as they fall)"),
            Flag("--busts", "P", "chance of an execution to be busted later, 0 to 1 (default 0)"),
            Flag("--replaces", "P", "chance of a block order that another quantity is requested (default 0)"),
            Flag("--cancels", "P", "chance of a block order to be canceled before it is filled (default 0)"),
            Flag("--txn-size", "N", "execution reports in one transaction, with --rate at most (default 1000)"),
            Flag("--rate", "N", "execution reports per second (default: all at once)"),
            Flag("--replace", nil, "forgets the day's executions first, and empties allocations"),
        ] + TargetFlags.all
    ) { arguments in
        let wanted = try TargetFlags.date(arguments)
        let seed = try arguments.seed() ?? 1
        let count = try arguments.integer("--count", in: 1...1_000_000_000)
        let bustPpm = try arguments.probabilityPpm("--busts") ?? 0
        let replacePpm = try arguments.probabilityPpm("--replaces") ?? 0
        let cancelPpm = try arguments.probabilityPpm("--cancels") ?? 0
        let transactionSize = try arguments.integer("--txn-size", in: 1...1_000_000)
        let rate = try arguments.rate("--rate")
        let summary = try TargetFlags.withConnection(arguments) { _, connection in
            try Schemas.create(on: connection)
            var plan = ExecutionPlan(date: try day(wanted, on: connection), seed: seed)
            plan.count = count.map(Int64.init)
            (plan.bustPpm, plan.replacePpm, plan.cancelPpm) = (bustPpm, replacePpm, cancelPpm)
            plan.transactionSize = transactionSize ?? plan.transactionSize
            plan.schedule = rate.map { .uniform(ratePerSecond: $0) } ?? .backlog
            plan.replace = arguments.has("--replace")
            return try TradesStore.execute(
                plan, on: connection, stop: Interrupt.flag,
                onReplace: { try Schemas.emptyStages(behind: .trades, on: $0) }, progress: { _ in })
        }
        let (drawn, isComplete) = (summary.written, summary.isComplete ? "yes" : "no")
        let before = summary.resumedCount > 0 ? " (\(summary.resumedCount) stood there before)" : ""
        if bustPpm + replacePpm + cancelPpm == 0 {
            print("\(drawn.trades) executions\(before), blocks complete: \(isComplete)")
        } else {
            print(
                "\(drawn.reports) execution reports\(before): \(drawn.trades) trades, \(drawn.busts) busts, "
                    + "\(drawn.cancels) cancels, \(drawn.replaces) replaces; \(drawn.rejectedRequests) requests rejected; "
                    + "blocks complete: \(isComplete)")
        }
        return summary.isComplete ? .success : .interrupted
    }

    private static func day(_ wanted: TradeDate?, on connection: PostgresConnection) throws -> TradeDate {
        if let wanted { return wanted }
        guard let last = try MarketStore.latestDate(on: connection) else {
            throw OperatingError("there are no prices", remedy: "seed first: allocbench seed")
        }
        return last
    }

    private static func policies(_ arguments: ParsedArguments) throws -> [AllocationPolicy] {
        guard let text = arguments.text("--policy") else { return [.proRata] }
        return try text.split(separator: ",", omittingEmptySubsequences: false).map { name in
            if let policy = AllocationPolicy(rawValue: String(name)) { return policy }
            let names = AllocationPolicy.allCases.map(\.rawValue)
            let near = nearestWord(to: String(name), among: names).map { "; did you mean \"\($0)\"?" } ?? ""
            throw InputError(
                InputFault(
                    source: "--policy", value: String(name), expected: "\(names.joined(separator: ", "))\(near)"))
        }
    }

    private static func sizes(_ arguments: ParsedArguments) throws -> SeedSizes {
        var sizes = try SeedSizes(name: arguments.text("--size") ?? "small")
        let fields: [(String, WritableKeyPath<SeedSizes, Int>)] = [
            ("--securities-count", \.securities), ("--days", \.days), ("--managers", \.managers),
            ("--manager-groups", \.managerGroups), ("--accounts", \.accounts),
            ("--positions-per-account", \.positionsPerAccount),
        ]
        for (flag, field) in fields {
            if let value = try arguments.integer(flag) { sizes[keyPath: field] = value }
        }
        return sizes
    }
}
