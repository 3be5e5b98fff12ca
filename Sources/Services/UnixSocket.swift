// Stream sockets in the file system and lines over them: what the mock broker's control socket is made of.
// Blocks its thread, never longer than the stated timeout per call.

import Diagnostics
import Glibc

/// One connected or listening socket; closes itself.
struct UnixSocket: ~Copyable {
    let descriptor: Int32

    private init(adopting descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Listens at `path`, in place of whatever dead socket lies there.
    static func listen(at path: String) throws(OperatingError) -> UnixSocket {
        let socket = try make(path)
        unlink(path)
        guard withAddress(path, { bind(socket.descriptor, $0, $1) }) == 0 else { throw .system("bind \(path)") }
        chmod(path, 0o600)
        guard Glibc.listen(socket.descriptor, 16) == 0 else { throw .system("listen at \(path)") }
        return socket
    }

    static func connect(to path: String, timeoutMs: Int) throws(OperatingError) -> UnixSocket {
        let socket = try make(path)
        socket.limitWaits(toMs: timeoutMs)
        guard withAddress(path, { Glibc.connect(socket.descriptor, $0, $1) }) == 0 else {
            throw .system("connect to \(path)")
        }
        return socket
    }

    /// The next connection.
    func accept(timeoutMs: Int) throws(OperatingError) -> UnixSocket {
        while true {
            let peer = Glibc.accept(descriptor, nil, nil)
            if peer >= 0 {
                let socket = UnixSocket(adopting: peer)
                socket.limitWaits(toMs: timeoutMs)
                return socket
            }
            guard errno == EINTR || errno == ECONNABORTED else { throw .system("accept a connection") }
        }
    }

    /// The next line without its end; nil at the end of the stream, after the timeout, and past 4,096 bytes.
    func readLine() -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while bytes.count < 4_096 {
            let count = recv(descriptor, &byte, 1, 0)
            if count < 0 && errno == EINTR { continue }
            guard count == 1 else { return nil }
            if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        return nil
    }

    @discardableResult
    func write(line: String) -> Bool {
        var rest = Array((line + "\n").utf8)[...]
        while !rest.isEmpty {
            // Without MSG_NOSIGNAL a peer that has gone would end this process with SIGPIPE.
            let count = rest.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return false }
        }
        return true
    }

    private static func make(_ path: String) throws(OperatingError) -> UnixSocket {
        guard path.utf8.count <= ClusterPlace.socketPathSizeMax else {
            throw OperatingError("the socket path \(path) is longer than \(ClusterPlace.socketPathSizeMax) bytes")
        }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { throw .system("make a socket for \(path)") }
        return UnixSocket(adopting: descriptor)
    }

    private func limitWaits(toMs timeoutMs: Int) {
        var limit = timeval(tv_sec: timeoutMs / 1_000, tv_usec: timeoutMs % 1_000 * 1_000)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    /// `make` has checked that the path fits.
    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

/// A TCP port of 127.0.0.1 that nobody listens on, held until the value is gone.
struct LoopbackPort: ~Copyable {
    let number: UInt16
    private let descriptor: Int32

    init() throws(OperatingError) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 ? getsockname(descriptor, $0, &size) : -1
            }
        }
        number = UInt16(bigEndian: address.sin_port)
        guard status == 0 else { throw .system("find a free port on 127.0.0.1") }
    }

    deinit { close(descriptor) }
}
