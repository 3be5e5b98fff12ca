// What a run tells while it goes on: lines for a reader, one line that renews itself on a terminal, JSON for programs.

import Glibc
import Report
import Scenario
import Synchronization
import Threads

/// Prints from several threads, a whole line at a time.
final class ProgressPrinter: Sendable {
    enum Form: Sendable {
        /// To standard error; with a line that renews itself if that is a terminal.
        case text
        /// To standard output, one object a line, the results included.
        case json
        /// Nothing but the results and what is wrong.
        case quiet
    }

    private let form: Form
    private let isTerminal: Bool
    /// Whether a line that renews itself stands at the cursor, so that the next whole line must wipe it.
    private let hasLiveLine = Mutex(false)
    /// How many whole lines of progress the cell's load has had.
    private let lineCount = Mutex(0)

    init(_ form: Form) {
        self.form = form
        isTerminal = isatty(STDERR_FILENO) == 1
    }

    func print(_ event: RunEvent) {
        switch form {
        case .text: printText(event)
        case .json: printJSON(EventJSON.object(event))
        case .quiet:
            if case .cellFinished(_, let cell, _) = event, !cell.isVerified || cell.invalidReason != nil {
                printText(event)
            }
        }
    }

    /// The table at the end.
    func finish(_ outcome: RunOutcome) {
        if form == .json { return printJSON(EventJSON.finished(outcome)) }
        Swift.print(outcome.table, terminator: "")
        Swift.print("\nresults: \(outcome.folder)/runs.csv and the files beside it")
    }

    private func printJSON(_ line: String) {
        hasLiveLine.withLock { _ in
            Swift.print(line)
            fflush(nil)
        }
    }

    // MARK: Text

    private func printText(_ event: RunEvent) {
        switch event {
        case .note(let line): whole(line)
        case .cellStarted: lineCount.withLock { $0 = 0 }
        case .cellProgress(let place, let progress, let run):
            let line = head(place) + progress.sentence + run.remainingWords
            if isTerminal { live(line) } else if isLineDue(progress) { whole(line) }
        case .cellFinished(let place, let cell, let run):
            whole(head(place) + cell.sentence + run.remainingWords)
            if let reason = cell.invalidReason { whole("    INVALID: \(reason)") }
            for line in cell.differences { whole("    \(line)") }
        }
    }

    private func head(_ place: CellPlace) -> String {
        "[\(place.index)/\(place.count)] \(place.configuration), repetition \(place.repetition): "
    }

    /// Without a terminal a long cell tells every ten seconds that it is alive.
    private func isLineDue(_ progress: CellProgress) -> Bool {
        let due = Int(progress.elapsed / .seconds(10))
        return lineCount.withLock { count in
            // A probe of a search begins at 0 again.
            defer { count = due }
            return due > count
        }
    }

    private func whole(_ line: String) {
        hasLiveLine.withLock { isLive in
            say((isLive ? "\r\u{1B}[K" : "") + line)
            isLive = false
        }
    }

    private func live(_ line: String) {
        hasLiveLine.withLock { isLive in
            let bytes = Array("\r\u{1B}[K\(line)".utf8)
            _ = write(STDERR_FILENO, bytes, bytes.count)
            isLive = true
        }
    }
}
