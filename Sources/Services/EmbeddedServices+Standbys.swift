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
            try Standbys.waitUntilStreaming(count, primary: connectionInfo)
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

    /// Makes commits wait for so many of the standbys (`synchronous_commit` says for what of them), or for none.
    /// Returns when every session that connects from now on has it so.
    /// - Throws: `OperatingError` if there are fewer standbys, or if they don't stream within 30 s: then it is off again.
    public func setSynchronousStandbys(_ wanted: SynchronousStandbys?) throws {
        let count = state.records.services.count { $0.kind == .standby && $0.isRunning }
        let names = (0..<count).map { Standbys.name($0 + 1) }
        guard let wanted else { return try Standbys.setSynchronous(nil, names: names, primary: connectionInfo) }
        guard count >= wanted.count else {
            throw OperatingError(
                "commits can't wait for \(wanted) of the standbys: \(count == 0 ? "none is" : "\(count) are") running")
        }
        do {
            try Standbys.setSynchronous(wanted, names: names, primary: connectionInfo)
        } catch {
            try? Standbys.setSynchronous(nil, names: [], primary: connectionInfo)
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
        try setSynchronous(nil, names: [], primary: primary)
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

    /// Writes the setting and waits until the primary obeys it and the named standbys stream.
    static func setSynchronous(_ wanted: SynchronousStandbys?, names: [String], primary: String) throws {
        try writeSynchronous(wanted, names: names, primary: primary)
        if !names.isEmpty { try waitUntilStreaming(names.count, as: .some(wanted), primary: primary) }
    }

    /// Writes the setting and waits until sessions that begin have it.
    static func writeSynchronous(_ wanted: SynchronousStandbys?, names: [String], primary: String) throws {
        let connection = try PostgresConnection.connect(to: ConnectionInfo(primary))
        defer { connection.close() }
        let value = wanted.map { $0.setting(of: names) } ?? ""
        if try connection.query("SHOW synchronous_standby_names").text(0, 0) == value { return }
        // Neither writes to the log, so neither waits for a standby.
        try connection.execute(
            wanted == nil
                ? "ALTER SYSTEM RESET synchronous_standby_names"
                : "ALTER SYSTEM SET synchronous_standby_names = '\(value)'")
        try connection.query("SELECT pg_reload_conf()")
        try wait("the primary didn't take up synchronous_standby_names") {
            let observer = try PostgresConnection.connect(to: ConnectionInfo(primary))
            defer { observer.close() }
            return try observer.query("SHOW synchronous_standby_names").text(0, 0) == value
        }
    }

    /// Until so many standbys stream; in the parts that the setting gives them, unless `parts` is nil.
    static func waitUntilStreaming(
        _ count: Int, as parts: SynchronousStandbys?? = nil, primary: String
    ) throws {
        guard count > 0 else { return }
        let connection = try PostgresConnection.connect(to: ConnectionInfo(primary))
        defer { connection.close() }
        // Of a list the first so many are `sync`, and the others wait for their turn.
        let expected: [String: Int]? = parts.map { wanted in
            switch wanted?.choice {
            case .any: ["quorum": count]
            case .first:
                ["sync": wanted?.count ?? 0, "potential": count - (wanted?.count ?? 0)].filter { $0.value > 0 }
            case nil: ["async": count]
            }
        }
        try wait("not all of \(count) standbys stream from the primary") {
            let states = try connection.query(
                """
                SELECT sync_state, count(*) FROM pg_stat_replication
                WHERE application_name LIKE 'standby_' AND state = 'streaming' GROUP BY sync_state
                """)
            var found: [String: Int] = [:]
            for row in 0..<states.rowCount { found[states.text(row, 0) ?? ""] = Int(states.int64(row, 1)) }
            return expected.map { $0 == found } ?? (found.values.reduce(0, +) == count)
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

    static func wait(_ failure: String, _ isDone: () throws -> Bool) throws {
        let deadline = ContinuousClock.now.advanced(by: .seconds(30))
        while try !isDone() {
            guard ContinuousClock.now < deadline else { throw OperatingError("\(failure) within 30 s") }
            usleep(10_000)
        }
    }
}
