// Joining, one name twice, other programs, and who is taken for lost: against a server. No test waits for a time to pass; what
// must be old is made old in the table.

import Diagnostics
import Measurement
import Postgres
import TestSupport
import Testing
import Threads

@testable import Hosts

@Suite struct JoiningTests {
    private let program = ProgramIdentity(version: "1.0", commit: "abc")
    /// Nobody is lost in these tests because a machine was busy.
    private let timing: HostTiming = {
        var timing = HostTiming()
        timing.heartbeatMs = 20
        timing.lostAfterMs = 600_000
        return timing
    }()

    private func join(
        _ name: String, on connection: PostgresConnection, program: ProgramIdentity? = nil
    ) throws -> HostStore {
        try HostStore.join(
            name: name, program: program ?? self.program, cores: 2, on: connection, timing: timing,
            isStopped: { false })
    }

    private func refusal(_ body: () throws -> HostStore) -> String {
        do {
            return "joined as \(try body().host.name)"
        } catch { return "\(error)" }
    }

    @Test
    func `two hosts of one name: the second is refused as long as the first lives, and takes over once it is lost`()
        throws
    {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            let first = try join("alpha", on: connection)
            let heartbeat = Heartbeat(of: first.host, connection: info, timing: timing)
            let refused = refusal { try join("alpha", on: connection) }
            #expect(refused.hasPrefix("a host named alpha has joined already, from "), "\(refused)")
            #expect(refused.hasSuffix("; give this one a name of its own: allocbench work --join NAME"))
            heartbeat.end()
            try connection.execute("UPDATE harness.hosts SET heartbeat_at = now() - INTERVAL '1 hour'")
            let second = try join("alpha", on: connection)
            #expect(second.host.session != first.host.session)
            #expect(try HostStore.beat(second.host, on: connection) == nil)
            #expect(try HostStore.beat(first.host, on: connection) == "another host has taken the name alpha")
            // The one that was thrown out throws nobody out in leaving.
            try first.leave()
            #expect(try HostStore.beat(second.host, on: connection) == nil)
        }
    }

    @Test func `a host of another program is refused in joining, or sent away by the run that comes later`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            let other = ProgramIdentity(version: "0.9", commit: "def")
            let early = try join("early", on: connection, program: other)
            let runner = try RunnerStore.begin(runName: "run-1", program: program, on: connection, timing: timing)
            let sentence = "is allocbench 0.9 (def), and the run run-1 is of 1.0 (abc)"
            #expect(
                refusal { try join("late", on: connection, program: other) }
                    == "host late \(sentence); run the same build of allocbench on every host")
            _ = try join("same", on: connection)
            var said: [String] = []
            #expect(try runner.hosts(say: { said.append($0) }).map(\.name) == ["same"])
            #expect(said == ["sent away: host early \(sentence)"])
            #expect(try HostStore.beat(early.host, on: connection) == "host early \(sentence)")
            #expect(try runner.hosts(say: { said.append($0) }).count == 1)
            #expect(said.count == 1, "told once")
            try runner.end()
            _ = try join("late", on: connection, program: other)
        }
    }

    @Test func `hosts and runner make the schema together`() throws {
        try withTemporaryDatabase { info in
            let threads = (0..<6).map { index in
                WorkerThread(name: "join") {
                    let connection = try PostgresConnection.connect(to: info)
                    defer { connection.close() }
                    _ = try join("host\(index)", on: connection)
                }
            }
            for thread in threads { try thread.join() }
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            #expect(try connection.query("SELECT count(*) FROM harness.hosts").int64(0, 0) == 6)
            #expect(try HarnessSchema.check(on: connection) == [])
        }
    }

    @Test func `a cell goes from hand to hand, and a runner that is gone ends it`() throws {
        try withTemporaryDatabase { info in
            let connection = try PostgresConnection.connect(to: info)
            defer { connection.close() }
            let host = try join("alpha", on: connection)
            let runner = try RunnerStore.begin(runName: "run-1", program: program, on: connection, timing: timing)
            #expect(try host.nextTask() == nil)
            let share = CellShare(
                scenario: "s", scenarioPath: "p", configuration: "c", repetition: 1, ratePerSecond: nil, topic: "t",
                partitions: [0], endOffsets: [0: 1], firstExecution: 1, workers: 1, bookingWorkers: 0, hostIndex: 0)
            try runner.begin(cell: "run-1/1", [(host.host, share)])
            let task = try #require(try host.nextTask())
            #expect(task.share == share)
            #expect(task.runName == "run-1")
            #expect(try host.nextTask() == nil, "taken once")
            #expect(try host.state(ofCell: task.cell) == .gathering)
            try host.report(.ready, of: task.cell)
            #expect(try runner.standings(inCell: task.cell).map(\.state) == [.ready])
            let start = try runner.start(cell: task.cell)
            #expect(try host.state(ofCell: task.cell) == .started(serverUs: start))
            var progress = ProgressCounts()
            progress.committed = 5
            try host.report(progress, of: task.cell)
            try runner.set(.closing, of: task.cell)
            #expect(try host.state(ofCell: task.cell) == .closing)
            try host.report(.done, of: task.cell, "figures")
            let standing = try #require(try runner.standings(inCell: task.cell).first)
            #expect(standing.report == "figures" && standing.isHeard && standing.isThere)
            #expect(standing.progress == progress)
            // A host that left, and a runner that is gone.
            try host.leave()
            #expect(try runner.standings(inCell: task.cell).first?.isThere == false)
            try connection.execute("UPDATE harness.runners SET heartbeat_at = now() - INTERVAL '1 hour'")
            #expect(try host.state(ofCell: task.cell) == .runnerLost)
            _ = try RunnerStore.begin(runName: "run-2", program: program, on: connection, timing: timing)
            #expect(try host.state(ofCell: task.cell) == .ended, "what it left is cleared away")
            #expect(try connection.query("SELECT count(*) FROM harness.shares").int64(0, 0) == 0)
        }
    }
}
