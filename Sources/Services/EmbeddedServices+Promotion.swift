// The death of the embedded primary and the promotion of a standby in its place, and the way back. Blocks the calling thread.
// Clients keep their address, as behind a floating one: the socket of the dead primary becomes a link to the new one's.

internal import CSpawn
internal import Diagnostics
internal import Glibc
internal import Measurement
internal import Postgres

/// What a promotion did, as far as its clients should know.
public struct Promotion: Sendable {
    /// Which standby is the primary now, and of how many.
    public let standby: Int
    public let standbyCount: Int
    /// For how many of the others commits wait now; nil for none.
    public let synchronousStandbys: SynchronousStandbys?
    /// From the order to kill until the address led to the new primary, in nanoseconds.
    public let elapsedNs: Int64
}

extension EmbeddedServices {
    /// Kills the primary as a power failure would, promotes the standby that has received most of its log, lets the others
    /// follow it, and leads clients there. Until `restorePrimary`, or the end of the run, that standby is the primary.
    ///
    /// A run that is killed before it restores the primary falls back to the old one: the promoted standby ends with the run,
    /// as all standbys do, and the next start brings back the primary as it was when it died.
    /// - Throws: `OperatingError` if no standby runs, or if one doesn't take over.
    public func promoteStandby() throws -> Promotion {
        let began = monotonicNow()
        let lock = try state.lockServices()
        defer { lock.release() }
        let records = state.records
        let promoted = Standbys.promotedNumber(primary: connectionInfo)
        let standbys = records.services.filter {
            $0.kind == .standby && $0.isRunning && Standbys.number(of: $0, in: state) != promoted
        }
        guard !standbys.isEmpty else { throw OperatingError("no standby is left to be promoted") }
        let wanted = try Standbys.synchronousSetting(primary: connectionInfo)
        if let primary = try Standbys.primaryRecord(records, promoted: promoted, in: state) {
            EmbeddedPostgres.stop(
                pid: primary.process.pid, startTicks: primary.process.startTicks, mode: .immediate)
        }
        let chosen = try Standbys.furthest(of: standbys)
        let others = standbys.filter { $0.process != chosen.process }
        try Standbys.promote(chosen)
        for other in others {
            try Standbys.follow(chosen, Standbys.name(Standbys.number(of: other, in: state)), at: other.address)
        }
        let synchronous = wanted?.among(others.count)
        try Standbys.writeSynchronous(
            synchronous, names: others.map { Standbys.name(Standbys.number(of: $0, in: state)) },
            primary: chosen.address)
        try Standbys.lead(connectionInfo, to: chosen.address)
        return Promotion(
            standby: Standbys.number(of: chosen, in: state), standbyCount: standbys.count,
            synchronousStandbys: synchronous, elapsedNs: monotonicNow() - began)
    }

    /// Whether a standby is in the primary's place.
    public var isPromoted: Bool { Standbys.promotedNumber(primary: connectionInfo) != nil }

    /// After a promotion: makes the promoted server's data those of the primary, in the primary's own place, and ends all
    /// standbys. Nothing that was committed since is lost. Harmless where nothing was promoted.
    public func restorePrimary() throws {
        guard let promoted = Standbys.promotedNumber(primary: connectionInfo) else { return }
        let lock = try state.lockServices()
        defer { lock.release() }
        var records = state.records
        let standbys = records.services.filter { $0.kind == .standby }
        let (current, others) = (
            standbys.filter { Standbys.number(of: $0, in: state) == promoted },
            standbys.filter { Standbys.number(of: $0, in: state) != promoted }
        )
        // First of all, or whoever commits meanwhile would wait for standbys that are gone.
        try Standbys.writeSynchronous(nil, names: [], primary: connectionInfo)
        for record in others { EmbeddedPostgres.stopStandby(record.process) }
        try Standbys.forgetPrimary(at: connectionInfo)
        for record in current {
            EmbeddedPostgres.stop(pid: record.process.pid, startTicks: record.process.startTicks, mode: .fast)
        }
        records.services.removeAll { $0.kind == .standby }
        try records.write(state.recordsFile)

        let place = try ClusterPlace(
            dataFolder: state.postgresDataFolder, socketFolder: "\(state.postgresFolder)/socket")
        let folder = state.standbyFolder(promoted)
        let promotedPlace = try ClusterPlace(dataFolder: "\(folder)/data", socketFolder: "\(folder)/socket")
        try Standbys.exchange(promotedPlace.dataFolder, place.dataFolder)
        let owner = records.services.first { $0.kind == .postgres }?.owner ?? .thisRun
        records.services.removeAll { $0.kind == .postgres }
        try records.write(state.recordsFile)
        let mark = state.postgresMark.split(separator: "=", maxSplits: 1).map(String.init)
        let server = try EmbeddedPostgres.start(
            dataFolder: state.postgresDataFolder, socketFolder: "\(state.postgresFolder)/socket",
            settings: postgresSettings.merging([mark[0]: mark[1]]) { $1 }, logFile: "\(state.postgresFolder)/server.log"
        )
        try Launch.record(
            .postgres, ProcessIdentity(pid: server.pid, startTicks: server.startTicks), address: server.connectionInfo,
            owner: owner, in: state)
        // The old primary's files, and what is left of the other standbys.
        try Standbys.remove(in: state, primary: connectionInfo)
    }
}

