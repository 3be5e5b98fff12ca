// The table of the wiki page, between two marks of it.

import Measurement
import Report

enum WikiTable {
    static let part = MarkedPart("make bench")

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
}
