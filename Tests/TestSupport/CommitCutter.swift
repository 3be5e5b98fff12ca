// Stands between a program and PostgreSQL and, once, keeps the answer to a commit, be it a COMMIT or the end of an implicit
// transaction that inserted: the transaction is committed, and whoever committed it sees nothing but a lost connection.

import Glibc
public import Postgres
import Synchronization

/// Listens on 127.0.0.1 and forwards every session to a server's Unix socket. Whoever starts one closes it.
public final class CommitCutter: Sendable {
    private struct State {
        var isArmed = false
        /// Commits that still get their answers.
        var sparedCount = 0
        var cutCount = 0
    }

    private let server = LoopbackServer(name: "cutter")
    private let path: String
    private let info: ConnectionInfo
    private let state = Mutex(State())

    /// - Parameter info: names a server by the folder of its socket.
    public init(before info: ConnectionInfo) {
        self.info = info
        path = "\(info["host"] ?? "")/.s.PGSQL.\(info["port"] ?? "5432")"
        server.start { [self] client in
            let server = connectToServer()
            guard server >= 0 else { return }
            forward(client, server)
            Glibc.close(server)
        }
    }

    /// The same database, with this in between.
    public var connectionInfo: ConnectionInfo {
        info.with("host", "127.0.0.1").with("port", String(server.port)).with("sslmode", "disable")
            .with("gssencmode", "disable")
    }

    /// The next commit of any session, behind `count` others, is the one whose answer nobody gets.
    public func arm(sparing count: Int) {
        state.withLock { state in
            state.isArmed = true
            state.sparedCount = count
        }
    }

    /// How many answers were kept.
    public var cutCount: Int { state.withLock { $0.cutCount } }

    /// Ends every session. Blocks until they are over.
    public func close() { server.close() }

    private func connectToServer() -> Int32 {
        let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            Glibc.close(server)
            return -1
        }
        return server
    }

    /// Until either side has gone, or a commit's answer is kept.
    private func forward(_ client: Int32, _ server: Int32) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var watched = [
                pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                pollfd(fd: server, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&watched, 2, -1) > 0 else { continue }
            for (index, other) in [(0, server), (1, client)] where watched[index].revents != 0 {
                let count = recv(watched[index].fd, &buffer, buffer.count, 0)
                guard count > 0 else { return }
                let bytes = buffer[..<count]
                if index == 1, bytes.indices.contains(where: { Self.isCommit(bytes[$0...]) }), takeShot() {
                    return
                }
                guard send(Array(bytes), to: other) else { return }
            }
        }
    }

    /// Whether an answer begins here that a commit ends with: the tag of a COMMIT, or that of an INSERT or COPY with the server out
    /// of any transaction behind it. As the protocol has them: type, length with itself, text.
    private static func isCommit(_ bytes: ArraySlice<UInt8>) -> Bool {
        if bytes.starts(with: [UInt8(ascii: "C"), 0, 0, 0, 11] + Array("COMMIT".utf8)) { return true }
        guard bytes.count > 5, bytes.starts(with: [UInt8(ascii: "C"), 0, 0, 0]),
            ["INSERT ", "COPY "].contains(where: { bytes.dropFirst(5).starts(with: Array($0.utf8)) })
        else { return false }
        let isIdle = [UInt8(ascii: "Z"), 0, 0, 0, 5, UInt8(ascii: "I")]
        return bytes.dropFirst(1 + Int(bytes[bytes.startIndex + 4])).starts(with: isIdle)
    }

    private func takeShot() -> Bool {
        state.withLock { state in
            guard state.isArmed else { return false }
            if state.sparedCount > 0 {
                state.sparedCount -= 1
                return false
            }
            state.isArmed = false
            state.cutCount += 1
            return true
        }
    }

    private func send(_ bytes: [UInt8], to socket: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
