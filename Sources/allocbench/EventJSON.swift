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
        case .cellProgress(let place, let progress, let run):
            var line = line("cell_progress", place)
            line.add("unit", progress.unit.rawValue)
            line.add("messages", progress.done)
            line.add("messages_expected", progress.expected)
            line.add("rate_per_s", Int64(progress.ratePerSecond))
            line.add("lag_messages", progress.lag)
            line.add("retries", progress.retries)
            line.add("errors", progress.errors)
            line.add("elapsed_ms", Int64(progress.elapsed / .milliseconds(1)))
            add(run, to: &line)
            return line.text
        case .cellFinished(let place, let cell, let run):
            var line = line("cell_finished", place)
            line.add("verified", cell.isVerified)
            line.add("invalid_reason", cell.invalidReason)
            line.add("text", cell.sentence)
            line.add("differences", cell.differences)
            add(run, to: &line)
            return line.text
        }
    }

    private static func add(_ run: RunStanding, to line: inout EventLine) {
        line.add("cells_done", Int64(run.cellsDone))
        line.add("cells_left", Int64(run.cellsLeft))
        line.add("cells_bad", Int64(run.badCells))
        line.add("run_retries", run.retries)
        line.add("run_errors", run.errors)
        line.add("remaining_s", run.remaining?.components.seconds)
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
