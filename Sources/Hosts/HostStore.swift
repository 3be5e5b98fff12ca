// What a worker host asks and says: its name, its part of a cell, how far it is. Used on its connection's thread.

import Diagnostics
import Glibc
public import Measurement
public import Postgres

/// Sessions of these are no load: whoever counts what the database did leaves them out.
public let harnessApplicationName = "allocbench harness"

/// A host's door to the harness schema.
public struct HostStore {
    public let connection: PostgresConnection
    public let host: JoinedHost
    let timing: HostTiming

    private static var script: SQLScript { HarnessSchema.script }

    public init(_ host: JoinedHost, on connection: PostgresConnection, timing: HostTiming = HostTiming()) {
        self.host = host
        self.connection = connection
        self.timing = timing
    }

    // MARK: Joining

    /// Joins under a name. Blocks while it isn't known whether the name's last owner is still there.
    /// - Throws: `OperatingError` where the name is another host's, or a run in progress is another program's.
    public static func join(
        name: String, program: ProgramIdentity, cores: Int, on connection: PostgresConnection,
        timing: HostTiming = HostTiming(), isStopped: () -> Bool
    ) throws -> HostStore {
        try HarnessSchema.createTogether(on: connection)
        try requireSameProgram(program, as: name, on: connection, timing: timing)
        let host = JoinedHost(
            name: name, session: randomSession(), address: try address(on: connection), processID: Int64(getpid()),
            program: program, cores: cores)
        while true {
            let former = try formerOwner(of: name, on: connection, timing: timing, isStopped: isStopped)
            let joined = try connection.query(
                script["join"], .text(name), .text(host.session), .text(host.address), .int64(host.processID),
                .text(program.version), .text(program.commit), .int64(Int64(cores)), .text(former ?? ""))
            if joined.rowCount == 1 { return HostStore(host, on: connection, timing: timing) }
        }
    }

    private static func requireSameProgram(
        _ program: ProgramIdentity, as name: String, on connection: PostgresConnection, timing: HostTiming
    ) throws {
        let runners = try connection.query(script["runners"], .int64(timing.lostAfterMs))
        for row in 0..<runners.rowCount {
            let runner = ProgramIdentity(version: runners.text(row, 1) ?? "", commit: runners.text(row, 2) ?? "")
            guard !runner.isSame(as: program) else { continue }
            throw OperatingError(
                refusal(of: name, program, by: runners.text(row, 0) ?? "", runner),
                remedy: "run the same build of allocbench on every host")
        }
    }

    static func refusal(
        of name: String, _ program: ProgramIdentity, by run: String, _ runner: ProgramIdentity
    ) -> String {
        "host \(name) is allocbench \(program.text), and the run \(run) is of \(runner.text)"
    }

    /// Who had the name and isn't there any more; nil where nobody had it. A host that was killed stands in the table as if it
    /// lived; it doesn't give another sign of life, though.
    private static func formerOwner(
        of name: String, on connection: PostgresConnection, timing: HostTiming, isStopped: () -> Bool
    ) throws -> String? {
        var first: (session: String, heartbeat: String)?
        while true {
            let found = try connection.query(script["host_named"], .text(name), .int64(timing.lostAfterMs))
            guard found.rowCount == 1 else { return nil }
            let (session, heartbeat) = (found.text(0, 0) ?? "", found.text(0, 3) ?? "")
            if found.int64(0, 4) == 0 { return session }
            if let first, first != (session, heartbeat) {
                throw OperatingError(
                    "a host named \(name) has joined already, from \(found.text(0, 1) ?? ""), process \(found.text(0, 2) ?? "")",
                    remedy: "give this one a name of its own: allocbench work --join NAME")
            }
            first = (session, heartbeat)
            if isStopped() { throw OperatingError("interrupted while the name \(name) was taken") }
            sleepThread(for: .milliseconds(timing.heartbeatMs / 2))
        }
    }

    /// As the server sees this process.
    private static func address(on connection: PostgresConnection) throws -> String {
        var name = [CChar](repeating: 0, count: 256)
        let own =
            gethostname(&name, name.count - 1) == 0
            ? String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : "unknown"
        // Nothing through a local socket, and not every server can be asked.
        guard let seen = try? connection.query(script["client_address"]).text(0, 0), !seen.isEmpty else { return own }
        return seen
    }

    public func leave() throws {
        try connection.query(Self.script["leave"], .text(host.name), .text(host.session))
    }

    /// Gives a sign of life.
    /// - Returns: why the host must go, if it must.
    static func beat(_ host: JoinedHost, on connection: PostgresConnection) throws -> String? {
        let answer = try connection.query(script["beat_host"], .text(host.name), .text(host.session))
        guard answer.rowCount == 1 else { return "another host has taken the name \(host.name)" }
        return answer.text(0, 0).flatMap { $0.isEmpty ? nil : $0 }
    }

    // MARK: Cells

    /// A part of a cell that waits for this host.
    public struct Task: Sendable, Equatable {
        public let cell: String
        public let share: CellShare
        public let runName: String
    }

    public func nextTask() throws -> Task? {
        let found = try connection.query(
            Self.script["next_share"], .text(host.session), .int64(timing.lostAfterMs))
        guard found.rowCount == 1, let cell = found.text(0, 0) else { return nil }
        let share = try CellShare(jsonText: found.text(0, 1) ?? "")
        try report(.taken, of: cell)
        return Task(cell: cell, share: share, runName: found.text(0, 2) ?? "")
    }

    /// Whether the runner of a run still gives signs of life.
    public func isAlive(run name: String) throws -> Bool {
        let runners = try connection.query(Self.script["runners"], .int64(timing.lostAfterMs))
        return (0..<runners.rowCount).contains { runners.text($0, 0) == name }
    }

    /// How a cell stands.
    public enum CellState: Sendable, Equatable {
        case gathering
        case started(serverUs: Int64)
        case closing
        /// Over, or given up.
        case ended
        /// Nobody has heard of the runner for too long.
        case runnerLost
    }

    public func state(ofCell cell: String) throws -> CellState {
        let found = try connection.query(Self.script["cell"], .text(cell), .int64(timing.lostAfterMs))
        guard found.rowCount == 1 else { return .ended }
        let phase = found.text(0, 0)
        if phase == "ended" { return .ended }
        guard found.int64(0, 2) == 1 else { return .runnerLost }
        if phase == "closing" { return .closing }
        return phase == "started" ? .started(serverUs: found.optionalInt64(0, 1) ?? 0) : .gathering
    }

    public enum ShareState: String, Sendable {
        case assigned, taken, ready, drained, done, failed
    }

    public func report(_ state: ShareState, of cell: String, _ text: String? = nil) throws {
        try connection.query(
            Self.script["report_state"], .text(cell), .text(host.session), .text(state.rawValue),
            text.map { .text($0) } ?? .null)
    }

    public func report(_ progress: ProgressCounts, of cell: String) throws {
        try connection.query(
            Self.script["report_progress"], .text(cell), .text(host.session), .int64(progress.committed),
            .int64(progress.lag), .int64(progress.retries), .int64(progress.errors))
    }
}
