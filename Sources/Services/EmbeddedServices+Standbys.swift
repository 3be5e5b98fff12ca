// Standbys of the embedded PostgreSQL, for as long as a measurement wants them: what is durable is then on more than one disk,
// and a commit may wait for that. Blocks the calling thread. What stands is in the records, never in this value.

import Diagnostics
import Glibc
import Postgres

extension EmbeddedServices {
    public static let standbyCountMax = 3

    /// Sees to it that exactly `count` standbys stream from the primary; made anew unless they run already.
    /// They end with this run, however it ends, or with `removeStandbys`.
    /// - Throws: `OperatingError` if one doesn't start; then none is left.
    public func ensureStandbys(count: Int) throws {
        precondition((0...Self.standbyCountMax).contains(count), "\(count) standbys")
        let lock = try state.lockServices()
        defer { lock.release() }
        let standbys = state.records.services.filter { $0.kind == .standby }
        if standbys.count == count, standbys.allSatisfy(\.isRunning) { return }
        try Standbys.remove(in: state, primary: connectionInfo)
        do {
            for number in 1...max(1, count) where number <= count { try startStandby(number) }
            try Standbys.waitUntilStreaming(count, isQuorum: nil, primary: connectionInfo)
        } catch {
            try? Standbys.remove(in: state, primary: connectionInfo)
            throw error
        }
    }

    /// Ends the standbys and what the primary kept for them. Commits wait for nobody afterwards. Harmless when repeated.
    public func removeStandbys() throws {
        let lock = try state.lockServices()
        defer { lock.release() }
        try Standbys.remove(in: state, primary: connectionInfo)
    }

    /// Makes commits wait for any one of the standbys (`synchronous_commit` says for what of it), or for none.
    /// Returns when every session that connects from now on has it so.
    /// - Throws: `OperatingError` if there are no standbys, or if they don't stream within 30 s: then it is off again.
    public func setQuorumCommit(_ isOn: Bool) throws {
        let count = state.records.services.count { $0.kind == .standby && $0.isRunning }
        guard isOn else { return try Standbys.setQuorum(of: 0, standbys: count, primary: connectionInfo) }
        guard count > 0 else { throw OperatingError("a quorum commit needs standbys, and none is running") }
        do {
            try Standbys.setQuorum(of: count, standbys: count, primary: connectionInfo)
        } catch {
            try? Standbys.setQuorum(of: 0, standbys: 0, primary: connectionInfo)
            throw error
        }
    }

    private func startStandby(_ number: Int) throws {
        let folder = state.standbyFolder(number)
        try Files.makeFolder(folder, mode: geteuid() == 0 ? 0o711 : 0o700)
        let mark = state.postgresMark.split(separator: "=", maxSplits: 1).map(String.init)
        let name = Standbys.name(number)
        let server = try EmbeddedPostgres.startStandby(
            name, of: connectionInfo, dataFolder: "\(folder)/data", socketFolder: "\(folder)/socket",
            settings: postgresSettings.merging([mark[0]: mark[1], "cluster_name": name]) { $1 },
            logFile: "\(folder)/server.log")
        try Launch.record(
            .standby, ProcessIdentity(pid: server.pid, startTicks: server.startTicks), address: server.connectionInfo,
            owner: .thisRun, in: state)
    }
}

/// What the primary knows of standbys, and their folders.
enum Standbys {
    static func name(_ number: Int) -> String { "standby\(number)" }

    static var numbers: ClosedRange<Int> { 1...EmbeddedServices.standbyCountMax }

    /// Ends all standbys of a state folder, deletes them, and makes the primary forget them. The caller holds the services
    /// lock.
    static func remove(in state: StateFolder, primary: String) throws {
        let hasFolders = numbers.contains { Files.isFolder(state.standbyFolder($0)) }
        var records = state.records
        guard hasFolders || records.services.contains(where: { $0.kind == .standby }) else { return }
        // First of all, or the commits of others would wait for standbys that are gone.
        try setQuorum(of: 0, standbys: 0, primary: primary)
        for record in records.services where record.kind == .standby { EmbeddedPostgres.stopStandby(record.process) }
        records.services.removeAll { $0.kind == .standby }
        try records.write(state.recordsFile)
        for number in numbers where Files.isFolder(state.standbyFolder(number)) {
            let folder = state.standbyFolder(number)
            let place = try ClusterPlace(dataFolder: "\(folder)/data", socketFolder: "\(folder)/socket")
            try EmbeddedPostgres.removeFiles(dataFolder: place.dataFolder, socketFolder: place.socketFolder)
            removeTree(folder)
        }
        try dropSlots(primary: primary)
    }

    /// Writes the setting and waits until the primary obeys it.
    static func setQuorum(of count: Int, standbys: Int, primary: String) throws {
        let connection = try PostgresConnection.connect(to: ConnectionInfo(primary))
        defer { connection.close() }
        let names = (0..<count).map { name($0 + 1) }.joined(separator: ", ")
        let value = count == 0 ? "" : "ANY 1 (\(names))"
        if try connection.query("SHOW synchronous_standby_names").text(0, 0) != value {
            // Neither writes to the log, so neither waits for a standby.
            try connection.execute(
                count == 0
                    ? "ALTER SYSTEM RESET synchronous_standby_names"
                    : "ALTER SYSTEM SET synchronous_standby_names = '\(value)'")
            try connection.query("SELECT pg_reload_conf()")
            try wait("the primary didn't take up synchronous_standby_names") {
                let observer = try PostgresConnection.connect(to: ConnectionInfo(primary))
                defer { observer.close() }
                return try observer.query("SHOW synchronous_standby_names").text(0, 0) == value
            }
        }
        if standbys > 0 { try waitUntilStreaming(standbys, isQuorum: count > 0, primary: primary) }
    }

    /// Until so many standbys stream; of a quorum, or of none, unless `isQuorum` is nil.
    static func waitUntilStreaming(_ count: Int, isQuorum: Bool?, primary: String) throws {
        guard count > 0 else { return }
        let connection = try PostgresConnection.connect(to: ConnectionInfo(primary))
        defer { connection.close() }
        let condition = isQuorum.map { $0 ? "AND sync_state = 'quorum'" : "AND sync_state = 'async'" } ?? ""
        try wait("not all of \(count) standbys stream from the primary") {
            try connection.query(
                """
                SELECT count(*) FROM pg_stat_replication
                WHERE application_name LIKE 'standby_' AND state = 'streaming' \(condition)
                """
            ).int64(0, 0) == count
        }
    }

    /// A slot keeps the primary's log for its standby, so one without a standby would fill the disk.
    private static func dropSlots(primary: String) throws {
        let connection = try PostgresConnection.connect(to: ConnectionInfo(primary))
        defer { connection.close() }
        let slots = numbers.map { EmbeddedPostgres.slotName(of: name($0)) }
        try wait("the slots of the standbys stay in use") {
            try connection.query(
                """
                SELECT count(CASE WHEN active_pid IS NULL THEN pg_drop_replication_slot(slot_name) END)
                FROM pg_replication_slots WHERE slot_name = ANY ($1::text[])
                """, .textArray(slots))
            return try connection.query(
                "SELECT count(*) FROM pg_replication_slots WHERE slot_name = ANY ($1::text[])", .textArray(slots)
            ).int64(0, 0) == 0
        }
    }

    private static func wait(_ failure: String, _ isDone: () throws -> Bool) throws {
        let deadline = ContinuousClock.now.advanced(by: .seconds(30))
        while try !isDone() {
            guard ContinuousClock.now < deadline else { throw OperatingError("\(failure) within 30 s") }
            usleep(10_000)
        }
    }
}
