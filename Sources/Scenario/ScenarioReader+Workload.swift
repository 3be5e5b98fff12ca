// Reads `workload:`: the sizes of the stream, its corrections, its policies, and where real data come from.

import Diagnostics
import Glibc
import Measurement
import Model

/// A path of real data with the place that named it, so that a fault can point there.
struct DataPath {
    var path: String
    var source: String
    var line: Int?
    var field: String?
}

/// The workload as far as it could be read: what is nil was refused.
struct WorkloadValues {
    var executions: Int?
    var blocks: Int?
    var accountsPerBlock: Int? = ScenarioFile.Workload.accountsPerBlockDefault
    var partitions: Int? = ScenarioFile.Workload.partitionsDefault
    var skew = BlockSkew.uniform
    var routeDate: TradeDate?
    var securities: DataPath?
    var prices: DataPath?
    var bustPpm: Int64 = 0
    var replacePpm: Int64 = 0
    var cancelPpm: Int64 = 0
    var allocationPolicies: [AllocationPolicy]? = [.proRata]
    var minimumTicketLots: Int? = ScenarioFile.Workload.minimumTicketLotsDefault
    var lotSize: Int? = ScenarioFile.Workload.lotSizeDefault
    var routing = RoutingWay.setBased

    var checked: ScenarioFile.Workload? {
        guard let executions, let blocks, let accountsPerBlock, let partitions, let lotSize, let minimumTicketLots,
            let allocationPolicies
        else { return nil }
        return ScenarioFile.Workload(
            executions: executions, blocks: blocks, accountsPerBlock: accountsPerBlock, partitions: partitions,
            securitiesFile: securities?.path, pricesFolder: prices?.path, routeDate: routeDate, bustPpm: bustPpm,
            replacePpm: replacePpm, cancelPpm: cancelPpm, allocationPolicies: allocationPolicies,
            minimumTicketLots: Int64(minimumTicketLots), lotSize: Int64(lotSize), routing: routing,
            skew: skew)
    }
}

extension ScenarioReader {
    mutating func readWorkload(_ entry: YAMLEntry) {
        guard let all = entries(entry.value, field: entry.key, level: ScenarioFormat.workload) else { return }
        let keys = dropKeysOfOtherStages(all, ScenarioFormat.workload)
        let executionsEntry = required("executions", in: keys, line: entry.line, of: entry.key)
        let blocksEntry = required("blocks", in: keys, line: entry.line, of: entry.key)
        if let entry = executionsEntry { workload.executions = integer(entry, Limit.executions) }
        if let entry = blocksEntry { workload.blocks = integer(entry, Limit.blocks) }
        if let entry = keys["accounts_per_block"] {
            workload.accountsPerBlock = integer(entry, Limit.accountsPerBlock)
        }
        if let entry = keys["partitions"] { workload.partitions = integer(entry, Limit.partitions) }
        if let entry = keys["skew"] { readSkew(entry) }
        if let entry = keys["route_date"] { workload.routeDate = date(entry) }
        if let entry = keys["securities_file"] { workload.securities = dataPath(entry) }
        if let entry = keys["prices_folder"] { workload.prices = dataPath(entry) }
        if let entry = keys["lot_size"] { workload.lotSize = integer(entry, Limit.lotSize) }
        readCorrections(keys)
        readPolicies(keys)
        if let entry = keys["routing"] { workload.routing = word(entry, RoutingWay.self) ?? workload.routing }
        checkFit(keys, line: entry.line)
    }

    private mutating func readSkew(_ entry: YAMLEntry) {
        guard case .mapping = entry.value.content else {
            _ = word(entry, among: ["uniform"], forms: "uniform or { zipf: 0.99 }")
            return
        }
        guard let keys = entries(entry.value, field: entry.key, level: ScenarioFormat.skew),
            let theta = required("zipf", in: keys, line: entry.line, of: entry.key)
        else { return }
        if let thetaPpm = partsPerMillion(theta, Limit.zipfTheta) { workload.skew = .zipf(thetaPpm: thetaPpm) }
    }

    /// How often executions are reversed, and block orders changed.
    private mutating func readCorrections(_ keys: [String: YAMLEntry]) {
        if let entry = keys["busts"] { workload.bustPpm = partsPerMillion(entry, Limit.busts) ?? workload.bustPpm }
        if let entry = keys["replaces"] {
            workload.replacePpm = partsPerMillion(entry, Limit.changes) ?? workload.replacePpm
        }
        guard let entry = keys["cancels"], let cancels = partsPerMillion(entry, Limit.changes) else { return }
        workload.cancelPpm = cancels
        guard workload.replacePpm + workload.cancelPpm > 1_000_000 else { return }
        let expected = "at most 1 together with replaces: each is the share of block orders that it happens to"
        refuse(entry.value.line, entry.key, value: valueText(entry.value), expected)
    }

