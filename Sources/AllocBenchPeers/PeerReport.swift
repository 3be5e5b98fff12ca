// What is written of the pairs: every figure, a row for each pair, the manifest, and the table of the wiki's page.

import Diagnostics
import Foundation
import Measurement
import Report
import Scenario
import Statistics

/// A figure for a reader: three decimals below 10, none from 1,000 on.
func readableFigure(_ value: Double) -> String {
    if abs(value) >= 999.95 { return grouped(Int64(value.rounded())) }
    return decimal(value, decimals: abs(value) < 10 ? 3 : 1)
}

enum PeerReport {
    static let figureColumns = ["pair", "repetition", "side", "figure", "unit"]
    static let pairColumns = [
        "pair", "path", "peer", "unit", "higher_is_better", "pairs", "ours_median", "peer_median", "ratio", "ratio_low",
        "ratio_high", "target", "outcome", "note",
    ]

    static func figureRows(_ result: PairResult) -> [[String]] {
        result.figures.map {
            [result.name, String($0.repetition), $0.side.rawValue, decimal($0.figure, decimals: 6), result.unit]
        }
    }

    static func pairRow(_ result: PairResult) -> [String] {
        func text(_ value: Double?) -> String { value.map { decimal($0, decimals: 6) } ?? "" }
        let comparison = result.comparison
        return [
            result.name, result.path, result.peer, result.unit, String(result.isHigherBetter),
            String(comparison?.pairs.count ?? 0), text(comparison?.candidateMedian), text(comparison?.baselineMedian),
            text(comparison?.ratio), text(comparison?.interval?.low), text(comparison?.interval?.high),
            result.target.map(plain) ?? "", result.outcome.rawValue, result.note,
        ]
    }

    /// One line for the terminal.
    static func line(_ result: PairResult) -> String {
        guard let comparison = result.comparison else {
            return "\(result.name): \(result.outcome.rawValue): \(result.note)"
        }
        return "\(result.name): ours \(median(comparison.candidateMedian)), \(result.peer) "
            + "\(median(comparison.baselineMedian)) \(result.unit), ratio \(ratio(comparison)), \(target(result)): "
            + result.outcome.rawValue
    }

    // MARK: The wiki

    static let part = MarkedPart("peers")
    private static let header =
        "| pair | path | peer | ours | peer's | ratio (95 % interval) | to reach | outcome | run |\n"
        + "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"

    /// The page's table with these results in it; rows of pairs that weren't run now stay as they are.
    /// - Parameters:
    ///   - old: what the page has between its marks.
    ///   - order: the names of all pairs, in the order of the table.
    static func table(_ old: Substring, with results: [PairResult], order: [String], run: String) -> String {
        var rows: [String: String] = [:]
        for line in old.split(separator: "\n") {
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            guard cells.count > 2 else { continue }
            let name = cells[1].filter { $0 != "`" && !$0.isWhitespace }
            if order.contains(name) { rows[name] = String(line) }
        }
        for result in results { rows[result.name] = tableRow(result, run: run) }
        return "\n\n\(([header] + order.compactMap { rows[$0] }).joined(separator: "\n"))\n\n"
    }

    private static func tableRow(_ result: PairResult, run: String) -> String {
        let cells: [String]
        if let comparison = result.comparison {
            cells = [
                "\(median(comparison.candidateMedian)) \(result.unit)", median(comparison.baselineMedian),
                ratio(comparison), target(result), "**\(result.outcome.rawValue)**",
            ]
        } else {
            cells = ["–", "–", "–", target(result), "\(result.outcome.rawValue): \(result.note)"]
        }
        let all = ["`\(result.name)`", result.path, result.peer] + cells + ["`\(run)`"]
        // A bar would end the cell.
        return "| " + all.map { $0.replacingOccurrences(of: "|", with: "/") }.joined(separator: " | ") + " |"
    }

    private static func median(_ value: Double?) -> String { value.map(readableFigure) ?? "–" }

    private static func ratio(_ comparison: RatioComparison) -> String {
        guard let ratio = comparison.ratio else { return "–" }
        guard let interval = comparison.interval else { return decimal(ratio, decimals: 2) }
        return "\(decimal(ratio, decimals: 2)) (\(decimal(interval.low, decimals: 2)) to "
            + "\(decimal(interval.high, decimals: 2)))"
    }

    private static func target(_ result: PairResult) -> String {
        result.target.map { "\(result.isHigherBetter ? "≥" : "≤") \(plain($0))" } ?? "–"
    }
}

/// `results/peers/<run>`: rows are written as pairs end, so that what is cut has those that it came to.
struct PeerFolder {
    let path: String
    private let figures: CSVWriter
    private let pairs: CSVWriter

    init(_ path: String) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        figures = try CSVWriter(path: "\(path)/pairs.csv", columns: PeerReport.figureColumns)
        pairs = try CSVWriter(path: "\(path)/peers.csv", columns: PeerReport.pairColumns)
    }

    func append(_ result: PairResult) throws {
        for row in PeerReport.figureRows(result) { try figures.append(row) }
        try pairs.append(PeerReport.pairRow(result))
    }

    /// Writes the manifest and gives the files their names.
    func finish(_ manifest: Manifest) throws {
        try manifest.write(to: "\(path)/manifest.json")
        try figures.finish()
        try pairs.finish()
    }

    /// `peers-20241114-153000`, in UTC.
    static func name(at time: Date) -> String {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "UTC")
        format.dateFormat = "yyyyMMdd-HHmmss"
        return "peers-\(format.string(from: time))"
    }
}
