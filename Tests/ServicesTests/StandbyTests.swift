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
            try expectPromotion(services)
            try services.ensureStandbys(count: 1)
            try services.setSynchronousStandbys(SynchronousStandbys(.any, 1))
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

    /// The first of two is cut off, so that the second has more; it takes over, and in the end its data are the primary's.
    private func expectPromotion(_ services: EmbeddedServices) throws {
        let state = services.state
        let tooMany = #expect(throws: OperatingError.self) { try services.promoteStandby() }
        #expect(tooMany?.description == "no standby is left to be promoted")
        #expect(!services.isPromoted)
        try services.restorePrimary()
        try services.ensureStandbys(count: 2)
        try services.setSynchronousStandbys(SynchronousStandbys(.first, 1))
        let order = try PostgresConnection.connect(to: ConnectionInfo(services.connectionInfo))
        let parts = try order.query(
            "SELECT string_agg(application_name || ' ' || sync_state, ', ' ORDER BY 1) FROM pg_stat_replication")
        #expect(parts.text(0, 0) == "standby1 sync, standby2 potential")
        try services.setSynchronousStandbys(SynchronousStandbys(.any, 2))
        try services.setSynchronousStandbys(SynchronousStandbys(.any, 1))

        let records = standbys(state)
        let first = try PostgresConnection.connect(to: ConnectionInfo(records[0].address))
        try first.execute("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'")
        try first.query("SELECT pg_reload_conf()")
        let isCut = try eventually {
            try order.query("SELECT count(*) FROM pg_stat_replication").int64(0, 0) == 1
        }
        #expect(isCut)
        try order.execute("CREATE TABLE promoted (id int); INSERT INTO promoted VALUES (1)")
        let old = try #require(state.records.first { $0.kind == .postgres })
        let promotion = try services.promoteStandby()
        #expect(promotion.standby == 2 && promotion.standbyCount == 2 && promotion.elapsedNs > 0)
        #expect(promotion.synchronousStandbys == SynchronousStandbys(.any, 1))
        #expect(!old.isRunning && services.isPromoted)
        let lost = #expect(throws: PostgresError.self) { try order.execute("SELECT 1") }
        #expect(lost?.isConnectionLost == true, "\(String(describing: lost))")

        // By the same address; this commit waits for the other standby, which follows the new primary.
        let new = try PostgresConnection.connect(to: ConnectionInfo(services.connectionInfo))
        try new.execute("INSERT INTO promoted VALUES (2)")
        #expect(try new.query("SHOW synchronous_standby_names").text(0, 0) == "ANY 1 (standby1)")
        let second = try services.promoteStandby()
        #expect(second.standby == 1 && second.standbyCount == 1 && second.synchronousStandbys == nil)
        let newest = try PostgresConnection.connect(to: ConnectionInfo(services.connectionInfo))
        try newest.execute("INSERT INTO promoted VALUES (3)")
        #expect(throws: OperatingError.self) { try services.promoteStandby() }

        try services.restorePrimary()
        #expect(!services.isPromoted && standbys(state).isEmpty)
        #expect(access(state.standbyFolder(1), F_OK) != 0 && access(state.standbyFolder(2), F_OK) != 0)
        let primary = try #require(state.records.first { $0.kind == .postgres })
        #expect(primary.isRunning && primary.address == services.connectionInfo && primary.owner == old.owner)
        let connection = try PostgresConnection.connect(to: ConnectionInfo(services.connectionInfo))
        #expect(try connection.query("SELECT sum(id) FROM promoted").int64(0, 0) == 6)
        #expect(try connection.query("SHOW cluster_name").text(0, 0) == "allocbench")
        for setting in ["synchronous_standby_names", "primary_conninfo", "primary_slot_name"] {
            #expect(try connection.query("SELECT current_setting($1)", .text(setting)).text(0, 0) == "")
        }
        #expect(try count("SELECT count(*) FROM pg_replication_slots", on: services.connectionInfo) == 0)
    }

    /// A quorum of two, both halted, then one of them halted, then neither there.
    private func expectQuorum(_ services: EmbeddedServices) throws {
        let state = services.state
        #expect(throws: OperatingError.self) { try services.setSynchronousStandbys(SynchronousStandbys(.any, 1)) }
        try services.ensureStandbys(count: 2)
        let first = standbys(state)
        try services.ensureStandbys(count: 2)
        #expect(first.map(\.process) == standbys(state).map(\.process) && first.count == 2)
        try services.setSynchronousStandbys(SynchronousStandbys(.any, 1))
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
