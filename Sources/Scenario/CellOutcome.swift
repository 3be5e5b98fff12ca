// What becomes of a cell once it has run: verified or not, valid or not, a record in the journal, a sentence for the user.

import Allocations
import Measurement
import Report

extension CellOutcome {
    /// Sets the row's verification, the comparison with the tables that the first cell left included.
    mutating func judge(with firstTables: inout FirstTables) {
        checks.append(firstTables.check(finalTables, isTrusted: checks.isClean))
        row.verified = checks.isClean
        row.finalTables = AllocationsVerification.digest(of: finalTables)
    }

    /// Everything that goes into the files.
    func record(of cell: Cell) -> CellRecord {
        let key = cell.key
        var rows = Dictionary(uniqueKeysWithValues: tables.map { ($0.key.rawValue, $0.value) })
        // A wrong run has no figures of speed.
        if !row.verified {
            for table in [ResultTable.timeSeries, .probes] { rows[table.rawValue] = nil }
        }
        rows[ResultTable.verify.rawValue] = checks.map {
            ResultTable.verify.row(key, [$0.name, String($0.differenceCount), $0.first.first?.description ?? ""])
        }
        rows[ResultTable.latency.rawValue] =
            row.verified
            ? latencies.map {
                ResultTable.latencyRow(key, stage: $0.stage.rawValue, unit: $0.stage.unit.rawValue, $0.histogram)
            } : []
        return CellRecord(
            configuration: key.configuration, repetition: key.repetition, run: row.fields, tables: rows,
            histograms: row.verified ? histograms : [],
            finalTables: row.verified ? finalTables : [:])
    }

    /// The cell's own log of histograms; those of all cells become one file at the end.
    /// - Parameter beganUnixNs: the start of the cell, in nanoseconds of the Unix epoch.
    mutating func writeHistograms(of cell: Cell, beganUnixNs: Int64) {
        let log = HistogramLog(
            startUnixNs: beganUnixNs,
            intervals: latencies.map { stage, histogram in
                HistogramLog.Interval(
                    tag: "\(cell.key.configuration)/\(cell.key.repetition)/\(stage.rawValue)", startNs: 0,
                    lengthNs: max(0, drainNanoseconds), histogram: histogram)
            })
        histograms = log.text.split(separator: "\n").map(String.init)
    }

    var summary: CellSummary {
        CellSummary(
            isVerified: row.verified, invalidReason: row.invalidReason, sentence: sentence,
            differences: checks.differenceLines)
    }

    private var sentence: String {
        let took = readableSeconds(.nanoseconds(row.elapsedNanoseconds))
        if let note, row.verified { return note }
        if let requests = row.requests, let rate = row.requestsPerSecond {
            return "\(requests) requests in \(took) s, \(Int(rate))/s, verified"
        }
        guard let executions = row.executions, let rate = row.executionsPerSecond else { return "FAILED verification" }
        let busts = row.waitingBusts ?? 0
        let waiting = busts == 0 ? "" : "; \(busts) busts wait for executions that never came"
        return "\(executions) executions in \(took) s, \(Int(rate))/s, verified\(waiting)"
    }
}
