// The promotions of one run: who performs them, and how those who lost their connection learn that there was one.
// Performed on the thread of the faults; asked from any.

import Allocations
import Diagnostics
import Measurement
import Postgres
import Services
import Synchronization

/// Puts a standby in the primary's place when a fault asks for it.
final class Takeover: Sendable {
    private let services: EmbeddedServices
    private let say: @Sendable (String) -> Void
    private let begun = Atomic<Int>(0)
    private let ended = Atomic<Int>(0)
    private let lostExecutions = Atomic<Int64>(0)

    init(services: EmbeddedServices, say: @escaping @Sendable (String) -> Void) {
        self.services = services
        self.say = say
    }

    /// How many there were so far.
    var count: Int { ended.load(ordering: .acquiring) }

    /// Kills the primary and promotes a standby. Blocks until clients are led there.
    func perform() throws {
        // Before anything dies, so that whoever loses a connection finds that this is why.
        begun.add(1, ordering: .releasing)
        defer { ended.add(1, ordering: .releasing) }
        let promotion = try services.promoteStandby()
        let seconds = (Double(promotion.elapsedNs) / 1e9 * 100).rounded() / 100
        let waiting = promotion.synchronousStandbys.map { "wait for \($0) of the others" } ?? "wait for no standby"
        say(
            "the primary was killed, standby\(promotion.standby) of \(promotion.standbyCount) had most of its log and took over "
                + "after \(seconds) s; commits \(waiting) from here on")
    }

    /// Whether there is, or was, a promotion that the caller doesn't know of: then waits until it is over.
    /// - Parameter known: how many the caller knows of.
    /// - Returns: how many there were; nil if none explains anything.
    func waitForMore(than known: Int) -> Int? {
        let begun = begun.load(ordering: .acquiring)
        guard begun > known else { return nil }
        while count < begun { sleepUntil(monotonic: monotonicNow() + 1_000_000) }
        return begun
    }

    func tell(_ line: String) { say(line) }

    /// Executions whose commit was answered, and that the new primary didn't have.
    func addLost(executions: Int64) { lostExecutions.add(executions, ordering: .relaxed) }
    var lostExecutionCount: Int64 { lostExecutions.load(ordering: .relaxed) }
}

extension CheckResult {
    /// What was answered as committed and lost nevertheless: a check like the verifier's, because the tables can't tell. What was
    /// lost was processed again, from the topic. It needs no planned fault: a server of the user's own may fail over as well.
    static func answeredCommitsLost(messages: Int64, executions: Int64) -> CheckResult {
        let lost = [("messages", messages), ("executions", executions)].filter { $0.1 > 0 }
        return CheckResult(
            name: "answered_commits_lost", differenceCount: lost.reduce(0) { $0 + $1.1 },
            first: lost.map {
                Difference(
                    subject: "\($0.0) of commits that were answered and that the database had no more",
                    expected: "0", actual: String($0.1))
            })
    }
}
