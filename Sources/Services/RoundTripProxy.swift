// A network between this machine's programs and their database that takes as long as one says: an in-process proxy.
// One thread serves all connections; nothing here runs on the thread of a caller but starting and stopping.

public import Diagnostics
import Glibc
public import Postgres
import Synchronization
import Threads

/// Forwards connections to a PostgreSQL or CockroachDB and holds every byte back for half a round trip in each direction.
///
/// A delay, not a throttle: bytes that follow each other closely arrive as closely, however long they were on the way. What
/// is more than `bytesOnTheWayMax` ahead in one direction has to wait, as it has to wait for a TCP window.
///
/// Clients reach it over a Unix socket in a folder that only this user can enter, so that a server that trusts its socket's
/// folder isn't opened to the machine. The handshake of a TCP connection, which a network would add to connecting, isn't
/// emulated; the round trips of PostgreSQL's own start are.
public final class RoundTripProxy: Sendable {
    /// Bytes on the way in one direction of one connection.
    public static let bytesOnTheWayMax = 8 << 20
    public static let roundTripTimeUsMax = 10_000_000

    /// What the proxy has done so far.
    public struct Figures: Sendable {
        public var connectionCount: Int
        public var bytesToServer: Int64
        public var bytesFromServer: Int64
        /// CPU time of the proxy's thread: part of the harness' share.
        public var cpuTimeNs: Int64
        /// The p99, over all pieces that came in at once, of how much later than asked they were passed on; nil while the proxy
        /// runs, and without any. How long bytes waited for the proxy to read them can't be seen, and isn't in it.
        public var latenessP99Ns: Int64?
    }

    /// How clients connect: the database, user and password of the target.
    public let connectionInfo: ConnectionInfo
    public let roundTripTimeUs: Int
    private let folder: String
    private let shared: ProxyLoop.Shared
    private let thread: Mutex<WorkerThread<Void>?>

    /// Starts the proxy. The target need not be up.
    /// - Throws: `OperatingError` if the target can't be stood in for: no single address, or an encryption that this proxy
    ///   would take away.
    public static func start(to target: ConnectionInfo, roundTripTimeUs: Int) throws(OperatingError) -> RoundTripProxy {
        guard (0...roundTripTimeUsMax).contains(roundTripTimeUs) else {
            throw OperatingError("a round trip of \(roundTripTimeUs) µs: expected 0 to \(roundTripTimeUsMax)")
        }
        let address = try ProxyTarget.address(of: target)
        removeLeftovers()
        let folder = try makeSocketFolder()
        do throws(OperatingError) {
            let shared = ProxyLoop.Shared()
            let loop = try ProxyLoop(
                listeningAt: "\(folder)/.s.PGSQL.5432", target: address, delayNs: Int64(roundTripTimeUs) * 500,
                shared: shared)
            let info = target.with("host", folder).with("port", "5432").without("hostaddr")
                .with("sslmode", "disable").with("gssencmode", "disable")
            return RoundTripProxy(
                info, roundTripTimeUs: roundTripTimeUs, folder: folder, shared: shared,
                thread: WorkerThread(name: "round trips") { loop.run() })
        } catch {
            removeSocketFolder(folder)
            throw error
        }
    }

    private init(
        _ info: ConnectionInfo, roundTripTimeUs: Int, folder: String, shared: ProxyLoop.Shared,
        thread: WorkerThread<Void>
    ) {
        connectionInfo = info
        self.roundTripTimeUs = roundTripTimeUs
        self.folder = folder
        self.shared = shared
        self.thread = Mutex(thread)
    }

    deinit { stop() }

    /// Cuts all connections and ends the proxy. Harmless when repeated.
    public func stop() {
        guard let running = thread.withLock({ $0.take() }) else { return }
        shared.stop()
        try? running.join()
        Self.removeSocketFolder(folder)
    }

    public var figures: Figures {
        Figures(
            connectionCount: shared.connectionCount.load(ordering: .relaxed),
            bytesToServer: shared.bytesToServer.load(ordering: .relaxed),
            bytesFromServer: shared.bytesFromServer.load(ordering: .relaxed), cpuTimeNs: shared.cpuTimeNs,
            latenessP99Ns: shared.latenessP99Ns)
    }

    // MARK: The socket's folder

    private static let parent = "/tmp"
    private static let prefix = "allocbench-proxy-"

    /// Its name says whose it is, so that what a killed process left can be told from what another one uses.
    private static func makeSocketFolder() throws(OperatingError) -> String {
        let own = ProcessIdentity.current
        var template = Array("\(parent)/\(prefix)\(own.pid)-\(own.startTicks)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .system("make a folder for the proxy's socket") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func removeSocketFolder(_ folder: String) {
        unlink("\(folder)/.s.PGSQL.5432")
        rmdir(folder)
    }

    private static func removeLeftovers() {
        for name in folderEntries(parent) where name.hasPrefix(prefix) {
            let parts = name.dropFirst(prefix.count).split(separator: "-")
            guard parts.count == 3, let pid = Int32(parts[0]), let ticks = UInt64(parts[1]),
                !ProcessIdentity(pid: pid, startTicks: ticks).isRunning, fileOwner("\(parent)/\(name)") == geteuid()
            else { continue }
            removeSocketFolder("\(parent)/\(name)")
        }
    }
}
