// Goal: the verifier can fail. Method: a clean run's tables, changed in one way at a time inside a transaction that is
// rolled back; each change must be reported by exactly the checks that it breaks.

import Allocations
import Model
import Postgres
import Scenario
import Testing

@Suite struct VerifierTests {
    @Test func `every way to break the tables is reported by exactly the checks that it breaks`() throws {
        try withCleanRun { run in
            let clean = run.outcome.checks
            #expect(clean.isClean, "\(clean.differenceLines)")
            for mutation in Mutation.all {
                let checks = try run.verify(changedBy: mutation.sql)
                #expect(Set(checks.findings.keys) == mutation.findings, "\(mutation.what): \(checks.differenceLines)")
                #expect(!checks.isClean)
            }
            let isCleanAgain = try run.verify().isClean
            #expect(isCleanAgain, "the mutations are undone")
            let covered = Mutation.all.reduce(into: Set<String>()) { $0.formUnion($1.findings) }
            #expect(covered == Set(clean.map(\.name)), "every check of verify.sql, and the oracle, has its mutation")
        }
    }

    @Test func `a bust of an execution that never comes is told, and is no difference`() throws {
        try withCleanRun { run in
            #expect(run.outcome.checks.isClean)
            let waiting = try AllocationsVerification.waitingBustCount(on: run.connection)
            #expect(waiting == 1)
        }
    }

    @Test func `what is changed is what is shown, and only the first few of many`() throws {
        try withCleanRun { run in
            let offsets = "UPDATE allocations.consumer_offsets SET next_offset = 3 WHERE topic_partition = 0"
            let end = try #require(run.outcome.ends[0])
            let offsetLines = try run.verify(changedBy: offsets).differenceLines
            #expect(
                offsetLines
                    == ["offsets_differ_from_topic: 1 differences", "  partition 0: expected \(end), found 3"])
            let lines = try run.verify(
                changedBy: offsets + "; DELETE FROM allocations.captured_trades WHERE quantity > 0"
            ).differenceLines
            let trades = cleanExecutions().count { $0.type == .trade }
            #expect(lines[0] == "executions_not_captured: \(trades) differences")
            #expect(lines[1] == "  execution 101: expected captured once, found not captured")
            #expect(lines.filter { $0.hasPrefix("  execution") }.count == AllocationsVerification.shownCount)
        }
    }

    @Test func `the oracle tells which column of which row differs`() throws {
        try withCleanRun { run in
            let last = try run.verify(
                changedBy:
                    "UPDATE allocations.settlement_instructions SET net_money = net_money + 1 WHERE block_order_id = 2"
            ).differenceLines.last
            #expect(
                last
                    == "  block 2 account 1: expected settlement instruction with net money 50101.5000, "
                    + "found settlement instruction with net money 50102.5000")
        }
    }

    @Test func `without the topic's ends the offsets are not checked, without bookings these`() throws {
        try withCleanRun { run in
            try run.connection.execute(
                "UPDATE allocations.consumer_offsets SET next_offset = 0; DELETE FROM allocations.block_bookings")
            let checks = try Verifier.verify(
                on: run.connection, topic: run.outcome.topic, topicEnds: nil, includesBookings: false)
            #expect(checks.isClean && !checks.map(\.name).contains("offsets_differ_from_topic"))
            #expect(!checks.map(\.name).contains("block_bookings_differ"))
        }
    }

    @Test func `a run in which nothing happened fails for every execution`() throws {
        try withCleanRun { run in
            try AllocationsSource.truncate(on: run.connection)
            try AllocationsSource.receive(on: run.connection, topic: run.outcome.topic, partitions: 2)
            let findings = try run.verify().findings
            #expect(findings["executions_not_captured"] == Int64(cleanExecutions().count))
            #expect(findings["fills_differ_from_executions"] == 7)
            #expect(findings["offsets_differ_from_topic"] == 2)
            #expect(findings[Mutation.blocksOracle] != nil && findings[Mutation.bookingsOracle] != nil)
        }
    }
}
