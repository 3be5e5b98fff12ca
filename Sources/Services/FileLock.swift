// An flock on a file: one holder at a time, given back by the kernel however the holder ends.

import Diagnostics
import Glibc

/// Held as long as the value lives. The file keeps the holder's process id, for the message to whoever waits.
public struct FileLock: ~Copyable {
    private let descriptor: Int32

    /// Takes the lock, or answers nil with the holder's process id if it isn't free within `timeout`. Blocks.
    static func take(_ path: String, timeout: Duration = .zero) throws(OperatingError) -> FileLock? {
        // "flock" locks the open file, and our children get none of our descriptors, so they don't share it.
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("open the lock \(path)") }
        let deadline = ContinuousClock.now.advanced(by: timeout)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else {
                let error = OperatingError.system("lock \(path)")
                close(descriptor)
                throw error
            }
            guard ContinuousClock.now < deadline else {
                close(descriptor)
                return nil
            }
            usleep(20_000)
        }
        ftruncate(descriptor, 0)
        let text = Array("\(getpid())\n".utf8)
        pwrite(descriptor, text, text.count, 0)
        return FileLock(descriptor: descriptor)
    }

    /// The process that holds the lock, as it wrote itself into the file.
    static func holder(_ path: String) -> Int32? {
        fileContents(path).flatMap { Int32($0.prefix { $0.isNumber }) }
    }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// Gives the lock back before the value's end, for `defer`; harmless when repeated.
    public borrowing func release() { flock(descriptor, LOCK_UN) }

    deinit { close(descriptor) }
}
