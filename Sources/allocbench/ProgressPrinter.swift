// What a run tells while it goes on: lines for a reader, one line that renews itself on a terminal, JSON for programs.

import Glibc
import Report
import Scenario
import Synchronization

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

    init(_ form: Form) {
        self.form = form
        isTerminal = isatty(STDERR_FILENO) == 1
    }

    func print(_ event: RunEvent) {
        switch form {
        case .text: printText(event)
        case .json: printJSON(EventJSON.object(event))
        case .quiet:
            if case .cellFinished(let place, let cell) = event, !cell.isVerified || cell.invalidReason != nil {
                printText(.cellFinished(place, cell))
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
        case .cellStarted: break
        case .cellProgress(let place, let progress):
            if isTerminal { live(head(place) + sentence(progress)) }
        case .cellFinished(let place, let cell):
            whole(head(place) + cell.sentence + left(cell.remaining))
            if let reason = cell.invalidReason { whole("    INVALID: \(reason)") }
            for line in cell.differences { whole("    \(line)") }
        }
    }

    private func head(_ place: CellPlace) -> String {
        "[\(place.index)/\(place.count)] \(place.configuration), repetition \(place.repetition): "
    }

    private func sentence(_ progress: CellProgress) -> String {
        let share = progress.messagesExpected.map { " of \($0)" } ?? ""
        return "\(progress.messages)\(share), \(Int(progress.ratePerSecond))/s, lag \(progress.lagMessages), "
            + "\(progress.retries) retries"
    }

    private func left(_ remaining: Duration) -> String {
        let seconds = remaining.components.seconds
        if seconds < 1 { return "" }
        return seconds < 100 ? "; about \(seconds) s left" : "; about \((seconds + 30) / 60) min left"
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
