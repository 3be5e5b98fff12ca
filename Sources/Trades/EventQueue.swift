// The events that are still to be written, drawn one by one or all at once. Pure.

/// Drawn events in their order, up to a number of execution reports.
struct EventQueue {
    private var draw: ExecutionDraw
    /// What was drawn ahead, the next one at `head`; nil where events are drawn as they are asked for.
    private var ahead: [DrawnEvent]?
    private var head = 0
    /// Execution reports that may still be handed over; nil for all.
    private var reportsLeft: Int64?
    /// The place of the next event, counted from the first that this writing hands over.
    private(set) var nextSequence: Int64

    /// - Parameters:
    ///   - reportLimit: after so many execution reports the queue is at its end; nil for all.
    ///   - firstSequence: the place of this queue's first event, where a writing goes on behind a lost connection.
    init(_ draw: ExecutionDraw, reportLimit: Int64?, drawsAhead: Bool, firstSequence: Int64 = 0) {
        self.draw = draw
        nextSequence = firstSequence
        reportsLeft = reportLimit
        guard drawsAhead else { return }
        var events: [DrawnEvent] = []
        var reports: Int64 = 0
        while reports < reportLimit ?? .max, let event = self.draw.next() {
            events.append(event)
            if event.isReport { reports += 1 }
        }
        ahead = events
    }

    mutating func next() -> DrawnEvent? {
        if isAtEnd { return nil }
        let event: DrawnEvent?
        if let ahead {
            event = ahead[head]
            head += 1
        } else {
            event = draw.next()
        }
        guard let event else { return nil }
        nextSequence += 1
        if event.isReport, let left = reportsLeft { reportsLeft = left - 1 }
        return event
    }

    /// Whether nothing more is handed over.
    var isAtEnd: Bool { reportsLeft == 0 || isFinished }

    /// Whether every event of the drawing was handed over.
    var isFinished: Bool { head == ahead?.count ?? 0 && draw.isFinished }

    /// How the blocks ended, once it is finished.
    var outcomes: [BlockOutcome] { draw.outcomes }
}

extension DrawnEvent {
    /// Whether it makes a row of `trades.executions`.
    var isReport: Bool {
        if case .replaceRejected = kind { return false }
        return true
    }
}
