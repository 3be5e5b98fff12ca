// What the tests run: scenarios small enough for a debug build, and price files small enough to read.

import Foundation
import Testing

enum Fixture {
    /// All five modes on one small stream.
    static let tiny = """
        name: tiny
        seed: 7
        workload: { executions: 600, blocks: 10, accounts_per_block: 4, partitions: 4 }
        configurations:
          - { mode: row, workers: 4 }
          - { mode: concurrent, workers: 4 }
          - { mode: adaptive, workers: 2 }
          - { mode: batch, workers: 4, batch_size: 64 }
          - { mode: cycle, workers: 4, cycle_interval_ms: 100 }

        """

    /// All five modes, every policy, and a stream in which executions are busted and orders replaced and canceled.
    static func corrections(routing: String) -> String {
        """
        name: \(routing)
        seed: 29
        workload:
          { executions: 3000, blocks: 100, accounts_per_block: 5, partitions: 4, lot_size: 10, routing: \(routing),
            busts: 0.05, replaces: 0.02, cancels: 0.01, minimum_ticket_lots: 2,
            allocation_policies: [pro_rata, equal, time_priority, largest_remainder, pro_rata_min_ticket] }
        configurations:
          - { mode: row, workers: 4 }
          - { mode: concurrent, workers: 4 }
          - { mode: adaptive, workers: 2, snapshots: completion }
          - { mode: batch, workers: 4, batch_size: 64, snapshots: { executions: 5 }, booking_workers: 2 }
          - { mode: cycle, workers: 4, cycle_interval_ms: 100, booking_workers: 0 }

        """
    }

    /// A quick configuration, then one that takes seconds: time to interrupt it in the middle.
    static let slow = """
        name: slow
        workload: { executions: 4000, blocks: 10, accounts_per_block: 4, partitions: 4 }
        configurations:
          - { name: quick, mode: batch, workers: 4 }
          - { name: slow, mode: row, workers: 1 }

        """

    static let securitiesHeader = "asset_class,symbol,name,market_cap,country,ipo_year,sector,industry\n"
    static let pricesHeader = "Date,Open,High,Low,Close,Volume\r\n"

    /// Three securities in the formats of published data: US dates with a time, a volume of 0, a symbol without prices.
    static func writeRealFiles(to place: Place) throws {
        try place.write(
            "securities.csv",
            securitiesHeader
                + "Equity,AAA,\"Triple A, Inc.\",1000.0,United States,2012,Health Care,Biotechnology: Products\n"
                + "Equity,BBB,Double B,2000.0,Ireland,,Energy,\n" + "Equity,CCC,No prices,1.0,United States,2001,,\n")
        for (symbol, price) in [("AAA", 37), ("BBB", 120)] {
            let rows = (4...8).map { day in
                "11/\(day)/2024 16:00:00,\(price),\(price + day).5,\(price - 1).25,\(price + 1),\(day == 6 ? 0 : 7500)\r\n"
            }
            try place.write("prices/\(symbol).csv", pricesHeader + rows.joined())
        }
    }
}

/// Rows of a CSV, by column.
func rows(ofCSV text: String) throws -> [[String: String]] {
    let lines = text.components(separatedBy: "\r\n")
    try #require(lines.last == "", "the last line has an end")
    let columns = lines[0].components(separatedBy: ",")
    return try lines.dropFirst().dropLast().map { line in
        let fields = fields(ofCSVLine: line)
        try #require(fields.count == columns.count, "\(line)")
        return Dictionary(uniqueKeysWithValues: zip(columns, fields))
    }
}

/// Notes are sentences, with commas: between quotes, where a quote of their own is doubled.
private func fields(ofCSVLine line: String) -> [String] {
    var fields = [""]
    for (index, piece) in line.components(separatedBy: "\"").enumerated() {
        if index.isMultiple(of: 2) {
            // An empty piece between two that were quoted is a doubled quote.
            if piece.isEmpty, index > 0, index < line.count(where: { $0 == "\"" }) { fields[fields.count - 1] += "\"" }
            let parts = piece.components(separatedBy: ",")
            fields[fields.count - 1] += parts[0]
            fields += parts.dropFirst()
        } else {
            fields[fields.count - 1] += piece
        }
    }
    return fields
}

/// The object of a manifest.
func manifest(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

/// Every file of a run that has ended, sorted.
let resultFiles = [
    "comparisons.csv", "faults.csv", "histograms.hlog", "hosts.csv", "journal.jsonl", "latency.csv", "manifest.json",
    "partitions.csv", "probes.csv", "retries.csv", "runs.csv", "scenario.yaml", "timeseries.csv", "verify.csv",
]
