// Goal: with a quorum a commit is on a second disk before it is told, and afterwards nothing of the standbys is left.
// Method: all processes of the standbys are halted and continued, so that a commit has nobody to wait for in between.

import Diagnostics
import Glibc
import Postgres
import TestSupport
import Testing
import Threads

@testable import Services

@Suite(.serialized, .timeLimit(.minutes(5))) struct StandbyTests {
    private func standbys(_ state: StateFolder) -> [ServiceRecord] {
        state.records.services.filter { $0.kind == .standby }
    }

    /// The server and all that it has forked.
    private func signal(_ record: ServiceRecord, _ number: Int32) throws {
        let all = try ChildProcess.run(["ls", "/proc"]).output.split(separator: "\n").compactMap { Int32($0) }
        kill(record.process.pid, number)
        for pid in all where ChildProcess.parent(of: pid) == record.process.pid { kill(pid, number) }
    }

    private func count(_ sql: String, on info: String) throws -> Int64 {
        let connection = try PostgresConnection.connect(to: ConnectionInfo(info))
        defer { connection.close() }
        return try connection.query(sql).int64(0, 0)
    }

    /// One cluster for all of it, because every server that starts takes a second of the tests.
    @Test func `a quorum commit waits for one of two standbys, and what is left of them hinders nobody`() throws {
        try withStateFolder { state in
            var settings = EmbeddedPostgres.defaultSettings
            settings.merge(["fsync": "off", "shared_buffers": "16MB"]) { $1 }
            let services = try EmbeddedServices.start(in: state, broker: .mock, settings: settings)
            try expectQuorum(services)
            try services.ensureStandbys(count: 1)
            try services.setQuorumCommit(true)
            services.stop()
            #expect(state.records.services.isEmpty)
            #expect(processes(naming: state.path) == [])
            // The primary's files still name a standby that is gone, as after a kill.
            let again = try EmbeddedServices.start(in: state, broker: .mock, settings: settings)
            let connection = try PostgresConnection.connect(to: ConnectionInfo(again.connectionInfo))
            try connection.execute("SET statement_timeout = 5000; INSERT INTO t VALUES (5)")
            let left = try count("SELECT count(*) FROM pg_replication_slots", on: again.connectionInfo)
            #expect(left == 0)
            #expect(access(state.standbyFolder(1), F_OK) != 0)
            again.stop()
        }
    }

    /// A quorum of two, both halted, then one of them halted, then neither there.
    private func expectQuorum(_ services: EmbeddedServices) throws {
        let state = services.state
        #expect(throws: OperatingError.self) { try services.setQuorumCommit(true) }
        try services.ensureStandbys(count: 2)
        let first = standbys(state)
        try services.ensureStandbys(count: 2)
        #expect(first.map(\.process) == standbys(state).map(\.process) && first.count == 2)
        try services.setQuorumCommit(true)
        let connection = try PostgresConnection.connect(to: ConnectionInfo(services.connectionInfo))
        try connection.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")

        for standby in first { try signal(standby, SIGSTOP) }
        // What doesn't ask for a standby goes on; what does waits until one of them answers.
        try connection.execute("SET synchronous_commit = local")
        try connection.execute("INSERT INTO t VALUES (2)")
        let isCommitted = StopFlag()
        let info = try ConnectionInfo(services.connectionInfo)
        let commit = WorkerThread(name: "commit") {
            let connection = try PostgresConnection.connect(to: info)
            try connection.execute("INSERT INTO t VALUES (3)")
            isCommitted.set()
        }
        let isWaiting = try eventually(seconds: 5) {
            try count(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", on: services.connectionInfo)
                == 1
        }
        usleep(100_000)
        #expect(isWaiting && !isCommitted.isSet)
        try signal(first[1], SIGCONT)
        try commit.join()
        let applied = try eventually(seconds: 5) { try count("SELECT count(*) FROM t", on: first[1].address) == 3 }
        #expect(applied)

        // One of them is still halted, which mustn't keep anything from ending.
        try services.removeStandbys()
        try services.removeStandbys()
        try connection.execute("INSERT INTO t VALUES (4)")
        let left = try count("SELECT count(*) FROM pg_replication_slots", on: services.connectionInfo)
        #expect(left == 0)
        #expect(standbys(state).isEmpty && first.allSatisfy { !$0.isRunning })
        #expect(access(state.standbyFolder(1), F_OK) != 0 && access(state.standbyFolder(2), F_OK) != 0)
    }
}
