// What the worker hosts of a cell were, and which of them was the limit: rows of hosts.csv and the sentence at the end.

import Hosts
import Measurement
import Report

/// One host in one cell.
struct HostFigures: Sendable, Equatable {
    var name: String
    var address: String
    var workers: Int
    var messages: Int64
    var messagesPerSecond: Double
    /// From the start to its last commit; nil without one.
    var finishedNs: Int64?
    var cpuSeconds: Double
    var cores: Int
    /// From the start to the end of its last worker.
    var drainNs: Int64
    var peakResidentBytes: Int64
    var clockOffsetNs: Int64
    var clockUncertaintyNs: Int64

    /// The harness's part of the time of all the host's processors; 0 to 1.
    var cpuShare: Double { drainNs > 0 ? cpuSeconds * 1e9 / (Double(drainNs) * Double(max(1, cores))) : 0 }
    /// The kernel counts processor time in steps of 10 ms, so a drain of a few of them shows no share worth the name.
    var isJudged: Bool { drainNs >= 500_000_000 }
    var isLimit: Bool { isJudged && cpuShare > HarnessValidity.hostCPUShareMax }

    /// Behind the first three of hosts.csv.
    var fields: [String] {
        [
            name, address, String(workers), String(messages), decimal(messagesPerSecond, decimals: 1),
            finishedNs.map { milliseconds($0) } ?? "", decimal(cpuSeconds, decimals: 2), String(cores),
            decimal(cpuShare, decimals: 3), decimal(Double(peakResidentBytes) / 1e6, decimals: 1), String(isLimit),
            milliseconds(clockOffsetNs), milliseconds(clockUncertaintyNs),
        ]
    }
}

extension [HostFigures] {
    /// Of those whose share can be judged.
    var busiest: HostFigures? { filter(\.isJudged).max { $0.cpuShare < $1.cpuShare } }
}

extension RunRow {
    /// What the hosts took is the harness's, too; the clock that is known worst stands for all.
    mutating func add(_ hosts: [HostFigures]) {
        guard let worst = hosts.max(by: { $0.clockUncertaintyNs < $1.clockUncertaintyNs }) else { return }
        resources.harnessCPUSeconds += hosts.reduce(0) { $0 + $1.cpuSeconds }
        resources.harnessPeakResidentBytes += hosts.reduce(0) { $0 + $1.peakResidentBytes }
        clockOffsetNanoseconds = worst.clockOffsetNs
        clockUncertaintyNanoseconds = worst.clockUncertaintyNs
    }
}

/// What the hosts of a whole run amounted to, from the rows of hosts.csv, which a resumed run has of all its parts.
struct HostSummary {
    private struct Host {
        var runs = 0
        var messages: Int64 = 0
        var shareMax = 0.0
        var lastCount = 0
        var limitCount = 0
    }

    /// Nil without a row.
    let text: String?

    init(_ cells: [CellRecord]) {
        var hosts: [String: Host] = [:]
        var names: [String] = []
        let columns = ResultTable.hosts.columnNames
        func place(_ name: String) -> Int { columns.firstIndex(of: name) ?? 0 }
        let (name, messages, share) = (place("host"), place("messages"), place("cpu_share"))
        let (limit, finished) = (place("limit"), place("finished_ms"))
        for cell in cells {
            let rows = cell.tables[ResultTable.hosts.rawValue] ?? []
            let last = rows.max { (Double($0[finished]) ?? 0) < (Double($1[finished]) ?? 0) }?[name]
            for row in rows {
                if hosts[row[name]] == nil { names.append(row[name]) }
                var host = hosts[row[name]] ?? Host()
                host.runs += 1
                host.messages += Int64(row[messages]) ?? 0
                host.shareMax = max(host.shareMax, Double(row[share]) ?? 0)
                if rows.count > 1, last == row[name] { host.lastCount += 1 }
                if row[limit] == "true" { host.limitCount += 1 }
                hosts[row[name]] = host
            }
        }
        guard !names.isEmpty else {
            text = nil
            return
        }
        let parts = names.sorted().map { name in
            let host = hosts[name] ?? Host()
            let last = host.lastCount > 0 ? ", the last to end in \(host.lastCount)" : ""
            return "\(name) \(host.messages) messages in \(host.runs) \(host.runs == 1 ? "run" : "runs"), "
                + "at most \(decimal(host.shareMax * 100, decimals: 0)) % of its processors\(last)"
        }
        let limits = names.sorted().filter { (hosts[$0]?.limitCount ?? 0) > 0 }
        let verdict =
            limits.isEmpty ? "no host was the limit" : "the limit in some runs: \(limits.joined(separator: ", "))"
        text = "Hosts: \(parts.joined(separator: "; ")); \(verdict).\n"
    }
}
