// A result file that is either whole or not there: written beside its place, synced, then renamed into it.
// Runs on the runner's thread, never inside a measured section.

public import Diagnostics
import Glibc

/// Collects text for `path` in `path.partial`. What a killed harness leaves is such a partial file, visible as one.
final class AtomicFile {
    private static let bufferByteCount = 1 << 16

    private let path: String
    private let partialPath: String
    private let file: Int32
    private var buffer: [UInt8] = []
    /// False after a failed write: a file with a hole must never be renamed into its place.
    private var isWhole = true

    init(path: String) throws(OperatingError) {
        self.path = path
        partialPath = path + ".partial"
        file = open(partialPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw AtomicFile.fault("can't create", partialPath, errno) }
    }

    deinit {
        if file >= 0 { close(file) }
    }

    func append(_ text: String) throws(OperatingError) {
        buffer += text.utf8
        if buffer.count >= AtomicFile.bufferByteCount { try flush() }
    }

    /// Hands everything to the kernel, so that it outlives this process.
    func flush() throws(OperatingError) {
        var written = 0
        while written < buffer.count {
            let count = buffer[written...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                isWhole = false
                throw AtomicFile.fault("can't write", partialPath, errno)
            }
            written += count
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Makes the file durable and gives it its name. Nothing may be appended afterwards.
    func finish() throws(OperatingError) {
        try flush()
        guard isWhole else { throw OperatingError("\(partialPath) has a hole: an earlier write failed") }
        guard fsync(file) == 0 else { throw AtomicFile.fault("can't sync", partialPath, errno) }
        guard rename(partialPath, path) == 0 else { throw AtomicFile.fault("can't rename to", path, errno) }
        syncFolder()
    }

    /// rename(2) is atomic, but only a sync of the folder makes it survive a power cut. A file system that
    /// can't sync a folder has kept the file itself.
    private func syncFolder() {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { return }
        fsync(handle)
        close(handle)
    }

    private static func fault(_ action: String, _ path: String, _ code: Int32) -> OperatingError {
        OperatingError("\(action) \(path): \(String(cString: strerror(code)))")
    }
}

/// Writes a file whole or not at all.
public func writeWhole(_ text: String, to path: String) throws(OperatingError) {
    let file = try AtomicFile(path: path)
    try file.append(text)
    try file.finish()
}
