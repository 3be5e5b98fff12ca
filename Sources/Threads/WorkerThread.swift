// One operating-system thread that runs one closure to its end.
// A worker owns its C handles, so it owns a thread: blocking calls on a shared pool would make us measure the pool.

import Glibc
import Synchronization

/// A named thread that runs `body` once; `join` waits for it and hands over its result or its error.
public final class WorkerThread<Success: Sendable>: Sendable {
    private let outcome: Outcome<Success>
    /// Written once by `pthread_create` before the initializer returns, read only by `join`.
    private let thread: pthread_t

    /// Starts the thread. `name` is cut to the 15 bytes that the kernel keeps.
    public init(name: String, body: @escaping @Sendable () throws -> Success) {
        let outcome = Outcome<Success>()
        self.outcome = outcome
        let start = ThreadStart(name: name) { outcome.store(Result { try body() }) }
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                let start = Unmanaged<ThreadStart>.fromOpaque(raw).takeRetainedValue()
                nameCurrentThread(start.name)
                start.body()
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        precondition(status == 0, "pthread_create failed with \(status): out of threads or memory")
        self.thread = thread
    }

    /// Waits for the thread to end. Blocks the calling thread; call it once.
    public func join() throws -> Success {
        pthread_join(thread, nil)
        return try outcome.take().get()
    }
}

/// glibc hides `pthread_setname_np` behind `_GNU_SOURCE`, which Swift's importer doesn't set; the kernel's file does the same.
private func nameCurrentThread(_ name: String) {
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    let bytes = Array(name.utf8.prefix(15))
    _ = write(file, bytes, bytes.count)
    close(file)
}

private final class ThreadStart {
    let name: String
    let body: () -> Void
    init(name: String, body: @escaping () -> Void) {
        self.name = name
        self.body = body
    }
}

private final class Outcome<Success: Sendable>: Sendable {
    private let result = Mutex<Result<Success, any Error>?>(nil)
    func store(_ value: Result<Success, any Error>) { result.withLock { $0 = value } }
    func take() -> Result<Success, any Error> {
        guard let value = result.withLock({ $0 }) else { preconditionFailure("a thread ended without an outcome") }
        return value
    }
}
