// The events of a run as JSON: the names are a contract with the programs that read them.

import Report
import Scenario

enum EventJSON {
    static func object(_ event: RunEvent) -> String {
        switch event {
        case .note(let text):
            var line = EventLine("note")
            line.add("text", text)
            return line.text
        case .cellStarted(let place): return line("cell_started", place).text
        case .cellProgress(let place, let progress):
            var line = line("cell_progress", place)
            line.add("messages", progress.messages)
            line.add("messages_expected", progress.messagesExpected)
            line.add("rate_per_s", Int64(progress.ratePerSecond))
            line.add("lag_messages", progress.lagMessages)
            line.add("retries", progress.retries)
            return line.text
        case .cellFinished(let place, let cell):
            var line = line("cell_finished", place)
            line.add("verified", cell.isVerified)
            line.add("invalid_reason", cell.invalidReason)
            line.add("text", cell.sentence)
            line.add("differences", cell.differences)
            line.add("remaining_s", cell.remaining.components.seconds)
            return line.text
        }
    }

    static func finished(_ outcome: RunOutcome) -> String {
        var line = EventLine("finished")
        line.add("folder", outcome.folder)
        line.add("verified", outcome.isVerified)
        line.add("valid", outcome.isValid)
        line.add("failed_gates", Int64(outcome.failedGateCount))
        return line.text
    }

    private static func line(_ event: String, _ place: CellPlace) -> EventLine {
        var line = EventLine(event)
        line.add("cell", Int64(place.index))
        line.add("cells", Int64(place.count))
        line.add("configuration", place.configuration)
        line.add("repetition", Int64(place.repetition))
        return line
    }
}
