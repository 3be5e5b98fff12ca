// The few file operations the services need, with errors that name the path. Blocks its thread.

import Diagnostics
import Glibc

enum Files {
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Makes a folder and its missing parents; `mode` applies to what is made, whatever the umask.
    static func makeFolder(_ path: String, mode: mode_t = 0o700) throws(OperatingError) {
        if mkdir(path, mode) == 0 {
            chmod(path, mode)
            return
        }
        if errno == ENOENT, let parent = parent(of: path), parent != path {
            try makeFolder(parent, mode: mode)
            return try makeFolder(path, mode: mode)
        }
        guard errno == EEXIST else { throw .system("make the folder \(path)") }
        guard isFolder(path) else { throw OperatingError("\(path) is in the way: a folder is needed there") }
    }

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Replaces a file in one step: whoever reads it sees the old or the new text, also after a power cut.
    static func replace(_ path: String, with text: String) throws(OperatingError) {
        let temporary = "\(path).\(getpid()).new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("write \(path)") }
        var rest = Array(text.utf8)[...]
        var isWritten = true
        while isWritten, !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { isWritten = false }
        }
        isWritten = isWritten && fsync(descriptor) == 0
        guard close(descriptor) == 0, isWritten, rename(temporary, path) == 0 else {
            let error = OperatingError.system("write \(path)")
            unlink(temporary)
            throw error
        }
        // The rename itself is on disk only once the folder is.
        let folder = open(parent(of: path) ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    /// The last lines of a log that say anything.
    static func lastLines(of path: String, count: Int) -> [String] {
        guard let text = fileContents(path) else { return [] }
        return text.split(separator: "\n").suffix(count).map(String.init)
    }

    static func parent(of path: String) -> String? {
        guard let slash = path.lastIndex(of: "/") else { return nil }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func name(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
    }

    /// An absolute path without symbolic links; nil if it doesn't exist.
    static func canonical(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func link(_ path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
