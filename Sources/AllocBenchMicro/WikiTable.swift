// The table of the wiki page, between two marks of it.

import Diagnostics
import Glibc
import Measurement
import Report

enum WikiTable {
    private static let begin = "<!-- make bench: begin -->"
    private static let end = "<!-- make bench: end -->"

    static func text(_ figures: [Figure], instructionsBy: String) -> String {
        let machine = MachineDescription.current()
        let counted =
            instructionsBy.isEmpty ? "Nothing here counts instructions." : "Instructions by \(instructionsBy)."
        func cell(_ value: Double?, _ text: (Double) -> String) -> String { value.map(text) ?? "" }
        let rows = figures.map { figure in
            let name = figure.note.isEmpty ? figure.name : "\(figure.name) (\(figure.note))"
            let clock = figure.clock == .wall ? "\(figure.operation), wall clock" : figure.operation
            return "| \(name) | \(clock) | \(oneDecimal(figure.nanoseconds)) | \(cell(figure.allocations, decimals)) "
                + "| \(cell(figure.libraryAllocations, decimals)) | \(cell(figure.instructions, oneDecimal)) |"
        }
        return """
            \(machine.cpuModel), \(machine.coreCount) cores, \(machine.operatingSystem). \(counted)

            | benchmark | per | ns | allocations | in libpq and librdkafka | instructions |
            | --- | --- | ---: | ---: | ---: | ---: |
            \(rows.joined(separator: "\n"))

            """
    }

    /// Puts the table in the place of the one that the page has.
    static func rewrite(_ path: String, with table: String) throws {
        guard let file = fopen(path, "r") else { throw OperatingError("\(path) can't be read") }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        fclose(file)
        let page = String(decoding: bytes, as: UTF8.self)
        guard let start = page.firstRange(of: begin), let stop = page.firstRange(of: end),
            start.upperBound <= stop.lowerBound
        else { throw OperatingError("\(path) has no lines \"\(begin)\" and \"\(end)\"") }
        try writeWhole(page[..<start.upperBound] + "\n" + table + page[stop.lowerBound...], to: path)
    }
}