    /// How fills are divided: one name, or several that are dealt to the blocks in turn.
    private mutating func readPolicies(_ keys: [String: YAMLEntry]) {
        if let entry = keys["allocation_policies"] { workload.allocationPolicies = policies(entry) }
        guard let entry = keys["minimum_ticket_lots"] else { return }
        workload.minimumTicketLots = integer(entry, Limit.minimumTicketLots)
        // A value that was refused, or policies that were, have their own fault: a second one would say nothing new.
        guard workload.minimumTicketLots != nil, let policies = workload.allocationPolicies,
            !policies.contains(.proRataMinimumTicket)
        else { return }
        let expected =
            "\(AllocationPolicy.proRataMinimumTicket.rawValue) among allocation_policies, which alone has one"
        refuse(entry.line, entry.key, value: valueText(entry.value), expected)
    }

    private mutating func policies(_ entry: YAMLEntry) -> [AllocationPolicy]? {
        let words = AllocationPolicy.allCases.map(\.rawValue)
        let forms = "\(list(words, last: "or")), or a list of them"
        guard case .sequence(let items) = entry.value.content else {
            return word(entry, among: words, forms: forms).flatMap(AllocationPolicy.init(rawValue:)).map { [$0] }
        }
        guard Limit.policyCount.contains(items.count) else {
            let expected =
                items.isEmpty ? "\(forms), not an empty list" : "at most \(Limit.policyCount.upperBound) policies"
            refuse(entry.value.line, entry.key, value: items.isEmpty ? nil : String(items.count), expected)
            return nil
        }
        let known = items.map { item in
            word(YAMLEntry(key: entry.key, line: item.line, value: item), among: words)
                .flatMap(AllocationPolicy.init(rawValue:))
        }
        return known.contains(nil) ? nil : known.compactMap(\.self)
    }

    /// Each block needs an execution, and each account behind it a lot, whatever sizes the executions are drawn with.
    private mutating func checkFit(_ keys: [String: YAMLEntry], line: Int) {
        guard let executions = workload.executions, let blocks = workload.blocks else { return }
        let blocksLine = keys["blocks"]?.value.line
        guard blocks <= executions else {
            let expected = "at most \(executions): each block needs an execution (executions: \(executions))"
            return refuse(blocksLine, "blocks", value: String(blocks), expected)
        }
        // An execution has 275 shares on average, and a block order has a largest size.
        let executionsMaximum = Int(QuotaApportionment.totalMaximum) / 275
        guard executions / blocks <= executionsMaximum else {
            let least = (executions + executionsMaximum - 1) / executionsMaximum
            let expected = "at least \(least): a block has at most \(executionsMaximum) executions"
            return refuse(blocksLine, "blocks", value: String(blocks), expected)
        }
        guard let accountsPerBlock = workload.accountsPerBlock, let lotSize = workload.lotSize else { return }
        let perBlock = executions / blocks
        let shares = perBlock * ScenarioFile.Workload.sharesPerExecution.lowerBound
        let accountsMaximum = shares / lotSize
        guard accountsMaximum > 0 else {
            let expected = "at most \(shares): \(perBlock) executions a block can have as few as \(shares) shares"
            return refuse(keys["lot_size"]?.value.line, "lot_size", value: String(lotSize), expected)
        }
        guard accountsPerBlock <= accountsMaximum else {
            let need = lotSize == 1 ? "a share" : "a lot of \(lotSize) shares"
            let expected =
                "at most \(accountsMaximum): each account needs \(need), and \(perBlock) executions a block"
                + " can have as few as \(shares) shares"
            let accountsLine = keys["accounts_per_block"]?.value.line ?? line
            return refuse(accountsLine, "accounts_per_block", value: String(accountsPerBlock), expected)
        }
    }
}

// MARK: Real data

extension ScenarioReader {
    /// Puts the command line's paths in place of the file's, then insists on both or neither.
    mutating func overrideData(securitiesFile: String?, pricesFolder: String?) {
        if let securitiesFile { workload.securities = DataPath(path: securitiesFile, source: "--securities") }
        if let pricesFolder { workload.prices = DataPath(path: pricesFolder, source: "--prices") }
        if let securities = workload.securities, workload.prices == nil {
            refusePath(securities, "prices_folder or --prices with it")
        }
        if let prices = workload.prices, workload.securities == nil {
            refusePath(prices, "securities_file or --securities with it")
        }
    }

    /// Real data that isn't there would otherwise show after the services have started.
    mutating func checkDataPaths() {
        if let securities = workload.securities, kind(ofFile: securities.path) != S_IFREG {
            refusePath(securities, "a file that exists")
        }
        if let prices = workload.prices, kind(ofFile: prices.path) != S_IFDIR {
            refusePath(prices, "a folder that exists")
        }
    }

    private func kind(ofFile path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }

    private mutating func refusePath(_ data: DataPath, _ expected: String) {
        refuse(
            InputFault(source: data.source, line: data.line, field: data.field, value: data.path, expected: expected))
    }

    /// Relative to the file that names it.
    private mutating func dataPath(_ entry: YAMLEntry) -> DataPath? {
        guard let text = string(entry) else { return nil }
        let resolved = text.hasPrefix("/") ? text : folderPath(of: source) + text
        return DataPath(path: resolved, source: source, line: entry.value.line, field: entry.key)
    }
}