extension Standbys {
    /// Of a standby's record.
    static func number(of record: ServiceRecord, in state: StateFolder) -> Int {
        let socket = socketFolder(of: record.address)
        return numbers.first { number in
            let folder = state.standbyFolder(number)
            // To ask for a place is to make it.
            guard Files.isFolder(folder) else { return false }
            let place = try? ClusterPlace(dataFolder: "\(folder)/data", socketFolder: "\(folder)/socket")
            return place?.socketFolder == socket
        } ?? 0
    }

    /// Which standby the primary's address leads to; nil if it leads to the primary itself. The link says whose socket it is,
    /// and the server behind it what it is called.
    static func promotedNumber(primary: String) -> Int? {
        let link = "\(socketFolder(of: primary) ?? "")/\(socketName)"
        var target = [CChar](repeating: 0, count: 4096)
        guard readlink(link, &target, target.count - 1) > 0,
            let connection = try? PostgresConnection.connect(to: ConnectionInfo(primary))
        else { return nil }
        defer { connection.close() }
        let name = try? connection.query("SHOW cluster_name").text(0, 0)
        return numbers.first { self.name($0) == name }
    }

    private static let socketName = ".s.PGSQL.5432"

    private static func socketFolder(of address: String) -> String? { (try? ConnectionInfo(address))?["host"] }

    /// The server that clients reach now.
    static func primaryRecord(
        _ records: ServiceRecords, promoted: Int?, in state: StateFolder
    ) throws -> ServiceRecord? {
        guard let promoted else { return records.first { $0.kind == .postgres && $0.isRunning } }
        return records.first { $0.kind == .standby && $0.isRunning && number(of: $0, in: state) == promoted }
    }

    /// What commits wait for, as the primary has it now.
    static func synchronousSetting(primary: String) throws -> SynchronousStandbys? {
        let connection = try PostgresConnection.connect(to: ConnectionInfo(primary))
        defer { connection.close() }
        let value = try connection.query("SHOW synchronous_standby_names").text(0, 0) ?? ""
        return SynchronousStandbys(value.prefix { $0 != "(" }.split(separator: " ").joined(separator: " "))
    }

    /// The standby that has most of the dead primary's log. What was on its way to them is read first: the end of the
    /// connection comes behind it.
    static func furthest(of standbys: [ServiceRecord]) throws -> ServiceRecord {
        var best: (record: ServiceRecord, position: LSN)?
        for record in standbys {
            let connection = try PostgresConnection.connect(to: ConnectionInfo(record.address))
            defer { connection.close() }
            try wait("a standby doesn't notice that its primary is gone") {
                try connection.query("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'")
                    .int64(0, 0) == 0
            }
            let text = try connection.query(
                "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
            ).text(0, 0)
            let position = text.flatMap { LSN($0) } ?? .zero
            if position > best?.position ?? .zero || best == nil { best = (record, position) }
        }
        guard let best else { throw OperatingError("no standby is left to be promoted") }
        return best.record
    }

    /// Replays what was received, and then takes writes.
    static func promote(_ record: ServiceRecord) throws {
        let connection = try PostgresConnection.connect(to: ConnectionInfo(record.address))
        defer { connection.close() }
        guard try connection.query("SELECT pg_promote(true, 60)").text(0, 0) == "t" else {
            throw OperatingError("a standby wasn't promoted within 60 s")
        }
    }

    /// Lets a standby stream from the new primary, through a slot of its own there.
    static func follow(_ primary: ServiceRecord, _ name: String, at address: String) throws {
        let source = try PostgresConnection.connect(to: ConnectionInfo(primary.address))
        defer { source.close() }
        try source.query(
            "SELECT pg_create_physical_replication_slot($1, true)", .text(EmbeddedPostgres.slotName(of: name)))
        let standby = try PostgresConnection.connect(to: ConnectionInfo(address))
        defer { standby.close() }
        let info = "\(primary.address) application_name=\(name)"
        let literal = info.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
        // Writes a file beside the data and no log, so a standby may do it, too.
        try standby.execute("ALTER SYSTEM SET primary_conninfo = '\(literal)'")
        try standby.query("SELECT pg_reload_conf()")
    }

    /// Puts a link in the place of a socket, in one step: there is no moment without an address.
    static func lead(_ primary: String, to address: String) throws {
        guard let from = socketFolder(of: primary), let to = socketFolder(of: address) else {
            throw OperatingError("a server without a socket can't be followed")
        }
        let (link, new) = ("\(from)/\(socketName)", "\(from)/\(socketName).new")
        unlink(new)
        guard symlink("\(to)/\(socketName)", new) == 0, rename(new, link) == 0 else {
            throw OperatingError.system("lead the socket \(link) to the new primary")
        }
    }

    /// Takes out of a promoted server's files whose standby it was, and what it kept for its own.
    static func forgetPrimary(at address: String) throws {
        let connection = try PostgresConnection.connect(to: ConnectionInfo(address))
        defer { connection.close() }
        for setting in ["primary_conninfo", "primary_slot_name"] {
            try connection.execute("ALTER SYSTEM RESET \(setting)")
        }
    }

    /// Each folder gets the other's name. In one step where the file system can: a kill in between finds either both as they
    /// were or both exchanged.
    static func exchange(_ one: String, _ other: String) throws {
        if renameat2(AT_FDCWD, one, AT_FDCWD, other, UInt32(RENAME_EXCHANGE)) == 0 { return }
        let aside = one + ".aside"
        guard rename(one, aside) == 0, rename(other, one) == 0, rename(aside, other) == 0 else {
            throw OperatingError.system("move the promoted data to \(other)")
        }
    }
}
