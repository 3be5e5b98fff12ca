// Signs of life, on a thread and a connection of their own: whoever works is not asked whether it lives.

import Measurement
public import Postgres
import Synchronization
import Threads

/// Runs from `init` to `end`.
public final class Heartbeat: Sendable {
    private final class Verdict: Sendable {
        private let reason = Mutex<String?>(nil)
        func say(_ text: String) { reason.withLock { $0 = text } }
        var text: String? { reason.withLock { $0 } }
    }

    private let stop = StopFlag()
    private let verdict = Verdict()
    private let thread: WorkerThread<Void>

    /// Of a host that has joined.
    public convenience init(of host: JoinedHost, connection: ConnectionInfo, timing: HostTiming = HostTiming()) {
        self.init(connection: connection, timing: timing) { try HostStore.beat(host, on: $0) }
    }

    /// Of a runner.
    public convenience init(ofRunner session: String, connection: ConnectionInfo, timing: HostTiming = HostTiming()) {
        self.init(connection: connection, timing: timing) { try RunnerStore.beat(session, on: $0) }
    }

    private init(
        connection info: ConnectionInfo, timing: HostTiming,
        beat: @escaping @Sendable (PostgresConnection) throws -> String?
    ) {
        let (stop, verdict) = (stop, verdict)
        thread = WorkerThread(name: "heartbeat") {
            var connection: PostgresConnection?
            defer { connection?.close() }
            var lastHeard = monotonicNow()
            while !stop.isSet {
                do {
                    let open =
                        try connection ?? PostgresConnection.connect(to: info, applicationName: harnessApplicationName)
                    connection = open
                    if let reason = try beat(open) { return verdict.say(reason) }
                    lastHeard = monotonicNow()
                } catch {
                    // The database may be back before the others give this process up; later it makes no difference.
                    connection?.close()
                    connection = nil
                    if monotonicNow() - lastHeard > 3 * timing.lostAfterMs * 1_000_000 {
                        return verdict.say("the database is gone: \(error)")
                    }
                }
                let next = monotonicNow() + timing.heartbeatMs * 1_000_000
                while monotonicNow() < next && !stop.isSet {
                    sleepUntil(monotonic: min(next, monotonicNow() + 50_000_000))
                }
            }
        }
    }

    /// Why this process must not go on; nil as long as it may.
    public var reasonToEnd: String? { verdict.text }

    /// Blocks for a moment; call it once.
    public func end() {
        stop.set()
        try? thread.join()
    }
}
