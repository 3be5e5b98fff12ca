// What a runner asks and says: which hosts are there, what each of them is to do, and how far they are. Used on its
// connection's thread.

import Diagnostics
public import Measurement
public import Postgres

/// A runner's door to the harness schema.
public struct RunnerStore {
    public let connection: PostgresConnection
    public let session: String
    let runName: String
    let program: ProgramIdentity
    let timing: HostTiming

    private static var script: SQLScript { HarnessSchema.script }

    /// Says that a run wants hosts, and clears away what runners left that are gone.
    public static func begin(
        runName: String, program: ProgramIdentity, on connection: PostgresConnection, timing: HostTiming = HostTiming()
    ) throws -> RunnerStore {
        try HarnessSchema.createTogether(on: connection)
        let store = RunnerStore(
            connection: connection, session: randomSession(), runName: runName, program: program, timing: timing)
        try connection.transaction { connection in
            for name in ["clear_runners", "clear_shares", "clear_cells"] {
                // What is cleared of cells goes by the runners that are left.
                try connection.query(script[name], .int64(timing.lostAfterMs))
            }
            try connection.query(
                script["begin_runner"], .text(store.session), .text(runName), .text(program.version),
                .text(program.commit))
        }
        return store
    }

    /// Nobody wants hosts any more.
    public func end() throws { try connection.query(Self.script["end_runner"], .text(session)) }

    /// - Returns: why the run must end, if it must.
    static func beat(_ session: String, on connection: PostgresConnection) throws -> String? {
        try connection.query(script["beat_runner"], .text(session)).rowCount == 1
            ? nil : "another run has cleared this one away"
    }

    // MARK: Hosts

    /// The hosts that are there, in the order of joining. Those of another program are sent away, with the reason.
    public func hosts(say: (String) -> Void) throws -> [JoinedHost] {
        let found = try connection.query(Self.script["hosts"], .int64(timing.lostAfterMs))
        var hosts: [JoinedHost] = []
        for row in 0..<found.rowCount {
            let host = JoinedHost(
                name: found.text(row, 0) ?? "", session: found.text(row, 1) ?? "", address: found.text(row, 2) ?? "",
                processID: found.int64(row, 3),
                program: ProgramIdentity(version: found.text(row, 4) ?? "", commit: found.text(row, 5) ?? ""),
                cores: Int(found.int64(row, 6)))
            if host.program.isSame(as: program) {
                hosts.append(host)
            } else {
                let refusal = HostStore.refusal(of: host.name, host.program, by: runName, program)
                try connection.query(Self.script["refuse"], .text(host.session), .text(refusal))
                say("sent away: \(refusal)")
            }
        }
        return hosts
    }

    // MARK: Cells

    /// Hands every host its share. All of them or none.
    public func begin(cell: String, _ shares: [(host: JoinedHost, share: CellShare)]) throws {
        try connection.transaction { connection in
            try connection.query(Self.script["begin_cell"], .text(cell), .text(session))
            for (host, share) in shares {
                try connection.query(
                    Self.script["begin_share"], .text(cell), .text(host.session), .text(host.name),
                    .text(try share.jsonText()))
            }
        }
    }

    /// Says the start.
    /// - Returns: when it will be, in microseconds of the server's clock.
    public func start(cell: String) throws -> Int64 {
        try connection.query(Self.script["start"], .text(cell), .int64(timing.startLeadMs * 1000)).int64(0, 0)
    }

    public enum Phase: String, Sendable { case closing, ended }

    public func set(_ phase: Phase, of cell: String) throws {
        try connection.query(Self.script["set_phase"], .text(cell), .text(phase.rawValue))
    }

    /// How far a host is.
    public struct Standing: Sendable {
        public let name: String
        public let state: HostStore.ShareState
        public let progress: ProgressCounts
        public let report: String?
        /// Whether it has given a sign of life in time.
        public let isHeard: Bool
        /// False once it has left, or another one has taken its name.
        public let isThere: Bool
    }

    public func standings(inCell cell: String) throws -> [Standing] {
        let found = try connection.query(Self.script["shares"], .text(cell), .int64(timing.lostAfterMs))
        return (0..<found.rowCount).map { row in
            var progress = ProgressCounts()
            progress.committed = found.int64(row, 2)
            progress.lag = found.int64(row, 3)
            progress.retries = found.int64(row, 4)
            progress.errors = found.int64(row, 5)
            return Standing(
                name: found.text(row, 0) ?? "",
                state: HostStore.ShareState(rawValue: found.text(row, 1) ?? "") ?? .failed, progress: progress,
                report: found.text(row, 6), isHeard: found.int64(row, 7) == 1, isThere: found.int64(row, 8) == 1)
        }
    }

    /// Forgets a cell.
    public func remove(cell: String) throws {
        try connection.query(Self.script["end_shares"], .text(cell))
        try connection.query(Self.script["end_cell"], .text(cell))
    }
}
