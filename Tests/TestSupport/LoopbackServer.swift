// The part of a server that has nothing to do with what it serves: a port of this machine, and a thread for each session.

import Glibc
import Synchronization
import Threads

/// Listens on 127.0.0.1 from `init` to `close`.
final class LoopbackServer: Sendable {
    private struct State {
        var isClosed = false
        var sockets: [Int32] = []
    }

    let port: UInt16
    private let name: String
    private let listener: Int32
    private let state = Mutex(State())
    private let threads = Mutex<[WorkerThread<Void>]>([])

    /// - Parameter name: of the threads.
    init(name: String) {
        self.name = name
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        var length = size
        let listener = listener
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(listener, generic, size) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, generic, &length) == 0
            }
        }
        precondition(isBound, "a port of 127.0.0.1 can be listened on")
        port = UInt16(bigEndian: address.sin_port)
    }

    /// Serves whoever connects. Called once.
    /// - Parameter serve: gets a session's socket, and leaves its end to this.
    func start(_ serve: @escaping @Sendable (Int32) -> Void) {
        let accepting = WorkerThread(name: name) { [self] in accept(serve) }
        threads.withLock { $0.append(accepting) }
    }

    /// Ends every session. Blocks until they are over.
    func close() {
        state.withLock { state in
            state.isClosed = true
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
        // The accepting one first: after it nobody adds another.
        while let thread = threads.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { try? thread.join() }
        Glibc.close(listener)
    }

    private func accept(_ serve: @escaping @Sendable (Int32) -> Void) {
        while true {
            let socket = Glibc.accept(listener, nil, nil)
            guard socket >= 0 else { return }
            let isWanted = state.withLock { state in
                if !state.isClosed { state.sockets.append(socket) }
                return !state.isClosed
            }
            guard isWanted else {
                Glibc.close(socket)
                return
            }
            let serving = WorkerThread(name: "\(name)-session") { [self] in
                serve(socket)
                // Before the number can be another session's.
                state.withLock { $0.sockets.removeAll { $0 == socket } }
                Glibc.close(socket)
            }
            threads.withLock { $0.append(serving) }
        }
    }
}
